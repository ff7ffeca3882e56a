// What a stake account counts on when it lets stake go or lets it answer for one node more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StakeErr } from '../support/dao';
import { DAY, ton } from '../support/network';
import { account, confirmed, exit, idOf, register, retire, withdraw } from '../support/stakes';

test('attack_53: stake on its way in covers no bond, neither of a lot that goes nor of a node that comes', async () => {
    const later = 4_000_000_000n;
    const lots = [{}, { exitFrom: 6n, releaseAt: 1n }, { amount: ton('100'), activeFrom: 0n }];
    const retired = { bond: ton('11'), freeAt: later };
    const { address, refuses, takes } = await account({ lots, nodes: [retired] });
    await refuses(StakeErr.bonded, withdraw(1n));
    await refuses(StakeErr.bonded, register(address, 7, { bond: ton('9') + 1n }));
    await takes(register(address, 7, { bond: ton('9') }));
});

test('the governor tells its delay with every lot that comes or goes, and a node that retires answers for as long', async () => {
    const { net, stake, hears, takes } = await account({ lots: [{}, { activeFrom: 0n }], nodes: [{}, {}] });
    await takes(retire(0));
    await hears(exit());
    assert.equal((await stake.getState()).unbondingDelay, 77n);
    await takes(retire(1));
    const { nodes } = await stake.getState();
    assert.deepEqual([nodes.get(idOf(0))!.freeAt, nodes.get(idOf(1))!.freeAt], [BigInt(net.now + 14 * DAY), BigInt(net.now + 77)]);
    const other = await account({ lots: [{ activeFrom: 0n }] });
    await other.hears(confirmed());
    assert.equal((await other.stake.getState()).unbondingDelay, 77n);
});

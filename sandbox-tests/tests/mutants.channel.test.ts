// What mutation testing found that no other test looked at: scripts/mutate-contracts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell, beginCell } from '@ton/core';
import { loadClosingStarted, loadExcesses, loadPaid, storeRefunded } from '../build/PayChannel';
import { CHALLENGE, Channel, Op } from '../support/channel';
import { Network, allOn, assertOk, compute, on, sent, ton, withForwardPrice } from '../support/network';

/** The action phase failed, the state is as before, and this much or more came back to the sender. */
async function failsAndReturns(net: Network, channel: Channel, least: bigint, action: () => ReturnType<Channel['send']>): Promise<void> {
    const before = await net.dataHash(channel.address);
    const [tx] = allOn(await action(), channel.address);
    assert.equal(compute(tx).exitCode, 0);
    assert.ok(tx.description.type === 'generic' && tx.description.actionPhase?.success === false, 'the action phase must fail');
    assert.equal(await net.dataHash(channel.address), before, 'an action failed, and the state changed');
    const [returned] = sent(tx);
    assert.ok(returned?.bounced && returned.value >= least, 'the value does not come back');
}

test('attack 17: a payee whose own change cannot carry its money gets its value back, and nothing is booked', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    net.chain.setConfig(withForwardPrice(net.chain.config, ton('0.1')));
    // Enough for the fee's way and for the bounce's, not for both the fee's and the payment's.
    await failsAndReturns(net, channel, ton('0.04'), () => channel.sendClaim(ton('0.001'), { value: ton('0.15') }));
});

test('attack 17: a top-up whose change cannot be sent goes back whole', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    net.chain.setConfig(withForwardPrice(net.chain.config, ton('0.1')));
    await failsAndReturns(net, channel, ton('0.9'), () => channel.sendTopUp(ton('1')));
});

test('attack 17: a refund that cannot be sent is not booked', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.requestClose();
    net.later(CHALLENGE);
    const normal = net.chain.config;
    net.chain.setConfig(withForwardPrice(normal, ton('1000')));
    const before = await net.dataHash(channel.address);
    const [tx] = allOn(await channel.sendSettle(), channel.address);
    assert.equal(compute(tx).exitCode, 0);
    assert.equal(await net.dataHash(channel.address), before);
    net.chain.setConfig(normal);
    assertOk(on(await channel.sendSettle(), channel.address));
});

test('every answer carries the query id of its question, to the bit', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const one = <T>(load: (s: ReturnType<Cell['beginParse']>) => T, tx: Parameters<typeof sent>[0], op: number): T => {
        const found = sent(tx).filter((m) => m.op === op);
        assert.equal(found.length, 1);
        const slice = found[0].body.beginParse();
        const message = load(slice);
        assert.deepEqual([slice.remainingBits, slice.remainingRefs], [0, 0]);
        return message;
    };
    const own = one(loadPaid, await channel.claim(ton('0.1')), Op.paid);
    assert.equal(own.queryId, 2n);
    const other = await channel.claim(ton('0.2'), { from: channel.stranger });
    assert.equal(one(loadPaid, other, Op.paid).queryId, 2n);
    assert.equal(one(loadExcesses, other, Op.excesses).queryId, 2n);
    const asked = await channel.requestClose();
    assert.equal(one(loadClosingStarted, asked, Op.closingStarted).queryId, 3n);
    // The notice carries no money.
    assert.equal(sent(asked).find((m) => m.op === Op.closingStarted)?.value, 0n);
    net.later(CHALLENGE);
    const [refund] = sent(await channel.settle());
    const expected = { $$type: 'Refunded', queryId: 4n, amount: ton('0.8'), claimed: ton('0.2') } as const;
    assert.ok(refund.body.equals(beginCell().store(storeRefunded(expected)).endCell()), 'the words of a refund');
});

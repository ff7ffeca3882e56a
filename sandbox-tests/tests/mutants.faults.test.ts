// Proofs and reports to the last bit: what mutation testing found that no other test looked at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, beginCell } from '@ton/core';
import { FaultReport } from '../build/FaultReport';
import { Channel, VoucherFields, evidence, termsCell } from '../support/channel';
import { Dao, Kind, impersonate } from '../support/dao';
import { revoke, scheduleImage } from '../support/entries';
import { holds } from '../support/exact';
import { Network, assertOk, keys, on, ton } from '../support/network';
import { registerProxy } from '../support/proxies';
import { FaultErr, accuse, commit, equivocation, revokedUse } from '../support/reports';

const WAIT = 60n;
const LIFE = BigInt(7 * 86400);

/** The same cell with something behind its fields. */
const withBit = (cell: Cell) => beginCell().storeSlice(cell.beginParse()).storeBit(0).endCell();
const withRef = (cell: Cell) => beginCell().storeSlice(cell.beginParse()).storeRef(Cell.EMPTY).endCell();

/** A registry, a bonded proxy, and what it says in its channel. */
async function proxied() {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const { registry } = dao;
    const channel = await Channel.create(net);
    assertOk(on(await registerProxy(dao, channel.payer, { key: 'payer' }), registry.address));
    const reporter = await net.wallet('reporter');
    const seen = (ok: bigint, tag?: number) => evidence({ registry: registry.address, ok, tag });
    const voucher = (cumulative: bigint, words: Cell, more: Partial<VoucherFields> = {}) => channel.voucher({ cumulative, evidence: words, ...more });
    const proof = (a: Cell, b: Cell) => equivocation(termsCell(channel.terms), [a, channel.payerKeys], [b, channel.payerKeys]);
    const say = (it: Cell) => accuse(net, registry.address, reporter, it);
    const refuses = (code: number, it: Cell) => net.refused(registry.address, code, () => say(it));
    return { net, dao, registry, channel, reporter, seen, voucher, proof, say, refuses };
}

test('attack_26_something_behind_the_fields_of_a_voucher: neither it, nor its evidence, nor the proof has any', async () => {
    const { registry, channel, seen, voucher, proof, say, refuses } = await proxied();
    const [a, b] = [voucher(1n, seen(9n)), voucher(1n, seen(10n))];
    for (const more of [withBit, withRef]) {
        await refuses(FaultErr.badFormat, proof(more(a), b));
        await refuses(FaultErr.badFormat, proof(a, more(b)));
        await refuses(FaultErr.badFormat, proof(a, voucher(1n, more(seen(10n)))));
        await refuses(FaultErr.badFormat, more(proof(a, b)));
    }
    await refuses(FaultErr.badFormat, proof(a, voucher(1n, seen(10n, 0x45564431))));
    await refuses(FaultErr.badFormat, proof(a, channel.voucher({ cumulative: 2n })));
    assertOk(on(await say(proof(a, b)), registry.address));
});

test('attack_50_two_channels_two_histories: counters that fall from one channel to another contradict nothing', async () => {
    const { dao, seen, voucher, proof, refuses } = await proxied();
    const elsewhere = voucher(2n, seen(8n), { channel: dao.governor.address });
    await refuses(FaultErr.noContradiction, proof(voucher(1n, seen(9n)), elsewhere));
    await refuses(FaultErr.noContradiction, proof(elsewhere, voucher(1n, seen(9n))));
});

test('attack_26_something_behind_the_fields_of_a_proof_of_revoked_use', async () => {
    const { net, dao, registry, say, refuses } = await proxied();
    const does = async (body: Cell) => assertOk(on(await impersonate(net, dao.governor.address, registry.address, body), registry.address));
    await does(scheduleImage(registry.address, 1n));
    await does(revoke(Kind.image, 1n));
    const proof = revokedUse({ node: keys('worker node'), account: new Address(0, Buffer.alloc(32, 5)), kind: Kind.image, time: net.now + 601 });
    for (const more of [withBit, withRef]) await refuses(FaultErr.badFormat, more(proof));
    const [heard] = (await say(proof)).transactions;
    assertOk(heard);
});

test('a report tells what was committed, and between which seconds it may be shown', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const reporter = await net.wallet('reporter');
    const target = dao.registry.address;
    const body = beginCell().storeUint(1, 8).endCell();
    const { contract } = await commit(net, target, reporter, body);
    const { target: t, reporter: r, commitment, ...times } = await contract.getState();
    holds(t.equals(target) && r.equals(reporter.address));
    holds((await FaultReport.fromInit(target, reporter.address, commitment, 0n)).address.equals(contract.address));
    const at = BigInt(net.now);
    assert.deepEqual(times, { $$type: 'FaultState', committedAt: at, revealFrom: at + WAIT, revealUntil: at + LIFE });
    // One that exists without a commitment: its first message was refused.
    const fresh = net.chain.openContract(await FaultReport.fromInit(target, reporter.address, 5n, 0n));
    await net.send(reporter, fresh.address, ton('0.02'), beginCell().storeUint(0x46520001, 32).storeUint(1, 64).endCell(), { init: fresh.init });
    const nothing = await fresh.getState();
    assert.deepEqual([nothing.commitment, nothing.committedAt, nothing.revealFrom, nothing.revealUntil], [5n, 0n, 0n, 0n]);
});

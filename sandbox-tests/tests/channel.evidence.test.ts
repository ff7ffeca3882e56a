// Evidence inside vouchers: it travels with a claim, and never stands between a payee and its money.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, beginCell } from '@ton/core';
import { loadSettled } from '../build/PayChannel';
import { Channel, EVIDENCE_TAG, EVIDENCE_VALUE, Err, MIN_VALUE, Op, evidence, termsCell } from '../support/channel';
import { Network, YEAR, allOn, assertOk, compute, keys, on, sent, storageFee, ton, withForwardPrice } from '../support/network';

const VALUE = MIN_VALUE + EVIDENCE_VALUE;
/** An account that does not exist: whatever is sent there bounces. */
const NOBODY = Address.parse('0:' + '77'.repeat(32));

async function bench(opts: Parameters<typeof Channel.funded>[2] = {}) {
    const net = await Network.create();
    return { net, channel: await Channel.funded(net, ton('2'), opts), registry: await net.wallet('registry') };
}

test('a claim hands its evidence to the registry that it names, with what is left of the value', async () => {
    const { net, channel, registry } = await bench();
    const cell = evidence({ registry: registry.address, ok: 7n, failed: 2n, latencyMs: 900n });
    for (const [from, cumulative] of [[channel.payee, ton('0.5')], [channel.stranger, ton('0.8')]] as const) {
        const amount = cumulative - channel.books.claimed;
        const tx = await channel.claim({ cumulative, evidence: cell }, { from, value: VALUE });
        const [burned, paid, settled, ...more] = sent(tx);
        assert.equal(more.length, 0);
        assert.deepEqual([burned.op, paid.op, settled.op], [-1, Op.paid, Op.settled]);
        assert.ok(settled.to.equals(registry.address) && settled.bounce);
        assert.ok(settled.value > EVIDENCE_VALUE, 'the registry gets all of what is meant for it');
        const words = loadSettled(settled.body.beginParse());
        assert.deepEqual([words.queryId, words.amount], [2n, amount]);
        assert.ok(words.caller.equals(from.address));
        assert.ok(words.terms.equals(termsCell(channel.terms)) && words.evidence.equals(cell));
    }
    // What it sent was taken, so nothing came back.
    assert.equal((await net.chain.getContract(registry.address)).account.account?.storage.state.type, 'active');
});

test('a claim with evidence pays the payee exactly, and its own change is not mixed in', async () => {
    const { channel, registry } = await bench();
    const tx = await channel.claim({ cumulative: ton('1'), evidence: evidence({ registry: registry.address }) }, { value: ton('1.5') });
    const [, paid, settled] = sent(tx);
    assert.equal(paid.value, ton('0.99'));
    assert.ok(settled.value > ton('1.48'));
});

test('attack_50_a_payee_cannot_leave_out_what_was_seen_of_it', async () => {
    const { channel, registry } = await bench();
    const bad = { cumulative: ton('0.5'), evidence: evidence({ registry: registry.address, ok: 0n, failed: 9n }) };
    await channel.refuses(Err.lowValue, () => channel.sendClaim(bad));
    await channel.refuses(Err.lowValue, () => channel.sendClaim(bad, { value: VALUE - 1n }));
    // Without the evidence it is not the cell that was signed.
    const bare = channel.claimBody(channel.voucher({ cumulative: ton('0.5') }));
    const signed = channel.claimBody(channel.voucher(bad));
    const signature = signed.beginParse().skip(32 + 64).loadBuffer(64);
    const stripped = channel.claimBody(channel.voucher({ cumulative: ton('0.5') }), signature);
    assert.ok(!bare.equals(stripped));
    await channel.refuses(Err.badSignature, () => channel.send(stripped, { value: VALUE }));
    // Nor can it be made to look better.
    const better = channel.voucher({ ...bad, evidence: evidence({ registry: registry.address, ok: 9n, failed: 0n }) });
    await channel.refuses(Err.badSignature, () => channel.send(channel.claimBody(better, signature), { value: VALUE }));
    await channel.claim(bad, { value: VALUE });
});

test('attack_16_evidence_one_nano_under_its_least_value_changes_nothing', async () => {
    const { channel, registry } = await bench();
    const v = { cumulative: ton('0.5'), evidence: evidence({ registry: registry.address }) };
    for (const from of [channel.payee, channel.stranger]) await channel.refuses(Err.lowValue, () => channel.sendClaim(v, { from, value: VALUE - 1n }));
    await channel.claim(v, { value: VALUE });
});

/** Everything that a payer could sign in the place of evidence. */
function malformed(registry: Address): [string, Cell][] {
    const good = evidence({ registry }).beginParse();
    const head = good.clone().loadBits(good.remainingBits - 1);
    const counters = (b: ReturnType<typeof beginCell>) => b.storeUint(1, 64).storeUint(0, 64).storeUint(0, 64).endCell();
    const tagged = () => beginCell().storeUint(EVIDENCE_TAG, 32);
    const proof = Buffer.concat([Buffer.from([3]), Cell.EMPTY.hash(), Buffer.alloc(2)]);
    const library = Buffer.concat([Buffer.from([2]), Buffer.alloc(32, 9)]);
    const bits = (bytes: Buffer) => beginCell().storeBuffer(bytes).endCell().beginParse().loadBits(bytes.length * 8);
    return [
        ['empty', Cell.EMPTY],
        ['another tag', evidence({ registry, tag: 0x45564431 })],
        ['one bit short', beginCell().storeBits(head).endCell()],
        ['one bit more', beginCell().storeSlice(good.clone()).storeBit(1).endCell()],
        ['a reference', beginCell().storeSlice(good.clone()).storeRef(Cell.EMPTY).endCell()],
        ['a registry in the masterchain', evidence({ registry: new Address(-1, registry.hash) })],
        ['a registry in another workchain', evidence({ registry: new Address(1, registry.hash) })],
        ['no registry', counters(tagged().storeUint(0, 2).storeUint(0, 265))],
        ['an external address', counters(tagged().storeUint(1, 2).storeUint(256, 9).storeUint(0, 256))],
        ['an address with anycast', counters(tagged().storeUint(0b101, 3).storeUint(1, 5).storeUint(0, 259))],
        ['an address of variable length', counters(tagged().storeUint(0b110, 3).storeUint(1, 9).storeUint(0, 255))],
        // A pruned branch cannot travel in a message at all.
        ['a Merkle proof', new Cell({ exotic: true, bits: bits(proof), refs: [Cell.EMPTY] })],
        ['a library reference', new Cell({ exotic: true, bits: bits(library) })],
    ];
}

test('malformed evidence blocks nobodys money: the claim pays as if there were none', async () => {
    const { channel, registry } = await bench();
    for (const [what, cell] of malformed(registry.address)) {
        const cumulative = channel.books.claimed + ton('0.05');
        const tx = await channel.claim({ cumulative, evidence: cell });
        assert.deepEqual(sent(tx).map((m) => m.op), [-1, Op.paid], what);
        const byOther = await channel.claim({ cumulative: cumulative + ton('0.05'), evidence: cell }, { from: channel.stranger });
        assert.deepEqual(sent(byOther).map((m) => m.op), [-1, Op.paid, Op.excesses], what);
    }
});

test('attack_18_a_registry_that_refuses_costs_the_payee_nothing_and_enriches_no_payer', async () => {
    const { net, channel } = await bench();
    for (const [from, cumulative] of [[channel.payee, ton('0.5')], [channel.stranger, ton('0.9')]] as const) {
        const before = await channel.balance();
        const fee = channel.feeOf(cumulative - channel.books.claimed);
        const had = await net.balance(channel.payee.address);
        const result = await channel.sendClaim({ cumulative, evidence: evidence({ registry: NOBODY }) }, { from, value: VALUE });
        const [claim, bounce, ...more] = allOn(result, channel.address);
        assert.equal(more.length, 0);
        assertOk(claim);
        assertOk(bounce);
        // The payee has its money, and what came back.
        const [back] = sent(bounce);
        assert.ok(back.to.equals(channel.payee.address) && back.op === Op.excesses && !back.bounce);
        assert.equal(back.body.beginParse().skip(32).loadUint(64), 2, 'the claim that it belongs to');
        assert.ok(back.value > EVIDENCE_VALUE - ton('0.005'), `${back.value}`);
        const amount = cumulative - channel.books.claimed;
        assert.equal(await channel.balance(), before - amount, 'the channel keeps nothing of it');
        assert.ok((await net.balance(channel.payee.address)) > had + amount - fee - (from === channel.payee ? ton('0.03') : 0n));
        Object.assign(channel.books, { paid: cumulative, claimed: cumulative });
        await channel.audit();
    }
});

test('a bounce after years in which storage ate the reserve still goes to the payee', async () => {
    const { net, channel } = await bench();
    channel.erosionAllowed = true;
    net.later(4 * YEAR);
    const before = await channel.balance();
    const result = await channel.sendClaim({ cumulative: ton('0.5'), evidence: evidence({ registry: NOBODY }) }, { value: VALUE });
    const [claim, bounce] = allOn(result, channel.address);
    assert.equal(sent(bounce).length, 1);
    assert.equal(await channel.balance(), before - storageFee(claim) - ton('0.5'));
});

test('attack_54_a_claim_replayed_settles_nothing', async () => {
    const { channel, registry } = await bench();
    const v = { cumulative: ton('0.5'), evidence: evidence({ registry: registry.address }) };
    await channel.claim(v, { value: VALUE });
    const result = await channel.refuses(Err.nothingNew, () => channel.sendClaim(v, { value: VALUE }));
    assert.ok(result.transactions.flatMap(sent).every((m) => m.op !== Op.settled));
    // Better counters at the same sum: no money, no say.
    const again = { ...v, evidence: evidence({ registry: registry.address, ok: 1000n }) };
    await channel.refuses(Err.nothingNew, () => channel.sendClaim(again, { value: VALUE }));
});

test('attack_55_evidence_from_another_network_or_channel_is_inside_a_voucher_that_is_refused', async () => {
    const { net, channel, registry } = await bench();
    const v = { cumulative: ton('0.5'), evidence: evidence({ registry: registry.address }) };
    await channel.refuses(Err.otherNetwork, () => channel.sendClaim({ ...v, globalId: -239 }, { value: VALUE }));
    const other = await Channel.funded(net, ton('1'), { terms: { salt: 2n } });
    await channel.refuses(Err.otherChannel, () => channel.sendClaim({ ...v, channel: other.address }, { value: VALUE }));
    // By another key than the payer's: nobody else can speak through this channel.
    const stranger = await Channel.create(net, { payerKeys: keys('somebody') });
    await channel.refuses(Err.badSignature, () => channel.send(stranger.claimBody(channel.voucher(v)), { value: VALUE }));
});

test('attack_17_a_claim_whose_evidence_cannot_be_sent_is_undone', async () => {
    const { net, channel, registry } = await bench();
    const v = { cumulative: ton('0.5'), evidence: evidence({ registry: registry.address }) };
    const normal = net.chain.config;
    // The value covers two of the three messages.
    net.chain.setConfig(withForwardPrice(normal, ton('0.05')));
    for (const from of [channel.payee, channel.stranger]) {
        const before = [await net.dataHash(channel.address), await channel.balance()];
        const [tx] = allOn(await channel.sendClaim(v, { from, value: VALUE + ton('0.03') }), channel.address);
        assert.equal(compute(tx).exitCode, 0);
        const [bounce, ...more] = sent(tx);
        assert.ok(bounce.bounced && bounce.to.equals(from.address) && more.length === 0);
        assert.deepEqual([await net.dataHash(channel.address), await channel.balance()], before);
    }
    net.chain.setConfig(normal);
    await channel.claim(v, { value: VALUE });
});

test('attack_19_a_claim_with_evidence_from_an_eroded_channel_aborts_whole_and_succeeds_with_more_attached', async () => {
    const { net, channel, registry } = await bench();
    channel.erosionAllowed = true;
    net.later(14 * YEAR);
    const v = { cumulative: ton('2'), evidence: evidence({ registry: registry.address }) };
    await channel.refuses(Err.eroded, () => channel.sendClaim(v, { from: channel.stranger, value: VALUE }));
    const missing = ton('2') - (await channel.balance());
    assert.ok(missing > 0n);
    await channel.refuses(Err.eroded, () => channel.sendClaim(v, { from: channel.stranger, value: missing + VALUE - 1n }));
    await channel.claim(v, { from: channel.stranger, value: missing + VALUE });
});

test('attack_26_a_channel_does_not_take_the_message_that_it_sends', async () => {
    const { net, channel, registry } = await bench();
    const result = await channel.sendClaim({ cumulative: ton('0.1'), evidence: evidence({ registry: registry.address }) }, { value: VALUE });
    const settled = sent(on(result, channel.address)).find((m) => m.op === Op.settled)!;
    await net.refused(channel.address, Err.unknownMessage, () => channel.send(settled.body, { value: VALUE }));
});

// What a good name costs. Real channels and a real record; a wallet stands in the registry's place and passes on what the
// channels tell it, as the registry does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadEvidence, loadSettled } from '../build/PayChannel';
import { BURN, Channel, EVIDENCE_VALUE, MIN_VALUE, Op, evidence } from '../support/channel';
import { DOUBT, Outcome, Record } from '../support/reputation';
import { YEAR, sent, ton } from '../support/network';

type Seen = { ok: bigint; failed?: bigint };

/** Claims with this evidence and passes it on; returns what the record answered. */
async function settle(record: Record, channel: Channel, cumulative: bigint, seen: Seen): Promise<number> {
    const cell = evidence({ registry: record.registry.address, ...seen });
    const tx = await channel.claim({ cumulative, evidence: cell }, { value: MIN_VALUE + EVIDENCE_VALUE });
    const settled = loadSettled(sent(tx).find((m) => m.op === Op.settled)!.body.beginParse());
    const { ok, failed, latencyMs } = loadEvidence(settled.evidence.beginParse());
    return record.add({ channel: channel.address, amount: settled.amount, ok, failed, latencyMs });
}

test('attack_49_a_bought_score_costs_the_fee_of_money_that_really_moves', async () => {
    const record = await Record.create();
    const { net } = record;
    // Payer, payee and node are one person. Praise alone is worth nothing: the voucher is capped at the deposit.
    const channel = await Channel.funded(net, ton('1'));
    assert.equal(await settle(record, channel, ton('1000000'), { ok: 1_000_000n }), Outcome.counted);
    assert.equal((await record.state()).good, ton('1'));
    assert.equal(await record.score(), 909);
    // Round in a circle: the payee gives the payer the money for the next turn. Each turn burns the fee of all of it.
    let ok = 1_000_000n;
    while ((await record.state()).good < 9n * DOUBT) {
        await channel.topUp(ton('17.8'), { from: channel.payee });
        await settle(record, channel, channel.books.deposit, { ok: ++ok });
    }
    assert.equal(await record.score(), 9000);
    assert.equal((await record.state()).good, channel.books.claimed);
    assert.equal(await net.balance(BURN), ton('0.9'));
    // And it does not last.
    net.later(YEAR);
    assert.ok((await record.score()) < 100);
});

test('attack_50_bad_mouthing_weighs_what_it_paid_the_accused', async () => {
    const record = await Record.create();
    const { net } = record;
    const honest = await Channel.funded(net, ton('990'));
    await settle(record, honest, ton('990'), { ok: 100n });
    assert.equal(await record.score(), 9900);
    const slanderer = await Channel.funded(net, ton('1'), { terms: { salt: 2n } });
    await settle(record, slanderer, ton('1'), { ok: 0n, failed: 2n ** 64n - 1n });
    assert.equal(await record.score(), 9890);
    const got = slanderer.books.paid - slanderer.books.burned;
    assert.equal(got, ton('0.99'), 'and the accused has the money');
});

test('attack_51_a_new_key_begins_below_every_record_that_was_paid_well_once', async () => {
    const old = await Record.create();
    const channel = await Channel.funded(old.net, ton('3'));
    await settle(old, channel, ton('1'), { ok: 10n });
    await settle(old, channel, ton('3'), { ok: 10n, failed: 20n });
    const worn = await old.score();
    assert.equal(worn, 769);
    const fresh = await Record.create(7n);
    await fresh.add({ ok: 1n });
    assert.ok((await fresh.score()) < worn);
});

test('attack_54_evidence_that_comes_with_no_new_money_never_reaches_a_record', async () => {
    const record = await Record.create();
    const channel = await Channel.funded(record.net, ton('2'));
    await settle(record, channel, ton('1'), { ok: 10n });
    const before = await record.net.dataHash(record.address);
    const again = { cumulative: ton('1'), evidence: evidence({ registry: record.registry.address, ok: 99n }) };
    await channel.refuses(1013, () => channel.sendClaim(again, { value: MIN_VALUE + EVIDENCE_VALUE }));
    assert.equal(await record.net.dataHash(record.address), before);
});

// What a node's record counts, keeps, forgets and answers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell } from '@ton/core';
import { DOUBT, FADE_STEP, HALF_LIFE, MAX_CHANNELS, NODE, Outcome, RECORD_RESERVE, Record, channelNo } from '../support/reputation';
import { Network, YEAR, assertOk, bareOp, compute, noteGas, on, sent, ton } from '../support/network';

const UNKNOWN_MESSAGE = 130;

test('a claim is split by what is new in the counters', async () => {
    const record = await Record.create();
    const first = await record.send({ ok: 9n, failed: 1n, latencyMs: 900n, amount: ton('10') });
    assert.equal(record.answer(first), Outcome.counted);
    noteGas('reputation: first evidence', on(first, record.address));
    let state = await record.state();
    assert.deepEqual([state.good, state.bad], [ton('9'), ton('1')]);
    // The next evidence of the same channel brings ten more good answers.
    const second = await record.send({ ok: 19n, failed: 1n, latencyMs: 1900n, amount: ton('4') });
    assert.equal(record.answer(second), Outcome.counted);
    noteGas('reputation: further evidence', on(second, record.address));
    state = await record.state();
    assert.deepEqual([state.good, state.bad], [ton('13'), ton('1')]);
    assert.deepEqual(state.channels.get(channelNo(0)), { $$type: 'Seen', ok: 19n, failed: 1n, latencyMs: 1900n, at: BigInt(record.net.now) });
    // Another channel begins with counters of its own.
    assert.equal(await record.add({ channel: channelNo(1), failed: 2n, amount: ton('3') }), Outcome.counted);
    state = await record.state();
    assert.deepEqual([state.good, state.bad, state.channels.size], [ton('13'), ton('4'), 2]);
});

test('what cannot be split evenly counts against the node, to the nano', async () => {
    const record = await Record.create();
    await record.add({ ok: 2n, failed: 1n, amount: 100n });
    const { good, bad } = await record.state();
    assert.deepEqual([good, bad], [66n, 34n]);
});

test('answers without payment weigh nothing, and payment without answers is not counted', async () => {
    const record = await Record.create();
    assert.equal(await record.add({ ok: 1000n, amount: 0n }), Outcome.counted);
    assert.equal(await record.add({ ok: 1000n, amount: ton('5') }), Outcome.nothingNew);
    assert.equal(await record.add({ channel: channelNo(1), amount: ton('5') }), Outcome.nothingNew);
    const state = await record.state();
    assert.deepEqual([state.good, state.bad, state.channels.size], [0n, 0n, 1]);
});

test('attack_57_counters_going_backwards_are_answered_and_count_nothing', async () => {
    const record = await Record.create();
    const counters = { ok: 10n, failed: 5n, latencyMs: 100n, amount: ton('10') };
    assert.equal(await record.add(counters), Outcome.counted);
    const before = await record.net.dataHash(record.address);
    const ahead = { ok: 11n, failed: 6n, latencyMs: 101n };
    for (const less of [{ ok: 9n }, { failed: 4n }, { latencyMs: 99n }]) {
        assert.equal(await record.add({ ...counters, ...ahead, ...less }), Outcome.backwards, Object.keys(less)[0]);
    }
    assert.equal(await record.net.dataHash(record.address), before);
    assert.equal(await record.add({ ...counters, ...ahead }), Outcome.counted);
});

test('attack_54_the_same_counters_again_count_nothing', async () => {
    const record = await Record.create();
    const counters = { ok: 10n, failed: 5n, latencyMs: 100n, amount: ton('15') };
    assert.equal(await record.add(counters), Outcome.counted);
    const before = await record.net.dataHash(record.address);
    assert.equal(await record.add(counters), Outcome.nothingNew);
    assert.equal(await record.net.dataHash(record.address), before);
    const { good, bad } = await record.state();
    assert.deepEqual([good, bad], [ton('10'), ton('5')]);
});

test('attack_51_a_fresh_key_scores_zero_and_no_record_scores_less', async () => {
    const bad = await Record.create();
    await bad.add({ failed: 1n, amount: ton('1000') });
    assert.equal(await bad.score(), 0);

    const fresh = await Record.create(5n);
    await fresh.add({ ok: 1n, amount: 0n });
    assert.equal(await fresh.score(), 0, 'leaving a bad record for a new key gains nothing');

    // As much good as doubt: one half. Trust is earned with settled money, and never whole.
    await fresh.add({ ok: 2n, amount: DOUBT });
    assert.equal(await fresh.score(), 5000);
    await fresh.add({ ok: 3n, amount: ton('990') - DOUBT });
    assert.equal(await fresh.score(), 9900);
    await fresh.add({ ok: 3n, failed: 1n, amount: ton('980') });
    assert.equal(await fresh.score(), 5000);
    // Silence turns a record into that of a stranger.
    fresh.net.later(50 * YEAR);
    assert.equal(await fresh.score(), 0);
});

test('attack_56_decay_over_a_huge_gap: bounded gas, and frequent claims fade like rare ones', async () => {
    const record = await Record.create();
    const { net } = record;
    assert.equal(await record.add({ ok: 1n, amount: ton('1000') }), Outcome.counted);
    await record.add({ failed: 1n, ok: 1n, amount: ton('1000') });
    const at = async (seconds: number) => {
        const saved = net.now;
        net.later(seconds);
        const { good, bad } = await record.state();
        net.now = saved;
        assert.equal(good, bad, 'good and bad fade alike');
        return good;
    };
    assert.equal(await at(FADE_STEP - 1), ton('1000'));
    assert.equal(await at(HALF_LIFE), ton('500'));
    assert.equal(await at(2 * HALF_LIFE), ton('250'));
    for (let k = 1; k < 16; k++) {
        const exact = 1000e9 * 2 ** (-k / 16);
        assert.ok(Math.abs(Number(await at(k * FADE_STEP)) - exact) < exact / 1e8, `step ${k}`);
    }
    assert.equal(await at(50 * YEAR), 0n);

    const soon = await record.send({ ok: 2n, failed: 1n, amount: 1n });
    const gasSoon = noteGas('reputation: evidence at once', on(soon, record.address));
    net.later(7 * YEAR);
    const late = await record.send({ ok: 3n, failed: 1n, amount: ton('1') });
    assert.equal(record.answer(late), Outcome.counted);
    const gasLate = noteGas('reputation: evidence after 7 years', on(late, record.address));
    assert.ok(gasLate < gasSoon + 2000, `${gasLate} against ${gasSoon}`);
    assert.equal((await record.state()).good, ton('1'));
    // Sixteen claims on the way to a half-life end where none would.
    for (let i = 0; i < 16; i++) {
        net.later(FADE_STEP);
        assert.equal(await record.add({ ok: BigInt(4 + i), failed: 1n }), Outcome.counted);
    }
    const { good } = await record.state();
    assert.ok(good > ton('0.5') - 100n && good <= ton('0.5'), `${good}`);
});

test('attack_56_decay_over_a_huge_gap: a first claim long after the epoch of Unix time', async () => {
    const record = await Record.create();
    record.net.now = 4_200_000_000; // more half-lives than a shift can take
    assert.equal(await record.add({ ok: 1n, amount: ton('1') }), Outcome.counted);
    assert.equal((await record.state()).good, ton('1'));
});

test('latency is the mean over good answers, weighted by what was paid, and newer claims outweigh faded ones', async () => {
    const record = await Record.create();
    const latency = async () => Number((await record.state()).latencyMs);
    await record.add({ failed: 3n, latencyMs: 0n, amount: ton('9') });
    assert.equal(await latency(), 0);
    await record.add({ ok: 10n, failed: 3n, latencyMs: 4_000n, amount: ton('1') });
    assert.equal(await latency(), 400);
    await record.add({ ok: 11n, failed: 3n, latencyMs: 4_200n, amount: ton('1') });
    assert.equal(await latency(), 300);
    record.net.later(HALF_LIFE);
    await record.add({ ok: 12n, failed: 3n, latencyMs: 4_300n, amount: ton('1') });
    assert.equal(await latency(), 200);
    // The largest counter that fits overflows nothing.
    const fresh = await Record.create();
    await fresh.add({ ok: 1n, latencyMs: 2n ** 64n - 1n, amount: 2n ** 120n - 1n });
    assert.equal(Number((await fresh.state()).latencyMs), 2 ** 32 - 1);
    await fresh.add({ ok: 2n ** 64n - 1n, latencyMs: 2n ** 64n - 1n, amount: 2n ** 120n - 1n });
    assert.equal(Number((await fresh.state()).latencyMs), 2 ** 31 - 1);
});

test('attack_58_a_forged_child_contract: the record hears its registry alone', async () => {
    const record = await Record.create();
    assert.equal(await record.add({ ok: 1n, amount: ton('1') }), Outcome.counted);
    const { net } = record;
    for (const from of [record.caller, await net.wallet('another registry')]) {
        await net.refused(record.address, Outcome.notRegistry, () => record.send({ ok: 1000n, amount: ton('1000000') }, { from }));
    }
    const state = await record.state();
    assert.ok(state.registry.equals(record.registry.address));
    assert.equal(state.node, NODE);
    // Another registry's record of the same node, and another node's, are other accounts.
    const addresses = [
        record.address,
        (await Record.at(net, record.caller.address, NODE)).address,
        (await Record.at(net, record.registry.address, NODE + 1n)).address,
    ];
    assert.equal(new Set(addresses.map(String)).size, 3);
});

test('a full record gives the place of the channel that was silent longest', async () => {
    const record = await Record.create();
    const { net } = record;
    for (let i = 0; i < MAX_CHANNELS; i++) {
        net.later(10);
        assert.equal(await record.add({ channel: channelNo(i), ok: 1n, amount: ton('1') }), Outcome.counted);
    }
    // Channel 0 speaks again, so channel 1 is the stalest now.
    net.later(10);
    assert.equal(await record.add({ channel: channelNo(0), ok: 2n, amount: ton('1') }), Outcome.counted);
    net.later(10);
    const result = await record.send({ channel: channelNo(99), ok: 1n, amount: ton('1') });
    assert.equal(record.answer(result), Outcome.counted);
    const gas = noteGas('reputation: evidence of a new channel, record full', on(result, record.address));
    assert.ok(gas <= 80_000, `${gas} gas`);
    const state = await record.state();
    assert.equal(state.channels.size, MAX_CHANNELS);
    assert.equal(state.channels.get(channelNo(1)), undefined);
    assert.equal(state.channels.get(channelNo(99))?.ok, 1n);
    assert.equal(state.channels.get(channelNo(0))?.ok, 2n);
    // Weights survive; and the one that was dropped may come back, with the weight of its claim alone.
    assert.equal(state.good, ton('34'));
    net.later(10);
    const known = await record.send({ channel: channelNo(99), ok: 2n, amount: ton('1') });
    noteGas('reputation: evidence of a known channel, record full', on(known, record.address));
    assert.equal(await record.add({ channel: channelNo(1), ok: 5n, failed: 5n, amount: ton('2') }), Outcome.counted);
    const { good, bad } = await record.state();
    assert.deepEqual([good, bad], [ton('36'), ton('1')]);
});

test('a channel that speaks often takes one place', async () => {
    const record = await Record.create();
    await record.add({ channel: channelNo(1), ok: 1n });
    for (let i = 1; i <= MAX_CHANNELS + 2; i++) {
        record.net.later(1);
        assert.equal(await record.add({ ok: BigInt(i) }), Outcome.counted);
    }
    assert.deepEqual((await record.state()).channels.keys().map(String).sort(), [channelNo(0), channelNo(1)].map(String).sort());
});

test('evidence pays for itself and leaves the reserve', async () => {
    const record = await Record.create();
    const { net } = record;
    const first = await record.send({ ok: 1n, amount: 1n });
    assert.equal(await net.balance(record.address), RECORD_RESERVE);
    const [change] = sent(on(first, record.address));
    assert.ok(change.value > ton('0.02') && change.value < ton('0.03'), `${change.value}`);
    const second = await record.send({ ok: 2n, amount: 1n });
    assert.equal(await net.balance(record.address), RECORD_RESERVE);
    const [all] = sent(on(second, record.address));
    assert.ok(all.value > ton('0.07'), `${all.value}`);
    // After years of storage the next claim restores it.
    net.later(3 * YEAR);
    await record.add({ ok: 3n, amount: 1n });
    assert.equal(await net.balance(record.address), RECORD_RESERVE);
    // A gift stays for storage, too.
    await net.send(record.caller, record.address, ton('1'), Cell.EMPTY, { bounce: false });
    const gifted = await net.balance(record.address);
    assert.ok(gifted > ton('1'));
    await record.add({ ok: 4n, amount: 1n });
    assert.equal(await net.balance(record.address), gifted);
});

test('a first claim with too little for the reserve is undone whole', async () => {
    const record = await Record.create();
    const tx = on(await record.send({ ok: 1n, amount: ton('1') }, { value: RECORD_RESERVE }), record.address);
    assert.equal(compute(tx).exitCode, 0);
    assert.ok(sent(tx).some((message) => message.bounced), 'the value goes back to the registry');
    assert.equal(await record.net.balance(record.address), 0n);
});

test('attack_26_a_record_takes_nothing_else, and a bounced message does nothing', async () => {
    const record = await Record.create();
    assert.equal(await record.add({ ok: 1n, amount: ton('1') }), Outcome.counted);
    const { net, address } = record;
    for (const body of [Cell.EMPTY, bareOp(0), bareOp(0x52500011), bareOp(0x52470031)]) {
        await net.refused(address, UNKNOWN_MESSAGE, () => net.send(record.registry, address, ton('1'), body));
    }
    const before = await net.dataHash(address);
    assertOk(on(await net.deliver(record.caller.address, address, ton('0.01'), bareOp(0xffffffff), { bounced: true }), address));
    assert.equal(await net.dataHash(address), before);
});

// What mutation testing found that no other test looked at: scripts/mutate-contracts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOUBT, FADE_STEP, MAX_CHANNELS, Outcome, Record, channelNo } from '../support/reputation';
import { ton } from '../support/network';

/** Powers of two to −1/2, −1/4, −1/8, −1/16 in 32-bit fixed point, nearest. */
const ROOTS = [8, 4, 2, 1].map((steps) => [steps, BigInt(Math.round(2 ** (32 - steps / 16)))] as const);

test('weights fade by exact roots of two, to the nano of a million tons', async () => {
    for (const [steps, root] of ROOTS) {
        const record = await Record.create();
        const amount = ton('1000000');
        assert.equal(await record.add({ ok: 1n, amount }), Outcome.counted);
        record.net.later(steps * FADE_STEP);
        assert.equal((await record.state()).good, (amount * root) >> 32n, `${steps} steps`);
    }
});

test('doubt weighs what it should, to the nano', async () => {
    // The good weight at which a single nano of doubt less would round the score up.
    const k = 4999n;
    const good = (k * DOUBT) / (10000n - k);
    assert.notEqual((k * DOUBT) % (10000n - k), 0n);
    const record = await Record.create();
    await record.add({ ok: 1n, amount: good });
    assert.equal(await record.contract.getScore(), k - 1n);
    await record.add({ ok: 2n, amount: 1n });
    assert.equal(await record.contract.getScore(), k);
});

test('a single nano counts', async () => {
    const record = await Record.create();
    await record.add({ ok: 1n, amount: 1n });
    assert.equal((await record.state()).good, 1n);
});

test('a record that filled up in one second takes a new channel in the same', async () => {
    const record = await Record.create();
    for (let n = 0; n < MAX_CHANNELS; n++) assert.equal(await record.add({ channel: channelNo(n), ok: 1n, amount: ton('1') }), Outcome.counted);
    assert.equal(await record.add({ channel: channelNo(MAX_CHANNELS), ok: 1n, amount: ton('1') }), Outcome.counted);
    const { channels } = await record.state();
    assert.equal(channels.size, MAX_CHANNELS);
    assert.ok(channels.has(channelNo(MAX_CHANNELS)));
    // Of those that were silent equally long, the one with the least address went.
    const first = Array.from({ length: MAX_CHANNELS }, (_, n) => channelNo(n)).sort((a, b) => a.hash.compare(b.hash))[0];
    assert.ok(!channels.has(first));
});

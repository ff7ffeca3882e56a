// The outer shape of what a channel accepts: values, bodies, terms, and what it never does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, beginCell, contractAddress, external } from '@ton/core';
import { CHALLENGE, Channel, EVIDENCE_VALUE, Err, FEE_BPS, MIN_VALUE, Op, RESERVE, evidence, termsCell } from '../support/channel';
import { DAY, Network, assertOk, bareOp, on, sent, ton } from '../support/network';

test('attack_16_one_nano_under_the_least_value_changes_nothing', async () => {
    const net = await Network.create();
    const channel = await Channel.create(net);
    const amount = ton('1');
    const least = amount + RESERVE + MIN_VALUE;
    await channel.refuses(Err.underpaid, () => channel.sendTopUp(amount, { value: least - 1n }));
    await channel.topUp(amount, { value: least });
    await channel.refuses(Err.underpaid, () => channel.sendTopUp(amount, { value: amount + MIN_VALUE - 1n }));

    const value = MIN_VALUE - 1n;
    await channel.refuses(Err.lowValue, () => channel.sendClaim(ton('0.1'), { value }));
    await channel.claim(ton('0.1'), { value: MIN_VALUE });
    await channel.refuses(Err.lowValue, () => channel.sendRequestClose({ value }));
    await channel.requestClose({ value: MIN_VALUE });
    await channel.refuses(Err.lowValue, () => channel.sendCoopClose({}, { value }));
    net.now = channel.books.closeAt;
    await channel.refuses(Err.lowValue, () => channel.sendSettle({ value }));
    await channel.settle({ value: MIN_VALUE });
});

test('the least value covers every operation with room to spare', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const spent: Record<string, bigint> = {};
    const cost = (value: bigint, tx: Parameters<typeof sent>[0]) => value - sent(tx).reduce((sum, m) => sum + m.value, 0n);
    spent.topUp = cost(ton('1') + RESERVE + MIN_VALUE, await channel.topUp(ton('1'))) - ton('1');
    spent.claim = cost(MIN_VALUE + ton('0.1'), await channel.claim(ton('0.1')));
    spent.claimByStranger = cost(MIN_VALUE + ton('0.1'), await channel.claim(ton('0.2'), { from: channel.stranger }));
    spent.requestClose = cost(MIN_VALUE, await channel.requestClose());
    const held = await channel.balance();
    const tx = await channel.coopClose();
    spent.coopClose = held + MIN_VALUE - (await channel.balance()) - sent(tx)[0].value;
    for (const [operation, fees] of Object.entries(spent)) {
        console.log(`fees ${operation.padEnd(16)} ${fees} nano`);
        assert.ok(fees > 0n && fees < MIN_VALUE / 2n, `${operation}: ${fees}`);
    }
    assert.ok(spent.claim <= ton('0.008') && spent.claimByStranger <= ton('0.008'), 'a claim costs at most 0.008 TON, all in');
});

test('attack_26_unknown_op_empty_body_and_truncated_bodies', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const refuse = (code: number, body: Cell) => channel.refuses(code, () => channel.send(body, { from: channel.payer, value: ton('1') }));
    await refuse(Err.unknownMessage, Cell.EMPTY);
    await refuse(Err.unknownMessage, beginCell().storeUint(0, 31).endCell());
    await refuse(Err.unknownMessage, bareOp(0));
    await refuse(Err.unknownMessage, bareOp(0xdeadbeef));
    await refuse(Err.unknownMessage, beginCell().storeUint(0, 32).storeStringTail('hello').endCell());
    // The messages that it sends itself are not ones that it takes.
    for (const code of [Op.paid, Op.refunded, Op.closingStarted, Op.excesses]) await refuse(Err.unknownMessage, bareOp(code));
    const truncated = (body: Cell) => {
        const s = body.beginParse();
        const b = beginCell().storeBits(s.loadBits(s.remainingBits - 1));
        return b.endCell();
    };
    await refuse(9, truncated(channel.topUpBody(ton('0.5'))));
    await refuse(9, truncated(channel.requestCloseBody()));
    await refuse(9, truncated(channel.claimBody(channel.voucher({ cumulative: 1n }))));
    await refuse(9, truncated(channel.coopCloseBody(channel.closeAuth({ claimed: 0n, epoch: 0 }))));
});

test('attack_26_trailing_bits_in_a_body_change_nothing_that_is_done', async () => {
    // Bodies are not signed and not compared, so a tail is worth nothing; signed cells are strict (see the voucher tests).
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const body = channel.claimBody(channel.voucher({ cumulative: ton('0.1') }));
    const padded = beginCell().storeSlice(body.beginParse()).storeUint(0xffff, 16).storeRef(Cell.EMPTY).endCell();
    const before = await channel.balance();
    assertOk(on(await channel.send(padded, { from: channel.stranger }), channel.address));
    assert.equal(await channel.balance(), before - ton('0.1'));
    assert.equal((await channel.state()).claimed, ton('0.1'));
});

test('no external message is accepted', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const before = [await channel.balance(), await net.dataHash(channel.address)];
    for (const body of [Cell.EMPTY, channel.settleBody(), channel.claimBody(channel.voucher({ cumulative: ton('0.1') }))]) {
        await assert.rejects(net.chain.sendMessage(external({ to: channel.address, body })));
    }
    assert.deepEqual([await channel.balance(), await net.dataHash(channel.address)], before);
});

test('attack_18_nothing_that_the_channel_sends_can_bounce_but_evidence', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const registry = Address.parse('0:' + '77'.repeat(32));
    const txs = [
        await channel.topUp(ton('1')),
        await channel.claim(ton('0.1')),
        await channel.claim(ton('0.2'), { from: channel.stranger }),
        await channel.claim({ cumulative: ton('0.3'), evidence: evidence({ registry }) }, { value: MIN_VALUE + EVIDENCE_VALUE }),
        await channel.requestClose(),
        await channel.coopClose(),
    ];
    const bouncing = txs.flatMap(sent).filter((message) => message.bounce);
    assert.deepEqual(bouncing.map((message) => message.op), [Op.settled]);
});

test('attack_18_a_bounced_message_restores_nothing_and_its_value_leaves_with_it', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const before = [await net.dataHash(channel.address), await channel.balance()];
    const claim = channel.claimBody(channel.voucher({ cumulative: ton('0.9') }));
    for (const body of [channel.requestCloseBody(), channel.topUpBody(1n), claim]) {
        const bounced = beginCell().storeUint(0xffffffff, 32).storeSlice(body.beginParse()).endCell();
        const result = await net.deliver(channel.payer.address, channel.address, ton('2'), bounced, { bounced: true });
        const [toPayee, ...more] = sent(assertOk(on(result, channel.address)));
        assert.equal(more.length, 0);
        assert.ok(toPayee.to.equals(channel.payee.address) && toPayee.op === Op.excesses && !toPayee.bounce);
        assert.ok(toPayee.value > ton('1.99'));
        assert.deepEqual([await net.dataHash(channel.address), await channel.balance()], before);
    }
});

test('what arrives beside the books goes to the payer when the channel is settled', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    // A plain transfer that may not bounce stays, and is not a deposit.
    await channel.refuses(Err.unknownMessage, () => channel.send(Cell.EMPTY, { value: ton('3'), bounce: false }));
    await channel.refuses(Err.nothingNew, () => channel.sendClaim(0n));
    await channel.claim(ton('4'));
    assert.equal(channel.books.claimed, ton('1'));
    // Whoever tops up does not get it with the change.
    const change = sent(await channel.topUp(ton('0.1'), { from: channel.stranger, value: ton('0.3') }));
    assert.ok(change[0].to.equals(channel.stranger.address) && change[0].value < ton('0.2'));
    const tx = await channel.coopClose();
    assert.ok(sent(tx)[0].value > ton('2.99'));
});

test('terms that nobody should put money into are refused with the money', async () => {
    const net = await Network.create();
    const masterchain = Address.parse('-1:' + '33'.repeat(32));
    const bad: Parameters<typeof Channel.create>[1][] = [
        { terms: { challenge: 0n } },
        { terms: { challenge: 599n } },
        { terms: { challenge: BigInt(30 * DAY + 1) } },
        { terms: { challenge: 2n ** 32n - 1n } },
        { terms: { protocolFeeBps: 2001n } },
        { terms: { protocolFeeBps: 10001n } },
        { terms: { payee: masterchain } },
        { terms: { payer: masterchain } },
        { state: { claimed: 1n } },
    ];
    for (const opts of bad) {
        const channel = await Channel.create(net, opts);
        const result = await channel.refuses(Err.badTerms, () => channel.sendTopUp(ton('1')));
        assert.ok(sent(on(result, channel.address))[0].value > ton('1'), 'the money comes back');
        assert.equal(await channel.balance(), 0n);
    }
    for (const challenge of [600n, BigInt(30 * DAY)]) {
        await Channel.funded(net, ton('1'), { terms: { challenge } });
    }
    for (const protocolFeeBps of [0n, 2000n]) {
        await Channel.funded(net, ton('1'), { terms: { protocolFeeBps } });
    }
});

test('a channel cannot be made usable with bad terms by another first message', async () => {
    const net = await Network.create();
    const channel = await Channel.create(net, { terms: { challenge: 0n } });
    await channel.refuses(Err.empty, () => channel.sendRequestClose({ init: true }));
    await channel.refuses(Err.notClosing, () => channel.sendSettle({ init: true }));
    await channel.refuses(Err.nothingNew, () => channel.sendClaim(ton('1'), { init: true }));
    await channel.coopClose({}, { init: true });
    await channel.refuses(Err.badTerms, () => channel.sendTopUp(ton('1')));
});

test('attack_25_a_foreign_contract_posing_as_a_channel_has_another_address', async () => {
    // Who knows the terms computes the address. Another state, other terms or other code are another account.
    const net = await Network.create();
    const honest = await Channel.create(net);
    const { code } = honest.contract.init!;
    const data = beginCell().storeUint(0, 4 + 4 + 32 + 32).storeRef(termsCell(honest.terms)).endCell();
    assert.ok(contractAddress(0, { code, data }).equals(honest.address));
    const forgeries = [
        (await Channel.create(net, { state: { deposit: ton('1000') } })).address,
        (await Channel.create(net, { state: { claimed: 1n } })).address,
        (await Channel.create(net, { state: { epoch: 1n } })).address,
        (await Channel.create(net, { state: { closeAt: 1n } })).address,
        (await Channel.create(net, { terms: { protocolFeeBps: 0n } })).address,
        (await Channel.create(net, { terms: { payeeKey: 1n } })).address,
        contractAddress(0, { code: beginCell().storeSlice(code.beginParse()).storeBit(0).endCell(), data }),
        contractAddress(-1, { code, data }),
    ];
    assert.equal(new Set([honest.address, ...forgeries].map(String)).size, forgeries.length + 1);
});

test('a top-up of nothing is refused', async () => {
    const channel = await Channel.create(await Network.create());
    await channel.refuses(Err.noAmount, () => channel.sendTopUp(0n));
});

test('anybody may top up, and gets the change', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const tx = await channel.topUp(ton('2'), { from: channel.stranger, value: ton('5') });
    const [change, ...more] = sent(tx);
    assert.equal(more.length, 0);
    assert.ok(change.to.equals(channel.stranger.address));
    assert.ok(change.value > ton('2.99'));
    assert.equal(await channel.balance(), ton('3') + RESERVE);
});

test('the getters tell the terms, the state and the limits', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.claim(ton('0.4'));
    await channel.requestClose();
    const s = await channel.state();
    assert.ok(s.payer.equals(channel.payer.address) && s.payee.equals(channel.payee.address));
    assert.equal(s.payerKey.toString(16).padStart(64, '0'), channel.payerKeys.publicKey.toString('hex'));
    assert.equal(s.payeeKey.toString(16).padStart(64, '0'), channel.payeeKeys.publicKey.toString('hex'));
    assert.deepEqual([s.salt, s.challenge, s.closeAt], [1n, BigInt(CHALLENGE), BigInt(net.now + CHALLENGE)]);
    assert.deepEqual([s.deposit, s.claimed, s.epoch, s.protocolFeeBps], [ton('1'), ton('0.4'), 0n, FEE_BPS]);
    assert.deepEqual(await channel.contract.getLimits(), {
        $$type: 'ChannelLimits',
        minValue: MIN_VALUE,
        reserve: RESERVE,
        minChallenge: 600n,
        maxChallenge: BigInt(30 * DAY),
        evidenceValue: EVIDENCE_VALUE,
        maxFeeBps: 2000n,
    });
});

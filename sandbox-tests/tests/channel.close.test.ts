// How a channel ends, and who may end it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address } from '@ton/core';
import { CHALLENGE, Channel, Err, Op, RESERVE } from '../support/channel';
import { Network, YEAR, assertOk, on, sent, ton } from '../support/network';

test('I5_the_payer_alone_exits_in_the_challenge_period_and_two_transactions', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.requestClose();
    net.later(CHALLENGE);
    const before = await net.balance(channel.payer.address);
    await channel.settle({ from: channel.payer });
    const gained = (await net.balance(channel.payer.address)) - before;
    assert.ok(gained > ton('0.99') && gained <= ton('1'), `${gained}`);
});

test('I7_storage_erosion_falls_on_the_payers_refund', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    net.later(2 * YEAR);
    await channel.claim(ton('0.6'), { from: channel.stranger });
    const reserve = (await channel.balance()) - ton('0.4');
    assert.ok(reserve < RESERVE, 'two years of storage come out of the reserve');
    const tx = await channel.coopClose();
    const [refund] = sent(tx);
    assert.ok(refund.value < ton('0.4') + ton('0.02') - (RESERVE - reserve), 'and the refund makes good for it');
    assert.equal(await channel.balance(), RESERVE);
});

test('a settled channel keeps its books and may be used again', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.claim(ton('0.3'));
    await channel.coopClose();
    assert.deepEqual([channel.books.deposit, channel.books.claimed, channel.books.epoch], [ton('0.3'), ton('0.3'), 1]);
    await channel.topUp(ton('0.5'));
    await channel.claim(ton('0.8'));
    await channel.refuses(Err.empty, () => channel.sendRequestClose());
    await channel.coopClose();
});

test('attack_10_claim_at_close_at_and_around_it_before_and_after_settle', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.requestClose();
    const { closeAt } = channel.books;
    assert.equal(closeAt, net.now + CHALLENGE);

    net.now = closeAt - 1;
    await channel.refuses(Err.tooEarly, () => channel.sendSettle());
    await channel.claim(ton('0.1'));
    net.now = closeAt;
    await channel.claim(ton('0.2'));
    net.now = closeAt + 1;
    await channel.claim(ton('0.3'));
    await channel.settle();
    await channel.refuses(Err.nothingNew, () => channel.sendClaim(ton('0.4')));
    await channel.refuses(Err.notClosing, () => channel.sendSettle());

    const exact = await Channel.funded(net, ton('1'), { terms: { salt: 2n } });
    await exact.requestClose();
    net.now = exact.books.closeAt;
    await exact.settle();
    await exact.refuses(Err.nothingNew, () => exact.sendClaim(ton('0.1')));
});

test('attack_11_a_second_close_request_extends_nothing', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.requestClose();
    const { closeAt } = channel.books;
    net.later(CHALLENGE - 1);
    await channel.refuses(Err.closing, () => channel.sendRequestClose());
    net.later(2);
    await channel.refuses(Err.closing, () => channel.sendRequestClose());
    assert.equal(channel.books.closeAt, closeAt);
    await channel.settle();
});

test('attack_12_a_top_up_while_closing_returns_the_funds', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.requestClose();
    const [held, owned] = [await channel.balance(), await net.balance(channel.stranger.address)];
    await channel.refuses(Err.closing, () => channel.sendTopUp(ton('3'), { from: channel.stranger, init: false }));
    assert.equal(await channel.balance(), held);
    const cost = owned - (await net.balance(channel.stranger.address));
    assert.ok(cost < ton('0.01'), `the sender lost ${cost} in fees`);
    net.now = channel.books.closeAt;
    await channel.refuses(Err.closing, () => channel.sendTopUp(ton('3')));
    await channel.settle();
    await channel.topUp(ton('3'));
});

test('attack_13_a_stale_cooperative_close_after_a_new_claim_or_epoch', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.claim(ton('0.1'));
    const stale = { claimed: ton('0.1'), epoch: 0 };
    await channel.claim(ton('0.2'));
    await channel.refuses(Err.stale, () => channel.sendCoopClose(stale));
    await channel.refuses(Err.stale, () => channel.sendCoopClose({ claimed: ton('0.3'), epoch: 0 }));
    await channel.refuses(Err.stale, () => channel.sendCoopClose({ claimed: ton('0.2'), epoch: 1 }));

    const first = { claimed: ton('0.2'), epoch: 0 };
    await channel.coopClose(first);
    await channel.refuses(Err.stale, () => channel.sendCoopClose(first));
    await channel.topUp(ton('1'));
    await channel.refuses(Err.stale, () => channel.sendCoopClose(first));

    await channel.requestClose();
    net.now = channel.books.closeAt;
    const second = { claimed: ton('0.2'), epoch: 1 };
    await channel.settle();
    await channel.refuses(Err.stale, () => channel.sendCoopClose(second));
});

test('a close authorisation for another network, channel or with a tail is refused', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.refuses(Err.otherNetwork, () => channel.sendCoopClose({ globalId: -239 }));
    await channel.refuses(Err.otherChannel, () => channel.sendCoopClose({ channel: channel.payer.address }));
    const tail = channel.voucher({ cumulative: 0n });
    await channel.refuses(Err.badFormat, () => channel.sendCoopClose({ tail }));
    await channel.coopClose();
});

test('attack_14_a_refund_never_goes_to_the_caller', async () => {
    const net = await Network.create();
    for (const way of ['settle', 'coopClose'] as const) {
        const channel = await Channel.funded(net, ton('1'), { terms: { salt: way === 'settle' ? 1n : 2n } });
        if (way === 'settle') {
            await channel.requestClose();
            net.now = channel.books.closeAt;
        }
        const before = await net.balance(channel.stranger.address);
        const from = channel.stranger;
        const tx = way === 'settle' ? await channel.settle({ from }) : await channel.coopClose({}, { from });
        assert.ok((await net.balance(channel.stranger.address)) < before);
        const [refund] = sent(tx);
        assert.ok(refund.value > ton('1'), 'the payer gets the deposit and what the caller attached, less fees');
        assert.equal(refund.bounce, false);
    }
});

test('attack_31_a_close_request_racing_the_last_claim_in_both_orders', async () => {
    const net = await Network.create();
    const before = await Channel.funded(net, ton('1'));
    await before.claim(ton('0.7'));
    await before.requestClose();
    net.now = before.books.closeAt;
    await before.settle();

    const after = await Channel.funded(net, ton('1'), { terms: { salt: 2n } });
    await after.requestClose();
    await after.claim(ton('0.7'));
    net.now = after.books.closeAt;
    await after.settle();

    for (const channel of [before, after]) {
        assert.deepEqual([channel.books.paid, channel.books.refunded], [ton('0.7'), ton('0.3')]);
    }
});

test('only the payer requests to close, and the payee is told when', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.refuses(Err.notPayer, () => channel.sendRequestClose({ from: channel.payee }));
    await channel.refuses(Err.notPayer, () => channel.sendRequestClose({ from: channel.stranger }));
    const result = await channel.sendRequestClose();
    const [notice] = sent(assertOk(on(result, channel.address))).filter((m) => m.op === Op.closingStarted);
    assert.ok(notice.to.equals(channel.payee.address));
    const s = notice.body.beginParse().skip(32 + 64);
    assert.equal(s.loadUint(32), net.now + CHALLENGE);
});

test('I8_an_exit_does_not_need_a_payee_that_can_be_told', async () => {
    const net = await Network.create();
    const payee = new Address(5, Buffer.alloc(32, 5));
    const channel = await Channel.create(net, { terms: { payee }, state: { deposit: ton('1') } });
    assertOk(on(await channel.sendTopUp(ton('1'), { value: ton('3') }), channel.address));
    const tx = on(await channel.sendRequestClose(), channel.address);
    assert.deepEqual(sent(assertOk(tx)).map((m) => m.op), [Op.excesses]);
    net.later(CHALLENGE);
    const [refund] = sent(assertOk(on(await channel.sendSettle(), channel.address)));
    assert.ok(refund.to.equals(channel.payer.address) && refund.value > ton('2'));
});

test('an account that storage has emptied can still be settled', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('0.05'));
    channel.erosionAllowed = true;
    net.later(9 * YEAR);
    await channel.requestClose();
    assert.equal(await channel.balance(), 0n);
    net.now = channel.books.closeAt;
    await channel.settle();
});

// What burns of a claim, and that the two parties alone agree on it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address } from '@ton/core';
import { BURN, Channel, Op, termsCell } from '../support/channel';
import { Network, compute, keys, on, sent, ton } from '../support/network';

test('the fee burns, the payee gets the rest, and the books stay gross', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'), { terms: { protocolFeeBps: 250n } });
    const result = await channel.sendClaim(ton('0.4'), { from: channel.stranger });
    const burned = on(result, BURN);
    assert.equal(await net.balance(BURN), ton('0.01'));
    assert.equal(compute(burned).skipped, 'no-state', 'nobody has code there to pick it up');
    assert.equal(sent(burned).length, 0, 'and it does not come back');
    assert.equal(sent(on(result, channel.address)).find((m) => m.op === Op.paid)?.value, ton('0.39'));
    assert.equal((await channel.state()).claimed, ton('0.4'));
});

test('the fee is rounded down, and one of nothing sends nothing', async () => {
    const net = await Network.create();
    // Channel.claim checks payee, burn and words of every step against floor(amount · bps / 10000).
    const channel = await Channel.funded(net, ton('1'), { terms: { protocolFeeBps: 100n } });
    const sums = [99n, 100n, 199n, 200n, 399n, ton('0.123456789')];
    let claimed = 0n;
    for (const amount of sums) await channel.claim((claimed += amount), { from: channel.stranger });
    assert.equal(channel.books.burned, 0n + 1n + 1n + 2n + 3n + 1234567n);
    const free = await Channel.funded(net, ton('1'), { terms: { protocolFeeBps: 0n } });
    await free.claim(ton('1'));
    assert.equal(free.books.burned, 0n);
    const dear = await Channel.funded(net, ton('1'), { terms: { protocolFeeBps: 2000n } });
    await dear.claim(ton('1'));
    assert.equal(dear.books.burned, ton('0.2'));
});

test('I3_every_nano_is_the_payees_the_payers_or_burned', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('3'), { terms: { protocolFeeBps: 777n, payee: Address.parse('0:' + '21'.repeat(32)) } });
    for (const sum of ['0.7', '1.0000001', '2.25']) await channel.claim(ton(sum), { from: channel.stranger });
    await channel.coopClose();
    const got = await net.balance(channel.terms.payee);
    assert.equal(got + (await net.balance(BURN)), channel.books.claimed);
    assert.equal(channel.books.deposits, got + channel.books.burned + channel.books.refunded);
});

test('a capped claim pays the fee of what it pays, not of what the voucher says', async () => {
    const channel = await Channel.funded(await Network.create(), ton('1'));
    await channel.claim(ton('5'));
    assert.equal(channel.books.burned, ton('0.01'));
    await channel.topUp(ton('1'));
    await channel.claim(ton('5'));
    assert.equal(channel.books.burned, ton('0.02'));
});

test('attack_29_no_message_of_anybody_changes_what_was_agreed', async () => {
    // The channel knows no registry: terms are a part of its address, and no operation writes them.
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('2'), { terms: { protocolFeeBps: 100n } });
    const agreed = termsCell(channel.terms).hash().toString('hex');
    const termsNow = async () => {
        const { account } = (await net.chain.getContract(channel.address)).account;
        const state = account?.storage.state;
        return state?.type === 'active' ? state.state.data?.beginParse().loadRef().hash().toString('hex') : undefined;
    };
    await channel.claim(ton('0.5'));
    await channel.topUp(ton('1'), { from: channel.stranger });
    await channel.requestClose();
    await channel.claim(ton('0.6'), { from: channel.stranger });
    net.now = channel.books.closeAt;
    await channel.settle();
    await channel.topUp(ton('1'));
    await channel.coopClose();
    assert.equal(await termsNow(), agreed);
    assert.equal(channel.books.burned, ton('0.006'));
    // Other terms are another channel.
    const dearer = await Channel.create(net, { terms: { protocolFeeBps: 200n } });
    assert.ok(!dearer.address.equals(channel.address));
});

test('attack_23_a_proxy_closing_down_cannot_touch_its_clients_money', async () => {
    // The proxy is the payee of its clients and the payer of its workers; it leaves with all that it can do.
    const net = await Network.create();
    const client = await Channel.funded(net, ton('5'));
    const proxy = client.payee;
    const worker = await Channel.funded(net, ton('3'), {
        terms: { payer: proxy.address, payee: client.stranger.address, salt: 2n },
        payerKeys: client.payeeKeys,
        payeeKeys: keys('worker'),
    });
    await client.claim(ton('1'));
    await client.refuses(1001, () => client.sendRequestClose({ from: proxy }));
    await client.refuses(1003, () => client.sendSettle({ from: proxy }));
    // Vouchers by its own key, for the client's channel and from the one to the worker.
    const forged = client.voucher({ cumulative: ton('5') });
    await client.refuses(1008, () => client.send(worker.claimBody(forged), { from: proxy }));
    await client.refuses(1008, () => client.send(worker.claimBody(worker.voucher({ cumulative: ton('5') })), { from: proxy }));
    await worker.requestClose({ from: proxy });
    net.now = worker.books.closeAt;
    const before = await client.balance();
    assert.ok(sent(on(await worker.sendSettle({ from: proxy }), worker.address))[0].to.equals(proxy.address));
    assert.equal(await client.balance(), before);
    // All that it can do to the client's channel is to give back: its consent to close pays the client.
    await client.coopClose({}, { from: proxy });
    assert.equal(client.books.refunded, ton('4'));
});

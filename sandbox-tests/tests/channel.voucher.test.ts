// Which vouchers a channel pays, and what it pays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, beginCell } from '@ton/core';
import { sha512_sync, sign } from '@ton/crypto';
import { BURN, CLOSE_TAG, Channel, Err, MIN_VALUE, Op, RESERVE, VOUCHER_TAG } from '../support/channel';
import { Network, YEAR, actionCode, allOn, assertOk, compute, keys, on, publicKey, sent, ton, withForwardPrice } from '../support/network';

const MAX_COINS = 2n ** 120n - 1n;

test('attack_1_lower_or_equal_cumulative_amount', async () => {
    const channel = await Channel.funded(await Network.create(), ton('1'));
    await channel.claim(ton('0.5'));
    await channel.refuses(Err.nothingNew, () => channel.sendClaim(ton('0.5')));
    await channel.refuses(Err.nothingNew, () => channel.sendClaim(ton('0.5') - 1n));
    await channel.refuses(Err.nothingNew, () => channel.sendClaim(0n));
    await channel.claim(ton('0.5') + 1n);
});

test('attack_2_same_voucher_after_top_up_settle_and_reopening', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const body = channel.claimBody(channel.voucher({ cumulative: ton('0.4') }));
    await channel.claim(ton('0.4'));
    const again = () => channel.refuses(Err.nothingNew, () => channel.send(body, { from: channel.payee }));
    await again();
    await channel.topUp(ton('1'));
    await again();
    await channel.requestClose();
    await again();
    net.later(3600);
    await channel.settle();
    await again();
    await channel.topUp(ton('2'));
    await again();
    assert.equal(channel.books.claimed, ton('0.4'));
});

test('attack_3_voucher_of_another_channel', async () => {
    const net = await Network.create();
    const one = await Channel.funded(net, ton('1'));
    const other = await Channel.funded(net, ton('1'), { terms: { salt: 2n } });
    await one.refuses(Err.otherChannel, () => one.sendClaim({ cumulative: ton('0.1'), channel: other.address }));
    await other.claim(ton('0.1'));
});

test('attack_4_voucher_of_another_network', async () => {
    const channel = await Channel.funded(await Network.create(), ton('1'));
    for (const globalId of [-239, -3, 0, 0x434f434f]) {
        await channel.refuses(Err.otherNetwork, () => channel.sendClaim({ cumulative: ton('0.1'), globalId }));
    }
});

test('attack_5_voucher_as_close_authorisation_and_the_reverse', async () => {
    // One key pair for both roles, so that only the tag stands between the two.
    const both = keys('both');
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'), { payerKeys: both, payeeKeys: both });
    const auth = channel.closeAuth({ claimed: 0n, epoch: 0 });
    await channel.refuses(Err.badFormat, () => channel.send(channel.claimBody(auth)));
    const voucher = channel.voucher({ cumulative: 0n });
    await channel.refuses(Err.badFormat, () => channel.send(channel.coopCloseBody(voucher)));
    // The fields of one under the tag of the other.
    const disguised = channel.voucher({ cumulative: ton('0.1'), tag: CLOSE_TAG });
    await channel.refuses(Err.badFormat, () => channel.send(channel.claimBody(disguised)));
    const close = channel.closeAuth({ claimed: 0n, epoch: 0, tag: VOUCHER_TAG });
    await channel.refuses(Err.badFormat, () => channel.send(channel.coopCloseBody(close)));
});

test('attack_6_payer_and_payee_keys_swapped', async () => {
    const channel = await Channel.funded(await Network.create(), ton('1'));
    const voucher = channel.voucher({ cumulative: ton('0.1') });
    const byPayee = channel.claimBody(voucher, sign(voucher.hash(), channel.payeeKeys.secretKey));
    await channel.refuses(Err.badSignature, () => channel.send(byPayee));
    const auth = channel.closeAuth({ claimed: 0n, epoch: 0 });
    const byPayer = channel.coopCloseBody(auth, sign(auth.hash(), channel.payerKeys.secretKey));
    await channel.refuses(Err.badSignature, () => channel.send(byPayer));
});

// Order of the base point, little-endian in signatures.
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const littleEndian = (bytes: Buffer) => BigInt('0x' + Buffer.from(bytes).reverse().toString('hex'));
const bytes32 = (n: bigint) => Buffer.from(n.toString(16).padStart(64, '0'), 'hex').reverse();

test('attack_7_signature_with_s_not_below_the_group_order', async () => {
    const channel = await Channel.funded(await Network.create(), ton('1'));
    const voucher = channel.voucher({ cumulative: ton('0.1') });
    const signature = sign(voucher.hash(), channel.payerKeys.secretKey);
    const s = littleEndian(signature.subarray(32));
    for (let high = s + L; high < 2n ** 256n; high += L) {
        const malleated = Buffer.concat([signature.subarray(0, 32), bytes32(high)]);
        await channel.refuses(Err.badSignature, () => channel.send(channel.claimBody(voucher, malleated)));
    }
    await channel.claim(ton('0.1'));
});

test('attack_7_small_order_keys_are_for_the_parties_to_refuse', async () => {
    // Under a key of small order anybody makes signatures without a secret. Whether the TVM takes them depends on its version
    // (this one, 12, takes them all), so the contract does not lean on it: such a payer key harms only the payer that chose
    // it, and both sides refuse such keys before they open or accept a channel.
    const P = 2n ** 255n - 19n;
    const encodings: [string, Buffer][] = [
        ['identity', bytes32(1n)],
        ['order 2', bytes32(P - 1n)],
        ['order 4, the key zero', bytes32(0n)],
        ['order 8', Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex')],
        ['order 8, the other', Buffer.from('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'hex')],
    ];
    const identity = bytes32(1n);
    const forgeable: string[] = [];
    for (const [name, key] of encodings) {
        const payerKey = BigInt('0x' + key.toString('hex'));
        const channel = await Channel.funded(await Network.create(), ton('1'), { terms: { payerKey } });
        // R = identity and S = 0 satisfy S·B = R + h·A whenever the order of A divides h.
        for (let cumulative = 1n; ; cumulative++) {
            const voucher = channel.voucher({ cumulative });
            const h = littleEndian(sha512_sync(Buffer.concat([identity, key, voucher.hash()]))) % L;
            if (h % 8n !== 0n) continue;
            const forged = Buffer.concat([identity, Buffer.alloc(32)]);
            const result = await channel.send(channel.claimBody(voucher, forged));
            if (compute(on(result, channel.address)).exitCode === 0) forgeable.push(name);
            break;
        }
    }
    assert.deepEqual(forgeable, encodings.map(([name]) => name));
});

test('attack_8_expired_exactly_at_valid_until', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const validUntil = net.now + 100;
    net.now = validUntil - 1;
    await channel.claim({ cumulative: ton('0.1'), validUntil });
    net.now = validUntil;
    await channel.refuses(Err.expired, () => channel.sendClaim({ cumulative: ton('0.2'), validUntil }));
    net.now = validUntil + 1;
    await channel.refuses(Err.expired, () => channel.sendClaim({ cumulative: ton('0.2'), validUntil }));
    await channel.claim({ cumulative: ton('0.2'), validUntil: 0 });
});

test('attack_9_cumulative_above_the_deposit_is_capped_and_the_rest_claimable_later', async () => {
    const channel = await Channel.funded(await Network.create(), ton('1'));
    await channel.claim(ton('1.5'));
    assert.equal(channel.books.claimed, ton('1'));
    await channel.refuses(Err.nothingNew, () => channel.sendClaim(ton('1.5')));
    await channel.topUp(ton('0.2'));
    await channel.claim(ton('1.5'));
    assert.equal(channel.books.claimed, ton('1.2'));
    await channel.topUp(ton('2'));
    await channel.claim(ton('1.5'));
    assert.equal(channel.books.claimed, ton('1.5'));
});

test('attack_15_a_third_party_claim_redirects_nothing', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const payeeBefore = await net.balance(channel.payee.address);
    const result = await channel.sendClaim(ton('0.3'), { from: channel.stranger, value: ton('0.1') });
    const tx = assertOk(on(result, channel.address));
    const [burned, toPayee, toCaller, ...more] = sent(tx);
    assert.equal(more.length, 0);
    assert.ok(burned.to.equals(BURN));
    assert.ok(toPayee.to.equals(channel.payee.address));
    assert.equal(toPayee.value, ton('0.297'), 'the payee gets the amount less the agreed fee to the nano, before network fees (I7)');
    assert.ok(toCaller.to.equals(channel.stranger.address));
    assert.equal(toCaller.op, Op.excesses);
    assert.ok(toCaller.value < ton('0.1'), 'the caller gains nothing');
    assert.ok(toCaller.value > ton('0.09'), 'and gets its change');
    assert.ok((await net.balance(channel.payee.address)) > payeeBefore + ton('0.296'));
});

test('attack_17_an_action_failure_reverts_the_watermark', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    // A network that suddenly asks more for forwarding than the least value covers: the compute phase succeeds, an action fails.
    const normal = net.chain.config;
    net.chain.setConfig(withForwardPrice(normal, ton('0.05')));
    const before = await net.dataHash(channel.address);
    const result = await channel.sendClaim(ton('0.3'), { from: channel.stranger, value: ton('0.05') });
    const tx = allOn(result, channel.address)[0];
    assert.equal(compute(tx).exitCode, 0);
    assert.ok(tx.description.type === 'generic' && tx.description.actionPhase?.success === false, 'the action phase must fail');
    assert.equal(await net.dataHash(channel.address), before);
    assert.ok(!sent(tx).some((m) => m.op === Op.paid));
    await channel.audit();
    // The same voucher is good once the network is.
    net.chain.setConfig(normal);
    await channel.claim(ton('0.3'), { from: channel.stranger });
});

test('attack_17_a_payment_that_cannot_be_sent_is_not_booked', async () => {
    // Real terms never name such a payee; this state was forged to get past that check.
    const net = await Network.create();
    const payee = new Address(5, Buffer.alloc(32, 5));
    const channel = await Channel.create(net, { terms: { payee }, state: { deposit: ton('1') } });
    assertOk(on(await channel.sendTopUp(ton('1'), { value: ton('3') }), channel.address));
    const before = [await net.dataHash(channel.address), await channel.balance()];
    const tx = on(await channel.sendClaim(ton('0.5'), { from: channel.stranger }), channel.address);
    assert.deepEqual([compute(tx).exitCode, actionCode(tx)], [0, 36]);
    assert.deepEqual([await net.dataHash(channel.address), await channel.balance()], before);
    assert.ok(sent(tx)[0].bounced);
});

test('attack_17_a_failed_action_returns_the_callers_value', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    net.chain.setConfig(withForwardPrice(net.chain.config, ton('0.05')));
    const before = await channel.balance();
    const result = await channel.sendClaim(ton('0.3'), { from: channel.stranger, value: ton('0.09') });
    const tx = allOn(result, channel.address)[0];
    const [bounce] = sent(tx);
    assert.ok(bounce.bounced && bounce.to.equals(channel.stranger.address));
    assert.equal(await channel.balance(), before, 'nothing of the channel is spent');
});

test('attack_19_storage_reserve_exhausted_claim_aborts_whole_and_succeeds_with_more_attached', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    channel.erosionAllowed = true;
    net.later(12 * YEAR);
    await channel.refuses(Err.eroded, () => channel.sendClaim(ton('1')));
    await channel.refuses(Err.eroded, () => channel.sendClaim(ton('1'), { from: channel.stranger }));
    const missing = ton('1') - (await channel.balance());
    assert.ok(missing > 0n && missing < ton('0.2'), `${missing}`);
    await channel.refuses(Err.eroded, () => channel.sendClaim(ton('1'), { from: channel.stranger, value: missing + MIN_VALUE - 1n }));
    await channel.claim(ton('1'), { from: channel.stranger, value: ton('0.2') });
    assert.equal(channel.books.claimed, ton('1'));
});

test('attack_19_the_next_top_up_restores_the_reserve', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    net.later(2 * YEAR);
    await channel.refuses(Err.underpaid, () => channel.sendTopUp(ton('1'), { value: ton('1') + MIN_VALUE }));
    await channel.topUp(ton('1'));
    assert.equal(await channel.balance(), ton('2') + RESERVE);
});

test('attack_20_a_payee_without_a_wallet_is_paid', async () => {
    const net = await Network.create();
    const payee = Address.parse('0:' + '20'.repeat(32));
    const channel = await Channel.funded(net, ton('1'), { terms: { payee } });
    await channel.claim(ton('0.25'), { from: channel.stranger });
    assert.equal(await net.balance(payee), ton('0.2475'));
});

test('attack_21_grinding_with_claims_of_one_nano_costs_only_the_sender', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    const before = await channel.balance();
    for (let i = 1n; i <= 25n; i++) {
        await channel.claim(i, { from: i % 2n ? channel.stranger : channel.payee });
    }
    assert.equal(await channel.balance(), before - 25n, 'the channel itself spends the 25 nanotons and nothing else');
});

test('attack_22_two_channels_of_one_payee_cannot_drain_each_other', async () => {
    const net = await Network.create();
    const a = await Channel.funded(net, ton('1'));
    const b = await Channel.funded(net, ton('5'), { payerKeys: keys('payer b'), terms: { salt: 9n, payerKey: publicKey(keys('payer b')) } });
    const untouched = await b.balance();
    await a.claim(MAX_COINS);
    await a.refuses(Err.nothingNew, () => a.sendClaim(MAX_COINS - 1n));
    await b.refuses(Err.badSignature, () => b.send(a.claimBody(a.voucher({ cumulative: ton('5'), channel: b.address }))));
    await a.coopClose();
    assert.equal(await b.balance(), untouched);
    await b.claim(ton('5'));
});

test('attack_24_the_payees_key_cannot_raise_an_amount', async () => {
    const channel = await Channel.funded(await Network.create(), ton('1'));
    const signed = channel.voucher({ cumulative: ton('0.1') });
    const signature = sign(signed.hash(), channel.payerKeys.secretKey);
    const raised = channel.voucher({ cumulative: ton('0.9') });
    await channel.refuses(Err.badSignature, () => channel.send(channel.claimBody(raised, signature), { from: channel.payee }));
    const resigned = channel.claimBody(raised, sign(raised.hash(), channel.payeeKeys.secretKey));
    await channel.refuses(Err.badSignature, () => channel.send(resigned, { from: channel.payee }));
    await channel.claim(ton('0.1'));
});

test('attack_26_a_voucher_with_anything_after_its_fields', async () => {
    const channel = await Channel.funded(await Network.create(), ton('1'));
    const cumulative = ton('0.1');
    const refuse = (voucher: Cell) => channel.refuses(Err.badFormat, () => channel.send(channel.claimBody(voucher)));
    const evidence = beginCell().storeUint(1, 8).endCell();
    await refuse(channel.voucher({ cumulative, tail: beginCell().storeBit(0).endCell() }));
    await refuse(channel.voucher({ cumulative, tail: beginCell().storeUint(7, 32).endCell() }));
    await refuse(channel.voucher({ cumulative, tail: beginCell().storeRef(evidence).endCell() }));
    await refuse(channel.voucher({ cumulative, evidence, tail: beginCell().storeBit(1).endCell() }));
    await refuse(channel.voucher({ cumulative, evidence, tail: beginCell().storeRef(evidence).endCell() }));
    // Evidence announced and absent; cut short by one bit; nothing at all.
    const bits = channel.voucher({ cumulative }).beginParse();
    const head = bits.loadBits(bits.remainingBits - 1);
    const short = [beginCell().storeBits(head).storeBit(1).endCell(), beginCell().storeBits(head).endCell(), Cell.EMPTY];
    for (const voucher of short) await channel.refuses(9, () => channel.send(channel.claimBody(voucher)));
    // Evidence present and not announced.
    await refuse(beginCell().storeBits(head).storeBit(0).storeRef(evidence).endCell());
    await channel.claim({ cumulative, evidence });
});

test('attack_27_the_largest_amounts_overflow_nothing', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.refuses(Err.underpaid, () => channel.sendTopUp(MAX_COINS, { value: ton('2') }));
    await channel.refuses(Err.underpaid, () => channel.sendTopUp(MAX_COINS - ton('1'), { value: ton('2') }));
    await channel.claim(MAX_COINS);
    assert.equal(channel.books.claimed, ton('1'));
    // A forged state at the limit still demands the money that it claims to hold.
    const forged = await Channel.create(net, { state: { deposit: MAX_COINS }, terms: { salt: 3n } });
    await forged.refuses(Err.underpaid, () => forged.sendTopUp(1n, { value: ton('1') }));
    await forged.refuses(Err.eroded, () => forged.sendClaim(MAX_COINS, { init: true }));
});

test('attack_30_many_transactions_in_one_second', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('1'));
    await channel.claim({ cumulative: ton('0.1'), validUntil: net.now + 1 });
    await channel.claim({ cumulative: ton('0.2'), validUntil: net.now + 1 });
    await channel.topUp(ton('1'));
    await channel.requestClose();
    await channel.claim(ton('0.3'));
    await channel.refuses(Err.tooEarly, () => channel.sendSettle());
    await channel.coopClose();
    await channel.topUp(ton('1'));
    await channel.claim(ton('0.4'));
    await channel.requestClose();
    net.now = channel.books.closeAt;
    await channel.claim(ton('0.5'));
    await channel.settle();
    await channel.topUp(ton('1'));
    await channel.claim(ton('0.6'));
});

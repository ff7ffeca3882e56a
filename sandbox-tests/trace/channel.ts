// A channel's life: every operation, every refusal, years of storage, and an action that fails.
import { Address, Cell, beginCell, external } from '@ton/core';
import { sign } from '@ton/crypto';
import { Channel, CLOSE_TAG, EVIDENCE_VALUE, MIN_VALUE, RESERVE, evidence } from '../support/channel';
import { YEAR, bareOp, keys, ton } from '../support/network';
import { Recorder } from './recorder';

export async function recordChannel(rec: Recorder): Promise<void> {
    const net = await rec.network();
    const channel = await rec.step('channel: wallets', () => Channel.create(net));
    const { payer, payee, stranger } = channel;
    const step = (name: string, action: () => Promise<unknown>) => rec.step(`channel: ${name}`, action);

    await step('create, underpaid', () => channel.sendTopUp(ton('1'), { value: ton('1') }));
    await step('create', () => channel.topUp(ton('1')));
    await step('top up, change returned', () => channel.topUp(ton('0.5'), { from: stranger, value: ton('3') }));
    await step('top up, nothing', () => channel.sendTopUp(0n));
    await step('claim by the payee', () => channel.claim(ton('0.1')));
    await step('claim by a stranger, with expiry', () => channel.claim({ cumulative: ton('0.2'), validUntil: net.now + 1 }, { from: stranger }));
    await step('claim with what is no evidence', () => channel.claim({ cumulative: ton('0.22'), evidence: beginCell().storeUint(7, 99).endCell() }));
    const seen = evidence({ registry: stranger.address, ok: 7n, failed: 1n, latencyMs: 900n });
    const value = MIN_VALUE + EVIDENCE_VALUE;
    await step('claim with evidence, low value', () => channel.sendClaim({ cumulative: ton('0.25'), evidence: seen }));
    await step('claim with evidence', () => channel.claim({ cumulative: ton('0.24'), evidence: seen }, { value }));
    const nobody = evidence({ registry: new Address(0, Buffer.alloc(32, 9)) });
    await step('claim with evidence that comes back', () => channel.claim({ cumulative: ton('0.25'), evidence: nobody }, { from: stranger, value }));
    await step('claim, replayed', () => channel.sendClaim(ton('0.25')));
    await step('claim, expired', () => channel.sendClaim({ cumulative: ton('0.3'), validUntil: net.now }));
    await step('claim, another network', () => channel.sendClaim({ cumulative: ton('0.3'), globalId: -239 }));
    await step('claim, another channel', () => channel.sendClaim({ cumulative: ton('0.3'), channel: payer.address }));
    await step('claim, close authorisation', () => channel.sendClaim({ cumulative: ton('0.3'), tag: CLOSE_TAG }));
    await step('claim, voucher with a tail', () => channel.sendClaim({ cumulative: ton('0.3'), tail: bareOp(1) }));
    await step('claim, empty voucher', () => channel.send(channel.claimBody(Cell.EMPTY)));
    const voucher = channel.voucher({ cumulative: ton('0.3') });
    await step('claim, wrong signature', () => channel.send(channel.claimBody(voucher, sign(voucher.hash(), channel.payeeKeys.secretKey))));
    await step('claim, signature of ones', () => channel.send(channel.claimBody(voucher, Buffer.alloc(64, 0xff))));
    await step('claim, signature of zeros', () => channel.send(channel.claimBody(voucher, Buffer.alloc(64))));
    await step('claim, low value', () => channel.sendClaim(ton('0.3'), { value: ton('0.02') - 1n }));
    await step('claim, no gas', () => channel.sendClaim(ton('0.3'), { value: 1000n }));
    await step('claim, out of gas', () => channel.sendClaim(ton('0.3'), { value: 1_000_000n }));
    await step('unknown operation', () => channel.send(bareOp(0xdeadbeef), { value: ton('0.05') }));
    await step('plain transfer that bounces', () => channel.send(Cell.EMPTY, { value: ton('0.05') }));
    await step('plain transfer that stays', () => channel.send(Cell.EMPTY, { value: ton('0.05'), bounce: false }));
    await step('bounced message', () => net.deliver(payee.address, channel.address, ton('0.01'), bareOp(0xffffffff), { bounced: true }));
    const settle = external({ to: channel.address, body: channel.settleBody() });
    await rec.refusedStep('channel: external message', () => net.chain.sendMessage(settle));
    await step('close request, not the payer', () => channel.sendRequestClose({ from: payee }));
    await step('settle, open', () => channel.sendSettle());
    await step('close request', () => channel.requestClose());
    await step('close request, second', () => channel.sendRequestClose());
    await step('top up, closing', () => channel.sendTopUp(ton('1')));
    await step('claim, closing', () => channel.claim(ton('0.4')));
    await step('settle, early', () => channel.sendSettle());
    net.now = channel.books.closeAt;
    await step('claim at the end', () => channel.claim(ton('0.5'), { from: stranger }));
    await step('settle', () => channel.settle());
    await step('claim, settled', () => channel.sendClaim(ton('0.6')));
    await step('reopen', () => channel.topUp(ton('2')));
    await step('cooperative close, stale epoch', () => channel.sendCoopClose({ epoch: 0 }));
    await step('cooperative close, stale claim', () => channel.sendCoopClose({ claimed: ton('0.4') }));
    await step('cooperative close', () => channel.coopClose());
    await step('reopen again', () => channel.topUp(ton('1')));
    await step('cap at the deposit', () => channel.claim(2n ** 120n - 1n));
    await step('one more', () => channel.topUp(ton('1')));
    await step('getters', async () => {
        await channel.state();
        await channel.contract.getLimits();
    });
    await step('getter that does not exist', () => net.chain.runGetMethod(channel.address, 'nothing').catch(() => undefined));

    channel.erosionAllowed = true;
    net.later(3 * YEAR);
    await step('three years: close request', () => channel.requestClose());
    await step('three years: cooperative close', () => channel.coopClose());
    await step('three years: top up restores the reserve', () => channel.topUp(ton('0.1'), { value: ton('0.1') + RESERVE * 3n }));
    net.later(12 * YEAR);
    await step('fifteen years: claim, eroded', () => channel.sendClaim(2n ** 120n - 1n));
    await step('fifteen years: claim with more attached', () => channel.claim(2n ** 120n - 1n, { value: ton('1') }));
    net.later(8 * YEAR);
    await step('in debt: low value', () => channel.sendSettle({ value: ton('0.03') }));
    await step('in debt: close request', () => channel.sendRequestClose());
    net.later(40 * YEAR);
    await step('frozen by debt', () => channel.sendSettle({ value: ton('0.01') }));
    await step('frozen: top up', () => channel.sendTopUp(ton('1'), { init: false }));
    await step('frozen: wrong state init', () => channel.sendTopUp(ton('1')));

    // Keys of small order: what this TVM takes.
    for (const byte of [0, 1]) {
        const weak = await Channel.create(net, { terms: { salt: BigInt(10 + byte), payerKey: byte === 0 ? 0n : 1n << 248n } });
        await step(`small-order key ${byte}: create`, () => weak.topUp(ton('1')));
        for (let cumulative = 1n; cumulative <= 4n; cumulative++) {
            const forged = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]);
            await step(`small-order key ${byte}: claim ${cumulative}`, () => weak.send(weak.claimBody(weak.voucher({ cumulative }), forged)));
        }
    }

    // A forged state that skips the check of the terms, with a payee to whom nothing can be sent: the action phase fails.
    const nowhere = new Address(5, Buffer.alloc(32, 5));
    const forged = await Channel.create(net, { terms: { salt: 20n, payee: nowhere }, state: { deposit: ton('1') } });
    await step('action phase: create', () => forged.send(forged.topUpBody(ton('1')), { from: payer, value: ton('3'), init: true }));
    await step('action phase: fails and bounces', () => forged.send(forged.claimBody(forged.voucher({ cumulative: ton('0.5') })), { from: stranger }));
    await step('action phase: fails, may not bounce', () => forged.send(forged.claimBody(forged.voucher({ cumulative: ton('0.5') })), { from: stranger, bounce: false }));
    await step('action phase: books unchanged', () => forged.state());

    const other = await Channel.create(net, { terms: { salt: 30n, payerKey: BigInt('0x' + keys('other').publicKey.toString('hex')), challenge: 0n } });
    await step('bad terms', () => other.sendTopUp(ton('1')));
    await step('bad terms: created all the same', () => other.state());
}

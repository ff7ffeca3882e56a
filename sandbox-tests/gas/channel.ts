// Operations of a channel and of a node's record.
import { beginCell } from '@ton/core';
import { sign } from '@ton/crypto';
import { storeClaim } from '../build/PayChannel';
import { CHALLENGE, Channel, evidence } from '../support/channel';
import { Network, ton } from '../support/network';
import { MAX_CHANNELS, Record, channelNo } from '../support/reputation';
import { Meter } from './meter';

export async function channel(): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const c = await Channel.create(net);
    const send = (name: string, action: () => Promise<Awaited<ReturnType<Channel['send']>>>) => meter.measure(`channel: ${name}`, c.address, action);
    await send('create with the first top-up', () => c.sendTopUp(ton('1')));
    await send('top-up', () => c.sendTopUp(ton('1')));
    await send('claim', () => c.sendClaim(ton('0.1')));
    await send('claim, sent by a stranger', () => c.sendClaim(ton('0.2'), { from: c.stranger }));
    const seen = evidence({ registry: c.stranger.address, ok: 5n, latencyMs: 400n });
    const voucher = c.voucher({ cumulative: ton('0.3'), evidence: seen });
    const body = beginCell()
        .store(storeClaim({ $$type: 'Claim', queryId: 2n, signature: sign(voucher.hash(), c.payerKeys.secretKey), voucher }))
        .endCell();
    await send('claim with evidence, up to the registry', () => c.send(body, { from: c.payee, value: ton('0.12') }));
    await send('cooperative close', () => c.sendCoopClose({ claimed: ton('0.3'), epoch: 0 }));
    await c.sendTopUp(ton('1'));
    await send('close request', () => c.sendRequestClose());
    net.later(CHALLENGE);
    await send('settle', () => c.sendSettle());
    return meter;
}

export async function reputation(): Promise<Meter> {
    const record = await Record.create();
    const meter = new Meter(record.net);
    const tell = (name: string, n: number, ok: bigint) =>
        meter.measure(`record: ${name}`, record.address, () => record.send({ channel: channelNo(n), ok, amount: ton('1'), latencyMs: 100n }));
    await tell('first evidence', 0, 5n);
    await tell('evidence of a known channel', 0, 10n);
    for (let n = 1; n < MAX_CHANNELS; n++) {
        record.net.later(1);
        await record.send({ channel: channelNo(n), ok: 5n, amount: ton('1') });
    }
    await tell('evidence of a known channel, record full', 7, 10n);
    record.net.later(365 * 86400);
    await tell('evidence after a year, record full', 8, 10n);
    await tell('evidence of a new channel, record full', MAX_CHANNELS, 5n);
    return meter;
}

// Random lives of a channel. Every step is either one that must succeed, after which the books are checked against the
// chain, or one that must be refused with a certain code.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell } from '@ton/core';
import { Channel, EVIDENCE_VALUE, Err, MIN_VALUE, evidence } from '../support/channel';
import { DAY, Network, ton } from '../support/network';

/** Small, fast and repeatable: mulberry32. */
function random(seed: number): (below: number) => number {
    let a = seed;
    return (below) => {
        a = (a + 0x6d2b79f5) | 0;
        let t = Math.imul(a ^ (a >>> 15), 1 | a);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) % below;
    };
}

const STEPS = 120;
const seeds = process.env.SEED ? [Number(process.env.SEED)] : [1, 2, 3];

for (const seed of seeds) {
    test(`I1_I2_I3_I4_hold_in_a_random_life_of_a_channel, SEED=${seed}`, async () => {
        const net = await Network.create();
        const next = random(seed);
        const channel = await Channel.funded(net, ton('2'), { terms: { protocolFeeBps: BigInt(next(2001)) } });
        // A registry that takes evidence, one that does not exist, and none at all.
        const registry = (await net.wallet('registry')).address;
        const kinds = [undefined, evidence({ registry }), evidence({ registry: new Address(0, Buffer.alloc(32, 9)) }), Cell.EMPTY];
        const { books } = channel;
        const wallets = [channel.payer, channel.payee, channel.stranger];
        let highestSigned = 0n;
        for (let step = 0; step < STEPS; step++) {
            const from = wallets[next(3)];
            const closing = books.closeAt !== 0;
            switch (next(7)) {
                case 0: {
                    const amount = BigInt(next(1_000_000_000) + 1);
                    if (closing) await channel.refuses(Err.closing, () => channel.sendTopUp(amount, { from }));
                    else await channel.topUp(amount, { from });
                    break;
                }
                case 1:
                case 2: {
                    // Around what is claimed and what is deposited, old vouchers and ones above the deposit included.
                    const cumulative = (books.claimed * BigInt(900 + next(200))) / 1000n + BigInt(next(500_000_000));
                    const validUntil = next(3) ? 0 : net.now + next(3) - 1;
                    const target = cumulative < books.deposit ? cumulative : books.deposit;
                    const kind = next(4);
                    const send = { cumulative, validUntil, evidence: kinds[kind] };
                    const value = MIN_VALUE + (kind === 1 || kind === 2 ? EVIDENCE_VALUE : 0n);
                    if (validUntil !== 0 && validUntil <= net.now) {
                        await channel.refuses(Err.expired, () => channel.sendClaim(send, { from, value }));
                    } else if (target <= books.claimed) {
                        await channel.refuses(Err.nothingNew, () => channel.sendClaim(send, { from, value }));
                    } else {
                        if (cumulative > highestSigned) highestSigned = cumulative;
                        await channel.claim(send, { from, value });
                    }
                    break;
                }
                case 3:
                    if (from !== channel.payer) await channel.refuses(Err.notPayer, () => channel.sendRequestClose({ from }));
                    else if (closing) await channel.refuses(Err.closing, () => channel.sendRequestClose());
                    else if (books.deposit === books.claimed) await channel.refuses(Err.empty, () => channel.sendRequestClose());
                    else await channel.requestClose();
                    break;
                case 4:
                    if (!closing) await channel.refuses(Err.notClosing, () => channel.sendSettle({ from }));
                    else if (net.now < books.closeAt) await channel.refuses(Err.tooEarly, () => channel.sendSettle({ from }));
                    else await channel.settle({ from });
                    break;
                case 5:
                    if (next(2)) await channel.refuses(Err.stale, () => channel.sendCoopClose({ claimed: books.claimed + 1n }, { from }));
                    else if (next(4) === 0) await channel.coopClose({}, { from });
                    break;
                default:
                    net.later(next(4) ? next(1800) : next(20) * DAY);
            }
            assert.ok(books.claimed <= highestSigned, 'I4: never more than the payer signed');
        }
        assert.ok(books.epoch > 0 && books.paid > 0n && books.burned > 0n && books.refunded > 0n, 'the life must have had every part');
    });
}

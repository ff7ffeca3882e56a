import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Transaction } from '@ton/core';
import { CHALLENGE, Channel, evidence } from '../support/channel';
import { Network, noteGas, ton } from '../support/network';

test('gas of every operation of a channel stays within its target', async () => {
    const net = await Network.create();
    const channel = await Channel.create(net);
    const within = (target: number, operation: string, tx: Transaction) => {
        const gas = noteGas(`channel: ${operation}`, tx);
        assert.ok(gas <= target, `${operation}: ${gas} gas, target ${target}`);
    };
    within(7000, 'create (first top-up)', await channel.topUp(ton('1')));
    within(7000, 'top-up', await channel.topUp(ton('1')));
    within(9000, 'claim by the payee', await channel.claim(ton('0.1')));
    within(9000, 'claim, voucher with expiry', await channel.claim({ cumulative: ton('0.15'), validUntil: net.now + 1 }));
    // One message more, because the caller's change does not travel with the payee's money.
    within(10700, 'claim by a stranger', await channel.claim(ton('0.2'), { from: channel.stranger }));
    const seen = { registry: channel.stranger.address, ok: 5n, latencyMs: 400n };
    const forwarding = await channel.claim({ cumulative: ton('0.3'), evidence: evidence(seen) }, { value: ton('0.12') });
    within(12500, 'claim with evidence', forwarding);
    const free = await Channel.funded(net, ton('1'), { terms: { protocolFeeBps: 0n } });
    within(8000, 'claim by the payee, no fee', await free.claim(ton('0.1')));
    within(7500, 'cooperative close', await channel.coopClose());
    await channel.topUp(ton('1'));
    within(7500, 'close request', await channel.requestClose());
    net.later(CHALLENGE);
    within(7000, 'settle', await channel.settle());
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Transaction } from '@ton/core';
import { CHALLENGE, Channel } from '../support/channel';
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
    within(9000, 'claim by a stranger', await channel.claim(ton('0.2'), { from: channel.stranger }));
    within(9000, 'claim, voucher with expiry', await channel.claim({ cumulative: ton('0.3'), validUntil: net.now + 1 }));
    within(7500, 'cooperative close', await channel.coopClose());
    await channel.topUp(ton('1'));
    within(7500, 'close request', await channel.requestClose());
    net.later(CHALLENGE);
    within(7000, 'settle', await channel.settle());
});

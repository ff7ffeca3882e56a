import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Channel, CHALLENGE, Op } from '../support/channel';
import { Network, noteGas, on, sent, ton } from '../support/network';

test('gas of every operation of a channel', async () => {
    const net = await Network.create();
    const channel = await Channel.create(net);
    noteGas('channel: create (first top-up)', await channel.topUp(ton('1')));
    noteGas('channel: top-up', await channel.topUp(ton('1')));
    noteGas('channel: claim by the payee', await channel.claim(ton('0.1')));
    noteGas('channel: claim by a stranger', await channel.claim(ton('0.2'), { from: channel.stranger }));
    noteGas('channel: claim, voucher with expiry', await channel.claim({ cumulative: ton('0.3'), validUntil: net.now + 1 }));
    noteGas('channel: cooperative close', await channel.coopClose());
    await channel.topUp(ton('1'));
    noteGas('channel: close request', await channel.requestClose());
    net.later(CHALLENGE);
    noteGas('channel: settle', await channel.settle());
});

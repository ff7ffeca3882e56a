// What a stake account refuses, each with its code: nothing is changed, and nothing more than a message is needed to see it.
import { test } from 'node:test';
import { Address } from '@ton/core';
import { StakeErr, UNKNOWN_MESSAGE } from '../support/dao';
import { DAY, Network, bareOp, ton } from '../support/network';
import { Held, PENDING, account, confirmed, deposit, exit, forget, propose, register, retire, slash, unbond, vote, withdraw } from '../support/stakes';

const ROUND_TRIP = ton('0.2');
const MIN_VALUE = ton('0.05');

/** A lot that may go, a node that is free, and one that is registered: everything that an owner says would be heard. */
const READY: Held = { lots: [{}, { exitFrom: 6n, releaseAt: 1n }], nodes: [{}, { freeAt: 1n }] };

test('attack_53: what only the owner may say, and what only the governor, nobody else says', async () => {
    const { net, address, governor, owner, refuses } = await account(READY);
    const thief = await net.wallet('thief');
    const owners = [deposit(), unbond(0n, ton('1')), withdraw(1n), propose(), vote(net.now + DAY), register(address, 7), retire(), forget(1)];
    for (const body of owners) for (const by of [thief, governor]) await refuses(StakeErr.notOwner, body, ton('2'), by);
    for (const body of [confirmed(), exit(), slash()]) for (const by of [thief, owner]) await refuses(StakeErr.notGovernor, body, ton('2'), by);
    await refuses(UNKNOWN_MESSAGE, bareOp(0x53540099));
});

test('each message brings what it needs: one nanoton less, and nothing happens', async () => {
    const trips = ({ net, proposal }: { net: Network; proposal: Address }) => [unbond(0n, ton('1')), propose(), vote(net.now + DAY, { proposal })];
    const stays = (at: Address) => [withdraw(1n), register(at, 7), retire(), forget(1)];
    const at = await account(READY);
    for (const body of trips(at)) await at.refuses(StakeErr.lowValue, body, ROUND_TRIP - 1n);
    for (const body of stays(at.address)) await at.refuses(StakeErr.lowValue, body, MIN_VALUE - 1n);
    for (const body of trips(at)) await (await account(READY)).takes(body, ROUND_TRIP);
    for (const body of stays(at.address)) await (await account(READY)).takes(body, MIN_VALUE);
});

test('a lot is one ton at least, is there, and goes when it may', async () => {
    const { refuses, takes } = await account({ lots: [{}, { activeFrom: 0n }, { exitFrom: PENDING }, { exitFrom: 6n, releaseAt: 4_000_000_000n }] });
    await refuses(StakeErr.lotTooSmall, deposit(ton('1') - 1n), ton('2'));
    await refuses(StakeErr.noLot, unbond(4n));
    await refuses(StakeErr.noLot, withdraw(4n));
    for (const lot of [1n, 2n, 3n]) await refuses(StakeErr.lotNotStaying, unbond(lot));
    for (const lot of [0n, 1n, 2n, 3n]) await refuses(StakeErr.lotLocked, withdraw(lot));
    await refuses(StakeErr.lotTooLarge, unbond(0n, ton('10') + 1n));
    for (const part of [ton('1') - 1n, ton('9') + 1n]) await refuses(StakeErr.lotTooSmall, unbond(0n, part));
    await takes(deposit(), ton('2'));
    await takes(unbond(0n, ton('10')));
});

test('sixteen lots, thirty-two nodes, thirty-two receipts, and no more', async () => {
    const lots = await account({ lots: 15 });
    await lots.takes(unbond(0n, ton('1')));
    for (const body of [deposit(), unbond(1n, ton('1'))]) await lots.refuses(StakeErr.tooManyLots, body, ton('2'));
    await (await account({ lots: 15 })).takes(deposit(), ton('2'));

    const nodes = await account({ lots: 4, nodes: 31 });
    await nodes.takes(register(nodes.address, 31));
    await nodes.refuses(StakeErr.tooManyNodes, register(nodes.address, 32));

    const votes = await account({ receipts: 31 });
    await votes.takes(vote(votes.net.now + DAY, votes));
    await votes.refuses(StakeErr.tooManyReceipts, vote(votes.net.now + DAY));
});

test('a vote is cast once, by stake that weighs, with a receipt for some time to come', async () => {
    const { net, proposal, refuses, takes } = await account();
    await refuses(StakeErr.badReceipt, vote(net.now));
    await refuses(StakeErr.badReceipt, vote(net.now + 400 * DAY + 1));
    for (const body of [vote(net.now + DAY, { snapshot: 4n }), propose(4n)]) await refuses(StakeErr.noWeight, body);
    await takes(vote(net.now + DAY, { proposal }));
    await refuses(StakeErr.voted, vote(net.now + DAY, { proposal }));
});

test('a node agrees, is bonded by stake that stays, and is done with when nothing answers for it', async () => {
    const free = BigInt((await Network.create()).now);
    const { address, refuses, takes } = await account({ nodes: [{ bond: ton('4') }, { freeAt: free }, { freeAt: free + 1n }, { bond: 0n, freeAt: 1n }] });
    await refuses(StakeErr.badSignature, register(address, 7, { signer: 8 }));
    await refuses(StakeErr.bondLowered, register(address, 7, { bond: 0n }));
    await refuses(StakeErr.bondLowered, register(address, 0, { bond: ton('4') }));
    await refuses(StakeErr.bonded, register(address, 7, { bond: ton('6') + 1n }));
    for (const n of [1, 2]) await refuses(StakeErr.nodeRetired, register(address, n, { bond: ton('2') }));
    for (const body of [register(address, 3), forget(3)]) await refuses(StakeErr.nodeSlashed, body);
    for (const body of [retire(7), retire(1), forget(7)]) await refuses(StakeErr.noNode, body);
    for (const n of [0, 2]) await refuses(StakeErr.nodeLocked, forget(n));
    await refuses(StakeErr.bonded, unbond(0n, ton('6') + 1n));
    await takes(forget(1));
    await takes(register(address, 0, { bond: ton('5') }));
});

test('attack_52: only a node that still answers is slashed, once, by an order that brings enough', async () => {
    const free = BigInt((await Network.create()).now);
    const { governor, refuses } = await account({ nodes: [{}, { freeAt: free }, { bond: 0n, freeAt: 1n }] });
    await refuses(StakeErr.noNode, slash(7), ton('1'), governor);
    await refuses(StakeErr.nodeFree, slash(1), ton('1'), governor);
    await refuses(StakeErr.nodeSlashed, slash(2), ton('1'), governor);
    await refuses(StakeErr.lowValue, slash(0), ton('0.2') - 1n, governor);
});

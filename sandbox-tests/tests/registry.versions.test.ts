// UP: what a vote may change about code, and how readers learn of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell } from '@ton/core';
import { Dao, PARAMS, RegistryErr, impersonate } from '../support/dao';
import { setCodes, setGovernor, setMinTcb, setSuccessor, someCodes } from '../support/entries';
import { DAY, Network, assertOk, noteGas, on } from '../support/network';

async function governed() {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const { registry } = dao;
    const say = (body: Cell) => impersonate(net, dao.governor.address, registry.address, body);
    const does = async (body: Cell) => assertOk(on(await say(body), registry.address));
    const refuses = (code: number, body: Cell) => net.refused(registry.address, code, () => say(body));
    const formers = async () => (await registry.getSnapshot()).formerChannels;
    return { net, dao, registry, does, refuses, formers };
}

test('UP-1: a replaced channel code is a former one until the time that the vote gave', async () => {
    const { net, registry, does, formers } = await governed();
    const { codes } = await registry.getSnapshot();
    const soon = net.now + 10 * DAY;
    await does(setCodes(someCodes(100n), soon));
    assert.deepEqual((await registry.getSnapshot()).codes, someCodes(100n));
    assert.deepEqual((await formers()).get(codes.payChannel.hash), {
        $$type: 'FormerCode',
        depth: codes.payChannel.depth,
        acceptedUntil: BigInt(soon),
    });
    // Other codes change without making a former channel.
    await does(setCodes({ ...someCodes(200n), payChannel: someCodes(100n).payChannel }, soon));
    assert.equal((await formers()).size, 1);
    // Going back makes the old one current, not both.
    await does(setCodes({ ...someCodes(200n), payChannel: codes.payChannel }, soon));
    assert.deepEqual((await formers()).keys(), [100n]);
    // A broken one may be dropped at once; expired ones make room.
    await does(setCodes(someCodes(300n), net.now));
    assert.deepEqual((await formers()).keys(), [100n]);
    net.now = soon - 1;
    await does(setCodes(someCodes(400n), net.now + DAY));
    assert.deepEqual((await formers()).keys().sort(), [100n, 300n]);
    net.now = soon;
    await does(setCodes(someCodes(500n), net.now + DAY));
    assert.deepEqual((await formers()).keys().sort(), [300n, 400n]);
});

test('there are at most eight former codes', async () => {
    const { net, does, refuses, formers } = await governed();
    const later = net.now + DAY;
    for (let i = 1n; i <= 8n; i++) await does(setCodes(someCodes(i * 10n), later));
    assert.equal((await formers()).size, 8);
    await refuses(RegistryErr.full, setCodes(someCodes(90n), later));
    net.now = later;
    noteGas('registry: change codes, dropping 8 former ones', await does(setCodes(someCodes(90n), later + DAY)));
    assert.deepEqual((await formers()).keys(), [80n]);
});

test('UP-8: a successor waits for the activation delay, and may be withdrawn', async () => {
    const { net, dao, registry, does } = await governed();
    const next = dao.deployer.address;
    await does(setSuccessor(next));
    let state = await registry.getSnapshot();
    assert.ok(state.successor?.equals(next));
    assert.equal(state.successorFrom, BigInt(net.now) + PARAMS.activationDelay);
    await does(setSuccessor(null));
    state = await registry.getSnapshot();
    assert.equal(state.successor, null);
    assert.equal(state.successorFrom, 0n);
});

test('UP-7: a registry that was handed over listens to the new governor alone', async () => {
    const { net, dao, registry, does, refuses } = await governed();
    await does(setGovernor(dao.deployer.address));
    await refuses(RegistryErr.notGovernor, setMinTcb(1n));
    assertOk(on(await impersonate(net, dao.deployer.address, registry.address, setMinTcb(5n)), registry.address));
    assert.equal((await registry.getSnapshot()).tcb.minEvaluation, 5n);
});

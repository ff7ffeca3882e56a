import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell } from '@ton/core';
import { Registry } from '../build/Registry';
import { Dao, Entry, Genesis, Kind, PARAMS, RegistryErr, Role, UNKNOWN_MESSAGE, impersonate, registryAt, storedSize } from '../support/dao';
import {
    COMMIT,
    RECIPE,
    deprecate,
    evict,
    remove,
    revoke,
    scheduleImage,
    scheduleModel,
    setBan,
    setCodes,
    setGovernor,
    setMinTcb,
    setParams,
    setRoot,
} from '../support/entries';
import { DAY, Network, assertOk, bareOp, compute, noteGas, on, ton } from '../support/network';

const DELAY = Number(PARAMS.activationDelay);

/** A registry and a way to speak to it as its governor, without a vote each time. */
async function governed() {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const { registry } = dao;
    const say = (body: Cell) => impersonate(net, dao.governor.address, registry.address, body);
    const does = async (body: Cell) => assertOk(on(await say(body), registry.address));
    const refuses = (code: number, body: Cell) => net.refused(registry.address, code, () => say(body));
    return { net, dao, registry, say, does, refuses };
}

test('the life of an image: scheduled, active, deprecated, retired', async () => {
    const { net, registry, does, refuses } = await governed();
    assert.equal(await registry.getImageStatus(1n), Entry.unknown);
    await does(scheduleImage(1n, { reason: 'first' }));
    const scheduledAt = BigInt(net.now);
    const { life, ...image } = await registry.getImage(1n);
    assert.deepEqual(image, { $$type: 'ImageEntry', role: Role.worker, sourceCommit: COMMIT, recipeHash: RECIPE, rebuilds: null });
    assert.deepEqual(life, {
        $$type: 'Life',
        status: Entry.scheduled,
        activeFrom: scheduledAt + BigInt(DELAY),
        sunset: 0n,
        changedAt: scheduledAt,
        reason: 'first',
    });
    await refuses(RegistryErr.listed, scheduleImage(1n)); // no way to shorten the delay
    net.later(DELAY - 1);
    assert.equal(await registry.getImageStatus(1n), Entry.scheduled);
    net.later(1);
    assert.equal(await registry.getImageStatus(1n), Entry.active);
    await refuses(RegistryErr.listed, scheduleImage(1n));
    await refuses(RegistryErr.inUse, remove(Kind.image, 1n));

    await does(deprecate(Kind.image, 1n, net.now + 10 * DAY, 'second is better'));
    assert.equal(await registry.getImageStatus(1n), Entry.deprecated);
    assert.equal((await registry.getImage(1n)).life.reason, 'second is better');
    net.later(10 * DAY - 1);
    assert.equal(await registry.getImageStatus(1n), Entry.deprecated);
    net.later(1);
    assert.equal(await registry.getImageStatus(1n), Entry.retired);
    await does(remove(Kind.image, 1n));
    assert.equal(await registry.getImageStatus(1n), Entry.unknown);
    assert.equal((await registry.getSnapshot()).counts.images, 0n);
    await refuses(RegistryErr.noEntry, remove(Kind.image, 1n));
});

test('a model lives likewise, and carries its name', async () => {
    const { net, registry, does, refuses } = await governed();
    await does(scheduleModel(5n, { name: 'm'.repeat(127), activeFrom: BigInt(net.now + 30 * DAY) }));
    assert.equal((await registry.getModel(5n)).name, 'm'.repeat(127));
    net.later(30 * DAY - 1);
    assert.equal(await registry.getModelStatus(5n), Entry.scheduled, 'later than the delay, as asked');
    net.later(1);
    assert.equal(await registry.getModelStatus(5n), Entry.active);
    await does(revoke(Kind.model, 5n));
    assert.equal(await registry.getModelStatus(5n), Entry.revoked);
    await refuses(RegistryErr.badText, scheduleModel(6n, { name: 'm'.repeat(128) }));
    await refuses(RegistryErr.badText, scheduleModel(6n, { name: '' }));
    await refuses(RegistryErr.badText, scheduleModel(6n, { reason: '' }));
    await refuses(RegistryErr.badText, scheduleImage(6n, { reason: 'r'.repeat(128) }));
    await refuses(RegistryErr.badRole, scheduleImage(6n, { role: 0n }));
    await refuses(RegistryErr.badRole, scheduleImage(6n, { role: 4n }));
    await refuses(RegistryErr.badKind, revoke(3n, 5n));
    await refuses(RegistryErr.noEntry, revoke(Kind.image, 5n));
});

test('attack_42_a_revoked_hash_re_added_without_the_full_cycle', async () => {
    const { net, registry, does, refuses } = await governed();
    await does(scheduleImage(1n));
    net.later(DELAY);
    await does(revoke(Kind.image, 1n));
    assert.equal(await registry.getImageStatus(1n), Entry.revoked, 'at once (G4)');
    // Nothing that keeps the old activation time brings it back.
    await refuses(RegistryErr.badSunset, deprecate(Kind.image, 1n, net.now + DAY));
    net.later(30 * DAY);
    assert.equal(await registry.getImageStatus(1n), Entry.revoked);
    // Through the front door it waits again, whatever start it asks for.
    await does(scheduleImage(1n, { activeFrom: 1n }));
    assert.equal(await registry.getImageStatus(1n), Entry.scheduled);
    assert.equal((await registry.getSnapshot()).counts.images, 1n);
    net.later(DELAY - 1);
    assert.equal(await registry.getImageStatus(1n), Entry.scheduled);
    net.later(1);
    assert.equal(await registry.getImageStatus(1n), Entry.active);
    // Removing the tombstone first is no short cut.
    await does(revoke(Kind.image, 1n));
    await does(remove(Kind.image, 1n));
    await does(scheduleImage(1n));
    assert.equal(await registry.getImageStatus(1n), Entry.scheduled);
});

test('attack_48_a_deprecated_image_after_its_sunset stays out: a sunset only moves forward', async () => {
    const { net, registry, does, refuses } = await governed();
    await does(scheduleImage(1n));
    net.later(DELAY);
    await does(deprecate(Kind.image, 1n, net.now + 10 * DAY));
    await refuses(RegistryErr.badSunset, deprecate(Kind.image, 1n, net.now + 10 * DAY + 1));
    await does(deprecate(Kind.image, 1n, net.now + 5 * DAY));
    net.later(5 * DAY);
    assert.equal(await registry.getImageStatus(1n), Entry.retired);
    await refuses(RegistryErr.badSunset, deprecate(Kind.image, 1n, net.now + DAY));
    await does(scheduleImage(1n));
    assert.equal(await registry.getImageStatus(1n), Entry.scheduled);
    // A sunset in the past means now; revoking beats deprecating.
    await does(deprecate(Kind.image, 1n, 1));
    assert.equal(await registry.getImageStatus(1n), Entry.retired);
    await does(revoke(Kind.image, 1n));
    assert.equal(await registry.getImageStatus(1n), Entry.revoked);
});

test('attack_40_nobody_but_the_governor changes the registry: there is no other authority in this version', async () => {
    const { net, dao, registry } = await governed();
    const thief = await net.wallet('thief');
    const bodies = [
        scheduleImage(1n),
        scheduleModel(1n),
        deprecate(Kind.image, 1n, 1),
        revoke(Kind.image, 1n),
        remove(Kind.image, 1n),
        setRoot(1n, true),
        setMinTcb(1n),
        setBan(1n, true),
        setParams(PARAMS),
        setCodes(1n),
        setGovernor(thief.address),
        evict(thief.address),
    ];
    for (const body of bodies) {
        for (const sender of [thief, dao.deployer]) {
            await net.refused(registry.address, RegistryErr.notGovernor, () => net.send(sender, registry.address, ton('1'), body));
        }
        const cheap = () => impersonate(net, dao.governor.address, registry.address, body, ton('0.05') - 1n);
        await net.refused(registry.address, RegistryErr.lowValue, cheap);
    }
    await net.refused(registry.address, UNKNOWN_MESSAGE, () => net.send(thief, registry.address, ton('1'), bareOp(0x52470099)));
});

test('roots wait for the delay and leave at once; platforms are banned at once', async () => {
    const { net, registry, does, refuses } = await governed();
    await does(setRoot(8n, true));
    const { tcb } = await registry.getSnapshot();
    assert.equal(tcb.roots.get(7n), 0, 'of genesis');
    assert.equal(tcb.roots.get(8n), net.now + DELAY);
    await refuses(RegistryErr.listed, setRoot(8n, true));
    await does(setRoot(7n, false));
    await refuses(RegistryErr.noEntry, setRoot(7n, false));
    await does(setBan(9n, true));
    await refuses(RegistryErr.listed, setBan(9n, true));
    assert.equal((await registry.getSnapshot()).tcb.banned.get(9n), net.now);
    await does(setBan(9n, false));
    await refuses(RegistryErr.noEntry, setBan(9n, false));
    await does(setMinTcb(20n));
    await does(setCodes(77n));
    const after = await registry.getSnapshot();
    assert.equal(after.tcb.minEvaluation, 20n);
    assert.equal(after.codes.payChannel, 77n);
    assert.deepEqual([after.counts.roots, after.counts.banned], [1n, 0n]);
    // Every change is seen in the revision: six since the set-up, which was the first.
    assert.equal(after.revision, 7n);
});

test('parameters stay within their bounds, at genesis and at every change', async () => {
    const { net, dao, registry, does, refuses } = await governed();
    const bad: Genesis['params'][] = [
        { minWorkerStake: 0n },
        { minProxyBond: 0n },
        { activationDelay: 0n },
        { activationDelay: 599n },
        { activationDelay: BigInt(91 * DAY) },
        { proxyUnbonding: 0n },
        { minChallenge: 0n },
        { protocolFeeBps: 2001n },
    ];
    for (const params of bad) {
        await refuses(RegistryErr.badParams, setParams({ ...PARAMS, ...params }));
        const other = net.chain.openContract(await registryAt(dao.governor.address, { params }));
        const result = await other.send(dao.deployer.getSender(), { value: ton('2') }, { $$type: 'SetUpRegistry', queryId: 0n });
        assert.equal(compute(on(result, other.address)).exitCode, RegistryErr.badParams);
    }
    await does(setParams({ ...PARAMS, minWorkerStake: ton('1000') }));
    assert.equal((await registry.getSnapshot()).params.minWorkerStake, ton('1000'));
    await does(setGovernor(dao.deployer.address));
    await refuses(RegistryErr.notGovernor, setMinTcb(1n));
});

test('genesis holds no image, model or proxy: only the governor can insert them', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const full = await dao.registry.getSnapshot();
    assert.ok(full.ready);
    const say = (body: Cell) => impersonate(net, dao.governor.address, dao.registry.address, body);
    assertOk(on(await say(scheduleImage(1n)), dao.registry.address));
    const { images } = await dao.registry.getSnapshot();
    const forged = net.chain.openContract(
        await Registry.fromInit(
            dao.governor.address,
            false,
            0n,
            0n,
            PARAMS,
            full.counts,
            full.codes,
            full.tcb,
            images,
            full.models,
            full.proxies,
        ),
    );
    const result = await forged.send(dao.deployer.getSender(), { value: ton('2') }, { $$type: 'SetUpRegistry', queryId: 0n });
    assert.equal(compute(on(result, forged.address)).exitCode, RegistryErr.badParams);
    // And until it is set up it does nothing.
    const body = scheduleImage(1n);
    const early = net.chain.openContract(await registryAt(dao.governor.address, { roots: [99n] }));
    const init = early.init;
    const refused = await net.send(dao.deployer, early.address, ton('2'), body, { init });
    assert.equal(compute(on(refused, early.address)).exitCode, RegistryErr.notReady);
});

test('the maps are bounded, and full ones still work within the least value', async () => {
    const { net, registry, does, refuses } = await governed();
    const id = (i: number) => BigInt('0x' + Buffer.from(`entry ${i}`.padEnd(32, '.')).toString('hex'));
    let tx: Awaited<ReturnType<typeof does>> | undefined;
    for (let i = 0; i < 64; i++) tx = await does(scheduleImage(id(i), { reason: `image ${i} `.padEnd(127, 'r') }));
    noteGas('registry: schedule the 64th image', tx!);
    await refuses(RegistryErr.full, scheduleImage(id(64)));
    for (let i = 0; i < 64; i++) tx = await does(scheduleModel(id(i), { name: `model ${i} `.padEnd(127, 'm'), reason: `model ${i} `.padEnd(127, 'r') }));
    noteGas('registry: schedule the 64th model', tx!);
    await refuses(RegistryErr.full, scheduleModel(id(64)));
    for (let i = 0; i < 128; i++) tx = await does(setBan(id(i), true));
    noteGas('registry: ban the 128th platform', tx!);
    await refuses(RegistryErr.full, setBan(id(128), true));
    for (let i = 0; i < 7; i++) await does(setRoot(id(i), true));
    await refuses(RegistryErr.full, setRoot(id(7), true));
    tx = await does(revoke(Kind.image, id(63)));
    noteGas('registry: revoke an image, full', tx);
    console.log(`size  registry without proxies, full: ${await storedSize(net, registry.address)}`);
    // A revoked entry may come back without needing room; a removed one makes room.
    await does(scheduleImage(id(63)));
    await does(revoke(Kind.image, id(62)));
    await does(remove(Kind.image, id(62)));
    await does(scheduleImage(id(64)));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell, Dictionary, beginCell } from '@ton/core';
import { ProxyEntry, storeProxyEntry } from '../build/Registry';
import { COUNCIL, Dao, Entry, Genesis, Kind, PARAMS, REBUILDERS, REGISTRY_MIN_VALUE, RegistryErr, Role, UNKNOWN_MESSAGE, impersonate, registryAt } from '../support/dao';
import {
    COMMIT,
    RECIPE,
    deprecate,
    evict,
    lift,
    remove,
    revoke,
    ImageOptions,
    scheduleImage,
    scheduleModel,
    setBan,
    setCodes,
    setCouncil,
    setGovernor,
    setMinTcb,
    setParams,
    setRebuildThreshold,
    setRebuilder,
    setRoot,
    setSuccessor,
    someCodes,
} from '../support/entries';
import { DAY, Network, assertOk, bareOp, compute, keys, on, publicKey, ton } from '../support/network';

const DELAY = Number(PARAMS.activationDelay);

/** A registry and a way to speak to it as its governor, without a vote each time. */
async function governed() {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const { registry } = dao;
    const say = (body: Cell) => impersonate(net, dao.governor.address, registry.address, body);
    const does = async (body: Cell) => assertOk(on(await say(body), registry.address));
    const refuses = (code: number, body: Cell) => net.refused(registry.address, code, () => say(body));
    const image = (id: bigint, opts: ImageOptions = {}) => scheduleImage(registry.address, id, opts);
    return { net, dao, registry, say, does, refuses, image };
}

test('the life of an image: scheduled, active, deprecated, retired', async () => {
    const { net, registry, does, refuses, image } = await governed();
    assert.equal(await registry.getImageStatus(1n), Entry.unknown);
    await does(image(1n, { reason: 'first' }));
    const scheduledAt = BigInt(net.now);
    const { life, rebuilds, ...rest } = await registry.getImage(1n);
    assert.deepEqual(rest, { $$type: 'ImageEntry', role: Role.worker, sourceCommit: COMMIT, recipeHash: RECIPE });
    assert.deepEqual(rebuilds.keys().sort(), REBUILDERS.slice(0, 2).map(publicKey).sort());
    assert.deepEqual(life, {
        $$type: 'Life',
        status: Entry.scheduled,
        activeFrom: scheduledAt + BigInt(DELAY),
        sunset: 0n,
        changedAt: scheduledAt,
        reason: 'first',
        scheduledAt,
        suspendedUntil: 0n,
    });
    await refuses(RegistryErr.listed, image(1n)); // no way to shorten the delay
    net.later(DELAY - 1);
    assert.equal(await registry.getImageStatus(1n), Entry.scheduled);
    net.later(1);
    assert.equal(await registry.getImageStatus(1n), Entry.active);
    await refuses(RegistryErr.listed, image(1n));
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
    const { net, registry, does, refuses, image } = await governed();
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
    await refuses(RegistryErr.badText, image(6n, { reason: 'r'.repeat(128) }));
    await refuses(RegistryErr.badRole, image(6n, { role: 0n }));
    await refuses(RegistryErr.badRole, image(6n, { role: 4n }));
    await refuses(RegistryErr.badKind, revoke(3n, 5n));
    await refuses(RegistryErr.noEntry, revoke(Kind.image, 5n));
});

test('attack_42_a_revoked_hash_re_added_without_the_full_cycle', async () => {
    const { net, registry, does, refuses, image } = await governed();
    await does(image(1n));
    net.later(DELAY);
    await does(revoke(Kind.image, 1n));
    assert.equal(await registry.getImageStatus(1n), Entry.revoked, 'at once (G4)');
    // Nothing that keeps the old activation time brings it back.
    await refuses(RegistryErr.badSunset, deprecate(Kind.image, 1n, net.now + DAY));
    net.later(30 * DAY);
    assert.equal(await registry.getImageStatus(1n), Entry.revoked);
    // Through the front door it waits again, whatever start it asks for.
    await does(image(1n, { activeFrom: 1n }));
    assert.equal(await registry.getImageStatus(1n), Entry.scheduled);
    assert.equal((await registry.getSnapshot()).counts.images, 1n);
    net.later(DELAY - 1);
    assert.equal(await registry.getImageStatus(1n), Entry.scheduled);
    net.later(1);
    assert.equal(await registry.getImageStatus(1n), Entry.active);
    // Removing the tombstone first is no short cut.
    await does(revoke(Kind.image, 1n));
    await does(remove(Kind.image, 1n));
    await does(image(1n));
    assert.equal(await registry.getImageStatus(1n), Entry.scheduled);
});

test('attack_48_a_deprecated_image_after_its_sunset stays out: a sunset only moves forward', async () => {
    const { net, registry, does, refuses, image } = await governed();
    await does(image(1n));
    net.later(DELAY);
    await does(deprecate(Kind.image, 1n, net.now + 10 * DAY));
    await refuses(RegistryErr.badSunset, deprecate(Kind.image, 1n, net.now + 10 * DAY + 1));
    await does(deprecate(Kind.image, 1n, net.now + 5 * DAY));
    net.later(5 * DAY);
    assert.equal(await registry.getImageStatus(1n), Entry.retired);
    await refuses(RegistryErr.badSunset, deprecate(Kind.image, 1n, net.now + DAY));
    await does(image(1n));
    assert.equal(await registry.getImageStatus(1n), Entry.scheduled);
    // A sunset in the past means now; revoking beats deprecating.
    await does(deprecate(Kind.image, 1n, 1));
    assert.equal(await registry.getImageStatus(1n), Entry.retired);
    await does(revoke(Kind.image, 1n));
    assert.equal(await registry.getImageStatus(1n), Entry.revoked);
});

test('attack_40_nobody_but_the_governor changes the registry', async () => {
    const { net, dao, registry, image } = await governed();
    const thief = await net.wallet('thief');
    const bodies = [
        image(1n),
        scheduleModel(1n),
        deprecate(Kind.image, 1n, 1),
        revoke(Kind.image, 1n),
        remove(Kind.image, 1n),
        setRoot(1n, true),
        setMinTcb(1n),
        setBan(1n, true),
        setParams(PARAMS),
        setCodes(someCodes(1n)),
        setGovernor(thief.address),
        setSuccessor(thief.address),
        setCouncil(1n, [keys('thief')]),
        setRebuilder(keys('thief'), true),
        setRebuildThreshold(1n),
        lift(Kind.image, 1n),
        evict(thief.address),
    ];
    for (const body of bodies) {
        for (const sender of [thief, dao.deployer]) {
            await net.refused(registry.address, RegistryErr.notGovernor, () => net.send(sender, registry.address, ton('1'), body));
        }
        const cheap = () => impersonate(net, dao.governor.address, registry.address, body, REGISTRY_MIN_VALUE - 1n);
        await net.refused(registry.address, RegistryErr.lowValue, cheap);
    }
    await net.refused(registry.address, UNKNOWN_MESSAGE, () => net.send(thief, registry.address, ton('1'), bareOp(0x52470099)));
});

test('roots wait for the delay and leave at once; platforms are banned at once', async () => {
    const { net, registry, does, refuses, image } = await governed();
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
    await does(setCodes(someCodes(77n)));
    const after = await registry.getSnapshot();
    assert.equal(after.tcb.minEvaluation, 20n);
    assert.deepEqual(after.codes, someCodes(77n));
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
        { proxyUnbonding: BigInt(91 * DAY) },
        { minChallenge: 599n },
        { protocolFeeBps: 2001n },
        { suspensionPeriod: BigInt(DAY - 1) },
        { suspensionPeriod: BigInt(30 * DAY + 1) },
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

test('RG-1: genesis holds no image, model, proxy, ban, former code or successor: only the governor can insert them', async () => {
    const { net, dao, registry, does, image } = await governed();
    await does(image(1n));
    await does(scheduleModel(1n));
    await does(setBan(1n, true));
    await does(setCodes(someCodes(1n), net.now + DAY));
    const full = await registry.getSnapshot();
    const owner = dao.deployer.address;
    const proxy = { $$type: 'ProxyEntry', nodeKey: 1n, endpoint: 'x', bond: 1n, since: 0n, unbondingAt: 0n } as const;
    const proxies = Dictionary.empty<typeof owner, ProxyEntry>(Dictionary.Keys.Address(), {
        serialize: (src, builder) => builder.storeRef(beginCell().store(storeProxyEntry(src)).endCell()),
        parse: () => proxy,
    });
    proxies.set(owner, proxy);
    const forgeries: Genesis[] = [
        { forged: { bonded: 1n } },
        { forged: { images: full.images } },
        { forged: { models: full.models } },
        { forged: { proxies } },
        { forged: { tcb: full.tcb } },
        { forged: { formerChannels: full.formerChannels } },
        { forged: { successor: owner } },
        { forged: { successorFrom: 1n } },
        { council: { threshold: 0n, members: COUNCIL } },
        { council: { threshold: 4n, members: COUNCIL } },
        { council: { threshold: 1n, members: [] } },
        { council: { threshold: 1n, members: Array.from({ length: 16 }, (_, i) => keys(`member ${i}`)) } },
        { rebuildThreshold: 0n },
        { rebuildThreshold: 4n },
        { rebuilders: [] },
        { rebuilders: Array.from({ length: 17 }, (_, i) => keys(`rebuilder ${i}`)) },
    ];
    const setUp = { $$type: 'SetUpRegistry', queryId: 0n } as const;
    const begin = async (genesis: Genesis) => {
        const forged = net.chain.openContract(await registryAt(dao.governor.address, genesis));
        return compute(on(await forged.send(dao.deployer.getSender(), { value: ton('2') }, setUp), forged.address)).exitCode;
    };
    for (const genesis of forgeries) assert.equal(await begin(genesis), RegistryErr.badParams, Object.keys(genesis.forged ?? genesis).join());
    assert.equal(await begin({ roots: Array.from({ length: 9 }, (_, i) => BigInt(i)) }), RegistryErr.full);
    const honest: Genesis[] = [
        { council: { threshold: 0n, members: [] } },
        { council: { threshold: 15n, members: Array.from({ length: 15 }, (_, i) => keys(`member ${i}`)) } },
        { rebuildThreshold: 16n, rebuilders: Array.from({ length: 16 }, (_, i) => keys(`rebuilder ${i}`)) },
        { roots: Array.from({ length: 8 }, (_, i) => BigInt(i)) },
    ];
    for (const genesis of honest) assert.equal(await begin(genesis), 0);
    // And until it is set up it does nothing.
    const early = net.chain.openContract(await registryAt(dao.governor.address, { roots: [99n] }));
    const refused = await net.send(dao.deployer, early.address, ton('2'), image(1n), { init: early.init });
    assert.equal(compute(on(refused, early.address)).exitCode, RegistryErr.notReady);
    const gift = await net.send(dao.deployer, early.address, ton('2'), Cell.EMPTY, { init: early.init });
    assert.equal(compute(on(gift, early.address)).exitCode, RegistryErr.notReady);
    // A second set-up changes nothing, whoever sends it, and anybody may pay for storage.
    const state = await net.dataHash(registry.address);
    assertOk(on(await registry.send(dao.deployer.getSender(), { value: ton('1') }, setUp), registry.address));
    assertOk(on(await net.send(dao.deployer, registry.address, ton('1'), Cell.EMPTY), registry.address));
    assert.equal(await net.dataHash(registry.address), state);
});


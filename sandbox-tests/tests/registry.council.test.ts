// EC: the emergency council may put an entry aside for a while, and nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { Cell } from '@ton/core';
import { RegistryState } from '../build/Registry';
import { COUNCIL, Dao, Entry, Genesis, Kind, PARAMS, REGISTRY_MIN_VALUE, RegistryErr, impersonate } from '../support/dao';
import { Signed, deprecate, lift, remove, revoke, scheduleImage, scheduleModel, setBan, setCouncil, suspend, suspension } from '../support/entries';
import { DAY, Network, assertOk, keys, noteGas, on, sent, storageFee, ton } from '../support/network';

const DELAY = Number(PARAMS.activationDelay);
const PERIOD = Number(PARAMS.suspensionPeriod);

/** A registry with one active image and one active model, both with the id 1. */
async function governed(genesis: Genesis = {}) {
    const net = await Network.create();
    const dao = await Dao.create(net, {}, genesis);
    const { registry } = dao;
    const says = (body: Cell) => impersonate(net, dao.governor.address, registry.address, body);
    const does = async (body: Cell) => assertOk(on(await says(body), registry.address));
    const refusesGovernor = (code: number, body: Cell) => net.refused(registry.address, code, () => says(body));
    await does(scheduleImage(registry.address, 1n));
    await does(scheduleModel(1n));
    net.later(DELAY);
    const anybody = await net.wallet('anybody');
    const send = (body: Cell, value = ton('0.1')) => net.send(anybody, registry.address, value, body);
    const refuses = (code: number, body: Cell, value?: bigint) => net.refused(registry.address, code, () => send(body, value));
    const scheduledAt = async (kind: bigint, id: bigint) =>
        (kind === Kind.image ? await registry.getImage(id) : await registry.getModel(id)).life.scheduledAt;
    /** The order as `by` have signed it. */
    const order = async (kind = Kind.image as bigint, id = 1n, by = COUNCIL.slice(0, 2), validUntil = BigInt(net.now + DAY)) => {
        const cell = suspension({ registry: registry.address, kind, id, scheduledAt: await scheduledAt(kind, id), validUntil });
        return suspend(kind, id, validUntil, by.map((key) => ({ key, cell })));
    };
    return { net, dao, registry, anybody, does, refusesGovernor, send, refuses, order };
}

test('G4: two of three suspend an image at once, in one transaction by anybody; it lapses by itself', async () => {
    const { net, registry, anybody, send, order } = await governed();
    const { revision } = await registry.getSnapshot();
    const balance = await net.balance(registry.address);
    const tx = assertOk(on(await send(await order()), registry.address));
    noteGas('registry: suspend an image, 2 of 3', tx);
    assert.equal(await registry.getImageStatus(1n), Entry.suspended);
    assert.equal(await registry.getModelStatus(1n), Entry.active, 'the model with the same id is another entry');
    const { life } = await registry.getImage(1n);
    assert.equal(life.suspendedUntil, BigInt(net.now + PERIOD));
    assert.equal(life.reason, 'under investigation');
    assert.equal((await registry.getSnapshot()).revision, revision + 1n, 'readers notice');
    // Whoever brought the signatures has the rest of the value back.
    const [, rest] = sent(tx);
    assert.ok(rest.to.equals(anybody.address) && rest.value > ton('0.06'));
    assert.equal(await net.balance(registry.address), balance - storageFee(tx));
    net.later(PERIOD - 1);
    assert.equal(await registry.getImageStatus(1n), Entry.suspended);
    net.later(1);
    assert.equal(await registry.getImageStatus(1n), Entry.active);
});

test('a model is suspended likewise, and so is what is scheduled or deprecated; a sunset goes on counting', async () => {
    const { net, registry, does, send, order, refuses } = await governed();
    assertOk(on(await send(await order(Kind.model)), registry.address));
    assert.equal(await registry.getModelStatus(1n), Entry.suspended);
    await does(scheduleImage(registry.address, 2n));
    assertOk(on(await send(await order(Kind.image, 2n)), registry.address));
    assert.equal(await registry.getImageStatus(2n), Entry.suspended);
    net.later(PERIOD);
    assert.equal(await registry.getImageStatus(2n), Entry.active, 'its delay has run on meanwhile');
    await does(deprecate(Kind.image, 1n, net.now + DAY));
    assertOk(on(await send(await order()), registry.address));
    assert.equal(await registry.getImageStatus(1n), Entry.suspended);
    net.later(DAY);
    assert.equal(await registry.getImageStatus(1n), Entry.retired);
    // What is over needs no suspension.
    await does(scheduleImage(registry.address, 3n));
    await does(revoke(Kind.image, 3n));
    await refuses(RegistryErr.noSuspension, await order(Kind.image, 3n));
});

test('EC-2: too few signatures, strangers, other words and other times are refused', async () => {
    const { net, dao, registry, send, refuses, order } = await governed();
    const validUntil = BigInt(net.now + DAY);
    const { scheduledAt } = (await registry.getImage(1n)).life;
    const said = { registry: registry.address, kind: Kind.image as bigint, id: 1n, scheduledAt, validUntil };
    const good = suspension(said);
    const [a, b, c] = COUNCIL;
    const by = (...signed: Signed[]) => suspend(Kind.image, 1n, validUntil, signed);
    await refuses(RegistryErr.notCouncil, by());
    await refuses(RegistryErr.notCouncil, by({ key: a, cell: good }));
    await refuses(RegistryErr.notCouncil, by({ key: a, cell: good }, { key: keys('stranger'), cell: good }));
    await refuses(RegistryErr.notCouncil, by({ key: a, cell: good }, { key: b, cell: good }, { key: keys('stranger'), cell: good }));
    await refuses(RegistryErr.badSignature, by({ key: a, cell: good }, { key: a, cell: good, as: b }));
    for (const other of [
        { registry: dao.governor.address },
        { kind: Kind.model as bigint },
        { id: 2n },
        { scheduledAt: scheduledAt - 1n },
        { validUntil: validUntil + 1n },
        { globalId: -239 },
    ]) {
        const cell = suspension({ ...said, ...other });
        await refuses(RegistryErr.badSignature, by({ key: a, cell }, { key: b, cell }));
    }
    await refuses(RegistryErr.noEntry, suspend(Kind.image, 2n, validUntil, [{ key: a, cell: good }]));
    await refuses(RegistryErr.badKind, suspend(3n, 1n, validUntil, [{ key: a, cell: good }]));
    const body = await order();
    await refuses(RegistryErr.lowValue, body, REGISTRY_MIN_VALUE - 1n);
    await refuses(RegistryErr.badText, suspend(Kind.image, 1n, validUntil, [{ key: a, cell: good }, { key: b, cell: good }], ''));
    const late = await order(Kind.model, 1n, COUNCIL, validUntil);
    net.now = Number(validUntil) - 1;
    assertOk(on(await send(by({ key: a, cell: good }, { key: c, cell: good })), registry.address));
    net.later(1);
    await refuses(RegistryErr.expired, late);
});

test('attack_41_suspension_replayed_after_being_lifted: once in each approval, and never with old signatures', async () => {
    const { net, registry, does, refusesGovernor, send, refuses, order } = await governed();
    await refusesGovernor(RegistryErr.notSuspended, lift(Kind.image, 1n));
    const first = await order();
    assertOk(on(await send(first), registry.address));
    await refuses(RegistryErr.noSuspension, first);
    net.later(3600);
    noteGas('registry: lift a suspension', await does(lift(Kind.image, 1n)));
    assert.equal(await registry.getImageStatus(1n), Entry.active);
    assert.equal((await registry.getImage(1n)).life.reason, 'false alarm');
    await refusesGovernor(RegistryErr.notSuspended, lift(Kind.image, 1n));
    await refuses(RegistryErr.noSuspension, first);
    await refuses(RegistryErr.noSuspension, await order(Kind.image, 1n, COUNCIL));
    // A new approval may be suspended, by new signatures.
    await does(revoke(Kind.image, 1n));
    await does(scheduleImage(registry.address, 1n));
    await refuses(RegistryErr.badSignature, first);
    assertOk(on(await send(await order()), registry.address));
    // One that lapsed is not renewed either.
    net.later(PERIOD);
    await refuses(RegistryErr.noSuspension, await order());
});

test('the DAO ratifies a suspension by revoking; a suspended entry is neither removed nor approved anew', async () => {
    const { registry, does, refusesGovernor, send, order } = await governed();
    assertOk(on(await send(await order()), registry.address));
    await refusesGovernor(RegistryErr.inUse, remove(Kind.image, 1n));
    await refusesGovernor(RegistryErr.listed, scheduleImage(registry.address, 1n));
    await does(revoke(Kind.image, 1n));
    assert.equal(await registry.getImageStatus(1n), Entry.revoked);
    await does(remove(Kind.image, 1n));
});

test('attack_40_the_council_adds_nothing_moves_nothing: all members together can only suspend', async () => {
    const { net, dao, registry } = await governed();
    const body = [scheduleImage(registry.address, 9n), scheduleModel(9n), revoke(Kind.image, 1n), lift(Kind.image, 1n), setBan(1n, true), setCouncil(1n, COUNCIL)];
    // Their keys are wallets as well.
    for (const [i] of COUNCIL.entries()) {
        const member = await net.wallet(`council ${i}`);
        for (const b of body) await net.refused(registry.address, RegistryErr.notGovernor, () => net.send(member, registry.address, ton('1'), b));
    }
    // Everything that suspending changes, next to what it leaves alone.
    const before = await registry.getSnapshot();
    const balances = await Promise.all([registry, dao.governor].map(({ address }) => net.balance(address)));
    const validUntil = BigInt(net.now + DAY);
    const { scheduledAt, ...life } = (await registry.getImage(1n)).life;
    const cell = suspension({ registry: registry.address, kind: Kind.image, id: 1n, scheduledAt, validUntil });
    const sender = await net.wallet('anybody');
    const done = suspend(Kind.image, 1n, validUntil, COUNCIL.map((key) => ({ key, cell })));
    const tx = assertOk(on(await net.send(sender, registry.address, ton('1'), done), registry.address));
    const after = await registry.getSnapshot();
    const print = (state: RegistryState) => inspect({ ...state, images: 0, revision: 0 }, { depth: 9, maxArrayLength: null });
    assert.equal(print(after), print(before));
    assert.deepEqual((await registry.getImage(1n)).life, {
        ...life,
        scheduledAt,
        reason: 'under investigation',
        suspendedUntil: BigInt(net.now + PERIOD),
    });
    assert.equal(await net.balance(registry.address), balances[0] - storageFee(tx));
    assert.equal(await net.balance(dao.governor.address), balances[1]);
});

test('EC-5: the DAO replaces or dissolves the council; an empty one can do nothing', async () => {
    const { registry, does, refusesGovernor, send, refuses, order } = await governed();
    const fifteen = Array.from({ length: 15 }, (_, i) => keys(`member ${i}`));
    await refusesGovernor(RegistryErr.badThreshold, setCouncil(0n, COUNCIL));
    await refusesGovernor(RegistryErr.badThreshold, setCouncil(4n, COUNCIL));
    await refusesGovernor(RegistryErr.badThreshold, setCouncil(1n, []));
    await refusesGovernor(RegistryErr.badThreshold, setCouncil(1n, [...fifteen, keys('member 15')]));
    const old = await order();
    await does(setCouncil(15n, fifteen));
    await refuses(RegistryErr.notCouncil, old);
    await refuses(RegistryErr.notCouncil, await order(Kind.image, 1n, fifteen.slice(1)));
    const tx = assertOk(on(await send(await order(Kind.image, 1n, fifteen)), registry.address));
    noteGas('registry: suspend an image, 15 of 15', tx);
    await does(setCouncil(0n, []));
    await refuses(RegistryErr.notCouncil, await order(Kind.model, 1n, []));
    await refuses(RegistryErr.notCouncil, await order(Kind.model, 1n, COUNCIL));
});

// RG-9 to RG-11: an image is approved only when enough rebuilders have built it from its source.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell } from '@ton/core';
import { Dao, Genesis, Kind, REBUILDERS, REGISTRY_MIN_VALUE, RegistryErr, Role, impersonate } from '../support/dao';
import { COMMIT, ImageOptions, RECIPE, rebuild, revoke, scheduleImage, setRebuildThreshold, setRebuilder, signatures } from '../support/entries';
import { Network, assertOk, keys, noteGas, on, publicKey, ton } from '../support/network';

async function governed(genesis: Genesis = {}) {
    const net = await Network.create();
    const dao = await Dao.create(net, {}, genesis);
    const { registry } = dao;
    const say = (body: Cell, value?: bigint) => impersonate(net, dao.governor.address, registry.address, body, value);
    const does = async (body: Cell, value?: bigint) => assertOk(on(await say(body, value), registry.address));
    const refuses = (code: number, body: Cell) => net.refused(registry.address, code, () => say(body));
    const image = (id: bigint, opts: ImageOptions = {}) => scheduleImage(registry.address, id, opts);
    return { net, dao, registry, does, refuses, image };
}

const [A, B, C] = REBUILDERS;

test('an image needs the signatures of two of three rebuilders, over exactly this image, source and recipe', async () => {
    const { dao, registry, does, refuses, image } = await governed();
    const few = (opts: ImageOptions) => refuses(RegistryErr.tooFewRebuilds, image(1n, opts));
    await few({ by: [] });
    await few({ by: [A] });
    await few({ by: [A, keys('stranger')] });
    for (const statement of [
        { globalId: -239 },
        { registry: dao.governor.address },
        { role: Role.client },
        { image: 2n },
        { sourceCommit: COMMIT + 1n },
        { recipeHash: RECIPE + 1n },
    ]) {
        await few({ statement });
    }
    // One who signs for two is one.
    const cell = rebuild({ registry: registry.address, image: 1n });
    await few({ rebuilds: signatures([{ key: A, cell }, { key: A, cell, as: B }]) });
    await does(image(1n, { by: [B, C] }));
    assert.deepEqual((await registry.getImage(1n)).rebuilds.keys().sort(), [B, C].map(publicKey).sort());
});

test('what is stored is what is good: signatures of strangers and broken ones are dropped, and anybody can check the rest', async () => {
    const { registry, does, image } = await governed();
    const cell = rebuild({ registry: registry.address, image: 1n });
    const given = signatures([
        { key: A, cell },
        { key: B, cell: Cell.EMPTY },
        { key: C, cell },
        ...Array.from({ length: 20 }, (_, i) => ({ key: keys(`stranger ${i}`), cell })),
    ]);
    await does(image(1n, { rebuilds: given }));
    const { rebuilds } = await registry.getImage(1n);
    assert.deepEqual(rebuilds.keys().sort(), [A, C].map(publicKey).sort());
    for (const key of rebuilds.keys()) assert.deepEqual(rebuilds.get(key)?.bytes, given.get(key)?.bytes);
});

test('sixteen rebuilders who must all agree stay within the least value', async () => {
    const all = Array.from({ length: 16 }, (_, i) => keys(`rebuilder ${i}`));
    const { does, refuses, image } = await governed({ rebuilders: all, rebuildThreshold: 16n });
    await refuses(RegistryErr.tooFewRebuilds, image(1n, { by: all.slice(1) }));
    noteGas('registry: schedule an image, 16 of 16 rebuilders', await does(image(1n, { by: all }), REGISTRY_MIN_VALUE));
    await refuses(RegistryErr.full, setRebuilder(keys('one more'), true));
    await refuses(RegistryErr.badThreshold, setRebuilder(all[0], false));
});

test('the DAO names rebuilders and their number, which stays between one and all of them', async () => {
    const { net, registry, does, refuses, image } = await governed();
    await refuses(RegistryErr.listed, setRebuilder(A, true));
    await refuses(RegistryErr.noEntry, setRebuilder(keys('new'), false));
    await does(setRebuilder(keys('new'), true));
    assert.equal((await registry.getSnapshot()).rebuilders.get(publicKey(keys('new'))), net.now);
    await refuses(RegistryErr.badThreshold, setRebuildThreshold(0n));
    await refuses(RegistryErr.badThreshold, setRebuildThreshold(5n));
    await does(setRebuildThreshold(4n));
    await refuses(RegistryErr.badThreshold, setRebuilder(A, false));
    await refuses(RegistryErr.tooFewRebuilds, image(1n, { by: REBUILDERS }));
    await does(setRebuildThreshold(3n));
    await does(image(1n, { by: REBUILDERS }));
    // What somebody signed before being struck off stays in the entry, and counts no more for the next approval.
    await does(setRebuilder(A, false));
    assert.equal((await registry.getImage(1n)).rebuilds.size, 3);
    await does(revoke(Kind.image, 1n));
    await refuses(RegistryErr.tooFewRebuilds, image(1n, { by: REBUILDERS }));
    await does(image(1n, { by: [B, C, keys('new')] }));
});

// Models and the council at their edges: what mutation testing found that no other test looked at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COUNCIL, Entry, Kind, RegistryErr } from '../support/dao';
import { remove, revoke, scheduleImage, scheduleModel, suspend, suspension } from '../support/entries';
import { DAY } from '../support/network';
import { registry } from '../support/registries';

test('attack_42: what is in use is not approved once more; what is over is, and takes no second place', async () => {
    const { registry: contract, address, takes, refuses } = await registry();
    for (const [kind, body, name] of [
        [Kind.model, scheduleModel(9n), 'models'],
        [Kind.image, scheduleImage(address, 9n), 'images'],
    ] as const) {
        await takes(body);
        await refuses(RegistryErr.listed, body);
        await takes(revoke(kind, 9n));
        await takes(body);
        assert.equal((await contract.getSnapshot()).counts[name], 1n);
    }
    assert.equal(await contract.getModelStatus(9n), Entry.scheduled);
});

test('what was removed is not there, and what is not there is neither revoked nor removed', async () => {
    const { registry: contract, address, takes, refuses } = await registry();
    for (const [kind, body, list] of [
        [Kind.model, scheduleModel(9n), 'models'],
        [Kind.image, scheduleImage(address, 9n), 'images'],
    ] as const) {
        await refuses(RegistryErr.noEntry, revoke(kind, 9n));
        await takes(body);
        await takes(revoke(kind, 9n));
        await takes(remove(kind, 9n));
        assert.equal((await contract.getSnapshot())[list].size, 0);
        await refuses(RegistryErr.noEntry, remove(kind, 9n));
    }
});

test('a council of which one is enough suspends by one signature; one without members by none', async () => {
    const { net, registry: contract, address, takes, refuses } = await registry({}, { council: { threshold: 1n, members: COUNCIL.slice(0, 1) } });
    await takes(scheduleModel(9n));
    const validUntil = BigInt(net.now + DAY);
    const cell = suspension({ registry: address, kind: Kind.model, id: 9n, scheduledAt: BigInt(net.now), validUntil });
    await refuses(RegistryErr.notCouncil, suspend(Kind.model, 9n, validUntil, []));
    await takes(suspend(Kind.model, 9n, validUntil, [{ key: COUNCIL[0], cell }]));
    assert.equal(await contract.getModelStatus(9n), Entry.suspended);
    const nobody = await registry({}, { council: { threshold: 0n, members: [] } });
    await nobody.takes(scheduleModel(9n));
    await nobody.refuses(RegistryErr.notCouncil, suspend(Kind.model, 9n, validUntil, []));
});

// RG-3, RG-24: what the registry says of each change, seen where it leaves the registry. That the log takes it is another test.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadLogEntry } from '../build/TransparencyLog';
import { everyChange } from '../support/changes';
import { REGISTRY_MIN_VALUE, impersonate, registryAt } from '../support/dao';
import { number } from '../support/log';
import { Network, allOn, assertOk, op, sent, ton } from '../support/network';
import { place } from '../support/placed';

test('the log hears of each change what it is, of what, from when on, and by which words; the rest comes back', async () => {
    const net = await Network.create();
    const governor = await net.wallet('governor');
    const contract = await registryAt(governor.address, { forged: { ready: true, revision: 7n } });
    const registry = await place(net, contract, ton('100'));
    let revision = 7n;
    for (const { name, body, kind, id, moment } of everyChange(net, registry.address)) {
        revision += 1n;
        const result = await impersonate(net, governor.address, registry.address, body, REGISTRY_MIN_VALUE);
        const messages = sent(assertOk(allOn(result, registry.address)[0]));
        assert.deepEqual(messages.map((m) => m.bounce), [true, false], name);
        const words = { revision, event: BigInt(op(body)), kind, id, moment, at: BigInt(net.now), body: number(body.hash()) };
        assert.deepEqual(loadLogEntry(messages[0].body.beginParse()), { $$type: 'LogEntry', ...words }, name);
        assert.deepEqual([messages[1].to.toString(), op(messages[1].body)], [governor.address.toString(), 0xd53276db], name);
    }
});

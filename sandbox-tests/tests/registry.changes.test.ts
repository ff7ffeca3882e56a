// RG-3, RG-24: what the registry says of each change, seen where it leaves the registry. That the log takes it is another test.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadLogEntry } from '../build/TransparencyLog';
import { everyChange } from '../support/changes';
import { outgoing } from '../support/exact';
import { LOG_ENTRY_VALUE, number } from '../support/log';
import { op } from '../support/network';
import { registry } from '../support/registries';

test('the log hears of each change what it is, of what, from when on, and by which words; it is given what an entry costs, and the rest comes back', async () => {
    const { net, address, governor, takes } = await registry({ revision: 7n });
    let revision = 7n;
    for (const { name, body, kind, id, moment } of everyChange(net, address)) {
        revision += 1n;
        const messages = outgoing(net, await takes(body));
        assert.equal(messages[0].cost, LOG_ENTRY_VALUE, name);
        assert.deepEqual(messages.map((m) => m.bounce), [true, false], name);
        const words = { revision, event: BigInt(op(body)), kind, id, moment, at: BigInt(net.now), body: number(body.hash()) };
        assert.deepEqual(loadLogEntry(messages[0].body.beginParse()), { $$type: 'LogEntry', ...words }, name);
        assert.deepEqual([messages[1].to.toString(), op(messages[1].body)], [governor.address.toString(), 0xd53276db], name);
    }
});

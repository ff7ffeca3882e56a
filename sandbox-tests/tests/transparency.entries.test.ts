// TL-1, RG-24: every change of the registry is in the log, and nothing else can be there in its name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, beginCell } from '@ton/core';
import { LogEntry, loadLogEntry } from '../build/TransparencyLog';
import { everyChange } from '../support/changes';
import { Dao, PARAMS, REGISTRY_MIN_VALUE, impersonate, registryAt } from '../support/dao';
import { evict, setBan, setSuccessor } from '../support/entries';
import { LOG_ENTRY_VALUE, LOG_RESERVE, Log, LogErr, bytes, entryBody, hashLeaf, logOf, merkleRoot, number } from '../support/log';
import { DAY, GENESIS, Network, Result, allOn, assertOk, compute, keys, on, op, publicKey, sent, storageFee, ton } from '../support/network';
import { registerProxy } from '../support/proxies';

const LOG_ENTRY = 0x544c0001;

async function logged() {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const log = await logOf(net, dao.registry.address);
    const say = (body: Cell, value = REGISTRY_MIN_VALUE) => impersonate(net, dao.governor.address, dao.registry.address, body, value);
    return { net, dao, registry: dao.registry, log, say };
}

/** What the registry told the log in these transactions. */
function told(result: Result, log: Log): LogEntry[] {
    return allOn(result, log.address)
        .filter((tx) => tx.inMessage && op(tx.inMessage.body) === LOG_ENTRY)
        .map((tx) => loadLogEntry(assertOk(tx).inMessage!.body.beginParse()));
}

const hashOf = (body: Cell) => number(body.hash());

test('the registry opens its log when it is set up, and the log is where everybody can compute it', async () => {
    const { net, dao, registry, log } = await logged();
    assert.ok((await registry.getTransparencyLogAddress()).equals(log.address));
    const state = await log.getState();
    assert.ok(state.registry.equals(registry.address));
    assert.equal(state.size, 1n);
    assert.ok((await net.balance(log.address)) > LOG_RESERVE);
    // Setting up once more tells nothing and costs the registry nothing.
    const before = await net.balance(registry.address);
    const again = await registry.send(dao.deployer.getSender(), { value: ton('0.1') }, { $$type: 'SetUpRegistry', queryId: 1n });
    assert.deepEqual(told(again, log), []);
    assert.equal(await net.balance(registry.address), before - storageFee(on(again, registry.address)));
});

test('each change is one leaf that says what happened to what, when, from when on, and by which words', async () => {
    const { net, registry, log, say } = await logged();
    const now = BigInt(GENESIS);
    const changes = everyChange(net, registry.address);
    const leaves: Uint8Array[] = [];
    let revision = 1n;
    const remember = (entry: LogEntry) => leaves.push(hashLeaf(bytes(entryBody(entry))));
    remember({ $$type: 'LogEntry', revision, event: 0x52470001n, kind: 0n, id: 0n, moment: now, at: now, body: hashOf(setUpBody()) });
    for (const { name, body, kind, id, moment } of changes) {
        const result = await say(body);
        assertOk(on(result, registry.address));
        revision += 1n;
        const expected = { $$type: 'LogEntry', revision, event: BigInt(op(body)), kind, id, moment, at: now, body: hashOf(body) } as const;
        assert.deepEqual(told(result, log), [expected], name);
        remember(expected);
        assert.equal((await registry.getSnapshot()).revision, revision);
    }
    assert.deepEqual(await log.getHead(), { $$type: 'LogHead', size: BigInt(leaves.length), root: number(merkleRoot(leaves)) });
});

test('a proxy that registers, leaves or is sent away is logged by its key', async () => {
    const { net, dao, registry, log, say } = await logged();
    const owner = await net.wallet('proxy owner');
    const key = publicKey(keys('proxy key'));
    const entered = await registerProxy(dao, owner, { key: 'proxy key' });
    const [entry] = told(entered, log);
    assert.deepEqual([entry.event, entry.kind, entry.id], [0x52470011n, 0n, key]);
    assert.equal(allOn(entered, log.address).length, 1);
    const evicted = await say(evict(owner.address));
    assert.deepEqual(told(evicted, log).map((e) => [e.event, e.kind, e.id]), [[0x5247000dn, 0n, key]]);
    // The bond comes back to the nanoton.
    net.later(Number(PARAMS.proxyUnbonding));
    const left = assertOk(on(await registry.send(owner.getSender(), { value: REGISTRY_MIN_VALUE }, { $$type: 'WithdrawProxy', queryId: 1n }), registry.address));
    assert.ok(sent(left)[0].value > PARAMS.minProxyBond);
});

test('attack_58_entries_in_the_registrys_name: only the registry logs entries, and a log of another registry is another account', async () => {
    const { net, dao, registry, log } = await logged();
    const others: Address[] = [(await net.wallet('anybody')).address, dao.governor.address];
    for (const sender of others) {
        await net.refused(log.address, LogErr.notRegistry, () => impersonate(net, sender, log.address, entryBody(), LOG_ENTRY_VALUE));
    }
    assert.equal((await log.getHead()).size, 1n);
    const forged = await logOf(net, others[0]);
    assert.ok(!forged.address.equals(log.address));
    // Words that are cut short are no leaf, not even from the registry.
    const short = new Cell({ bits: entryBody().beginParse().loadBits(672) });
    assert.notEqual(compute(on(await impersonate(net, registry.address, log.address, short, LOG_ENTRY_VALUE), log.address)).exitCode, 0);
    assert.equal((await log.getHead()).size, 1n);
});

test('attack_45_a_log_that_is_gone_stops_nothing: the bounce stays for storage and the change stands', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    // A registry whose log was never opened, as if it had been frozen and forgotten.
    const state = await dao.registry.getSnapshot();
    const contract = await registryAt(dao.governor.address, { forged: { ready: true, revision: 5n, counts: state.counts, tcb: state.tcb } });
    const registry = net.chain.openContract(contract);
    const owner = await net.wallet('opener');
    assertOk(on(await net.send(owner, registry.address, ton('2'), Cell.EMPTY, { init: contract.init }), registry.address));
    const log = await logOf(net, registry.address);
    const before = await net.balance(registry.address);
    const result = await impersonate(net, dao.governor.address, registry.address, setBan(9n, true), REGISTRY_MIN_VALUE);
    const [change, bounce] = allOn(result, registry.address);
    assertOk(change);
    assert.equal(compute(on(result, log.address)).skipped, 'no-state');
    assert.equal(bounce.inMessage?.info.type === 'internal' && bounce.inMessage.info.bounced, true);
    assertOk(bounce);
    assert.ok((await registry.getSnapshot()).tcb.banned.get(9n) !== undefined);
    assert.ok((await net.balance(registry.address)) > before, 'nobody but the sender pays');
});

test('no change without its leaf: with too little value for the log there is no change', async () => {
    const { net, registry, say } = await logged();
    const { revision } = await registry.getSnapshot();
    await net.refused(registry.address, 1100, () => say(setBan(9n, true), REGISTRY_MIN_VALUE - 1n));
    assert.equal((await registry.getSnapshot()).revision, revision);
});

test('what the registry gives the log is the stated value, of which only the forwarding fee is taken', async () => {
    const { registry, log, say } = await logged();
    const message = on(await say(setBan(9n, true)), log.address).inMessage!;
    assert.ok(message.info.type === 'internal' && message.info.src.equals(registry.address));
    const fee = LOG_ENTRY_VALUE - message.info.value.coins;
    assert.ok(fee > 0n);
    // A third of the fee, 21845/65536, goes to the sender's shard; the message carries what is left of it.
    assert.equal(message.info.forwardFee, fee - ((fee * 21845n) >> 16n));
});

test('a successor has a log of its own, and the old registry goes on in the old one', async () => {
    const { net, dao, registry, log, say } = await logged();
    const next = net.chain.openContract(await registryAt(dao.governor.address, { params: { minWorkerStake: 1n } }));
    const setUp = { $$type: 'SetUpRegistry', queryId: 0n } as const;
    const opened = await next.send(dao.deployer.getSender(), { value: ton('2') }, setUp);
    const nextLog = await logOf(net, next.address);
    assert.equal(told(opened, nextLog).length, 1);
    const named = await say(setSuccessor(next.address));
    assert.deepEqual(told(named, log).map((e) => [e.event, e.moment]), [[0x52470017n, BigInt(net.now) + PARAMS.activationDelay]]);
    assert.ok(!nextLog.address.equals(log.address));
    assert.equal((await nextLog.getHead()).size, 1n);
    await net.refused(nextLog.address, LogErr.notRegistry, () => impersonate(net, registry.address, nextLog.address, entryBody(), LOG_ENTRY_VALUE));
});

test('the registry stays in balance to the nanoton, whatever it logs', async () => {
    const { net, registry, say } = await logged();
    const before = await net.balance(registry.address);
    let fees = 0n;
    for (const banned of [true, false, true]) {
        const tx = assertOk(on(await say(setBan(4n, banned), ton('1')), registry.address));
        fees += storageFee(tx);
    }
    assert.equal(await net.balance(registry.address), before - fees);
});

function setUpBody(): Cell {
    return beginCell().storeUint(0x52470001, 32).storeUint(0, 64).endCell();
}

// Amounts, bounds and times of the registry to the last one: what mutation testing found that no other test looked at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, Dictionary, beginCell } from '@ton/core';
import { RegistryParams, loadProxyBondReturned, storeSetCouncil, storeSettled } from '../build/Registry';
import { BURN, Channel, evidence, termsCell } from '../support/channel';
import { COUNCIL, Dao, Entry, Kind, PARAMS, REGISTRY_MIN_VALUE, RegistryErr, impersonate, keys, publicKey, registryAt } from '../support/dao';
import { deprecate, lift, remove, revoke, scheduleImage, scheduleModel, setBan, setCodes, setCouncil, setParams, setRoot, someCodes, suspend, suspension } from '../support/entries';
import { comesBack, holds, keeps, withCellPrice } from '../support/exact';
import { LOG_ENTRY_VALUE, LOG_RESERVE, logOf } from '../support/log';
import { DAY, Network, allOn, assertOk, bareOp, on, sent, ton, withForwardPrice } from '../support/network';
import { PROXY_FEE, registerProxy } from '../support/proxies';
import { accuse, equivocation, revokedUse } from '../support/reports';
import { Record } from '../support/reputation';

const BOND = PARAMS.minProxyBond;
const RESERVE = ton('1');
const SET_UP = { $$type: 'SetUpRegistry', queryId: 3n } as const;

/** A registry, and ways to speak to it as its governor. */
async function governed() {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const { registry } = dao;
    const { address } = registry;
    const say = (body: Cell, value = REGISTRY_MIN_VALUE) => impersonate(net, dao.governor.address, address, body, value);
    const does = async (body: Cell) => assertOk(on(await say(body), address));
    const refuses = (code: number, body: Cell) => net.refused(address, code, () => say(body));
    return { net, dao, registry, address, say, does, refuses };
}

/** A bonded proxy that pays a worker through a channel, and can be convicted of two vouchers. */
async function proxied(bond = BOND) {
    const base = await governed();
    const { net, dao, registry } = base;
    const channel = await Channel.create(net);
    assertOk(on(await registerProxy(dao, channel.payer, { key: 'payer', bond }), registry.address));
    const said = (ok: bigint) => [channel.voucher({ cumulative: 1n, evidence: evidence({ registry: registry.address, ok }) }), channel.payerKeys] as [Cell, typeof channel.payerKeys];
    const reporter = await net.wallet('reporter');
    const slash = (value?: bigint) => accuse(net, registry.address, reporter, equivocation(termsCell(channel.terms), said(9n), said(10n)), { value });
    const settled = (value: bigint) => {
        const words = { $$type: 'Settled', queryId: 1n, amount: 5n, caller: reporter.address, terms: termsCell(channel.terms), evidence: said(9n)[0].refs[0] } as const;
        return impersonate(net, channel.address, registry.address, beginCell().store(storeSettled(words)).endCell(), value);
    };
    return { ...base, channel, owner: channel.payer, reporter, slash, settled };
}

test('parameters at their bounds are accepted, at genesis and at every change, and one beyond is not', async () => {
    const { registry, does, refuses } = await governed();
    const long = BigInt(90 * DAY);
    const sound: Partial<RegistryParams>[] = [
        { minWorkerStake: 1n, minProxyBond: 1n },
        { activationDelay: 600n, proxyUnbonding: 600n, minChallenge: 600n, protocolFeeBps: 0n, suspensionPeriod: BigInt(DAY) },
        { activationDelay: long, proxyUnbonding: long, minChallenge: long, protocolFeeBps: 2000n, suspensionPeriod: BigInt(30 * DAY) },
    ];
    for (const params of sound) {
        await does(setParams({ ...PARAMS, ...params }));
        assert.deepEqual((await registry.getSnapshot()).params, { ...PARAMS, ...params });
    }
    const unsound: Partial<RegistryParams>[] = [{ minWorkerStake: 0n }, { minProxyBond: 0n }, { protocolFeeBps: 2001n }];
    for (const delay of ['activationDelay', 'proxyUnbonding', 'minChallenge'] as const) unsound.push({ [delay]: 599n }, { [delay]: long + 1n });
    unsound.push({ suspensionPeriod: BigInt(DAY - 1) }, { suspensionPeriod: BigInt(30 * DAY + 1) });
    for (const params of unsound) await refuses(RegistryErr.badParams, setParams({ ...PARAMS, ...params }));
});

test('setting up fills the reserve to the nano, opens the log with what it needs, and counts what is there', async () => {
    const net = await Network.create();
    const deployer = await net.wallet('deployer');
    const counts = { $$type: 'RegistryCounts', images: 5n, models: 5n, proxies: 5n, roots: 5n, banned: 5n } as const;
    const contract = await registryAt(deployer.address, { roots: [7n, 8n], forged: { counts, revision: 9n } });
    const registry = net.chain.openContract(contract);
    const result = await registry.send(deployer.getSender(), { value: ton('2') }, SET_UP);
    const tx = assertOk(on(result, registry.address));
    assert.equal(await net.balance(registry.address), RESERVE);
    const log = await logOf(net, registry.address);
    const [opening, entry, rest] = sent(tx);
    holds(opening.to.equals(log.address) && !opening.bounce && opening.body.equals(Cell.EMPTY));
    holds(entry.to.equals(log.address) && entry.bounce && opening.value < LOG_RESERVE && entry.value < LOG_ENTRY_VALUE);
    holds(opening.value > LOG_RESERVE - ton('0.01') && entry.value > LOG_ENTRY_VALUE - ton('0.01'));
    holds(rest.to.equals(deployer.address) && !rest.bounce);
    const state = await registry.getSnapshot();
    assert.deepEqual([state.ready, state.revision], [true, 1n]);
    assert.deepEqual(state.counts, { $$type: 'RegistryCounts', images: 0n, models: 0n, proxies: 0n, roots: 2n, banned: 0n });
    // Rich it keeps what it has.
    assertOk(on(await net.send(deployer, registry.address, ton('3')), registry.address));
    await keeps(net, registry.address, 0n, () => registry.send(deployer.getSender(), { value: ton('1') }, SET_UP));
});

test('attack_17_a_log_that_cannot_be_paid for opens no registry, and changes none', async () => {
    const { net, dao, address, say } = await governed();
    const { config } = net.chain;
    net.chain.setConfig(withForwardPrice(config, ton('0.03')));
    await comesBack(net, address, () => say(setBan(9n, true), ton('1')));
    // The log's code has many cells, an entry one.
    net.chain.setConfig(withCellPrice(config, ton('0.01')));
    const next = net.chain.openContract(await registryAt(dao.governor.address, { roots: [99n] }));
    await net.send(dao.deployer, next.address, ton('1'), bareOp(0), { init: next.init });
    await comesBack(net, next.address, () => next.send(dao.deployer.getSender(), { value: ton('3') }, SET_UP));
    net.chain.setConfig(config);
    assertOk(on(await next.send(dao.deployer.getSender(), { value: ton('3') }, SET_UP), next.address));
});

test('attack_45_an_entry_for_the_log_bounces when the log is gone, so its value is not lost', async () => {
    const { address, say } = await governed();
    const [entry, rest] = sent(on(await say(setBan(9n, true), ton('1')), address));
    assert.deepEqual([entry.bounce, rest.bounce], [true, false]);
});

test('asking for what is not there fails with its own code', async () => {
    const { net, registry, does } = await governed();
    const fails = (code: number, ask: Promise<unknown>) => assert.rejects(ask, { message: new RegExp(`exit_code: ${code}`) });
    await fails(RegistryErr.noEntry, registry.getImage(1n));
    await fails(RegistryErr.noEntry, registry.getModel(1n));
    await fails(RegistryErr.noProxy, registry.getProxy((await net.wallet('nobody')).address));
    await does(scheduleModel(1n));
    assert.deepEqual([await registry.getImageStatus(1n), await registry.getModelStatus(1n)], [Entry.unknown, Entry.scheduled]);
    assert.equal((await registry.getSnapshot()).counts.models, 1n);
});

test('a model that is removed leaves its place; so does an image', async () => {
    const { registry, address, does } = await governed();
    for (const n of [1n, 2n]) {
        await does(scheduleModel(n));
        await does(scheduleImage(address, n));
    }
    await does(revoke(Kind.model, 1n));
    await does(remove(Kind.model, 1n));
    let { counts } = await registry.getSnapshot();
    assert.deepEqual([counts.models, counts.images], [1n, 2n]);
    await does(revoke(Kind.image, 1n));
    await does(remove(Kind.image, 1n));
    ({ counts } = await registry.getSnapshot());
    assert.deepEqual([counts.models, counts.images], [1n, 1n]);
});

test('attack_48_a_sunset_may_be_said_again, and the status is as old as its last change', async () => {
    const { net, registry, address, does, refuses } = await governed();
    await does(scheduleImage(address, 1n));
    const sunset = net.now + 9 * DAY;
    net.later(DAY);
    await does(deprecate(Kind.image, 1n, sunset));
    const at = BigInt(net.now);
    net.later(DAY);
    await does(deprecate(Kind.image, 1n, sunset, 'said again'));
    const { life } = await registry.getImage(1n);
    assert.deepEqual([life.sunset, life.changedAt, life.reason], [BigInt(sunset), at, 'said again']);
    await refuses(RegistryErr.badSunset, deprecate(Kind.image, 1n, sunset + 1));
    net.now = sunset - 1;
    assert.equal(await registry.getImageStatus(1n), Entry.deprecated);
    net.now = sunset;
    assert.equal(await registry.getImageStatus(1n), Entry.retired);
});

test('a suspension is lifted before its end, not after, and at the second of the order', async () => {
    const { net, registry, address, does, refuses } = await governed();
    for (const id of [1n, 2n]) await does(scheduleModel(id));
    const scheduledAt = BigInt(net.now);
    net.later(3 * DAY);
    const validUntil = BigInt(net.now + 1);
    for (const id of [1n, 2n]) {
        const cell = suspension({ registry: address, kind: Kind.model, id, scheduledAt, validUntil });
        const order = suspend(Kind.model, id, validUntil, COUNCIL.slice(0, 2).map((key) => ({ key, cell })));
        assertOk(on(await net.send(await net.wallet('anybody'), address, REGISTRY_MIN_VALUE, order), address));
    }
    const end = net.now + Number(PARAMS.suspensionPeriod);
    net.now = end - 1;
    await does(lift(Kind.model, 1n));
    assert.equal((await registry.getModel(1n)).life.suspendedUntil, BigInt(end - 1));
    assert.equal(await registry.getModelStatus(1n), Entry.active);
    assert.equal(await registry.getModelStatus(2n), Entry.suspended);
    net.now = end;
    await refuses(RegistryErr.notSuspended, lift(Kind.model, 2n));
    assert.equal(await registry.getModelStatus(2n), Entry.active);
});

test('one of a council may be enough; a council of members that are none is no council', async () => {
    const { registry, does, refuses } = await governed();
    for (const council of [COUNCIL, COUNCIL.slice(1, 2)]) {
        await does(setCouncil(1n, council));
        const { threshold, members: keys } = (await registry.getSnapshot()).council;
        assert.deepEqual([threshold, keys.size], [1n, council.length]);
    }
    const members = Dictionary.empty(Dictionary.Keys.BigUint(256), Dictionary.Values.Bool());
    for (const [i, key] of COUNCIL.entries()) members.set(publicKey(key), i !== 0);
    await refuses(RegistryErr.badThreshold, beginCell().store(storeSetCouncil({ $$type: 'SetCouncil', queryId: 1n, threshold: 1n, members })).endCell());
});

test('an endpoint is whole bytes in one cell', async () => {
    const { net, owner, address } = await proxied();
    const update = (endpoint: Cell) => {
        const body = beginCell().storeUint(0x52470012, 32).storeUint(1, 64).storeCoins(0).storeRef(endpoint).endCell();
        return net.send(owner, address, REGISTRY_MIN_VALUE, body);
    };
    const whole = beginCell().storeStringTail('1.2.3.4:5').endCell();
    for (const bits of [1, 4, 7]) {
        await net.refused(address, RegistryErr.badText, () => update(beginCell().storeSlice(whole.beginParse()).storeUint(0, bits).endCell()));
    }
    await net.refused(address, RegistryErr.badText, () => update(beginCell().storeSlice(whole.beginParse()).storeRef(whole).endCell()));
    await net.refused(address, RegistryErr.badText, () => update(beginCell().storeBuffer(Buffer.alloc(127, 65)).storeUint(0, 1).endCell()));
    await net.refused(address, RegistryErr.badText, () => update(Cell.EMPTY));
    for (const length of [1, 127]) assertOk(on(await update(beginCell().storeBuffer(Buffer.alloc(length, 65)).endCell()), address));
});

test('proxies pay for themselves: what the registry keeps of each message is to the nano', async () => {
    const { net, registry, address, owner, say } = await proxied();
    const own = { value: REGISTRY_MIN_VALUE };
    let { revision } = await registry.getSnapshot();
    const grew = async () => assert.equal((await registry.getSnapshot()).revision, (revision += 1n));
    const update = { $$type: 'UpdateProxy', queryId: 1n, addBond: 7n, endpoint: 'x' } as const;
    await keeps(net, address, 7n, () => registry.send(owner.getSender(), { value: REGISTRY_MIN_VALUE + 7n }, update));
    await grew();
    assert.equal((await registry.getSnapshot()).bonded, BOND + 7n);
    await keeps(net, address, 0n, () => registry.send(owner.getSender(), own, { $$type: 'UnbondProxy', queryId: 1n }));
    await grew();
    net.later(Number(PARAMS.proxyUnbonding) - 1);
    const leave = () => registry.send(owner.getSender(), own, { $$type: 'WithdrawProxy', queryId: 8n });
    await net.refused(address, RegistryErr.proxyLocked, leave);
    net.later(1);
    const tx = await keeps(net, address, -BOND - 7n, leave);
    await grew();
    const { queryId, amount } = loadProxyBondReturned(sent(tx)[0].body.beginParse());
    assert.deepEqual([queryId, amount], [8n, BOND + 7n]);
    const enter = () => registerProxy({ net, registry } as Dao, owner, { key: 'again', bond: BOND + 1n });
    await keeps(net, address, BOND + 1n + PROXY_FEE, enter);
    await grew();
    await keeps(net, address, 0n, () => say(setRoot(5n, true)));
});

test('storage that ate into the bonds: a proxy that leaves, and a reporter, get what is there', async () => {
    const left = await proxied();
    assertOk(on(await left.registry.send(left.owner.getSender(), { value: REGISTRY_MIN_VALUE }, { $$type: 'UnbondProxy', queryId: 1n }), left.address));
    left.net.later(Number(PARAMS.proxyUnbonding));
    (await left.net.chain.getContract(left.address)).balance = ton('30');
    const out = await left.registry.send(left.owner.getSender(), { value: REGISTRY_MIN_VALUE }, { $$type: 'WithdrawProxy', queryId: 1n });
    holds(sent(assertOk(on(out, left.address)))[0].value > ton('29'));
    assert.equal(await left.net.balance(left.address), 0n);

    const caught = await proxied();
    (await caught.net.chain.getContract(caught.address)).balance = ton('30');
    const result = assertOk(on(await caught.slash(), caught.address));
    assert.equal(sent(result).find((m) => m.to.equals(BURN))?.value, BOND / 2n);
    assert.equal(await caught.net.balance(caught.address), 0n);
    // Too little even for the half that burns: nothing happens, and the proof may be shown again.
    const poor = await proxied();
    (await poor.net.chain.getContract(poor.address)).balance = ton('20');
    await comesBack(poor.net, poor.address, () => poor.slash());
});

test('of an odd bond the larger half burns, and the registry pays the bond and nothing else', async () => {
    const { net, address, slash, reporter } = await proxied(BOND + 1n);
    const before = await net.balance(address);
    const tx = assertOk(on(await slash(), address));
    assert.equal(await net.balance(address), before - BOND - 1n);
    const [entry, burnt, reward] = sent(tx);
    holds(entry.bounce && burnt.to.equals(BURN) && reward.to.equals(reporter.address) && !reward.bounce);
    assert.equal(burnt.value, BOND / 2n + 1n);
});

test('accusing and vouching cost the registry nothing', async () => {
    const { net, dao, address, does, settled, reporter } = await proxied();
    await does(scheduleImage(address, 1n));
    await does(revoke(Kind.image, 1n));
    const account = new Address(0, Buffer.alloc(32, 5));
    const proof = revokedUse({ node: keys('worker node'), account, kind: Kind.image, time: net.now + 601 });
    const before = await net.balance(address);
    const report = await accuse(net, address, reporter, proof);
    const [heard] = allOn(report, address);
    const [order] = sent(assertOk(heard));
    holds(order.to.equals(dao.governor.address) && order.bounce);
    // The governor does not listen to this registry yet: the order's value came back, and nothing else was spent.
    const bounced = sent(on(report, dao.governor.address))[0].value - allOn(report, address)[1].totalFees.coins;
    assert.equal(await net.balance(address), before + bounced);
    const tx = await keeps(net, address, 0n, () => settled(ton('0.1')));
    assert.deepEqual(sent(tx).map((m) => m.bounce), [true]);
});

test("attack_58_a_record's address follows from its registry and its node, for everybody who computes it", async () => {
    const { net, registry, address } = await governed();
    const record = await Record.at(net, address, 5n);
    holds((await registry.getReputationAddress(5n)).equals(record.address));
});

test('attack_17_evidence_that_cannot_be_sent comes back', async () => {
    const { net, address, settled } = await proxied();
    net.chain.setConfig(withCellPrice(net.chain.config, ton('0.2')));
    await comesBack(net, address, () => settled(ton('2')));
});

test('a registry that owes for its storage still vouches', async () => {
    const { net, address, settled } = await proxied();
    net.later(DAY);
    (await net.chain.getContract(address)).balance = 0n;
    assertOk(on(await settled(ton('0.5')), address));
    assert.equal(await net.balance(address), 0n);
});

test('UP-1: a code is a former one up to the second that was voted', async () => {
    const { net, registry, does } = await governed();
    const { codes } = await registry.getSnapshot();
    const until = net.now + 1;
    await does(setCodes(someCodes(10n), until));
    assert.equal((await registry.getSnapshot()).formerChannels.get(codes.payChannel.hash)?.acceptedUntil, BigInt(until));
    net.later(1);
    await does(setCodes(someCodes(20n), net.now));
    assert.equal((await registry.getSnapshot()).formerChannels.size, 0);
});

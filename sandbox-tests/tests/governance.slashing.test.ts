// GV-7 and GV-11 to GV-13: what the governor passes on about misconduct, and what it counts of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, beginCell } from '@ton/core';
import { sign } from '@ton/crypto';
import { FaultReport } from '../build/FaultReport';
import { loadSlashNode, storePunishNode, storeSetRegistry, storeSlashStake } from '../build/Governor';
import { BURN } from '../support/channel';
import { Dao, EPOCH, GovernorErr, Kind, bundle, from, governorAt, impersonate, keys, nodeAuth, publicKey } from '../support/dao';
import { revoke, scheduleImage } from '../support/entries';
import { GLOBAL_ID, Network, allOn, assertOk, compute, noteGas, on, sent, ton } from '../support/network';

const NODE = publicKey(keys('worker node'));
const slashBody = (amount: bigint, owner: Address) =>
    beginCell().store(storeSlashStake({ $$type: 'SlashStake', queryId: 1n, amount, owner })).endCell();
const registryBody = (registry: Address) =>
    beginCell().store(storeSetRegistry({ $$type: 'SetRegistry', queryId: 1n, registry })).endCell();
const punishBody = (account: Address, reporter: Address) =>
    beginCell().store(storePunishNode({ $$type: 'PunishNode', queryId: 1n, account, node: NODE, reporter })).endCell();

test('slashed stake weighs no more from the next epoch on; no lack of value keeps the governor from counting it', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const { governor } = dao;
    const [ann] = dao.stakers;
    const body = slashBody(ton('120'), ann.wallet.address);
    const slash = (value: bigint) => impersonate(net, ann.account.address, governor.address, body, value);
    noteGas('governance: slashed stake, in the governor', assertOk(on(await slash(ton('0.02')), governor.address)));
    const now = await governor.getState();
    assert.deepEqual([now.totalStake, now.nextTotalStake], [ton('1000'), ton('880')], 'G1: a snapshot that was taken stays');
    net.later(EPOCH);
    assert.equal((await governor.getState()).totalStake, ton('880'));
    assertOk(on(await slash(ton('0.02')), governor.address));
    net.later(EPOCH);
    const after = await governor.getState();
    assert.deepEqual([after.totalStake, after.nextTotalStake], [ton('760'), ton('760')]);
    // Only the account of that owner says so (attacks 39, 58).
    const thief = await net.wallet('thief');
    for (const owner of [ann.wallet.address, thief.address]) {
        await net.refused(governor.address, GovernorErr.notStakeAccount, () => net.send(thief, governor.address, ton('1'), slashBody(1n, owner)));
    }
    await net.refused(governor.address, GovernorErr.notStakeAccount, () =>
        impersonate(net, ann.account.address, governor.address, slashBody(1n, dao.stakers[1].wallet.address)),
    );
});

test('a vote names the registry whose word counts, and nobody else does (G5)', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const { governor, registry } = dao;
    assert.equal((await governor.getState()).registry, null);
    for (const name of ['thief', 'deployer']) {
        const somebody = await net.wallet(name);
        await net.refused(governor.address, GovernorErr.notSelf, () => net.send(somebody, governor.address, ton('1'), registryBody(somebody.address)));
    }
    await net.refused(governor.address, GovernorErr.notSelf, () => impersonate(net, registry.address, governor.address, registryBody(registry.address)));
    const result = await dao.decide(dao.stakers, [{ to: governor.address, body: registryBody(registry.address) }]);
    assert.ok((await governor.getState()).registry?.equals(registry.address));
    assert.equal(from(allOn(result, governor.address), governor.address).length, 1);
    // Born with one it is refused.
    const born = net.chain.openContract(await governorAt({}, 9n, BigInt(EPOCH), registry.address));
    const setUp = await born.send(dao.deployer.getSender(), { value: ton('1') }, { $$type: 'SetUpGovernor', queryId: 0n });
    assert.equal(compute(on(setUp, born.address)).exitCode, GovernorErr.badParams);
});

test('the registry accuses, the governor orders, the account knows; nobody else gives the order', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const { governor, registry } = dao;
    const [ann] = dao.stakers;
    const reporter = await net.wallet('reporter');
    const body = punishBody(ann.account.address, reporter.address);
    const accuse = (by: Address, value = ton('0.4')) => impersonate(net, by, governor.address, body, value);
    // Before a vote has named it, the registry is nobody.
    await net.refused(governor.address, GovernorErr.notRegistry, () => accuse(registry.address));
    assertOk(on(await impersonate(net, governor.address, governor.address, registryBody(registry.address)), governor.address));
    for (const by of [reporter.address, ann.account.address]) {
        await net.refused(governor.address, GovernorErr.notRegistry, () => accuse(by));
    }
    await net.refused(governor.address, GovernorErr.lowValue, () => accuse(registry.address, ton('0.05') - 1n));
    const treasury = await net.balance(governor.address);
    const result = await accuse(registry.address);
    const [tx] = allOn(result, governor.address);
    noteGas('governance: order to slash a node', assertOk(tx));
    const [order, ...more] = sent(tx);
    assert.equal(more.length, 0);
    assert.ok(order.to.equals(ann.account.address) && order.bounce && order.value > ton('0.38'));
    const words = loadSlashNode(order.body.beginParse());
    assert.equal(words.node, NODE);
    assert.ok(words.reporter.equals(reporter.address));
    // The account answers for no such node. Whatever it does with the order, the treasury loses nothing.
    assert.ok((await net.balance(governor.address)) > treasury - ton('0.001'));
});

test('a vote cannot give the order: slashing is for what was proven', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann, bob] = dao.stakers;
    const order = beginCell().storeUint(0x53540013, 32).storeUint(0, 64).storeUint(NODE, 256).storeAddress(bob.wallet.address).endCell();
    const refuses = (to: Address, body: Cell) =>
        net.refused(dao.governor.address, GovernorErr.badActions, () => dao.sendPropose(ann, bundle([{ to, body }]), Cell.EMPTY));
    await refuses(bob.account.address, order);
    // Nor in the registry's name: a message of the governor to itself is not the registry's.
    const body = punishBody(bob.account.address, ann.wallet.address);
    await net.refused(dao.governor.address, GovernorErr.notRegistry, () => impersonate(net, dao.governor.address, dao.governor.address, body, ton('1'), false));
});

test('a node that used a revoked image loses its bond, from the report over registry and governor to the stake', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const { governor, registry } = dao;
    const [ann] = dao.stakers;
    const node = keys('worker node');
    const account = ann.account.address;
    const register = { $$type: 'RegisterNode', queryId: 1n, key: NODE, bond: ton('100'), signature: nodeAuth(node, account) } as const;
    assertOk(on(await ann.account.send(ann.wallet.getSender(), { value: ton('0.2') }, register), account));
    await dao.decide(dao.stakers, [
        { to: governor.address, body: registryBody(registry.address) },
        { to: registry.address, body: scheduleImage(registry.address, 1n) },
    ]);
    await dao.decide(dao.stakers, [{ to: registry.address, body: revoke(Kind.image, 1n) }], 'revoke');
    net.later(3600);

    const receipt = beginCell()
        .storeUint(0x52435031, 32)
        .storeInt(GLOBAL_ID, 32)
        .storeAddress(account)
        .storeUint(1n, 64)
        .storeUint(net.now, 32)
        .storeRef(beginCell().storeUint(1n, 256).storeUint(2n, 256).storeUint(3n, 256).endCell())
        .storeRef(beginCell().storeUint(1n, 256).storeUint(0n, 256).endCell())
        .endCell();
    const proof = beginCell()
        .storeUint(0x46503034, 32)
        .storeUint(NODE, 256)
        .storeAddress(account)
        .storeUint(Kind.image, 8)
        .storeRef(beginCell().storeBuffer(sign(receipt.hash(), node.secretKey)).storeRef(receipt).endCell())
        .endCell();
    const reporter = await net.wallet('reporter');
    const salt = 5n;
    const commitment = beginCell().storeUint(0x46434d31, 32).storeAddress(reporter.address).storeUint(salt, 256).storeBuffer(proof.hash()).endCell();
    const init = await FaultReport.fromInit(registry.address, reporter.address, BigInt('0x' + commitment.hash().toString('hex')), 0n);
    const report = net.chain.openContract(init);
    await report.send(reporter.getSender(), { value: ton('0.1') }, { $$type: 'CommitFault', queryId: 1n });
    net.later(60);
    const before = await governor.getState();
    const held = (await ann.account.getState()).held;
    const result = await report.send(reporter.getSender(), { value: ton('0.6') }, { $$type: 'RevealFault', queryId: 2n, salt, proof });
    for (const address of [report.address, registry.address, account]) assertOk(on(result, address));
    for (const tx of allOn(result, governor.address)) assertOk(tx);
    assert.equal((await ann.account.getState()).held, held - ton('100'));
    assert.equal((await governor.getState()).nextTotalStake, before.nextTotalStake - ton('100'));
    const out = sent(on(result, account));
    assert.equal(out.find((m) => m.to.equals(BURN))?.value, ton('50'));
    const reward = out.find((m) => m.to.equals(reporter.address));
    assert.ok(reward && reward.value > ton('50.4') && reward.bounce === false);
});

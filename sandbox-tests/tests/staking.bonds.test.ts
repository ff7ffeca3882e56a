// SA-4, SA-9 and SA-10: what is retired still answers, and no stake answers for two nodes at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginCell } from '@ton/core';
import { storeSetGovernorParams } from '../build/Governor';
import { Dao, EPOCH, RULES, StakeErr, impersonate, keys, publicKey } from '../support/dao';
import { Network, assertOk, noteGas, on, ton } from '../support/network';
import { Fault, accuse, proofOf, receipt } from '../support/reports';
import { forgetNode, ok, registerNode, retireNode, solvent } from '../support/staking';

const DELAY = Number(RULES.unbondingDelay);

test('a retired node\'s bond answers until the delay is over, and for no other node meanwhile', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers; // 500 tons
    const { address } = ann.account;
    ok(await registerNode(dao, ann, 'old', { bond: ton('300') }), ann);
    ok(await retireNode(ann, 'old'), ann);
    const { bonded, pledged } = await solvent(net, ann);
    assert.deepEqual([bonded, pledged], [0n, ton('300')]);
    await net.refused(address, StakeErr.bonded, () => registerNode(dao, ann, 'new', { bond: ton('200') + 1n }));
    ok(await registerNode(dao, ann, 'new', { bond: ton('200') }), ann);
    await net.refused(address, StakeErr.bonded, () => registerNode(dao, ann, 'new', { bond: ton('201') }));
    assert.equal((await solvent(net, ann)).pledged, ton('500'));
    net.later(DELAY - 1);
    await net.refused(address, StakeErr.bonded, () => registerNode(dao, ann, 'new', { bond: ton('201') }));
    net.later(1);
    assert.equal((await solvent(net, ann)).pledged, ton('200'), 'the record is still there, and answers for nothing');
    ok(await registerNode(dao, ann, 'new', { bond: ton('500') }), ann);
    ok(await forgetNode(ann, 'old'), ann);
    await net.refused(address, StakeErr.noNode, () => forgetNode(ann, 'old'));
    assert.equal((await solvent(net, ann)).pledged, ton('500'));
});

test('attack_53_unbonding_before_the_proof: a released lot stays while a bond needs it', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const { address } = ann.account;
    // 200 of 500 tons leave; later a node of 300 is retired and one of 200 comes, so that all 500 are pledged.
    ok(await dao.unbond(ann, 0n, undefined, ton('200')), ann);
    net.later(EPOCH);
    ok(await registerNode(dao, ann, 'old', { bond: ton('300') }), ann);
    const retiredAt = net.now;
    ok(await retireNode(ann, 'old'), ann);
    ok(await registerNode(dao, ann, 'new', { bond: ton('200') }), ann);
    net.now = Number((await ann.account.getState()).lots.get(1)!.releaseAt);
    assert.ok(net.now < retiredAt + DELAY);
    await net.refused(address, StakeErr.bonded, () => dao.withdraw(ann, 1n));
    net.now = retiredAt + DELAY - 1;
    await net.refused(address, StakeErr.bonded, () => dao.withdraw(ann, 1n));
    net.later(1);
    noteGas('stake: withdraw, two nodes', on(ok(await dao.withdraw(ann, 1n), ann), address));
    await solvent(net, ann);
});

test('attack_53_unbonding_before_the_proof: both bonds of a swap can be slashed, one after the other', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const reporter = await net.wallet('reporter');
    ok(await registerNode(dao, ann, 'old', { bond: ton('300') }), ann);
    ok(await retireNode(ann, 'old'), ann);
    ok(await registerNode(dao, ann, 'new', { bond: ton('200') }), ann);
    for (const [name, left] of [['old', ton('200')], ['new', 0n]] as const) {
        const proof = proofOf(Fault.twoReceipts, keys(name), receipt({ time: net.now }), receipt({ time: net.now, response: 13n }));
        ok(await accuse(net, ann.account.address, reporter, proof), ann);
        assert.equal((await solvent(net, ann)).held, left);
    }
});

test('a longer delay that the account has heard of holds what is released by the old one', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const { address } = ann.account;
    ok(await registerNode(dao, ann, 'node', { bond: ton('500') }), ann);
    const retiredAt = net.now;
    ok(await retireNode(ann, 'node'), ann);
    ok(await dao.unbond(ann, 0n), ann);
    const params = { ...RULES, unbondingDelay: 2n * RULES.unbondingDelay };
    const body = beginCell().store(storeSetGovernorParams({ $$type: 'SetGovernorParams', queryId: 1n, params })).endCell();
    assertOk(on(await impersonate(net, dao.governor.address, dao.governor.address, body), dao.governor.address));
    await dao.deposit(ann, ton('5'));
    assert.equal((await solvent(net, ann)).unbondingDelay, params.unbondingDelay);
    net.now = retiredAt + DELAY;
    await net.refused(address, StakeErr.bonded, () => dao.withdraw(ann, 0n));
    await net.refused(address, StakeErr.nodeLocked, () => forgetNode(ann, 'node'));
    net.now = retiredAt + 2 * DELAY;
    ok(await dao.withdraw(ann, 0n), ann);
    ok(await forgetNode(ann, 'node'), ann);
});

test('a raised bond keeps the age of the node; least values hold', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const { address } = ann.account;
    ok(await registerNode(dao, ann, 'node', { bond: 1n }), ann);
    const since = BigInt(net.now);
    net.later(100);
    ok(await registerNode(dao, ann, 'node', { bond: 2n }), ann);
    const node = await ann.account.getNode(publicKey(keys('node')));
    assert.deepEqual([node.since, node.bond, node.retiredAt], [since, 2n, 0n]);
    await net.refused(address, StakeErr.bondLowered, () => registerNode(dao, ann, 'node', { bond: 2n }));
    await net.refused(address, StakeErr.lowValue, () => retireNode(ann, 'node', ton('0.05') - 1n));
    await net.refused(address, StakeErr.lowValue, () => forgetNode(ann, 'node', ton('0.05') - 1n));
    ok(await retireNode(ann, 'node', ton('0.05')), ann);
    net.later(DELAY);
    ok(await forgetNode(ann, 'node', ton('0.05')), ann);
});

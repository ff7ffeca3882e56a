// SA-2 to SA-4: lots that are divided, that wait for the governor, and whose numbers never come back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lot, loadStakeLeaving, loadStakeReturned } from '../build/StakeAccount';
import { Dao, EPOCH, RULES, StakeErr, YES, bundle } from '../support/dao';
import { setMinTcb } from '../support/entries';
import { Network, allOn, assertOk, noteGas, on, sent, ton } from '../support/network';
import { bounceExit, ok, registerNode, silence, solvent } from '../support/staking';

const PENDING = 0xffffffffn;

test('a part of a lot leaves as a lot of the same age; together they weigh what the one weighed', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers; // 500 tons
    const { activeFrom } = (await ann.account.getState()).lots.get(0)!;
    const epoch = await dao.epoch();
    const result = ok(await dao.unbond(ann, 0n, undefined, ton('120')), ann);
    noteGas('stake: unbond a part', allOn(result, ann.account.address)[0]);
    const news = sent(allOn(result, ann.account.address)[1]);
    assert.ok(news[0].to.equals(ann.wallet.address) && !news[0].bounce);
    const { lot, releaseAt } = loadStakeLeaving(news[0].body.beginParse());
    assert.deepEqual([lot, releaseAt], [1n, BigInt(net.now) + RULES.unbondingDelay]);
    const { lots, nextLot, held, staying } = await solvent(net, ann);
    assert.deepEqual(lots.get(0), { $$type: 'Lot', amount: ton('380'), activeFrom, exitFrom: 0n, releaseAt: 0n } satisfies Lot);
    assert.deepEqual(lots.get(1), { $$type: 'Lot', amount: ton('120'), activeFrom, exitFrom: epoch + 1n, releaseAt } satisfies Lot);
    assert.deepEqual([nextLot, held, staying], [2n, ton('500'), ton('380')]);
    assert.equal(await ann.account.getWeightAt(epoch), ton('500'));
    assert.equal(await ann.account.getWeightAt(epoch + 1n), ton('380'));
    const governor = await dao.governor.getState();
    assert.deepEqual([governor.totalStake, governor.nextTotalStake], [ton('1000'), ton('880')]);
    // The part comes out, the rest does not.
    net.now = Number(releaseAt);
    await net.refused(ann.account.address, StakeErr.lotLocked, () => dao.withdraw(ann, 0n));
    const out = loadStakeReturned(sent(on(ok(await dao.withdraw(ann, 1n), ann), ann.account.address))[0].body.beginParse());
    assert.deepEqual([out.lot, out.amount], [1n, ton('120')]);
    assert.equal((await solvent(net, ann)).held, ton('380'));
    // A number is never used again.
    await dao.deposit(ann, ton('5'));
    assert.deepEqual((await ann.account.getState()).lots.keys(), [0, 2]);
});

test('a part has no vote of its own, before or after it is confirmed (G2)', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const proposal = await dao.propose(ann, bundle([{ to: dao.registry.address, body: setMinTcb(18n) }]));
    await dao.untilVoting(proposal);
    await dao.vote(ann, proposal, YES);
    const { yes } = await proposal.getState();
    assert.equal(yes, ton('500'));
    ok(await dao.unbond(ann, 0n, undefined, ton('250')), ann);
    await net.refused(ann.account.address, StakeErr.voted, () => dao.sendVote(ann, proposal, YES));
    assert.equal((await proposal.getState()).yes, yes);
    // Divided before the vote, the two halves weigh once.
    const [, bob] = dao.stakers;
    ok(await dao.unbond(bob, 0n, undefined, ton('100')), bob);
    await dao.vote(bob, proposal, YES);
    assert.equal((await proposal.getState()).yes, ton('800'));
});

test('no part is smaller than a lot may be, larger than its lot, or a lot too many', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const { address } = ann.account;
    const part = (amount: bigint, lot = 0n, value = ton('0.2')) => dao.unbond(ann, lot, value, amount);
    await net.refused(address, StakeErr.lotTooLarge, () => part(ton('500') + 1n));
    await net.refused(address, StakeErr.lotTooSmall, () => part(ton('1') - 1n));
    await net.refused(address, StakeErr.lotTooSmall, () => part(ton('499') + 1n));
    await net.refused(address, StakeErr.lowValue, () => part(ton('1'), 0n, ton('0.2') - 1n));
    await net.refused(address, StakeErr.noLot, () => part(ton('1'), 1n));
    ok(await part(ton('1')), ann);
    await net.refused(address, StakeErr.lotNotStaying, () => part(0n, 1n));
    for (let i = 2; i < 16; i++) ok(await part(ton('1')), ann);
    assert.equal((await solvent(net, ann)).lots.size, 16);
    await net.refused(address, StakeErr.tooManyLots, () => part(ton('1')));
    // The whole lot needs no further one, whether it is named by its amount or by zero.
    ok(await part(ton('485')), ann);
    const { lots, staying } = await solvent(net, ann);
    assert.deepEqual([lots.size, staying, lots.get(0)!.exitFrom], [16, 0n, (await dao.epoch()) + 1n]);
});

test('a part leaves only what the bonds of nodes do not need', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    ok(await registerNode(dao, ann, 'node', { bond: ton('300') }), ann);
    await net.refused(ann.account.address, StakeErr.bonded, () => dao.unbond(ann, 0n, undefined, ton('200') + 1n));
    ok(await dao.unbond(ann, 0n, undefined, ton('200')), ann);
    await solvent(net, ann);
});

test('a part whose exit the governor refuses stays, as a lot of its own', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const { activeFrom } = (await ann.account.getState()).lots.get(0)!;
    const speaks = await silence(net, dao.governor.address);
    ok(await dao.unbond(ann, 0n, undefined, ton('120')), ann);
    await speaks();
    // While nobody has answered, the part weighs nothing and cannot be taken.
    assert.equal((await ann.account.getState()).lots.get(1)?.exitFrom, PENDING);
    assert.equal(await ann.account.getWeightAt(await dao.epoch()), ton('380'));
    await net.refused(ann.account.address, StakeErr.lotLocked, () => dao.withdraw(ann, 1n));
    await net.refused(ann.account.address, StakeErr.lotNotStaying, () => dao.unbond(ann, 1n));
    const back = await bounceExit(net, dao, ann, 1n, ton('120'));
    const rest = sent(assertOk(on(back, ann.account.address)));
    assert.ok(rest.length === 1 && rest[0].to.equals(ann.wallet.address) && rest[0].value > ton('0.09'));
    const { lots, staying } = await solvent(net, ann);
    assert.equal(staying, ton('500'));
    assert.deepEqual(lots.get(1), { $$type: 'Lot', amount: ton('120'), activeFrom, exitFrom: 0n, releaseAt: 0n } satisfies Lot);
    assert.equal(await ann.account.getWeightAt(await dao.epoch()), ton('500'));
});

test('a lot on its way in weighs nothing, answers for nothing, and does not leave', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const ann = await dao.staker('ann');
    const { address } = ann.account;
    const speaks = await silence(net, dao.governor.address);
    ok(await dao.sendDeposit(ann, ton('500')), ann);
    await speaks();
    const { lots, held, staying } = await solvent(net, ann);
    assert.deepEqual([lots.get(0)!.activeFrom, held, staying], [0n, ton('500'), 0n]);
    for (const epoch of [0n, await dao.epoch(), (await dao.epoch()) + 5n]) assert.equal(await ann.account.getWeightAt(epoch), 0n);
    await net.refused(address, StakeErr.bonded, () => registerNode(dao, ann, 'node', { bond: 1n }));
    await net.refused(address, StakeErr.lotNotStaying, () => dao.unbond(ann, 0n));
    await net.refused(address, StakeErr.lotNotStaying, () => dao.unbond(ann, 0n, undefined, ton('5')));
    net.later(EPOCH + Number(RULES.unbondingDelay));
    await net.refused(address, StakeErr.lotLocked, () => dao.withdraw(ann, 0n));
});

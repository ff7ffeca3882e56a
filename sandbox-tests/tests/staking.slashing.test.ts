// SA-11 to SA-15: what a proven fault costs, whose word it takes, and what no owner and no bounce can undo.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell, beginCell } from '@ton/core';
import { createEmptyShardAccount } from '@ton/sandbox';
import { Node, loadFaultRewarded, loadNodeSlashed, loadSlashStake, storeSlashNode } from '../build/StakeAccount';
import { BURN } from '../support/channel';
import { Dao, EPOCH, RULES, Staker, StakeErr, YES, bundle, impersonate, keys, publicKey } from '../support/dao';
import { setMinTcb } from '../support/entries';
import { Network, Wallet, allOn, assertOk, compute, noteGas, on, sent, storageFee, ton } from '../support/network';
import { Fault, FaultErr, accuse, commit, proofOf, receipt } from '../support/reports';
import { bounceExit, confirmExit, forgetNode, ok, registerNode, retireNode, silence, solvent } from '../support/staking';

const NODE = publicKey(keys('node'));

/** The node of this name signed two answers under one number. */
const fault = (net: Network, name = 'node'): Cell =>
    proofOf(Fault.twoReceipts, keys(name), receipt({ time: net.now }), receipt({ time: net.now, response: 13n }));

/** A DAO of stakers of 500, 300 and 200 tons, the first with a bonded node, and a reporter. */
async function court(bond = ton('100')) {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    ok(await registerNode(dao, ann, 'node', { bond }), ann);
    const reporter = await net.wallet('reporter');
    const slash = async (name = 'node', staker: Staker = ann) => ok(await accuse(net, staker.account.address, reporter, fault(net, name)), staker);
    return { net, dao, ann, address: ann.account.address, reporter, slash };
}

const orderTo = (key: bigint, reporter: Wallet) =>
    beginCell().store(storeSlashNode({ $$type: 'SlashNode', queryId: 1n, node: key, reporter: reporter.address })).endCell();

test('half of the bond burns and half is the reporter\'s, to the nanoton, through commit and reveal', async () => {
    for (const bond of [ton('100'), ton('100') + 1n]) {
        const { net, dao, ann, address, reporter } = await court(bond);
        const { contract: report, reveal } = await commit(net, address, reporter, fault(net));
        net.later(60);
        const before = await net.balance(address);
        const result = await reveal(ton('0.5'));
        for (const at of [report.address, address, dao.governor.address]) assertOk(on(result, at));
        const tx = on(result, address);
        noteGas('stake: slash a node', tx);
        assert.equal(before - storageFee(tx) - (await net.balance(address)), bond, 'the account pays the bond and nothing else');
        const [notice, news, burnt, reward] = sent(tx);
        assert.ok(notice.to.equals(dao.governor.address) && notice.bounce && notice.value === ton('0.06'));
        const told = loadSlashStake(notice.body.beginParse());
        assert.ok(told.amount === bond && told.owner.equals(ann.wallet.address));
        assert.ok(news.to.equals(ann.wallet.address) && !news.bounce);
        const lost = loadNodeSlashed(news.body.beginParse());
        assert.deepEqual([lost.key, lost.amount], [NODE, bond]);
        assert.ok(burnt.to.equals(BURN) && !burnt.bounce);
        assert.deepEqual([burnt.value, burnt.body.bits.length], [(bond + 1n) / 2n, 0]);
        assert.ok(reward.to.equals(reporter.address) && !reward.bounce);
        const words = loadFaultRewarded(reward.body.beginParse());
        assert.deepEqual([words.key, words.slashed], [NODE, bond]);
        assert.ok(reward.value > bond / 2n + ton('0.38') && reward.value < bond / 2n + ton('0.44'), 'half, and the value that is left');
        const state = await solvent(net, ann);
        assert.deepEqual([state.held, state.staying, state.bonded, state.pledged], [ton('500') - bond, ton('500') - bond, 0n, 0n]);
    }
});

test('a node is slashed once, whoever proves it and however often, and its key is worthless here for ever', async () => {
    const { net, dao, ann, address, slash } = await court();
    ok(await registerNode(dao, ann, 'other', { bond: ton('50') }), ann);
    await slash();
    const slashedAt = BigInt(net.now);
    const gone: Node = { $$type: 'Node', bond: 0n, since: slashedAt, retiredAt: slashedAt };
    assert.deepEqual(await ann.account.getNode(NODE), gone);
    const rival = await net.wallet('rival');
    // Two receipts, two images: another fault of the same node finds no bond either.
    const images = proofOf(Fault.twoImages, keys('node'), receipt({ time: net.now }), receipt({ time: net.now, image: 2n }));
    const attempts = async () => {
        for (const proof of [fault(net), images]) {
            await net.refused(address, StakeErr.nodeSlashed, () => accuse(net, address, rival, proof));
        }
        await net.refused(address, StakeErr.nodeSlashed, () => impersonate(net, dao.governor.address, address, orderTo(NODE, rival)));
        await net.refused(address, StakeErr.nodeSlashed, () => registerNode(dao, ann, 'node', { bond: ton('1') }));
        await net.refused(address, StakeErr.noNode, () => retireNode(ann, 'node'));
        await net.refused(address, StakeErr.nodeSlashed, () => forgetNode(ann, 'node'));
    };
    await attempts();
    net.later(2 * Number(RULES.unbondingDelay));
    await attempts();
    // The other node is as it was, and answers for itself.
    assert.equal((await solvent(net, ann)).bonded, ton('50'));
    await slash('other');
    assert.equal((await solvent(net, ann)).held, ton('350'));
});

test('a registered node costs lots that stay, oldest first; then those that leave', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const ann = await dao.staker('ann', ton('10'));
    for (const amount of ['20', '30', '40']) await dao.deposit(ann, ton(amount));
    net.later(EPOCH);
    ok(await dao.unbond(ann, 0n), ann); // 10 leave, 90 stay
    ok(await registerNode(dao, ann, 'node', { bond: ton('45') }), ann);
    ok(await registerNode(dao, ann, 'other', { bond: ton('45') }), ann);
    const before = (await ann.account.getState()).lots;
    const reporter = await net.wallet('reporter');
    ok(await accuse(net, ann.account.address, reporter, fault(net)), ann);
    const { lots } = await solvent(net, ann);
    assert.deepEqual(lots.keys(), [0, 2, 3], 'the lot of 20 is gone');
    assert.deepEqual(lots.get(0), before.get(0), 'what was leaving is untouched');
    assert.deepEqual(lots.get(2), { ...before.get(2)!, amount: ton('5') }, 'the next is smaller and as old as before');
    assert.deepEqual(lots.get(3), before.get(3));
    assert.equal(await ann.account.getWeightAt((await dao.epoch()) + 1n), ton('45'));
});

test('a retired node costs lots that leave first, so that what stays covers the others', async () => {
    const { net, dao, ann, address, slash } = await court(ton('300'));
    ok(await retireNode(ann, 'node'), ann);
    ok(await dao.unbond(ann, 0n, undefined, ton('200')), ann);
    ok(await registerNode(dao, ann, 'other', { bond: ton('200') }), ann);
    const total = (await dao.governor.getState()).nextTotalStake;
    const result = await slash();
    const { lots, staying, bonded } = await solvent(net, ann);
    assert.deepEqual([lots.keys(), staying, bonded], [[0], ton('200'), ton('200')]);
    // The governor hears of what stayed; what was leaving it counts no more already.
    const notices = sent(on(result, address)).filter((m) => m.to.equals(dao.governor.address));
    assert.equal(loadSlashStake(notices[0].body.beginParse()).amount, ton('100'));
    assert.equal((await dao.governor.getState()).nextTotalStake, total - ton('100'));
});

test('only leaving stake was lost: the governor has nothing to hear', async () => {
    const { dao, ann, address, slash } = await court(ton('100'));
    ok(await retireNode(ann, 'node'), ann);
    ok(await dao.unbond(ann, 0n, undefined, ton('100')), ann);
    const total = (await dao.governor.getState()).nextTotalStake;
    const result = await slash();
    assert.equal(sent(on(result, address)).filter((m) => m.to.equals(dao.governor.address)).length, 0);
    assert.equal((await dao.governor.getState()).nextTotalStake, total);
});

test('attack_53_unbonding_before_the_proof: a retired node answers to the last second of the delay, with stake that is still here', async () => {
    const { net, dao, ann, address, reporter, slash } = await court(ton('500'));
    ok(await retireNode(ann, 'node'), ann);
    ok(await dao.unbond(ann, 0n), ann);
    net.later(Number(RULES.unbondingDelay) - 1);
    await net.refused(address, StakeErr.lotLocked, () => dao.withdraw(ann, 0n));
    await slash();
    assert.equal((await solvent(net, ann)).held, 0n);
    // One second later nothing answers any more, and nothing is taken.
    const late = await court();
    ok(await retireNode(late.ann, 'node'), late.ann);
    late.net.later(Number(RULES.unbondingDelay));
    await late.net.refused(late.address, StakeErr.nodeFree, () => accuse(late.net, late.address, reporter, fault(late.net)));
});

test('attack_46_slash_in_the_middle_of_a_vote: a vote cast stays, a slashed lot casts no new one, and the total follows', async () => {
    const { net, dao, ann, slash } = await court(ton('500'));
    const [, bob, cyd] = dao.stakers;
    ok(await registerNode(dao, bob, 'node of bob', { bond: ton('200') }), bob);
    const open = (tcb: bigint) => dao.propose(cyd, bundle([{ to: dao.registry.address, body: setMinTcb(tcb) }]));
    const first = await open(18n);
    await dao.untilVoting(first);
    await dao.vote(ann, first, YES);
    await slash();
    await slash('node of bob', bob);
    assert.equal((await first.getState()).yes, ton('500'), 'what was said was said with stake that was there');
    await net.refused(ann.account.address, StakeErr.voted, () => dao.sendVote(ann, first, YES));
    await dao.vote(bob, first, YES);
    const { yes, totalStake } = await first.getState();
    assert.equal(yes, ton('600'), 'bob votes with what he has left');
    assert.ok(yes <= totalStake, 'G1');
    const now = await dao.governor.getState();
    assert.deepEqual([now.totalStake, now.nextTotalStake], [ton('1000'), ton('300')]);
    net.later(EPOCH);
    const second = await open(19n);
    assert.equal((await second.getState()).totalStake, ton('300'), 'G1: the next snapshot counts what is left');
    await dao.untilVoting(second);
    await net.refused(ann.account.address, StakeErr.noWeight, () => dao.sendVote(ann, second, YES));
    for (const staker of [bob, cyd]) await dao.vote(staker, second, YES);
    assert.equal((await second.getState()).yes, ton('300'));
});

test('attack_58_a_forged_child: only the report at the address of its own words is heard, and only the governor orders', async () => {
    const { net, dao, ann, address, reporter } = await court();
    const thief = await net.wallet('thief');
    const proof = fault(net);
    const refuses = (words: Parameters<typeof accuse>[4]) => net.refused(address, FaultErr.notReport, () => accuse(net, address, reporter, proof, words));
    await refuses({ from: thief.address });
    await refuses({ from: reporter.address });
    await refuses({ from: ann.wallet.address });
    await refuses({ from: dao.governor.address });
    await refuses({ reporter: thief.address });
    await refuses({ commitment: 8n });
    // A real report whose target is another judge.
    const elsewhere = await commit(net, dao.stakers[1].account.address, reporter, proof);
    await refuses({ from: elsewhere.contract.address });
    for (const wallet of [ann.wallet, thief, reporter]) {
        await net.refused(address, StakeErr.notGovernor, () => net.send(wallet, address, ton('1'), orderTo(NODE, thief)));
    }
    await net.refused(address, StakeErr.notGovernor, () => impersonate(net, dao.registry.address, address, orderTo(NODE, thief)));
    // A node of somebody else, or of nobody.
    await net.refused(address, StakeErr.noNode, () => accuse(net, address, reporter, fault(net, 'stranger')));
    assertOk(on(await impersonate(net, dao.governor.address, address, orderTo(NODE, reporter)), address));
    assert.equal((await solvent(net, ann)).held, ton('400'));
});

test('one nanoton under the least value changes nothing, from a report or from the governor', async () => {
    const { net, dao, address, reporter } = await court();
    const value = ton('0.2') - 1n;
    await net.refused(address, StakeErr.lowValue, () => accuse(net, address, reporter, fault(net), { value }));
    await net.refused(address, StakeErr.lowValue, () => impersonate(net, dao.governor.address, address, orderTo(NODE, reporter), value));
    assertOk(on(await accuse(net, address, reporter, fault(net), { value: value + 1n }), address));
});

test('an exit that was on its way: the answer about a lot that is gone changes nothing, a refusal restores what is left', async () => {
    for (const [bond, left] of [[ton('500'), undefined], [ton('200'), ton('300')]] as const) {
        for (const answer of ['confirmed', 'refused'] as const) {
            const { net, dao, ann, address, slash } = await court(bond);
            ok(await retireNode(ann, 'node'), ann);
            const speaks = await silence(net, dao.governor.address);
            ok(await dao.unbond(ann, 0n), ann);
            await slash();
            await speaks();
            const exitFrom = (await dao.epoch()) + 1n;
            const result = answer === 'confirmed' ? await confirmExit(net, dao, ann, 0n, exitFrom) : await bounceExit(net, dao, ann, 0n, ton('500'));
            const out = sent(assertOk(on(result, address)));
            assert.ok(out.length === 1 && out[0].to.equals(ann.wallet.address) && out[0].value > ton('0.09'));
            const { lots, staying } = await solvent(net, ann);
            assert.equal(lots.get(0)?.amount, left);
            assert.equal(staying, answer === 'refused' ? (left ?? 0n) : 0n);
            if (left && answer === 'confirmed') assert.equal(lots.get(0)!.exitFrom, exitFrom);
        }
    }
});

test('no bounce undoes a punishment: of the news to the governor, to the owner', async () => {
    const { net, dao, ann, address, slash } = await court();
    for (const gone of [dao.governor.address, ann.wallet.address]) {
        (await net.chain.getContract(gone)).account = createEmptyShardAccount(gone);
    }
    const before = await net.balance(address);
    const result = await slash();
    assert.equal(compute(on(result, dao.governor.address)).skipped, 'no-state');
    const [punishment, bounce] = allOn(result, address);
    assertOk(punishment);
    assertOk(bounce);
    assert.equal(sent(bounce).length, 0);
    const gained = (await net.balance(address)) - (before - ton('100'));
    assert.ok(gained > ton('0.04') && gained < ton('0.06'), 'the value of the notice stays with the account');
    const state = await solvent(net, ann);
    assert.deepEqual([state.held, state.bonded, state.nodes.get(NODE)?.bond], [ton('400'), 0n, 0n]);
});

test('an order that the account refuses leaves it as it was', async () => {
    const { net, dao, address, ann, slash } = await court();
    await slash();
    const order = () => impersonate(net, dao.governor.address, address, orderTo(NODE, ann.wallet));
    const [back] = sent(on(await net.refused(address, StakeErr.nodeSlashed, order), address));
    assert.ok(back.bounced && back.to.equals(dao.governor.address) && back.value > ton('0.19'));
});

test('storage that ate into the stake spares no node: what is there is shared', async () => {
    const { net, ann, address, slash } = await court(ton('500'));
    const contract = await net.chain.getContract(address);
    contract.balance = ton('499');
    const result = await slash();
    const burnt = sent(on(result, address)).find((m) => m.to.equals(BURN))!;
    assert.equal(burnt.value, ton('499') / 2n);
    assert.equal(await net.balance(address), 0n);
    assert.equal((await ann.account.getState()).held, 0n);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Dictionary, beginCell } from '@ton/core';
import { internal } from '@ton/sandbox';
import { storeAddStake } from '../build/Governor';
import { storeCastVote } from '../build/Proposal';
import { Lot, StakeAccount, storeDeposit } from '../build/StakeAccount';
import { ABSTAIN, Dao, EPOCH, GovernorErr, NO, ProposalErr, RULES, StakeErr, Staker, Status, YES, bundle, impersonate, text } from '../support/dao';
import { setMinTcb } from '../support/entries';
import { DAY, Network, Result, allOn, assertOk, compute, on, sent, ton } from '../support/network';

/** Something harmless to vote on. */
function something(dao: Dao, number = 18n) {
    return bundle([{ to: dao.registry.address, body: setMinTcb(number) }]);
}

async function opened(net: Network) {
    const dao = await Dao.staked(net);
    const proposal = await dao.propose(dao.stakers[0], something(dao));
    await dao.untilVoting(proposal);
    return { dao, proposal, stakers: dao.stakers };
}

/** The vote must bounce from the proposal with this code and leave nothing behind in the stake account. */
async function bounces(staker: Staker, proposal: { address: Address }, code: number, vote: () => Promise<Result>) {
    const before = (await staker.account.getState()).receipts.has(proposal.address);
    const result = await vote();
    assert.equal(compute(on(result, proposal.address)).exitCode, code);
    const [cast, restored] = allOn(result, staker.account.address);
    assertOk(cast);
    assertOk(restored);
    assert.equal((await staker.account.getState()).receipts.has(proposal.address), before);
    return restored;
}

test('attack_32_stake_after_the_snapshot weighs nothing', async () => {
    const net = await Network.create();
    const { dao, proposal, stakers } = await opened(net);
    const late = await dao.staker('late', ton('100000'));
    await net.refused(late.account.address, StakeErr.noWeight, () => dao.sendVote(late, proposal, NO));
    // Not even when its epoch comes.
    net.later(EPOCH);
    await net.refused(late.account.address, StakeErr.noWeight, () => dao.sendVote(late, proposal, NO));
    // A later snapshot is not the proposal's.
    const snapshot = await dao.epoch();
    await bounces(late, proposal, ProposalErr.wrongSnapshot, () => dao.sendVote(late, proposal, NO, { snapshot }));
    // A second lot of somebody who has weight adds none.
    await dao.deposit(stakers[1], ton('5000'));
    await dao.vote(stakers[1], proposal, NO);
    assert.equal((await proposal.getState()).no, ton('300'));
});

test('attack_33_withdraw_and_restake_elsewhere: the same money votes once', async () => {
    const net = await Network.create();
    const { dao, proposal, stakers } = await opened(net);
    const [ann] = stakers;
    await dao.vote(ann, proposal, YES);
    const left = await dao.unbond(ann, 0n);
    for (const tx of allOn(left, ann.account.address)) assertOk(tx);
    // It cannot be taken out before the longest possible vote, with its timelock, is over.
    const { lastEnd } = await proposal.getState();
    net.now = Number(lastEnd) + Number(RULES.timelock);
    await net.refused(ann.account.address, StakeErr.lotLocked, () => dao.withdraw(ann, 0n));
    // Even if it could, a new lot is too young for the snapshot.
    const other = await dao.staker('other account of ann', ton('500'));
    assert.equal(await other.account.getWeightAt((await proposal.getState()).snapshot), 0n);
});

test('attack_34_vote_in_flight_at_the_deadline: it is not counted and the receipt is restored', async () => {
    const net = await Network.create();
    const { dao, proposal, stakers } = await opened(net);
    const [ann, bob] = stakers;
    net.now = Number((await proposal.getState()).endsAt) - 1;
    await dao.vote(ann, proposal, YES);
    net.later(1);
    // Extended: the quorum came in the last second.
    net.now = Number((await proposal.getState()).endsAt);
    const restored = await bounces(bob, proposal, ProposalErr.notVoting, () => dao.sendVote(bob, proposal, NO, { receiptUntil: BigInt(net.now + 1) }));
    assert.equal((await proposal.getState()).no, 0n);
    // The rest of the value is back with the voter.
    const [back] = sent(restored);
    assert.ok(back.to.equals(bob.wallet.address) && back.value > ton('0.25'));
    // And before the vote begins.
    const second = await dao.propose(ann, something(dao, 20n), text('another'));
    await bounces(bob, second, ProposalErr.notVoting, () => dao.sendVote(bob, second, NO));
    await dao.untilVoting(second);
    await dao.vote(bob, second, NO);
});

test('attack_35_late_quorum_swing: a quorum in the last moment leaves time to answer, once', async () => {
    const net = await Network.create();
    const { dao, proposal, stakers } = await opened(net);
    const [ann, bob, cyd] = stakers;
    const { endsAt, lastEnd } = await proposal.getState();
    assert.equal(lastEnd, endsAt + RULES.lateExtension);
    await dao.vote(cyd, proposal, NO);
    net.now = Number(endsAt) - 1;
    await dao.vote(ann, proposal, YES); // quorum
    const after = await proposal.getState();
    assert.equal(after.endsAt, BigInt(net.now) + RULES.lateExtension);
    assert.equal(after.lastEnd, after.endsAt);
    assert.ok(after.lastEnd <= lastEnd, 'receipts reach');
    net.now = Number(after.endsAt) - 1;
    await dao.vote(bob, proposal, NO);
    assert.equal((await proposal.getState()).endsAt, after.endsAt, 'a second extension');
    net.later(1);
    assert.equal(await proposal.getStatus(), Status.defeated);
});

test('G2: a lot votes once; neither a short receipt nor an old one gives it a second vote', async () => {
    const net = await Network.create();
    const { dao, proposal, stakers } = await opened(net);
    const [ann] = stakers;
    const { endsAt, lastEnd } = await proposal.getState();
    // A receipt that ends before the vote could be dropped and the vote repeated.
    await bounces(ann, proposal, ProposalErr.shortReceipt, () => dao.sendVote(ann, proposal, YES, { receiptUntil: lastEnd - 1n }));
    await dao.vote(ann, proposal, YES);
    for (const support of [YES, NO, ABSTAIN]) {
        await net.refused(ann.account.address, StakeErr.voted, () => dao.sendVote(ann, proposal, support));
    }
    net.now = Number(endsAt) - 1;
    await net.refused(ann.account.address, StakeErr.voted, () => dao.sendVote(ann, proposal, YES));
    assert.equal((await proposal.getState()).yes, ton('500'));
    // Receipts go when the vote is over: the slot is free, the proposal closed.
    net.now = Number(lastEnd) + 601;
    const next = await dao.propose(ann, something(dao, 30n), text('next'));
    await dao.untilVoting(next);
    await dao.vote(ann, next, YES);
    const { receipts } = await ann.account.getState();
    assert.equal(receipts.size, 1);
});

test('a vote is no, yes or abstain; receipts end in the near future; only the owner votes', async () => {
    const net = await Network.create();
    const { dao, proposal, stakers } = await opened(net);
    const [ann, bob] = stakers;
    await bounces(ann, proposal, ProposalErr.badSupport, () => dao.sendVote(ann, proposal, 3n));
    await net.refused(ann.account.address, StakeErr.badReceipt, () => dao.sendVote(ann, proposal, YES, { receiptUntil: BigInt(net.now) }));
    await net.refused(ann.account.address, StakeErr.badReceipt, () =>
        dao.sendVote(ann, proposal, YES, { receiptUntil: BigInt(net.now + 401 * DAY) }),
    );
    await net.refused(ann.account.address, StakeErr.lowValue, () => dao.sendVote(ann, proposal, YES, { value: ton('0.2') - 1n }));
    const thief = { wallet: bob.wallet, account: ann.account };
    await net.refused(ann.account.address, StakeErr.notOwner, () => dao.sendVote(thief, proposal, NO));
    await dao.vote(ann, proposal, ABSTAIN);
    assert.equal((await proposal.getState()).abstain, ton('500'));
});

test('abstaining counts for the quorum and for no side; a tie is a defeat', async () => {
    const net = await Network.create();
    const { dao, proposal, stakers } = await opened(net);
    await dao.vote(stakers[0], proposal, ABSTAIN);
    await dao.vote(stakers[2], proposal, YES);
    net.now = Number((await proposal.getState()).endsAt);
    assert.equal(await proposal.getStatus(), Status.queued);

    const quiet = await dao.propose(stakers[0], something(dao, 31n), text('nobody cares'));
    await dao.untilVoting(quiet);
    await dao.vote(stakers[2], quiet, YES);
    net.now = Number((await quiet.getState()).lastEnd);
    assert.equal(await quiet.getStatus(), Status.defeated, 'no quorum');

    const against = await dao.propose(stakers[0], something(dao, 32n), text('no quorum by the noes'));
    await dao.untilVoting(against);
    await dao.vote(stakers[2], against, YES);
    await dao.vote(stakers[1], against, NO);
    net.now = Number((await against.getState()).lastEnd);
    assert.equal(await against.getStatus(), Status.defeated);

    const empty = await dao.propose(stakers[0], something(dao, 33n), text('tie'));
    await dao.untilVoting(empty);
    await dao.vote(stakers[0], empty, ABSTAIN);
    net.now = Number((await empty.getState()).lastEnd);
    assert.equal(await empty.getStatus(), Status.defeated);
});

test('attack_39_a_fake_stake_account votes and stakes nothing', async () => {
    const net = await Network.create();
    const { dao, proposal, stakers } = await opened(net);
    const state = await proposal.getState();
    const vote = (owner: Address) =>
        beginCell()
            .store(
                storeCastVote({
                    $$type: 'CastVote',
                    queryId: 1n,
                    support: YES,
                    snapshot: state.snapshot,
                    receiptUntil: state.lastEnd,
                    weight: ton('1000000'),
                    owner,
                }),
            )
            .endCell();
    const thief = await net.wallet('thief');
    for (const owner of [thief.address, stakers[0].wallet.address]) {
        await net.refused(proposal.address, ProposalErr.notStakeAccount, () => net.send(thief, proposal.address, ton('0.3'), vote(owner)));
    }
    // The same code under other data: a lot is in it from the start.
    const forged = await StakeAccount.fromInit(
        dao.governor.address,
        thief.address,
        Dictionary.empty<number, Lot>().set(0, { $$type: 'Lot', amount: ton('1000000'), activeFrom: 1n, exitFrom: 0n, releaseAt: 0n }),
        Dictionary.empty(),
        null,
    );
    const account = net.chain.openContract(forged);
    const result = await account.send(thief.getSender(), { value: ton('0.5') }, {
        $$type: 'Vote',
        queryId: 1n,
        proposal: proposal.address,
        snapshot: state.snapshot,
        receiptUntil: state.lastEnd,
        support: YES,
    });
    assert.equal(compute(on(result, proposal.address)).exitCode, ProposalErr.notStakeAccount);
    // The governor neither.
    const add = beginCell()
        .store(storeAddStake({ $$type: 'AddStake', queryId: 1n, lot: 0n, amount: ton('1000000'), owner: thief.address }))
        .endCell();
    await net.refused(dao.governor.address, GovernorErr.notStakeAccount, () => net.send(thief, dao.governor.address, ton('0.3'), add));
    await net.refused(dao.governor.address, GovernorErr.notStakeAccount, () => impersonate(net, account.address, dao.governor.address, add));
    assert.equal((await proposal.getState()).yes, 0n);
});

test('attack_47_total_stake_race_at_an_epoch_edge: a message that crosses the edge counts in the later epoch on both sides', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann, bob] = dao.stakers;
    // The last second of an epoch.
    net.now = (Math.floor(net.now / EPOCH) + 1) * EPOCH - 1;
    const before = await dao.epoch();
    // The deposit is on its way when the epoch ends, and a proposal is opened right after.
    const body = beginCell().store(storeDeposit({ $$type: 'Deposit', queryId: 1n, amount: ton('5000') })).endCell();
    const step = await net.chain.sendMessageIter(
        internal({ from: bob.wallet.address, to: bob.account.address, value: ton('5001'), body }),
    );
    await step.next(); // the stake account has sent AddStake
    net.later(1);
    assert.equal(await dao.epoch(), before + 1n);
    for await (const tx of step) assertOk(tx); // the governor counts it and answers
    const proposal = await dao.propose(ann, something(dao));
    const { snapshot, totalStake } = await proposal.getState();
    assert.equal(snapshot, before + 1n);
    assert.equal(totalStake, ton('1000'));
    assert.equal((await bob.account.getState()).lots.get(1)?.activeFrom, snapshot + 1n);
    assert.equal(await bob.account.getWeightAt(snapshot), ton('300'));
    await dao.untilVoting(proposal);
    for (const staker of dao.stakers) await dao.vote(staker, proposal, YES);
    const { yes } = await proposal.getState();
    assert.ok(yes <= totalStake, 'G1');
});

test('G1: after random deposits, exits and time, the votes at any snapshot never exceed its total', async () => {
    let seed = 12345;
    const random = (n: number) => {
        seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
        return (seed >>> 8) % n;
    };
    const net = await Network.create();
    const dao = await Dao.staked(net, { votingDelay: 0n });
    const { stakers } = dao;
    for (let i = 0; i < 60; i++) {
        const staker = stakers[random(3)];
        const { lots } = await staker.account.getState();
        const move = random(4);
        if (move === 0 && lots.size < 16) {
            await dao.sendDeposit(staker, ton(String(1 + random(400))));
        } else if (move === 1 && lots.size > 1) {
            const ids = lots.keys();
            await dao.unbond(staker, BigInt(ids[random(ids.length)]));
        } else {
            net.later(random(EPOCH));
        }
        const { epoch, totalStake, nextTotalStake } = await dao.governor.getState();
        let now = 0n;
        let next = 0n;
        for (const { account } of stakers) {
            now += await account.getWeightAt(epoch);
            next += await account.getWeightAt(epoch + 1n);
        }
        assert.equal(now, totalStake, `step ${i}`);
        assert.equal(next, nextTotalStake, `step ${i}`);
    }
});

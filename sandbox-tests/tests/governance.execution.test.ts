import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell, beginCell } from '@ton/core';
import { internal } from '@ton/sandbox';
import { GovernorParams, storeExecuteProposal, storeSetGovernorParams, storeSubmitProposal } from '../build/Governor';
import { ProposalState, storeExecute, storeOpenProposal, storeProposalExecuted, storeProposalTerms } from '../build/Proposal';
import { storeExitConfirmed, storeStakeConfirmed } from '../build/StakeAccount';
import {
    Dao,
    Entry,
    EPOCH,
    GovernorErr,
    NO,
    ProposalErr,
    RULES,
    Status,
    UNKNOWN_MESSAGE,
    YES,
    bundle,
    from,
    governorAt,
    impersonate,
    text,
} from '../support/dao';
import { revoke, scheduleImage, setMinTcb } from '../support/entries';
import { DAY, Network, Wallet, actionCode, allOn, assertOk, bareOp, compute, noteGas, on, sent, ton } from '../support/network';

const hash = (cell: Cell) => BigInt('0x' + cell.hash().toString('hex'));

/** A proposal's state without its cells and addresses, which compare by identity. */
function figures({ actions, metadata, proposer, ...rest }: ProposalState) {
    return { ...rest, actions: hash(actions), metadata: hash(metadata), proposer: proposer.toString() };
}

function rulesBody(rules: Partial<GovernorParams>): Cell {
    return beginCell()
        .store(storeSetGovernorParams({ $$type: 'SetGovernorParams', queryId: 1n, params: { ...RULES, ...rules } }))
        .endCell();
}

function executeBody(actions: Cell, metadata: Cell): Cell {
    return beginCell()
        .store(storeExecuteProposal({ $$type: 'ExecuteProposal', queryId: 1n, metadataHash: hash(metadata), actions }))
        .endCell();
}

test('attack_36_proposal_spam: too little stake, too small a bond, and a proposal that nobody cares for loses its bond', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const poor = await dao.staker('poor', ton('99'));
    net.later(EPOCH);
    const actions = bundle([{ to: dao.registry.address, body: setMinTcb(18n) }]);
    await net.refused(dao.governor.address, GovernorErr.belowThreshold, () => dao.sendPropose(poor, actions, text('spam')));
    const short = await net.refused(dao.governor.address, GovernorErr.lowValue, () =>
        dao.sendPropose(ann, actions, text('spam'), { value: ton('10.5') }),
    );
    // The bounce brings the value back to the proposer.
    const back = sent(allOn(short, ann.account.address)[1]).find((m) => m.to.equals(ann.wallet.address));
    assert.ok(back && back.value > ton('10.4'));

    const treasury = await net.balance(dao.governor.address);
    const spam = await dao.propose(ann, actions, text('spam'));
    await dao.untilVoting(spam);
    await dao.vote(dao.stakers[2], spam, YES);
    await net.refused(spam.address, ProposalErr.notOver, () => dao.close(spam));
    net.now = Number((await spam.getState()).endsAt);
    assert.equal(await spam.getStatus(), Status.defeated);
    noteGas('governance: close a proposal', assertOk(on(await dao.close(spam), spam.address)));
    assert.ok((await net.balance(dao.governor.address)) > treasury + ton('9.9'), 'the bond is in the treasury');
    await net.refused(spam.address, ProposalErr.notOver, () => dao.close(spam));

    // When enough took part the bond goes back, whatever they said.
    const cared = await dao.propose(ann, actions, text('honest'));
    await dao.untilVoting(cared);
    await dao.vote(ann, cared, NO);
    net.now = Number((await cared.getState()).lastEnd);
    const closed = await dao.close(cared);
    const bond = sent(assertOk(on(closed, cared.address))).find((m) => m.to.equals(ann.wallet.address));
    assert.equal(bond?.value, ton('10'));
});

test('attack_37_swapped_action_cell: the governor executes for no proposal but that of these very actions', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const good = bundle([{ to: dao.registry.address, body: setMinTcb(18n) }]);
    const evil = bundle([{ to: dao.deployer.address, value: ton('5'), body: Cell.EMPTY }]);
    const proposal = await dao.pass(dao.stakers, good, 'good');
    const metadata = text('good');
    const thief = await net.wallet('thief');
    const { governor } = dao;
    const ask = (sender: typeof thief.address, actions: Cell, meta: Cell) => () =>
        impersonate(net, sender, governor.address, executeBody(actions, meta), ton('2'));
    await net.refused(governor.address, GovernorErr.notProposal, ask(thief.address, good, metadata));
    await net.refused(governor.address, GovernorErr.notProposal, ask(proposal.address, evil, metadata));
    await net.refused(governor.address, GovernorErr.notProposal, ask(proposal.address, good, text('evil')));
    // The proposal itself takes its actions from the governor alone, and once.
    const open = beginCell()
        .store(
            storeOpenProposal({
                $$type: 'OpenProposal',
                queryId: 1n,
                bond: 1n,
                startsAt: BigInt(net.now),
                endsAt: BigInt(net.now),
                snapshot: 1n,
                lateExtension: 1n,
                quorum: 1n,
                stakeCode: { $$type: 'StakeCode', hash: 0n, depth: 0n },
                terms: beginCell()
                    .store(
                        storeProposalTerms({
                            $$type: 'ProposalTerms',
                            proposer: thief.address,
                            timelock: 0n,
                            executionWindow: 0n,
                            totalStake: 1n,
                            executeValue: 1n,
                        }),
                    )
                    .endCell(),
                actions: evil,
                metadata,
            }),
        )
        .endCell();
    await net.refused(proposal.address, ProposalErr.notGovernor, () => net.send(thief, proposal.address, ton('1'), open));
    assertOk(from(allOn(await impersonate(net, governor.address, proposal.address, open), proposal.address), governor.address)[0]);
    assert.ok((await proposal.getState()).actions.equals(good));
    // What is executed is what was voted.
    const result = await dao.sendExecute(proposal);
    assert.equal((await dao.registry.getSnapshot()).tcb.minEvaluation, 18n);
    assert.equal(from(allOn(result, dao.registry.address), governor.address).length, 1);
});

test('attack_38_execute_early_twice_after_expiry', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const actions = bundle([{ to: dao.registry.address, body: setMinTcb(18n) }]);
    const proposal = await dao.propose(dao.stakers[0], actions, text('once'));
    const refused = () => net.refused(proposal.address, ProposalErr.notReady, () => dao.sendExecute(proposal));
    await refused();
    await dao.untilVoting(proposal);
    for (const staker of dao.stakers) await dao.vote(staker, proposal, YES);
    await refused(); // everybody has voted, and still the vote runs
    const { endsAt, executableFrom, expiresAt } = await proposal.getState();
    net.now = Number(endsAt);
    await refused();
    net.now = Number(executableFrom) - 1;
    await refused();
    assert.equal(executableFrom, endsAt + RULES.timelock);
    net.now = Number(executableFrom);
    const { revision } = await dao.registry.getSnapshot();
    await dao.sendExecute(proposal);
    assert.equal(await proposal.getStatus(), Status.executed);
    await refused(); // twice (G6)
    await net.refused(proposal.address, ProposalErr.notOver, () => dao.close(proposal));
    assert.equal((await dao.registry.getSnapshot()).revision, revision + 1n);
    assert.equal(expiresAt, executableFrom + RULES.executionWindow);

    // After expiry never.
    const late = await dao.pass(dao.stakers, actions, 'late');
    net.now = Number((await late.getState()).expiresAt) - 1;
    assert.equal(await late.getStatus(), Status.ready);
    net.later(1);
    assert.equal(await late.getStatus(), Status.expired);
    await net.refused(late.address, ProposalErr.notReady, () => dao.sendExecute(late));
    const closed = await dao.close(late);
    const bond = sent(assertOk(on(closed, late.address))).find((m) => m.to.equals(dao.stakers[0].wallet.address));
    assert.equal(bond?.value, ton('10'));
    assert.equal((await dao.registry.getSnapshot()).revision, revision + 1n);
});

test('G6: while an execution is under way nobody can begin another', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const proposal = await dao.pass(dao.stakers, bundle([{ to: dao.registry.address, body: setMinTcb(18n) }]));
    const { executeValue } = await proposal.getState();
    const body = beginCell().store(storeExecute({ $$type: 'Execute', queryId: 1n })).endCell();
    const execute = (wallet: Wallet) => internal({ from: wallet.address, to: proposal.address, value: executeValue, body });
    const run = await net.chain.sendMessageIter(execute(dao.deployer));
    assertOk((await run.next()).value!); // on its way to the governor
    const account = await net.chain.getContract(proposal.address);
    const second = await account.receiveMessage(execute(dao.stakers[0].wallet), { now: net.now });
    assert.equal(compute(second).exitCode, ProposalErr.notReady);
    assert.equal(await proposal.getStatus(), Status.executing);
    for await (const tx of run) assertOk(tx);
    assert.equal(await proposal.getStatus(), Status.executed);
    assert.equal((await dao.registry.getSnapshot()).revision, 2n);
});

test('attack_43_front_run_of_a_proposal: the copy is the same proposal, and the second bond goes back', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann, bob] = dao.stakers;
    const actions = bundle([{ to: dao.registry.address, body: setMinTcb(18n) }]);
    const metadata = text('my idea');
    const proposal = await dao.propose(bob, actions, metadata); // the front-runner pays the bond
    const before = await proposal.getState();
    const result = await dao.sendPropose(ann, actions, metadata);
    assertOk(on(result, proposal.address));
    const back = sent(on(result, proposal.address)).find((m) => m.to.equals(ann.wallet.address));
    assert.ok(back && back.value > ton('10.8'), 'everything but fees is back');
    assert.deepEqual(figures(await proposal.getState()), figures(before));
    // Another description is another proposal.
    const other = await dao.proposalOf(actions, text('my idea!'));
    assert.ok(!other.address.equals(proposal.address));
});

test('attack_44_zero_quorum_or_zero_period is refused at construction and at every change', async () => {
    const net = await Network.create();
    const bad: Partial<GovernorParams>[] = [
        { quorumBps: 0n },
        { quorumBps: 10001n },
        { votingPeriod: 0n },
        { timelock: 0n },
        { executionWindow: 0n },
        { proposalThreshold: 0n },
        { proposalBond: 0n },
        { lateExtension: RULES.votingPeriod + 1n },
        { votingPeriod: BigInt(91 * DAY), unbondingDelay: BigInt(200 * DAY) },
        { votingDelay: BigInt(91 * DAY), unbondingDelay: BigInt(200 * DAY) },
        { timelock: BigInt(91 * DAY), unbondingDelay: BigInt(200 * DAY) },
        { executionWindow: BigInt(91 * DAY) },
        { unbondingDelay: BigInt(361 * DAY) },
        // Not longer than a whole vote with its timelock.
        { unbondingDelay: RULES.votingDelay + RULES.votingPeriod + RULES.lateExtension + RULES.timelock },
    ];
    const deployer = await net.wallet('deployer');
    const setUp = { $$type: 'SetUpGovernor', queryId: 0n } as const;
    for (const rules of bad) {
        const governor = net.chain.openContract(await governorAt(rules));
        const result = await governor.send(deployer.getSender(), { value: ton('1') }, setUp);
        assert.equal(compute(on(result, governor.address)).exitCode, GovernorErr.badParams, Object.keys(rules)[0]);
    }
    for (const epoch of [0n, 59n, BigInt(91 * DAY)]) {
        const governor = net.chain.openContract(await governorAt({}, 1n, epoch));
        const result = await governor.send(deployer.getSender(), { value: ton('1') }, setUp);
        assert.equal(compute(on(result, governor.address)).exitCode, GovernorErr.badParams, `epoch ${epoch}`);
    }
    // A vote does not help.
    const dao = await Dao.staked(net);
    const { params } = await dao.governor.getState();
    for (const rules of bad) {
        await net.refused(dao.governor.address, GovernorErr.badParams, () =>
            impersonate(net, dao.governor.address, dao.governor.address, rulesBody(rules), ton('1'), false),
        );
    }
    const proposal = await dao.pass(dao.stakers, bundle([{ to: dao.governor.address, body: rulesBody({ quorumBps: 0n }) }]));
    const result = await dao.sendExecute(proposal);
    const codes = from(allOn(result, dao.governor.address), dao.governor.address).map((tx) => compute(tx).exitCode);
    assert.deepEqual(codes, [GovernorErr.badParams, 0], 'refused, and the bounce taken');
    assert.deepEqual((await dao.governor.getState()).params, params);
});

test('a governor that was not set up takes neither stake nor gifts', async () => {
    const net = await Network.create();
    const wallet = await net.wallet('ann');
    const governor = net.chain.openContract(await governorAt());
    const gift = await governor.send(wallet.getSender(), { value: ton('1') }, null);
    assert.equal(compute(on(gift, governor.address)).exitCode, GovernorErr.notReady);
});

test('attack_45_execution_that_fails_stays_retryable', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const { governor, stakers } = dao;
    const friend = await net.wallet('friend');
    const grant = bundle([{ to: friend.address, value: ton('100'), body: Cell.EMPTY }]);
    const proposal = await dao.pass(stakers, grant, 'a grant');
    const { executeValue } = await proposal.getState();
    // Too little to execute with: refused before anything happens.
    await net.refused(proposal.address, ProposalErr.lowValue, () => dao.sendExecute(proposal, { value: executeValue - 1n }));
    assert.equal(await proposal.getStatus(), Status.ready);
    // The treasury is too poor: the governor does nothing, the proposal may be tried again, the executor has the value back.
    const poor = await dao.sendExecute(proposal);
    assert.equal(compute(from(allOn(poor, governor.address), proposal.address)[0]).exitCode, GovernorErr.poor);
    assert.equal(allOn(poor, friend.address).length, 0);
    assert.equal(await proposal.getStatus(), Status.ready);
    const back = sent(allOn(poor, proposal.address)[1]).find((m) => m.to.equals(dao.deployer.address));
    assert.ok(back && back.value > executeValue - ton('0.05'));
    // Too few funds inside the governor for the gas values, as if prices had risen: bounces, too.
    const body = executeBody(grant, text('a grant'));
    await net.refused(governor.address, GovernorErr.lowValue, () => impersonate(net, proposal.address, governor.address, body, ton('0.1')));
    // With money it works.
    const gift = await governor.send(dao.deployer.getSender(), { value: ton('101') }, null);
    assertOk(on(gift, governor.address));
    const before = await net.balance(governor.address);
    const done = await dao.sendExecute(proposal);
    assert.equal(await proposal.getStatus(), Status.executed);
    const [received] = from(allOn(done, friend.address), governor.address);
    assert.ok(received.inMessage?.info.type === 'internal' && received.inMessage.info.value.coins > ton('100'));
    const after = await net.balance(governor.address);
    assert.ok(before - after >= ton('100') && before - after < ton('100.01'), 'the executor pays the gas, the treasury the grant');
    await net.refused(proposal.address, ProposalErr.notReady, () => dao.sendExecute(proposal));
});

test('attack_45_the_longest_bundle stays within its own price, and an action that fails comes back to the treasury', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const many = bundle(Array.from({ length: 32 }, (_, i) => ({ to: dao.registry.address, body: scheduleImage(dao.registry.address, BigInt(i + 1)) })));
    const tooMany = bundle(Array.from({ length: 33 }, (_, i) => ({ to: dao.registry.address, body: setMinTcb(BigInt(i + 1)) })));
    await net.refused(dao.governor.address, GovernorErr.badActions, () => dao.sendPropose(dao.stakers[0], tooMany, text('33')));
    const proposal = await dao.pass(dao.stakers, many, '32 images');
    const result = await dao.sendExecute(proposal);
    noteGas('governance: execute 32 actions, in the governor', assertOk(from(allOn(result, dao.governor.address), proposal.address)[0]));
    assert.equal(await proposal.getStatus(), Status.executed);
    assert.equal((await dao.registry.getSnapshot()).images.size, 32);

    // An action that its receiver refuses is done all the same: it is not tried again, its money is in the treasury.
    const wrong = bundle([
        { to: dao.registry.address, body: bareOp(0xdeadbeef) },
        { to: dao.registry.address, body: setMinTcb(99n) },
    ]);
    const half = await dao.pass(dao.stakers, wrong, 'half wrong');
    const treasury = await net.balance(dao.governor.address);
    const run = await dao.sendExecute(half);
    const [refused, fine] = from(allOn(run, dao.registry.address), dao.governor.address);
    assert.equal(compute(refused).exitCode, UNKNOWN_MESSAGE);
    assertOk(fine);
    allOn(run, dao.governor.address).forEach(assertOk);
    assert.ok((await net.balance(dao.governor.address)) > treasury);
    assert.equal(await half.getStatus(), Status.executed);
});

test('a bundle is well-formed, pays for its gas, has a bounded size, and does not speak in the governor\'s own words', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const victim = dao.stakers[1];
    const refuses = (code: number, actions: Cell, metadata = text('x')) =>
        net.refused(dao.governor.address, code, () => dao.sendPropose(ann, actions, metadata, { value: ton('12') }));
    const body = setMinTcb(1n);
    await refuses(GovernorErr.badActions, bundle([{ to: dao.registry.address, gas: ton('0.02') - 1n, body }]));
    await refuses(9, Cell.EMPTY);
    await refuses(9, bundle([{ to: dao.registry.address, body }]).beginParse().loadRef());
    let salt = 0;
    /** A tree of this many different cells, at least. */
    const tree = (cells: number): Cell => {
        const b = beginCell().storeUint(salt++, 32);
        for (let i = 0; cells > 1 && i < 4; i++) b.storeRef(tree(Math.ceil((cells - 1) / 4)));
        return b.endCell();
    };
    await refuses(8, bundle([{ to: dao.registry.address, body: tree(520) }]));
    await refuses(8, bundle([{ to: dao.registry.address, body }]), tree(65));

    const confirmed = beginCell()
        .store(storeStakeConfirmed({ $$type: 'StakeConfirmed', queryId: 1n, lot: 0n, activeFrom: 1n, unbondingDelay: 0n }))
        .endCell();
    const exit = beginCell()
        .store(storeExitConfirmed({ $$type: 'ExitConfirmed', queryId: 1n, lot: 0n, exitFrom: 1n, unbondingDelay: 0n }))
        .endCell();
    const executed = beginCell().store(storeProposalExecuted({ $$type: 'ProposalExecuted', queryId: 1n })).endCell();
    const open = bareOp(0x50520001);
    for (const word of [confirmed, exit, executed, open]) {
        await refuses(GovernorErr.badActions, bundle([{ to: victim.account.address, body: word }]));
        await refuses(
            GovernorErr.badActions,
            bundle([
                { to: dao.registry.address, body },
                { to: victim.account.address, body: word },
            ]),
        );
    }
});

test('G5: the rules change through a proposal only, and a running proposal keeps its own', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const { governor, stakers } = dao;
    const harder = { quorumBps: 9000n, timelock: BigInt(4 * DAY), votingPeriod: BigInt(5 * DAY) };
    const body = rulesBody(harder);
    for (const sender of [dao.deployer, stakers[0].wallet]) {
        await net.refused(governor.address, GovernorErr.notSelf, () => net.send(sender, governor.address, ton('1'), body));
    }
    for (const address of [dao.registry.address, stakers[0].account.address]) {
        await net.refused(governor.address, GovernorErr.notSelf, () => impersonate(net, address, governor.address, body));
    }
    const running = await dao.propose(stakers[1], bundle([{ to: dao.registry.address, body: setMinTcb(18n) }]), text('running'));
    const before = await running.getState();
    await dao.decide(stakers, [{ to: governor.address, body }], 'harder rules');
    assert.deepEqual((await governor.getState()).params, { ...RULES, ...harder });
    const after = await running.getState();
    assert.deepEqual({ ...figures(after), status: 0n }, { ...figures(before), status: 0n });
    const next = await dao.propose(stakers[1], bundle([{ to: dao.registry.address, body: setMinTcb(19n) }]), text('next'));
    assert.equal((await next.getState()).quorum, ton('900'));
});

test('a proposal is opened at the current snapshot, by a stake account, with its own weight', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const actions = bundle([{ to: dao.registry.address, body: setMinTcb(18n) }]);
    const epoch = await dao.epoch();
    await net.refused(dao.governor.address, GovernorErr.wrongEpoch, () => dao.sendPropose(ann, actions, text('x'), { snapshot: epoch + 1n }));
    net.later(EPOCH);
    await net.refused(dao.governor.address, GovernorErr.wrongEpoch, () => dao.sendPropose(ann, actions, text('x'), { snapshot: epoch }));
    const thief = await net.wallet('thief');
    const submit = beginCell()
        .store(
            storeSubmitProposal({
                $$type: 'SubmitProposal',
                queryId: 1n,
                snapshot: epoch + 1n,
                weight: ton('1000'),
                owner: ann.wallet.address,
                actions,
                metadata: text('x'),
            }),
        )
        .endCell();
    await net.refused(dao.governor.address, GovernorErr.notStakeAccount, () => net.send(thief, dao.governor.address, ton('12'), submit));
    // Unknown messages are refused, and nothing listens from outside.
    await net.refused(dao.governor.address, UNKNOWN_MESSAGE, () => net.send(thief, dao.governor.address, ton('1'), bareOp(0x47560099)));
    const proposal = await dao.propose(ann, actions, text('x'));
    await net.refused(proposal.address, UNKNOWN_MESSAGE, () => net.send(thief, proposal.address, ton('1'), bareOp(0x50520099)));
    await net.refused(proposal.address, UNKNOWN_MESSAGE, () => net.send(thief, proposal.address, ton('1')));
    const done = beginCell().store(storeProposalExecuted({ $$type: 'ProposalExecuted', queryId: 1n })).endCell();
    await net.refused(proposal.address, ProposalErr.notGovernor, () => net.send(thief, proposal.address, ton('1'), done));
});

test('G3 and G4: nothing is active before its delay, and a revocation takes one transaction', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const soon = BigInt(net.now + 1);
    await dao.decide(dao.stakers, [{ to: dao.registry.address, body: scheduleImage(dao.registry.address, 1n, { activeFrom: soon }) }], 'soon');
    assert.equal(await dao.registry.getImageStatus(1n), Entry.scheduled);
    net.later(2 * DAY - 1);
    assert.equal(await dao.registry.getImageStatus(1n), Entry.scheduled);
    net.later(1);
    assert.equal(await dao.registry.getImageStatus(1n), Entry.active);
    const result = await dao.decide(dao.stakers, [{ to: dao.registry.address, body: revoke(1n, 1n) }], 'revoke');
    assert.equal(from(allOn(result, dao.registry.address), dao.governor.address).length, 1);
    assert.equal(await dao.registry.getImageStatus(1n), Entry.revoked);
    assert.equal(actionCode(from(allOn(result, dao.registry.address), dao.governor.address)[0]), 0);
});

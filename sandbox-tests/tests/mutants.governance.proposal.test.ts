// Proposals to the second, the nano and the bit: what mutation testing found that no other test looked at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, Dictionary, beginCell } from '@ton/core';
import { internal } from '@ton/sandbox';
import {
    Proposal,
    loadBondReturned,
    loadExcesses,
    loadExecuteProposal,
    loadProposalDetails,
    loadProposalExists,
    loadProposalOpened,
    loadVoteCounted,
    storeCastVote,
    storeOpenProposal,
    storeProposalExecuted,
    storeProposalTerms,
} from '../build/Proposal';
import { StakeAccount } from '../build/StakeAccount';
import { ABSTAIN, Dao, NO, ProposalErr, Prop, RULES, Status, YES, bundle, impersonate, text } from '../support/dao';
import { setMinTcb } from '../support/entries';
import { NOWHERE, answer, comesBack, holds, keeps, outgoing, storedData, withCellPrice } from '../support/exact';
import { DAY, GENESIS, HOUR, Network, Wallet, allOn, assertOk, compute, on, sent, ton } from '../support/network';

const MIN_VALUE = ton('0.05');
const RESERVE = ton('0.1');
const BOND = ton('10');
const QUORUM = ton('400');
const EXECUTE_VALUE = ton('0.3');
const START = BigInt(GENESIS + HOUR);
const END = START + BigInt(3 * DAY);
const LATE = BigInt(DAY);
const TIMELOCK = BigInt(2 * DAY);
const WINDOW = BigInt(7 * DAY);
const SNAPSHOT = 77n;
const Op = { opened: 0x50520011, exists: 0x50520012, counted: 0x50520013, bond: 0x50520014, execute: 0x47560005, excesses: 0xd53276db } as const;

const hash = (c: Cell) => BigInt('0x' + c.hash().toString('hex'));
const cell = (store: (b: ReturnType<typeof beginCell>) => void) => beginCell().store(store).endCell();

/** A proposal alone, to which the test says what the governor and the stake accounts would. */
class Lone {
    private constructor(
        readonly net: Network,
        readonly governor: Address,
        readonly proposal: Prop & { init?: { code: Cell; data: Cell } },
        readonly ann: Wallet,
        readonly actions: Cell,
        readonly id: bigint,
    ) {}

    static async create(): Promise<Lone> {
        const net = await Network.create();
        const governor = (await net.wallet('governor')).address;
        const ann = await net.wallet('ann');
        const id = 0xabcdn << 128n;
        const name = beginCell().storeUint(id, 256).endCell();
        const init = await Proposal.fromInit(governor, 0n, 0n, 0n, 0n, 0n, false, 0n, 0n, 0n, 0n, 0n, 0n, name);
        return new Lone(net, governor, net.chain.openContract(init), ann, bundle([{ to: governor, body: setMinTcb(18n) }]), id);
    }

    static async opened(proposer?: Address): Promise<Lone> {
        const lone = await Lone.create();
        await lone.open({ proposer });
        return lone;
    }

    get address(): Address {
        return this.proposal.address;
    }

    async open(opts: { proposer?: Address; by?: Address; value?: bigint } = {}) {
        const { code } = (await StakeAccount.fromInit(this.governor, this.ann.address, Dictionary.empty(), Dictionary.empty(), null)).init!;
        const terms = cell(
            storeProposalTerms({
                $$type: 'ProposalTerms',
                proposer: opts.proposer ?? this.ann.address,
                timelock: TIMELOCK,
                executionWindow: WINDOW,
                totalStake: ton('1000'),
                executeValue: EXECUTE_VALUE,
            }),
        );
        const body = cell(
            storeOpenProposal({
                $$type: 'OpenProposal',
                queryId: 4n,
                bond: BOND,
                startsAt: START,
                endsAt: END,
                snapshot: SNAPSHOT,
                lateExtension: LATE,
                quorum: QUORUM,
                stakeCode: { $$type: 'StakeCode', hash: hash(code), depth: BigInt(code.depth()) },
                terms,
                actions: this.actions,
                metadata: text('x'),
            }),
        );
        const from = opts.by ?? this.governor;
        return this.net.chain.sendMessage(internal({ from, to: this.address, value: opts.value ?? ton('11'), body, bounce: true, stateInit: this.proposal.init }));
    }

    /** What the stake account of this owner would say. */
    async cast(weight: bigint, support: bigint, opts: { owner?: Address; value?: bigint; snapshot?: bigint; receiptUntil?: bigint; workchain?: number } = {}) {
        const owner = opts.owner ?? this.ann.address;
        const { address } = await StakeAccount.fromInit(this.governor, owner, Dictionary.empty(), Dictionary.empty(), null);
        const receiptUntil = opts.receiptUntil ?? (await this.proposal.getState()).lastEnd;
        const snapshot = opts.snapshot ?? SNAPSHOT;
        const body = cell(storeCastVote({ $$type: 'CastVote', queryId: 5n, weight, support, snapshot, receiptUntil, owner }));
        return impersonate(this.net, new Address(opts.workchain ?? 0, address.hash), this.address, body, opts.value ?? ton('0.2'));
    }

    execute(value = EXECUTE_VALUE) {
        return this.proposal.send(this.ann.getSender(), { value }, { $$type: 'Execute', queryId: 6n });
    }

    close(value = ton('0.1')) {
        return this.proposal.send(this.ann.getSender(), { value }, { $$type: 'CloseProposal', queryId: 7n });
    }

    executed(by = this.governor) {
        return impersonate(this.net, by, this.address, cell(storeProposalExecuted({ $$type: 'ProposalExecuted', queryId: 8n })));
    }

    async votes() {
        const { yes, no, abstain } = await this.proposal.getState();
        return [yes, no, abstain];
    }

    at(time: bigint): void {
        this.net.now = Number(time);
    }

    /** Won, and the timelock is over. */
    async ready(): Promise<void> {
        this.at(START);
        assertOk(on(await this.cast(QUORUM, YES), this.address));
        this.at(END + TIMELOCK);
    }
}

test('a proposal opens with just what the governor says, keeps the bond and its reserve, and sends the rest to the proposer', async () => {
    const lone = await Lone.create();
    const thief = await lone.net.wallet('thief');
    assert.equal(compute(on(await lone.open({ by: thief.address }), lone.address)).exitCode, ProposalErr.notGovernor);
    const tx = assertOk(on(await lone.open(), lone.address));
    assert.equal(await lone.net.balance(lone.address), BOND + RESERVE);
    const { message, ...opened } = answer(tx, Op.opened, loadProposalOpened);
    assert.deepEqual(opened, { $$type: 'ProposalOpened', queryId: 4n, id: lone.id });
    holds(message.to.equals(lone.ann.address) && !message.bounce);
    const { actions, metadata, proposer, ...figures } = await lone.proposal.getState();
    holds(actions.equals(lone.actions) && metadata.equals(text('x')) && proposer.equals(lone.ann.address));
    assert.deepEqual(figures, {
        $$type: 'ProposalState',
        id: lone.id,
        status: Status.pending,
        snapshot: SNAPSHOT,
        startsAt: START,
        endsAt: END,
        lastEnd: END + LATE,
        executableFrom: END + TIMELOCK,
        expiresAt: END + TIMELOCK + WINDOW,
        totalStake: ton('1000'),
        quorum: QUORUM,
        yes: 0n,
        no: 0n,
        abstain: 0n,
        bond: BOND,
        executeValue: EXECUTE_VALUE,
    });
    // A second opening is the same proposal, and keeps nothing (attack 43).
    const data = await lone.net.dataHash(lone.address);
    const again = await keeps(lone.net, lone.address, 0n, () => lone.open());
    const { message: back, ...exists } = answer(again, Op.exists, loadProposalExists);
    assert.deepEqual(exists, { $$type: 'ProposalExists', queryId: 4n, id: lone.id });
    holds(back.to.equals(lone.ann.address) && sent(again).length === 1);
    assert.equal(await lone.net.dataHash(lone.address), data);
});

test('attack_34_a_vote_counts_from_the_first_second_to_the_last', async () => {
    const lone = await Lone.opened();
    const refused = (code: number, ...vote: Parameters<Lone['cast']>) => lone.net.refused(lone.address, code, () => lone.cast(...vote));
    lone.at(START - 1n);
    await refused(ProposalErr.notVoting, 1n, YES);
    lone.at(START);
    assertOk(on(await lone.cast(1n, YES), lone.address));
    lone.at(END - 1n);
    assertOk(on(await lone.cast(2n, NO), lone.address));
    lone.at(END);
    await refused(ProposalErr.notVoting, 1n, YES);
    assert.deepEqual(await lone.votes(), [1n, 2n, 0n]);
});

test('attack_16_least_value_of_a_vote, and all else that a vote must be', async () => {
    const lone = await Lone.opened();
    lone.at(START);
    const refused = (code: number, ...vote: Parameters<Lone['cast']>) => lone.net.refused(lone.address, code, () => lone.cast(...vote));
    await refused(ProposalErr.lowValue, 1n, YES, { value: MIN_VALUE - 1n });
    for (const snapshot of [SNAPSHOT - 1n, SNAPSHOT + 1n]) await refused(ProposalErr.wrongSnapshot, 1n, YES, { snapshot });
    await refused(ProposalErr.shortReceipt, 1n, YES, { receiptUntil: END + LATE - 1n });
    await refused(ProposalErr.badSupport, 1n, ABSTAIN + 1n);
    await refused(ProposalErr.notStakeAccount, 1n, YES, { workchain: -1 });
    assertOk(on(await lone.cast(1n, NO, { value: MIN_VALUE }), lone.address));
    assertOk(on(await lone.cast(10n, YES, { receiptUntil: END + LATE }), lone.address));
    assertOk(on(await lone.cast(100n, ABSTAIN), lone.address));
    assertOk(on(await lone.cast(1000n, NO), lone.address));
    assertOk(on(await lone.cast(10000n, YES), lone.address));
    assertOk(on(await lone.cast(100000n, ABSTAIN), lone.address));
    assert.deepEqual(await lone.votes(), [10010n, 1001n, 100100n]);
});

test('attack_17_a_vote_whose_answer_cannot_be_sent is not counted, and one that counts costs the proposal nothing', async () => {
    const lone = await Lone.opened();
    lone.at(START);
    const tx = await keeps(lone.net, lone.address, 0n, () => lone.cast(ton('3'), YES));
    const { message, ...counted } = answer(tx, Op.counted, loadVoteCounted);
    assert.deepEqual(counted, { $$type: 'VoteCounted', queryId: 5n, weight: ton('3') });
    holds(message.to.equals(lone.ann.address) && !message.bounce && sent(tx).length === 1);
    await comesBack(lone.net, lone.address, () => lone.cast(ton('3'), YES, { owner: NOWHERE }));
    assert.deepEqual(await lone.votes(), [ton('3'), 0n, 0n]);
});

test('attack_35_the_end_moves_for_a_quorum_later_than_the_extension_before_it, and not a second earlier', async () => {
    for (const late of [0n, 1n]) {
        const lone = await Lone.opened();
        lone.at(END - LATE + late);
        await lone.cast(QUORUM - 1n, YES);
        await lone.cast(ton('500'), NO);
        assert.equal((await lone.proposal.getState()).lastEnd, END + LATE, 'no quorum, so the end may still move');
        await lone.cast(1n, ABSTAIN);
        const { endsAt, lastEnd } = await lone.proposal.getState();
        assert.deepEqual([endsAt, lastEnd], late ? [END + late, END + late] : [END, END + LATE]);
        lone.at(END - 1n);
        await lone.cast(1n, YES);
        assert.equal((await lone.proposal.getState()).endsAt, endsAt, 'a quorum is reached once');
    }
});

test('attack_38_every_state_of_a_proposal begins and ends in its second', async () => {
    const votes: Record<string, [bigint, bigint, bigint]> = {
        won: [QUORUM, QUORUM - 1n, 0n],
        abstained: [1n, 0n, QUORUM - 1n],
        tie: [QUORUM, QUORUM, 0n],
        lost: [QUORUM, QUORUM + 1n, 0n],
        quiet: [QUORUM - 1n, 0n, 0n],
        silent: [1n, 0n, QUORUM - 2n],
    };
    for (const [name, [yes, no, abstain]] of Object.entries(votes)) {
        const lone = await Lone.opened();
        const status = async (time: bigint) => {
            lone.at(time);
            return lone.proposal.getStatus();
        };
        assert.equal(await status(START - 1n), Status.pending);
        assert.equal(await status(START), Status.active);
        for (const [weight, support] of [[yes, YES], [no, NO], [abstain, ABSTAIN]]) await lone.cast(weight, support);
        assert.equal(await status(END - 1n), Status.active);
        const won = name === 'won' || name === 'abstained';
        const expected: [bigint, bigint][] = [
            [END, Status.queued],
            [END + TIMELOCK - 1n, Status.queued],
            [END + TIMELOCK, Status.ready],
            [END + TIMELOCK + WINDOW - 1n, Status.ready],
            [END + TIMELOCK + WINDOW, Status.expired],
        ];
        for (const [time, state] of expected) assert.equal(await status(time), won ? state : Status.defeated, name);
        // Closed it says still how it ended.
        assertOk(on(await lone.close(), lone.address));
        assert.equal(await status(END + TIMELOCK + WINDOW), won ? Status.expired : Status.defeated);
    }
});

test('attack_38_nothing_but_a_vote_that_is_over_can_be_closed, and only what is ready can be executed', async () => {
    const lone = await Lone.opened();
    const notOver = () => lone.net.refused(lone.address, ProposalErr.notOver, () => lone.close());
    const notReady = () => lone.net.refused(lone.address, ProposalErr.notReady, () => lone.execute());
    await notOver();
    await notReady();
    lone.at(START);
    await lone.cast(QUORUM, YES);
    for (const time of [START, END, END + TIMELOCK - 1n]) {
        lone.at(time);
        await notOver();
        await notReady();
    }
    lone.at(END + TIMELOCK);
    await notOver();
    lone.at(END + TIMELOCK + WINDOW);
    await notReady();
    await lone.close();
    await notOver();
    await notReady();
});

test('attack_36_the_bond_goes_back_when_as_many_as_the_quorum_cared, whatever they said, and not for one less', async () => {
    const cases: [bigint, bigint, bigint, boolean][] = [
        [0n, QUORUM, 0n, true],
        [0n, QUORUM - 1n, 0n, false],
        [1n, QUORUM - 1n, 0n, true],
        [0n, QUORUM - 1n, 1n, true],
        [0n, QUORUM - 2n, 1n, false],
    ];
    for (const [yes, no, abstain, cared] of cases) {
        const lone = await Lone.opened();
        lone.at(START);
        for (const [weight, support] of [[yes, YES], [no, NO], [abstain, ABSTAIN]]) if (weight) await lone.cast(weight, support);
        lone.at(END);
        await lone.net.refused(lone.address, ProposalErr.lowValue, () => lone.close(MIN_VALUE - 1n));
        const tx = assertOk(await keeps(lone.net, lone.address, -BOND, () => lone.close(MIN_VALUE)));
        const { message, ...bond } = answer(tx, Op.bond, loadBondReturned);
        assert.deepEqual(bond, { $$type: 'BondReturned', queryId: 7n, id: lone.id });
        assert.equal(message.value, BOND);
        holds(message.to.equals(cared ? lone.ann.address : lone.governor) && !message.bounce);
        const { message: rest, queryId } = answer(tx, Op.excesses, loadExcesses);
        holds(rest.to.equals(lone.ann.address) && queryId === 7n && sent(tx).length === 2);
        assert.equal((await lone.proposal.getState()).bond, 0n);
    }
});

test('attack_17_a_bond_that_cannot_be_sent_stays, and the proposal can be closed later', async () => {
    const lone = await Lone.opened();
    lone.at(END);
    const { config } = lone.net.chain;
    lone.net.chain.setConfig(withCellPrice(config, ton('3')));
    await comesBack(lone.net, lone.address, () => lone.close(ton('2')));
    lone.net.chain.setConfig(config);
    assertOk(on(await lone.close(), lone.address));
});

test('attack_45_execution_is_asked_for_once, with the actions that were voted, and is the executor\'s to pay', async () => {
    const lone = await Lone.opened();
    await lone.ready();
    const { net, address } = lone;
    await net.refused(address, ProposalErr.lowValue, () => lone.execute(EXECUTE_VALUE - 1n));
    // The governor here is a wallet, which takes what it is told and says nothing.
    const tx = await keeps(net, address, 0n, () => lone.execute());
    const { message, actions, ...asked } = answer(tx, Op.execute, loadExecuteProposal);
    holds(message.to.equals(lone.governor) && message.bounce && actions.equals(lone.actions));
    assert.deepEqual(asked, { $$type: 'ExecuteProposal', queryId: 6n, metadataHash: hash(text('x')) });
    assert.equal(await lone.proposal.getStatus(), Status.executing);
    await net.refused(address, ProposalErr.notReady, () => lone.execute());
    await net.refused(address, ProposalErr.notOver, () => lone.close());
    const thief = await net.wallet('thief');
    await net.refused(address, ProposalErr.notGovernor, () => lone.executed(thief.address));

    const done = assertOk(await keeps(net, address, -BOND, () => lone.executed()));
    const [bond, rest] = outgoing(net, done);
    holds(bond.to.equals(lone.ann.address) && bond.value === BOND && rest.to.equals(lone.ann.address));
    assert.equal(answer(done, Op.bond, loadBondReturned).queryId, 8n);
    assert.equal(answer(done, Op.excesses, loadExcesses).queryId, 8n);
    assert.equal(await lone.proposal.getStatus(), Status.executed);
    assert.equal((await details(lone)).executor, null, 'nobody is remembered');
    lone.at(END + TIMELOCK + WINDOW);
    assert.equal(await lone.proposal.getStatus(), Status.executed);
    await net.refused(address, ProposalErr.notOver, () => lone.close());
});

test('attack_45_a_failed_execution_leaves_no_trace, and its value goes to whoever asked', async () => {
    const lone = await Lone.opened((await (await Network.create()).wallet('bob')).address);
    await lone.ready();
    const { net, address } = lone;
    const before = await net.dataHash(address);
    const asked = answer(on(await lone.execute(), address), Op.execute, loadExecuteProposal).message.body;
    assert.notEqual(await net.dataHash(address), before);
    const body = beginCell().storeUint(0xffffffff, 32).storeBits(asked.bits.substring(0, 256)).endCell();
    const tx = await keeps(net, address, 0n, () => net.deliver(lone.governor, address, ton('0.2'), body, { bounced: true }));
    const { message, queryId } = answer(tx, Op.excesses, loadExcesses);
    holds(message.to.equals(lone.ann.address) && queryId === 6n);
    assert.equal(await net.dataHash(address), before);
    // The bond is the proposer's, the rest the executor's.
    await lone.execute();
    const done = sent(assertOk(allOn(await lone.executed(), address)[0]));
    holds(done[1].to.equals(lone.ann.address) && !done[0].to.equals(lone.ann.address));
});

test('a proposal that was never opened is nothing, and takes no orders', async () => {
    const lone = await Lone.create();
    // A stranger's message brings its code and data, and is refused.
    const thief = await lone.net.wallet('thief');
    await lone.open({ by: thief.address });
    assert.equal(await lone.proposal.getStatus(), 0n);
    await assert.rejects(lone.proposal.getState(), { message: new RegExp(`exit_code: ${ProposalErr.notReady}`) });
    for (const order of [() => lone.execute(), () => lone.close()]) await lone.net.refused(lone.address, ProposalErr.notReady, order);
});

/** What a proposal stores beside its votes. */
async function details(lone: Lone) {
    const data = await storedData(lone.net, lone.address);
    return loadProposalDetails(data.refs[data.refs.length - 1].beginParse());
}

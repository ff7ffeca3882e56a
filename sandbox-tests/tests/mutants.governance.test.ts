// Amounts, limits and rules of the governor to the last one: what mutation testing found that no other test looked at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, Dictionary, beginCell } from '@ton/core';
import { internal } from '@ton/sandbox';
import {
    Governor,
    GovernorParams,
    loadExcesses,
    storeAddStake,
    storeExecuteProposal,
    storePunishNode,
    storeRemoveStake,
    storeSetGovernorParams,
    storeSetRegistry,
    storeSubmitProposal,
} from '../build/Governor';
import { Proposal } from '../build/Proposal';
import { StakeAccount, loadExitConfirmed, loadStakeConfirmed } from '../build/StakeAccount';
import { Dao, EPOCH, GovernorErr, RULES, Staker, bundle, governorAt, impersonate, text } from '../support/dao';
import { setMinTcb } from '../support/entries';
import { NOWHERE, answer, comesBack, dataSize, forwardFeeOf, holds, keeps, outgoing, withCellPrice } from '../support/exact';
import { DAY, Network, Result, YEAR, actionCode, assertOk, compute, on, sent, storageFee, ton } from '../support/network';

const MIN_VALUE = ton('0.05');
const SUBMIT_VALUE = ton('0.5');
const RESERVE = ton('0.5');
const EXECUTE_BASE = ton('0.1');
const EXECUTE_PER_ACTION = ton('0.01');
const MIN_ACTION_GAS = ton('0.02');
const PERIOD = BigInt(90 * DAY);
const EXCESSES = 0xd53276db;

const cell = (store: (b: ReturnType<typeof beginCell>) => void) => beginCell().store(store).endCell();
const hash = (c: Cell) => BigInt('0x' + c.hash().toString('hex'));
const addBody = (owner: Address) => cell(storeAddStake({ $$type: 'AddStake', queryId: 8n, lot: 3n, amount: ton('1'), owner }));
const removeBody = (owner: Address) => cell(storeRemoveStake({ $$type: 'RemoveStake', queryId: 9n, lot: 4n, amount: ton('1'), owner }));
const rulesBody = (rules: Partial<GovernorParams>) =>
    cell(storeSetGovernorParams({ $$type: 'SetGovernorParams', queryId: 1n, params: { ...RULES, ...rules } }));
const executeBody = (actions: Cell, metadata: Cell) =>
    cell(storeExecuteProposal({ $$type: 'ExecuteProposal', queryId: 6n, metadataHash: hash(metadata), actions }));

/** A DAO with one staker, and what her account would ask the governor for. */
async function withAnn() {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const ann = await dao.staker('ann', ton('1000'));
    net.later(EPOCH);
    const snapshot = await dao.epoch();
    const { governor } = dao;
    const submitBody = (actions: Cell, metadata: Cell, weight = ton('1000')) =>
        cell(storeSubmitProposal({ $$type: 'SubmitProposal', queryId: 4n, snapshot, weight, owner: ann.wallet.address, actions, metadata }));
    const say = (body: Cell, value: bigint, by: Address = ann.account.address) => impersonate(net, by, governor.address, body, value);
    const submit = (actions: Cell, metadata = text('x'), value = ton('12')) => say(submitBody(actions, metadata), value);
    return { net, dao, ann, governor, submitBody, submit, say };
}

const harmless = (dao: Dao, body = setMinTcb(18n)) => bundle([{ to: dao.registry.address, body }]);

/** A tree of this many different cells, in which every cell but a few has four more. */
function tree(cells: number, salt = 0): Cell {
    const all = Array.from({ length: cells }, (_, i) => ({ salt: salt + i, below: [] as number[] }));
    for (let i = 1; i < cells; i++) all[Math.floor((i - 1) / 4)].below.push(i);
    const make = (i: number): Cell => {
        const b = beginCell().storeUint(all[i].salt, 32);
        for (const j of all[i].below) b.storeRef(make(j));
        return b.endCell();
    };
    return make(0);
}

test('attack_44_rules_at_their_limits are sound, and one step beyond they are not', async () => {
    const net = await Network.create();
    const { governor } = await Dao.create(net);
    const long = { votingPeriod: PERIOD, unbondingDelay: 4n * PERIOD };
    const quick = { votingDelay: 0n, votingPeriod: 1n, lateExtension: 0n, timelock: 1n, executionWindow: 1n, unbondingDelay: 3n };
    const whole = RULES.votingDelay + RULES.votingPeriod + RULES.lateExtension + RULES.timelock;
    const sound: Partial<GovernorParams>[] = [
        quick,
        { proposalThreshold: 1n, proposalBond: 1n, quorumBps: 1n },
        { quorumBps: 10000n },
        { ...long, lateExtension: PERIOD },
        { ...long, votingDelay: PERIOD },
        { ...long, timelock: PERIOD },
        { executionWindow: PERIOD },
        { lateExtension: RULES.votingPeriod },
        { unbondingDelay: whole + 1n },
    ];
    const unsound: Partial<GovernorParams>[] = [
        { ...quick, votingPeriod: 0n },
        { ...quick, timelock: 0n },
        { ...quick, executionWindow: 0n },
        { ...quick, unbondingDelay: 2n },
        { proposalThreshold: 0n },
        { proposalBond: 0n },
        { quorumBps: 0n },
        { quorumBps: 10001n },
        { ...long, votingPeriod: PERIOD + 1n },
        { ...long, votingDelay: PERIOD + 1n },
        { ...long, timelock: PERIOD + 1n },
        { executionWindow: PERIOD + 1n },
        { lateExtension: RULES.votingPeriod + 1n },
        { unbondingDelay: 4n * PERIOD + 1n },
        { unbondingDelay: whole },
    ];
    const change = (rules: Partial<GovernorParams>) => impersonate(net, governor.address, governor.address, rulesBody(rules), ton('1'), false);
    for (const rules of sound) {
        assertOk(on(await change(rules), governor.address));
        assert.deepEqual((await governor.getState()).params, { ...RULES, ...rules });
    }
    for (const rules of unsound) await net.refused(governor.address, GovernorErr.badParams, () => change(rules));
});

test('attack_44_epochs_at_their_limits, and figures that a governor must not be born with', async () => {
    const net = await Network.create();
    const deployer = await net.wallet('deployer');
    const setUp = async (governor: Governor, code: number) => {
        const contract = net.chain.openContract(governor);
        const result = await contract.send(deployer.getSender(), { value: ton('1') }, { $$type: 'SetUpGovernor', queryId: 7n });
        assert.equal(compute(on(result, governor.address)).exitCode, code);
    };
    for (const epoch of [60n, PERIOD]) await setUp(await governorAt({}, 1n, epoch), 0);
    for (const epoch of [59n, PERIOD + 1n]) await setUp(await governorAt({}, 1n, epoch), GovernorErr.badParams);
    for (let one = 0; one < 5; one++) {
        const [epoch, total, joining, leaving, proposals] = Array.from({ length: 5 }, (_, i) => (i === one ? 1n : 0n));
        await setUp(await Governor.fromInit(1n, BigInt(EPOCH), RULES, false, epoch, total, joining, leaving, proposals, null), GovernorErr.badParams);
    }
    await setUp(await governorAt({}, 1n, BigInt(EPOCH), NOWHERE), GovernorErr.badParams);
});

test('setting up fills the reserve to the nano, and may be repeated without effect', async () => {
    const net = await Network.create();
    const deployer = await net.wallet('deployer');
    const governor = net.chain.openContract(await governorAt());
    const setUp = () => governor.send(deployer.getSender(), { value: ton('1') }, { $$type: 'SetUpGovernor', queryId: 7n });
    const tx = on(await setUp(), governor.address);
    assert.equal(await net.balance(governor.address), RESERVE);
    assert.equal(answer(tx, EXCESSES, loadExcesses).queryId, 7n);
    // Rich and in use it keeps what it has.
    assertOk(on(await governor.send(deployer.getSender(), { value: ton('3') }, null), governor.address));
    const dao = { net, governor } as unknown as Dao;
    const ann: Staker = await Dao.prototype.staker.call(dao, 'ann');
    assertOk(on(await impersonate(net, ann.account.address, governor.address, addBody(ann.wallet.address)), governor.address));
    net.later(EPOCH);
    assertOk(on(await impersonate(net, ann.account.address, governor.address, addBody(ann.wallet.address)), governor.address));
    await keeps(net, governor.address, 0n, setUp);
    assert.equal((await governor.getState()).ready, true);
});

test('a governor that was not set up counts no stake', async () => {
    const net = await Network.create();
    const governor = await governorAt();
    const dao = { net, governor: net.chain.openContract(governor) } as unknown as Dao;
    const ann: Staker = await Dao.prototype.staker.call(dao, 'ann');
    const body = addBody(ann.wallet.address);
    const result = await net.chain.sendMessage(
        internal({ from: ann.account.address, to: governor.address, value: ton('0.2'), body, bounce: true, stateInit: governor.init }),
    );
    assert.equal(compute(on(result, governor.address)).exitCode, GovernorErr.notReady);
});

test('attack_16_least_values_of_the_governor: one nano less is refused, exactly the least is enough', async () => {
    const { net, dao, ann, governor, submitBody, say } = await withAnn();
    const { registry } = dao;
    assertOk(on(await impersonate(net, governor.address, governor.address, cell(storeSetRegistry({ $$type: 'SetRegistry', queryId: 1n, registry: registry.address }))), governor.address));
    const owner = ann.wallet.address;
    const punish = cell(storePunishNode({ $$type: 'PunishNode', queryId: 1n, account: ann.account.address, node: 5n, reporter: owner }));
    const table: [string, bigint, Address, Cell][] = [
        ['AddStake', MIN_VALUE, ann.account.address, addBody(owner)],
        ['RemoveStake', MIN_VALUE, ann.account.address, removeBody(owner)],
        ['PunishNode', MIN_VALUE, registry.address, punish],
        ['SubmitProposal', RULES.proposalBond + SUBMIT_VALUE, ann.account.address, submitBody(harmless(dao), text('x'))],
    ];
    for (const [name, least, by, body] of table) {
        await net.refused(governor.address, GovernorErr.lowValue, () => say(body, least - 1n, by));
        const [tx] = (await say(body, least, by)).transactions;
        assert.equal(compute(tx).exitCode, 0, name);
        assert.equal(actionCode(tx), 0, name);
    }
    const thief = await net.wallet('thief');
    for (const body of [addBody(owner), removeBody(owner), submitBody(harmless(dao), text('x'))]) {
        await net.refused(governor.address, GovernorErr.notStakeAccount, () => say(body, ton('12'), thief.address));
    }
    // The same hash in another workchain is another account (attacks 39, 58).
    const afar = new Address(-1, ann.account.address.hash);
    await net.refused(governor.address, GovernorErr.notStakeAccount, () => say(addBody(owner), ton('1'), afar));
    // The threshold is enough, and one nano below it is not.
    const by = ann.account.address;
    await net.refused(governor.address, GovernorErr.belowThreshold, () => say(submitBody(harmless(dao), text('y'), RULES.proposalThreshold - 1n), ton('12'), by));
    assertOk(on(await say(submitBody(harmless(dao), text('y'), RULES.proposalThreshold), ton('12'), by), governor.address));
});

test('the treasury pays for nobody: stake is confirmed to the bit, and what the governor held it keeps', async () => {
    const { net, dao, ann, governor, submit, say } = await withAnn();
    const owner = ann.wallet.address;
    const { epoch } = await governor.getState();
    const added = await keeps(net, governor.address, 0n, () => say(addBody(owner), ton('0.2')));
    const { message: m1, ...stake } = answer(added, sent(added)[0].op, loadStakeConfirmed);
    assert.deepEqual(stake, { $$type: 'StakeConfirmed', queryId: 8n, lot: 3n, activeFrom: epoch + 1n, unbondingDelay: RULES.unbondingDelay });
    const before = (await governor.getState()).proposals;
    const opened = await keeps(net, governor.address, 0n, () => submit(harmless(dao)));
    assert.equal((await governor.getState()).proposals, before + 1n);
    // A proposal that could not be opened would send the bond back.
    assert.deepEqual(sent(opened).map((m) => m.bounce), [true]);
    net.later(EPOCH);
    const { totalStake, nextTotalStake } = await governor.getState();
    const removed = await keeps(net, governor.address, 0n, () => say(removeBody(owner), ton('0.2')));
    const { message: m2, ...exit } = answer(removed, sent(removed)[0].op, loadExitConfirmed);
    assert.deepEqual(exit, { $$type: 'ExitConfirmed', queryId: 9n, lot: 4n, exitFrom: epoch + 2n, unbondingDelay: RULES.unbondingDelay });
    const after = await governor.getState();
    assert.deepEqual([after.totalStake, after.nextTotalStake], [totalStake, nextTotalStake - ton('1')]);
    for (const m of [m1, m2]) holds(m.to.equals(ann.account.address) && !m.bounce);
});

test('attack_17_a_proposal_that_cannot_be_sent goes back to the proposer, and is not counted', async () => {
    const { net, dao, governor, submit } = await withAnn();
    net.chain.setConfig(withCellPrice(net.chain.config, ton('5')));
    await comesBack(net, governor.address, () => submit(harmless(dao)));
    assert.equal((await governor.getState()).proposals, 0n);
});

test('a governor that owes for its storage still opens proposals', async () => {
    const { net, dao, governor, say, ann } = await withAnn();
    net.later(YEAR);
    const perYear = storageFee(on(await say(addBody(ann.wallet.address), ton('0.2')), governor.address));
    net.later(Math.floor((Number(await net.balance(governor.address)) / Number(perYear)) * YEAR) + YEAR / 4);
    const body = (snapshot: bigint) =>
        cell(storeSubmitProposal({ $$type: 'SubmitProposal', queryId: 4n, snapshot, weight: ton('1000'), owner: ann.wallet.address, actions: harmless(dao), metadata: text('x') }));
    const tx = on(await say(body(await dao.epoch()), ton('12')), governor.address);
    assertOk(tx);
    assert.equal(await net.balance(governor.address), 0n);
});

test('attack_45_the_price_of_execution is exact, and a bundle may have just so many cells', async () => {
    const { net, dao, governor, submit } = await withAnn();
    const to = dao.registry.address;
    const body = setMinTcb(18n);
    const price = async (actions: Cell, metadata = text('x')) => {
        assertOk(on(await submit(actions, metadata), governor.address));
        return (await (await dao.proposalOf(actions, metadata)).getState()).executeValue;
    };
    const two = bundle([{ to, gas: MIN_ACTION_GAS, body }, { to, gas: ton('0.3'), body: tree(9) }]);
    const gas = MIN_ACTION_GAS + ton('0.3') + 2n * EXECUTE_PER_ACTION;
    assert.equal(await price(two), EXECUTE_BASE + forwardFeeOf(net, dataSize([two])) + gas);
    await net.refused(governor.address, GovernorErr.badActions, () => submit(bundle([{ to, gas: MIN_ACTION_GAS - 1n, body }])));

    const largest = bundle([{ to, body: tree(511) }]);
    assert.equal(dataSize([largest]).cells, 512n);
    await price(largest);
    await net.refused(governor.address, 8, () => submit(bundle([{ to, body: tree(512) }])));
    const many = (n: number) => bundle(Array.from({ length: n }, () => ({ to, gas: MIN_ACTION_GAS, body: Cell.EMPTY })));
    await price(many(32));
    await net.refused(governor.address, GovernorErr.badActions, () => submit(many(33)));
    await price(harmless(dao), tree(64));
    await net.refused(governor.address, 8, () => submit(harmless(dao), tree(65)));
});

test('what a vote cannot say is just what begins with the words of the governor', async () => {
    const { net, dao, governor, submit } = await withAnn();
    const bits = (value: number, length: number) => harmless(dao, beginCell().storeUint(value, length).endCell());
    for (const word of [0x53540000, 0x5354ffff, 0x50520000, 0x5052ffff]) {
        await net.refused(governor.address, GovernorErr.badActions, () => submit(bits(word, 32)));
        // Without a whole operation code it is no word of anybody.
        assertOk(on(await submit(bits(word >>> 1, 31)), governor.address));
    }
    for (const word of [0x5353ffff, 0x53550000, 0x5051ffff, 0x50530000]) assertOk(on(await submit(bits(word, 32)), governor.address));
    assertOk(on(await submit(harmless(dao, Cell.EMPTY)), governor.address));
});

test("attack_43_a_proposal's address follows from what it does and says, and an account's from its owner, for everybody", async () => {
    const net = await Network.create();
    const { governor } = await Dao.create(net);
    const [actions, metadata] = [0x1234n << 200n, 0x5678n];
    const id = beginCell().storeUint(0x50524f50, 32).storeUint(actions, 256).storeUint(metadata, 256).endCell().hash();
    const name = beginCell().storeBuffer(id).endCell();
    const child = await Proposal.fromInit(governor.address, 0n, 0n, 0n, 0n, 0n, false, 0n, 0n, 0n, 0n, 0n, 0n, name);
    holds((await governor.getProposalAddress(actions, metadata)).equals(child.address));
    const ann = (await net.wallet('ann')).address;
    const account = await StakeAccount.fromInit(governor.address, ann, Dictionary.empty(), Dictionary.empty(), null);
    holds((await governor.getStakeAccountAddress(ann)).equals(account.address));
});

test('attack_45_execution: exact value, exact treasury, exact messages', async () => {
    const { net, dao, governor } = await withAnn();
    const friend = await net.wallet('friend');
    const metadata = text('x');
    const execute = async (actions: Cell, value: bigint): Promise<Result> =>
        impersonate(net, (await dao.proposalOf(actions, metadata)).address, governor.address, executeBody(actions, metadata), value);
    const grants = (...values: bigint[]) =>
        bundle(values.map((value, i) => ({ to: friend.address, value, gas: ton('0.1') + BigInt(i), body: beginCell().storeUint(i, 64).endCell() })));
    const gas = (n: number) => Array.from({ length: n }, (_, i) => ton('0.11') + BigInt(i)).reduce((a, b) => a + b);

    // A poor treasury still does what costs it nothing.
    const free = grants(0n);
    assertOk(on(await execute(free, ton('1')), governor.address));
    holds((await net.balance(governor.address)) < RESERVE);
    await net.refused(governor.address, GovernorErr.poor, async () => execute(grants(1n), ton('1')));

    assertOk(on(await governor.send(dao.deployer.getSender(), { value: ton('8') }, null), governor.address));
    const two = grants(ton('1'), ton('2'));
    await net.refused(governor.address, GovernorErr.lowValue, () => execute(two, gas(2) + MIN_VALUE - 1n));
    const tx = await keeps(net, governor.address, -ton('3'), () => execute(two, gas(2) + MIN_VALUE));
    assertOk(tx);
    const [first, second, done] = outgoing(net, tx);
    assert.deepEqual([first.cost, second.cost], [ton('1.1'), ton('2.1') + 1n]);
    holds(first.bounce && second.bounce && !done.bounce);
    holds(done.to.equals((await dao.proposalOf(two, metadata)).address));

    // The treasury never goes below its reserve, and may go down to it.
    const most = (await net.balance(governor.address)) - RESERVE;
    await net.refused(governor.address, GovernorErr.poor, () => execute(grants(most + 1n), ton('1')));
    await keeps(net, governor.address, -most, () => execute(grants(most), ton('1')));
    assert.equal(await net.balance(governor.address), RESERVE);
});

test('attack_45_an_action_that_cannot_be_sent brings the whole execution back', async () => {
    const { net, dao, governor } = await withAnn();
    const metadata = text('x');
    const actions = bundle([{ to: dao.registry.address, body: setMinTcb(18n) }, { to: NOWHERE, body: Cell.EMPTY }]);
    const { address } = await dao.proposalOf(actions, metadata);
    await comesBack(net, governor.address, () => impersonate(net, address, governor.address, executeBody(actions, metadata), ton('2')));
});

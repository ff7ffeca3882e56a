// Stake accounts to the nano, the second and the bit: what mutation testing found that no other test looked at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, Dictionary, beginCell } from '@ton/core';
import { FaultReport } from '../build/FaultReport';
import { loadAddStake, loadRemoveStake, loadSubmitProposal } from '../build/Governor';
import { loadCastVote } from '../build/Proposal';
import {
    Books,
    Lot,
    Node,
    StakeAccount,
    loadExcesses,
    loadFaultRewarded,
    loadNodeSlashed,
    loadSlashStake,
    loadStakeActive,
    loadStakeLeaving,
    loadStakeReturned,
    storeBooks,
    storeSlashNode,
    storeStakeConfirmed,
} from '../build/StakeAccount';
import { BURN } from '../support/channel';
import { Dao, EPOCH, RULES, StakeErr, Staker, YES, bundle, impersonate, keys, publicKey, text } from '../support/dao';
import { setMinTcb } from '../support/entries';
import { NOWHERE, answer, comesBack, holds, keeps, withCellPrice } from '../support/exact';
import { DAY, Network, Result, Wallet, allOn, assertOk, bareOp, compute, on, op, sent, ton, withForwardPrice } from '../support/network';
import { Fault, FaultErr, accuse, proofOf, receipt } from '../support/reports';
import { RESERVE, forgetNode, ok, registerNode, retireNode, silence, solvent } from '../support/staking';

const ROUND_TRIP = ton('0.2');
const MIN_VALUE = ton('0.05');
const Op = { add: 0x47560002, remove: 0x47560003, submit: 0x47560004, cast: 0x50520002, active: 0x53540021, leaving: 0x53540022, returned: 0x53540023, slashed: 0x53540024 } as const;
const NODE = publicKey(keys('node'));

const fault = (net: Network): Cell => proofOf(Fault.twoReceipts, keys('node'), receipt({ time: net.now }), receipt({ time: net.now, response: 13n }));

/** Ann with 500 tons that weigh, a governor that says nothing unless a test lets it, and a contract to vote on. */
async function ann() {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const staker = await dao.staker('ann', ton('500'));
    net.later(EPOCH);
    const ballot = (await net.wallet('ballot')).address;
    const snapshot = await dao.epoch();
    const vote = (opts: { proposal?: Address; receiptUntil?: number; value?: bigint } = {}) =>
        staker.account.send(staker.wallet.getSender(), { value: opts.value ?? ton('0.3') }, {
            $$type: 'Vote',
            queryId: 5n,
            proposal: opts.proposal ?? ballot,
            snapshot,
            receiptUntil: BigInt(opts.receiptUntil ?? net.now + DAY),
            support: YES,
        });
    const actions = bundle([{ to: dao.registry.address, body: setMinTcb(1n) }]);
    const propose = (by: Staker = staker, value = ton('0.3')) => dao.sendPropose(by, actions, text('x'), { value, snapshot });
    return { net, dao, staker, address: staker.account.address, ballot, snapshot, vote, propose, actions };
}

/** The first transaction on the account leaves `change` there; what comes later is another matter. */
async function keepsFirst(net: Network, dao: Dao, address: Address, change: bigint, action: () => Promise<Result>) {
    const speaks = await silence(net, dao.governor.address);
    const tx = await keeps(net, address, change, action);
    await speaks();
    return assertOk(tx);
}

/** What the governor would say about a lot. */
const confirm = (net: Network, dao: Dao, staker: Staker, lot: bigint, value?: bigint) =>
    impersonate(
        net,
        dao.governor.address,
        staker.account.address,
        beginCell().store(storeStakeConfirmed({ $$type: 'StakeConfirmed', queryId: 1n, lot, activeFrom: 9n, unbondingDelay: 77n })).endCell(),
        value,
    );

test('attack_16_a_first_deposit_brings_the_reserve_and_the_way_to_the_governor, to the nano', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const bob = await dao.staker('bob');
    const { address } = bob.account;
    const least = ton('5') + RESERVE + ROUND_TRIP;
    const poor = await dao.sendDeposit(bob, ton('5'), least - 1n);
    assert.equal(compute(on(poor, address)).exitCode, StakeErr.lowValue);
    const speaks = await silence(net, dao.governor.address);
    const tx = assertOk(on(await dao.sendDeposit(bob, ton('5'), least), address));
    await speaks();
    assert.equal(await net.balance(address), ton('5') + RESERVE);
    const { message, owner, ...words } = answer(tx, Op.add, loadAddStake);
    assert.deepEqual(words, { $$type: 'AddStake', queryId: 1n, lot: 0n, amount: ton('5') });
    holds(owner.equals(bob.wallet.address) && message.bounce && message.to.equals(dao.governor.address));
    // The governor's word, and what is left of its value.
    const told = await keeps(net, address, 0n, () => confirm(net, dao, bob, 0n));
    const { message: news, ...active } = answer(told, Op.active, loadStakeActive);
    assert.deepEqual(active, { $$type: 'StakeActive', queryId: 1n, lot: 0n, activeFrom: 9n });
    holds(news.to.equals(bob.wallet.address) && !news.bounce);
    const { lots, staying, unbondingDelay, nextLot } = await bob.account.getState();
    assert.deepEqual(lots.get(0), { $$type: 'Lot', amount: ton('5'), activeFrom: 9n, exitFrom: 0n, releaseAt: 0n } satisfies Lot);
    assert.deepEqual([staying, unbondingDelay, nextLot], [ton('5'), 77n, 1n]);
    await net.refused(address, StakeErr.noLot, () => confirm(net, dao, bob, 1n));
    // The smallest lot.
    ok(await dao.sendDeposit(bob, ton('1')), bob);
});

test('a lot that the governor does not count goes back to the nano, with its number and amount', async () => {
    const { net, dao, staker, address } = await ann();
    const speaks = await silence(net, dao.governor.address);
    const request = sent(on(await dao.sendDeposit(staker, ton('7')), address))[0].body;
    await speaks();
    const body = beginCell().storeUint(0xffffffff, 32).storeBits(request.bits.substring(0, 256)).endCell();
    const tx = await keeps(net, address, -ton('7'), () => net.deliver(dao.governor.address, address, ton('0.1'), body, { bounced: true }));
    const { message, ...returned } = answer(tx, Op.returned, loadStakeReturned);
    assert.deepEqual(returned, { $$type: 'StakeReturned', queryId: 1n, lot: 1n, amount: ton('7') });
    holds(message.to.equals(staker.wallet.address) && !message.bounce);
    assert.equal((await solvent(net, staker)).held, ton('500'));
});

test('an exit costs the stake nothing: request, answer and withdrawal, to the bit', async () => {
    const { net, dao, staker, address } = await ann();
    const tx = await keepsFirst(net, dao, address, 0n, () => dao.unbond(staker, 0n, ROUND_TRIP, ton('120')));
    const { message, owner, ...request } = answer(tx, Op.remove, loadRemoveStake);
    assert.deepEqual(request, { $$type: 'RemoveStake', queryId: 2n, lot: 1n, amount: ton('120') });
    holds(owner.equals(staker.wallet.address) && message.bounce);
    // The governor's answer to the request that was on its way.
    const back = await impersonate(net, address, dao.governor.address, message.body);
    const answered = assertOk(on(back, address));
    const { message: news, ...leaving } = answer(answered, Op.leaving, loadStakeLeaving);
    const releaseAt = BigInt(net.now) + RULES.unbondingDelay;
    assert.deepEqual(leaving, { $$type: 'StakeLeaving', queryId: 2n, lot: 1n, releaseAt });
    holds(news.to.equals(staker.wallet.address) && !news.bounce);
    net.now = Number(releaseAt) - 1;
    await net.refused(address, StakeErr.lotLocked, () => dao.withdraw(staker, 1n));
    net.later(1);
    await net.refused(address, StakeErr.lowValue, () => dao.withdraw(staker, 1n, MIN_VALUE - 1n));
    const out = await keeps(net, address, -ton('120'), () => dao.withdraw(staker, 1n, MIN_VALUE));
    const { message: money, ...returned } = answer(out, Op.returned, loadStakeReturned);
    assert.deepEqual(returned, { $$type: 'StakeReturned', queryId: 3n, lot: 1n, amount: ton('120') });
    holds(money.value > ton('120') && !money.bounce);
});

test('a lot may be divided down to the smallest lot', async () => {
    const { dao, staker } = await ann();
    ok(await dao.unbond(staker, 0n, undefined, ton('499')), staker);
    assert.equal((await staker.account.getState()).lots.get(0)?.amount, ton('1'));
});

test('storage that outlasted the reserve falls on the last lot', async () => {
    const { net, dao, staker, address } = await ann();
    ok(await dao.unbond(staker, 0n), staker);
    net.later(Number(RULES.unbondingDelay));
    (await net.chain.getContract(address)).balance = ton('499');
    const tx = assertOk(on(await dao.withdraw(staker, 0n), address));
    holds(sent(tx)[0].value > ton('499'));
    assert.equal(await net.balance(address), 0n);
});

test('votes and proposals cost the stake nothing, and say what the account knows, to the bit', async () => {
    const { net, dao, staker, address, ballot, snapshot, vote, propose, actions } = await ann();
    const owner = staker.wallet.address;
    const until = net.now + DAY;
    await net.refused(address, StakeErr.lowValue, () => vote({ value: ROUND_TRIP - 1n }));
    const cast = await keeps(net, address, 0n, () => vote({ receiptUntil: until, value: ROUND_TRIP }));
    const { message, owner: voter, ...said } = answer(cast, Op.cast, loadCastVote);
    assert.deepEqual(said, { $$type: 'CastVote', queryId: 5n, weight: ton('500'), support: YES, snapshot, receiptUntil: BigInt(until) });
    holds(voter.equals(owner) && message.to.equals(ballot) && message.bounce);
    assert.equal((await staker.account.getState()).receipts.get(ballot), until);
    // A vote that was not counted gives back what is left.
    const body = beginCell().storeUint(0xffffffff, 32).storeBits(message.body.bits.substring(0, 256)).endCell();
    const restored = await keeps(net, address, 0n, () => net.deliver(ballot, address, ton('0.1'), body, { bounced: true }));
    assert.equal(answer(restored, 0xd53276db, loadExcesses).queryId, 5n);
    assert.equal((await staker.account.getState()).receipts.size, 0);

    await net.refused(address, StakeErr.lowValue, () => propose(staker, ROUND_TRIP - 1n));
    const asked = await keepsFirst(net, dao, address, 0n, () => propose(staker, ROUND_TRIP));
    const { message: request, owner: proposer, actions: a, metadata, ...words } = answer(asked, Op.submit, loadSubmitProposal);
    assert.deepEqual(words, { $$type: 'SubmitProposal', queryId: 4n, snapshot, weight: ton('500') });
    holds(proposer.equals(owner) && a.equals(actions) && metadata.equals(text('x')) && request.bounce);
    const bob = await dao.staker('bob', ton('5'));
    await net.refused(bob.account.address, StakeErr.noWeight, () => propose(bob));
});

test('G2: a receipt is for at least a second and at most 400 days, and stays for ten minutes longer', async () => {
    const { net, staker, address, vote } = await ann();
    const longest = net.now + 400 * DAY;
    await net.refused(address, StakeErr.badReceipt, () => vote({ receiptUntil: net.now }));
    await net.refused(address, StakeErr.badReceipt, () => vote({ receiptUntil: longest + 1 }));
    const others = [(await net.wallet('b')).address, (await net.wallet('c')).address, (await net.wallet('d')).address];
    ok(await vote({ receiptUntil: net.now + 1 }), staker);
    ok(await vote({ proposal: others[0], receiptUntil: longest }), staker);
    const end = net.now + 1;
    net.now = end + 599;
    ok(await vote({ proposal: others[1] }), staker);
    assert.equal((await staker.account.getState()).receipts.size, 3);
    await net.refused(address, StakeErr.voted, () => vote());
    net.now = end + 600;
    ok(await vote({ proposal: others[2] }), staker);
    assert.equal((await staker.account.getState()).receipts.size, 3, 'the first one is gone');
});

test('attack_17_a_vote_that_cannot_be_sent leaves no receipt', async () => {
    const { net, staker, address, vote } = await ann();
    await comesBack(net, address, () => vote({ proposal: NOWHERE }));
    assert.equal((await staker.account.getState()).receipts.size, 0);
});

test('attack_17_an_exit_that_cannot_be_asked_for_is_not_begun', async () => {
    const { net, dao, staker, address } = await ann();
    net.chain.setConfig(withCellPrice(net.chain.config, ton('0.4')));
    await comesBack(net, address, () => dao.unbond(staker, 0n, ton('0.35')));
    assert.equal((await solvent(net, staker)).staying, ton('500'));
});

test('a deposit on its way answers for nothing: a retired node costs the lots that the governor has confirmed', async () => {
    const { net, dao, staker, address } = await ann();
    ok(await registerNode(dao, staker, 'node', { bond: ton('10') }), staker);
    ok(await retireNode(staker, 'node'), staker);
    const speaks = await silence(net, dao.governor.address);
    ok(await dao.sendDeposit(staker, ton('20')), staker);
    await speaks();
    ok(await accuse(net, address, await net.wallet('reporter'), fault(net)), staker);
    const { lots } = await solvent(net, staker);
    assert.deepEqual([lots.get(0)?.amount, lots.get(1)?.amount], [ton('490'), ton('20')]);
});

test('attack_58_a_report_in_another_workchain: its hash alone convinces nobody', async () => {
    const { net, dao, staker, address } = await ann();
    ok(await registerNode(dao, staker, 'node'), staker);
    const reporter = await net.wallet('reporter');
    const report = await FaultReport.fromInit(address, reporter.address, 7n, 0n);
    const from = new Address(-1, report.address.hash);
    await net.refused(address, FaultErr.notReport, () => accuse(net, address, reporter, fault(net), { from }));
});

test('an account that owes for its storage still votes', async () => {
    const { net, address, vote } = await ann();
    net.later(DAY);
    (await net.chain.getContract(address)).balance = 0n;
    assertOk(on(await vote(), address));
    assert.equal(await net.balance(address), 0n);
});

test('a single nano that is left weighs, and is told to the governor when it goes', async () => {
    const { net, dao, staker, address, vote, propose } = await ann();
    const reporter = await net.wallet('reporter');
    ok(await registerNode(dao, staker, 'node', { bond: ton('500') - 1n }), staker);
    ok(await accuse(net, address, reporter, fault(net)), staker);
    const cast = assertOk(on(await vote(), address));
    assert.equal(answer(cast, Op.cast, loadCastVote).weight, 1n);
    assert.equal(answer(await keepsFirst(net, dao, address, 0n, () => propose()), Op.submit, loadSubmitProposal).weight, 1n);
    ok(await registerNode(dao, staker, 'other', { bond: 1n }), staker);
    const proof = proofOf(Fault.twoReceipts, keys('other'), receipt({ time: net.now }), receipt({ time: net.now, response: 13n }));
    const tx = assertOk(on(await accuse(net, address, reporter, proof), address));
    const [notice, news, burnt, reward] = sent(tx);
    const told = loadSlashStake(notice.body.beginParse());
    assert.deepEqual([told.queryId, told.amount, burnt.value], [5n, 1n, 1n]);
    const lost = loadNodeSlashed(news.body.beginParse());
    assert.deepEqual([lost.queryId, lost.key, lost.amount, news.value], [5n, publicKey(keys('other')), 1n, 0n]);
    const words = loadFaultRewarded(reward.body.beginParse());
    assert.deepEqual([words.queryId, words.key, words.slashed], [5n, publicKey(keys('other')), 1n]);
});

test('nodes come and go at the cost of whoever asks, and the getter tells of them', async () => {
    const { net, dao, staker, address } = await ann();
    const asks: [() => Promise<Result>, bigint][] = [
        [() => registerNode(dao, staker, 'node', { bond: 3n }), 1n],
        [() => retireNode(staker, 'node'), 1n],
    ];
    for (const [ask, queryId] of asks) {
        const tx = await keeps(net, address, 0n, ask);
        const { message, queryId: told } = answer(tx, 0xd53276db, loadExcesses);
        holds(message.to.equals(staker.wallet.address) && told === queryId && !message.bounce);
    }
    const retiredAt = BigInt(net.now);
    const node: Node = { $$type: 'Node', bond: 3n, since: retiredAt, freeAt: retiredAt + RULES.unbondingDelay };
    assert.deepEqual(await staker.account.getNode(NODE), node);
    assert.deepEqual((await staker.account.getNodes()).get(NODE), node);
    net.now = Number(node.freeAt) - 1;
    assert.equal((await staker.account.getState()).pledged, 3n);
    await net.refused(address, StakeErr.nodeLocked, () => forgetNode(staker, 'node'));
    net.now = Number(node.freeAt);
    assert.equal((await staker.account.getState()).pledged, 0n);
    await keeps(net, address, 0n, () => forgetNode(staker, 'node'));
    await assert.rejects(staker.account.getNode(NODE), { message: new RegExp(`exit_code: ${StakeErr.noNode}`) });
});

test('before its first deposit an account knows nothing', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const bob = await dao.staker('bob');
    await net.send(bob.wallet, bob.account.address, ton('1'), bareOp(0), { init: bob.account.init });
    const { governor, owner, lots, nodes, receipts, ...books } = await bob.account.getState();
    assert.deepEqual(books, { $$type: 'StakeState', held: 0n, staying: 0n, bonded: 0n, unbondingDelay: 0n, nextLot: 0n, pledged: 0n });
    holds(governor.equals(dao.governor.address) && owner.equals(bob.wallet.address));
    assert.deepEqual([lots.size, nodes.size, receipts.size], [0, 0, 0]);
    await net.refused(bob.account.address, StakeErr.noLot, () => dao.unbond(bob, 0n));
});

test('weights change with the epochs of the lots, in each epoch', async () => {
    const { dao, staker, snapshot } = await ann();
    await dao.deposit(staker, ton('20'));
    ok(await dao.unbond(staker, 0n, undefined, ton('100')), staker);
    const weights = await Promise.all([-1n, 0n, 1n, 2n].map((n) => staker.account.getWeightAt(snapshot + n)));
    assert.deepEqual(weights, [0n, ton('500'), ton('420'), ton('420')]);
});

/** An account as it could be, with one node of the whole stake of 40 tons, of which a test chooses governor and owner. */
async function made(net: Network, governor: Address, owner: Address, reporter: Wallet) {
    const lots = Dictionary.empty<number, Lot>().set(0, { $$type: 'Lot', amount: ton('40'), activeFrom: 1n, exitFrom: 0n, releaseAt: 0n });
    const nodes = Dictionary.empty<bigint, Node>(Dictionary.Keys.BigUint(256), {
        serialize: (src, builder) => void builder.storeRef(beginCell().storeCoins(src.bond).storeUint(src.since, 32).storeUint(src.freeAt, 32).endCell()),
        parse: () => assert.fail(),
    }).set(NODE, { $$type: 'Node', bond: ton('40'), since: 1n, freeAt: 0n });
    const books: Books = { $$type: 'Books', nextLot: 1n, held: ton('40'), staying: ton('40'), bonded: ton('40'), unbondingDelay: 9n, nodes };
    const init = await StakeAccount.fromInit(governor, owner, lots, Dictionary.empty(), beginCell().store(storeBooks(books)).endCell());
    const account = net.chain.openContract(init);
    await net.send(reporter, account.address, ton('40') + RESERVE, bareOp(0), { init: init.init, bounce: false });
    assert.equal((await account.getState()).bonded, ton('40'));
    return account;
}

test('no punishment waits for an owner who cannot be told', async () => {
    const net = await Network.create();
    const [reporter, governor] = [await net.wallet('reporter'), await net.wallet('governor')];
    const account = await made(net, governor.address, NOWHERE, reporter);
    const tx = assertOk(on(await accuse(net, account.address, reporter, fault(net)), account.address));
    assert.equal(sent(tx).length, 3);
    assert.equal(sent(tx).find((m) => m.to.equals(BURN))?.value, ton('20'));
});

test('G1: stake is slashed only when the governor can be told, and the money for it moves', async () => {
    const net = await Network.create();
    const reporter = await net.wallet('reporter');
    const owner = (await net.wallet('owner')).address;
    const deaf = await made(net, NOWHERE, owner, reporter);
    await comesBack(net, deaf.address, () => accuse(net, deaf.address, reporter, fault(net)));
    // Too dear to burn, but not to reward: neither happens.
    const governor = (await net.wallet('governor')).address;
    const poor = await made(net, governor, owner, reporter);
    (await net.chain.getContract(poor.address)).balance = ton('0.1');
    net.chain.setConfig(withForwardPrice(net.chain.config, ton('0.1')));
    await comesBack(net, poor.address, () => accuse(net, poor.address, reporter, fault(net), { value: ton('0.3') }));
});

test('what is slashed of less than was held is shared to the nano, whoever ordered it', async () => {
    const { net, dao, staker, address } = await ann();
    const reporter = await net.wallet('reporter');
    ok(await registerNode(dao, staker, 'node', { bond: 4n }), staker);
    const order = beginCell().store(storeSlashNode({ $$type: 'SlashNode', queryId: 6n, node: NODE, reporter: reporter.address })).endCell();
    const tx = on(await impersonate(net, dao.governor.address, address, order), address);
    const { message, ...rewarded } = answer(assertOk(tx), 0x46520011, loadFaultRewarded);
    assert.deepEqual(rewarded, { $$type: 'FaultRewarded', queryId: 6n, key: NODE, slashed: 4n });
    holds(message.to.equals(reporter.address) && allOn({ transactions: [tx] }, address).length === 1);
    assert.equal(sent(tx).find((m) => m.to.equals(BURN))?.value, 2n);
    assert.equal(op(sent(tx)[1].body), Op.slashed);
    assert.equal((await staker.account.getState()).held, ton('500') - 4n);
});

// Operations of stakers and of the DAO, with one lot and with everything at its limit.
import { Cell, beginCell } from '@ton/core';
import { storeSetGovernorParams, storeSetRegistry } from '../build/Governor';
import { Dao, EPOCH, Prop, RULES, Staker, YES, bundle, governorAt, keys, nodeAuth, publicKey, text } from '../support/dao';
import { setMinTcb } from '../support/entries';
import { Network, Result, ton } from '../support/network';
import { Meter } from './meter';

export const LIMITS = { lots: 16, nodes: 32, receipts: 32 };

export function registerNode(staker: Staker, name: string, bond = ton('1')): Promise<Result> {
    const node = keys(name);
    const signature = nodeAuth(node, staker.account.address);
    const body = { $$type: 'RegisterNode', queryId: 1n, key: publicKey(node), bond, signature } as const;
    return staker.account.send(staker.wallet.getSender(), { value: ton('0.2') }, body);
}

function actions(dao: Dao, n: number) {
    return bundle([{ to: dao.registry.address, body: setMinTcb(BigInt(18 + n)) }]);
}

async function staking(name: string, full: boolean): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const dao = await Dao.create(net);
    const ann = await dao.staker('ann');
    const at = ann.account.address;
    const own = (what: string, action: () => Promise<Result>) => meter.measure(`${name}: ${what}`, at, action);

    if (full) for (let n = 0; n < LIMITS.lots - 2; n++) await dao.deposit(ann, ton('50'));
    if (full) for (let n = 0; n < LIMITS.nodes - 1; n++) await registerNode(ann, `node ${n}`);
    await own('deposit', () => dao.sendDeposit(ann, ton('500')));
    await own('register a node', () => registerNode(ann, 'the node'));
    // A lot that no bond needs.
    await dao.deposit(ann, ton('50'));
    const lot = full ? LIMITS.lots - 1 : 1;
    net.later(EPOCH);

    if (full) {
        const proposals: Prop[] = [];
        for (let n = 0; n < LIMITS.receipts - 1; n++) proposals.push(await dao.propose(ann, actions(dao, n), text(`proposal ${n}`)));
        await dao.untilVoting(proposals[proposals.length - 1]);
        for (const proposal of proposals) await dao.vote(ann, proposal, YES);
    }
    const bundled = actions(dao, 100);
    await own('propose', () => dao.sendPropose(ann, bundled, text('the proposal')));
    const proposal = await dao.proposalOf(bundled, text('the proposal'));
    await dao.untilVoting(proposal);
    await own('vote', () => dao.sendVote(ann, proposal, YES));
    if (!full) {
        await dao.untilReady(proposal);
        await meter.measure(`${name}: execute a proposal of one action`, proposal.address, () => dao.sendExecute(proposal));
    }
    const key = publicKey(keys('the node'));
    const ask = (type: 'RetireNode' | 'ForgetNode') =>
        ann.account.send(ann.wallet.getSender(), { value: ton('0.2') }, { $$type: type, queryId: 1n, key });
    await own('retire a node', () => ask('RetireNode'));
    await own('unbond', () => dao.unbond(ann, BigInt(lot), ton('0.5')));
    net.later(Number(RULES.unbondingDelay) + 2 * EPOCH);
    await own('withdraw', () => dao.withdraw(ann, BigInt(lot), ton('0.2')));
    await own('forget a node', () => ask('ForgetNode'));
    return meter;
}

/** What a staker gets back when it comes too early or too late. */
async function refusals(): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const bundled = actions(dao, 0);
    const proposal = await dao.propose(ann, bundled, text('a proposal'));
    await meter.measure('stake: a vote too early, returned', ann.account.address, () => dao.sendVote(ann, proposal, YES));
    await meter.measure('stake: propose what is open already', ann.account.address, () => dao.sendPropose(ann, bundled, text('a proposal')));
    return meter;
}

/** A governor from nothing, and what votes change about it. */
async function governor(): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const deployer = await net.wallet('deployer');
    const init = await governorAt({}, 7n);
    const fresh = net.chain.openContract(init);
    await meter.measure('dao: deploy and set up a governor', fresh.address, () =>
        fresh.send(deployer.getSender(), { value: ton('2') }, { $$type: 'SetUpGovernor', queryId: 0n }),
    );
    await meter.measure('dao: a gift to the treasury', fresh.address, () => net.send(deployer, fresh.address, ton('1'), Cell.EMPTY));
    const dao = await Dao.staked(net);
    const at = dao.governor.address;
    const orders = [
        ['change the rules', beginCell().store(storeSetGovernorParams({ $$type: 'SetGovernorParams', queryId: 1n, params: RULES })).endCell()],
        ['name the registry', beginCell().store(storeSetRegistry({ $$type: 'SetRegistry', queryId: 1n, registry: dao.registry.address })).endCell()],
    ] as const;
    for (const [what, body] of orders) {
        const proposal = await dao.pass(dao.stakers, bundle([{ to: at, body }]), what);
        await meter.measure(`dao: execute a proposal to ${what}`, proposal.address, () => dao.sendExecute(proposal));
    }
    return meter;
}

/** A proposal with as many actions as a bundle may hold. */
async function longest(): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const dao = await Dao.staked(net);
    const orders = Array.from({ length: 32 }, (_, n) => ({ to: dao.registry.address, body: setMinTcb(BigInt(18 + n)) }));
    const proposal = await dao.pass(dao.stakers, bundle(orders), 'long');
    await meter.measure('dao: execute a proposal of 32 actions', proposal.address, () => dao.sendExecute(proposal));
    const other = await dao.propose(dao.stakers[0], bundle(orders.slice(1)), text('unloved'));
    net.now = Number((await other.getState()).lastEnd) + 1;
    await meter.measure('dao: close a proposal', other.address, () => dao.close(other));
    return meter;
}

export const dao = [governor, refusals, () => staking('stake', false), () => staking('stake, full', true), longest];

// What owners do with their stake accounts beside depositing and voting, and what must hold of an account at any time.
import assert from 'node:assert/strict';
import { Address, beginCell } from '@ton/core';
import { StakeState, storeExitConfirmed, storeRemoveStake } from '../build/StakeAccount';
import { Dao, RULES, Staker, impersonate, keys, nodeAuth, publicKey } from './dao';
import { Network, Result, Wallet, allOn, assertOk, ton } from './network';

export const RESERVE = ton('0.1');

export type NodeOptions = { bond?: bigint; value?: bigint; from?: Wallet; globalId?: number; signer?: string; account?: Staker };

export function registerNode(dao: Dao, staker: Staker, name: string, opts: NodeOptions = {}): Promise<Result> {
    const node = keys(name);
    const signature = nodeAuth(
        opts.signer ? { publicKey: node.publicKey, secretKey: keys(opts.signer).secretKey } : node,
        (opts.account ?? staker).account.address,
        opts.globalId,
    );
    return staker.account.send(
        (opts.from ?? staker.wallet).getSender(),
        { value: opts.value ?? ton('0.1') },
        { $$type: 'RegisterNode', queryId: 1n, key: publicKey(node), bond: opts.bond ?? ton('100'), signature },
    );
}

export function retireNode(staker: Staker, name: string, value = ton('0.1')): Promise<Result> {
    const key = publicKey(keys(name));
    return staker.account.send(staker.wallet.getSender(), { value }, { $$type: 'RetireNode', queryId: 1n, key });
}

export function forgetNode(staker: Staker, name: string, value = ton('0.1')): Promise<Result> {
    const key = publicKey(keys(name));
    return staker.account.send(staker.wallet.getSender(), { value }, { $$type: 'ForgetNode', queryId: 1n, key });
}

/** Whatever happened on this account, at least one transaction, went well. */
export function ok(result: Result, staker: Staker): Result {
    const transactions = allOn(result, staker.account.address);
    assert.ok(transactions.length > 0, 'nothing reached the account');
    transactions.forEach(assertOk);
    return result;
}

/** SA-16: the sums are those of the lots and nodes, bonds and pledges are covered, and the money is there. */
export async function solvent(net: Network, staker: Staker): Promise<StakeState> {
    const state = await staker.account.getState();
    const lots = [...state.lots.values()];
    const nodes = [...state.nodes.values()];
    const sum = (amounts: bigint[]) => amounts.reduce((a, b) => a + b, 0n);
    const confirmed = lots.filter((lot) => lot.activeFrom !== 0n);
    assert.equal(state.held, sum(lots.map((lot) => lot.amount)), 'held');
    assert.equal(state.staying, sum(confirmed.filter((lot) => lot.exitFrom === 0n).map((lot) => lot.amount)), 'staying');
    assert.equal(state.bonded, sum(nodes.filter((node) => node.freeAt === 0n).map((node) => node.bond)), 'bonded');
    assert.ok(state.bonded <= state.staying, 'bonds are covered by what stays');
    assert.ok(state.pledged <= sum(confirmed.map((lot) => lot.amount)), 'pledges are covered by what is here');
    assert.ok((await net.balance(staker.account.address)) >= state.held + RESERVE - ton('0.01'), 'the money is there');
    return state;
}

/** Puts a contract that takes every message and never answers in the place of another one, to stop the clock between two messages. */
export async function silence(net: Network, address: Address): Promise<() => Promise<void>> {
    const contract = await net.chain.getContract(address);
    const before = contract.account;
    // A wallet, whole with the figures of its storage: the other machine would notice invented ones.
    const { account: silent } = await net.chain.getContract((await net.wallet('silent')).address);
    assert.ok(silent.account);
    contract.account = { ...silent, account: { ...silent.account, addr: address } };
    return async () => {
        contract.account = before;
    };
}

/** What the governor would say to an account. */
export function confirmExit(net: Network, dao: Dao, staker: Staker, lot: bigint, exitFrom: bigint): Promise<Result> {
    const message = { $$type: 'ExitConfirmed', queryId: 2n, lot, exitFrom, unbondingDelay: RULES.unbondingDelay } as const;
    return impersonate(net, dao.governor.address, staker.account.address, beginCell().store(storeExitConfirmed(message)).endCell());
}

/** The governor does not count the exit: the request comes back. */
export function bounceExit(net: Network, dao: Dao, staker: Staker, lot: bigint, amount: bigint): Promise<Result> {
    const owner = staker.wallet.address;
    const request = beginCell().store(storeRemoveStake({ $$type: 'RemoveStake', queryId: 2n, lot, amount, owner })).endCell();
    // What is left of a body when it bounces: all ones, and its first 256 bits.
    const body = beginCell().storeUint(0xffffffff, 32).storeBits(request.bits.substring(0, 256)).endCell();
    return net.deliver(dao.governor.address, staker.account.address, ton('0.1'), body, { bounced: true });
}

// Stake accounts that hold what a test wants, put on the chain as they are, between a governor and an owner who are wallets.
import { Address, Builder, Cell, Dictionary, beginCell } from '@ton/core';
import {
    Lot,
    Node,
    StakeAccount,
    dictValueParserLot,
    dictValueParserNode,
    storeBooks,
    storeDeposit,
    storeExitConfirmed,
    storeForgetNode,
    storePropose,
    storeRegisterNode,
    storeRetireNode,
    storeSlashNode,
    storeStakeConfirmed,
    storeUnbond,
    storeVote,
    storeWithdraw,
} from '../build/StakeAccount';
import { keys, nodeAuth, publicKey } from './dao';
import { DAY, Network, assertOk, on, ton } from './network';
import { place } from './placed';

/** Nobody's, and nothing may be sent there that must arrive. */
const NOWHERE_YET = new Address(0, Buffer.alloc(32, 9));
/** `exitFrom` of a lot whose exit the governor has not confirmed. */
export const PENDING = 0xffffffffn;

const cell = (store: (b: Builder) => void): Cell => beginCell().store(store).endCell();
export const idOf = (n: number) => publicKey(keys(`node ${n}`));

/** Lots of ten tons that weigh from epoch 5 on, unless said otherwise; nodes of one ton each; receipts that still count. */
export type Held = { lots?: number | Partial<Lot>[]; nodes?: number | Partial<Node>[]; receipts?: number };

export async function account({ lots = 1, nodes = 0, receipts = 0 }: Held = {}) {
    const net = await Network.create();
    const governor = await net.wallet('governor');
    const owner = await net.wallet('owner');
    const many = <T>(what: number | T[]): Partial<T>[] => (typeof what === 'number' ? Array.from({ length: what }, () => ({})) : what);
    const ten = { $$type: 'Lot', amount: ton('10'), activeFrom: 5n, exitFrom: 0n, releaseAt: 0n } as const;
    const held = many<Partial<Lot>>(lots).map((lot): Lot => ({ ...ten, ...lot }));
    const known = many<Partial<Node>>(nodes).map((node): Node => ({ $$type: 'Node', bond: ton('1'), since: 1n, freeAt: 0n, ...node }));
    const sum = (amounts: bigint[]) => amounts.reduce((a, b) => a + b, 0n);
    const books = cell(
        storeBooks({
            $$type: 'Books',
            nextLot: BigInt(held.length),
            held: sum(held.map((lot) => lot.amount)),
            staying: sum(held.filter((lot) => lot.activeFrom !== 0n && lot.exitFrom === 0n).map((lot) => lot.amount)),
            bonded: sum(known.filter((node) => node.freeAt === 0n).map((node) => node.bond)),
            unbondingDelay: BigInt(14 * DAY),
            nodes: known.reduce((map, node, i) => map.set(idOf(i), node), Dictionary.empty(Dictionary.Keys.BigUint(256), dictValueParserNode())),
        }),
    );
    const mapped = held.reduce((map, lot, i) => map.set(i, lot), Dictionary.empty(Dictionary.Keys.Uint(32), dictValueParserLot()));
    const votes = Dictionary.empty(Dictionary.Keys.Address(), Dictionary.Values.Uint(32));
    for (let i = 0; i < receipts; i++) votes.set(new Address(0, Buffer.alloc(32, 100 + i)), net.now + DAY);
    const stake = await place(net, await StakeAccount.fromInit(governor.address, owner.address, mapped, votes, books), ton('1000'));
    const { address } = stake;
    const says = (who: typeof owner) => (body: Cell, value = ton('1')) => net.send(who, address, value, body);
    const refuses = async (code: number, body: Cell, value?: bigint, by = owner) => void (await net.refused(address, code, () => says(by)(body, value)));
    const takes = async (body: Cell, value?: bigint) => void assertOk(on(await says(owner)(body, value), address));
    const proposal = (await net.wallet('a proposal that takes every vote')).address;
    const hears = async (body: Cell) => void assertOk(on(await says(governor)(body), address));
    return { net, address, stake, governor, owner, proposal, refuses, takes, hears };
}

export const deposit = (amount = ton('1')) => cell(storeDeposit({ $$type: 'Deposit', queryId: 1n, amount }));
export const unbond = (lot = 0n, amount = 0n) => cell(storeUnbond({ $$type: 'Unbond', queryId: 1n, lot, amount }));
export const withdraw = (lot = 0n) => cell(storeWithdraw({ $$type: 'Withdraw', queryId: 1n, lot }));
export const propose = (snapshot = 5n) => cell(storePropose({ $$type: 'Propose', queryId: 1n, snapshot, actions: Cell.EMPTY, metadata: Cell.EMPTY }));
export const vote = (receiptUntil: number, { proposal = NOWHERE_YET, snapshot = 5n }: { proposal?: Address; snapshot?: bigint } = {}) =>
    cell(storeVote({ $$type: 'Vote', queryId: 1n, proposal, snapshot, receiptUntil: BigInt(receiptUntil), support: 1n }));
export const register = (at: Address, n: number, { bond = ton('1'), signer = n } = {}) => {
    const key = { ...keys(`node ${signer}`), publicKey: keys(`node ${n}`).publicKey };
    return cell(storeRegisterNode({ $$type: 'RegisterNode', queryId: 1n, key: idOf(n), bond, signature: nodeAuth(key, at) }));
};
export const retire = (n = 0) => cell(storeRetireNode({ $$type: 'RetireNode', queryId: 1n, key: idOf(n) }));
export const forget = (n = 0) => cell(storeForgetNode({ $$type: 'ForgetNode', queryId: 1n, key: idOf(n) }));
export const confirmed = (lot = 0n) => cell(storeStakeConfirmed({ $$type: 'StakeConfirmed', queryId: 1n, lot, activeFrom: 9n, unbondingDelay: 77n }));
export const exit = (lot = 0n) => cell(storeExitConfirmed({ $$type: 'ExitConfirmed', queryId: 1n, lot, exitFrom: 9n, unbondingDelay: 77n }));
export const slash = (n = 0) => cell(storeSlashNode({ $$type: 'SlashNode', queryId: 1n, node: idOf(n), reporter: NOWHERE_YET }));

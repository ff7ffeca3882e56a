// Amounts to the nanoton and messages to the bit: what tests need that look for an error of one.
import assert from 'node:assert/strict';
import { Address, Cell, Dictionary, Message, Slice, Transaction, beginCell, storeMessage } from '@ton/core';
import { Network, Result, allOn, compute, on, sent, storageFee } from './network';

/**
 * `assert.ok`, with words of its own. Without any, Node reads them out of the test's source, which takes minutes in a large file, and
 * the mutation tester fails tests by the hundred.
 */
export function holds(condition: unknown, what = 'a condition that must hold'): asserts condition {
    assert.ok(condition, what);
}

/** In a workchain that does not exist: no message to it can leave. */
export const NOWHERE = Address.parse('5:' + '77'.repeat(32));

type Prices = { lump: bigint; bit: bigint; cell: bigint; firstPart: bigint };

function param25(config: Cell): Slice {
    return Dictionary.loadDirect(Dictionary.Keys.Int(32), Dictionary.Values.Cell(), config).get(25)!.beginParse();
}

/** What a message in workchain 0 costs; bits and cells in 65536ths of a nanoton, and the sender's validators' part of it, too. */
export function forwardPrices(config: Cell): Prices {
    const s = param25(config).skip(8);
    return { lump: s.loadUintBig(64), bit: s.loadUintBig(64), cell: s.loadUintBig(64), firstPart: s.skip(32).loadUintBig(16) };
}

/** The configuration with another price for each cell of a message but its first: what has a body of its own is dear, a bounce is not. */
export function withCellPrice(config: Cell, price: bigint): Cell {
    const params = Dictionary.loadDirect(Dictionary.Keys.Int(32), Dictionary.Values.Cell(), config);
    const s = param25(config);
    const head = beginCell().storeBits(s.loadBits(8 + 64 + 64)).storeUint(price << 16n, 64);
    s.skip(64);
    params.set(25, head.storeSlice(s).endCell());
    return beginCell().storeDictDirect(params).endCell();
}

/** Distinct cells below and with these, and their bits. */
export function dataSize(roots: Cell[]): { cells: bigint; bits: bigint } {
    const seen = new Set<string>();
    let bits = 0;
    const visit = (cell: Cell) => {
        const key = cell.hash().toString('hex');
        if (seen.has(key)) return;
        seen.add(key);
        bits += cell.bits.length;
        cell.refs.forEach(visit);
    };
    roots.forEach(visit);
    return { cells: BigInt(seen.size), bits: BigInt(bits) };
}

export function forwardFeeOf(net: Network, size: { cells: bigint; bits: bigint }): bigint {
    const { lump, bit, cell } = forwardPrices(net.chain.config);
    return lump + (bit * size.bits + cell * size.cells + 0xffffn) / 0x10000n;
}

/** What sending this message cost: its body lay in a cell of its own or not, which the part of the fee that the message carries tells. */
export function forwardFee(net: Network, message: Message): bigint {
    assert.equal(message.info.type, 'internal');
    const { body, init } = message;
    const whole = beginCell().store(storeMessage({ ...message, body: Cell.EMPTY })).endCell();
    const carried = message.info.forwardFee;
    const found = [[...whole.refs, body], [...whole.refs, ...body.refs], whole.refs]
        .map((roots) => forwardFeeOf(net, dataSize(roots)))
        .find((fee) => fee - ((fee * forwardPrices(net.chain.config).firstPart) >> 16n) === carried);
    holds(found !== undefined, `no way to store this message${init ? ' and its init' : ''} has that fee`);
    return found;
}

/** The transaction's internal messages with what each took from the account: value and forwarding fee. */
export function outgoing(net: Network, tx: Transaction): { to: Address; op: number; cost: bigint; value: bigint; body: Cell; bounce: boolean }[] {
    return [...tx.outMessages.values()].map((message, i) => {
        const { to, op, value, body, bounce } = sent(tx)[i];
        return { to, op, value, body, bounce, cost: value + forwardFee(net, message) };
    });
}

/** Of what the account held before, it pays its storage and gives or takes `change`: all else comes out of the message's value. */
export async function keeps(net: Network, address: Address, change: bigint, action: () => Promise<Result>): Promise<Transaction> {
    const before = await net.balance(address);
    const tx = on(await action(), address);
    assert.equal(compute(tx).exitCode, 0);
    assert.equal((await net.balance(address)) - before + storageFee(tx), change, 'what the account keeps');
    return tx;
}

/** The only message with this operation code that the transaction sent, read to its last bit. */
export function answer<T>(tx: Transaction, op: number, load: (s: Slice) => T): T & { message: ReturnType<typeof sent>[number] } {
    const found = sent(tx).filter((m) => m.op === op);
    assert.equal(found.length, 1, `messages with the operation code ${op.toString(16)}`);
    const slice = found[0].body.beginParse();
    const words = load(slice);
    assert.deepEqual([slice.remainingBits, slice.remainingRefs], [0, 0], 'more than the message has');
    return Object.assign(words as T & object, { message: found[0] }) as T & { message: ReturnType<typeof sent>[number] };
}

/** The actions cannot be done: nothing changes, and the value goes back to the sender. */
export async function comesBack(net: Network, address: Address, action: () => Promise<Result>): Promise<void> {
    const before = await net.dataHash(address);
    const [tx] = allOn(await action(), address);
    assert.equal(compute(tx).exitCode, 0);
    holds(tx.description.type === 'generic' && tx.description.actionPhase?.success === false, 'the actions must fail');
    assert.equal(await net.dataHash(address), before, 'the actions failed, and the state changed');
    holds(sent(tx).length === 1 && sent(tx)[0].bounced, 'the value must come back');
}

/** What an account stores; the test decodes it. */
export async function storedData(net: Network, address: Address): Promise<Cell> {
    const state = (await net.chain.getContract(address)).account.account?.storage.state;
    holds(state?.type === 'active' && state.state.data);
    return state.state.data;
}

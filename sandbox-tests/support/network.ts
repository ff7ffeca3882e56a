// A chain with the devnet's configuration, wallets to act from, and ways to say what must have happened.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Address, Cell, Dictionary, Message, SendMode, Transaction, beginCell, toNano } from '@ton/core';
import { KeyPair, keyPairFromSeed, sha256_sync } from '@ton/crypto';
import { Blockchain, SandboxContract, SendMessageResult, TreasuryContract } from '@ton/sandbox';

export type Wallet = SandboxContract<TreasuryContract>;
export type Result = { transactions: Transaction[] };

/** The devnet's network id, ASCII "COCN". */
export const GLOBAL_ID = 0x434f434e;
/** When every test begins, in Unix seconds. */
export const GENESIS = 1_760_000_000;
export const HOUR = 3600;
export const DAY = 86400;
export const YEAR = 365 * DAY;

/** The same configuration that the embedded devnet runs on. */
export function devnetConfig(): Cell {
    const file = path.resolve(__dirname, '../../offchain/devnet/config/devnet.boc');
    return Cell.fromBoc(readFileSync(file))[0];
}

/** The configuration with another basic price for messages in workchain 0. */
export function withForwardPrice(config: Cell, lump: bigint): Cell {
    const params = Dictionary.loadDirect(Dictionary.Keys.Int(32), Dictionary.Values.Cell(), config);
    const s = params.get(25)!.beginParse();
    const tag = s.loadUint(8);
    s.skip(64);
    params.set(25, beginCell().storeUint(tag, 8).storeUint(lump, 64).storeSlice(s).endCell());
    return beginCell().storeDictDirect(params).endCell();
}

/** The same key pair on every run. */
export function keys(name: string): KeyPair {
    return keyPairFromSeed(sha256_sync(`test key ${name}`));
}

export function publicKey(pair: KeyPair): bigint {
    return BigInt('0x' + pair.publicKey.toString('hex'));
}

export class Network {
    private constructor(readonly chain: Blockchain) {}

    static async create(config: Cell = devnetConfig()): Promise<Network> {
        const chain = await Blockchain.create({ config });
        chain.now = GENESIS;
        chain.random = Buffer.alloc(32, 7);
        return new Network(chain);
    }

    /** A funded wallet. */
    wallet(name: string): Promise<Wallet> {
        return this.chain.treasury(name);
    }

    get now(): number {
        return this.chain.now!;
    }

    set now(seconds: number) {
        this.chain.now = seconds;
    }

    later(seconds: number): void {
        this.chain.now = this.now + seconds;
    }

    /** An internal message from a wallet, with all of its value arriving. */
    send(
        from: Wallet,
        to: Address,
        value: bigint,
        body: Cell = Cell.EMPTY,
        opts: { bounce?: boolean; init?: { code: Cell; data: Cell } } = {},
    ): Promise<SendMessageResult> {
        return from.send({
            to,
            value,
            body,
            bounce: opts.bounce ?? true,
            init: opts.init,
            sendMode: SendMode.PAY_GAS_SEPARATELY,
        });
    }

    /** A message as if `from` had sent it, bounced ones included. */
    deliver(from: Address, to: Address, value: bigint, body: Cell, opts: { bounce?: boolean; bounced?: boolean } = {}): Promise<SendMessageResult> {
        const message: Message = {
            info: {
                type: 'internal',
                ihrDisabled: true,
                bounce: opts.bounce ?? false,
                bounced: opts.bounced ?? false,
                src: from,
                dest: to,
                value: { coins: value },
                ihrFee: 0n,
                forwardFee: 0n,
                createdLt: 0n,
                createdAt: this.now,
            },
            body,
        };
        return this.chain.sendMessage(message);
    }

    async balance(address: Address): Promise<bigint> {
        return (await this.chain.getContract(address)).balance;
    }

    /** Hash of the account's data cell; `undefined` while there is no such contract. */
    async dataHash(address: Address): Promise<string | undefined> {
        const { account } = (await this.chain.getContract(address)).account;
        const state = account?.storage.state;
        return state?.type === 'active' ? state.state.data?.hash().toString('hex') : undefined;
    }

    /**
     * The action must fail on `address` with this exit code in the compute phase, and leave the contract's data as it was.
     */
    async refused(address: Address, exitCode: number, action: () => Promise<Result>): Promise<Result> {
        const before = await this.dataHash(address);
        const result = await action();
        const tx = on(result, address);
        assert.equal(compute(tx).exitCode, exitCode, `exit code on ${address}`);
        // A message with a state init creates the account even when it is refused; there was no state to change then.
        if (before) assert.equal(await this.dataHash(address), before, 'a refused message changed the state');
        return result;
    }
}

/** The transactions of one account, in order. */
export function allOn(result: Result, address: Address): Transaction[] {
    const account = BigInt('0x' + address.hash.toString('hex'));
    return result.transactions.filter((tx) => tx.address === account);
}

/** The only transaction of one account. */
export function on(result: Result, address: Address): Transaction {
    const found = allOn(result, address);
    assert.equal(found.length, 1, `transactions on ${address}`);
    return found[0];
}

export type Compute = { exitCode: number; gas: number; skipped?: string };

/** How the compute phase went; exit code −1 and no gas when it was skipped. */
export function compute(tx: Transaction): Compute {
    assert.equal(tx.description.type, 'generic');
    const phase = tx.description.computePhase;
    if (phase.type === 'skipped') return { exitCode: -1, gas: 0, skipped: phase.reason };
    return { exitCode: phase.exitCode, gas: Number(phase.gasUsed) };
}

/** Result code of the action phase; `undefined` when there was none. */
export function actionCode(tx: Transaction): number | undefined {
    return tx.description.type === 'generic' ? tx.description.actionPhase?.resultCode : undefined;
}

/** The transaction did all that it meant to do. */
export function assertOk(tx: Transaction): Transaction {
    assert.equal(compute(tx).exitCode, 0, `exit code${compute(tx).skipped ? ` (skipped: ${compute(tx).skipped})` : ''}`);
    assert.equal(actionCode(tx), 0, 'result code of the action phase');
    assert.equal(tx.description.type === 'generic' && tx.description.aborted, false, 'aborted');
    return tx;
}

/** Messages that the transaction sent, decoded as far as the operation code. */
export function sent(tx: Transaction): { to: Address; value: bigint; bounce: boolean; bounced: boolean; op: number; body: Cell }[] {
    return [...tx.outMessages.values()].flatMap((m: Message) =>
        m.info.type === 'internal'
            ? [
                  {
                      to: m.info.dest,
                      value: m.info.value.coins,
                      bounce: m.info.bounce,
                      bounced: m.info.bounced,
                      op: op(m.body),
                      body: m.body,
                  },
              ]
            : [],
    );
}

/** First 32 bits of a body; −1 when there are fewer. */
export function op(body: Cell): number {
    const s = body.beginParse();
    return s.remainingBits >= 32 ? s.loadUint(32) : -1;
}

/** Storage fee that the transaction paid. */
export function storageFee(tx: Transaction): bigint {
    return tx.description.type === 'generic' ? (tx.description.storagePhase?.storageFeesCollected ?? 0n) : 0n;
}

/** A body of an operation code and nothing else. */
export function bareOp(code: number): Cell {
    return beginCell().storeUint(code, 32).endCell();
}

const gasTable = new Map<string, number>();

/** Notes the gas of an operation for the table that is printed when the file's tests are done. */
export function noteGas(operation: string, tx: Transaction): number {
    const { gas } = compute(tx);
    gasTable.set(operation, gas);
    return gas;
}

process.on('exit', () => {
    for (const [operation, gas] of gasTable) console.log(`gas  ${operation.padEnd(44)} ${gas.toString().padStart(7)}`);
});

export const ton = toNano;

// Records what @ton/sandbox's executor, the C++ TVM, was asked and what it answered.
//
// A trace is two files. contracts.boc holds every cell, each subtree once: its root is a dictionary (HashmapE without the
// leading bit, 32-bit keys, values in a reference). contracts.json names cells by key; integers that may exceed 53 bits are
// decimal strings. It is one object:
//
//   format    1
//   config    path of the blockchain configuration, and its SHA-256
//   cells     file name and SHA-256 of the BoC, and how many cells it names
//   records   in order of execution, each one of
//     tx      step, account (cell: ShardAccount before), message (cell), now, lt, seed (hex), and
//             out: account (cell: ShardAccount after), transaction (cell), gas, exit (compute phase; null when skipped), skipped
//             (reason or null), action (result code or null), aborted, fees (total), balance (after)
//     refused step, account, message, now, lt, seed, and exit: an external message that was not accepted (null: never ran)
//     get     step, address, code (cell), data (cell), method (id), arguments (cell: VmStack), now, balance, seed, gasLimit, and
//             out: stack (cell: VmStack), gas, exit
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Cell, Dictionary, beginCell, loadShardAccount, loadTransaction, serializeTuple } from '@ton/core';
import { Network, actionCode, compute } from '../support/network';
import { Getter, GetterAnswer, Listener, Transaction, TransactionAnswer, watchExecutor } from './watch';

type Record = { kind: 'tx' | 'refused' | 'get'; step: string; [field: string]: unknown };

const CONFIG = 'offchain/devnet/config/devnet.boc';

export class Recorder implements Listener {
    private readonly cells: Cell[] = [];
    private readonly index = new Map<string, number>();
    private readonly records: Record[] = [];
    private current = '';
    private net?: Network;

    constructor() {
        watchExecutor(this);
    }

    /** A fresh chain for a part of the trace. */
    async network(): Promise<Network> {
        this.net = await Network.create();
        return this.net;
    }

    /** Names what follows. The random seed of the step's transactions follows from its name. */
    async step<T>(name: string, action: () => Promise<T>): Promise<T> {
        this.current = name;
        this.net!.chain.random = createHash('sha256').update(name).digest();
        return action();
    }

    /** A step whose external message the contract must not accept. */
    async refusedStep(name: string, action: () => Promise<unknown>): Promise<void> {
        const before = this.records.length;
        await this.step(name, () => action().then(() => undefined, () => undefined));
        const [record, ...more] = this.records.slice(before).filter((r) => r.kind !== 'get');
        if (more.length || record?.kind !== 'refused') throw new Error(`${name}: the message was accepted`);
    }

    /** Both files, by name. */
    files(): Map<string, Buffer> {
        const dictionary = Dictionary.empty(Dictionary.Keys.Uint(32), Dictionary.Values.Cell());
        this.cells.forEach((cell, key) => dictionary.set(key, cell));
        const boc = beginCell().storeDictDirect(dictionary).endCell().toBoc();
        const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
        const head = {
            format: 1,
            note: 'Recorded with @ton/sandbox by npm run record-trace in sandbox-tests. Do not edit.',
            config: { path: CONFIG, sha256: sha256(readFileSync(path.resolve(__dirname, '../..', CONFIG))) },
            cells: { file: 'contracts.boc', sha256: sha256(boc), count: this.cells.length },
        };
        const records = this.records.map((record) => JSON.stringify(record)).join(',\n');
        const json = `${JSON.stringify(head).slice(0, -1)},\n"records":[\n${records}\n]}\n`;
        return new Map([
            ['contracts.json', Buffer.from(json)],
            ['contracts.boc', boc],
        ]);
    }

    summary(): string {
        const count = (kind: string) => this.records.filter((r) => r.kind === kind).length;
        const exits = new Set(this.records.map((r) => String((r.out as { exit?: unknown })?.exit ?? r.exit ?? r.kind)));
        return `${count('tx')} transactions, ${count('refused')} refused externals, ${count('get')} getter runs, ${exits.size} different exits`;
    }

    private cell(cell: Cell): number {
        const hash = cell.hash().toString('hex');
        let key = this.index.get(hash);
        if (key === undefined) {
            key = this.cells.push(cell) - 1;
            this.index.set(hash, key);
        }
        return key;
    }

    transaction(args: Transaction, { result }: TransactionAnswer): void {
        const asked = {
            step: this.current,
            account: this.cell(Cell.fromBase64(args.shardAccount)),
            message: this.cell(args.message),
            now: args.now,
            lt: args.lt.toString(),
            seed: args.randomSeed?.toString('hex') ?? null,
        };
        if (!result.success) {
            this.records.push({ kind: 'refused', ...asked, exit: result.vmResults?.vmExitCode ?? null });
            return;
        }
        const [transaction, account] = [Cell.fromBase64(result.transaction), Cell.fromBase64(result.shardAccount)];
        const tx = loadTransaction(transaction.asSlice());
        const after = loadShardAccount(account.asSlice());
        const { exitCode, gas, skipped } = compute(tx);
        this.records.push({
            kind: 'tx',
            ...asked,
            out: {
                account: this.cell(account),
                transaction: this.cell(transaction),
                gas,
                exit: skipped ? null : exitCode,
                skipped: skipped ?? null,
                action: actionCode(tx) ?? null,
                aborted: tx.description.type === 'generic' && tx.description.aborted,
                fees: tx.totalFees.coins.toString(),
                balance: (after.account?.storage.balance.coins ?? 0n).toString(),
            },
        });
    }

    getter(args: Getter, { output }: GetterAnswer): void {
        if (!output.success) throw new Error(`${this.current}: the getter did not run: ${output.error}`);
        this.records.push({
            kind: 'get',
            step: this.current,
            address: args.address.toRawString(),
            code: this.cell(args.code),
            data: this.cell(args.data),
            method: args.methodId,
            arguments: this.cell(serializeTuple(args.stack)),
            now: args.unixTime,
            balance: args.balance.toString(),
            seed: args.randomSeed.toString('hex'),
            gasLimit: args.gasLimit.toString(),
            out: { stack: this.cell(Cell.fromBase64(output.stack)), gas: Number(output.gas_used), exit: output.vm_exit_code },
        });
    }
}

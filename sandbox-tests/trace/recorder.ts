// Records what @ton/sandbox's executor, the C++ TVM, was asked and what it answered.
//
// The file is one JSON object. Cells are base64 BoCs; large ones lie once in `blobs` and are named by index. Integers that may
// exceed 53 bits are decimal strings.
//
//   format    1
//   config    path of the blockchain configuration, and its SHA-256
//   blobs     [base64 BoC]
//   records   in order of execution, each one of
//     tx      step, account (blob: ShardAccount before), message (blob), now, lt, seed (hex), and
//             out: account (blob: ShardAccount after), transaction (blob), gas, exit (compute phase; null when skipped), skipped
//             (reason or null), action (result code or null), aborted, fees (total), balance (after)
//     refused step, account, message, now, lt, seed, and exit: an external message that was not accepted (null: never ran)
//     get     step, address, code (blob), data (blob), method (id), arguments and stack (blobs: VmStack), now, balance, seed,
//             gasLimit, and out: stack (blob: VmStack), gas, exit
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Cell, loadShardAccount, loadTransaction, serializeTuple } from '@ton/core';
import { Executor } from '@ton/sandbox';
import { Network, actionCode, compute } from '../support/network';

type Record = { kind: 'tx' | 'refused' | 'get'; step: string; [field: string]: unknown };

const CONFIG = 'offchain/devnet/config/devnet.boc';

export class Recorder {
    private readonly blobs: string[] = [];
    private readonly index = new Map<string, number>();
    private readonly records: Record[] = [];
    private current = '';
    private net?: Network;

    constructor() {
        this.patch();
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

    toJSON(): string {
        const config = readFileSync(path.resolve(__dirname, '../..', CONFIG));
        const head = {
            format: 1,
            note: 'Recorded by sandbox-tests/trace/record.ts with @ton/sandbox: npm run record-trace in sandbox-tests. Do not edit.',
            config: { path: CONFIG, sha256: createHash('sha256').update(config).digest('hex') },
        };
        const lines = (items: unknown[]) => items.map((item) => JSON.stringify(item)).join(',\n');
        return (
            JSON.stringify(head).slice(0, -1) +
            `,\n"blobs":[\n${lines(this.blobs)}\n],\n"records":[\n${lines(this.records)}\n]}\n`
        );
    }

    summary(): string {
        const count = (kind: string) => this.records.filter((r) => r.kind === kind).length;
        const exits = new Set(this.records.map((r) => String((r.out as { exit?: unknown })?.exit ?? r.exit ?? r.kind)));
        return `${count('tx')} transactions, ${count('refused')} refused externals, ${count('get')} getter runs, ${exits.size} different exits`;
    }

    private blob(base64: string): number {
        let at = this.index.get(base64);
        if (at === undefined) {
            at = this.blobs.push(base64) - 1;
            this.index.set(base64, at);
        }
        return at;
    }

    private cell(cell: Cell): number {
        return this.blob(cell.toBoc().toString('base64'));
    }

    private patch(): void {
        const recorder = this;
        const run = Executor.prototype.runTransaction;
        Executor.prototype.runTransaction = async function (args) {
            const answer = await run.call(this, args);
            const asked = {
                step: recorder.current,
                account: recorder.blob(args.shardAccount),
                message: recorder.cell(args.message),
                now: args.now,
                lt: args.lt.toString(),
                seed: args.randomSeed?.toString('hex') ?? null,
            };
            const { result } = answer;
            if (!result.success) {
                recorder.records.push({ kind: 'refused', ...asked, exit: result.vmResults?.vmExitCode ?? null });
                return answer;
            }
            const tx = loadTransaction(Cell.fromBase64(result.transaction).asSlice());
            const after = loadShardAccount(Cell.fromBase64(result.shardAccount).asSlice());
            const { exitCode, gas, skipped } = compute(tx);
            recorder.records.push({
                kind: 'tx',
                ...asked,
                out: {
                    account: recorder.blob(result.shardAccount),
                    transaction: recorder.blob(result.transaction),
                    gas,
                    exit: skipped ? null : exitCode,
                    skipped: skipped ?? null,
                    action: actionCode(tx) ?? null,
                    aborted: tx.description.type === 'generic' && tx.description.aborted,
                    fees: tx.totalFees.coins.toString(),
                    balance: (after.account?.storage.balance.coins ?? 0n).toString(),
                },
            });
            return answer;
        };
        const get = Executor.prototype.runGetMethod;
        Executor.prototype.runGetMethod = async function (args) {
            const answer = await get.call(this, args);
            if (!answer.output.success) throw new Error(`${recorder.current}: the getter did not run: ${answer.output.error}`);
            recorder.records.push({
                kind: 'get',
                step: recorder.current,
                address: args.address.toRawString(),
                code: recorder.cell(args.code),
                data: recorder.cell(args.data),
                method: args.methodId,
                arguments: recorder.cell(serializeTuple(args.stack)),
                now: args.unixTime,
                balance: args.balance.toString(),
                seed: args.randomSeed.toString('hex'),
                gasLimit: args.gasLimit.toString(),
                out: {
                    stack: recorder.blob(answer.output.stack),
                    gas: Number(answer.output.gas_used),
                    exit: answer.output.vm_exit_code,
                },
            });
            return answer;
        };
    }
}

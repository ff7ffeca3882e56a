// With COCOON_RECORD=FOLDER every call that the tests make on a chain is recorded, so that the devnet's tests can make it on the
// Rust TVM and compare: `offchain/devnet/tests/suites.rs`.
//
// Each process, that is each test file, writes two files. NAME.boc holds every cell once; its roots are the cells that have a
// name, which is their place among the roots. NAME.jsonl has one object per line, integers that may exceed 53 bits as decimal
// strings. The first line is {format: 2, suite, cells: how many have a name, transactions, refused, getters}; then in order
//
//   t   a transaction: account (cell: ShardAccount before), message (cell), config (cell), now, lt, seed (hex or null), and
//       after (cell: ShardAccount), transaction (cell)
//   r   an external message that was not accepted: account, message, config, now, lt, seed, exit (null: it never ran)
//   g   a getter run: address, code (cell), data (cell), config (cell), method (id), arguments (cell: VmStack), now, balance, seed,
//       gasLimit, and stack (cell: VmStack), gas, exit
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { serializeTuple } from '@ton/core';
import { CellStore } from './cells';
import { Getter, GetterAnswer, Listener, Transaction, TransactionAnswer, watchExecutor } from './watch';

class SuiteRecorder implements Listener {
    private readonly cells = new CellStore();
    private readonly lines: string[] = [];
    private readonly counts = { t: 0, r: 0, g: 0 };

    constructor(
        private readonly folder: string,
        private readonly suite: string,
    ) {}

    transaction(asked: Transaction, { result }: TransactionAnswer): void {
        if (asked.libs || asked.ignoreChksig || asked.prevBlocksInfo) throw new Error(`${this.suite}: a call with options that are not recorded`);
        const call = {
            account: this.named(asked.shardAccount),
            message: this.cells.name(asked.message.toBoc({ idx: false, crc32: false })),
            config: this.named(asked.config),
            now: asked.now,
            lt: asked.lt.toString(),
            seed: asked.randomSeed?.toString('hex') ?? null,
        };
        if (!result.success) return this.line('r', { ...call, exit: result.vmResults?.vmExitCode ?? null });
        this.line('t', { ...call, after: this.named(result.shardAccount), transaction: this.named(result.transaction) });
    }

    getter(asked: Getter, { output }: GetterAnswer): void {
        // The emulator refused the call itself: no TVM ran.
        if (!output.success) return;
        if (asked.libs || asked.prevBlocksInfo || Object.keys(asked.extraCurrency ?? {}).length) throw new Error(`${this.suite}: a getter with options that are not recorded`);
        this.line('g', {
            address: asked.address.toRawString(),
            code: this.cells.name(asked.code.toBoc({ idx: false, crc32: false })),
            data: this.cells.name(asked.data.toBoc({ idx: false, crc32: false })),
            config: this.named(asked.config),
            method: asked.methodId,
            arguments: this.cells.name(serializeTuple(asked.stack).toBoc({ idx: false, crc32: false })),
            now: asked.unixTime,
            balance: asked.balance.toString(),
            seed: asked.randomSeed.toString('hex'),
            gasLimit: asked.gasLimit.toString(),
            stack: this.named(output.stack),
            gas: Number(output.gas_used),
            exit: output.vm_exit_code,
        });
    }

    write(): void {
        const { t, r, g } = this.counts;
        if (t + r + g === 0) return;
        const head = JSON.stringify({ format: 2, suite: this.suite, cells: this.cells.names, transactions: t, refused: r, getters: g });
        mkdirSync(this.folder, { recursive: true });
        const target = path.join(this.folder, `${this.suite}.${process.pid}`);
        writeFileSync(`${target}.boc`, this.cells.toBoc());
        writeFileSync(`${target}.jsonl`, [head, ...this.lines].join('\n') + '\n');
    }

    private named(base64: string): number {
        return this.cells.name(Buffer.from(base64, 'base64'));
    }

    private line(kind: 't' | 'r' | 'g', record: object): void {
        this.counts[kind] += 1;
        this.lines.push(JSON.stringify({ kind, ...record }));
    }
}

const folder = process.env.COCOON_RECORD;
const suite = process.argv[1] ? path.basename(process.argv[1]) : '';
if (folder && suite.endsWith('.test.ts')) {
    const recorder = new SuiteRecorder(path.resolve(folder), suite.slice(0, -'.test.ts'.length));
    watchExecutor(recorder);
    process.on('exit', () => recorder.write());
}

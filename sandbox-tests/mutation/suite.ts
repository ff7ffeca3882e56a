// The contract tests as functions in this process: loaded once, run again for every mutant, each with the code that it is
// told to use. `node:test` is replaced while the files are loaded, the wrappers' code when they ask for it.
import assert, { AssertionError } from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import Module from 'node:module';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import '../support/fast';
import { Cell, loadShardAccount } from '@ton/core';
import { watchExecutor } from '../trace/watch';
import { TESTS } from './sources';

export type Test = {
    /** File and title. */
    name: string;
    file: string;
    run: () => unknown;
    /** Contracts that ran in it when nothing was changed; others are cells to it, and how those behave it cannot notice. */
    runs: ReadonlySet<string>;
    milliseconds: number;
};

/** What a test does on the contracts as they are, so that another process need not run it to know. */
export type Known = { name: string; runs: string[]; milliseconds: number };

/** Files that test the tools or what is committed, not what a contract does. */
const NOT_BEHAVIOUR = /^(trace|mutation|gas|network|lint)\./;

/** Test files of behaviour, by name. */
export function testFiles(): string[] {
    return readdirSync(path.join(TESTS, 'tests'))
        .filter((name) => name.endsWith('.test.ts') && !NOT_BEHAVIOUR.test(name))
        .sort();
}

/**
 * Failing is what most trials end in, and nobody reads why: without this, Node looks up the assertion's words in the source, or
 * draws the difference of two objects, which takes longer than the test.
 */
function failPlainly(): void {
    const plain = (holds: (...args: unknown[]) => boolean) => (...args: unknown[]) => {
        if (!holds(...args)) throw new AssertionError({ message: 'it does not hold' });
    };
    const kinds = {
        ok: plain((value) => Boolean(value)),
        equal: plain((a, b) => Object.is(a, b)),
        strictEqual: plain((a, b) => Object.is(a, b)),
        notEqual: plain((a, b) => !Object.is(a, b)),
        deepEqual: plain((a, b) => isDeepStrictEqual(a, b)),
        deepStrictEqual: plain((a, b) => isDeepStrictEqual(a, b)),
    };
    Object.assign(assert, kinds);
}

/** A contract's code as the generated wrapper writes it. */
function committedHex(name: string): string {
    const wrapper = readFileSync(path.join(TESTS, 'build', `${name}.ts`), 'utf8');
    const code = /const __code = Cell\.fromHex\('([0-9a-f]+)'\)/.exec(wrapper)?.[1];
    if (!code) throw new Error(`build/${name}.ts holds no code: run scripts/build-contracts`);
    return code;
}

/** A contract's code as it is built. */
export function committedCode(name: string): Cell {
    return Cell.fromBoc(Buffer.from(committedHex(name), 'hex'))[0];
}

class Codes {
    private readonly names = new Map<string, string>();
    private readonly byHash = new Map<string, string>();
    private changed: ReadonlyMap<string, Cell> = new Map();
    asked = new Set<string>();
    /** Code of accounts that did something, while somebody listens. */
    ran = new Set<string>();
    listening = false;

    constructor(contracts: readonly string[]) {
        for (const name of contracts) {
            this.names.set(committedHex(name), name);
            this.byHash.set(committedCode(name).hash().toString('hex'), name);
        }
        const saw = (code: Cell | null | undefined) => {
            const name = code && this.byHash.get(code.hash().toString('hex'));
            if (name) this.ran.add(name);
        };
        watchExecutor({
            transaction: ({ shardAccount }, { result }) => {
                if (!this.listening) return;
                for (const account of result.success ? [shardAccount, result.shardAccount] : [shardAccount]) saw(codeOf(account));
            },
            getter: ({ code }) => {
                if (this.listening) saw(code);
            },
        });
        const fromHex = Cell.fromHex.bind(Cell);
        Cell.fromHex = (hex: string) => {
            const name = this.names.get(hex);
            if (!name) return fromHex(hex);
            this.asked.add(name);
            return this.changed.get(name) ?? fromHex(hex);
        };
    }

    use(changed: ReadonlyMap<string, Cell>): void {
        this.changed = changed;
        this.asked = new Set();
        this.ran = new Set();
    }
}

/** The code of an account as the executor writes it. */
function codeOf(shardAccount: string): Cell | null | undefined {
    const state = loadShardAccount(Cell.fromBase64(shardAccount).beginParse()).account?.storage.state;
    return state?.type === 'active' ? state.state.code : undefined;
}

export class Suite {
    private constructor(
        readonly tests: Test[],
        private readonly codes: Codes,
    ) {}

    /** Loads the files, and runs each test that is not known yet once on the contracts as they are; all must pass. */
    static async load(contracts: readonly string[], files: readonly string[], known: readonly Known[] = []): Promise<Suite> {
        failPlainly();
        const codes = new Codes(contracts);
        const collected: { name: string; file: string; run: () => unknown }[] = [];
        let current = '';
        const test = (name: string, fn: () => unknown, ...rest: unknown[]) => {
            if (typeof fn !== 'function' || rest.length) throw new Error(`${current}: the mutation tester knows only test(name, function)`);
            // A test that wants its context gets one that explains why it fails.
            const run = () => (fn as (t: object) => unknown)({ diagnostic: () => undefined });
            collected.push({ name: `${current}: ${name}`, file: current, run });
        };
        const load = (Module as unknown as { _load: (...args: unknown[]) => unknown })._load;
        (Module as unknown as { _load: unknown })._load = function (request: string, ...rest: unknown[]) {
            return request === 'node:test' ? Object.assign(test, { test, default: test }) : load.call(this, request, ...rest);
        };
        for (const file of files) {
            current = file;
            require(path.join(TESTS, 'tests', file));
            if (codes.asked.size) throw new Error(`${file} takes ${[...codes.asked]} while it is loaded: a mutant would not reach it`);
        }
        (Module as unknown as { _load: unknown })._load = load;

        const suite = new Suite([], codes);
        const facts = new Map(known.map((k) => [k.name, k]));
        for (const { name, file, run } of collected) {
            const fact = facts.get(name);
            if (fact) {
                suite.tests.push({ name, file, run, runs: new Set(fact.runs), milliseconds: fact.milliseconds });
                continue;
            }
            codes.use(new Map());
            const start = performance.now();
            codes.listening = true;
            const failure = await attempt(run);
            codes.listening = false;
            if (failure !== undefined) throw new Error(`${name}\nfails on the contracts as they are: ${failure}`);
            suite.tests.push({ name, file, run, runs: new Set(codes.ran), milliseconds: performance.now() - start });
        }
        return suite;
    }

    known(): Known[] {
        return this.tests.map(({ name, runs, milliseconds }) => ({ name, runs: [...runs], milliseconds }));
    }

    /** The first of these tests that fails with the changed contracts. */
    async killer(changed: ReadonlyMap<string, Cell>, order: Iterable<Test>): Promise<Test | undefined> {
        for (const test of order) {
            this.codes.use(changed);
            if ((await attempt(test.run)) !== undefined) return test;
        }
        return undefined;
    }
}

async function attempt(run: () => unknown): Promise<string | undefined> {
    // What the TVM and the tests print about mutants is of no interest.
    const { log, error, warn } = console;
    console.log = console.error = console.warn = () => undefined;
    try {
        await run();
        return undefined;
    } catch (e) {
        return e instanceof Error ? e.message || e.name : String(e);
    } finally {
        Object.assign(console, { log, error, warn });
    }
}

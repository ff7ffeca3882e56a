// The TypeScript part of scripts/mutate-contracts; usage there.
import os from 'node:os';
import path from 'node:path';
import { Memory } from './memory';
import { Mutant, mutantsOf } from './operators';
import { Tried, tryAll } from './pool';
import { complaints, readExplanations, summary, template, writeReport } from './report';
import { Project, Sources, closure, projects, readSources } from './sources';
import { testFiles } from './suite';

class UsageError extends Error {}

type Options = { wanted: string[]; jobs: number; sample?: number; seed: number; quick?: number; fresh: boolean; list: boolean; report: boolean; only?: string; tests?: string };

function parse(args: string[]): Options {
    const opts: Options = { wanted: [], jobs: Math.max(1, os.availableParallelism() - 1), seed: 1, fresh: false, list: false, report: false };
    const number = (name: string, value: string | undefined) => {
        if (!value || !/^\d+$/.test(value)) throw new UsageError(`${name} takes a number`);
        return Number(value);
    };
    for (let i = 0; i < args.length; i++) {
        const arg = args[i];
        if (arg === '--jobs') opts.jobs = Math.max(1, number(arg, args[++i]));
        else if (arg === '--sample') opts.sample = number(arg, args[++i]);
        else if (arg === '--seed') opts.seed = number(arg, args[++i]);
        else if (arg === '--quick') opts.quick = number(arg, args[++i]);
        else if (arg === '--only') opts.only = args[++i];
        else if (arg === '--tests') opts.tests = args[++i];
        else if (arg === '--fresh') opts.fresh = true;
        else if (arg === '--list') opts.list = true;
        else if (arg === '--report') opts.report = true;
        else if (arg.startsWith('-')) throw new UsageError(`unknown option ${arg}`);
        else opts.wanted.push(arg);
    }
    return opts;
}

/** Files of a contract: its own and those beside it that it imports. */
function filesOf(name: string, all: Project[], sources: Sources): string[] {
    const project = all.find((p) => p.name === name);
    const folder = project ? path.posix.dirname(project.path) : name;
    const others = new Set(all.filter((p) => p.name !== name).map((p) => p.path));
    const candidates = project ? [...closure(project.path, sources)].filter((f) => !others.has(f)) : [...sources.keys()];
    const files = candidates.filter((f) => path.posix.dirname(f) === folder);
    if (files.length) return files;
    const names = [...all.map((p) => p.name), ...new Set([...sources.keys()].map((f) => path.posix.dirname(f)))];
    throw new UsageError(`no contract or folder is called ${name}; there are ${names.join(', ')}`);
}

/** The same choice for the same seed, on every machine. */
function sample(mutants: Mutant[], count: number, seed: number): Mutant[] {
    let state = (seed * 0x9e3779b1) >>> 0 || 1;
    const next = () => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>>= 0);
    };
    const rest = [...mutants];
    const chosen = new Set(Array.from({ length: Math.min(count, rest.length) }, () => rest.splice(next() % rest.length, 1)[0]));
    return mutants.filter((m) => chosen.has(m));
}

async function main(args: string[]): Promise<number> {
    const opts = parse(args);
    const all = projects();
    const sources = readSources();
    const every = [...sources.keys()].flatMap((file) => mutantsOf(file, sources));
    const files = opts.wanted.length ? new Set(opts.wanted.flatMap((name) => filesOf(name, all, sources))) : new Set(sources.keys());
    // In the order that was asked for.
    const place = new Map([...files].map((file, i) => [file, i]));
    let mutants = every
        .filter((m) => files.has(m.file) && (!opts.only || m.key.includes(opts.only)))
        .sort((a, b) => place.get(a.file)! - place.get(b.file)!);
    if (opts.sample !== undefined) mutants = sample(mutants, opts.sample, opts.seed);
    if (opts.list) {
        for (const m of mutants) console.log(`${m.file}:${m.line}\t${m.key}`);
        return 0;
    }
    const whole = mutants.length === every.length && !opts.tests;

    const tests = testFiles().filter((name) => !opts.tests || name.startsWith(opts.tests));
    const memory = new Memory(all, sources, tests, opts.fresh);
    const explanations = readExplanations();
    const tried: Tried[] = [];
    const unknown = mutants.filter((mutant) => {
        const known = memory.recall(mutant);
        if (known) tried.push({ mutant, ...known });
        return !known;
    });
    const open = opts.report ? [] : unknown;
    const started = performance.now();
    console.error(`${mutants.length} mutants, ${tried.length} known from earlier runs, ${open.length} to try with ${opts.jobs} job(s)`);
    let done = 0;
    const pool = { jobs: opts.jobs, contracts: all.map((p) => p.name), files: tests, patience: 300_000, budget: opts.quick === undefined ? undefined : opts.quick * 1000 };
    await tryAll(open, pool, (one) => {
        const { mutant: m, outcome } = one;
        done += 1;
        if (outcome.status !== 'undecided') {
            memory.remember(one.mutant, outcome, one.milliseconds);
            tried.push(one);
        }
        if (outcome.status === 'survived' || outcome.status === 'undecided') console.error(`${outcome.status}: contracts/${m.file}:${m.line} ${m.operator}: ${m.before} -> ${m.after || 'nothing'}`);
        if (done % 50 === 0) console.error(`${done}/${open.length}, ${((performance.now() - started) / 1000 / done).toFixed(2)} s each`);
    });

    const position = new Map(mutants.map((m, i) => [m.key, i]));
    tried.sort((a, b) => position.get(a.mutant.key)! - position.get(b.mutant.key)!);
    console.log(summary(tried));
    const seconds = (performance.now() - started) / 1000;
    console.log(`\n${open.length} trials in ${seconds.toFixed(0)} s with ${opts.jobs} job(s)${opts.sample === undefined ? '' : `, sample of seed ${opts.seed}`}`);
    if (whole && tried.length > 0) {
        writeReport(tried, every, explanations, 'scripts/mutate-contracts');
        console.log('docs/reports/mutation.md is written');
    }
    if (opts.report && unknown.length) console.error(`${unknown.length} mutants are not tried yet`);
    const wrong = complaints(tried, explanations, every, whole);
    for (const text of wrong) console.error(text);
    const skeleton = template(tried, explanations);
    if (skeleton) console.error(`\nWrite a test that kills them, or explain them in sandbox-tests/mutation/survivors.json:\n${skeleton}`);
    return wrong.length ? 1 : 0;
}

main(process.argv.slice(2)).then(
    (code) => (process.exitCode = code),
    (e: unknown) => {
        console.error(e instanceof UsageError ? `mutate-contracts: ${e.message}` : e);
        process.exitCode = 2;
    },
);

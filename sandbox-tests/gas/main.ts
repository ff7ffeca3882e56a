// The TypeScript part of scripts/gas; usage there.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { channel, reputation } from './channel';
import { dao } from './dao';
import { faults } from './faults';
import { registry } from './registry';
import { transparency } from './transparency';
import { Figure } from './meter';
import { TARGETS, misses } from './targets';

const ROOT = path.resolve(__dirname, '../..');
const TABLE = 'sandbox-tests/gas.json';
const REPORT = 'docs/reports/gas.md';

/** A committed figure. The note says why it rose when it last did: empty means that nobody has said. */
type Committed = { gas: number; nano: string; contracts: number; note?: string };
type Table = { note: string; operations: Record<string, Committed>; missed: Record<string, string> };

async function measureAll(): Promise<Map<string, Figure>> {
    const all = new Map<string, Figure>();
    for (const scenario of [channel, reputation, ...registry, transparency, ...dao, ...faults]) {
        for (const [name, figure] of (await scenario()).figures) {
            if (all.has(name)) throw new Error(`${name} is measured twice`);
            all.set(name, figure);
        }
    }
    return all;
}

function ton(nano: bigint): string {
    return (Number(nano) / 1e9).toFixed(5);
}

function read(): Table {
    const file = path.join(ROOT, TABLE);
    if (!existsSync(file)) return { note: 'Gas and cost of every operation. Written by scripts/gas --update.', operations: {}, missed: {} };
    return JSON.parse(readFileSync(file, 'utf8')) as Table;
}

/** The new table: where a figure rose, a note must be written by hand. */
function updated(old: Table, now: Map<string, Figure>): Table {
    const operations: Record<string, Committed> = {};
    for (const [name, f] of now) {
        const before = old.operations[name];
        const rose = before && (f.gas > before.gas || f.nano > BigInt(before.nano));
        const note = rose ? '' : before?.note;
        operations[name] = { gas: f.gas, nano: f.nano.toString(), contracts: f.contracts, ...(note === undefined ? {} : { note }) };
    }
    const missed = Object.fromEntries(misses(now).map(({ target }) => [target, old.missed[target] ?? '']));
    return { note: old.note, operations, missed };
}

function compare(table: Table, now: Map<string, Figure>): string[] {
    const wrong: string[] = [];
    for (const [name, f] of now) {
        const before = table.operations[name];
        if (!before) {
            wrong.push(`${name}: not in ${TABLE}`);
            continue;
        }
        if (f.gas > before.gas) wrong.push(`${name}: ${f.gas} gas, was ${before.gas}`);
        if (f.nano > BigInt(before.nano)) wrong.push(`${name}: costs ${ton(f.nano)} TON, was ${ton(BigInt(before.nano))}`);
        if (before.note === '') wrong.push(`${name}: rose, and its note in ${TABLE} does not say why`);
        if (f.gas < before.gas || f.nano < BigInt(before.nano)) wrong.push(`${name}: fell to ${f.gas} gas, ${ton(f.nano)} TON: keep it, with --update`);
    }
    for (const name of Object.keys(table.operations)) if (!now.has(name)) wrong.push(`${name}: in ${TABLE}, but not measured`);
    for (const { target } of misses(now)) if (!table.missed[target]?.trim()) wrong.push(`target missed, unexplained in ${TABLE}: ${target}`);
    return wrong;
}

function report(table: Table, now: Map<string, Figure>): string {
    const rows = [...now].map(([name, f]) => `| ${name} | ${f.gas.toLocaleString('en')} | ${f.contracts} | ${ton(f.nano)} | ${f.storage ? ton(f.storage) : ''} |`);
    const missed = new Map(misses(now).map((m) => [m.target, m]));
    const targets = TARGETS.map(({ name, what, limit }) => {
        const figure = now.get(name);
        if (!figure) throw new Error(`a target names ${name}, which is not measured`);
        const target = `${name}: ${what}`;
        const value = what === 'gas' ? figure.gas.toLocaleString('en') : `${ton(figure.nano)} TON`;
        const bound = what === 'gas' ? limit.toLocaleString('en') : `${ton(BigInt(limit))} TON`;
        return `| ${name} | ≤ ${bound} | ${value} | ${missed.has(target) ? `missed: ${table.missed[target] ?? ''}` : 'met'} |`;
    });
    const notes = Object.entries(table.operations).filter(([, f]) => f.note);
    return `# Gas and cost of every operation

Written by \`scripts/gas --update\`. Do not edit.

Gas is the sum over the project's contracts that a message sets to work; cost is everything that is paid for it in TON (gas,
forwarding, actions) in all transactions down to the last answer, without the sending wallet's own work; rent is what the same
transactions collected for the storage of the time before, which depends on how long that was. What an operation moves is no cost:
deposits and bonds, what burns, and what stays in an account for its storage, which is 0.02 TON less gas in the log for each
change of the registry. *Full* is a registry with 256 images, 1,024 models, 256 proxies, 512 banned platforms, and the largest
lists of roots, rebuilders, members of the council and former codes; and a stake account with 16 lots, 32 nodes and the receipts of
32 votes, which are twice the proposals of a busy DAO (16 at a time). A proposal costs the governor the same however many are
open: it keeps no list of them.
Prices are mainnet's.

| target | bound | measured | |
|---|---|---|---|
${targets.join('\n')}

| operation | gas | contracts | cost, TON | rent, TON |
|---|--:|--:|--:|--:|
${rows.join('\n')}
${notes.length ? `\n## Why a figure rose\n\n${notes.map(([name, f]) => `- ${name}: ${f.note}`).join('\n')}\n` : ''}`;
}

async function main(args: string[]): Promise<number> {
    if (args.some((a) => a !== '--update')) throw new Error('usage: scripts/gas [--update]');
    const now = await measureAll();
    const update = args.includes('--update');
    const table = update ? updated(read(), now) : read();
    const text = report(table, now);
    for (const [name, f] of now) console.log(`${name.padEnd(62)}${String(f.gas).padStart(8)} gas ${ton(f.nano).padStart(9)} TON`);
    if (update) {
        writeFileSync(path.join(ROOT, TABLE), JSON.stringify(table, null, 4) + '\n');
        writeFileSync(path.join(ROOT, REPORT), text);
    }
    const wrong = compare(table, now);
    const file = path.join(ROOT, REPORT);
    if (wrong.length === 0 && (!existsSync(file) || readFileSync(file, 'utf8') !== text)) wrong.push(`${REPORT} is stale: scripts/gas --update`);
    for (const { target, value, limit } of misses(now)) console.error(`target missed: ${target}: ${value}, bound ${limit}`);
    for (const line of wrong) console.error(line);
    return wrong.length ? 1 : 0;
}

main(process.argv.slice(2)).then(
    (code) => (process.exitCode = code),
    (e: unknown) => {
        console.error(e);
        process.exitCode = 2;
    },
);

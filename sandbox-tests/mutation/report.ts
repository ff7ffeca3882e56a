// docs/reports/mutation.md, and the list of survivors that somebody has explained.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Mutant } from './operators';
import type { Tried } from './pool';
import { ROOT } from './sources';

export const SURVIVORS = 'sandbox-tests/mutation/survivors.json';
const REPORT = 'docs/reports/mutation.md';

/** Key of a mutant → why no test can or need tell it from the original. */
export type Explanations = ReadonlyMap<string, string>;

export function readExplanations(): Explanations {
    const file = path.join(ROOT, SURVIVORS);
    const { survivors } = JSON.parse(readFileSync(file, 'utf8')) as { survivors: { mutant: string; why: string }[] };
    const read = new Map<string, string>();
    for (const { mutant, why } of survivors) {
        if (!why?.trim()) throw new Error(`${SURVIVORS}: ${mutant} is listed without an explanation`);
        if (read.has(mutant)) throw new Error(`${SURVIVORS}: ${mutant} is listed twice`);
        read.set(mutant, why);
    }
    return read;
}

/** What is wrong with the run, or nothing. */
export function complaints(tried: readonly Tried[], explanations: Explanations, all: readonly Mutant[], whole: boolean): string[] {
    const wrong: string[] = [];
    const survived = new Set<string>();
    for (const { mutant, outcome } of tried) {
        if (outcome.status !== 'survived') continue;
        survived.add(mutant.key);
        if (!explanations.has(mutant.key)) wrong.push(`survived, unexplained: contracts/${mutant.file}:${mutant.line}\n    ${mutant.key}`);
    }
    const outcomes = new Map(tried.map((t) => [t.mutant.key, t.outcome.status]));
    const keys = new Set(all.map((m) => m.key));
    for (const key of explanations.keys()) {
        const status = outcomes.get(key);
        if (status && status !== 'survived') wrong.push(`explained in ${SURVIVORS}, but ${status}:\n    ${key}`);
        if (whole && !keys.has(key)) wrong.push(`explained in ${SURVIVORS}, but there is no such mutant:\n    ${key}`);
    }
    return wrong;
}

type Row = { killed: number; survived: number; equivalent: number; refused: number; milliseconds: number };

function rows(tried: readonly Tried[], by: (m: Mutant) => string): Map<string, Row> {
    const table = new Map<string, Row>();
    for (const { mutant, outcome, milliseconds } of tried) {
        if (outcome.status === 'undecided') continue;
        const name = by(mutant);
        const row = table.get(name) ?? { killed: 0, survived: 0, equivalent: 0, refused: 0, milliseconds: 0 };
        row[outcome.status] += 1;
        row.milliseconds += milliseconds;
        table.set(name, row);
    }
    return table;
}

function table(title: string, rows: Map<string, Row>): string {
    const lines = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, r]) => line(name, r));
    const sum = [...rows.values()].reduce(
        (a, r) => ({
            killed: a.killed + r.killed,
            survived: a.survived + r.survived,
            equivalent: a.equivalent + r.equivalent,
            refused: a.refused + r.refused,
            milliseconds: a.milliseconds + r.milliseconds,
        }),
        { killed: 0, survived: 0, equivalent: 0, refused: 0, milliseconds: 0 },
    );
    return [`| ${title} | mutants | killed | survived | equivalent | refused | seconds |`, '|---|--:|--:|--:|--:|--:|--:|', ...lines, line('**all**', sum)].join('\n');
}

function line(name: string, r: Row): string {
    const mutants = r.killed + r.survived + r.equivalent + r.refused;
    return `| ${name} | ${mutants} | ${r.killed} | ${r.survived} | ${r.equivalent} | ${r.refused} | ${Math.round(r.milliseconds / 1000)} |`;
}

export function summary(tried: readonly Tried[]): string {
    return table('file', rows(tried, (m) => m.file));
}

/** Mutants that nobody has tried yet, by file. */
function waiting(tried: readonly Tried[], all: readonly Mutant[]): string {
    const keys = new Set(tried.map((t) => t.mutant.key));
    const open = all.filter((m) => !keys.has(m.key));
    if (open.length === 0) return `All ${all.length} mutants were tried: no sample, no seed.`;
    const files = new Map<string, number>();
    for (const m of open) files.set(m.file, (files.get(m.file) ?? 0) + 1);
    const list = [...files].map(([file, n]) => `| ${file} | ${n} of ${all.filter((m) => m.file === file).length} |`);
    return `${tried.length} of ${all.length} mutants were tried; ${open.length} wait for the next run, which goes on where this one ended:

| file | not tried |
|---|--:|
${list.join('\n')}`;
}

/** Writes the report of what is known about all mutants. */
export function writeReport(tried: readonly Tried[], all: readonly Mutant[], explanations: Explanations, command: string): void {
    const survivors = tried.filter((t) => t.outcome.status === 'survived');
    const groups = new Map<string, Tried[]>();
    for (const t of survivors) {
        const why = explanations.get(t.mutant.key) ?? '**unexplained**';
        groups.set(why, [...(groups.get(why) ?? []), t]);
    }
    const text = `# Mutation testing of the contracts

Written by \`${command}\`. Do not edit.

A mutant is the contracts with one small wrongness: a check deleted, a comparison flipped or moved by one, a term of a condition
dropped, a send or reserve mode changed, a constant changed, a statement deleted, arguments swapped. It is *killed* when a test
fails with it or with one contract that has it, *equivalent* when the compiler makes the same code of it, *refused* when the
compiler makes none. Every mutant that *survived* all tests is explained below, one by one; the command fails for one that is
not. Mutants are made from the compiler's own syntax tree and tried in memory; seconds are by the clock, on a machine that had
other work.

${waiting(tried, all)}

${table('file', rows(tried, (m) => m.file))}

${table('operator', rows(tried, (m) => m.operator))}

## Survivors

${survivors.length === 0 ? (tried.length < all.length ? 'None among those that were tried.' : 'None.') : ''}${[...groups]
        .map(
            ([why, list]) =>
                `${why}\n\n${list.map(({ mutant: m }) => `- \`${m.file}\` ${m.where}, ${m.operator}: \`${show(m.before)}\` → \`${show(m.after)}\``).join('\n')}`,
        )
        .join('\n\n')}
`;
    writeFileSync(path.join(ROOT, REPORT), text.trimEnd() + '\n');
}

function show(code: string): string {
    const flat = code.replace(/\s+/g, ' ').trim() || 'nothing';
    return flat.length > 90 ? `${flat.slice(0, 87)}...` : flat;
}

/** For a survivor that waits for its explanation. */
export function template(tried: readonly Tried[], explanations: Explanations): string {
    const open = tried.filter((t) => t.outcome.status === 'survived' && !explanations.has(t.mutant.key));
    return open.map(({ mutant }) => `        { "mutant": ${JSON.stringify(mutant.key)}, "why": "" }`).join(',\n');
}

export function hasReport(): boolean {
    return existsSync(path.join(ROOT, REPORT));
}

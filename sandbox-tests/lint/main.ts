// The TypeScript part of scripts/lint-contracts; usage there.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const TESTS = path.resolve(__dirname, '..');
const ROOT = path.resolve(TESTS, '..');
const EXPLAINED = 'sandbox-tests/lint/findings.json';
const REPORT = 'docs/reports/static-analysis.md';

/** Misti's own numbers. */
const SEVERITY = ['', 'info', 'low', 'medium', 'high', 'critical'];

type Finding = { detector: string; severity: string; file: string; line: number; code: string; description: string };
/** Without a file, of all that a detector says: only for matters of style and gas. */
type Explanation = { detector: string; file?: string; code?: string; why: string };

function run(name: string, args: string[]): { code: number; output: string } {
    const done = spawnSync(process.execPath, args, { cwd: TESTS, encoding: 'utf8', env: { ...process.env, NODE_NO_WARNINGS: '1' } });
    if (done.error) throw new Error(`${name} does not start: ${done.error.message}`);
    return { code: done.status ?? 1, output: `${done.stdout}${done.stderr}`.trim() };
}

function bin(pack: string, file: string): string {
    return path.join(TESTS, 'node_modules', pack, file);
}

/** All that Misti finds. Detectors that need Soufflé, a program that no registry has, are left out, and it says so itself. */
function misti(): Finding[] {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'misti-'));
    try {
        const config = path.join(ROOT, 'contracts/tact.config.json');
        const { output } = run('misti', [bin('@nowarp/misti', 'bin/misti'), '-A', '--no-souffle', '-o', 'json', '-O', folder, config]);
        let text: string;
        try {
            text = readFileSync(path.join(folder, 'warnings.json'), 'utf8');
        } catch {
            // Without findings it writes no file.
            if (/error/i.test(output)) throw new Error(`misti: ${output}`);
            return [];
        }
        const answer = JSON.parse(text) as { kind: string; error?: string; warnings?: Raw[] };
        if (answer.kind === 'error') throw new Error(`misti: ${answer.error}`);
        const found = (answer.warnings ?? []).map(finding);
        // A file that several contracts import is looked at once for each.
        const unique = new Map(found.map((f) => [`${f.detector}|${f.file}|${f.line}|${f.description}`, f]));
        return [...unique.values()].sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}

type Raw = { detectorId: string; description: string; severity: number; location: { file: string; line: number; code: string } };

function finding(raw: Raw): Finding {
    const marked = raw.location.code.split('\n').find((line) => line.startsWith('>')) ?? '';
    return {
        detector: raw.detectorId,
        severity: SEVERITY[raw.severity] ?? String(raw.severity),
        file: path.relative(ROOT, path.resolve(TESTS, raw.location.file)),
        line: raw.location.line,
        code: marked.replace(/^>\s*\d+ \|/, '').trim(),
        description: raw.description,
    };
}

function report(findings: Finding[], explanations: Explanation[]): string {
    // What is said of one finding goes before what is said of a detector.
    const sorted = [...explanations].sort((a, b) => Number(a.file === undefined) - Number(b.file === undefined));
    const why = (f: Finding) => sorted.find((e) => matches(e, f))?.why ?? '**unexplained**';
    const groups = new Map<string, Finding[]>();
    for (const f of findings) groups.set(why(f), [...(groups.get(why(f)) ?? []), f]);
    const list = [...groups].map(
        ([reason, group]) => `${reason}\n\n${group.map((f) => `- ${f.detector} (${f.severity}), \`${f.file}\`: \`${f.code}\``).join('\n')}`,
    );
    const version = (JSON.parse(readFileSync(bin('@nowarp/misti', 'package.json'), 'utf8')) as { version: string }).version;
    return `# Static analysis of the contracts

Written by \`scripts/lint-contracts --update\`, from \`${EXPLAINED}\`. Do not edit.

Misti ${version} with every detector that does not need Soufflé; ${findings.length} findings. The command fails for a finding that is
not explained here, and for an explanation whose finding is gone. It also checks the format of the Tact sources (\`tact-fmt\`) and
the types of the tests (\`tsc\`).

${list.join('\n\n') || 'Nothing was found.'}
`;
}

function matches(e: Explanation, f: Finding): boolean {
    if (e.file === undefined) return e.detector === f.detector && f.severity !== 'high' && f.severity !== 'critical';
    return e.detector === f.detector && e.file === f.file && e.code === f.code;
}

function main(args: string[]): number {
    if (args.some((a) => a !== '--update')) throw new Error('usage: scripts/lint-contracts [--update]');
    const update = args.includes('--update');
    const wrong: string[] = [];

    const format = run('tact-fmt', [bin('@tact-lang/compiler', 'bin/tact-fmt.js'), update ? '--write' : '--check', path.join(ROOT, 'contracts')]);
    if (format.code !== 0) wrong.push(`tact-fmt: run scripts/lint-contracts --update\n${format.output}`);

    const findings = misti();
    const { findings: explanations } = JSON.parse(readFileSync(path.join(ROOT, EXPLAINED), 'utf8')) as { findings: Explanation[] };
    for (const f of findings) {
        if (!explanations.some((e) => matches(e, f))) {
            wrong.push(
                `misti, ${f.severity}: ${f.detector} at ${f.file}:${f.line}: ${f.description}\n  mend it, or explain it in ${EXPLAINED}:\n  ` +
                    JSON.stringify({ detector: f.detector, file: f.file, code: f.code, why: '' }),
            );
        }
    }
    for (const e of explanations) {
        const name = `${EXPLAINED}: ${e.detector}${e.file === undefined ? '' : ` in ${e.file}: ${e.code}`}`;
        if (!e.why?.trim()) wrong.push(`${name}: listed without an explanation`);
        if (!findings.some((f) => matches(e, f))) wrong.push(`${name}: explained, but not found any more`);
    }

    const text = report(findings, explanations);
    const target = path.join(ROOT, REPORT);
    if (update) writeFileSync(target, text);
    else if (readFileSync(target, 'utf8') !== text) wrong.push(`${REPORT} is stale: run scripts/lint-contracts --update`);

    const types = run('tsc', [bin('typescript', 'bin/tsc'), '--noEmit', '-p', TESTS]);
    if (types.code !== 0) wrong.push(`tsc:\n${types.output}`);

    for (const text of wrong) console.error(text);
    if (wrong.length === 0) console.log(`contracts: formatted; ${findings.length} findings of Misti's, all explained; tests: types are right`);
    return wrong.length ? 1 : 0;
}

try {
    process.exitCode = main(process.argv.slice(2));
} catch (e) {
    console.error(`lint-contracts: ${e instanceof Error ? e.message : String(e)}`);
    process.exitCode = 2;
}

// Outcomes of earlier runs, kept in build/ and used again as long as all that they rest on is the same, so that a run can be
// interrupted and a new test costs only the trials of the survivors.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Mutant } from './operators';
import type { Outcome } from './trial';
import { Project, Sources, TESTS, closure } from './sources';

const FILE = path.join(TESTS, 'build/mutation.jsonl');

type Line = { key: string; basis: string; outcome: Outcome; milliseconds: number };

export class Memory {
    private readonly lines = new Map<string, Line>();
    private readonly testDigests = new Map<string, string>();
    private readonly sourceDigests = new Map<string, string>();

    constructor(
        private readonly all: Project[],
        private readonly sources: Sources,
        private readonly files: readonly string[],
        fresh: boolean,
    ) {
        if (fresh || !existsSync(FILE)) return;
        for (const text of readFileSync(FILE, 'utf8').split('\n')) {
            if (!text) continue;
            const line = JSON.parse(text) as Line;
            this.lines.set(line.key, line);
        }
    }

    recall(mutant: Mutant): { outcome: Outcome; milliseconds: number } | undefined {
        const line = this.lines.get(mutant.key);
        return line && line.basis === this.basis(mutant, line.outcome) ? line : undefined;
    }

    remember(mutant: Mutant, outcome: Outcome, milliseconds: number): void {
        const line: Line = { key: mutant.key, basis: this.basis(mutant, outcome), outcome, milliseconds };
        this.lines.set(mutant.key, line);
        mkdirSync(path.dirname(FILE), { recursive: true });
        appendFileSync(FILE, JSON.stringify(line) + '\n');
    }

    /** A kill rests on the contracts and on the test that failed, a survival on every test. */
    private basis(mutant: Mutant, outcome: Outcome): string {
        const tests = outcome.status === 'killed' ? (outcome.file ? [outcome.file] : []) : outcome.status === 'survived' ? this.files : [];
        return digest([this.contracts(mutant.file), ...tests.map((file) => this.test(file))].join());
    }

    private contracts(file: string): string {
        let found = this.sourceDigests.get(file);
        if (!found) {
            const files = new Set<string>();
            const concerned = this.all.filter((project) => closure(project.path, this.sources).has(file));
            for (const project of concerned) closure(project.path, this.sources).forEach((part) => files.add(part));
            const config = JSON.stringify(concerned);
            found = digest(config + [...files].sort().map((part) => `${part}\0${withoutRemarks(this.sources.get(part) ?? '')}`).join('\0'));
            this.sourceDigests.set(file, found);
        }
        return found;
    }

    private test(file: string): string {
        let found = this.testDigests.get(file);
        if (!found) {
            const seen = new Set<string>();
            const visit = (name: string) => {
                if (seen.has(name) || !existsSync(name)) return;
                seen.add(name);
                for (const [, target] of readFileSync(name, 'utf8').matchAll(/from '(\.[^']+)'/g)) {
                    const next = path.resolve(path.dirname(name), `${target}.ts`);
                    // The wrappers follow from the contracts.
                    if (!next.includes(`${path.sep}build${path.sep}`)) visit(next);
                }
            };
            visit(path.join(TESTS, 'tests', file));
            found = digest([...seen].sort().map((name) => readFileSync(name, 'utf8')).join('\0'));
            this.testDigests.set(file, found);
        }
        return found;
    }
}

/** What is said beside the code changes no outcome. */
function withoutRemarks(source: string): string {
    return source.replace(/^\s*\/\/.*\n/gm, '');
}

function digest(text: string): string {
    return createHash('sha256').update(text).digest('hex').slice(0, 24);
}

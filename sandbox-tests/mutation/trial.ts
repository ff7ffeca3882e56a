// One mutant's trial: compile what its file is part of, put it into the contracts that deploy it, run the tests in which any
// of what was compiled runs until one fails. A file that several contracts are made of is compiled for the smallest of them first: when a test
// that looks at that one fails, the others need not be compiled.
import { Cell } from '@ton/core';
import { CompileError, Compiler, relink } from './compile';
import { Mutant, apply } from './operators';
import { Project, Sources, closure } from './sources';
import { Suite, Test } from './suite';

export type Outcome =
    /** A test failed. */
    | { status: 'killed'; by: string; file: string }
    /** All tests passed. */
    | { status: 'survived'; tests: number }
    /** The likeliest tests passed, and the time for more was not given. */
    | { status: 'undecided'; tests: number }
    /** The code of every contract is the original's. */
    | { status: 'equivalent' }
    /** The compiler refuses it. */
    | { status: 'refused'; why: string };

/** Tests that may answer before the next contract is compiled. */
const EARLY = 12;
/** How much longer a test may take than another one and still be tried first: on the mutant's own subject, in its folder, elsewhere. */
const FAVOUR = { subject: 8, folder: 3, none: 1 } as const;

export class Trials {
    private readonly compiler: Compiler;
    /** Who killed before, the latest first: by function, by file, by folder. */
    private readonly killers = new Map<string, Test[]>();

    constructor(
        private readonly all: Project[],
        private readonly sources: Sources,
        private readonly suite: Suite,
        /** Milliseconds of tests, as they took on the contracts as they are, that a mutant is given. */
        private readonly budget = Infinity,
    ) {
        this.compiler = new Compiler(sources, all);
    }

    async run(mutant: Mutant): Promise<Outcome> {
        const sources = apply(mutant, this.sources);
        const concerned = this.all
            .map((project) => ({ project, files: closure(project.path, this.sources) }))
            .filter(({ files }) => files.has(mutant.file))
            .map(({ project, files }) => ({ project, size: [...files].reduce((sum, file) => sum + (this.sources.get(file)?.length ?? 0), 0) }))
            .sort((a, b) => a.size - b.size);
        const own = new Map<string, Cell>();
        for (const [i, { project }] of concerned.entries()) {
            try {
                const variant = await this.compiler.variant(project.name, sources);
                if (!variant) continue;
                own.set(project.name, variant.cell);
            } catch (e) {
                if (!(e instanceof CompileError)) throw e;
                return { status: 'refused', why: e.message.split('\n')[0] };
            }
            if (i + 1 === concerned.length) break;
            const early = await this.linked(own);
            const killer = await this.suite.killer(early, this.order(mutant, new Set(own.keys())).slice(0, EARLY));
            if (killer) return this.killed(mutant, killer);
        }
        const changed = await this.linked(own);
        if (changed.size === 0) return { status: 'equivalent' };
        const order = this.order(mutant, new Set(own.keys()));
        let spent = 0;
        const affordable = order.filter((test) => (spent += test.milliseconds) <= this.budget);
        const killer = await this.suite.killer(changed, affordable);
        if (killer) return this.killed(mutant, killer);
        return { status: affordable.length === order.length ? 'survived' : 'undecided', tests: affordable.length };
    }

    private killed(mutant: Mutant, killer: Test): Outcome {
        for (const key of scopes(mutant)) {
            const known = this.killers.get(key) ?? [];
            this.killers.set(key, [killer, ...known.filter((t) => t !== killer)]);
        }
        return { status: 'killed', by: killer.name, file: killer.file };
    }

    /** The contracts that come out different, by name, when these have changed themselves. */
    private async linked(own: ReadonlyMap<string, Cell>): Promise<Map<string, Cell>> {
        const changed = new Map<string, Cell>();
        if (own.size === 0) return changed;
        const linked = async (name: string): Promise<Cell> => {
            const done = changed.get(name);
            if (done) return done;
            const original = await this.compiler.original(name);
            const children = new Map<string, Cell>();
            for (const child of original.children) {
                const before = (await this.compiler.original(child)).cell;
                const after = await linked(child);
                if (!after.equals(before)) children.set(before.hash().toString('hex'), after);
            }
            const code = relink(own.get(name) ?? original.cell, children);
            if (!code.equals(original.cell)) changed.set(name, code);
            return code;
        };
        for (const project of this.all) await linked(project.name);
        return changed;
    }

    /**
     * The tests in which a contract runs that has changed itself; one that only holds another's code does what it always did.
     * Likely killers first, then quick tests before slow ones, with favour for those of the mutant's own file and folder.
     */
    private order(mutant: Mutant, changed: ReadonlySet<string>): Test[] {
        const concerned = (test: Test) => [...test.runs].some((name) => changed.has(name));
        // Tests of the same subject, then of the same folder: registry/council.tact, registry.council.test.ts.
        const [folder, subject] = mutant.file.replace(/\.tact$/, '').split('/');
        const price = (test: Test) => {
            const words = test.file.split('.');
            return test.milliseconds / FAVOUR[words.includes(subject) ? 'subject' : words.includes(folder) ? 'folder' : 'none'];
        };
        const rest = this.suite.tests.filter(concerned).sort((a, b) => price(a) - price(b));
        const likely = scopes(mutant).flatMap((key) => (this.killers.get(key) ?? []).slice(0, 8));
        return [...new Set([...likely.filter(concerned), ...rest])];
    }
}

/** Where a mutant is, from near to far: what killed one there may kill the next. */
function scopes(mutant: Mutant): string[] {
    return [`${mutant.file}|${mutant.where}`, mutant.file, mutant.file.split('/')[0]];
}

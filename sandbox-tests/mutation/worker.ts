// A process of the pool: holds compiler and tests warm and answers one mutant after the other.
import { Mutant } from './operators';
import { projects, readSources } from './sources';
import { Known, Suite } from './suite';
import { Outcome, Trials } from './trial';

export type Ask = { kind: 'load'; contracts: string[]; files: string[]; known: Known[]; budget?: number } | { kind: 'try'; mutant: Mutant };
export type Answer =
    | { kind: 'loaded'; known: Known[]; milliseconds: number }
    | { kind: 'tried'; key: string; outcome: Outcome; milliseconds: number }
    | { kind: 'broken'; why: string };

const say = (answer: Answer) => process.send!(answer);
let trials: Trials | undefined;

async function hear(ask: Ask): Promise<void> {
    const start = performance.now();
    if (ask.kind === 'load') {
        const suite = await Suite.load(ask.contracts, ask.files, ask.known);
        trials = new Trials(projects(), readSources(), suite, ask.budget);
        say({ kind: 'loaded', known: suite.known(), milliseconds: performance.now() - start });
        return;
    }
    if (!trials) throw new Error('asked to try a mutant before the tests were loaded');
    const outcome = await trials.run(ask.mutant);
    say({ kind: 'tried', key: ask.mutant.key, outcome, milliseconds: performance.now() - start });
}

process.on('message', (ask: Ask) => {
    hear(ask).catch((e: unknown) => say({ kind: 'broken', why: e instanceof Error ? (e.stack ?? e.message) : String(e) }));
});
// A mutant may leave a promise behind that fails after its test did.
process.on('unhandledRejection', () => undefined);
process.on('disconnect', () => process.exit(0));

// Worker processes, each busy with one mutant at a time; one that hangs is replaced.
import { ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import { Mutant } from './operators';
import { TESTS } from './sources';
import type { Known } from './suite';
import type { Answer, Ask } from './worker';
import type { Outcome } from './trial';

export type Tried = { mutant: Mutant; outcome: Outcome; milliseconds: number };
export type PoolOptions = {
    jobs: number;
    contracts: string[];
    files: string[];
    /** After this a mutant counts as killed: it runs into a loop. */
    patience: number;
    /** Milliseconds of tests that a mutant is given; all if absent. */
    budget?: number;
};

/** A compiler keeps all that it ever compiled, and each of its virtual machines, for some 40 MB: a fresh process after so many mutants. */
const LIFETIME = 40;

export async function tryAll(mutants: readonly Mutant[], opts: PoolOptions, report: (tried: Tried) => void): Promise<void> {
    const queue = [...mutants];
    let known: Known[] = [];
    const lane = async () => {
        while (queue.length) {
            const worker = new Worker();
            try {
                const loaded = await worker.ask({ kind: 'load', contracts: opts.contracts, files: opts.files, known, budget: opts.budget }, 600_000);
                if (loaded === 'timeout' || loaded.kind !== 'loaded') throw new Error(`the tests could not be loaded: ${said(loaded)}`);
                known = loaded.known;
                for (let n = 0; n < LIFETIME && queue.length; n++) {
                    const mutant = queue.shift()!;
                    const answer = await worker.ask({ kind: 'try', mutant }, opts.patience);
                    if (answer === 'timeout') {
                        const outcome: Outcome = { status: 'killed', by: 'patience: the tests did not end', file: '' };
                        report({ mutant, outcome, milliseconds: opts.patience });
                        break;
                    }
                    if (answer.kind !== 'tried') throw new Error(`${mutant.key}: ${said(answer)}`);
                    report({ mutant, outcome: answer.outcome, milliseconds: answer.milliseconds });
                }
            } finally {
                worker.end();
            }
        }
    };
    await Promise.all(Array.from({ length: Math.min(opts.jobs, queue.length) }, lane));
}

function said(answer: Answer | 'timeout'): string {
    return answer === 'timeout' ? 'no answer in time' : answer.kind === 'broken' ? answer.why : `unexpected ${answer.kind}`;
}

class Worker {
    private readonly child: ChildProcess;

    constructor() {
        this.child = fork(path.join(__dirname, 'worker.ts'), [], {
            cwd: TESTS,
            execArgv: ['--import', 'tsx', '--max-old-space-size=1536', '--no-warnings'],
            // The tests' own tables, printed at the end of a process, are of no interest here.
            stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        });
    }

    ask(ask: Ask, patience: number): Promise<Answer | 'timeout'> {
        return new Promise((resolve, reject) => {
            const done = () => {
                clearTimeout(timer);
                this.child.off('message', heard);
                this.child.off('exit', ended);
            };
            const heard = (answer: Answer) => (done(), resolve(answer));
            const ended = (code: number | null, signal: string | null) => (done(), reject(new Error(`a worker ended: ${signal ?? code}`)));
            const timer = setTimeout(() => (done(), resolve('timeout')), patience);
            this.child.on('message', heard);
            this.child.on('exit', ended);
            this.child.send(ask);
        });
    }

    end(): void {
        this.child.removeAllListeners();
        this.child.kill('SIGKILL');
    }
}

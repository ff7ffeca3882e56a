// Tells whoever wants to know what @ton/sandbox's executor, the C++ TVM, was asked and what it answered.
import { Executor } from '@ton/sandbox';

export type Transaction = Parameters<Executor['runTransaction']>[0];
export type TransactionAnswer = Awaited<ReturnType<Executor['runTransaction']>>;
export type Getter = Parameters<Executor['runGetMethod']>[0];
export type GetterAnswer = Awaited<ReturnType<Executor['runGetMethod']>>;

export interface Listener {
    transaction(asked: Transaction, answer: TransactionAnswer): void;
    getter(asked: Getter, answer: GetterAnswer): void;
}

/** From now on, for every chain of this process. */
export function watchExecutor(listener: Listener): void {
    const run = Executor.prototype.runTransaction;
    Executor.prototype.runTransaction = async function (args) {
        const answer = await run.call(this, args);
        listener.transaction(args, answer);
        return answer;
    };
    const get = Executor.prototype.runGetMethod;
    Executor.prototype.runGetMethod = async function (args) {
        const answer = await get.call(this, args);
        listener.getter(args, answer);
        return answer;
    };
    Executor.prototype.runTickTock = () => Promise.reject(new Error('ticks and tocks are not recorded'));
}

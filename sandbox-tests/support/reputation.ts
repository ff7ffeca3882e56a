// A node's record under test, with a wallet in the registry's place.
import { Address, Cell, Dictionary, beginCell } from '@ton/core';
import { SandboxContract } from '@ton/sandbox';
import { AddEvidence, Reputation, loadEvidenceAnswered, storeAddEvidence } from '../build/Reputation';
import { DAY, Network, Result, Wallet, assertOk, keys, on, publicKey, sent, ton } from './network';

export const NODE = publicKey(keys('worker node'));
export const HALF_LIFE = 30 * DAY;
export const FADE_STEP = HALF_LIFE / 16;
export const RECORD_RESERVE = ton('0.05');
export const DOUBT = ton('10');
export const MAX_CHANNELS = 32;

/** Codes of contracts/reputation/constants.tact; zero is evidence that was counted. */
export const Outcome = { counted: 0, notRegistry: 1500, backwards: 1501, nothingNew: 1502 } as const;

export type Counters = { channel?: Address; amount?: bigint; ok?: bigint; failed?: bigint; latencyMs?: bigint };

/** The address of some channel. */
export function channelNo(n: number): Address {
    return new Address(0, beginCell().storeUint(n, 32).endCell().hash());
}

export class Record {
    private constructor(
        readonly net: Network,
        readonly registry: Wallet,
        /** Who claimed. */
        readonly caller: Wallet,
        readonly contract: SandboxContract<Reputation>,
    ) {}

    static async create(node: bigint = NODE): Promise<Record> {
        const net = await Network.create();
        // Weights fade in steps of the clock: begin at the start of one.
        net.now = Math.ceil(net.now / FADE_STEP) * FADE_STEP;
        const registry = await net.wallet('registry');
        return new Record(net, registry, await net.wallet('caller'), await Record.at(net, registry.address, node));
    }

    static async at(net: Network, registry: Address, node: bigint): Promise<SandboxContract<Reputation>> {
        return net.chain.openContract(await Reputation.fromInit(registry, node, 0n, 0n, 0n, 0n, 0n, Dictionary.empty()));
    }

    get address(): Address {
        return this.contract.address;
    }

    state() {
        return this.contract.getState();
    }

    async score(): Promise<number> {
        return Number(await this.contract.getScore());
    }

    body(c: Counters): Cell {
        const message: AddEvidence = {
            $$type: 'AddEvidence',
            queryId: 9n,
            channel: c.channel ?? channelNo(0),
            caller: this.caller.address,
            amount: c.amount ?? 0n,
            ok: c.ok ?? 0n,
            failed: c.failed ?? 0n,
            latencyMs: c.latencyMs ?? 0n,
        };
        return beginCell().store(storeAddEvidence(message)).endCell();
    }

    /** As the registry does it: with the state init, because the record may not exist yet. */
    send(c: Counters, opts: { from?: Wallet; value?: bigint } = {}): Promise<Result> {
        const { from = this.registry, value = ton('0.08') } = opts;
        return this.net.send(from, this.address, value, this.body(c), { init: this.contract.init });
    }

    /** Sends evidence and returns the record's answer to the caller. */
    async add(c: Counters): Promise<number> {
        return this.answer(await this.send(c));
    }

    answer(result: Result): number {
        const replies = sent(assertOk(on(result, this.address)));
        if (replies.length !== 1 || !replies[0].to.equals(this.caller.address) || replies[0].bounce) {
            throw new Error('a record sends one message, to the caller, which does not bounce');
        }
        return Number(loadEvidenceAnswered(replies[0].body.beginParse()).result);
    }
}

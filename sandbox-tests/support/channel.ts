// A payment channel under test, with books kept beside it: after every step the invariants I1–I3 are checked against
// what really moved.
import assert from 'node:assert/strict';
import { Address, Cell, Transaction, beginCell } from '@ton/core';
import { KeyPair, sign } from '@ton/crypto';
import { SandboxContract } from '@ton/sandbox';
import {
    PayChannel,
    ChannelTerms,
    storeChannelTerms,
    storeClaim,
    loadPaid,
    storeCoopClose,
    storeEvidence,
    storeRequestClose,
    storeSettle,
    storeTopUp,
} from '../build/PayChannel';
import { GLOBAL_ID, Network, Result, Wallet, allOn, assertOk, keys, publicKey, sent, storageFee, ton } from './network';

export const MIN_VALUE = ton('0.02');
export const RESERVE = ton('0.04');
export const CHALLENGE = 3600;
/** What a claim with evidence needs beside MIN_VALUE. */
export const EVIDENCE_VALUE = ton('0.1');
/** Of every claim that burns, in hundredths of a percent, unless a test says otherwise. */
export const FEE_BPS = 100n;
/** Where fees burn. */
export const BURN = new Address(0, Buffer.alloc(32));

export const VOUCHER_TAG = 0x56434831;
export const CLOSE_TAG = 0x434c5331;
export const EVIDENCE_TAG = 0x45564432;

export const Op = {
    topUp: 0x43480001,
    claim: 0x43480002,
    requestClose: 0x43480003,
    settle: 0x43480004,
    coopClose: 0x43480005,
    paid: 0x43480011,
    refunded: 0x43480012,
    closingStarted: 0x43480013,
    settled: 0x52470031,
    excesses: 0xd53276db,
} as const;

export const Err = {
    lowValue: 1000,
    notPayer: 1001,
    closing: 1002,
    notClosing: 1003,
    tooEarly: 1004,
    underpaid: 1005,
    noAmount: 1006,
    badTerms: 1007,
    badSignature: 1008,
    badFormat: 1009,
    otherNetwork: 1010,
    otherChannel: 1011,
    expired: 1012,
    nothingNew: 1013,
    eroded: 1014,
    stale: 1015,
    empty: 1016,
    unknownMessage: 130,
} as const;

export type VoucherFields = {
    tag?: number;
    globalId?: number;
    channel?: Address;
    cumulative: bigint;
    validUntil?: number;
    evidence?: Cell;
    /** Appended where nothing may stand. */
    tail?: Cell;
};

export type EvidenceFields = { tag?: number; registry: Address; ok?: bigint; failed?: bigint; latencyMs?: bigint };

export type CloseFields = { tag?: number; globalId?: number; channel?: Address; claimed: bigint; epoch: number; tail?: Cell };

/** What a payer has seen of a node, as it lies in a voucher. */
export function evidence(e: EvidenceFields): Cell {
    const { tag = EVIDENCE_TAG, registry, ok = 1n, failed = 0n, latencyMs = 0n } = e;
    return beginCell()
        .store(storeEvidence({ $$type: 'Evidence', tag: BigInt(tag), registry, ok, failed, latencyMs }))
        .endCell();
}

/** How a message is sent. */
export type SendOptions = { from?: Wallet; value?: bigint; bounce?: boolean; init?: boolean };

export type ChannelOptions = {
    terms?: Partial<ChannelTerms>;
    /** Initial data other than zeros: a forgery. */
    state?: { deposit?: bigint; claimed?: bigint; closeAt?: bigint; epoch?: bigint };
    payerKeys?: KeyPair;
    payeeKeys?: KeyPair;
};

export function termsCell(terms: ChannelTerms): Cell {
    return beginCell().store(storeChannelTerms(terms)).endCell();
}

export class Channel {
    /** What the contract should say, kept independently of it. */
    readonly books = { deposits: 0n, paid: 0n, burned: 0n, refunded: 0n, deposit: 0n, claimed: 0n, closeAt: 0, epoch: 0 };

    private constructor(
        readonly net: Network,
        readonly payer: Wallet,
        readonly payee: Wallet,
        /** Neither of the two. */
        readonly stranger: Wallet,
        readonly payerKeys: KeyPair,
        readonly payeeKeys: KeyPair,
        readonly terms: ChannelTerms,
        readonly contract: SandboxContract<PayChannel>,
    ) {}

    static async create(net: Network, opts: ChannelOptions = {}): Promise<Channel> {
        const payer = await net.wallet('payer');
        const payee = await net.wallet('payee');
        const stranger = await net.wallet('stranger');
        const payerKeys = opts.payerKeys ?? keys('payer');
        const payeeKeys = opts.payeeKeys ?? keys('payee');
        const terms: ChannelTerms = {
            $$type: 'ChannelTerms',
            payer: payer.address,
            payee: payee.address,
            payerKey: publicKey(payerKeys),
            challenge: BigInt(CHALLENGE),
            salt: 1n,
            payeeKey: publicKey(payeeKeys),
            protocolFeeBps: FEE_BPS,
            ...opts.terms,
        };
        const { deposit = 0n, claimed = 0n, closeAt = 0n, epoch = 0n } = opts.state ?? {};
        const init = await PayChannel.fromInit(termsCell(terms), deposit, claimed, closeAt, epoch);
        return new Channel(net, payer, payee, stranger, payerKeys, payeeKeys, terms, net.chain.openContract(init));
    }

    /** A channel with a deposit. */
    static async funded(net: Network, deposit: bigint, opts: ChannelOptions = {}): Promise<Channel> {
        const channel = await Channel.create(net, opts);
        await channel.topUp(deposit);
        return channel;
    }

    get address(): Address {
        return this.contract.address;
    }

    state() {
        return this.contract.getState();
    }

    balance(): Promise<bigint> {
        return this.net.balance(this.address);
    }

    // What is signed.

    voucher(v: VoucherFields): Cell {
        const b = beginCell()
            .storeUint(v.tag ?? VOUCHER_TAG, 32)
            .storeInt(v.globalId ?? GLOBAL_ID, 32)
            .storeAddress(v.channel ?? this.address)
            .storeCoins(v.cumulative)
            .storeUint(v.validUntil ?? 0, 32)
            .storeMaybeRef(v.evidence ?? null);
        return (v.tail ? b.storeSlice(v.tail.asSlice()) : b).endCell();
    }

    closeAuth(c: CloseFields): Cell {
        const b = beginCell()
            .storeUint(c.tag ?? CLOSE_TAG, 32)
            .storeInt(c.globalId ?? GLOBAL_ID, 32)
            .storeAddress(c.channel ?? this.address)
            .storeCoins(c.claimed)
            .storeUint(c.epoch, 32);
        return (c.tail ? b.storeSlice(c.tail.asSlice()) : b).endCell();
    }

    claimBody(voucher: Cell, signature: Buffer = sign(voucher.hash(), this.payerKeys.secretKey)): Cell {
        return beginCell()
            .store(storeClaim({ $$type: 'Claim', queryId: 2n, signature, voucher }))
            .endCell();
    }

    coopCloseBody(auth: Cell, signature: Buffer = sign(auth.hash(), this.payeeKeys.secretKey)): Cell {
        return beginCell()
            .store(storeCoopClose({ $$type: 'CoopClose', queryId: 5n, signature, auth }))
            .endCell();
    }

    topUpBody(amount: bigint): Cell {
        return beginCell().store(storeTopUp({ $$type: 'TopUp', queryId: 1n, amount })).endCell();
    }

    requestCloseBody(): Cell {
        return beginCell().store(storeRequestClose({ $$type: 'RequestClose', queryId: 3n })).endCell();
    }

    settleBody(): Cell {
        return beginCell().store(storeSettle({ $$type: 'Settle', queryId: 4n })).endCell();
    }

    // Raw sends: nothing is expected of them.

    async sendTopUp(amount: bigint, opts: SendOptions = {}): Promise<Result> {
        return this.send(this.topUpBody(amount), { from: this.payer, value: amount + RESERVE + MIN_VALUE, init: true, ...opts });
    }

    async sendClaim(v: VoucherFields | bigint, opts: SendOptions = {}): Promise<Result> {
        return this.send(this.claimBody(this.voucher(typeof v === 'bigint' ? { cumulative: v } : v)), { from: this.payee, ...opts });
    }

    async sendRequestClose(opts: SendOptions = {}): Promise<Result> {
        return this.send(this.requestCloseBody(), { from: this.payer, ...opts });
    }

    async sendSettle(opts: SendOptions = {}): Promise<Result> {
        return this.send(this.settleBody(), opts);
    }

    async sendCoopClose(c: Partial<CloseFields> = {}, opts: SendOptions = {}): Promise<Result> {
        const auth = this.closeAuth({ claimed: this.books.claimed, epoch: this.books.epoch, ...c });
        return this.send(this.coopCloseBody(auth), opts);
    }

    async send(body: Cell, opts: SendOptions = {}): Promise<Result> {
        const { from = this.stranger, value = MIN_VALUE, bounce = true, init = false } = opts;
        return this.net.send(from, this.address, value, body, { bounce, init: init ? this.contract.init : undefined });
    }

    // Steps that must succeed; each keeps the books and checks everything.

    async topUp(amount: bigint, opts: SendOptions = {}): Promise<Transaction> {
        const tx = await this.step(() => this.sendTopUp(amount, opts));
        this.books.deposits += amount;
        this.books.deposit += amount;
        await this.audit();
        return tx;
    }

    async claim(v: VoucherFields | bigint, opts: SendOptions = {}): Promise<Transaction> {
        const from = opts.from ?? this.payee;
        const before = await this.balance();
        const tx = await this.step(() => this.sendClaim(v, opts));
        const cumulative = typeof v === 'bigint' ? v : v.cumulative;
        const target = cumulative < this.books.deposit ? cumulative : this.books.deposit;
        const amount = target - this.books.claimed;
        const fee = this.feeOf(amount);
        const [paid] = sent(tx).filter((m) => m.op === Op.paid);
        assert.ok(paid.to.equals(this.terms.payee), 'paid to somebody else');
        assert.equal(paid.bounce, false);
        const words = loadPaid(paid.body.beginParse());
        assert.deepEqual([words.amount, words.claimed, words.fee], [amount, target, fee]);
        // I7: the payee gets the amount less the fee before anything else is paid; as the sender of the claim it gets back its own
        // change besides.
        const forwarded = sent(tx).find((m) => m.op === Op.settled);
        if (from.address.equals(paid.to) && !forwarded) assert.ok(paid.value >= amount - fee);
        else assert.equal(paid.value, amount - fee);
        const burned = sent(tx).filter((m) => m.to.equals(BURN));
        assert.deepEqual(burned.map((m) => [m.value, m.bounce, m.op]), fee > 0n ? [[fee, false, -1]] : [], 'what burns');
        // Whoever claims pays for it: the channel's own money changes by the amount and by storage alone (attack 21).
        const own = before - storageFee(tx) - amount;
        assert.equal(await this.balance(), own > 0n ? own : 0n, 'own balance after a claim');
        this.books.burned += fee;
        this.books.paid += amount;
        this.books.claimed = target;
        await this.audit();
        return tx;
    }

    async requestClose(opts: SendOptions = {}): Promise<Transaction> {
        const before = await this.balance();
        const tx = await this.step(() => this.sendRequestClose(opts));
        assert.equal(await this.balance(), before - storageFee(tx), 'own balance after a close request');
        this.books.closeAt = this.net.now + Number((await this.state()).challenge);
        await this.audit();
        return tx;
    }

    async settle(opts: SendOptions = {}): Promise<Transaction> {
        return this.refunding(() => this.sendSettle(opts));
    }

    async coopClose(c: Partial<CloseFields> = {}, opts: SendOptions = {}): Promise<Transaction> {
        return this.refunding(() => this.sendCoopClose(c, opts));
    }

    private async refunding(action: () => Promise<Result>): Promise<Transaction> {
        const tx = await this.step(action);
        const out = sent(tx);
        // Attack 14: one message, to the payer, whoever asked.
        assert.equal(out.length, 1);
        assert.equal(out[0].op, Op.refunded);
        assert.ok(out[0].to.equals(this.payer.address));
        this.books.refunded += this.books.deposit - this.books.claimed;
        this.books.deposit = this.books.claimed;
        this.books.closeAt = 0;
        this.books.epoch += 1;
        await this.audit();
        return tx;
    }

    private async step(action: () => Promise<Result>): Promise<Transaction> {
        // The first transaction is the step's own; a second one is the bounce of evidence that no registry took.
        const [own, ...more] = allOn(await action(), this.address);
        for (const tx of more) assert.ok(tx.inMessage?.info.type === 'internal' && tx.inMessage.info.bounced);
        return assertOk(own);
    }

    /** What burns of a claim. */
    feeOf(amount: bigint): bigint {
        return (amount * this.terms.protocolFeeBps) / 10000n;
    }

    /** The action must be refused with this exit code; the books must stay as they are. */
    async refuses(exitCode: number, action: () => Promise<Result>): Promise<Result> {
        const result = await this.net.refused(this.address, exitCode, action);
        if (this.books.deposits > 0n) await this.audit();
        return result;
    }

    /** I1–I3, against the contract's own words and its real balance. */
    async audit(): Promise<void> {
        const s = await this.state();
        const { books: b } = this;
        assert.deepEqual(
            { deposit: s.deposit, claimed: s.claimed, closeAt: Number(s.closeAt), epoch: Number(s.epoch) },
            { deposit: b.deposit, claimed: b.claimed, closeAt: b.closeAt, epoch: b.epoch },
        );
        assert.ok(0n <= s.claimed && s.claimed <= s.deposit, 'I1');
        const balance = await this.balance();
        if (!this.erosionAllowed) assert.ok(balance >= s.deposit - s.claimed, `I2: ${balance} < ${s.deposit - s.claimed}`);
        assert.equal(b.deposits, b.paid + b.refunded + (s.deposit - s.claimed), 'I3');
        assert.equal(b.paid, s.claimed, 'I3: paid is claimed');
    }

    /** Set by tests that let the storage reserve run out. */
    erosionAllowed = false;
}

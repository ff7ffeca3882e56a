// Reports of faults, and the proofs in them.
import { Address, Cell, beginCell } from '@ton/core';
import { KeyPair, sign } from '@ton/crypto';
import { SandboxContract } from '@ton/sandbox';
import { FaultReport, ProveFault, storeProveFault } from '../build/FaultReport';
import { GLOBAL_ID, Network, Result, Wallet, assertOk, on, publicKey, ton } from './network';

/** A proof that somebody has committed to. */
export type Report = {
    contract: SandboxContract<FaultReport>;
    /** Shows the proof; the wait must be over. */
    reveal: (value?: bigint) => Promise<Result>;
};

export async function commit(net: Network, target: Address, reporter: Wallet, proof: Cell, salt = 99n): Promise<Report> {
    const commitment = beginCell()
        .storeUint(0x46434d31, 32)
        .storeAddress(reporter.address)
        .storeUint(salt, 256)
        .storeBuffer(proof.hash())
        .endCell();
    const init = await FaultReport.fromInit(target, reporter.address, BigInt('0x' + commitment.hash().toString('hex')), 0n);
    const contract = net.chain.openContract(init);
    assertOk(on(await contract.send(reporter.getSender(), { value: ton('0.1') }, { $$type: 'CommitFault', queryId: 1n }), contract.address));
    const reveal = (value = ton('0.6')) => contract.send(reporter.getSender(), { value }, { $$type: 'RevealFault', queryId: 2n, salt, proof });
    return { contract, reveal };
}

/** A body and a signature over it. */
export const signed = (body: Cell, key: KeyPair): Cell =>
    beginCell().storeBuffer(sign(body.hash(), key.secretKey)).storeRef(body).endCell();

/** Codes of contracts/faults/constants.tact. */
export const FaultErr = {
    lowValue: 1600,
    notReporter: 1601,
    committed: 1602,
    otherCommitment: 1603,
    tooEarly: 1604,
    tooLate: 1605,
    notReport: 1610,
    otherKind: 1611,
    badFormat: 1612,
    badSignature: 1613,
    otherNetwork: 1614,
    noContradiction: 1615,
} as const;

/** First words of proofs. */
export const Fault = { twoReceipts: 0x46503031, wrongModel: 0x46503032, twoImages: 0x46503033, revokedUse: 0x46503034 } as const;

const CHANNEL = new Address(0, Buffer.alloc(32, 3));

export type ReceiptFields = {
    image?: bigint;
    model?: bigint;
    time: number;
    globalId?: number;
    tag?: number;
    channel?: Address;
    seqno?: bigint;
    request?: bigint;
    response?: bigint;
    /** What stands behind the fields of the body and of its content. */
    tail?: number;
    contentTail?: number;
};

/** A receipt: the node's statement of one answer. */
export function receipt({ image = 1n, model = 1n, time, globalId = GLOBAL_ID, ...r }: ReceiptFields): Cell {
    const content = beginCell()
        .storeUint(r.request ?? 11n, 256)
        .storeUint(r.response ?? 12n, 256)
        .storeUint(model, 256)
        .storeUint(0, r.contentTail ?? 0)
        .endCell();
    const terms = beginCell().storeUint(image, 256).storeUint(0n, 256).endCell();
    return beginCell()
        .storeUint(r.tag ?? 0x52435031, 32)
        .storeInt(globalId, 32)
        .storeAddress(r.channel ?? CHANNEL)
        .storeUint(r.seqno ?? 1n, 64)
        .storeUint(time, 32)
        .storeUint(0, r.tail ?? 0)
        .storeRef(content)
        .storeRef(terms)
        .endCell();
}

export type AcceptanceFields = {
    time: number;
    model?: bigint;
    request?: bigint;
    channel?: Address;
    globalId?: number;
    tag?: number;
    tail?: number;
};

/** An acceptance: the node's promise, before it serves, of the model that will answer. */
export const acceptance = (a: AcceptanceFields): Cell =>
    beginCell()
        .storeUint(a.tag ?? 0x41435031, 32)
        .storeInt(a.globalId ?? GLOBAL_ID, 32)
        .storeAddress(a.channel ?? CHANNEL)
        .storeUint(a.time, 32)
        .storeUint(a.request ?? 11n, 256)
        .storeUint(a.model ?? 1n, 256)
        .storeUint(0, a.tail ?? 0)
        .endCell();

/** A proof of the three kinds that a stake account judges: two bodies, each with the key that signed it. */
export const proofOf = (kind: number, node: KeyPair, first: Cell, second: Cell, signers: [KeyPair, KeyPair] = [node, node]): Cell =>
    beginCell()
        .storeUint(kind, 32)
        .storeUint(publicKey(node), 256)
        .storeRef(signed(first, signers[0]))
        .storeRef(signed(second, signers[1]))
        .endCell();

export type UsedRevoked = ReceiptFields & { node: KeyPair; account: Address; kind: bigint; signer?: KeyPair };

/** The node used an image or a model that the registry may know as revoked. */
export const revokedUse = ({ node, account, kind, signer = node, ...r }: UsedRevoked): Cell =>
    beginCell()
        .storeUint(0x46503034, 32)
        .storeUint(publicKey(node), 256)
        .storeAddress(account)
        .storeUint(kind, 8)
        .storeRef(signed(receipt(r), signer))
        .endCell();

/** Two vouchers of one channel, each with the key that signed it. */
export const equivocation = (terms: Cell, a: [Cell, KeyPair], b: [Cell, KeyPair], tag = 0x46503035): Cell =>
    beginCell().storeUint(tag, 32).storeRef(terms).storeRef(signed(...a)).storeRef(signed(...b)).endCell();

export type Words = Partial<ProveFault> & { from?: Address; value?: bigint };

/** The word of a FaultReport as a target hears it, without the way there. `from` is the address that it would have. */
export async function accuse(net: Network, target: Address, reporter: Wallet, proof: Cell, { from, value = ton('0.5'), ...words }: Words = {}): Promise<Result> {
    const report = await FaultReport.fromInit(target, reporter.address, 7n, 0n);
    const message: ProveFault = {
        $$type: 'ProveFault',
        queryId: 5n,
        reporter: reporter.address,
        commitment: 7n,
        committedAt: BigInt(net.now),
        proof,
        ...words,
    };
    return net.deliver(from ?? report.address, target, value, beginCell().store(storeProveFault(message)).endCell(), { bounce: true });
}

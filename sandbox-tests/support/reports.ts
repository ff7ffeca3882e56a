// Reports of faults, and the proofs in them.
import { Address, Cell, beginCell } from '@ton/core';
import { KeyPair, sign } from '@ton/crypto';
import { SandboxContract } from '@ton/sandbox';
import { FaultReport } from '../build/FaultReport';
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

export type ReceiptFields = { image?: bigint; model?: bigint; time: number; globalId?: number };

/** A receipt, with what a proof of forbidden use reads in it. */
export function receipt({ image = 1n, model = 1n, time, globalId = GLOBAL_ID }: ReceiptFields): Cell {
    const content = beginCell().storeUint(11n, 256).storeUint(12n, 256).storeUint(model, 256).endCell();
    const terms = beginCell().storeUint(image, 256).storeUint(0n, 256).endCell();
    return beginCell()
        .storeUint(0x52435031, 32)
        .storeInt(globalId, 32)
        .storeAddress(new Address(0, Buffer.alloc(32, 3)))
        .storeUint(1n, 64)
        .storeUint(time, 32)
        .storeRef(content)
        .storeRef(terms)
        .endCell();
}

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

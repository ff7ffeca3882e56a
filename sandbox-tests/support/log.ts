// The transparency log: its leaves as bytes, its tree as RFC 9162 defines it, and the messages that it takes.
import { createHash } from 'node:crypto';
import { Address, Cell, beginCell } from '@ton/core';
import { KeyPair, sign } from '@ton/crypto';
import { SandboxContract } from '@ton/sandbox';
import { LogEntry, LoggedEvidence, TransparencyLog, storeEvidenceAuth, storeLogEntry, storeLogEvidence, storeLoggedEvidence } from '../build/TransparencyLog';
import { GLOBAL_ID, Network, assertOk, on, publicKey, ton } from './network';

export type Log = SandboxContract<TransparencyLog>;

/** Codes of contracts/transparency/constants.tact. */
export const LogErr = { lowValue: 1700, notRegistry: 1701, badSignature: 1702 } as const;
export const LOG_EVIDENCE_VALUE = ton('0.05');
export const LOG_EVIDENCE_FEE = ton('0.02');
export const LOG_ENTRY_VALUE = ton('0.02');
export const LOG_RESERVE = ton('0.1');

const sha256 = (...parts: Uint8Array[]) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

export const hashLeaf = (data: Uint8Array) => sha256(Buffer.of(0), data);
export const hashNode = (left: Uint8Array, right: Uint8Array) => sha256(Buffer.of(1), left, right);

/** MTH of RFC 9162, section 2.1.1, of leaves that are hashed already: by its recursive definition, and so unlike the contract. */
export function merkleRoot(leaves: Uint8Array[]): Uint8Array {
    if (leaves.length === 0) return sha256();
    if (leaves.length === 1) return leaves[0];
    let split = 1;
    while (split * 2 < leaves.length) split *= 2;
    return hashNode(merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)));
}

export const number = (bytes: Uint8Array) => BigInt('0x' + Buffer.from(bytes).toString('hex'));

/** The bytes of a cell without references. */
export function bytes(cell: Cell): Buffer {
    const s = cell.beginParse();
    return s.loadBuffer(s.remainingBits / 8);
}

export function entryBody(fields: Partial<LogEntry> = {}): Cell {
    const entry = { $$type: 'LogEntry', revision: 1n, event: 2n, kind: 1n, id: 3n, moment: 4n, at: 5n, body: 6n, ...fields } as const;
    return beginCell().store(storeLogEntry(entry)).endCell();
}

export type EvidenceFields = { keys: KeyPair; digest: bigint; node?: bigint; at?: Address; globalId?: number; tag?: bigint };

/** A node's evidence, for the log at an address. */
export function evidenceBody(log: Address, fields: EvidenceFields): Cell {
    const { keys, digest, node = publicKey(keys), at = log, globalId = GLOBAL_ID, tag = 0x544c4731n } = fields;
    const auth = { $$type: 'EvidenceAuth', tag, globalId: BigInt(globalId), log: at, digest } as const;
    const signature = sign(beginCell().store(storeEvidenceAuth(auth)).endCell().hash(), keys.secretKey);
    const message = { $$type: 'LogEvidence', queryId: 9n, node, digest, signature: beginCell().storeBuffer(signature).endCell() } as const;
    return beginCell().store(storeLogEvidence(message)).endCell();
}

/** The leaf that it becomes. */
export function evidenceLeaf(node: bigint, digest: bigint, at: number): Buffer {
    const leaf: LoggedEvidence = { $$type: 'LoggedEvidence', op: 0x544c0002n, node, digest, at: BigInt(at) };
    return bytes(beginCell().store(storeLoggedEvidence(leaf)).endCell());
}

export async function logOf(net: Network, registry: Address): Promise<Log> {
    return net.chain.openContract(await TransparencyLog.fromInit(registry, 0n, null));
}

/** A registry's log, opened by somebody else: for registries that were put on the chain as they are. */
export async function openLog(net: Network, registry: Address): Promise<Log> {
    const log = await logOf(net, registry);
    const opener = await net.wallet('opener of the log');
    assertOk(on(await net.send(opener, log.address, LOG_RESERVE, Cell.EMPTY, { init: log.init }), log.address));
    return log;
}

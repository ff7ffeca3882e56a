// Bodies of the messages that the governor and the council send to the registry.
import { Address, Cell, Dictionary, beginCell } from '@ton/core';
import { KeyPair, sign } from '@ton/crypto';
import {
    Code,
    CodeHashes,
    RegistryParams,
    Signature,
    loadSignature,
    storeDeprecateEntry,
    storeEvictProxy,
    storeLiftSuspension,
    storeRebuild,
    storeRemoveEntry,
    storeRevokeEntry,
    storeScheduleImage,
    storeScheduleModel,
    storeSetCodeHashes,
    storeSetCouncil,
    storeSetGovernor,
    storeSetMinTcbEvaluation,
    storeSetPlatformBan,
    storeSetRebuildThreshold,
    storeSetRebuilder,
    storeSetRegistryParams,
    storeSetRoot,
    storeSetSuccessor,
    storeSignature,
    storeSuspendEntry,
    storeSuspension,
} from '../build/Registry';
import { REBUILDERS, Role, members } from './dao';
import { GLOBAL_ID, publicKey } from './network';

export const COMMIT = 0xc0ffeen;
export const RECIPE = 0x4ec1e5n;

const cell = (store: (b: ReturnType<typeof beginCell>) => void): Cell => beginCell().store(store).endCell();

const signatureValue = {
    serialize: (src: Signature, builder: ReturnType<typeof beginCell>) => void builder.storeRef(beginCell().store(storeSignature(src)).endCell()),
    parse: (src: ReturnType<Cell['beginParse']>) => loadSignature(src.loadRef().beginParse()),
};

export type Signed = { key: KeyPair; cell: Cell; as?: KeyPair };

/** Signatures by key; `as` claims a signature for another one. */
export function signatures(signed: Signed[]): Dictionary<bigint, Signature> {
    const map = Dictionary.empty<bigint, Signature>(Dictionary.Keys.BigUint(256), signatureValue);
    for (const { key, cell, as = key } of signed) {
        map.set(publicKey(as), { $$type: 'Signature', bytes: sign(cell.hash(), key.secretKey) });
    }
    return map;
}

export type RebuildFields = { globalId?: number; registry?: Address; role?: bigint; image?: bigint; sourceCommit?: bigint; recipeHash?: bigint };

/** What a rebuilder signs. */
export const rebuild = (f: RebuildFields & { registry: Address; image: bigint }): Cell =>
    cell(
        storeRebuild({
            $$type: 'Rebuild',
            tag: 0x52424c31n,
            globalId: BigInt(f.globalId ?? GLOBAL_ID),
            registry: f.registry,
            role: f.role ?? Role.worker,
            image: f.image,
            sourceCommit: f.sourceCommit ?? COMMIT,
            recipeHash: f.recipeHash ?? RECIPE,
        }),
    );

export type ImageOptions = {
    role?: bigint;
    activeFrom?: bigint;
    reason?: string;
    /** Two of the rebuilders, unless a test says otherwise. */
    by?: KeyPair[];
    /** What they have signed, where that differs from what they should. */
    statement?: RebuildFields;
    rebuilds?: Dictionary<bigint, Signature>;
};

export const scheduleImage = (registry: Address, id: bigint, opts: ImageOptions = {}): Cell => {
    const role = opts.role ?? Role.worker;
    const statement = rebuild({ registry, image: id, role, ...opts.statement });
    const by = opts.by ?? REBUILDERS.slice(0, 2);
    return cell(
        storeScheduleImage({
            $$type: 'ScheduleImage',
            queryId: 1n,
            id,
            role,
            activeFrom: opts.activeFrom ?? 0n,
            sourceCommit: COMMIT,
            recipeHash: RECIPE,
            reason: opts.reason ?? 'release',
            rebuilds: opts.rebuilds ?? signatures(by.map((key) => ({ key, cell: statement }))),
        }),
    );
};

export const scheduleModel = (id: bigint, opts: { name?: string; activeFrom?: bigint; reason?: string } = {}): Cell =>
    cell(
        storeScheduleModel({
            $$type: 'ScheduleModel',
            queryId: 1n,
            id,
            activeFrom: opts.activeFrom ?? 0n,
            sourceCommit: COMMIT,
            recipeHash: RECIPE,
            name: opts.name ?? 'tiny-qwen3',
            reason: opts.reason ?? 'release',
        }),
    );

export const deprecate = (kind: bigint, id: bigint, sunset: number, reason = 'replaced'): Cell =>
    cell(storeDeprecateEntry({ $$type: 'DeprecateEntry', queryId: 1n, kind, id, sunset: BigInt(sunset), reason }));

export const revoke = (kind: bigint, id: bigint, reason = 'leaks prompts'): Cell =>
    cell(storeRevokeEntry({ $$type: 'RevokeEntry', queryId: 1n, kind, id, reason }));

export const remove = (kind: bigint, id: bigint): Cell =>
    cell(storeRemoveEntry({ $$type: 'RemoveEntry', queryId: 1n, kind, id }));

export const setRoot = (root: bigint, allowed: boolean): Cell =>
    cell(storeSetRoot({ $$type: 'SetRoot', queryId: 1n, root, allowed }));

export const setMinTcb = (number: bigint): Cell =>
    cell(storeSetMinTcbEvaluation({ $$type: 'SetMinTcbEvaluation', queryId: 1n, number }));

export const setBan = (platform: bigint, banned: boolean): Cell =>
    cell(storeSetPlatformBan({ $$type: 'SetPlatformBan', queryId: 1n, platform, banned }));

export const setParams = (params: RegistryParams): Cell =>
    cell(storeSetRegistryParams({ $$type: 'SetRegistryParams', queryId: 1n, params }));

export const setCodes = (codes: CodeHashes, formerUntil = 0): Cell =>
    cell(storeSetCodeHashes({ $$type: 'SetCodeHashes', queryId: 1n, codes, formerUntil: BigInt(formerUntil) }));

/** Some code, for every contract. */
export const someCodes = (n: bigint): CodeHashes => {
    const code = (hash: bigint): Code => ({ $$type: 'Code', hash, depth: 5n });
    return { $$type: 'CodeHashes', payChannel: code(n), stakeAccount: code(n + 1n), proposal: code(n + 2n), faultReport: code(n + 3n) };
};

export const setSuccessor = (successor: Address | null): Cell =>
    cell(storeSetSuccessor({ $$type: 'SetSuccessor', queryId: 1n, successor }));

export const setCouncil = (threshold: bigint, council: KeyPair[]): Cell =>
    cell(storeSetCouncil({ $$type: 'SetCouncil', queryId: 1n, threshold, members: members(council) }));

export const setRebuilder = (key: KeyPair, allowed: boolean): Cell =>
    cell(storeSetRebuilder({ $$type: 'SetRebuilder', queryId: 1n, key: publicKey(key), allowed }));

export const setRebuildThreshold = (threshold: bigint): Cell =>
    cell(storeSetRebuildThreshold({ $$type: 'SetRebuildThreshold', queryId: 1n, threshold }));

export const lift = (kind: bigint, id: bigint, reason = 'false alarm'): Cell =>
    cell(storeLiftSuspension({ $$type: 'LiftSuspension', queryId: 1n, kind, id, reason }));

export type SuspensionFields = { registry: Address; kind: bigint; id: bigint; scheduledAt: bigint; validUntil: bigint; globalId?: number };

/** What the council signs. */
export const suspension = ({ registry, kind, id, scheduledAt, validUntil, globalId = GLOBAL_ID }: SuspensionFields): Cell =>
    cell(storeSuspension({ $$type: 'Suspension', tag: 0x53535031n, globalId: BigInt(globalId), registry, kind, id, scheduledAt, validUntil }));

export const suspend = (kind: bigint, id: bigint, validUntil: bigint, signed: Signed[], reason = 'under investigation'): Cell =>
    cell(storeSuspendEntry({ $$type: 'SuspendEntry', queryId: 1n, kind, id, validUntil, reason, signatures: signatures(signed) }));

export const setGovernor = (governor: Address): Cell => cell(storeSetGovernor({ $$type: 'SetGovernor', queryId: 1n, governor }));

export const evict = (owner: Address): Cell => cell(storeEvictProxy({ $$type: 'EvictProxy', queryId: 1n, owner }));

// Bodies of the messages that the governor sends to the registry.
import { Address, Cell, beginCell } from '@ton/core';
import {
    RegistryParams,
    storeDeprecateEntry,
    storeEvictProxy,
    storeRemoveEntry,
    storeRevokeEntry,
    storeScheduleImage,
    storeScheduleModel,
    storeSetCodeHashes,
    storeSetGovernor,
    storeSetMinTcbEvaluation,
    storeSetPlatformBan,
    storeSetRegistryParams,
    storeSetRoot,
} from '../build/Registry';
import { Role } from './dao';

export const COMMIT = 0xc0ffeen;
export const RECIPE = 0x4ec1e5n;

const cell = (store: (b: ReturnType<typeof beginCell>) => void): Cell => beginCell().store(store).endCell();

export const scheduleImage = (id: bigint, opts: { role?: bigint; activeFrom?: bigint; reason?: string; rebuilds?: Cell } = {}): Cell =>
    cell(
        storeScheduleImage({
            $$type: 'ScheduleImage',
            queryId: 1n,
            id,
            role: opts.role ?? Role.worker,
            activeFrom: opts.activeFrom ?? 0n,
            sourceCommit: COMMIT,
            recipeHash: RECIPE,
            reason: opts.reason ?? 'release',
            rebuilds: opts.rebuilds ?? null,
        }),
    );

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

export const setCodes = (payChannel: bigint): Cell =>
    cell(
        storeSetCodeHashes({
            $$type: 'SetCodeHashes',
            queryId: 1n,
            codes: { $$type: 'CodeHashes', payChannel, stakeAccount: 5n, proposal: 6n },
        }),
    );

export const setGovernor = (governor: Address): Cell => cell(storeSetGovernor({ $$type: 'SetGovernor', queryId: 1n, governor }));

export const evict = (owner: Address): Cell => cell(storeEvictProxy({ $$type: 'EvictProxy', queryId: 1n, owner }));

// Leaves of the transparency log: in a small tree, and where a leaf completes as many subtrees as there can be.
import { Address, Cell, beginCell } from '@ton/core';
import { createShardAccount } from '@ton/sandbox';
import { TransparencyLog } from '../build/TransparencyLog';
import { impersonate } from '../support/dao';
import { LOG_ENTRY_VALUE, LOG_EVIDENCE_VALUE, LOG_RESERVE, entryBody, evidenceBody } from '../support/log';
import { Network, keys } from '../support/network';
import { Meter } from './meter';

/** Where a carry runs through every peak. */
const HEIGHTS = [32, 63];

/** A log of 2^height − 1 leaves, which has a peak for every bit of that number. */
async function logOf(net: Network, height: number, registry: Address): Promise<Address> {
    let peaks: Cell | null = null;
    for (let n = height; n > 0; n--) peaks = beginCell().storeUint(n, 256).storeMaybeRef(peaks).endCell();
    const empty = await TransparencyLog.fromInit(registry, 0n, null);
    const grown = await TransparencyLog.fromInit(registry, (1n << BigInt(height)) - 1n, peaks);
    const { code, data } = grown.init!;
    await net.chain.setShardAccount(empty.address, createShardAccount({ address: empty.address, code, data, balance: LOG_RESERVE }));
    return empty.address;
}

async function leaves(): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const node = keys('node');
    const publisher = await net.wallet('publisher');
    for (const [name, height] of [['log', 0], ...HEIGHTS.map((h) => [`log, 2^${h} leaves`, h])] as [string, number][]) {
        const registry = await net.wallet(`registry of ${name}`);
        const log = await logOf(net, height, registry.address);
        const before = net.chain.snapshot();
        await meter.measure(`${name}: an entry of the registry`, log, () => impersonate(net, registry.address, log, entryBody(), LOG_ENTRY_VALUE));
        await net.chain.loadFrom(before);
        const body = evidenceBody(log, { keys: node, digest: 5n });
        await meter.measure(`${name}: evidence of a node`, log, () => net.send(publisher, log, LOG_EVIDENCE_VALUE, body));
    }
    return meter;
}

export const log = [leaves];

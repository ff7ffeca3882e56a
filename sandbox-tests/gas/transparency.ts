// Operations of the transparency log, in an empty one and in one that a leaf makes a full tree.
import { Cell, beginCell } from '@ton/core';
import { createShardAccount } from '@ton/sandbox';
import { TransparencyLog } from '../build/TransparencyLog';
import { LOG_ENTRY_VALUE, LOG_EVIDENCE_VALUE, entryBody, evidenceBody, openLog } from '../support/log';
import { Network, keys, ton } from '../support/network';
import { Meter } from './meter';

/** What stands for the roots of full subtrees: what they are does not matter to the gas. */
function peaks(count: number): Cell | null {
    let list: Cell | null = null;
    for (let i = 0; i < count; i++) list = beginCell().storeUint(i + 1, 256).storeMaybeRef(list).endCell();
    return list;
}

export async function transparency(): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const registry = await net.wallet('registry');
    const log = await openLog(net, registry.address);
    const { code } = log.init!;
    for (const height of [0, 20, 32, 63]) {
        const size = (1n << BigInt(height)) - 1n;
        const { data } = (await TransparencyLog.fromInit(registry.address, size, peaks(height))).init!;
        const put = () => net.chain.setShardAccount(log.address, createShardAccount({ address: log.address, code, data, balance: ton('0.2') }));
        await put();
        await meter.measure(`log of ${size} leaves: an entry`, log.address, () => net.send(registry, log.address, LOG_ENTRY_VALUE, entryBody()));
        await put();
        const evidence = evidenceBody(log.address, { keys: keys('node'), digest: 1n });
        await meter.measure(`log of ${size} leaves: evidence`, log.address, () => net.send(registry, log.address, LOG_EVIDENCE_VALUE, evidence));
    }
    return meter;
}

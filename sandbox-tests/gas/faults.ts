// Proofs of misconduct, from the commitment to the reward, against accounts of one lot and of as many as there can be.
import { Cell, beginCell } from '@ton/core';
import { FaultReport } from '../build/FaultReport';
import { storeSetRegistry } from '../build/Governor';
import { Channel, evidence, termsCell } from '../support/channel';
import { Dao, EPOCH, Kind, Staker, impersonate } from '../support/dao';
import { revoke, scheduleModel } from '../support/entries';
import { Network, Wallet, assertOk, keys, on, publicKey, ton } from '../support/network';
import { registerProxy } from '../support/proxies';
import { commit, equivocation, receipt, revokedUse, signed } from '../support/reports';
import { LIMITS, registerNode } from './dao';
import { Meter } from './meter';

const WAIT = 60;
const NODE = keys('the node');

/** Two answers with one number. */
function twoReceipts(now: number): Cell {
    const [a, b] = [now, now + 1].map((time) => signed(receipt({ time }), NODE));
    return beginCell().storeUint(0x46503031, 32).storeUint(publicKey(NODE), 256).storeRef(a).storeRef(b).endCell();
}

/** A staker whose node's bond takes a part of every lot. */
async function staked(net: Network, full: boolean): Promise<{ dao: Dao; ann: Staker; reporter: Wallet }> {
    const dao = await Dao.create(net);
    const ann = await dao.staker('ann');
    const lots = full ? LIMITS.lots : 1;
    const others = full ? LIMITS.nodes - 1 : 0;
    for (let n = 0; n < lots; n++) await dao.deposit(ann, ton('50'));
    for (let n = 0; n < others; n++) assertOk(on(await registerNode(ann, `node ${n}`), ann.account.address));
    const bond = ton('50') * BigInt(lots) - ton('1') * BigInt(others);
    assertOk(on(await registerNode(ann, 'the node', bond), ann.account.address));
    net.later(EPOCH);
    return { dao, ann, reporter: await net.wallet('reporter') };
}

async function convicted(name: string, full: boolean): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const { ann, reporter } = await staked(net, full);
    const report = await commit(net, ann.account.address, reporter, twoReceipts(net.now));
    net.later(WAIT);
    await meter.measure(`${name}: slash a node, from the reveal to the reward`, ann.account.address, () => report.reveal());
    await meter.measure(`${name}: a proof that convicts nobody, returned`, report.contract.address, () => report.reveal());
    return meter;
}

/** What a reporter does first, whoever is to judge. */
async function committed(): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const [target, reporter] = [await net.wallet('target'), await net.wallet('reporter')];
    const report = net.chain.openContract(await FaultReport.fromInit(target.address, reporter.address, 1n, 0n));
    await meter.measure('fault: commit to a proof', report.address, () =>
        report.send(reporter.getSender(), { value: ton('0.1') }, { $$type: 'CommitFault', queryId: 1n }),
    );
    return meter;
}

/** What only the registry can judge. */
async function judged(): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const { dao, ann, reporter } = await staked(net, false);
    const { governor, registry } = dao;
    const [account, image] = [ann.account.address, 7n];
    const says = async (to: typeof account, body: Cell) => assertOk(on(await impersonate(net, governor.address, to, body), to));
    await says(governor.address, beginCell().store(storeSetRegistry({ $$type: 'SetRegistry', queryId: 1n, registry: registry.address })).endCell());
    await says(registry.address, scheduleModel(image));
    await says(registry.address, revoke(Kind.model, image));
    net.later(EPOCH);

    const used = await commit(net, registry.address, reporter, revokedUse({ node: NODE, account, kind: Kind.model, model: image, time: net.now }));
    const channel = await Channel.create(net);
    assertOk(on(await registerProxy(dao, channel.payer, { key: 'payer' }), registry.address));
    const seen = (ok: bigint) => channel.voucher({ cumulative: ton('1'), evidence: evidence({ registry: registry.address, ok }) });
    const [a, b] = [seen(9n), seen(10n)];
    const lied = await commit(net, registry.address, reporter, equivocation(termsCell(channel.terms), [a, channel.payerKeys], [b, channel.payerKeys]));
    net.later(WAIT);
    await meter.measure('fault: a revoked model was used, over registry and governor to the stake', account, () => used.reveal());
    await meter.measure("fault: a proxy's vouchers contradict each other, its bond is slashed", registry.address, () => lied.reveal());
    return meter;
}

export const faults = [committed, () => convicted('fault', false), () => convicted('fault, full', true), judged];

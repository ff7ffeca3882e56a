// RG-23: with every map full the registry takes no more, and everything still works within its least value.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, Dictionary, Transaction, beginCell } from '@ton/core';
import { KeyPair } from '@ton/crypto';
import { FaultReport } from '../build/FaultReport';
import {
    FormerCode,
    ImageEntry,
    Life,
    ModelEntry,
    ProxyEntry,
    RegistryState,
    loadFormerCode,
    loadImageEntry,
    loadModelEntry,
    loadProxyEntry,
    storeFormerCode,
    storeImageEntry,
    storeModelEntry,
    storeProveFault,
    storeProxyEntry,
    storeSettled,
} from '../build/Registry';
import { Channel, evidence, termsCell } from '../support/channel';
import { Dao, Entry, Kind, PARAMS, REGISTRY_MIN_VALUE, RegistryErr, Role, impersonate, keys, publicKey, registryAt, storedSize } from '../support/dao';
import {
    deprecate,
    lift,
    rebuild,
    remove,
    revoke,
    scheduleImage,
    scheduleModel,
    setBan,
    setCodes,
    setCouncil,
    setParams,
    setRebuilder,
    setRoot,
    signatures,
    someCodes,
    suspend,
    suspension,
} from '../support/entries';
import { DAY, GENESIS, Network, Result, assertOk, noteGas, on, ton } from '../support/network';
import { openLog } from '../support/log';
import { place } from '../support/placed';
import { PROXY_FEE, registerBody } from '../support/proxies';
import { equivocation } from '../support/reports';

const CAPS = { images: 256, models: 1024, proxies: 256, roots: 8, banned: 512, rebuilders: 16, council: 15, formers: 8 } as const;
type Limited = 'images' | 'models' | 'proxies' | 'roots' | 'banned';
const BOND = PARAMS.minProxyBond;
const REBUILDERS = Array.from({ length: CAPS.rebuilders }, (_, i) => keys(`rebuilder ${i}`));
const COUNCIL = Array.from({ length: CAPS.council }, (_, i) => keys(`member ${i}`));
const LONG = 'x'.repeat(127);

/** Ids spread like hashes, so that dictionaries are as deep as they get. */
const id = (i: number) => BigInt('0x' + beginCell().storeUint(i, 32).endCell().hash().toString('hex'));
const ids = (n: number) => Array.from({ length: n }, (_, i) => id(i));

type Codec<T> = [(src: T) => (b: ReturnType<typeof beginCell>) => void, (s: ReturnType<Cell['beginParse']>) => T];

function inCells<T>([store, load]: Codec<T>) {
    return {
        serialize: (src: T, builder: ReturnType<typeof beginCell>) => void builder.storeRef(beginCell().store(store(src)).endCell()),
        parse: (src: ReturnType<Cell['beginParse']>) => load(src.loadRef().beginParse()),
    };
}

/** Everything full, but for what a test removes. */
function full(counts: Record<Limited, number>, payer: Address): Partial<RegistryState> {
    const life: Life = {
        $$type: 'Life',
        status: Entry.scheduled,
        activeFrom: BigInt(GENESIS - DAY),
        sunset: 0n,
        changedAt: BigInt(GENESIS - 3 * DAY),
        reason: LONG,
        scheduledAt: BigInt(GENESIS - 3 * DAY),
        suspendedUntil: 0n,
    };
    const statement = rebuild({ registry: payer, image: 1n });
    // The same signatures in all of them, so that filling is quick; in cells they are the same, to a proof each is another.
    const rebuilds = signatures(REBUILDERS.map((key) => ({ key, cell: statement })));
    const images = Dictionary.empty<bigint, ImageEntry>(Dictionary.Keys.BigUint(256), inCells([storeImageEntry, loadImageEntry]));
    for (const i of ids(counts.images)) images.set(i, { $$type: 'ImageEntry', role: Role.worker, sourceCommit: i, recipeHash: i, rebuilds, life });
    const models = Dictionary.empty<bigint, ModelEntry>(Dictionary.Keys.BigUint(256), inCells([storeModelEntry, loadModelEntry]));
    for (const i of ids(counts.models)) models.set(i, { $$type: 'ModelEntry', name: LONG, sourceCommit: i, recipeHash: i, life });
    const proxies = Dictionary.empty<Address, ProxyEntry>(Dictionary.Keys.Address(), inCells([storeProxyEntry, loadProxyEntry]));
    const proxy = { $$type: 'ProxyEntry', endpoint: LONG, bond: BOND, since: 1n, unbondingAt: 0n } as const;
    for (const i of ids(counts.proxies - 1)) proxies.set(ownerOf(i), { ...proxy, nodeKey: i });
    proxies.set(payer, { ...proxy, nodeKey: publicKey(keys('payer')) });
    const roots = Dictionary.empty<bigint, number>();
    for (const i of ids(counts.roots)) roots.set(i, 0);
    const banned = Dictionary.empty<bigint, number>();
    for (const i of ids(counts.banned)) banned.set(i, 0);
    const formers = Dictionary.empty<bigint, FormerCode>(Dictionary.Keys.BigUint(256), inCells([storeFormerCode, loadFormerCode]));
    for (const i of ids(CAPS.formers)) formers.set(i, { $$type: 'FormerCode', depth: 5n, acceptedUntil: BigInt(GENESIS + DAY) });
    return {
        ready: true,
        revision: 1n,
        bonded: BOND * BigInt(counts.proxies),
        counts: {
            $$type: 'RegistryCounts',
            images: BigInt(counts.images),
            models: BigInt(counts.models),
            proxies: BigInt(counts.proxies),
            roots: BigInt(counts.roots),
            banned: BigInt(counts.banned),
        },
        tcb: { $$type: 'TcbPolicy', minEvaluation: 1n, roots, banned },
        images,
        models,
        proxies,
        formerChannels: formers,
    };
}

const ownerOf = (i: bigint) => new Address(0, Buffer.from(i.toString(16).padStart(64, '0'), 'hex'));

/** A registry that holds this much, put on the chain as it is: filling it by messages would take minutes. */
async function holding(less: Partial<Record<Limited, number>> = {}) {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const channel = await Channel.funded(net, ton('10'));
    const payer = channel.payer.address;
    const counts: Record<Limited, number> = { ...CAPS };
    for (const name of Object.keys(less) as Limited[]) counts[name] -= less[name] ?? 0;
    const contract = await registryAt(dao.governor.address, {
        council: { threshold: 15n, members: COUNCIL },
        rebuilders: REBUILDERS,
        rebuildThreshold: 16n,
        forged: full(counts, payer),
    });
    const registry = await place(net, contract, BOND * BigInt(CAPS.proxies) + ton('100'));
    await openLog(net, contract.address);
    const say = (body: Cell, value = REGISTRY_MIN_VALUE) => impersonate(net, dao.governor.address, registry.address, body, value);
    const refuses = (code: number, body: Cell) => net.refused(registry.address, code, () => say(body));
    const image = (i: bigint) => scheduleImage(registry.address, i, { by: REBUILDERS, reason: LONG });
    const measure = async (name: string, action: Promise<Result>): Promise<Transaction> => {
        const tx = assertOk(on(await action, registry.address));
        noteGas(`full registry: ${name}`, tx);
        return tx;
    };
    return { net, dao, registry, channel, say, refuses, image, measure };
}

test('a full registry takes nothing more of any kind', async () => {
    const { net, registry, refuses, image } = await holding();
    console.log(`size  registry, everything full: ${await storedSize(net, registry.address)}`);
    await refuses(RegistryErr.full, image(7n));
    await refuses(RegistryErr.full, scheduleModel(7n));
    await refuses(RegistryErr.full, setBan(7n, true));
    await refuses(RegistryErr.full, setRoot(7n, true));
    await refuses(RegistryErr.full, setRebuilder(keys('one more'), true));
    await refuses(RegistryErr.badThreshold, setCouncil(1n, [...COUNCIL, keys('one more')]));
    await refuses(RegistryErr.full, setCodes(someCodes(1n), GENESIS + DAY));
    const owner = await net.wallet('one more');
    const enter = () => net.send(owner, registry.address, BOND + ton('1'), registerBody(registry.address, owner.address));
    await net.refused(registry.address, RegistryErr.full, enter);
});

test('the last place of each map is taken, and every operation on a full registry stays within the least value', async () => {
    const { net, registry, say, image, measure, channel, dao } = await holding({ images: 1, models: 1, proxies: 1, roots: 1, banned: 1 });
    await measure('schedule an image, 16 rebuilders', say(image(7n)));
    await measure('schedule a model', say(scheduleModel(7n, { name: LONG, reason: LONG })));
    await measure('ban a platform', say(setBan(7n, true)));
    await measure('allow a root', say(setRoot(7n, true)));
    await measure('deprecate an image', say(deprecate(Kind.image, id(1), GENESIS + DAY, LONG)));
    await measure('deprecate a model', say(deprecate(Kind.model, id(1), GENESIS + DAY, LONG)));
    const validUntil = BigInt(net.now + DAY);
    const scheduledAt = BigInt(GENESIS - 3 * DAY);
    for (const [kind, name] of [[Kind.image, 'an image'], [Kind.model, 'a model']] as const) {
        const cell = suspension({ registry: registry.address, kind, id: id(2), scheduledAt, validUntil });
        const body = suspend(kind, id(2), validUntil, COUNCIL.map((key) => ({ key, cell })), LONG);
        await measure(`suspend ${name}, 15 of 15`, say(body));
        await measure(`lift the suspension of ${name}`, say(lift(kind, id(2), LONG)));
    }
    await measure('revoke an image', say(revoke(Kind.image, id(3), LONG)));
    await measure('revoke a model', say(revoke(Kind.model, id(3), LONG)));
    await measure('remove an image', say(remove(Kind.image, id(3))));
    await measure('remove a model', say(remove(Kind.model, id(3))));
    await measure('change the parameters', say(setParams(PARAMS)));
    const owner = await net.wallet('proxy owner');
    const value = BOND + PROXY_FEE + REGISTRY_MIN_VALUE;
    await measure('register a proxy', net.send(owner, registry.address, value, registerBody(registry.address, owner.address, { endpoint: LONG })));
    const own = { value: REGISTRY_MIN_VALUE };
    const update = { $$type: 'UpdateProxy', queryId: 1n, addBond: 0n, endpoint: LONG } as const;
    await measure('update a proxy', registry.send(owner.getSender(), own, update));
    await measure('unbond a proxy', registry.send(owner.getSender(), own, { $$type: 'UnbondProxy', queryId: 1n }));
    const settled = beginCell()
        .store(
            storeSettled({
                $$type: 'Settled',
                queryId: 1n,
                amount: 5n,
                caller: channel.payee.address,
                terms: termsCell(channel.terms),
                evidence: evidence({ registry: registry.address, ok: 5n }),
            }),
        )
        .endCell();
    await measure('pass evidence on', impersonate(net, channel.address, registry.address, settled, ton('0.1')));
    const said = (ok: bigint): [Cell, KeyPair] => [
        channel.voucher({ cumulative: 5n, evidence: evidence({ registry: registry.address, ok }) }),
        channel.payerKeys,
    ];
    const proof = equivocation(termsCell(channel.terms), said(1n), said(2n));
    const reporter = dao.deployer.address;
    const report = await FaultReport.fromInit(registry.address, reporter, 7n, 0n);
    const words = storeProveFault({ $$type: 'ProveFault', queryId: 1n, reporter, commitment: 7n, committedAt: 1n, proof });
    await measure('slash a proxy', impersonate(net, report.address, registry.address, beginCell().store(words).endCell(), REGISTRY_MIN_VALUE));
    net.later(Number(PARAMS.proxyUnbonding));
    await measure('withdraw a bond', registry.send(owner.getSender(), own, { $$type: 'WithdrawProxy', queryId: 1n }));
    await measure('change codes, dropping 8 former ones', say(setCodes(someCodes(1n), net.now + DAY)));
    const { counts } = await registry.getSnapshot();
    assert.deepEqual(counts, { $$type: 'RegistryCounts', images: 255n, models: 1023n, proxies: 254n, roots: 8n, banned: 512n });
    // Room was made.
    assertOk(on(await say(image(8n)), registry.address));
    assertOk(on(await say(scheduleModel(8n)), registry.address));
});

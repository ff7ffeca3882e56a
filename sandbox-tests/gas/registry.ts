// Operations of the registry, in an empty one and in one where every map is at its limit.
import { Address, Cell, Dictionary, beginCell } from '@ton/core';
import { KeyPair } from '@ton/crypto';
import { SandboxContract, createShardAccount } from '@ton/sandbox';
import { PayChannel, storeChannelTerms } from '../build/PayChannel';
import { ImageEntry, Life, ModelEntry, ProxyEntry, Registry, Signature, storeRegisterProxy, storeSettled, storeUpdateProxy } from '../build/Registry';
import { COUNCIL, Kind, PARAMS, REBUILDERS, Role, codeOf, members, proxyAuth } from '../support/dao';
import {
    COMMIT,
    RECIPE,
    deprecate,
    evict,
    lift,
    rebuild,
    remove,
    revoke,
    scheduleImage,
    scheduleModel,
    setBan,
    setCodes,
    setCouncil,
    setMinTcb,
    setParams,
    setRebuilder,
    setRoot,
    signatures,
    someCodes,
    suspend,
    suspension,
} from '../support/entries';
import { evidence } from '../support/channel';
import { openLog } from '../support/log';
import { GENESIS, Network, Wallet, bareOp, keys, publicKey, ton } from '../support/network';
import { Meter } from './meter';

export const CAPS = { images: 256, models: 1024, proxies: 256, roots: 8, banned: 512, former: 8, rebuilders: 16, council: 15 };

const UNBOND_PROXY = 0x52470013;
const WITHDRAW_PROXY = 0x52470014;

/** Ids spread over the whole range, as hashes are. */
function id(kind: string, n: number): bigint {
    return BigInt('0x' + beginCell().storeStringTail(`${kind} ${n}`).endCell().hash().toString('hex'));
}

const ACTIVE: Life = {
    $$type: 'Life',
    status: 1n,
    activeFrom: BigInt(GENESIS - 1000),
    sunset: 0n,
    changedAt: BigInt(GENESIS - 5000),
    reason: 'release',
    scheduledAt: BigInt(GENESIS - 5000),
    suspendedUntil: 0n,
};

function since(rebuilders: KeyPair[]): Dictionary<bigint, number> {
    const map = Dictionary.empty<bigint, number>();
    for (const key of rebuilders) map.set(publicKey(key), GENESIS);
    return map;
}

/** A registry that holds this many of everything, with a wallet in the governor's place. */
async function registryOf(net: Network, governor: Wallet, fill: number): Promise<SandboxContract<Registry>> {
    const count = (cap: number) => Math.floor(cap * fill);
    const rebuilders = REBUILDERS.concat(Array.from({ length: count(CAPS.rebuilders - REBUILDERS.length) }, (_, n) => keys(`more rebuilders ${n}`)));
    const council = COUNCIL.concat(Array.from({ length: count(CAPS.council - COUNCIL.length) }, (_, n) => keys(`more council ${n}`)));
    const numbers = (kind: string, n: number) => {
        const map = Dictionary.empty<bigint, number>();
        for (let i = 0; i < n; i++) map.set(id(kind, i), GENESIS);
        return map;
    };
    const images = Dictionary.empty<bigint, ImageEntry>();
    for (let i = 0; i < Math.max(1, count(CAPS.images)); i++) {
        const image = id('image', i);
        const statement = rebuild({ registry: governor.address, image });
        const rebuilds: Dictionary<bigint, Signature> = signatures(REBUILDERS.slice(0, 2).map((key) => ({ key, cell: statement })));
        images.set(image, { $$type: 'ImageEntry', role: Role.worker, sourceCommit: COMMIT, recipeHash: RECIPE, rebuilds, life: ACTIVE });
    }
    const models = Dictionary.empty<bigint, ModelEntry>();
    for (let i = 0; i < Math.max(1, count(CAPS.models)); i++) {
        models.set(id('model', i), { $$type: 'ModelEntry', name: `model ${i}`, sourceCommit: COMMIT, recipeHash: RECIPE, life: ACTIVE });
    }
    const proxies = Dictionary.empty<Address, ProxyEntry>();
    const entry = (n: number): ProxyEntry => ({
        $$type: 'ProxyEntry',
        nodeKey: publicKey(keys(`proxy ${n}`)),
        endpoint: `proxy-${n}.example.org:9000`,
        bond: PARAMS.minProxyBond,
        since: BigInt(GENESIS),
        unbondingAt: 0n,
    });
    const served = await net.wallet('proxy 0');
    proxies.set(served.address, entry(0));
    for (let i = 1; i < count(CAPS.proxies); i++) proxies.set(new Address(0, beginCell().storeUint(i, 32).endCell().hash()), entry(i));
    const former = Dictionary.empty<bigint, { $$type: 'FormerCode'; depth: bigint; acceptedUntil: bigint }>();
    for (let i = 0; i < count(CAPS.former); i++) former.set(id('code', i), { $$type: 'FormerCode', depth: 5n, acceptedUntil: BigInt(GENESIS + 1e8) });
    const roots = Math.max(1, count(CAPS.roots));
    const { init } = await PayChannel.fromInit(Cell.EMPTY, 0n, 0n, 0n, 0n);

    const initial = await Registry.fromInit(
        governor.address,
        true,
        1n,
        PARAMS.minProxyBond * BigInt(proxies.size),
        PARAMS,
        {
            $$type: 'RegistryCounts',
            images: BigInt(images.size),
            models: BigInt(models.size),
            proxies: BigInt(proxies.size),
            roots: BigInt(roots),
            banned: BigInt(count(CAPS.banned)),
        },
        { ...someCodes(100n), payChannel: codeOf(init!.code) },
        { $$type: 'TcbPolicy', minEvaluation: 17n, roots: numbers('root', roots), banned: numbers('banned', count(CAPS.banned)) },
        images,
        models,
        proxies,
        { $$type: 'Council', threshold: BigInt(council.length === COUNCIL.length ? 2 : 8), members: members(council) },
        since(rebuilders),
        2n,
        former,
        null,
        0n,
    );
    const { code, data } = initial.init!;
    const balance = PARAMS.minProxyBond * BigInt(proxies.size) + ton('10');
    await net.chain.setShardAccount(initial.address, createShardAccount({ address: initial.address, code, data, balance }));
    await openLog(net, initial.address);
    return net.chain.openContract(Registry.fromAddress(initial.address));
}

/** Every operation, each on a fresh registry, so that none of them makes room for another. */
async function operations(name: string, fill: number, spare: number): Promise<Meter> {
    const net = await Network.create();
    const meter = new Meter(net);
    const governor = await net.wallet('governor');
    const stranger = await net.wallet('stranger');
    const full = await registryOf(net, governor, fill);
    // Additions need one free place.
    const nearly = spare ? await registryOf(net, governor, fill - 1 / 1024) : full;
    const at = full.address;
    const snapshot = net.chain.snapshot();

    const order = async (what: string, body: Cell, to = at, value = ton('0.2')) => {
        await net.chain.loadFrom(snapshot);
        await meter.measure(`${name}: ${what}`, to, () => net.send(governor, to, value, body));
    };
    const room = nearly.address;
    await order('schedule an image', scheduleImage(room, id('new image', 0), { activeFrom: 0n }), room);
    await order('schedule a model', scheduleModel(id('new model', 0)), room);
    await order('deprecate a model', deprecate(Kind.model, id('model', 0), GENESIS + 86400 * 30));
    await order('revoke an image', revoke(Kind.image, id('image', 0)));
    await order('revoke a model', revoke(Kind.model, id('model', 0)));
    await order('allow a root', setRoot(id('new root', 0), true), room);
    await order('ban a platform', setBan(id('new ban', 0), true), room);
    await order('raise the least TCB evaluation', setMinTcb(18n));
    await order('change the parameters', setParams(PARAMS));
    await order('change the council', setCouncil(2n, COUNCIL));
    await order('change the code hashes', setCodes(someCodes(200n), GENESIS + 86400), room);
    await order('allow a rebuilder', setRebuilder(keys('one more rebuilder'), true), room);
    await order('evict a proxy', evict((await net.wallet('proxy 0')).address));

    // A removal follows a revocation.
    await net.chain.loadFrom(snapshot);
    await net.send(governor, at, ton('0.2'), revoke(Kind.image, id('image', 0)));
    net.later(400 * 86400);
    await meter.measure(`${name}: remove an image`, at, () => net.send(governor, at, ton('0.2'), remove(Kind.image, id('image', 0))));

    await net.chain.loadFrom(snapshot);
    const validUntil = BigInt(net.now + 600);
    const council = fill === 1 ? COUNCIL.concat(Array.from({ length: 5 }, (_, n) => keys(`more council ${n}`))) : COUNCIL.slice(0, 2);
    const words = suspension({ registry: at, kind: Kind.image, id: id('image', 0), scheduledAt: ACTIVE.scheduledAt, validUntil });
    const asked = suspend(Kind.image, id('image', 0), validUntil, council.map((key) => ({ key, cell: words })));
    await meter.measure(`${name}: suspend an image, ${council.length} signatures`, at, () => net.send(stranger, at, ton('0.2'), asked));
    await meter.measure(`${name}: lift a suspension`, at, () => net.send(governor, at, ton('0.2'), lift(Kind.image, id('image', 0))));

    await net.chain.loadFrom(snapshot);
    const owner = await net.wallet('new proxy');
    const node = keys('new proxy');
    const registration = beginCell()
        .store(
            storeRegisterProxy({
                $$type: 'RegisterProxy',
                queryId: 1n,
                nodeKey: publicKey(node),
                bond: PARAMS.minProxyBond,
                signature: proxyAuth(node, room, owner.address),
                endpoint: 'proxy.example.org:9000',
            }),
        )
        .endCell();
    await meter.measure(`${name}: register a proxy`, room, () => net.send(owner, room, PARAMS.minProxyBond + ton('0.5'), registration));

    await net.chain.loadFrom(snapshot);
    const proxy = await net.wallet('proxy 0');
    const change = beginCell().store(storeUpdateProxy({ $$type: 'UpdateProxy', queryId: 1n, addBond: ton('1'), endpoint: 'elsewhere:9000' })).endCell();
    const bare = (op: number) => beginCell().storeSlice(bareOp(op).asSlice()).storeUint(1, 64).endCell();
    await meter.measure(`${name}: update a proxy`, at, () => net.send(proxy, at, ton('1.2'), change));
    await meter.measure(`${name}: unbond a proxy`, at, () => net.send(proxy, at, ton('0.2'), bare(UNBOND_PROXY)));
    net.later(Number(PARAMS.proxyUnbonding));
    await meter.measure(`${name}: withdraw a proxy's bond`, at, () => net.send(proxy, at, ton('0.2'), bare(WITHDRAW_PROXY)));

    // What a channel of a bonded proxy tells, passed on to the node's record.
    await net.chain.loadFrom(snapshot);
    const terms = beginCell()
        .store(
            storeChannelTerms({
                $$type: 'ChannelTerms',
                payer: proxy.address,
                payee: stranger.address,
                payerKey: publicKey(keys('proxy 0')),
                challenge: 3600n,
                salt: 1n,
                payeeKey: publicKey(keys('worker node')),
                protocolFeeBps: PARAMS.protocolFeeBps,
            }),
        )
        .endCell();
    const channel = await PayChannel.fromInit(terms, 0n, 0n, 0n, 0n);
    const seen = evidence({ registry: at, ok: 5n, latencyMs: 300n });
    const told = beginCell().store(storeSettled({ $$type: 'Settled', queryId: 1n, amount: ton('1'), caller: stranger.address, terms, evidence: seen })).endCell();
    await meter.measure(`${name}: evidence of a claim, first of its node`, at, () => net.deliver(channel.address, at, ton('0.11'), told));
    return meter;
}

export const registry = [() => operations('registry, empty', 0, 0), () => operations('registry, full', 1, 1)];

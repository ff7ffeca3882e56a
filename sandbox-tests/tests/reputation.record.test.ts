import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, beginCell } from '@ton/core';
import { KeyPair, sign } from '@ton/crypto';
import { SandboxContract } from '@ton/sandbox';
import { loadEvidenceAnswered, storeAddEvidence, storeEvidence } from '../build/Registry';
import { Reputation } from '../build/Reputation';
import { Dao, PARAMS, RegistryErr, UNKNOWN_MESSAGE, impersonate, keys, proxyAuth, publicKey } from '../support/dao';
import { DAY, GLOBAL_ID, Network, Result, Wallet, YEAR, allOn, assertOk, bareOp, noteGas, on, sent, ton } from '../support/network';

const NODE = publicKey(keys('worker node'));
const HALF_LIFE = 30 * DAY;
const Err = { notRegistry: 1500, backwards: 1501, full: 1502 } as const;

type Counters = { ok?: bigint; failed?: bigint; latencyMs?: bigint; settled?: bigint; node?: bigint; globalId?: number; registry?: Address; tag?: bigint };
type Bench = { net: Network; dao: Dao; proxy: Wallet; key: KeyPair; record: SandboxContract<Reputation> };

async function bench(): Promise<Bench> {
    const net = await Network.create();
    // Time is counted in steps of a sixteenth of a half-life; begin at the start of one.
    net.now = Math.ceil(net.now / (HALF_LIFE / 16)) * (HALF_LIFE / 16);
    const dao = await Dao.create(net);
    const proxy = await net.wallet('proxy owner');
    const key = keys('proxy');
    assertOk(on(await registerProxy(dao, proxy, key), dao.registry.address));
    const record = net.chain.openContract(Reputation.fromAddress(await dao.registry.getReputationAddress(NODE)));
    return { net, dao, proxy, key, record };
}

function registerProxy(dao: Dao, wallet: Wallet, key: KeyPair): Promise<Result> {
    return dao.registry.send(
        wallet.getSender(),
        { value: PARAMS.minProxyBond + ton('0.2') },
        {
            $$type: 'RegisterProxy',
            queryId: 1n,
            nodeKey: publicKey(key),
            bond: PARAMS.minProxyBond,
            signature: proxyAuth(key, dao.registry.address, wallet.address),
            endpoint: 'p',
        },
    );
}

function evidence(b: Bench, c: Counters): Cell {
    return beginCell()
        .store(
            storeEvidence({
                $$type: 'Evidence',
                tag: c.tag ?? 0x45564431n,
                globalId: BigInt(c.globalId ?? GLOBAL_ID),
                registry: c.registry ?? b.dao.registry.address,
                node: c.node ?? NODE,
                ok: c.ok ?? 0n,
                failed: c.failed ?? 0n,
                latencyMs: c.latencyMs ?? 0n,
                settled: c.settled ?? 0n,
            }),
        )
        .endCell();
}

function report(b: Bench, c: Counters, opts: { key?: KeyPair; proxy?: Address; value?: bigint; reporter?: Wallet } = {}): Promise<Result> {
    const cell = evidence(b, c);
    return b.dao.registry.send(
        (opts.reporter ?? b.proxy).getSender(),
        { value: opts.value ?? ton('0.15') },
        {
            $$type: 'ReportEvidence',
            queryId: 9n,
            proxy: opts.proxy ?? b.proxy.address,
            signature: sign(cell.hash(), (opts.key ?? b.key).secretKey),
            evidence: cell,
        },
    );
}

/** The record's answer to the reporter. */
function answer(b: Bench, result: Result): number {
    const [reply] = sent(assertOk(on(result, b.record.address)));
    assert.ok(reply.to.equals(b.proxy.address));
    return Number(loadEvidenceAnswered(reply.body.beginParse()).result);
}

test('a report counts what is new, weighted by what was paid', async () => {
    const b = await bench();
    const first = await report(b, { ok: 9n, failed: 1n, latencyMs: 900n, settled: ton('10') });
    assert.equal(answer(b, first), 0);
    noteGas('reputation: report, in the registry', on(first, b.dao.registry.address));
    noteGas('reputation: first report, in the record', on(first, b.record.address));
    let state = await b.record.getState();
    assert.deepEqual([state.good, state.bad], [ton('9'), ton('1')]);
    // The next report of the same proxy adds the difference alone.
    const second = await report(b, { ok: 19n, failed: 1n, latencyMs: 1900n, settled: ton('14') });
    assert.equal(answer(b, second), 0);
    noteGas('reputation: report, in the record', on(second, b.record.address));
    state = await b.record.getState();
    assert.deepEqual([state.good, state.bad], [ton('13'), ton('1')]);
    assert.deepEqual(state.reporters.get(b.proxy.address), {
        $$type: 'Report',
        ok: 19n,
        failed: 1n,
        latencyMs: 1900n,
        settled: ton('14'),
        at: BigInt(b.net.now),
    });
    // Anybody may hand a signed statement in; answers without payment weigh nothing.
    const courier = await b.net.wallet('courier');
    assertOk(on(await report(b, { ok: 1019n, failed: 1n, latencyMs: 1900n, settled: ton('14') }, { reporter: courier }), b.record.address));
    state = await b.record.getState();
    assert.deepEqual([state.good, state.bad], [ton('13'), ton('1')]);
});

test('attack_54_evidence_replayed and attack_57_counters_going_backwards change nothing', async () => {
    const b = await bench();
    const counters = { ok: 10n, failed: 5n, latencyMs: 100n, settled: ton('10') };
    assert.equal(answer(b, await report(b, counters)), 0);
    const before = await b.record.getState();
    assert.equal(answer(b, await report(b, counters)), 0); // the same again: nothing new in it
    for (const less of [{ ok: 9n }, { failed: 4n }, { latencyMs: 99n }, { settled: ton('10') - 1n }]) {
        assert.equal(answer(b, await report(b, { ...counters, ...less })), Err.backwards, Object.keys(less)[0]);
    }
    const after = await b.record.getState();
    assert.deepEqual([after.good, after.bad], [before.good, before.bad]);
    assert.deepEqual(after.reporters.get(b.proxy.address), before.reporters.get(b.proxy.address));
});

test('attack_55_evidence_from_another_network, another registry, another kind, or unsigned is refused', async () => {
    const b = await bench();
    const { address } = b.dao.registry;
    const c = { ok: 1n, settled: ton('1') };
    await b.net.refused(address, RegistryErr.badEvidence, () => report(b, { ...c, globalId: -239 }));
    await b.net.refused(address, RegistryErr.badEvidence, () => report(b, { ...c, registry: b.dao.governor.address }));
    await b.net.refused(address, RegistryErr.badEvidence, () => report(b, { ...c, tag: 0x56434831n }));
    await b.net.refused(address, RegistryErr.badSignature, () => report(b, c, { key: keys('thief') }));
    await b.net.refused(address, RegistryErr.noProxy, () => report(b, c, { proxy: b.dao.deployer.address }));
    await b.net.refused(address, RegistryErr.lowValue, () => report(b, c, { value: ton('0.15') - 1n }));
    // A proxy that leaves has no say any more.
    await b.dao.registry.send(b.proxy.getSender(), { value: ton('0.1') }, { $$type: 'UnbondProxy', queryId: 1n });
    await b.net.refused(address, RegistryErr.noProxy, () => report(b, c));
});

test('attack_56_decay_over_a_huge_gap: bounded gas, and frequent reports fade like rare ones', async () => {
    const b = await bench();
    assert.equal(answer(b, await report(b, { ok: 1n, settled: ton('1000') })), 0);
    const at = async (seconds: number) => {
        const saved = b.net.now;
        b.net.later(seconds);
        const { good } = await b.record.getState();
        b.net.now = saved;
        return good;
    };
    assert.equal(await at(HALF_LIFE / 16 - 1), ton('1000'));
    assert.equal(await at(HALF_LIFE), ton('500'));
    assert.equal(await at(2 * HALF_LIFE), ton('250'));
    for (let k = 1; k < 16; k++) {
        const exact = 1000e9 * 2 ** (-k / 16);
        assert.ok(Math.abs(Number(await at((k * HALF_LIFE) / 16)) - exact) < exact / 1e8, `step ${k}`);
    }
    assert.equal(await at(50 * YEAR), 0n);
    const soon = await report(b, { ok: 2n, settled: ton('1000') });
    const gasSoon = noteGas('reputation: report at once', on(soon, b.record.address));
    b.net.later(7 * YEAR);
    const late = await report(b, { ok: 3n, settled: ton('1001') });
    assert.equal(answer(b, late), 0);
    const gasLate = noteGas('reputation: report after 7 years', on(late, b.record.address));
    assert.ok(gasLate < gasSoon + 2000, `${gasLate} against ${gasSoon}`);
    assert.equal((await b.record.getState()).good, ton('1'));
    // Sixteen reports on the way to a half-life end where none would.
    for (let i = 0; i < 16; i++) {
        b.net.later(HALF_LIFE / 16);
        assert.equal(answer(b, await report(b, { ok: BigInt(4 + i), settled: ton('1001') })), 0);
    }
    const { good } = await b.record.getState();
    assert.ok(good > ton('0.5') - 100n && good <= ton('0.5'), `${good}`);
});

test('attack_56_decay_over_a_huge_gap: a first report long after the epoch of Unix time', async () => {
    const b = await bench();
    b.net.now = 4_200_000_000; // more half-lives than a shift can take
    assert.equal(answer(b, await report(b, { ok: 1n, settled: ton('1') })), 0);
    assert.equal((await b.record.getState()).good, ton('1'));
});

test('attack_58_a_forged_child_contract: the record hears the registry alone, and has its node\'s address', async () => {
    const b = await bench();
    assert.equal(answer(b, await report(b, { ok: 1n, settled: ton('1') })), 0);
    const { proxy, net, record, dao } = b;
    const body = beginCell()
        .store(
            storeAddEvidence({
                $$type: 'AddEvidence',
                queryId: 1n,
                proxy: proxy.address,
                reporter: proxy.address,
                evidence: evidence(b, { ok: 1000n, settled: ton('1000000') }),
            }),
        )
        .endCell();
    await net.refused(record.address, Err.notRegistry, () => net.send(proxy, record.address, ton('1'), body));
    await net.refused(record.address, Err.notRegistry, () => impersonate(net, dao.governor.address, record.address, body));
    await net.refused(record.address, UNKNOWN_MESSAGE, () => net.send(proxy, record.address, ton('1'), bareOp(0x52500099)));
    const state = await record.getState();
    assert.ok(state.registry.equals(dao.registry.address));
    assert.equal(state.node, NODE);
    // Evidence about another node goes to that node's own record.
    const other = await report(b, { node: 5n, ok: 1n, settled: ton('1') });
    assert.equal(allOn(other, record.address).length, 0);
    assertOk(on(other, await dao.registry.getReputationAddress(5n)));
});

test('a record keeps the counters of at most 32 proxies', async () => {
    const b = await bench();
    for (let i = 0; i < 32; i++) {
        const wallet = await b.net.wallet(`proxy ${i}`);
        const key = keys(`proxy ${i}`);
        assertOk(on(await registerProxy(b.dao, wallet, key), b.dao.registry.address));
        const result = await report(b, { ok: 1n, settled: ton('1') }, { key, proxy: wallet.address });
        assert.equal(answer(b, result), 0);
    }
    assert.equal(answer(b, await report(b, { ok: 1n, settled: ton('1') })), Err.full);
    assert.equal((await b.record.getState()).good, ton('32'));
});

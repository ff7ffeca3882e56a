import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dao, PARAMS, REGISTRY_MIN_VALUE, RegistryErr, impersonate, keys, proxyAuth, publicKey, registryAt } from '../support/dao';
import { evict, setParams } from '../support/entries';
import { PROXY_FEE as FEE, ProxyOptions, registerProxy as register, registerBody } from '../support/proxies';
import { Network, Result, Wallet, assertOk, compute, noteGas, on, sent, ton } from '../support/network';

const BOND = PARAMS.minProxyBond;

function update(dao: Dao, wallet: Wallet, opts: ProxyOptions = {}): Promise<Result> {
    const addBond = opts.bond ?? 0n;
    return dao.registry.send(
        wallet.getSender(),
        { value: opts.value ?? addBond + REGISTRY_MIN_VALUE },
        { $$type: 'UpdateProxy', queryId: 1n, addBond, endpoint: opts.endpoint ?? '127.0.0.1:9001' },
    );
}

const unbond = (dao: Dao, wallet: Wallet, value = REGISTRY_MIN_VALUE) =>
    dao.registry.send(wallet.getSender(), { value }, { $$type: 'UnbondProxy', queryId: 1n });

const withdraw = (dao: Dao, wallet: Wallet, value = REGISTRY_MIN_VALUE) =>
    dao.registry.send(wallet.getSender(), { value }, { $$type: 'WithdrawProxy', queryId: 1n });

test('anybody registers a proxy with a bond, changes it, leaves, and has the bond back after the delay', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const { registry } = dao;
    const owner = await net.wallet('proxy owner');
    const balance = await net.balance(registry.address);
    noteGas('registry: register a proxy', assertOk(on(await register(dao, owner), registry.address)));
    assert.deepEqual(await registry.getProxy(owner.address), {
        $$type: 'ProxyEntry',
        nodeKey: publicKey(keys('proxy')),
        endpoint: '127.0.0.1:9000',
        bond: BOND,
        since: BigInt(net.now),
        unbondingAt: 0n,
    });
    assert.equal(await net.balance(registry.address), balance + BOND + FEE, 'the bond and the storage fee, nothing else');
    const snapshot = await registry.getSnapshot();
    assert.deepEqual([snapshot.bonded, snapshot.counts.proxies, snapshot.revision], [BOND, 1n, 2n]);
    await net.refused(registry.address, RegistryErr.proxyExists, () => register(dao, owner));

    noteGas('registry: update a proxy', assertOk(on(await update(dao, owner, { bond: ton('5') }), registry.address)));
    const updated = await registry.getProxy(owner.address);
    assert.equal(updated.nodeKey, publicKey(keys('proxy')), 'a key is for good, so that it can be held to what it signed');
    assert.equal(updated.endpoint, '127.0.0.1:9001');
    assert.equal(updated.bond, BOND + ton('5'));

    await net.refused(registry.address, RegistryErr.proxyLocked, () => withdraw(dao, owner));
    noteGas('registry: unbond a proxy', assertOk(on(await unbond(dao, owner), registry.address)));
    assert.equal((await registry.getProxy(owner.address)).unbondingAt, BigInt(net.now), 'readers see that it leaves');
    await net.refused(registry.address, RegistryErr.noProxy, () => unbond(dao, owner));
    await net.refused(registry.address, RegistryErr.noProxy, () => update(dao, owner));
    net.later(Number(PARAMS.proxyUnbonding) - 1);
    await net.refused(registry.address, RegistryErr.proxyLocked, () => withdraw(dao, owner));
    net.later(1);
    const out = await withdraw(dao, owner);
    const tx = assertOk(on(out, registry.address));
    noteGas('registry: withdraw a proxy bond', tx);
    const [back] = sent(tx);
    assert.ok(back.to.equals(owner.address) && back.value > BOND + ton('5') && back.bounce === false);
    await net.refused(registry.address, RegistryErr.noProxy, () => withdraw(dao, owner));
    const after = await registry.getSnapshot();
    assert.deepEqual([after.bonded, after.counts.proxies, after.proxies.size], [0n, 0n, 0]);
});

test('a proxy needs its bond, its fee, a short endpoint, and its key\'s consent', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const { registry } = dao;
    const owner = await net.wallet('proxy owner');
    const other = await net.wallet('other');
    const refuses = (code: number, opts: ProxyOptions) => net.refused(registry.address, code, () => register(dao, owner, opts));
    await refuses(RegistryErr.lowBond, { bond: BOND - 1n });
    await refuses(RegistryErr.lowValue, { value: BOND + FEE + REGISTRY_MIN_VALUE - 1n });
    await refuses(RegistryErr.badText, { endpoint: '' });
    await refuses(RegistryErr.badText, { endpoint: 'e'.repeat(128) });
    const node = keys('proxy');
    await refuses(RegistryErr.badSignature, { signature: proxyAuth(node, registry.address, other.address) });
    await refuses(RegistryErr.badSignature, { signature: proxyAuth(node, dao.governor.address, owner.address) });
    await refuses(RegistryErr.badSignature, { signature: proxyAuth(node, registry.address, owner.address, -239) });
    await refuses(RegistryErr.badSignature, {
        signature: proxyAuth({ publicKey: node.publicKey, secretKey: keys('thief').secretKey }, registry.address, owner.address),
    });
    assertOk(on(await register(dao, owner, { endpoint: 'e'.repeat(127) }), registry.address));
    // Nobody else touches it.
    for (const action of [unbond, withdraw, update]) {
        await net.refused(registry.address, RegistryErr.noProxy, () => action(dao, other));
    }
    await net.refused(registry.address, RegistryErr.lowValue, () => unbond(dao, owner, REGISTRY_MIN_VALUE - 1n));
    await net.refused(registry.address, RegistryErr.lowValue, () => withdraw(dao, owner, REGISTRY_MIN_VALUE - 1n));
    await net.refused(registry.address, RegistryErr.lowValue, () => update(dao, owner, { value: REGISTRY_MIN_VALUE - 1n }));
    await net.refused(registry.address, RegistryErr.badText, () => update(dao, owner, { endpoint: '' }));
    await net.refused(registry.address, RegistryErr.badText, () => update(dao, owner, { endpoint: 'e'.repeat(128) }));
    await net.refused(registry.address, RegistryErr.lowValue, () => update(dao, owner, { bond: ton('3'), value: ton('3.05') - 1n }));
    // Before the registry is set up there are no proxies.
    const early = net.chain.openContract(await registryAt(dao.governor.address, { roots: [99n] }));
    const result = await net.send(owner, early.address, BOND + ton('1'), registerBody(early.address, owner.address), { init: early.init });
    assert.equal(compute(on(result, early.address)).exitCode, RegistryErr.notReady);
});

test('the governor sends a proxy away; its bond waits for the owner; a raised minimum binds at the next change', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const { registry, governor } = dao;
    const owner = await net.wallet('proxy owner');
    assertOk(on(await register(dao, owner), registry.address));
    const params = { ...PARAMS, minProxyBond: BOND * 2n };
    assertOk(on(await impersonate(net, governor.address, registry.address, setParams(params)), registry.address));
    await net.refused(registry.address, RegistryErr.lowBond, () => update(dao, owner));
    assertOk(on(await update(dao, owner, { bond: BOND }), registry.address));
    assertOk(on(await impersonate(net, governor.address, registry.address, evict(owner.address)), registry.address));
    await net.refused(registry.address, RegistryErr.noProxy, () =>
        impersonate(net, governor.address, registry.address, evict(owner.address)),
    );
    net.later(Number(PARAMS.proxyUnbonding));
    const [back] = sent(assertOk(on(await withdraw(dao, owner), registry.address)));
    assert.ok(back.value > BOND * 2n);
});

// RG-19: evidence counts when a real channel of a bonded proxy brings it, and costs what it must.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell, beginCell } from '@ton/core';
import { Settled, storeSettled } from '../build/Registry';
import { Reputation, loadEvidenceAnswered } from '../build/Reputation';
import { Channel, ChannelOptions, EVIDENCE_VALUE, Err as ChannelErr, MIN_VALUE, evidence, termsCell } from '../support/channel';
import { Dao, PARAMS, RegistryErr, impersonate } from '../support/dao';
import { setCodes, setParams, someCodes } from '../support/entries';
import { DAY, Network, Result, allOn, assertOk, compute, keys, noteGas, on, publicKey, sent, ton } from '../support/network';
import { registerProxy } from '../support/proxies';

const VALUE = MIN_VALUE + EVIDENCE_VALUE;

/** A bonded proxy that pays a worker: the channel's payer is the proxy's owner, and the payer's key is the proxy's. */
async function bench(opts: ChannelOptions & { bonded?: boolean } = {}) {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const channel = await Channel.funded(net, ton('10'), opts);
    if (opts.bonded ?? true) assertOk(on(await registerProxy(dao, channel.payer, { key: 'payer' }), dao.registry.address));
    const { registry } = dao;
    const does = async (body: Cell) => assertOk(on(await impersonate(net, dao.governor.address, registry.address, body), registry.address));
    const record = net.chain.openContract(Reputation.fromAddress(await registry.getReputationAddress(channel.terms.payeeKey)));
    const seen = (ok: bigint, failed = 0n) => evidence({ registry: registry.address, ok, failed, latencyMs: ok * 800n });
    const claim = (cumulative: bigint, ok: bigint, failed?: bigint) =>
        channel.sendClaim({ cumulative, evidence: seen(ok, failed) }, { value: VALUE });
    /** The claim pays, and the registry refuses the evidence with this code. */
    const refused = async (code: number, result: Result) => {
        assertOk(allOn(result, channel.address)[0]);
        assert.equal(compute(on(result, registry.address)).exitCode, code);
        const back = sent(allOn(result, channel.address)[1]);
        assert.ok(back[0].to.equals(channel.payee.address), 'what comes back is the payee\'s');
        assert.equal(allOn(result, record.address).length, 0);
    };
    return { net, dao, registry, channel, record, does, seen, claim, refused };
}

test('a claim with evidence reaches the record of the node, which answers the caller', async () => {
    const { net, registry, channel, record, claim } = await bench();
    const balance = await net.balance(registry.address);
    const result = await claim(ton('4'), 9n, 1n);
    const tx = assertOk(on(result, registry.address));
    noteGas('registry: pass evidence on', tx);
    noteGas('registry: pass evidence on, in the record', assertOk(on(result, record.address)));
    const state = await record.getState();
    assert.deepEqual([state.good, state.bad, state.latencyMs], [ton('3.6'), ton('0.4'), 800n]);
    assert.equal(state.node, channel.terms.payeeKey);
    assert.ok(state.registry.equals(registry.address));
    const [answer] = sent(on(result, record.address));
    assert.ok(answer.to.equals(channel.payee.address));
    assert.equal(loadEvidenceAnswered(answer.body.beginParse()).result, 0n);
    assert.ok((await net.balance(registry.address)) <= balance, 'the registry keeps nothing');
    assert.ok((await net.balance(registry.address)) > balance - ton('0.001'), 'and pays nothing');
    // The next claim adds what is new.
    assertOk(on(await claim(ton('5'), 10n, 1n), record.address));
    assert.equal((await record.getState()).good, ton('4.6'));
});

test('attack_25_evidence_of_a_foreign_contract: an impostor, the right code with forged data, another code, other terms', async () => {
    const { net, registry, channel, seen } = await bench();
    const thief = await net.wallet('thief');
    const words = (terms: Cell, e = seen(1000n)): Settled => ({ $$type: 'Settled', queryId: 1n, amount: ton('1000'), caller: thief.address, terms, evidence: e });
    const body = (s: Settled) => beginCell().store(storeSettled(s)).endCell();
    const terms = termsCell(channel.terms);
    const refuses = (action: () => Promise<Result>) => net.refused(registry.address, RegistryErr.notChannel, action);
    await refuses(() => net.send(thief, registry.address, ton('1'), body(words(terms))));
    // Born with a deposit that nobody paid in.
    const forged = await Channel.create(net, { state: { deposit: ton('1000') } });
    assert.ok(!forged.address.equals(channel.address));
    await refuses(() => impersonate(net, forged.address, registry.address, body(words(terms)), ton('1')));
    // Terms that are not the sender's.
    const other = termsCell({ ...channel.terms, payeeKey: publicKey(keys('friend')) });
    await refuses(() => impersonate(net, channel.address, registry.address, body(words(other)), ton('1')));
    // The real one is believed.
    const real = await impersonate(net, channel.address, registry.address, body(words(terms)), ton('1'));
    assertOk(on(real, registry.address));
});

test('attack_54_evidence_replayed: each one follows a fresh claim, so none comes twice', async () => {
    const { net, registry, channel, record, claim, seen } = await bench();
    const first = await claim(ton('4'), 9n);
    const settled = sent(allOn(first, channel.address)[0]).find((m) => m.to.equals(registry.address))!;
    // The voucher again: the channel refuses it. The message again, by somebody else: the registry does.
    const voucher = { cumulative: ton('4'), evidence: seen(9n) };
    await net.refused(channel.address, ChannelErr.nothingNew, () => channel.sendClaim(voucher, { value: VALUE }));
    const thief = await net.wallet('thief');
    await net.refused(registry.address, RegistryErr.notChannel, () => net.send(thief, registry.address, ton('1'), settled.body));
    assert.equal((await record.getState()).good, ton('4'));
});

test('attack_49_praise_costs_a_bond_and_the_fee: strangers, other keys, leaving proxies and cheap channels do not count', async () => {
    const stranger = await bench({ bonded: false });
    await stranger.refused(RegistryErr.noProxy, await stranger.claim(ton('1'), 9n));

    const otherKey = await bench({ payerKeys: keys('not the proxy') });
    await otherKey.refused(RegistryErr.otherKey, await otherKey.claim(ton('1'), 9n));

    const cheap = await bench({ terms: { protocolFeeBps: PARAMS.protocolFeeBps - 1n } });
    await cheap.refused(RegistryErr.lowFee, await cheap.claim(ton('1'), 9n));

    const { net, registry, channel, claim, refused } = await bench();
    assertOk(on(await claim(ton('1'), 9n), registry.address));
    const leaving = { $$type: 'UnbondProxy', queryId: 1n } as const;
    assertOk(on(await registry.send(channel.payer.getSender(), { value: ton('0.1') }, leaving), registry.address));
    await refused(RegistryErr.noProxy, await claim(ton('2'), 19n));
    net.later(Number(PARAMS.proxyUnbonding));
    const gone = { $$type: 'WithdrawProxy', queryId: 1n } as const;
    assertOk(on(await registry.send(channel.payer.getSender(), { value: ton('0.1') }, gone), registry.address));
    await refused(RegistryErr.noProxy, await claim(ton('3'), 29n));
});

test('attack_29_a_higher_fee_touches_no_open_channel: it pays on as agreed, only its evidence counts no more', async () => {
    const { channel, does, claim, refused, registry } = await bench();
    assertOk(on(await claim(ton('1'), 9n), registry.address));
    await does(setParams({ ...PARAMS, protocolFeeBps: 200n }));
    await refused(RegistryErr.lowFee, await claim(ton('2'), 19n));
    assert.equal((await channel.state()).claimed, ton('2'));
    assert.equal((await channel.state()).protocolFeeBps, 100n);
    // A lower one hurts nobody.
    await does(setParams({ ...PARAMS, protocolFeeBps: 0n }));
    assertOk(on(await claim(ton('3'), 29n), registry.address));
});

test('UP-3: evidence from a former channel counts until its time, and never stands between a payee and its money', async () => {
    const { net, dao, registry, channel, does, claim, refused } = await bench();
    const { codes } = await dao.registry.getSnapshot();
    const end = net.now + 5 * DAY;
    await does(setCodes({ ...someCodes(50n), stakeAccount: codes.stakeAccount }, end));
    for (let i = 1n; i < 8n; i++) await does(setCodes(someCodes(50n + i * 10n), end + DAY));
    net.now = end - 1;
    noteGas('registry: pass evidence on, from the last of 8 former codes', assertOk(on(await claim(ton('1'), 9n), registry.address)));
    net.now = end;
    await refused(RegistryErr.notChannel, await claim(ton('2'), 19n));
    assert.equal((await channel.state()).claimed, ton('2'));
    // Current again, it counts again.
    await does(setCodes(codes));
    assertOk(on(await claim(ton('3'), 29n), registry.address));
});

test('too little value for the record is refused before anything happens', async () => {
    const { net, registry, channel, seen } = await bench();
    const body = beginCell()
        .store(storeSettled({ $$type: 'Settled', queryId: 1n, amount: 1n, caller: channel.payee.address, terms: termsCell(channel.terms), evidence: seen(1n) }))
        .endCell();
    const say = (value: bigint) => impersonate(net, channel.address, registry.address, body, value);
    await net.refused(registry.address, RegistryErr.lowValue, () => say(ton('0.1') - 1n));
    assertOk(on(await say(ton('0.1')), registry.address));
});

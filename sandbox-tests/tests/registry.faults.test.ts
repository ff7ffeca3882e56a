// RG-20 to RG-22: what only the registry can judge, proven by signatures alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, beginCell } from '@ton/core';
import { KeyPair, sign } from '@ton/crypto';
import { FaultReport } from '../build/FaultReport';
import { ProveFault, loadFaultRewarded, loadPunishNode, storeProveFault } from '../build/Registry';
import { BURN, Channel, ChannelOptions, VoucherFields, evidence, termsCell } from '../support/channel';
import { Dao, Kind, PARAMS, RegistryErr, impersonate } from '../support/dao';
import { remove, revoke, scheduleImage, scheduleModel, setCodes, someCodes } from '../support/entries';
import { DAY, GLOBAL_ID, Network, allOn, assertOk, compute, keys, noteGas, on, publicKey, sent, ton } from '../support/network';
import { registerProxy } from '../support/proxies';

const FaultErr = { notReport: 1610, otherKind: 1611, badFormat: 1612, badSignature: 1613, otherNetwork: 1614, noContradiction: 1615 } as const;
const BOND = PARAMS.minProxyBond;

const signed = (body: Cell, key: KeyPair) => beginCell().storeBuffer(sign(body.hash(), key.secretKey)).storeRef(body).endCell();

/** A registry, a reporter, and its word as if a FaultReport had brought it. */
async function judge() {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const { registry } = dao;
    const reporter = await net.wallet('reporter');
    const does = async (body: Cell) => assertOk(on(await impersonate(net, dao.governor.address, registry.address, body), registry.address));
    const report = await FaultReport.fromInit(registry.address, reporter.address, 7n, 0n);
    const say = (proof: Cell, from: Address = report.address, words: Partial<ProveFault> = {}) => {
        const message: ProveFault = {
            $$type: 'ProveFault',
            queryId: 5n,
            reporter: reporter.address,
            commitment: 7n,
            committedAt: BigInt(net.now),
            proof,
            ...words,
        };
        return impersonate(net, from, registry.address, beginCell().store(storeProveFault(message)).endCell(), ton('0.5'));
    };
    const refuses = (code: number, proof: Cell, from?: Address, words?: Partial<ProveFault>) =>
        net.refused(registry.address, code, () => say(proof, from, words));
    return { net, dao, registry, reporter, does, say, refuses, report };
}

/** A bonded proxy that may say two things in one channel. */
async function proxied(opts: ChannelOptions = {}) {
    const court = await judge();
    const { net, dao, registry } = court;
    const channel = await Channel.create(net, opts);
    assertOk(on(await registerProxy(dao, channel.payer, { key: 'payer' }), registry.address));
    const voucher = (cumulative: bigint, ok: bigint, failed = 0n, latencyMs = ok * 100n, more: Partial<VoucherFields> = {}) =>
        channel.voucher({ cumulative, evidence: evidence({ registry: registry.address, ok, failed, latencyMs }), ...more });
    const equivocation = (a: Cell, b: Cell, o: { keys?: [KeyPair, KeyPair]; terms?: Cell; tag?: number } = {}) => {
        const [ka, kb] = o.keys ?? [channel.payerKeys, channel.payerKeys];
        return beginCell()
            .storeUint(o.tag ?? 0x46503035, 32)
            .storeRef(o.terms ?? termsCell(channel.terms))
            .storeRef(signed(a, ka))
            .storeRef(signed(b, kb))
            .endCell();
    };
    return { ...court, channel, voucher, equivocation };
}

test('a proxy that signs two things at one amount loses its bond: half burns, half is the reporter\'s, through commit and reveal', async () => {
    const { net, registry, reporter, channel, voucher, equivocation } = await proxied();
    const proof = equivocation(voucher(ton('1'), 9n), voucher(ton('1'), 10n));
    const salt = 99n;
    const commitment = beginCell()
        .storeUint(0x46434d31, 32)
        .storeAddress(reporter.address)
        .storeUint(salt, 256)
        .storeBuffer(proof.hash())
        .endCell();
    const init = await FaultReport.fromInit(registry.address, reporter.address, BigInt('0x' + commitment.hash().toString('hex')), 0n);
    const report = net.chain.openContract(init);
    assertOk(on(await report.send(reporter.getSender(), { value: ton('0.1') }, { $$type: 'CommitFault', queryId: 1n }), report.address));
    net.later(60);
    const before = await net.balance(registry.address);
    const result = await report.send(reporter.getSender(), { value: ton('0.6') }, { $$type: 'RevealFault', queryId: 2n, salt, proof });
    const tx = assertOk(on(result, registry.address));
    noteGas('registry: slash a proxy', tx);
    const burned = sent(tx).find((m) => m.to.equals(BURN))!;
    assert.deepEqual([burned.value, burned.bounce], [BOND / 2n, false]);
    const reward = sent(tx).find((m) => m.to.equals(reporter.address))!;
    assert.ok(reward.value > BOND / 2n + ton('0.5') && reward.value < BOND / 2n + ton('0.6') && reward.bounce === false);
    const words = loadFaultRewarded(reward.body.beginParse());
    assert.deepEqual([words.key, words.slashed], [publicKey(channel.payerKeys), BOND]);
    const after = await net.balance(registry.address);
    assert.ok(before - after >= BOND && before - after < BOND + ton('0.001'), 'the bond, and nothing of anybody else');
    const state = await registry.getSnapshot();
    assert.deepEqual([state.proxies.size, state.counts.proxies, state.bonded], [0, 0n, 0n]);
    // Once: there is no second bond.
    const again = await report.send(reporter.getSender(), { value: ton('0.6') }, { $$type: 'RevealFault', queryId: 3n, salt, proof });
    assert.equal(compute(on(again, registry.address)).exitCode, RegistryErr.noProxy);
    const back = sent(allOn(again, report.address)[1]);
    assert.ok(back[0].to.equals(reporter.address) && back[0].value > ton('0.5'));
});

test('counters that fall while the amount grows are an equivocation, each of the three; a growing voucher is none', async () => {
    const cases: [bigint, bigint, bigint][] = [
        [8n, 5n, 1000n],
        [9n, 4n, 1000n],
        [9n, 5n, 899n],
    ];
    for (const [ok, failed, latency] of cases) {
        const { registry, voucher, equivocation, say, refuses } = await proxied();
        const [a, b] = [voucher(ton('1'), 9n, 5n, 900n), voucher(ton('2'), ok, failed, latency)];
        await refuses(FaultErr.noContradiction, equivocation(b, a));
        assertOk(on(await say(equivocation(a, b)), registry.address));
    }
    const { voucher, equivocation, refuses } = await proxied();
    const honest = [voucher(ton('1'), 9n, 5n, 900n), voucher(ton('1') + 1n, 9n, 5n, 900n), voucher(ton('2'), 10n, 6n, 901n)];
    for (const [i, a] of honest.entries()) {
        for (const b of honest.slice(i)) {
            await refuses(FaultErr.noContradiction, equivocation(a, b));
            await refuses(FaultErr.noContradiction, equivocation(b, a));
        }
    }
    // The same words with another expiry are the same words.
    const extended = voucher(ton('1'), 9n, 5n, 900n, { validUntil: 5 });
    await refuses(FaultErr.noContradiction, equivocation(honest[0], extended));
});

test('what convicts must be signed by the proxy\'s own key, for this network, for one real channel of this proxy', async () => {
    const { net, dao, registry, channel, voucher, equivocation, refuses, say, does } = await proxied();
    const [a, b] = [voucher(ton('1'), 9n), voucher(ton('1'), 10n)];
    const thief = keys('thief');
    await refuses(FaultErr.badSignature, equivocation(a, b, { keys: [channel.payerKeys, thief] }));
    await refuses(FaultErr.badSignature, equivocation(a, b, { keys: [thief, channel.payerKeys] }));
    await refuses(FaultErr.otherNetwork, equivocation(a, voucher(ton('1'), 10n, 0n, 1n, { globalId: -3 })));
    await refuses(FaultErr.noContradiction, equivocation(a, voucher(ton('1'), 10n, 0n, 1n, { channel: dao.governor.address })));
    await refuses(FaultErr.badFormat, equivocation(a, voucher(ton('1'), 10n, 0n, 1n, { evidence: undefined })));
    await refuses(FaultErr.otherKind, equivocation(a, b, { tag: 0x46503031 }));
    // Vouchers of a contract that is no channel.
    const nowhere = (v: bigint) => voucher(ton('1'), v, 0n, 1n, { channel: dao.governor.address });
    await refuses(RegistryErr.notChannel, equivocation(nowhere(1n), nowhere(2n)));
    // Terms in which the key pays for somebody else's channel, or another key pays from this one's.
    const foreign = await Channel.create(net, { terms: { payer: channel.payee.address } });
    const by = (c: Channel, ok: bigint) =>
        c.voucher({ cumulative: 1n, evidence: evidence({ registry: registry.address, ok }) });
    await refuses(RegistryErr.noProxy, equivocation(by(foreign, 1n), by(foreign, 2n), { terms: termsCell(foreign.terms) }));
    const otherKey = await Channel.create(net, { payerKeys: thief });
    const proof = equivocation(by(otherKey, 1n), by(otherKey, 2n), { terms: termsCell(otherKey.terms), keys: [thief, thief] });
    await refuses(RegistryErr.otherKey, proof);
    // Channels of a code that is accepted no more convict nobody; a former one still does.
    const { codes } = await registry.getSnapshot();
    await does(setCodes(someCodes(9n), net.now));
    await refuses(RegistryErr.notChannel, equivocation(a, b));
    await does(setCodes(codes));
    await does(setCodes(someCodes(9n), net.now + DAY));
    assertOk(on(await say(equivocation(a, b)), registry.address));
});

test('a proxy that is leaving still answers; one that has left has nothing to lose', async () => {
    const leaving = { $$type: 'UnbondProxy', queryId: 1n } as const;
    for (const gone of [false, true]) {
        const { net, registry, channel, voucher, equivocation, say, refuses } = await proxied();
        const proof = equivocation(voucher(1n, 9n), voucher(1n, 10n));
        assertOk(on(await registry.send(channel.payer.getSender(), { value: ton('0.1') }, leaving), registry.address));
        net.later(Number(PARAMS.proxyUnbonding));
        if (gone) {
            const out = { $$type: 'WithdrawProxy', queryId: 1n } as const;
            assertOk(on(await registry.send(channel.payer.getSender(), { value: ton('0.1') }, out), registry.address));
            await refuses(RegistryErr.noProxy, proof);
        } else {
            assertOk(on(await say(proof), registry.address));
        }
    }
});

test('attack_58_a_forged_fault_report: only the report of this reporter, this commitment and this registry is heard', async () => {
    const { net, registry, channel, voucher, equivocation, refuses, report } = await proxied();
    const proof = equivocation(voucher(1n, 9n), voucher(1n, 10n));
    const thief = await net.wallet('thief');
    await refuses(FaultErr.notReport, proof, thief.address);
    // Attack 52: whoever repeats another's report in its own name.
    await refuses(FaultErr.notReport, proof, report.address, { reporter: thief.address });
    await refuses(FaultErr.notReport, proof, report.address, { commitment: 8n });
    const elsewhere = await FaultReport.fromInit(channel.address, thief.address, 7n, 0n);
    await refuses(FaultErr.notReport, proof, elsewhere.address, { reporter: thief.address });
    const early = await FaultReport.fromInit(registry.address, thief.address, 7n, 1n);
    await refuses(FaultErr.notReport, proof, early.address, { reporter: thief.address });
});

type ReceiptFields = { image?: bigint; model?: bigint; time: number; globalId?: number };

/** A receipt, with what a proof of forbidden use reads in it. */
function receipt({ image = 1n, model = 1n, time, globalId = GLOBAL_ID }: ReceiptFields): Cell {
    const content = beginCell().storeUint(11n, 256).storeUint(12n, 256).storeUint(model, 256).endCell();
    const terms = beginCell().storeUint(image, 256).storeUint(0n, 256).endCell();
    return beginCell()
        .storeUint(0x52435031, 32)
        .storeInt(globalId, 32)
        .storeAddress(BURN)
        .storeUint(1n, 64)
        .storeUint(time, 32)
        .storeRef(content)
        .storeRef(terms)
        .endCell();
}

const NODE = keys('worker node');
const ACCOUNT = new Address(0, Buffer.alloc(32, 5));

function revokedUse(kind: bigint, r: ReceiptFields, key: KeyPair = NODE): Cell {
    return beginCell()
        .storeUint(0x46503034, 32)
        .storeUint(publicKey(NODE), 256)
        .storeAddress(ACCOUNT)
        .storeUint(kind, 8)
        .storeRef(signed(receipt(r), key))
        .endCell();
}

test('a node that used what was revoked is accused before the governor, ten minutes after the revocation and later', async () => {
    const { net, dao, registry, reporter, does, say, refuses } = await judge();
    await does(scheduleImage(registry.address, 1n));
    await does(scheduleModel(1n));
    net.later(DAY * 3);
    await refuses(RegistryErr.notRevoked, revokedUse(Kind.image, { time: net.now + 9999 }));
    await does(revoke(Kind.image, 1n));
    const at = net.now;
    net.later(DAY);
    // A second revocation does not make the first one younger.
    await does(revoke(Kind.image, 1n, 'still leaks'));
    await refuses(RegistryErr.notRevoked, revokedUse(Kind.image, { time: at + 600 }));
    await refuses(RegistryErr.notRevoked, revokedUse(Kind.model, { time: at + 601 }));
    await refuses(RegistryErr.noEntry, revokedUse(Kind.image, { time: at + 601, image: 2n }));
    await refuses(RegistryErr.badKind, revokedUse(3n, { time: at + 601 }));
    await refuses(FaultErr.badSignature, revokedUse(Kind.image, { time: at + 601 }, keys('thief')));
    await refuses(FaultErr.otherNetwork, revokedUse(Kind.image, { time: at + 601, globalId: -239 }));
    const balance = await net.balance(registry.address);
    const accused = async (proof: Cell, note: string) => {
        const [tx, bounce] = allOn(await say(proof), registry.address);
        noteGas(note, assertOk(tx));
        assertOk(bounce);
        const [word, ...more] = sent(tx);
        assert.equal(more.length, 0);
        assert.ok(word.to.equals(dao.governor.address) && word.bounce && word.value > ton('0.45'));
        const { account, node, reporter: by } = loadPunishNode(word.body.beginParse());
        assert.ok(account.equals(ACCOUNT) && by.equals(reporter.address));
        assert.equal(node, publicKey(NODE));
    };
    await accused(revokedUse(Kind.image, { time: at + 601 }), 'registry: accuse a node');
    await does(revoke(Kind.model, 1n));
    await accused(revokedUse(Kind.model, { time: net.now + 601, image: 77n }), 'registry: accuse a node by its model');
    // The governor has not been told to listen to this registry: what bounces stays, nobody is harmed.
    assert.ok((await net.balance(registry.address)) > balance);
});

test('an entry that was approved anew, or removed, is no fault any more', async () => {
    const { net, registry, does, refuses } = await judge();
    await does(scheduleImage(registry.address, 1n));
    await does(revoke(Kind.image, 1n));
    const time = net.now + 601;
    await does(scheduleImage(registry.address, 1n));
    await refuses(RegistryErr.notRevoked, revokedUse(Kind.image, { time }));
    await does(revoke(Kind.image, 1n));
    await does(remove(Kind.image, 1n));
    await refuses(RegistryErr.noEntry, revokedUse(Kind.image, { time: net.now + 601 }));
});

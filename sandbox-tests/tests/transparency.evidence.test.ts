// TL-2, TL-3: anybody brings a node's evidence, only the node's key makes it a leaf, and whoever brings it pays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell, beginCell } from '@ton/core';
import { BURN } from '../support/channel';
import {
    EvidenceFields,
    LOG_ENTRY_VALUE,
    LOG_EVIDENCE_FEE,
    LOG_EVIDENCE_VALUE,
    LOG_RESERVE,
    LogErr,
    bytes,
    entryBody,
    evidenceBody,
    evidenceLeaf,
    hashLeaf,
    merkleRoot,
    number,
    openLog,
} from '../support/log';
import { impersonate } from '../support/dao';
import { Network, YEAR, actionCode, assertOk, compute, keys, noteGas, on, op, publicKey, sent, storageFee, ton } from '../support/network';

const NODE = keys('node');
const DIGEST = 0xd16e57n;

async function open() {
    const net = await Network.create();
    const registry = (await net.wallet('registry')).address;
    const log = await openLog(net, registry);
    const payer = await net.wallet('payer');
    const bring = (fields: Partial<EvidenceFields> = {}, value = LOG_EVIDENCE_VALUE) =>
        net.send(payer, log.address, value, evidenceBody(log.address, { keys: NODE, digest: DIGEST, ...fields }));
    return { net, registry, log, payer, bring };
}

test('evidence becomes a leaf that names node, digest and time, and not who brought it', async () => {
    const { net, log, bring } = await open();
    const tx = assertOk(on(await bring(), log.address));
    noteGas('log: evidence, size 0', tx);
    const leaf = evidenceLeaf(publicKey(NODE), DIGEST, net.now);
    assert.equal(leaf.length, 72);
    assert.deepEqual(await log.getHead(), { $$type: 'LogHead', size: 1n, root: number(hashLeaf(leaf)) });
});

test('spam pays: the fee burns, gas is paid, the rest comes back, and the log keeps what it had', async () => {
    const { net, log, payer, bring } = await open();
    assertOk(on(await bring(), log.address));
    const before = await net.balance(log.address);
    const result = await bring({}, ton('1'));
    const tx = assertOk(on(result, log.address));
    const [burnt, rest] = sent(tx);
    assert.ok(burnt.to.equals(BURN));
    assert.equal(burnt.value, LOG_EVIDENCE_FEE);
    assert.ok(rest.to.equals(payer.address) && rest.value > ton('0.97') && !rest.bounce);
    assert.equal(await net.balance(log.address), before - storageFee(tx));
    // For less there is no leaf.
    await net.refused(log.address, LogErr.lowValue, () => bring({}, LOG_EVIDENCE_VALUE - 1n));
    assert.equal((await log.getHead()).size, 2n);
    assert.equal(await net.balance(log.address), before - storageFee(tx));
});

test('whoever brings evidence restores what storage took', async () => {
    const { net, log, bring } = await open();
    net.later(YEAR);
    const tx = assertOk(on(await bring({}, ton('0.2')), log.address));
    assert.ok(storageFee(tx) > 0n && storageFee(tx) < LOG_RESERVE / 3n, `a year costs ${storageFee(tx)}`);
    assert.equal(await net.balance(log.address), LOG_RESERVE);
    // Who cannot restore it is refused, and has the money back.
    net.later(4 * YEAR);
    const poor = on(await bring({}, LOG_EVIDENCE_VALUE), log.address);
    assert.equal(actionCode(poor), 37);
    assert.equal((await log.getHead()).size, 1n);
});

test('attack_58_evidence_on_anothers_behalf: without the key that is named nothing is logged', async () => {
    const { net, log, bring } = await open();
    const other = keys('somebody else');
    await net.refused(log.address, LogErr.badSignature, () => bring({ keys: other, node: publicKey(NODE) }));
    // Signed for another log, another network, as something else, or by cells that are no signature.
    const elsewhere = (await net.wallet('another log')).address;
    await net.refused(log.address, LogErr.badSignature, () => bring({ at: elsewhere }));
    await net.refused(log.address, LogErr.badSignature, () => bring({ globalId: -239 }));
    await net.refused(log.address, LogErr.badSignature, () => bring({ tag: 0x52435031n }));
    const payer = await net.wallet('payer');
    const s = evidenceBody(log.address, { keys: NODE, digest: DIGEST }).beginParse();
    const head = s.loadBits(32 + 64 + 256 + 256);
    const empty = beginCell().storeBits(head).storeRef(Cell.EMPTY).endCell();
    assert.notEqual(compute(on(await net.send(payer, log.address, LOG_EVIDENCE_VALUE, empty), log.address)).exitCode, 0);
    // And a digest that was not signed.
    const swapped = beginCell().storeUint(0x544c0002, 32).storeUint(9, 64).storeUint(publicKey(NODE), 256).storeUint(DIGEST + 1n, 256);
    const body = swapped.storeRef(s.loadRef()).endCell();
    await net.refused(log.address, LogErr.badSignature, () => net.send(payer, log.address, LOG_EVIDENCE_VALUE, body));
    assert.equal((await log.getHead()).size, 0n);
});

test('evidence brought twice is two leaves of two times: the first one stands', async () => {
    const { net, log, bring } = await open();
    const leaves = [];
    for (let i = 0; i < 2; i += 1) {
        assertOk(on(await bring(), log.address));
        leaves.push(hashLeaf(evidenceLeaf(publicKey(NODE), DIGEST, net.now)));
        net.later(60);
    }
    assert.deepEqual(await log.getHead(), { $$type: 'LogHead', size: 2n, root: number(merkleRoot(leaves)) });
});

test('the messages that came are the whole tree: whoever reads them has every leaf', async () => {
    const { net, registry, log, bring } = await open();
    const transactions = [];
    for (let i = 0; i < 21; i += 1) {
        net.later(7);
        const words = entryBody({ revision: BigInt(i) });
        const result = i % 3 === 0 ? await impersonate(net, registry, log.address, words, LOG_ENTRY_VALUE) : await bring({ digest: BigInt(i) });
        transactions.push(assertOk(on(result, log.address)));
        // What is refused is no leaf.
        if (i % 5 === 0) await bring({ node: 1n });
    }
    const leaves = transactions.map((tx) => {
        const body = tx.inMessage!.body;
        if (op(body) === 0x544c0001) return bytes(body);
        const s = body.beginParse().skip(32 + 64);
        return evidenceLeaf(s.loadUintBig(256), s.loadUintBig(256), tx.now);
    });
    assert.deepEqual(await log.getHead(), { $$type: 'LogHead', size: 21n, root: number(merkleRoot(leaves.map(hashLeaf))) });
});

test('an entry and a piece of evidence are never the same leaf', () => {
    assert.notEqual(bytes(entryBody()).length, evidenceLeaf(1n, 2n, 3).length);
    assert.notEqual(bytes(entryBody()).readUInt32BE(0), evidenceLeaf(1n, 2n, 3).readUInt32BE(0));
});

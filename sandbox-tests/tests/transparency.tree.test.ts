// TL-4, TL-5: the tree that the log grows is that of RFC 9162, at every size and with every shape of its peaks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell, beginCell } from '@ton/core';
import { createShardAccount } from '@ton/sandbox';
import { TransparencyLog } from '../build/TransparencyLog';
import { impersonate } from '../support/dao';
import { LOG_ENTRY_VALUE, bytes, entryBody, hashLeaf, hashNode, merkleRoot, number, openLog } from '../support/log';
import { Network, assertOk, compute, noteGas, on, sent, storageFee, ton } from '../support/network';

const EMPTY = 0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855n;

async function aLog() {
    const net = await Network.create();
    const registry = (await net.wallet('registry')).address;
    const log = await openLog(net, registry);
    const say = (body: Cell, value = LOG_ENTRY_VALUE) => impersonate(net, registry, log.address, body, value);
    return { net, registry, log, say };
}

/** Any 32 bytes, the same on every run. */
const some = (i: number) => beginCell().storeUint(i, 32).endCell().hash();

/** Peaks of a full subtree for each bit of `size`, and the same as a list from the largest subtree to the smallest. */
function peaksOf(size: bigint): { cell: Cell | null; hashes: Uint8Array[] } {
    let cell: Cell | null = null;
    const hashes: Uint8Array[] = [];
    for (let bit = 63; bit >= 0; bit -= 1) {
        if (((size >> BigInt(bit)) & 1n) === 0n) continue;
        hashes.push(some(bit));
        cell = beginCell().storeBuffer(some(bit)).storeMaybeRef(cell).endCell();
    }
    return { cell, hashes };
}

/** A log with this many leaves, put on the chain as it is. */
async function grown(size: bigint) {
    const { net, registry, say, log } = await aLog();
    const { cell, hashes } = peaksOf(size);
    const { code } = log.init!;
    const { data } = (await TransparencyLog.fromInit(registry, size, cell)).init!;
    await net.chain.setShardAccount(log.address, createShardAccount({ address: log.address, code, data, balance: ton('0.1') }));
    return { net, registry, say, log, hashes };
}

test('the head is the tree head of RFC 9162 at every size from 0 to 130', async () => {
    const { log, say } = await aLog();
    const leaves: Uint8Array[] = [];
    assert.deepEqual(await log.getHead(), { $$type: 'LogHead', size: 0n, root: EMPTY });
    for (let size = 1; size <= 130; size += 1) {
        const body = entryBody({ revision: BigInt(size), id: number(some(size)) });
        assertOk(on(await say(body), log.address));
        leaves.push(hashLeaf(bytes(body)));
        assert.deepEqual(await log.getHead(), { $$type: 'LogHead', size: BigInt(size), root: number(merkleRoot(leaves)) });
    }
});

test('the root over known leaves is the known one', async () => {
    // From the test vectors of RFC 6962's reference implementation: its first leaf is the empty string.
    assert.equal(number(hashLeaf(Buffer.alloc(0))), 0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01dn);
    const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
    const hashes = leaves.map((hex) => hashLeaf(Buffer.from(hex, 'hex')));
    assert.equal(number(merkleRoot(hashes)), 0x5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328n);
    assert.equal(number(merkleRoot(hashes.slice(0, 7))), 0xddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8cn);
    assert.equal(number(merkleRoot([])), EMPTY);
});

test('two leaves in another order are another tree', async () => {
    const heads = [];
    for (const order of [[1n, 2n], [2n, 1n]]) {
        const { log, say } = await aLog();
        for (const revision of order) assertOk(on(await say(entryBody({ revision })), log.address));
        heads.push((await log.getHead()).root);
    }
    assert.notEqual(heads[0], heads[1]);
});

for (const height of [20, 32, 63]) {
    test(`a leaf that completes a subtree of 2^${height} leaves costs less than an entry brings`, async () => {
        const { log, say, hashes } = await grown((1n << BigInt(height)) - 1n);
        const body = entryBody();
        const tx = assertOk(on(await say(body, LOG_ENTRY_VALUE - ton('0.001')), log.address));
        noteGas(`log: an entry, size 2^${height} - 1`, tx);
        let root: Uint8Array = hashLeaf(bytes(body));
        for (const peak of hashes.reverse()) root = hashNode(peak, root);
        assert.deepEqual(await log.getHead(), { $$type: 'LogHead', size: 1n << BigInt(height), root: number(root) });
        assert.ok(tx.totalFees.coins < LOG_ENTRY_VALUE - ton('0.001'), 'the log pays for itself');
    });
}

test('an entry of a small log costs little, and what is left stays for storage', async () => {
    const { net, log, say } = await aLog();
    const before = await net.balance(log.address);
    const tx = assertOk(on(await say(entryBody()), log.address));
    noteGas('log: an entry, size 0', tx);
    assert.deepEqual(sent(tx), [], 'nothing is answered');
    assert.ok((await net.balance(log.address)) > before + ton('0.015') - storageFee(tx));
    assert.ok(compute(tx).gas < 6000);
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { BitString, beginCell } from '@ton/core';
import { sha256_sync, sign } from '@ton/crypto';
import { sha256_fallback } from '@ton/crypto/dist/primitives/sha256';
import nacl from 'tweetnacl';
import { fastPadding, fastSha256, fastSign } from '../support/fast';
import { keys } from '../support/network';

test('hashes and signatures made by Node are those of the libraries, and are the ones in use', async () => {
    assert.equal(sha256_sync, fastSha256);
    assert.equal(sign, fastSign);
    for (let i = 0; i < 50; i++) {
        const data = createHash('sha512').update(`${i}`).digest().subarray(0, i);
        assert.deepEqual(fastSha256(data), await sha256_fallback(data));
        const { secretKey, publicKey } = keys(`fast ${i}`);
        const pair = nacl.sign.keyPair.fromSeed(new Uint8Array(secretKey.subarray(0, 32)));
        assert.deepEqual([publicKey, secretKey], [Buffer.from(pair.publicKey), Buffer.from(pair.secretKey)]);
        const signature = fastSign(data, secretKey);
        assert.deepEqual(signature, Buffer.from(nacl.sign.detached(new Uint8Array(data), new Uint8Array(secretKey))));
        assert.ok(nacl.sign.detached.verify(data, signature, publicKey));
    }
    assert.deepEqual(fastSha256('ü'), fastSha256(Buffer.from('ü', 'utf8')));
    assert.equal(beginCell().endCell().hash().toString('hex'), '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7');
    // Padding, bit by bit: every length, from every offset in a byte.
    const source = createHash('sha512').update('bits').digest();
    for (let offset = 0; offset < 8; offset++) {
        for (let length = 0; length < 40; length++) {
            const bits = new BitString(source, offset, length);
            const text = Array.from({ length }, (_, i) => (bits.at(i) ? '1' : '0')).join('') + (length % 8 ? '1' : '');
            const bytes = (text.padEnd(Math.ceil(text.length / 8) * 8, '0').match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2));
            assert.deepEqual([...fastPadding(bits)], bytes, `${length} bits from ${offset}`);
        }
    }
});

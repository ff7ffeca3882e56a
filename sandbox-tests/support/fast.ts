// Makes @ton/core and @ton/sandbox faster without changing what they compute; imported for that alone.
//
// Their SHA-256 and Ed25519 are written in JavaScript: Node's own give the same bytes in a twentieth of the time. Their
// WebAssembly, always the same bytes, is compiled anew for every chain: here it is compiled once in a process, and one TVM serves
// all chains, because it keeps nothing between two calls but the configuration.
import { KeyObject, createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { BitString } from '@ton/core';
import { Executor } from '@ton/sandbox';
import nacl = require('@ton/crypto/dist/primitives/nacl');
import sha256 = require('@ton/crypto/dist/primitives/sha256');
import padded = require('@ton/core/dist/boc/utils/paddedBits');

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** RFC 8410: what stands before an Ed25519 seed in a private key. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const privateKeys = new Map<string, KeyObject>();

function privateKey(seed: Buffer): KeyObject {
    const name = seed.toString('hex');
    let key = privateKeys.get(name);
    if (!key) {
        key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
        privateKeys.set(name, key);
    }
    return key;
}

export function fastSha256(source: Buffer | string): Buffer {
    return createHash('sha256').update(source).digest();
}

/** A secret key is the seed and the public key, as everywhere in TON. */
export function fastSign(data: Buffer, secretKey: Buffer): Buffer {
    return sign(null, data, privateKey(secretKey.subarray(0, 32)));
}

/** Node's own key pair of a seed, as tweetnacl lays it out. */
export function fastKeyPair(seed: Buffer): { publicKey: Buffer; secretKey: Buffer } {
    const publicKey = createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' }).subarray(-32);
    return { publicKey, secretKey: Buffer.concat([seed, publicKey]) };
}

/** The bits of a cell with the closing bit and zeros to the next byte, whole bytes at once where that is possible. */
export function fastPadding(bits: BitString): Buffer {
    const whole = bits.length >> 3;
    const rest = bits.length & 7;
    const head = whole === 0 ? Buffer.alloc(0) : bits.subbuffer(0, whole * 8);
    if (!head) return slowPadding(bits);
    const out = Buffer.alloc(rest ? whole + 1 : whole);
    head.copy(out);
    if (rest) {
        let last = 0x80 >> rest;
        for (let i = 0; i < rest; i++) if (bits.at(whole * 8 + i)) last |= 0x80 >> i;
        out[whole] = last;
    }
    return out;
}

const slowPadding = padded.bitsToPaddedBuffer;

const modules = new WeakMap<object, Promise<WebAssembly.Module>>();

function compileWasmOnce(): void {
    const instantiate = WebAssembly.instantiate.bind(WebAssembly) as (
        module: WebAssembly.Module,
        imports?: WebAssembly.Imports,
    ) => Promise<WebAssembly.Instance>;
    const once = async (source: BufferSource | WebAssembly.Module, imports?: WebAssembly.Imports) => {
        if (source instanceof WebAssembly.Module) return instantiate(source, imports);
        let compiled = modules.get(source);
        if (!compiled) modules.set(source, (compiled = WebAssembly.compile(source)));
        const module = await compiled;
        return { module, instance: await instantiate(module, imports) };
    };
    WebAssembly.instantiate = once as typeof WebAssembly.instantiate;
}

function shareExecutor(): void {
    const create = Executor.create.bind(Executor);
    let shared: ReturnType<typeof create> | undefined;
    Executor.create = (opts) => (opts?.debug ? create(opts) : (shared ??= create(opts)));
}

const done = Symbol.for('cocoon.fast');
const world = globalThis as { [done]?: true };
if (!world[done]) {
    world[done] = true;
    (sha256 as Writable<typeof sha256>).sha256_sync = fastSha256;
    (nacl as Writable<typeof nacl>).sign = fastSign;
    (nacl as Writable<typeof nacl>).keyPairFromSeed = fastKeyPair;
    (padded as Writable<typeof padded>).bitsToPaddedBuffer = fastPadding;
    compileWasmOnce();
    shareExecutor();
}

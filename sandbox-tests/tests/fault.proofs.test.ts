// FR-6 to FR-8: each kind of proof that a stake account judges, against every pair that is malformed or merely honest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, Cell, beginCell } from '@ton/core';
import { KeyPair } from '@ton/crypto';
import { Dao } from '../support/dao';
import { Network, keys, noteGas, on, publicKey, ton } from '../support/network';
import { AcceptanceFields, Fault, FaultErr, ReceiptFields, acceptance, accuse, proofOf, receipt, signed } from '../support/reports';
import { ok, registerNode, solvent } from '../support/staking';

const { twoReceipts, wrongModel, twoImages } = Fault;
const NODE = keys('node');
const THIEF = keys('thief');
const OTHER_CHANNEL = new Address(0, Buffer.alloc(32, 4));
/** TVM: a cell ends before what is read of it. */
const CELL_UNDERFLOW = 9;

/** A bonded node, and its judge's answer to a proof. */
async function bench() {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    ok(await registerNode(dao, ann, 'node', { bond: ton('100') }), ann);
    const reporter = await net.wallet('reporter');
    const { address } = ann.account;
    const time = net.now;
    return {
        net,
        said: (fields: Partial<ReceiptFields> = {}) => receipt({ time, ...fields }),
        promised: (fields: Partial<AcceptanceFields> = {}) => acceptance({ time, ...fields }),
        refuses: (code: number, proof: Cell) => net.refused(address, code, () => accuse(net, address, reporter, proof)),
        convicts: async (name: string, proof: Cell) => {
            const result = ok(await accuse(net, address, reporter, proof), ann);
            noteGas(`stake: slash, ${name}`, on(result, address));
            assert.equal((await solvent(net, ann)).held, ton('400'));
        },
    };
}

type Bench = Awaited<ReturnType<typeof bench>>;

/** Whatever the kind: what is not the accused key's own, whole and for this network convicts nobody. */
async function onlyOwnWords({ refuses }: Bench, kind: number, first: (tamper?: object) => Cell, second: (tamper?: object) => Cell) {
    const proof = (a: Cell, b: Cell, signers?: [KeyPair, KeyPair]) => proofOf(kind, NODE, a, b, signers);
    for (const signers of [[NODE, THIEF], [THIEF, NODE], [THIEF, THIEF]] as [KeyPair, KeyPair][]) {
        await refuses(FaultErr.badSignature, proof(first(), second(), signers));
    }
    for (const [code, tamper] of [
        [FaultErr.otherNetwork, { globalId: -239 }],
        [FaultErr.badFormat, { tag: 0x56434831 }],
        [FaultErr.badFormat, { tail: 1 }],
    ] as const) {
        await refuses(code, proof(first(tamper), second()));
        await refuses(code, proof(first(), second(tamper)));
    }
    await refuses(FaultErr.badFormat, proof(first(), second({ contentTail: 8 })));
    // The proof itself: of another kind, cut short, or with something behind its fields.
    const whole = proof(first(), second());
    const [a, b] = whole.refs;
    const head = (k: number) => beginCell().storeUint(k, 32).storeUint(publicKey(NODE), 256);
    for (const other of [0, 0x46503030, Fault.revokedUse, 0x46503035, 0x46503036]) {
        await refuses(FaultErr.otherKind, head(other).storeRef(a).storeRef(b).endCell());
    }
    await refuses(FaultErr.badFormat, head(kind).storeRef(a).storeRef(b).storeUint(0, 1).endCell());
    await refuses(FaultErr.badFormat, head(kind).storeRef(a).storeRef(b).storeRef(Cell.EMPTY).endCell());
    for (const short of [head(kind).endCell(), head(kind).storeRef(a).endCell(), beginCell().storeUint(kind, 32).endCell(), Cell.EMPTY]) {
        await refuses(CELL_UNDERFLOW, short);
    }
    // A Signed with more than a signature and a body, or less.
    const bits = a.beginParse().loadBuffer(64);
    await refuses(FaultErr.badFormat, head(kind).storeRef(beginCell().storeBuffer(bits).storeRef(first()).storeUint(1, 1).endCell()).storeRef(b).endCell());
    await refuses(FaultErr.badFormat, head(kind).storeRef(a).storeRef(beginCell().storeBuffer(bits).storeRef(second()).storeRef(first()).endCell()).endCell());
    await refuses(CELL_UNDERFLOW, head(kind).storeRef(beginCell().storeBuffer(bits).endCell()).storeRef(b).endCell());
    await refuses(CELL_UNDERFLOW, head(kind).storeRef(a).storeRef(beginCell().storeBuffer(bits.subarray(1)).storeRef(second()).endCell()).endCell());
    // A signature over the other body.
    await refuses(FaultErr.badSignature, head(kind).storeRef(beginCell().storeBuffer(bits).storeRef(second()).endCell()).storeRef(b).endCell());
}

test('attack_55_signed_for_another_network: two receipts convict by the node\'s own, whole words for this network alone', async () => {
    const b = await bench();
    await onlyOwnWords(b, twoReceipts, (t) => b.said(t), (t) => b.said({ response: 13n, ...t }));
    await b.convicts('two receipts', proofOf(twoReceipts, NODE, b.said(), b.said({ response: 13n })));
});

test('attack_55_signed_for_another_network: a broken promise convicts by the node\'s own, whole words for this network alone', async () => {
    const b = await bench();
    await onlyOwnWords(b, wrongModel, (t) => b.promised({ model: 2n, ...t }), (t) => b.said(t));
    await b.convicts('a broken promise', proofOf(wrongModel, NODE, b.promised({ model: 2n }), b.said()));
});

test('attack_55_signed_for_another_network: two images convict by the node\'s own, whole words for this network alone', async () => {
    const b = await bench();
    await onlyOwnWords(b, twoImages, (t) => b.said(t), (t) => b.said({ image: 2n, ...t }));
    await b.convicts('two images', proofOf(twoImages, NODE, b.said(), b.said({ image: 2n })));
});

test('attack_5_one_signature_as_another: an acceptance is no receipt, a receipt no acceptance, a registration neither', async () => {
    const { said, promised, refuses } = await bench();
    const registration = beginCell().storeUint(0x4e4f4431, 32).storeInt(0, 32).storeAddress(OTHER_CHANNEL).storeUint(publicKey(NODE), 256).endCell();
    for (const kind of [twoReceipts, twoImages]) {
        for (const stranger of [promised(), registration]) {
            await refuses(FaultErr.badFormat, proofOf(kind, NODE, stranger, said()));
            await refuses(FaultErr.badFormat, proofOf(kind, NODE, said(), stranger));
        }
    }
    for (const stranger of [said(), registration]) await refuses(FaultErr.badFormat, proofOf(wrongModel, NODE, stranger, said()));
    for (const stranger of [promised(), registration]) await refuses(FaultErr.badFormat, proofOf(wrongModel, NODE, promised(), stranger));
});

test('FR-6: two receipts of one number are a contradiction whatever differs; of two numbers or channels they are work', async () => {
    const { net } = await bench();
    const differences: Partial<ReceiptFields>[] = [
        { response: 13n },
        { request: 14n },
        { model: 2n },
        { image: 2n },
        { time: net.now + 1 },
    ];
    for (const difference of differences) {
        const b = await bench();
        const [one, two] = [b.said(), b.said(difference)];
        // The same words, signed twice or shown twice, are one statement.
        await b.refuses(FaultErr.noContradiction, proofOf(twoReceipts, NODE, one, one));
        await b.refuses(FaultErr.noContradiction, proofOf(twoReceipts, NODE, two, two));
        await b.refuses(FaultErr.noContradiction, proofOf(twoReceipts, NODE, one, b.said({ ...difference, seqno: 2n })));
        await b.refuses(FaultErr.noContradiction, proofOf(twoReceipts, NODE, one, b.said({ ...difference, channel: OTHER_CHANNEL })));
        await b.convicts('two receipts', proofOf(twoReceipts, NODE, two, one));
    }
});

test('FR-7: a promise is broken by the answer to it, within an hour, from another model', async () => {
    const b = await bench();
    const { net, said, promised, refuses } = b;
    const honest: [Partial<AcceptanceFields>, Partial<ReceiptFields>][] = [
        [{}, {}],
        [{ model: 2n }, { model: 2n }],
        [{ model: 2n, request: 12n }, {}],
        [{ model: 2n, channel: OTHER_CHANNEL }, {}],
        // An answer before the promise, and one so late that it is another's.
        [{ model: 2n, time: net.now + 1 }, {}],
        [{ model: 2n }, { time: net.now + 3601 }],
    ];
    for (const [promise, answer] of honest) await refuses(FaultErr.noContradiction, proofOf(wrongModel, NODE, promised(promise), said(answer)));
    await b.convicts('a broken promise', proofOf(wrongModel, NODE, promised({ model: 2n }), said({ time: net.now + 3600 })));
    const atOnce = await bench();
    await atOnce.convicts('a broken promise', proofOf(wrongModel, NODE, atOnce.promised({ model: 2n }), atOnce.said()));
});

test('FR-8: a key belongs to one image, wherever and whenever it signs', async () => {
    const b = await bench();
    const { net, said, refuses } = b;
    const honest: Partial<ReceiptFields>[] = [{}, { seqno: 2n }, { time: net.now + 9 }, { channel: OTHER_CHANNEL, model: 2n }, { response: 13n }];
    for (const words of honest) await refuses(FaultErr.noContradiction, proofOf(twoImages, NODE, said(), said(words)));
    await b.convicts('two images', proofOf(twoImages, NODE, said(), said({ image: 2n, channel: OTHER_CHANNEL, seqno: 9n, time: net.now + 99 })));
});

test('the key that is accused is the key that signed: nobody is convicted by what another one said', async () => {
    const { said, refuses } = await bench();
    // The thief contradicts itself and accuses the node, with the thief's signatures.
    await refuses(FaultErr.badSignature, proofOf(twoReceipts, NODE, said(), said({ response: 13n }), [THIEF, THIEF]));
    // A key of which nobody can have the secret half.
    const small = beginCell()
        .storeUint(twoReceipts, 32)
        .storeUint(0n, 256)
        .storeRef(signed(said(), THIEF))
        .storeRef(signed(said({ response: 13n }), THIEF))
        .endCell();
    await refuses(FaultErr.badSignature, small);
});

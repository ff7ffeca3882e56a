// The devnet's HTTP face, used by the TonClient of @ton/ton as on the public service.
import assert = require('node:assert/strict');
import child = require('node:child_process');
import fs = require('node:fs');
import os = require('node:os');
import path = require('node:path');
import readline = require('node:readline');
import test = require('node:test');
import core = require('@ton/core');
import crypto = require('@ton/crypto');
import ton = require('@ton/ton');

const { Address, beginCell, comment, internal, SendMode, toNano } = core;
const { PayChannel, storeChannelTerms } = require(path.join(process.env.COCOON_CONTRACTS!, 'PayChannel.ts'));

const GLOBAL_ID = 0x434f434e;
const keys = (name: string) => crypto.keyPairFromSeed(Buffer.alloc(32, name));
const number = (key: Buffer) => BigInt(`0x${key.toString('hex')}`);

class Network {
    private constructor(
        private readonly process: child.ChildProcess,
        private readonly lines: AsyncIterator<string>,
        private readonly folder: string,
        readonly client: ton.TonClient,
    ) {}

    static async start(): Promise<Network> {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'http-'));
        const config = path.join(folder, 'config.json');
        const server = child.spawn(process.env.COCOON_LITE!, ['--config-out', config], { stdio: ['pipe', 'pipe', 'inherit'] });
        const lines = readline.createInterface({ input: server.stdout! })[Symbol.asyncIterator]();
        const { http } = JSON.parse((await lines.next()).value);
        return new Network(server, lines, folder, new ton.TonClient({ endpoint: http }));
    }

    /** Pays from the account that has all the money. */
    async faucet(to: core.Address, amount: number): Promise<void> {
        this.process.stdin!.write(`faucet ${to.toRawString()} ${amount}\n`);
        const answer = JSON.parse((await this.lines.next()).value);
        assert.equal(answer.error, undefined);
    }

    async stop(): Promise<void> {
        this.process.stdin!.end();
        if (this.process.exitCode === null) await new Promise((resolve) => this.process.once('exit', resolve));
        fs.rmSync(this.folder, { recursive: true });
    }
}

let network: Network;
let client: ton.TonClient;

test.before(async () => {
    network = await Network.start();
    client = network.client;
});
test.after(() => network.stop());

test.test('the masterchain, its shards and their transactions', async () => {
    const to = new Address(0, Buffer.alloc(32, 'somebody'));
    await network.faucet(to, 3);
    const info = await client.getMasterchainInfo();
    assert.deepEqual([info.workchain, info.initSeqno, info.shard], [-1, 0, '-9223372036854775808']);
    let found = 0;
    for (let seqno = 1; seqno <= info.latestSeqno; seqno++) {
        const [shard] = await client.getWorkchainShards(seqno);
        assert.equal(shard.seqno, seqno);
        const list = await client.getShardTransactions(shard.workchain, shard.seqno, shard.shard);
        found += list.filter((one) => one.account.equals(to)).length;
    }
    assert.equal(found, 1);
});

test.test('the state and the balance of accounts', async () => {
    const nobody = new Address(0, Buffer.alloc(32, 'nobody'));
    assert.equal(await client.getBalance(nobody), 0n);
    const none = await client.getContractState(nobody);
    assert.deepEqual([none.state, none.lastTransaction, none.code], ['uninitialized', null, null]);
    const somebody = new Address(0, Buffer.alloc(32, 'a receiver'));
    await network.faucet(somebody, 2);
    assert.equal(await client.getBalance(somebody), toNano(2));
    assert.equal(await client.isContractDeployed(somebody), false);
});

for (const [name, version] of [
    ['V4', (publicKey: Buffer) => ton.WalletContractV4.create({ workchain: 0, publicKey })],
    ['V5', (publicKey: Buffer) => {
        const context = { workchain: 0, walletVersion: 'v5r1', subwalletNumber: 0 } as const;
        return ton.WalletContractV5R1.create({ publicKey, walletId: { networkGlobalId: GLOBAL_ID, context } });
    }],
] as const) {
    test.test(`a ${name} wallet is deployed by its first payment, and its history is paged`, async () => {
        const { publicKey, secretKey } = keys(`wallet ${name}`);
        const wallet = client.open(version(publicKey) as ton.WalletContractV4);
        const to = new Address(0, Buffer.alloc(32, `paid by ${name}`));
        await network.faucet(wallet.address, 10);
        const pay = (text: string) => ({
            secretKey,
            sendMode: SendMode.PAY_GAS_SEPARATELY,
            messages: [internal({ to, value: toNano('0.5'), bounce: false, body: comment(text) })],
        });
        for (let seqno = 0; seqno < 4; seqno++) {
            assert.equal(await wallet.getSeqno(), seqno);
            await wallet.sendTransfer({ seqno, ...pay(`payment ${seqno}`) });
        }
        assert.equal(await client.isContractDeployed(wallet.address), true);
        // A second may pass between two payments, for which the receiver pays storage.
        const storage = async () =>
            (await client.getTransactions(to, { limit: 100 })).reduce((sum, { description }) => {
                assert.equal(description.type, 'generic');
                return sum + ((description as core.TransactionDescriptionGeneric).storagePhase?.storageFeesCollected ?? 0n);
            }, 0n);
        assert.equal((await client.getBalance(to)) + (await storage()), toNano(2));

        // The newest first, and no payment twice or not at all.
        const all = await client.getTransactions(wallet.address, { limit: 100 });
        assert.equal(all.length, 5);
        const paged: core.Transaction[] = [];
        let from: { lt?: string; hash?: string } = {};
        for (;;) {
            const page = await client.getTransactions(wallet.address, { limit: 2, ...from });
            const last = page.at(-1);
            if (last === undefined) break;
            paged.push(...page);
            from = { lt: last.lt.toString(), hash: last.hash().toString('base64') };
        }
        assert.deepEqual(paged.map((one) => one.lt), all.map((one) => one.lt));
        const one = await client.getTransaction(wallet.address, all[1].lt.toString(), all[1].hash().toString('base64'));
        assert.ok(one?.hash().equals(all[1].hash()));

        // From either end of a message the other is found.
        const [sent] = all[0].outMessages.values();
        assert.equal(sent.info.type, 'internal');
        const createdLt = (sent.info as core.CommonMessageInfoInternal).createdLt.toString();
        const result = await client.tryLocateResultTx(wallet.address, to, createdLt);
        assert.ok(result.inMessage?.body.equals(comment('payment 3')));
        const source = await client.tryLocateSourceTx(wallet.address, to, createdLt);
        assert.ok(source.hash().equals(all[0].hash()));

        // A message that was taken is not taken again.
        await assert.rejects(wallet.sendTransfer({ seqno: 3, ...pay('again') }));
        assert.equal((await client.getBalance(to)) + (await storage()), toNano(2));
    });
}

test.test('an estimate is what the message then costs', async () => {
    const { publicKey, secretKey } = keys('careful');
    const contract = ton.WalletContractV4.create({ workchain: 0, publicKey });
    const wallet = client.open(contract);
    await network.faucet(wallet.address, 10);
    const to = new Address(0, Buffer.alloc(32, 'paid with care'));
    const messages = [internal({ to, value: toNano(1), bounce: false })];
    const body = contract.createTransfer({ seqno: 0, secretKey, sendMode: SendMode.PAY_GAS_SEPARATELY, messages });
    const { source_fees: fees } = await client.estimateExternalMessageFee(wallet.address, {
        body,
        initCode: contract.init.code,
        initData: contract.init.data,
        ignoreSignature: true,
    });
    await wallet.send(body);
    const [transaction] = await client.getTransactions(wallet.address, { limit: 1 });
    const left = await client.getBalance(wallet.address);
    const all = fees.in_fwd_fee + fees.storage_fee + fees.gas_fee + fees.fwd_fee;
    // A second may pass in between, for which storage is paid.
    const paid = toNano(10) - toNano(1) - left;
    assert.ok(paid - BigInt(all) >= 0n && paid - BigInt(all) < 100n, `estimated ${all}, paid ${paid}`);
    assert.ok(transaction.totalFees.coins > 0n);
});

test.test("a payment channel is opened with the compiler's wrappers, and read", async () => {
    const payer = keys('payer');
    const payee = new Address(0, Buffer.alloc(32, 'payee'));
    const wallet = client.open(ton.WalletContractV4.create({ workchain: 0, publicKey: payer.publicKey }));
    const terms = {
        $$type: 'ChannelTerms',
        payer: wallet.address,
        payee,
        payerKey: number(payer.publicKey),
        challenge: 3600n,
        salt: 1n,
        payeeKey: number(keys('payee').publicKey),
        protocolFeeBps: 0n,
    };
    const init = await PayChannel.fromInit(beginCell().store(storeChannelTerms(terms)).endCell(), 0n, 0n, 0n, 0n);
    const channel = client.open(init) as any;
    await network.faucet(wallet.address, 10);
    await channel.send(wallet.sender(payer.secretKey), { value: toNano('3.2') }, {
        $$type: 'TopUp',
        queryId: 1n,
        amount: toNano(3),
    });
    const state = await channel.getState();
    assert.equal(state.deposit, toNano(3));
    assert.ok(state.payee.equals(payee));
    const missing = await client.runMethodWithError(channel.address, 'no_such_getter');
    assert.equal(missing.exit_code, 11);
    await assert.rejects(client.runMethod(channel.address, 'no_such_getter'), /exit_code: 11/);
});

test.test('what cannot be answered is an error that says why', async () => {
    const answerOf = (error: any) => error.response?.data;
    const wrong = async (request: Promise<unknown>, code: number) => {
        const answer = await request.then(() => assert.fail('it was answered'), answerOf);
        assert.deepEqual([answer.ok, answer.code, answer.error.length > 0], [false, code, true]);
    };
    await wrong(client.sendFile(Buffer.from('no bag of cells')), 422);
    await wrong(client.getWorkchainShards(1_000_000), 500);
    await wrong(client.getTransactions(new Address(0, Buffer.alloc(32)), { limit: 100_000 }), 422);
});

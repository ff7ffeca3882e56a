// ton-lite-client with @ton/core and @ton/ton: wallets, getters, and reading. It checks no proofs, but parses everything.
'use strict';
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { after, before, test } = require('node:test');
const { Address, Cell, internal, serializeTuple, toNano } = require('@ton/core');
const { keyPairFromSeed } = require('@ton/crypto');
const { WalletContractV4, WalletContractV5R1 } = require('@ton/ton');
const { LiteClient, LiteRoundRobinEngine, LiteSingleEngine } = require('ton-lite-client');

const FULL = '-9223372036854775808';
let folder, devnet, lines, client, engine, ready;

/** Runs a command, as offchain/devnet/examples/lite.rs describes them. */
async function run(command) {
    devnet.stdin.write(`${command}\n`);
    const answer = JSON.parse((await lines.next()).value);
    assert.equal(answer.error, undefined, `${command}: ${answer.error}`);
    return answer.seqno;
}

/** Asks again until the answer is right: a block comes every second. */
async function eventually(question, holds) {
    for (let i = 0; i < 50; i++) {
        const answer = await question();
        if (holds(answer)) return answer;
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.fail('not in 10 s');
}

const newest = async () => (await client.getMasterchainInfo()).last;
const account = async (address) => client.getAccountState(address, await newest());

before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lite-'));
    const config = path.join(folder, 'config.json');
    devnet = spawn(process.env.COCOON_LITE, ['--config-out', config], { stdio: ['pipe', 'pipe', 'inherit'] });
    lines = readline.createInterface({ input: devnet.stdout })[Symbol.asyncIterator]();
    ready = JSON.parse((await lines.next()).value);
    const [server] = JSON.parse(fs.readFileSync(config)).liteservers;
    engine = new LiteRoundRobinEngine([
        new LiteSingleEngine({ host: `tcp://127.0.0.1:${server.port}`, publicKey: Buffer.from(server.id.key, 'base64') }),
    ]);
    client = new LiteClient({ engine });
});

after(async () => {
    engine?.close();
    devnet?.stdin.end();
    if (devnet && devnet.exitCode === null) await new Promise((resolve) => devnet.once('exit', resolve));
    fs.rmSync(folder, { recursive: true });
});

for (const [name, Wallet] of [['V4R2', WalletContractV4], ['V5R1', WalletContractV5R1]]) {
    test(`a ${name} wallet deploys itself, pays, and shows its history`, async () => {
        const keys = keyPairFromSeed(Buffer.alloc(32, name));
        const wallet = Wallet.create({
            workchain: 0,
            publicKey: keys.publicKey,
            // V5 signs for a network; its identifier is mixed with a number of the wallet.
            ...(name === 'V5R1' ? { walletId: { networkGlobalId: 0x434f434e } } : {}),
        });
        await run(`faucet ${wallet.address.toRawString()} 10`);
        const to = new Address(0, Buffer.alloc(32, `to ${name}`));
        const contract = client.open(wallet);
        await contract.sendTransfer({
            seqno: 0,
            secretKey: keys.secretKey,
            sendMode: 3,
            messages: [internal({ to, value: toNano('2'), bounce: false, body: 'thanks' })],
        });
        await eventually(() => account(to), (found) => found.balance.coins === toNano('2'));
        assert.equal(await contract.getSeqno(), 1);
        const found = await account(wallet.address);
        assert.equal(found.state.storage.state.type, 'active');
        const history = await client.getAccountTransactions(
            wallet.address, found.lastTx.lt.toString(), Buffer.from(found.lastTx.hash.toString(16).padStart(64, '0'), 'hex'), 10,
        );
        const cells = Cell.fromBoc(history.transactions);
        assert.equal(cells.length, 2);
        assert.equal(history.ids.length, 2);
    });
}

test('blocks, shards and states can be read and parsed', async () => {
    const last = await newest();
    const shards = await client.getAllShardsInfo(last);
    assert.equal(shards.shards['0'][FULL] ?? Object.values(shards.shards['0'])[0], last.seqno);
    for (let seqno = 1; seqno <= last.seqno; seqno++) {
        for (const workchain of [0, -1]) {
            const { id } = await client.lookupBlockByID({ workchain, shard: FULL, seqno });
            const header = await client.getBlockHeader(id);
            assert.equal(header.id.seqno, seqno);
            // It looks at the block before, and the beginning is no block.
            if (seqno > 1) assert.equal((await client.getFullBlock(seqno)).shards.length, 2);
            const listed = await client.listBlockTransactions(id, { mode: 1 + 2 + 4, count: 100 });
            for (const one of listed.ids) {
                const address = new Address(workchain, one.account);
                const transaction = await client.getAccountTransaction(address, one.lt, id);
                assert.deepEqual(Cell.fromBoc(transaction.transaction)[0].hash(), one.hash);
            }
        }
    }
    assert.equal(typeof (await client.getCurrentTime()), 'number');
    assert.equal((await client.getVersion()).version, 0x101);
});

test('the configuration can be read', async () => {
    const last = await newest();
    const all = await client.getConfig(last);
    assert.ok(all.config.size > 20);
});

test('a getter that is not there says so', async () => {
    const params = serializeTuple([]).toBoc();
    const { exitCode } = await client.runMethod(Address.parse(ready.giver), 'no_such_getter', params, await newest());
    assert.equal(exitCode, 11);
});

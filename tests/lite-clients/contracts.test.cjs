// The project's own contracts, driven by the TypeScript wrappers that the Tact compiler makes, through ton-lite-client.
'use strict';
const assert = require('node:assert/strict');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { Address, beginCell, toNano } = require('@ton/core');
const { keyPairFromSeed, sign } = require('@ton/crypto');
const { WalletContractV4 } = require('@ton/ton');
const { Network, eventually } = require('./network.cjs');
const { PayChannel, storeChannelTerms } = require(path.join(process.env.COCOON_CONTRACTS, 'PayChannel.ts'));

const GLOBAL_ID = 0x434f434e;
const VOUCHER_TAG = 0x56434831;
const number = (key) => BigInt(`0x${key.toString('hex')}`);
let network;

before(async () => {
    network = await Network.start();
});
after(() => network.stop());

test('a payment channel is opened, paid from by voucher, and read', async () => {
    const payerKeys = keyPairFromSeed(Buffer.alloc(32, 'payer'));
    const payeeKeys = keyPairFromSeed(Buffer.alloc(32, 'payee'));
    const wallet = network.client.open(WalletContractV4.create({ workchain: 0, publicKey: payerKeys.publicKey }));
    const payee = new Address(0, Buffer.alloc(32, 'payee'));
    const terms = {
        $$type: 'ChannelTerms',
        payer: wallet.address,
        payee,
        payerKey: number(payerKeys.publicKey),
        challenge: 3600n,
        salt: 1n,
        payeeKey: number(payeeKeys.publicKey),
        // No fee, in versions that have one.
        protocolFeeBps: 0n,
    };
    const init = await PayChannel.fromInit(beginCell().store(storeChannelTerms(terms)).endCell(), 0n, 0n, 0n, 0n);
    const channel = network.client.open(init);
    await network.run(`faucet ${wallet.address.toRawString()} 10`);
    // The client cannot deploy where there is nothing at all.
    await network.run(`faucet ${channel.address.toRawString()} 1`);

    const sender = wallet.sender(payerKeys.secretKey);
    const topUp = { $$type: 'TopUp', queryId: 1n, amount: toNano('3') };
    await channel.send(sender, { value: toNano('3.2') }, topUp);
    const opened = await eventually(() => channel.getState().catch(() => null), (state) => state?.deposit === toNano('3'));
    assert.ok(opened.payee.equals(payee));
    assert.equal(opened.claimed, 0n);

    const voucher = beginCell()
        .storeUint(VOUCHER_TAG, 32)
        .storeInt(GLOBAL_ID, 32)
        .storeAddress(channel.address)
        .storeCoins(toNano('1.25'))
        .storeUint(0, 32)
        .storeMaybeRef(null)
        .endCell();
    const signature = sign(voucher.hash(), payerKeys.secretKey);
    await channel.send(sender, { value: toNano('0.1') }, { $$type: 'Claim', queryId: 2n, signature, voucher });
    await eventually(() => channel.getState(), (state) => state.claimed === toNano('1.25'));
    const paid = await eventually(() => network.account(payee), (account) => account.balance.coins > 0n);
    assert.equal(paid.balance.coins, toNano('1.25'));
});

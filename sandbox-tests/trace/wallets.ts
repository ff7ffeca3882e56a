// Wallets V4R2 and V5R1: transfers, refusals, failures, and accounts that do not exist.
import { Address, Cell, MessageRelaxed, SendMode, beginCell, comment, external, internal, toNano } from '@ton/core';
import { WalletContractV4, WalletContractV5R1 } from '@ton/ton';
import { GLOBAL_ID, YEAR, keys, ton } from '../support/network';
import { Recorder } from './recorder';

export async function recordWallets(rec: Recorder): Promise<void> {
    const net = await rec.network();
    const bank = await rec.step('wallets: bank', () => net.wallet('bank'));
    const nobody = Address.parse('0:' + '11'.repeat(32));
    const someone = Address.parse('0:' + '12'.repeat(32));

    const pair = keys('wallet');
    const { publicKey, secretKey } = pair;
    const v4 = net.chain.openContract(WalletContractV4.create({ workchain: 0, publicKey }));
    const v5 = net.chain.openContract(WalletContractV5R1.create({ publicKey, walletId: { networkGlobalId: GLOBAL_ID } }));
    type Order = { seqno?: number; messages: MessageRelaxed[]; sendMode?: SendMode; timeout?: number; secretKey?: Buffer };

    for (const [kind, wallet] of [
        ['v4r2', v4],
        ['v5r1', v5],
    ] as const) {
        const step = (name: string, action: () => Promise<unknown>) => rec.step(`${kind}: ${name}`, action);
        const refused = (name: string, action: () => Promise<unknown>) => rec.refusedStep(`${kind}: ${name}`, action);
        let seqno = 0;
        const order = async (o: Order) => {
            await wallet.sendTransfer({
                seqno: o.seqno ?? seqno,
                secretKey: o.secretKey ?? secretKey,
                messages: o.messages,
                sendMode: o.sendMode ?? SendMode.PAY_GAS_SEPARATELY | SendMode.IGNORE_ERRORS,
                timeout: o.timeout ?? net.now + 60,
            });
            if (o.seqno === undefined) seqno += 1;
        };
        const pay = (to: Address, value: string, body?: Cell | string, bounce = false) => internal({ to, value: toNano(value), body, bounce });

        await step('funded before it exists', () => bank.send({ to: wallet.address, value: ton('5'), bounce: false }));
        await step('first transfer deploys', () => order({ messages: [pay(someone, '0.1', comment('hello'))] }));
        await step('seqno', () => wallet.getSeqno());
        await step('transfer to a contract', () => order({ messages: [pay(bank.address, '0.2', 'a comment', true)] }));
        await step('four messages', () => order({ messages: [1, 2, 3, 4].map((n) => pay(someone, `0.0${n}`)) }));
        await step('long comment in several cells', () => order({ messages: [pay(bank.address, '0.3', comment('x'.repeat(600)))] }));
        await step('bounced by nobody', () => order({ messages: [pay(nobody, '0.05', 'come back', true)] }));
        await step('more than it has, ignored', () => order({ messages: [pay(bank.address, '100'), pay(bank.address, '0.01')] }));
        await step('more than it has, action phase fails', () =>
            order({ messages: [pay(bank.address, '100')], sendMode: SendMode.PAY_GAS_SEPARATELY }).then(
                () => undefined,
                () => undefined,
            ),
        );
        seqno = await wallet.getSeqno();
        await refused('wrong seqno', () => order({ seqno: 99, messages: [pay(bank.address, '0.1')] }));
        await refused('seqno of the last transfer', () => order({ seqno: seqno - 1, messages: [pay(bank.address, '0.1')] }));
        await refused('expired', () => order({ seqno, timeout: net.now, messages: [pay(bank.address, '0.1')] }));
        await refused('wrong key', () => order({ seqno, secretKey: keys('thief').secretKey, messages: [pay(bank.address, '0.1')] }));
        await refused('garbage', () => net.chain.sendMessage(external({ to: wallet.address, body: beginCell().storeUint(5, 32).endCell() })));
        await step('receives a transfer', () => bank.send({ to: wallet.address, value: ton('1'), body: comment('thanks') }));
        await step('receives an unknown body', () => bank.send({ to: wallet.address, value: ton('0.01'), body: beginCell().storeUint(1, 7).endCell() }));
        await step('getters', async () => {
            for (const method of kind === 'v4r2' ? ['seqno', 'get_public_key', 'get_subwallet_id', 'get_plugin_list'] : ['seqno', 'get_public_key', 'get_wallet_id', 'get_subwallet_id', 'get_extensions', 'is_signature_allowed']) {
                await net.chain.runGetMethod(wallet.address, method).catch(() => undefined);
            }
        });
        net.later(YEAR);
        await step('a year later', () => order({ messages: [pay(bank.address, '0.1')] }));
        await step('everything', () => order({ messages: [pay(bank.address, '0')], sendMode: SendMode.CARRY_ALL_REMAINING_BALANCE }));
        await step('funded again', () => bank.send({ to: wallet.address, value: ton('0.5'), bounce: false }));
        await step('everything, and destroy', () =>
            order({ messages: [pay(bank.address, '0')], sendMode: SendMode.CARRY_ALL_REMAINING_BALANCE | SendMode.DESTROY_ACCOUNT_IF_ZERO }),
        );
        await step('funded after its end', () => bank.send({ to: wallet.address, value: ton('0.5'), bounce: false }));
    }

    const step = (name: string, action: () => Promise<unknown>) => rec.step(`accounts: ${name}`, action);
    const dust = Address.parse('0:' + '13'.repeat(32));
    await step('dust to nobody', () => bank.send({ to: dust, value: 500n, bounce: false }));
    net.later(10 * YEAR);
    await step('ten years of storage due', () => bank.send({ to: dust, value: 100_000n, bounce: false }));
    await step('too little to bounce', () => bank.send({ to: nobody, value: 1000n, bounce: true }));
    await step('to the masterchain', () => bank.send({ to: new Address(-1, Buffer.alloc(32, 9)), value: ton('1'), bounce: false }));
    await step('to itself', () => bank.send({ to: bank.address, value: ton('1') }));
    await step('a state init that is not its own', () =>
        bank.send({ to: dust, value: ton('0.1'), bounce: true, init: { code: Cell.EMPTY, data: Cell.EMPTY } }),
    );
}

// What contracts share, to the last bit: what mutation testing found that no other test looked at.
import { test } from 'node:test';
import { governorAt } from '../support/dao';
import { comesBack, withCellPrice } from '../support/exact';
import { Network, assertOk, on, ton } from '../support/network';
import { place } from '../support/placed';
import { account, confirmed } from '../support/stakes';

const SET_UP = { $$type: 'SetUpGovernor', queryId: 3n } as const;

test('attack_17_an_answer_that_cannot_be_paid undoes what it answers, and the value comes back', async () => {
    const net = await Network.create();
    const { config } = net.chain;
    const governor = await place(net, await governorAt(), ton('1'));
    const wallet = await net.wallet('anybody');
    const setUp = () => governor.send(wallet.getSender(), { value: ton('1') }, SET_UP);
    net.chain.setConfig(withCellPrice(config, ton('2')));
    await comesBack(net, governor.address, setUp);
    net.chain.setConfig(config);
    assertOk(on(await setUp(), governor.address));
});

test('attack_17_a_confirmation_that_cannot_be_passed_on confirms nothing', async () => {
    const stake = await account({ lots: [{ activeFrom: 0n }] });
    const { config } = stake.net.chain;
    stake.net.chain.setConfig(withCellPrice(config, ton('2')));
    await comesBack(stake.net, stake.address, () => stake.net.send(stake.governor, stake.address, ton('1'), confirmed()));
    stake.net.chain.setConfig(config);
    await stake.hears(confirmed());
});

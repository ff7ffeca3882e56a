// What mutation testing found that no other test of the transparency log looked at: scripts/mutate-contracts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadExcesses } from '../build/TransparencyLog';
import { answer, comesBack, holds, keeps } from '../support/exact';
import { LOG_EVIDENCE_VALUE, evidenceBody, openLog } from '../support/log';
import { Network, keys, on, ton, withForwardPrice } from '../support/network';

async function open() {
    const net = await Network.create();
    const log = await openLog(net, (await net.wallet('registry')).address);
    const payer = await net.wallet('payer');
    const bring = (value = LOG_EVIDENCE_VALUE) => net.send(payer, log.address, value, evidenceBody(log.address, { keys: keys('node'), digest: 5n }));
    return { net, log, payer, bring };
}

test('evidence is answered with its query id, and costs the log nothing', async () => {
    const { net, log, payer, bring } = await open();
    await bring();
    const tx = await keeps(net, log.address, 0n, () => bring());
    const { message, queryId } = answer(tx, 0xd53276db, loadExcesses);
    holds(message.to.equals(payer.address) && queryId === 9n && !message.bounce);
});

test('attack_17_a_fee_that_cannot_burn: there is no leaf, and the value comes back', async () => {
    const { net, log, bring } = await open();
    // An old log whose money storage has used up, and a value that pays for a bounce, but not for fee and message.
    (await net.chain.getContract(log.address)).balance = 0n;
    net.chain.setConfig(withForwardPrice(net.chain.config, ton('0.2')));
    await comesBack(net, log.address, () => bring(ton('0.215')));
    assert.equal((await log.getHead()).size, 0n);
    const tx = on(await bring(ton('1')), log.address);
    holds(tx.outMessagesCount === 2);
});

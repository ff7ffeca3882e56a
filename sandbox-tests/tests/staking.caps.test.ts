// SA-16: an account with everything that it may hold still does what it must within the declared values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address } from '@ton/core';
import { Dao, RULES, StakeErr, keys, storedSize } from '../support/dao';
import { DAY, Network, YEAR, allOn, assertOk, noteGas, on, sent, storageFee, ton } from '../support/network';
import { Fault, commit, proofOf, receipt } from '../support/reports';
import { RESERVE, forgetNode, ok, registerNode, retireNode, solvent } from '../support/staking';

const NODES = 32;
const LOTS = 16;
const RECEIPTS = 32;

/** Contracts that take every message and never answer, to vote on: wallets. */
async function ballots(net: Network): Promise<Address[]> {
    const found: Address[] = [];
    for (let i = 0; i <= RECEIPTS; i++) found.push((await net.wallet(`ballot ${i}`)).address);
    return found;
}

/** 15 lots of 10 tons and one of 100 (the last), 32 nodes that pledge all 250 of them, 32 receipts. */
async function full() {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const ann = await dao.staker('ann', ton('10'));
    for (let i = 2; i < LOTS; i++) await dao.deposit(ann, ton('10'));
    await dao.deposit(ann, ton('100'));
    net.later(DAY);
    // The dearest node answers with all 16 lots.
    ok(await registerNode(dao, ann, 'node', { bond: ton('219') }), ann);
    for (let i = 1; i < NODES; i++) ok(await registerNode(dao, ann, `node ${i}`, { bond: ton('1') }), ann);
    const proposals = await ballots(net);
    const snapshot = await dao.epoch();
    const vote = (proposal: Address) =>
        ann.account.send(ann.wallet.getSender(), { value: ton('0.3') }, {
            $$type: 'Vote',
            queryId: 5n,
            proposal,
            snapshot,
            receiptUntil: BigInt(net.now + 300 * DAY),
            support: 1n,
        });
    for (const proposal of proposals.slice(0, RECEIPTS)) assertOk(on(await vote(proposal), ann.account.address));
    await net.refused(ann.account.address, StakeErr.tooManyReceipts, () => vote(proposals[RECEIPTS]));
    const { lots, nodes, receipts, pledged, held } = await solvent(net, ann);
    assert.deepEqual([lots.size, nodes.size, receipts.size, held], [LOTS, NODES, RECEIPTS, ton('250')]);
    assert.equal(pledged, ton('250'));
    return { net, dao, ann };
}

test('a proof against a full account stays below the least value, from the report to the reward', async () => {
    const { net, dao, ann } = await full();
    const { address } = ann.account;
    console.log(`size full stake account: ${await storedSize(net, address)}`);
    const reporter = await net.wallet('reporter');
    const proof = proofOf(Fault.twoReceipts, keys('node'), receipt({ time: net.now }), receipt({ time: net.now, response: 13n }));
    const { contract: report, reveal } = await commit(net, address, reporter, proof);
    net.later(60);
    const result = await reveal(ton('0.5'));
    for (const at of [report.address, address, dao.governor.address]) assertOk(on(result, at));
    const tx = on(result, address);
    const gas = noteGas('stake: slash a node, full account, all lots', tx);
    assert.ok(gas < 400_000, `${gas} gas must stay below half of a transaction's limit`);
    assert.ok(tx.totalFees.coins < ton('0.2'), 'below the least value of a proof');
    const reward = sent(tx).find((m) => m.to.equals(reporter.address));
    assert.ok(reward && reward.value > ton('109.5') && reward.value < ton('110'));
    const { lots, held } = await solvent(net, ann);
    assert.deepEqual([lots.keys(), held], [[15], ton('31')], 'fifteen lots are gone, and most of the last');
});

test('a full account divides, retires, forgets and withdraws within the least values', async () => {
    const { net, dao, ann } = await full();
    const { address } = ann.account;
    net.later(YEAR);
    const retired = ok(await retireNode(ann, 'node', ton('0.05')), ann);
    const year = storageFee(on(retired, address));
    console.log(`storage full stake account: ${year} nanotons a year`);
    assert.ok(year > 0n && year < RESERVE, `${year} nanotons of storage must not eat the reserve within a year`);
    noteGas('stake: retire a node, full account', on(retired, address));
    const left = ok(await dao.unbond(ann, 15n, ton('0.2')), ann);
    noteGas('stake: unbond, full account', allOn(left, address)[0]);
    net.later(Number(RULES.unbondingDelay));
    noteGas('stake: withdraw, full account', on(ok(await dao.withdraw(ann, 15n, ton('0.05')), ann), address));
    noteGas('stake: forget a node, full account', on(ok(await forgetNode(ann, 'node', ton('0.05')), ann), address));
    // A part takes the place of the lot that has gone.
    const part = ok(await dao.unbond(ann, 0n, ton('0.2'), ton('5')), ann);
    noteGas('stake: unbond a part, full account', allOn(part, address)[0]);
    noteGas('stake: register a node, full account', on(ok(await registerNode(dao, ann, 'a new one', { bond: ton('1'), value: ton('0.05') }), ann), address));
});

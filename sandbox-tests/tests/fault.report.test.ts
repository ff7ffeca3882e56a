// FR-1 to FR-5: a proof is shown by whoever committed to it, in time, to the judge that was named.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell, beginCell } from '@ton/core';
import { FaultReport, FaultState, loadProveFault, storeCommitFault, storeRevealFault } from '../build/FaultReport';
import { Dao, StakeErr, UNKNOWN_MESSAGE, keys } from '../support/dao';
import { DAY, Network, Wallet, YEAR, allOn, assertOk, bareOp, compute, noteGas, on, op, sent, ton } from '../support/network';
import { Fault, FaultErr, commit, proofOf, receipt } from '../support/reports';
import { ok, registerNode, solvent } from '../support/staking';

const WAIT = 60;
const LIFE = 7 * DAY;

const fault = (net: Network): Cell =>
    proofOf(Fault.twoReceipts, keys('node'), receipt({ time: net.now }), receipt({ time: net.now, response: 13n }));

/** A bonded node that has signed two things, and somebody who knows. */
async function witness() {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    ok(await registerNode(dao, ann, 'node', { bond: ton('100') }), ann);
    const reporter = await net.wallet('reporter');
    return { net, dao, ann, target: ann.account.address, reporter, proof: fault(net) };
}

const revealBody = (proof: Cell, salt = 99n): Cell =>
    beginCell().store(storeRevealFault({ $$type: 'RevealFault', queryId: 2n, salt, proof })).endCell();

/** The hash of what a reporter commits to. */
function commitment(reporter: Wallet, proof: Cell, salt = 99n): bigint {
    const cell = beginCell().storeUint(0x46434d31, 32).storeAddress(reporter.address).storeUint(salt, 256).storeBuffer(proof.hash()).endCell();
    return BigInt('0x' + cell.hash().toString('hex'));
}

test('a commitment shows nothing, costs its reserve, and is made once', async () => {
    const { net, target, reporter, proof } = await witness();
    const value = BigInt(commitment(reporter, proof));
    const report = net.chain.openContract(await FaultReport.fromInit(target, reporter.address, value, 0n));
    const send = (v: bigint) => report.send(reporter.getSender(), { value: v }, { $$type: 'CommitFault', queryId: 1n });
    // What creates the account and is refused leaves a report that has committed to nothing.
    const poor = await send(ton('0.03') - 1n);
    assert.equal(compute(on(poor, report.address)).exitCode, FaultErr.lowValue);
    const first = await send(ton('0.03'));
    noteGas('fault: commit', assertOk(on(first, report.address)));
    const [excess] = sent(on(first, report.address));
    assert.ok(excess.to.equals(reporter.address) && !excess.bounce && op(excess.body) === 0xd53276db && excess.value > ton('0.01'));
    assert.equal(await net.balance(report.address), ton('0.01'));
    const committedAt = BigInt(net.now);
    const state: FaultState = {
        $$type: 'FaultState',
        target,
        reporter: reporter.address,
        commitment: value,
        committedAt,
        revealFrom: committedAt + BigInt(WAIT),
        revealUntil: committedAt + BigInt(LIFE),
    };
    assert.equal(JSON.stringify(await report.getState(), (_, v) => String(v)), JSON.stringify(state, (_, v) => String(v)));
    net.later(WAIT);
    await net.refused(report.address, FaultErr.committed, () => send(ton('1')));
    const data = (await net.chain.getContract(report.address)).account.account?.storage.state;
    assert.ok(data?.type === 'active');
    assert.ok(!data.state.data!.toBoc().includes(proof.hash()), 'the proof is hidden');
});

test('a proof is shown from 60 seconds to 7 days after the commitment, both included', async () => {
    for (const [age, code] of [[0, FaultErr.tooEarly], [WAIT - 1, FaultErr.tooEarly], [LIFE + 1, FaultErr.tooLate], [WAIT, 0], [LIFE, 0]]) {
        const { net, ann, target, reporter, proof } = await witness();
        const { contract, reveal } = await commit(net, target, reporter, proof);
        net.later(age);
        if (code) {
            await net.refused(contract.address, code, () => reveal());
            assert.equal((await solvent(net, ann)).held, ton('500'));
        } else {
            const result = await reveal();
            noteGas('fault: reveal', assertOk(on(result, contract.address)));
            assertOk(on(result, target));
            assert.equal((await solvent(net, ann)).held, ton('400'));
        }
    }
});

test('nothing is shown that was not committed to', async () => {
    const { net, target, reporter, proof } = await witness();
    const other = proofOf(Fault.twoReceipts, keys('node'), receipt({ time: net.now }), receipt({ time: net.now, response: 14n }));
    const { contract } = await commit(net, target, reporter, proof);
    net.later(WAIT);
    const show = (body: Cell, value = ton('0.5'), from = reporter) => net.send(from, contract.address, value, body);
    await net.refused(contract.address, FaultErr.otherCommitment, () => show(revealBody(proof, 98n)));
    await net.refused(contract.address, FaultErr.otherCommitment, () => show(revealBody(other)));
    await net.refused(contract.address, FaultErr.lowValue, () => show(revealBody(proof), ton('0.5') - 1n));
    await net.refused(contract.address, UNKNOWN_MESSAGE, () => show(bareOp(0x46520009)));
    await net.refused(contract.address, UNKNOWN_MESSAGE, () => show(Cell.EMPTY));
    // A report to which nothing was committed shows nothing, however old the chain.
    const value = commitment(reporter, proof, 5n);
    const fresh = await FaultReport.fromInit(target, reporter.address, value, 0n);
    const made = await net.send(reporter, fresh.address, ton('1'), revealBody(proof, 5n), { init: fresh.init });
    assert.equal(compute(on(made, fresh.address)).exitCode, FaultErr.tooEarly);
    assertOk(on(await show(revealBody(proof)), contract.address));
});

test('attack_52_a_copied_fraud_proof: whoever copies a proof as it is shown waits as long, and finds nothing', async () => {
    const { net, ann, target, reporter, proof } = await witness();
    const thief = await net.wallet('thief');
    const { contract, reveal } = await commit(net, target, reporter, proof);
    // The thief knows of the report, not of the proof: it can neither act for it nor commit to it.
    const commitBody = beginCell().store(storeCommitFault({ $$type: 'CommitFault', queryId: 1n })).endCell();
    await net.refused(contract.address, FaultErr.notReporter, () => net.send(thief, contract.address, ton('1'), commitBody));
    net.later(WAIT);
    // It sees the revelation on its way and copies it: into the same report, in the name of the same hash, with a salt of its own.
    await net.refused(contract.address, FaultErr.notReporter, () => net.send(thief, contract.address, ton('1'), revealBody(proof)));
    const same = net.chain.openContract(await FaultReport.fromInit(target, thief.address, commitment(reporter, proof), 0n));
    assertOk(on(await net.send(thief, same.address, ton('0.1'), commitBody, { init: same.init }), same.address));
    const own = await commit(net, target, thief, proof, 7n);
    await net.refused(own.contract.address, FaultErr.tooEarly, () => own.reveal());
    const result = await reveal();
    const reward = sent(on(result, target)).find((m) => m.to.equals(reporter.address));
    assert.ok(reward && reward.value > ton('50'));
    net.later(WAIT);
    // The commitment names its reporter, so the same hash opens for nobody else.
    await net.refused(same.address, FaultErr.otherCommitment, () => net.send(thief, same.address, ton('1'), revealBody(proof)));
    const before = await thief.getBalance();
    const late = await own.reveal(ton('0.6'));
    assert.equal(compute(on(late, target)).exitCode, StakeErr.nodeSlashed);
    assert.ok((await thief.getBalance()) > before - ton('0.05') && (await thief.getBalance()) < before);
    assert.equal((await solvent(net, ann)).held, ton('400'), 'slashed once');
});

test('a target that is not convinced returns the value, and the report may be shown again', async () => {
    const { net, dao, ann, reporter } = await witness();
    const [, bob] = dao.stakers;
    const target = bob.account.address;
    // The node is bonded elsewhere.
    const { contract, reveal } = await commit(net, target, reporter, fault(net));
    net.later(WAIT);
    const first = await reveal(ton('0.6'));
    assert.equal(compute(on(first, target)).exitCode, StakeErr.noNode);
    const [shown, back] = allOn(first, contract.address);
    assertOk(shown);
    const [message] = sent(shown);
    assert.ok(message.to.equals(target) && message.bounce);
    const words = loadProveFault(message.body.beginParse());
    assert.ok(words.reporter.equals(reporter.address) && words.commitment === (await contract.getState()).commitment);
    assertOk(back);
    noteGas('fault: a bounced proof', back);
    const [excess] = sent(back);
    assert.ok(excess.to.equals(reporter.address) && !excess.bounce && excess.value > ton('0.57'));
    // Now bob answers for it, too.
    ok(await registerNode(dao, bob, 'node', { bond: ton('10') }), bob);
    assertOk(on(await reveal(), target));
    assert.deepEqual([(await solvent(net, bob)).held, (await solvent(net, ann)).held], [ton('290'), ton('500')]);
    // A target that does not exist returns it as well.
    const nowhere = await dao.staker('nobody');
    const lost = await commit(net, nowhere.account.address, reporter, fault(net));
    net.later(WAIT);
    const gone = await lost.reveal(ton('0.6'));
    assert.ok(sent(assertOk(allOn(gone, lost.contract.address)[1]))[0].value > ton('0.57'));
});

test('the reserve outlasts a year: a report is there for as long as it may be used, and longer', async () => {
    const { net, target, reporter, proof } = await witness();
    const { contract } = await commit(net, target, reporter, proof);
    net.later(YEAR);
    await net.refused(contract.address, FaultErr.tooLate, () => net.send(reporter, contract.address, ton('0.5'), revealBody(proof)));
    assert.ok((await net.balance(contract.address)) > 0n);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dictionary, beginCell } from '@ton/core';
import { createShardAccount } from '@ton/sandbox';
import { Node, StakeAccount, storeDeposit, storeExitConfirmed, storeStakeConfirmed } from '../build/StakeAccount';
import { Dao, EPOCH, GovernorErr, Prop, RULES, StakeErr, Staker, UNKNOWN_MESSAGE, YES, bundle, governorAt, impersonate, keys, publicKey, text } from '../support/dao';
import { setMinTcb } from '../support/entries';
import { DAY, Network, Result, YEAR, allOn, assertOk, bareOp, compute, noteGas, on, sent, ton } from '../support/network';
import { forgetNode, ok, registerNode, retireNode, solvent } from '../support/staking';

test('a lot weighs from the next epoch on, leaves with the next epoch, and comes out after the unbonding delay', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const ann = await dao.staker('ann', ton('500'));
    const epoch = await dao.epoch();
    assert.equal(await ann.account.getWeightAt(epoch), 0n);
    assert.equal(await ann.account.getWeightAt(epoch + 1n), ton('500'));
    assert.equal((await ann.account.getState()).lots.get(0)?.activeFrom, epoch + 1n);
    await net.refused(ann.account.address, StakeErr.lotLocked, () => dao.withdraw(ann, 0n));
    net.later(EPOCH);
    assert.equal((await dao.governor.getState()).totalStake, ton('500'));
    const left = ok(await dao.unbond(ann, 0n), ann);
    noteGas('stake: unbond, in the stake account', allOn(left, ann.account.address)[0]);
    noteGas('stake: unbond, in the governor', on(left, dao.governor.address));
    assert.equal(await ann.account.getWeightAt(epoch + 1n), ton('500'), 'this epoch it still weighs');
    assert.equal(await ann.account.getWeightAt(epoch + 2n), 0n);
    assert.equal((await dao.governor.getState()).nextTotalStake, 0n);
    assert.equal((await ann.account.getState()).staying, 0n);
    await net.refused(ann.account.address, StakeErr.lotNotStaying, () => dao.unbond(ann, 0n));
    net.later(Number(RULES.unbondingDelay) - 1);
    await net.refused(ann.account.address, StakeErr.lotLocked, () => dao.withdraw(ann, 0n));
    await solvent(net, ann);
    net.later(1);
    const before = await ann.wallet.getBalance();
    const out = ok(await dao.withdraw(ann, 0n), ann);
    noteGas('stake: withdraw', on(out, ann.account.address));
    assert.ok((await ann.wallet.getBalance()) > before + ton('499.98'));
    assert.equal((await ann.account.getState()).held, 0n);
    await net.refused(ann.account.address, StakeErr.noLot, () => dao.withdraw(ann, 0n));
    // It can be used again.
    await dao.deposit(ann, ton('7'));
    await solvent(net, ann);
});

test('a deposit is at least one ton, pays for its round trip, restores the reserve, and there are at most 16 lots', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const ann = await dao.staker('ann', ton('5'));
    const { address } = ann.account;
    await net.refused(address, StakeErr.lotTooSmall, () => dao.sendDeposit(ann, ton('1') - 1n));
    await net.refused(address, StakeErr.lowValue, () => dao.sendDeposit(ann, ton('1'), ton('1.2') - 1n));
    ok(await dao.sendDeposit(ann, ton('1'), ton('1.2') + 10n), ann);
    net.later(3 * YEAR);
    await net.refused(address, StakeErr.lowValue, () => dao.sendDeposit(ann, ton('1'), ton('1.2')));
    await dao.deposit(ann, ton('1'));
    await solvent(net, ann);
    for (let i = 3; i < 16; i++) await dao.deposit(ann, ton('1'));
    await net.refused(address, StakeErr.tooManyLots, () => dao.sendDeposit(ann, ton('1')));
    assert.equal((await ann.account.getState()).lots.size, 16);
    await solvent(net, ann);
});

test('a deposit that the governor refuses comes back whole', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    // A governor that was never set up.
    const governor = await governorAt({}, 99n);
    const ann = await dao.staker('ann');
    const other = await StakeAccount.fromInit(governor.address, ann.wallet.address, Dictionary.empty(), Dictionary.empty(), null);
    const staker = { wallet: ann.wallet, account: net.chain.openContract(other) };
    const before = await ann.wallet.getBalance();
    ok(await dao.sendDeposit(staker, ton('500')), staker);
    assert.ok((await ann.wallet.getBalance()) > before - ton('0.2'), 'all but the reserve and fees');
    const { held, lots, staying } = await staker.account.getState();
    assert.deepEqual([held, lots.size, staying], [0n, 0, 0n]);
});

test('an exit that the governor refuses leaves the lot where it was', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const { lots, staying } = await ann.account.getState();
    // A governor of the same address that was not set up: as good as any that refuses.
    const governor = await net.chain.getContract(dao.governor.address);
    const unready = await governorAt();
    assert.ok(unready.init);
    governor.account = createShardAccount({
        address: dao.governor.address,
        code: unready.init.code,
        data: unready.init.data,
        balance: ton('1'),
    });
    const result = await dao.unbond(ann, 0n);
    assert.equal(compute(on(result, dao.governor.address)).exitCode, GovernorErr.notReady);
    const [request, restored] = allOn(result, ann.account.address);
    assertOk(request);
    assertOk(restored);
    const after = await ann.account.getState();
    assert.equal(after.staying, staying);
    assert.deepEqual(after.lots.get(0), lots.get(0));
});

test('only the owner acts, only the governor confirms, and unknown messages are refused', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann, bob] = dao.stakers;
    const thief: Staker = { wallet: bob.wallet, account: ann.account };
    const { address } = ann.account;
    const proposal = await dao.propose(ann, bundle([{ to: dao.registry.address, body: setMinTcb(18n) }]));
    await dao.untilVoting(proposal);
    ok(await registerNode(dao, ann, 'node'), ann);
    const attempts: (() => Promise<Result>)[] = [
        () => dao.sendDeposit(thief, ton('1')),
        () => dao.unbond(thief, 0n),
        () => dao.withdraw(thief, 0n),
        () => dao.sendPropose(thief, bundle([{ to: dao.registry.address, body: setMinTcb(19n) }]), text('x')),
        () => dao.sendVote(thief, proposal, YES),
        () => registerNode(dao, thief, 'other'),
        () => retireNode(thief, 'node'),
        () => forgetNode(thief, 'node'),
    ];
    for (const attempt of attempts) await net.refused(address, StakeErr.notOwner, attempt);
    const confirmed = beginCell()
        .store(storeStakeConfirmed({ $$type: 'StakeConfirmed', queryId: 1n, lot: 0n, activeFrom: 1n, unbondingDelay: 0n }))
        .endCell();
    const exit = beginCell()
        .store(storeExitConfirmed({ $$type: 'ExitConfirmed', queryId: 1n, lot: 0n, exitFrom: 1n, unbondingDelay: 0n }))
        .endCell();
    for (const body of [confirmed, exit]) {
        for (const { wallet } of [ann, bob]) {
            await net.refused(address, StakeErr.notGovernor, () => net.send(wallet, address, ton('1'), body));
        }
        await net.refused(address, StakeErr.notGovernor, () => impersonate(net, proposal.address, address, body));
    }
    await net.refused(address, UNKNOWN_MESSAGE, () => net.send(ann.wallet, address, ton('1'), bareOp(0x53540099)));
    await net.refused(address, UNKNOWN_MESSAGE, () => net.send(ann.wallet, address, ton('1')));
    // Nobody else can create an owner's account.
    const eve = await dao.staker('eve');
    const body = beginCell().store(storeDeposit({ $$type: 'Deposit', queryId: 1n, amount: ton('1') })).endCell();
    const made = await net.send(bob.wallet, eve.account.address, ton('2'), body, { init: eve.account.init });
    assert.equal(compute(on(made, eve.account.address)).exitCode, StakeErr.notOwner);
});

test('one nanoton under the least value changes nothing', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann, bob] = dao.stakers;
    const { address } = ann.account;
    const cheap = ton('0.05') - 1n;
    ok(await registerNode(dao, ann, 'node', { value: cheap + 1n }), ann);
    await net.refused(address, StakeErr.lowValue, () => registerNode(dao, ann, 'other', { value: cheap }));
    await net.refused(address, StakeErr.lowValue, () => dao.unbond(ann, 0n, ton('0.2') - 1n));
    await net.refused(address, StakeErr.lowValue, () => dao.withdraw(ann, 0n, cheap));
    const actions = bundle([{ to: dao.registry.address, body: setMinTcb(18n) }]);
    await net.refused(address, StakeErr.lowValue, () => dao.sendPropose(ann, actions, text('x'), { value: ton('0.2') - 1n }));
    ok(await dao.unbond(bob, 0n, ton('0.2')), bob);
});

test('a node is bonded by stake that stays, and its key proves that it agrees', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann, bob] = dao.stakers; // 500 and 300 tons
    const { address } = ann.account;
    for (const wrong of [{ globalId: -239 }, { signer: 'somebody else' }, { account: bob }]) {
        await net.refused(address, StakeErr.badSignature, () => registerNode(dao, ann, 'node', wrong));
    }
    await net.refused(address, StakeErr.bondLowered, () => registerNode(dao, ann, 'node', { bond: 0n }));
    await net.refused(address, StakeErr.bonded, () => registerNode(dao, ann, 'node', { bond: ton('500') + 1n }));
    const made = ok(await registerNode(dao, ann, 'node', { bond: ton('300') }), ann);
    noteGas('stake: register a node', on(made, address));
    const node = await ann.account.getNode(publicKey(keys('node')));
    assert.deepEqual(node, { $$type: 'Node', bond: ton('300'), since: BigInt(net.now), retiredAt: 0n } satisfies Node);
    await net.refused(address, StakeErr.bonded, () => registerNode(dao, ann, 'second', { bond: ton('201') }));
    // The bond holds the lot.
    await net.refused(address, StakeErr.bonded, () => dao.unbond(ann, 0n));
    // A bond may be raised, never lowered.
    await net.refused(address, StakeErr.bondLowered, () => registerNode(dao, ann, 'node', { bond: ton('299') }));
    ok(await registerNode(dao, ann, 'node', { bond: ton('400') }), ann);
    assert.equal((await ann.account.getState()).bonded, ton('400'));
    // Another lot leaves freely; one that is not confirmed bonds nothing.
    await dao.deposit(ann, ton('50'));
    ok(await dao.unbond(ann, 1n), ann);
    await net.refused(address, StakeErr.bonded, () => registerNode(dao, ann, 'second', { bond: ton('101') }));
    await solvent(net, ann);
});

test('attack_53_unbonding_before_the_proof: a retired node is on record for as long as any of its stake is here', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const [ann] = dao.stakers;
    const { address } = ann.account;
    ok(await registerNode(dao, ann, 'node', { bond: ton('500') }), ann);
    await net.refused(address, StakeErr.bonded, () => dao.unbond(ann, 0n));
    await net.refused(address, StakeErr.nodeLocked, () => forgetNode(ann, 'node'));
    noteGas('stake: retire a node', on(ok(await retireNode(ann, 'node'), ann), address));
    const retiredAt = net.now;
    await net.refused(address, StakeErr.noNode, () => retireNode(ann, 'node'));
    await net.refused(address, StakeErr.nodeRetired, () => registerNode(dao, ann, 'node'));
    ok(await dao.unbond(ann, 0n), ann); // at once
    const { lots } = await ann.account.getState();
    assert.ok(lots.get(0)!.releaseAt >= BigInt(retiredAt) + RULES.unbondingDelay);
    net.now = retiredAt + Number(RULES.unbondingDelay) - 1;
    await net.refused(address, StakeErr.nodeLocked, () => forgetNode(ann, 'node'));
    await net.refused(address, StakeErr.lotLocked, () => dao.withdraw(ann, 0n));
    assert.equal((await ann.account.getNode(publicKey(keys('node')))).retiredAt, BigInt(retiredAt));
    net.later(1);
    ok(await dao.withdraw(ann, 0n), ann);
    noteGas('stake: forget a node', on(ok(await forgetNode(ann, 'node'), ann), address));
    assert.equal((await ann.account.getNodes()).size, 0);
});

test('a full account stays far below the value that a vote carries', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const ann = await dao.staker('ann', ton('500'));
    for (let i = 1; i < 16; i++) await dao.deposit(ann, ton('10'));
    for (let i = 0; i < 32; i++) ok(await registerNode(dao, ann, `node ${i}`, { bond: ton('1') }), ann);
    await net.refused(ann.account.address, StakeErr.tooManyNodes, () => registerNode(dao, ann, 'one too many', { bond: ton('1') }));
    net.later(EPOCH);
    const proposals: Prop[] = [];
    for (let i = 0; i < 33; i++) {
        proposals.push(await dao.propose(ann, bundle([{ to: dao.registry.address, body: setMinTcb(BigInt(i)) }]), text(`${i}`)));
    }
    await dao.untilVoting(proposals[32]);
    for (const proposal of proposals.slice(0, 32)) await dao.vote(ann, proposal, YES);
    await net.refused(ann.account.address, StakeErr.tooManyReceipts, () => dao.sendVote(ann, proposals[32], YES));
    // All 32 receipts are dropped in one vote, with the least value.
    net.later(30 * DAY);
    const next = await dao.propose(ann, bundle([{ to: dao.registry.address, body: setMinTcb(99n) }]), text('later'));
    await dao.untilVoting(next);
    const result = ok(await dao.sendVote(ann, next, YES, { value: ton('0.2') }), ann);
    noteGas('governance: vote, full account, dropping 32 receipts', on(result, ann.account.address));
    assertOk(on(result, next.address));
    const [back] = sent(on(result, next.address));
    assert.ok(back.value > ton('0.1'));
    assert.equal((await ann.account.getState()).receipts.size, 1);
    await solvent(net, ann);
});

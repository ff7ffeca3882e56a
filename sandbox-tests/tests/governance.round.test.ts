import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dao, Entry, PARAMS, Role, Status, YES, bundle, from, text } from '../support/dao';
import { scheduleImage, scheduleModel } from '../support/entries';
import { Network, allOn, assertOk, noteGas, on, sent, ton } from '../support/network';

test('a whole round: stake, propose a bundle, vote, wait, execute; the entries become active after their delay', async () => {
    const net = await Network.create();
    const dao = await Dao.create(net);
    const stakers = [await dao.staker('ann'), await dao.staker('bob'), await dao.staker('cyd')];
    for (const [i, staker] of stakers.entries()) {
        const result = await dao.deposit(staker, ton(['500', '300', '200'][i]));
        noteGas('stake: deposit, in the stake account', allOn(result, staker.account.address)[0]);
        noteGas('stake: deposit, in the governor', on(result, dao.governor.address));
        noteGas('stake: deposit confirmed', allOn(result, staker.account.address)[1]);
    }
    assert.equal((await dao.governor.getState()).totalStake, 0n, 'stake weighs from the next epoch on');
    assert.equal((await dao.governor.getState()).nextTotalStake, ton('1000'));
    net.later(86400);
    assert.equal((await dao.governor.getState()).totalStake, ton('1000'));

    const { registry } = dao;
    const actions = bundle([
        { to: registry.address, body: scheduleImage(registry.address, 1n, { role: Role.client }) },
        { to: registry.address, body: scheduleImage(registry.address, 2n, { role: Role.proxy }) },
        { to: registry.address, body: scheduleImage(registry.address, 3n, { role: Role.worker }) },
        { to: registry.address, body: scheduleModel(4n) },
    ]);
    const proposal = await dao.propose(stakers[0], actions, text('the first release'));
    noteGas('governance: propose, in the stake account', on(proposal.opened, stakers[0].account.address));
    noteGas('governance: propose 4 actions, in the governor', on(proposal.opened, dao.governor.address));
    noteGas('governance: propose, in the proposal', on(proposal.opened, proposal.address));
    assert.equal(await proposal.getStatus(), Status.pending);
    const opened = await proposal.getState();
    assert.equal(opened.totalStake, ton('1000'));
    assert.equal(opened.quorum, ton('400'));
    assert.ok(opened.actions.equals(actions));

    await dao.untilVoting(proposal);
    assert.equal(await proposal.getStatus(), Status.active);
    for (const staker of stakers) {
        const result = await dao.sendVote(staker, proposal, YES);
        noteGas('governance: vote, in the stake account', assertOk(on(result, staker.account.address)));
        noteGas('governance: vote, in the proposal', assertOk(on(result, proposal.address)));
    }
    assert.equal((await proposal.getState()).yes, ton('1000'));
    net.now = Number((await proposal.getState()).endsAt);
    assert.equal(await proposal.getStatus(), Status.queued);
    await dao.untilReady(proposal);
    assert.equal(await proposal.getStatus(), Status.ready);

    const proposer = stakers[0].wallet.address;
    const executor = dao.deployer.address;
    const { executeValue } = await proposal.getState();
    const treasury = await net.balance(dao.governor.address);
    const result = await dao.sendExecute(proposal);
    const [execution] = from(allOn(result, dao.governor.address), proposal.address);
    noteGas('governance: execute, in the proposal', allOn(result, proposal.address)[0]);
    noteGas('governance: execute 4 actions, in the governor', assertOk(execution));
    const done = allOn(result, proposal.address)[1];
    noteGas('governance: executed, in the proposal', assertOk(done));
    assert.equal(await proposal.getStatus(), Status.executed);
    const calls = from(allOn(result, registry.address), dao.governor.address);
    assert.equal(calls.length, 4);
    noteGas('registry: schedule an image', assertOk(calls[0]));
    noteGas('registry: schedule a model', assertOk(calls[3]));

    // The bond goes back whole, the rest of the value to whoever executed; the treasury paid nothing.
    const bond = sent(done).find((m) => m.to.equals(proposer));
    assert.equal(bond?.value, ton('10'));
    const rest = sent(done).find((m) => m.to.equals(executor));
    assert.ok(rest && rest.value > ton('0.05') && rest.value < executeValue - 4n * ton('0.1'));
    assert.ok((await net.balance(dao.governor.address)) > treasury, 'what the registry did not need is in the treasury');

    const activeFrom = BigInt(net.now) + PARAMS.activationDelay;
    for (const id of [1n, 2n, 3n]) {
        const image = await registry.getImage(id);
        assert.equal(image.role, id);
        assert.equal(image.life.activeFrom, activeFrom);
        assert.equal(await registry.getImageStatus(id), Entry.scheduled);
    }
    assert.equal((await registry.getModel(4n)).name, 'tiny-qwen3');
    net.now = Number(activeFrom) - 1;
    assert.equal(await registry.getModelStatus(4n), Entry.scheduled);
    net.now = Number(activeFrom);
    assert.equal(await registry.getModelStatus(4n), Entry.active);
    assert.equal(await registry.getImageStatus(3n), Entry.active);

    const all = await registry.getSnapshot();
    assert.equal(all.images.size, 3);
    assert.equal(all.models.size, 1);
    assert.deepEqual(all.counts, { $$type: 'RegistryCounts', images: 3n, models: 1n, proxies: 0n, roots: 1n, banned: 0n });
    assert.equal(all.revision, 5n);
});

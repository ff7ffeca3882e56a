import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginCell } from '@ton/core';
import { storeScheduleImage, storeScheduleModel } from '../build/Registry';
import { Dao, Entry, Role, Status, YES, bundle } from '../support/dao';
import { Network, assertOk, allOn, noteGas, on, ton } from '../support/network';

test('a whole round: stake, propose a bundle, vote, wait, execute, and the entries become active after their delay', async () => {
    const net = await Network.create();
    const dao = await Dao.staked(net);
    const { registry, stakers } = dao;
    const image = (id: bigint, role: bigint) => ({
        to: registry.address,
        body: beginCell()
            .store(
                storeScheduleImage({
                    $$type: 'ScheduleImage',
                    queryId: id,
                    id,
                    role,
                    activeFrom: 0n,
                    sourceCommit: 11n,
                    recipeHash: 12n,
                    reason: 'first release',
                    rebuilds: null,
                }),
            )
            .endCell(),
    });
    const model = {
        to: registry.address,
        body: beginCell()
            .store(
                storeScheduleModel({
                    $$type: 'ScheduleModel',
                    queryId: 4n,
                    id: 0x40de1n,
                    activeFrom: 0n,
                    sourceCommit: 11n,
                    recipeHash: 12n,
                    name: 'tiny-qwen3',
                    reason: 'first release',
                }),
            )
            .endCell(),
    };
    const actions = bundle([image(1n, Role.client), image(2n, Role.proxy), image(3n, Role.worker), model]);
    const proposal = await dao.propose(stakers[0], actions);
    noteGas('governance: propose, in the stake account', on(proposal.opened, stakers[0].account.address));
    noteGas('governance: propose, in the governor', on(proposal.opened, dao.governor.address));
    noteGas('governance: propose, in the proposal', on(proposal.opened, proposal.address));
    assert.equal(await proposal.getStatus(), Status.pending);
    await dao.untilVoting(proposal);
    assert.equal(await proposal.getStatus(), Status.active);
    for (const staker of stakers) noteGas('governance: vote, in the proposal', await dao.vote(staker, proposal, YES));
    assert.equal((await proposal.getState()).yes, ton('1000'));
    net.now = Number((await proposal.getState()).endsAt);
    assert.equal(await proposal.getStatus(), Status.queued);
    await dao.untilReady(proposal);
    const result = await dao.sendExecute(proposal);
    noteGas('governance: execute 4 actions, in the governor', on(result, dao.governor.address) ? allOn(result, dao.governor.address)[0] : undefined as never);
    assert.equal(await proposal.getStatus(), Status.executed);
});

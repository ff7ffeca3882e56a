// The DAO, the registry, stake accounts and reputation records: a network's first weeks, and what each contract refuses.
import { Address, Cell, beginCell } from '@ton/core';
import { KeyPair } from '@ton/crypto';
import { storeSetGovernorParams, storeSetRegistry } from '../build/Governor';
import {
    storeDeprecateEntry,
    storeRegisterProxy,
    storeRemoveEntry,
    storeRevokeEntry,
    storeScheduleModel,
    storeSetCodeHashes,
    storeSetMinTcbEvaluation,
    storeSetPlatformBan,
    storeSetRegistryParams,
    storeSetRoot,
    storeUnbondProxy,
    storeUpdateProxy,
    storeWithdrawProxy,
} from '../build/Registry';
import { storeForgetNode, storeRegisterNode, storeRetireNode } from '../build/StakeAccount';
import { Channel, EVIDENCE_VALUE, MIN_VALUE, evidence, termsCell } from '../support/channel';
import { COUNCIL, Dao, EPOCH, Kind, NO, PARAMS, RULES, Role, YES, bundle, impersonate, nodeAuth, proxyAuth, text } from '../support/dao';
import {
    lift,
    scheduleImage,
    setCouncil,
    setRebuildThreshold,
    setRebuilder,
    setSuccessor,
    someCodes,
    suspend,
    suspension,
} from '../support/entries';
import { DAY, YEAR, bareOp, keys, publicKey, ton } from '../support/network';
import { commit, equivocation, revokedUse } from '../support/reports';
import { Recorder } from './recorder';

type Writer = Parameters<ReturnType<typeof beginCell>['store']>[0];
const body = (writer: Writer) => beginCell().store(writer).endCell();

export async function recordDao(rec: Recorder): Promise<void> {
    const net = await rec.network();
    const step = <T>(name: string, action: () => Promise<T>) => rec.step(`dao: ${name}`, action);
    const dao = await step('set up, three stakers', () => Dao.staked(net));
    const { governor, registry, stakers, deployer } = dao;
    const [ann, bob, cyd] = stakers;
    const stranger = await step('stranger', () => net.wallet('stranger'));

    await step('set up again', () => governor.send(deployer.getSender(), { value: ton('1') }, { $$type: 'SetUpGovernor', queryId: 1n }));
    await step('set up the registry again', () => registry.send(deployer.getSender(), { value: ton('1') }, { $$type: 'SetUpRegistry', queryId: 1n }));

    // Nodes that stake answers for.
    const node = keys('worker node');
    const account = ann.account.address;
    const registerNode = (bond: bigint, signature = nodeAuth(node, account)) =>
        body(storeRegisterNode({ $$type: 'RegisterNode', queryId: 1n, key: publicKey(node), bond, signature }));
    const own = (b: Cell, value = ton('0.2')) => net.send(ann.wallet, account, value, b);
    await step('register a node', () => own(registerNode(ton('100'))));
    await step('raise its bond', () => own(registerNode(ton('120'))));
    await step('register a node, wrong signature', () => own(registerNode(ton('100'), Buffer.alloc(64, 3))));
    await step('register a node, too much bond', () => own(registerNode(ton('100000'))));
    await step('register a node, not the owner', () => net.send(stranger, account, ton('0.2'), registerNode(ton('100'))));
    await step('register a node, low value', () => own(registerNode(ton('100')), 1_000_000n));

    // A proxy comes, changes, reports.
    const proxyKey = keys('proxy node');
    const owner = stranger.address;
    const register = (bond: bigint, signature = proxyAuth(proxyKey, registry.address, owner)) =>
        body(
            storeRegisterProxy({
                $$type: 'RegisterProxy',
                queryId: 1n,
                nodeKey: publicKey(proxyKey),
                bond,
                signature,
                endpoint: 'proxy.example:443',
            }),
        );
    await step('register a proxy, low bond', () => net.send(stranger, registry.address, ton('60'), register(ton('1'))));
    await step('register a proxy, wrong signature', () => net.send(stranger, registry.address, ton('60'), register(ton('50'), Buffer.alloc(64))));
    await step('register a proxy, underpaid', () => net.send(stranger, registry.address, ton('50'), register(ton('50'))));
    await step('register a proxy', () => net.send(stranger, registry.address, ton('60'), register(ton('50'))));
    await step('register a proxy again', () => net.send(stranger, registry.address, ton('60'), register(ton('50'))));
    const update = storeUpdateProxy({ $$type: 'UpdateProxy', queryId: 2n, addBond: ton('5'), endpoint: 'proxy.example:8443' });
    await step('update a proxy', () => net.send(stranger, registry.address, ton('6'), body(update)));
    await step('update a proxy, not one', () => net.send(ann.wallet, registry.address, ton('6'), body(update)));

    // It pays a worker, and its vouchers say how the worker serves.
    const paid = { payer: owner, payee: bob.wallet.address, payeeKey: publicKey(node) };
    const channel = await step('a channel', () => Channel.create(net, { terms: paid, payerKeys: proxyKey, payeeKeys: node }));
    await step('fund it', () => channel.sendTopUp(ton('5'), { from: stranger }));
    const value = MIN_VALUE + EVIDENCE_VALUE;
    const report = (cumulative: bigint, ok: bigint) => {
        const seen = evidence({ registry: registry.address, ok, failed: 1n, latencyMs: ok * 900n });
        return channel.sendClaim({ cumulative, evidence: seen }, { from: bob.wallet, value });
    };
    await step('report evidence', () => report(ton('1'), 10n));
    net.later(20 * DAY);
    await step('report more evidence', () => report(ton('3'), 30n));
    await step('report old evidence', () => report(ton('4'), 20n));
    const foreign = await step('a channel of nobody', () => Channel.create(net, { payeeKeys: node }));
    await step('fund that', () => foreign.sendTopUp(ton('5')));
    await step('report evidence, no proxy', () =>
        foreign.sendClaim({ cumulative: ton('1'), evidence: evidence({ registry: registry.address }) }, { value }),
    );
    await step('report evidence, no channel', () => net.send(bob.wallet, registry.address, ton('0.2'), bareOp(0x52470031)));

    // A proposal's refusals, and its life.
    const image = (id: bigint, role: bigint) => ({ to: registry.address, body: scheduleImage(registry.address, id, { role }) });
    const action = (writer: Writer, to: Address = registry.address) => ({ to, body: body(writer) });
    const opening = bundle([
        image(1n, Role.client),
        image(2n, Role.proxy),
        image(3n, Role.worker),
        action(
            storeScheduleModel({
                $$type: 'ScheduleModel',
                queryId: 4n,
                id: 0x40de1n,
                activeFrom: 0n,
                sourceCommit: 11n,
                recipeHash: 12n,
                name: 'tiny',
                reason: 'first release',
            }),
        ),
        action(storeSetRoot({ $$type: 'SetRoot', queryId: 5n, root: 77n, allowed: true })),
        action(storeSetMinTcbEvaluation({ $$type: 'SetMinTcbEvaluation', queryId: 6n, number: 18n })),
        action(storeSetPlatformBan({ $$type: 'SetPlatformBan', queryId: 7n, platform: 666n, banned: true })),
        action(storeSetRegistryParams({ $$type: 'SetRegistryParams', queryId: 8n, params: { ...PARAMS, protocolFeeBps: 200n } })),
        action(
            storeSetCodeHashes({
                $$type: 'SetCodeHashes',
                queryId: 9n,
                codes: someCodes(4n),
                formerUntil: BigInt(net.now + 30 * DAY),
            }),
        ),
        { to: registry.address, body: setSuccessor(deployer.address) },
        { to: registry.address, body: setRebuilder(keys('new rebuilder'), true) },
        { to: registry.address, body: setRebuildThreshold(3n) },
        { to: registry.address, body: setCouncil(1n, COUNCIL) },
        { to: governor.address, body: body(storeSetRegistry({ $$type: 'SetRegistry', queryId: 10n, registry: registry.address })) },
    ]);
    const title = text('open the network');
    await step('schedule without a vote', () => net.send(stranger, registry.address, ton('0.2'), image(9n, Role.client).body));
    await step('unknown operation', async () => {
        for (const { address } of [registry, governor, ann.account]) await net.send(stranger, address, ton('0.1'), bareOp(0xdeadbeef));
    });
    const dot = await step('a small staker', () => dao.staker('dot', ton('10')));
    net.later(EPOCH);
    await step('propose below the threshold', () => dao.sendPropose(dot, opening, title));
    await step('propose, low value', () => dao.sendPropose(ann, opening, title, { value: ton('1') }));
    await step('propose, stale snapshot', () => dao.sendPropose(ann, opening, title, { snapshot: 1n }));
    await step('propose an empty bundle', () => dao.sendPropose(ann, Cell.EMPTY, title));
    const proposal = await step('propose', async () => {
        await dao.sendPropose(ann, opening, title);
        return dao.proposalOf(opening, title);
    });
    await step('propose the same', () => dao.sendPropose(bob, opening, title));
    await step('vote before the start', () => dao.sendVote(ann, proposal, YES));
    await step('execute before the vote', () => dao.sendExecute(proposal));
    await step('to the vote', () => dao.untilVoting(proposal));
    await step('vote yes', () => dao.sendVote(ann, proposal, YES));
    await step('vote twice', () => dao.sendVote(ann, proposal, YES));
    await step('vote no', () => dao.sendVote(cyd, proposal, NO));
    await step('vote with another snapshot', () => dao.sendVote(bob, proposal, YES, { snapshot: 0n }));
    await step('vote, low value', () => dao.sendVote(bob, proposal, YES, { value: ton('0.01') }));
    await step('vote by an impostor', () => impersonate(net, stranger.address, proposal.address, bareOp(0x50520002)));
    await step('vote yes too', () => dao.sendVote(bob, proposal, YES));
    await step('to the timelock', () => dao.untilReady(proposal));
    await step('vote late', () => dao.sendVote(dot, proposal, NO));
    await step('execute, low value', () => dao.sendExecute(proposal, { value: ton('0.05') }));
    await step('execute', () => dao.sendExecute(proposal));
    await step('execute twice', () => dao.sendExecute(proposal));
    await step('close an executed proposal', () => dao.close(proposal));
    net.later(3 * DAY);
    await step('getters', async () => {
        await registry.getSnapshot();
        await registry.getImageStatus(1n);
        await registry.getImageStatus(99n);
        await registry.getModelStatus(0x40de1n);
        await registry.getReputationAddress(publicKey(node));
        await governor.getState();
        await governor.getStakeAccountAddress(ann.wallet.address);
        await proposal.getState();
        await ann.account.getState();
        await ann.account.getWeightAt(await dao.epoch());
        for (const method of ['image', 'model']) {
            await net.chain.runGetMethod(registry.address, method, [{ type: 'int', value: 1n }]).catch(() => undefined);
        }
        await net.chain.runGetMethod(registry.address, 'image', []).catch(() => undefined);
        await net.chain.runGetMethod(await registry.getReputationAddress(publicKey(node)), 'state').catch(() => undefined);
    });

    // The council acts, and is overruled.
    const validUntil = BigInt(net.now + DAY);
    const { scheduledAt } = (await registry.getImage(3n)).life;
    const order = suspension({ registry: registry.address, kind: Kind.image, id: 3n, scheduledAt, validUntil });
    const suspended = (key = COUNCIL[0]) => net.send(stranger, registry.address, ton('0.2'), suspend(Kind.image, 3n, validUntil, [{ key, cell: order }]));
    await step('suspend an image, a stranger', () => suspended(node));
    await step('suspend an image', () => suspended());
    await step('suspend it again', () => suspended());
    await step('decide: lift the suspension', () => dao.decide(stakers, [{ to: registry.address, body: lift(Kind.image, 3n) }], 'lift'));
    await step('approve an image that too few have rebuilt', async () => {
        const actions = bundle([{ to: registry.address, body: scheduleImage(registry.address, 60n) }]);
        await dao.sendExecute(await dao.pass(stakers, actions, 'too few rebuilds'));
    });

    // Entries end, rules change.
    await step('decide: deprecate, revoke, change the rules', () =>
        dao.decide(stakers, [
            action(
                storeDeprecateEntry({
                    $$type: 'DeprecateEntry',
                    queryId: 1n,
                    kind: Kind.image,
                    id: 1n,
                    sunset: BigInt(net.now + 20 * DAY),
                    reason: 'replaced',
                }),
            ),
            action(storeRevokeEntry({ $$type: 'RevokeEntry', queryId: 2n, kind: Kind.image, id: 2n, reason: 'leaks' })),
            action(storeSetGovernorParams({ $$type: 'SetGovernorParams', queryId: 3n, params: { ...RULES, proposalThreshold: ton('150') } }), governor.address),
        ]),
    );
    await step('an action that its receiver refuses', async () => {
        const actions = bundle([
            action(storeRevokeEntry({ $$type: 'RevokeEntry', queryId: 2n, kind: Kind.image, id: 12345n, reason: 'unknown' })),
            action(storeRemoveEntry({ $$type: 'RemoveEntry', queryId: 4n, kind: Kind.image, id: 2n })),
        ]);
        await dao.sendExecute(await dao.pass(stakers, actions, 'one of two'));
    });

    const defeated = await step('a proposal that nobody votes for', () => dao.propose(ann, bundle([image(50n, Role.worker)]), text('unloved')));
    await dao.untilReady(defeated);
    await step('close a defeated proposal', () => dao.close(defeated));
    const expired = await step('a proposal that nobody executes', () => dao.pass(stakers, bundle([image(51n, Role.worker)]), 'forgotten'));
    net.later(30 * DAY);
    await step('execute after expiry', () => dao.sendExecute(expired));
    await step('close an expired proposal', () => dao.close(expired));

    // Faults.
    const used = revokedUse({ node, account, kind: Kind.image, image: 2n, time: net.now });
    const accused = await step('commit to a fault', () => commit(net, registry.address, cyd.wallet, used));
    await step('reveal it too early', () => accused.reveal());
    net.later(60);
    await step('reveal it', () => accused.reveal());
    await step('reveal it twice', () => accused.reveal());
    const said = (ok: bigint): [Cell, KeyPair] => [channel.voucher({ cumulative: 9n, evidence: evidence({ registry: registry.address, ok }) }), proxyKey];
    const twice = await step('commit to an equivocation', () =>
        commit(net, registry.address, cyd.wallet, equivocation(termsCell(channel.terms), said(1n), said(2n))),
    );
    net.later(60);
    await step('reveal an equivocation', () => twice.reveal());
    await step('register the proxy again', () => net.send(stranger, registry.address, ton('60'), register(ton('50'))));

    // Leaving.
    await step('unbond a lot that stands for a node', () => dao.unbond(ann, 0n));
    await step('retire the node', () => own(body(storeRetireNode({ $$type: 'RetireNode', queryId: 1n, key: publicKey(node) }))));
    await step('forget it too early', () => own(body(storeForgetNode({ $$type: 'ForgetNode', queryId: 1n, key: publicKey(node) }))));
    await step('unbond', () => dao.unbond(ann, 0n));
    await step('unbond again', () => dao.unbond(ann, 0n));
    await step('withdraw too early', () => dao.withdraw(ann, 0n));
    await step('unbond the proxy', () => net.send(stranger, registry.address, ton('0.2'), body(storeUnbondProxy({ $$type: 'UnbondProxy', queryId: 1n }))));
    const withdrawProxy = () => net.send(stranger, registry.address, ton('0.2'), body(storeWithdrawProxy({ $$type: 'WithdrawProxy', queryId: 1n })));
    await step('withdraw the proxy too early', withdrawProxy);
    net.later(15 * DAY);
    await step('withdraw', () => dao.withdraw(ann, 0n));
    await step('withdraw twice', () => dao.withdraw(ann, 0n));
    await step('forget the node', () => own(body(storeForgetNode({ $$type: 'ForgetNode', queryId: 1n, key: publicKey(node) }))));
    await step('withdraw the proxy', withdrawProxy);
    net.later(2 * YEAR);
    await step('two years later', () => dao.deposit(bob, ton('50')));
    await step('reputation two years later', () => registry.getReputationAddress(publicKey(node)).then((a) => net.chain.runGetMethod(a, 'state')));
}

// The DAO under test: a governor that owns a registry, stakers, and the steps of a proposal.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Address, Cell, Dictionary, Transaction, beginCell } from '@ton/core';
import { KeyPair, sign } from '@ton/crypto';
import { SandboxContract, internal } from '@ton/sandbox';
import { Governor, GovernorParams, storeAction } from '../build/Governor';
import { Proposal } from '../build/Proposal';
import { Code, CodeHashes, Registry, RegistryParams, RegistryState } from '../build/Registry';
import { StakeAccount } from '../build/StakeAccount';
import { DAY, GLOBAL_ID, HOUR, Network, Result, Wallet, allOn, assertOk, keys, on, publicKey, ton } from './network';

export const EPOCH = DAY;

export const RULES: GovernorParams = {
    $$type: 'GovernorParams',
    proposalThreshold: ton('100'),
    proposalBond: ton('10'),
    votingDelay: BigInt(HOUR),
    votingPeriod: BigInt(3 * DAY),
    lateExtension: BigInt(DAY),
    timelock: BigInt(2 * DAY),
    executionWindow: BigInt(7 * DAY),
    unbondingDelay: BigInt(14 * DAY),
    quorumBps: 4000n,
};

export const PARAMS: RegistryParams = {
    $$type: 'RegistryParams',
    minWorkerStake: ton('100'),
    minProxyBond: ton('50'),
    activationDelay: BigInt(2 * DAY),
    proxyUnbonding: BigInt(7 * DAY),
    minChallenge: BigInt(HOUR),
    protocolFeeBps: 100n,
    suspensionPeriod: BigInt(7 * DAY),
};

/** What the registry's operations need, by contracts/registry/constants.tact. */
export const REGISTRY_MIN_VALUE = ton('0.07');

export const Status = {
    pending: 1n,
    active: 2n,
    defeated: 3n,
    queued: 4n,
    ready: 5n,
    executing: 6n,
    executed: 7n,
    expired: 8n,
} as const;

export const Entry = { unknown: 0n, scheduled: 1n, active: 2n, deprecated: 3n, revoked: 4n, retired: 5n, suspended: 6n } as const;
export const Kind = { image: 1n, model: 2n } as const;
export const Role = { client: 1n, proxy: 2n, worker: 3n } as const;
export const NO = 0n;
export const YES = 1n;
export const ABSTAIN = 2n;

/** Codes of contracts/registry/constants.tact. */
export const RegistryErr = {
    lowValue: 1100,
    notGovernor: 1101,
    notReady: 1102,
    badParams: 1103,
    full: 1104,
    noEntry: 1105,
    listed: 1106,
    badSunset: 1107,
    inUse: 1108,
    badRole: 1109,
    badKind: 1110,
    badText: 1111,
    lowBond: 1112,
    proxyExists: 1113,
    noProxy: 1114,
    proxyLocked: 1115,
    badSignature: 1116,
    notChannel: 1117,
    lowFee: 1118,
    tooFewRebuilds: 1119,
    badThreshold: 1120,
    notCouncil: 1121,
    expired: 1122,
    noSuspension: 1123,
    notSuspended: 1124,
    notRevoked: 1125,
    otherKey: 1126,
} as const;

/** Codes of contracts/governance/constants.tact. */
export const GovernorErr = {
    lowValue: 1200,
    notReady: 1201,
    badParams: 1202,
    notStakeAccount: 1203,
    notProposal: 1204,
    notSelf: 1205,
    wrongEpoch: 1206,
    belowThreshold: 1207,
    badActions: 1208,
    poor: 1209,
    notRegistry: 1210,
} as const;

export const ProposalErr = {
    lowValue: 1300,
    notGovernor: 1301,
    notStakeAccount: 1302,
    notVoting: 1303,
    wrongSnapshot: 1304,
    shortReceipt: 1305,
    badSupport: 1306,
    notReady: 1307,
    notOver: 1308,
} as const;

/** Codes of contracts/staking/constants.tact. */
export const StakeErr = {
    lowValue: 1400,
    notOwner: 1401,
    notGovernor: 1402,
    lotTooSmall: 1403,
    tooManyLots: 1404,
    noLot: 1405,
    lotNotStaying: 1406,
    lotLocked: 1407,
    bonded: 1408,
    noWeight: 1409,
    voted: 1410,
    tooManyReceipts: 1411,
    badReceipt: 1412,
    tooManyNodes: 1413,
    noNode: 1414,
    badSignature: 1415,
    nodeLocked: 1416,
    nodeRetired: 1417,
    bondLowered: 1418,
    nodeSlashed: 1419,
    nodeFree: 1420,
    lotTooLarge: 1421,
} as const;

export const UNKNOWN_MESSAGE = 130;

export type ActionFields = { to: Address; value?: bigint; gas?: bigint; body: Cell };

/** The bundle's cell: a list in the order of execution. */
export function bundle(actions: ActionFields[]): Cell {
    let next: Cell | null = null;
    for (const { to, value = 0n, gas = ton('0.1'), body } of [...actions].reverse()) {
        next = beginCell().store(storeAction({ $$type: 'Action', to, value, gas, body, next })).endCell();
    }
    assert.ok(next, 'a bundle has at least one action');
    return next;
}

export function text(words: string): Cell {
    return beginCell().storeStringTail(words).endCell();
}

export type StakeAcc = SandboxContract<StakeAccount>;
export type Staker = { wallet: Wallet; account: StakeAcc };
export type Prop = SandboxContract<Proposal>;

export async function governorAt(
    rules: Partial<GovernorParams> = {},
    salt = 1n,
    epochLength = BigInt(EPOCH),
    registry: Address | null = null,
): Promise<Governor> {
    return Governor.fromInit(salt, epochLength, { ...RULES, ...rules }, false, 0n, 0n, 0n, 0n, 0n, registry);
}

export type Genesis = {
    params?: Partial<RegistryParams>;
    roots?: bigint[];
    codes?: Partial<CodeHashes>;
    council?: { threshold: bigint; members: KeyPair[] };
    rebuilders?: KeyPair[];
    rebuildThreshold?: bigint;
    /** What must be empty in an honest genesis. */
    forged?: Partial<RegistryState>;
};

/** Those who rebuild images in tests, of whom two must agree. */
export const REBUILDERS = [keys('rebuilder 0'), keys('rebuilder 1'), keys('rebuilder 2')];
/** The council in tests, of whom two must agree. */
export const COUNCIL = [keys('council 0'), keys('council 1'), keys('council 2')];

/** A version of a contract's code, as the registry names it. */
export function codeOf(code: Cell): Code {
    return { $$type: 'Code', hash: BigInt('0x' + code.hash().toString('hex')), depth: BigInt(code.depth()) };
}

export function members(council: KeyPair[]): Dictionary<bigint, boolean> {
    const map = Dictionary.empty<bigint, boolean>(Dictionary.Keys.BigUint(256), Dictionary.Values.Bool());
    for (const key of council) map.set(publicKey(key), true);
    return map;
}

export async function registryAt(governor: Address, genesis: Genesis = {}): Promise<Registry> {
    const roots = Dictionary.empty<bigint, number>();
    for (const root of genesis.roots ?? [7n]) roots.set(root, 0);
    const rebuilders = Dictionary.empty<bigint, number>();
    for (const key of genesis.rebuilders ?? REBUILDERS) rebuilders.set(publicKey(key), 0);
    const council = genesis.council ?? { threshold: 2n, members: COUNCIL };
    const [payChannel, stakeAccount, proposal, faultReport] = await codes();
    const { forged = {} } = genesis;
    return Registry.fromInit(
        governor,
        forged.ready ?? false,
        forged.revision ?? 0n,
        forged.bonded ?? 0n,
        { ...PARAMS, ...genesis.params },
        forged.counts ?? { $$type: 'RegistryCounts', images: 0n, models: 0n, proxies: 0n, roots: 0n, banned: 0n },
        { $$type: 'CodeHashes', payChannel, stakeAccount, proposal, faultReport, ...genesis.codes },
        forged.tcb ?? { $$type: 'TcbPolicy', minEvaluation: 17n, roots, banned: Dictionary.empty() },
        forged.images ?? Dictionary.empty(),
        forged.models ?? Dictionary.empty(),
        forged.proxies ?? Dictionary.empty(),
        { $$type: 'Council', threshold: council.threshold, members: members(council.members) },
        rebuilders,
        genesis.rebuildThreshold ?? 2n,
        forged.formerChannels ?? Dictionary.empty(),
        forged.successor ?? null,
        forged.successorFrom ?? 0n,
    );
}

/** What the compiled contracts are. */
function codes(): Promise<Code[]> {
    return Promise.all(
        ['PayChannel', 'StakeAccount', 'Proposal', 'FaultReport'].map(async (name) => {
            const file = path.resolve(__dirname, `../../wrappers/artifacts/${name}.code.boc`);
            return codeOf(Cell.fromBoc(readFileSync(file))[0]);
        }),
    );
}

export class Dao {
    private constructor(
        readonly net: Network,
        readonly governor: SandboxContract<Governor>,
        readonly registry: SandboxContract<Registry>,
        readonly deployer: Wallet,
    ) {}

    static async create(net: Network, rules: Partial<GovernorParams> = {}, genesis: Genesis = {}): Promise<Dao> {
        const deployer = await net.wallet('deployer');
        const governor = net.chain.openContract(await governorAt(rules));
        const registry = net.chain.openContract(await registryAt(governor.address, genesis));
        const dao = new Dao(net, governor, registry, deployer);
        const setUp = { $$type: 'SetUpGovernor', queryId: 0n } as const;
        assertOk(on(await governor.send(deployer.getSender(), { value: ton('1') }, setUp), governor.address));
        const setUpRegistry = { $$type: 'SetUpRegistry', queryId: 0n } as const;
        assertOk(on(await registry.send(deployer.getSender(), { value: ton('2') }, setUpRegistry), registry.address));
        return dao;
    }

    /** A DAO with three stakers of 500, 300 and 200 tons, whose stake weighs already. */
    static async staked(net: Network, rules: Partial<GovernorParams> = {}, genesis: Genesis = {}): Promise<Dao & { stakers: Staker[] }> {
        const dao = await Dao.create(net, rules, genesis);
        const stakers: Staker[] = [];
        for (const [name, amount] of [['ann', '500'], ['bob', '300'], ['cyd', '200']]) {
            stakers.push(await dao.staker(name, ton(amount)));
        }
        net.later(EPOCH);
        return Object.assign(dao, { stakers });
    }

    async staker(name: string, amount?: bigint): Promise<Staker> {
        const wallet = await this.net.wallet(name);
        const init = await StakeAccount.fromInit(this.governor.address, wallet.address, Dictionary.empty(), Dictionary.empty(), null);
        const staker = { wallet, account: this.net.chain.openContract(init) };
        if (amount) await this.deposit(staker, amount);
        return staker;
    }

    async deposit(staker: Staker, amount: bigint): Promise<Result> {
        const result = await this.sendDeposit(staker, amount);
        for (const tx of allOn(result, staker.account.address)) assertOk(tx);
        assertOk(on(result, this.governor.address));
        return result;
    }

    sendDeposit(staker: Staker, amount: bigint, value = amount + ton('0.5')): Promise<Result> {
        return staker.account.send(staker.wallet.getSender(), { value }, { $$type: 'Deposit', queryId: 1n, amount });
    }

    /** The whole lot, unless an amount says otherwise. */
    unbond(staker: Staker, lot: bigint, value = ton('0.3'), amount = 0n): Promise<Result> {
        return staker.account.send(staker.wallet.getSender(), { value }, { $$type: 'Unbond', queryId: 2n, lot, amount });
    }

    withdraw(staker: Staker, lot: bigint, value = ton('0.1')): Promise<Result> {
        return staker.account.send(staker.wallet.getSender(), { value }, { $$type: 'Withdraw', queryId: 3n, lot });
    }

    async epoch(): Promise<bigint> {
        return (await this.governor.getState()).epoch;
    }

    async proposalOf(actions: Cell, metadata: Cell): Promise<Prop> {
        const address = await this.governor.getProposalAddress(
            BigInt('0x' + actions.hash().toString('hex')),
            BigInt('0x' + metadata.hash().toString('hex')),
        );
        return this.net.chain.openContract(Proposal.fromAddress(address));
    }

    async sendPropose(staker: Staker, actions: Cell, metadata: Cell, opts: { value?: bigint; snapshot?: bigint } = {}): Promise<Result> {
        return staker.account.send(
            staker.wallet.getSender(),
            { value: opts.value ?? ton('11') },
            { $$type: 'Propose', queryId: 4n, snapshot: opts.snapshot ?? (await this.epoch()), actions, metadata },
        );
    }

    async propose(staker: Staker, actions: Cell, metadata = text('a proposal')): Promise<Prop & { opened: Result }> {
        const result = await this.sendPropose(staker, actions, metadata);
        const proposal = await this.proposalOf(actions, metadata);
        for (const address of [staker.account.address, this.governor.address, proposal.address]) assertOk(on(result, address));
        return Object.assign(proposal, { opened: result });
    }

    async sendVote(
        staker: Staker,
        proposal: Prop,
        support: bigint,
        opts: { snapshot?: bigint; receiptUntil?: bigint; value?: bigint } = {},
    ): Promise<Result> {
        const state = await proposal.getState();
        return staker.account.send(
            staker.wallet.getSender(),
            { value: opts.value ?? ton('0.3') },
            {
                $$type: 'Vote',
                queryId: 5n,
                proposal: proposal.address,
                snapshot: opts.snapshot ?? state.snapshot,
                receiptUntil: opts.receiptUntil ?? state.lastEnd,
                support,
            },
        );
    }

    async vote(staker: Staker, proposal: Prop, support: bigint): Promise<Transaction> {
        const result = await this.sendVote(staker, proposal, support);
        assertOk(on(result, staker.account.address));
        return assertOk(on(result, proposal.address));
    }

    async sendExecute(proposal: Prop, opts: { from?: Wallet; value?: bigint } = {}): Promise<Result> {
        const value = opts.value ?? (await proposal.getState()).executeValue;
        const from = opts.from ?? this.deployer;
        return proposal.send(from.getSender(), { value }, { $$type: 'Execute', queryId: 6n });
    }

    close(proposal: Prop, from: Wallet = this.deployer): Promise<Result> {
        return proposal.send(from.getSender(), { value: ton('0.1') }, { $$type: 'CloseProposal', queryId: 7n });
    }

    /** To the start of voting. */
    async untilVoting(proposal: Prop): Promise<void> {
        this.net.now = Number((await proposal.getState()).startsAt);
    }

    /** To the end of the timelock. */
    async untilReady(proposal: Prop): Promise<void> {
        this.net.now = Number((await proposal.getState()).executableFrom);
    }

    /** The whole round: propose, everybody votes yes, wait, execute. Each action must succeed at its receiver. */
    async decide(stakers: Staker[], actions: ActionFields[], title = 'a proposal'): Promise<Result> {
        const proposal = await this.pass(stakers, bundle(actions), title);
        const result = await this.sendExecute(proposal);
        assert.equal(await proposal.getStatus(), Status.executed);
        for (const { to } of actions) {
            const done = from(allOn(result, to), this.governor.address);
            assert.ok(done.length > 0, 'an action did not arrive');
            done.forEach(assertOk);
        }
        return result;
    }

    /** A proposal that has won and whose timelock is over. */
    async pass(stakers: Staker[], actions: Cell, title = 'a proposal'): Promise<Prop> {
        const proposal = await this.propose(stakers[0], actions, text(title));
        await this.untilVoting(proposal);
        for (const staker of stakers) await this.vote(staker, proposal, YES);
        await this.untilReady(proposal);
        assert.equal(await proposal.getStatus(), Status.ready);
        return proposal;
    }
}

/** Those transactions that a message from this address began. */
export function from(transactions: Transaction[], address: Address): Transaction[] {
    return transactions.filter((tx) => tx.inMessage?.info.type === 'internal' && tx.inMessage.info.src.equals(address));
}

/** A message from an account that no key controls, to ask a contract what it would say to it. */
export function impersonate(net: Network, from: Address, to: Address, body: Cell, value = ton('0.2'), bounce = true): Promise<Result> {
    return net.chain.sendMessage(internal({ from, to, value, body, bounce }));
}

/** Distinct cells of an account's code and data, and their content in bytes. */
export async function storedSize(net: Network, address: Address): Promise<string> {
    const { account } = (await net.chain.getContract(address)).account;
    assert.ok(account?.storage.state.type === 'active');
    const { code, data } = account.storage.state.state;
    const seen = new Set<string>();
    let bits = 0;
    const visit = (cell: Cell) => {
        const key = cell.hash().toString('hex');
        if (seen.has(key)) return;
        seen.add(key);
        bits += cell.bits.length;
        cell.refs.forEach(visit);
    };
    [code, data].forEach((cell) => cell && visit(cell));
    return `${seen.size} cells, ${Math.ceil(bits / 8)} bytes`;
}

/** A node's proof that this account may answer for it. */
export function nodeAuth(node: KeyPair, account: Address, globalId = GLOBAL_ID): Buffer {
    const cell = beginCell()
        .storeUint(0x4e4f4431, 32)
        .storeInt(globalId, 32)
        .storeAddress(account)
        .storeUint(publicKey(node), 256)
        .endCell();
    return sign(cell.hash(), node.secretKey);
}

/** A proxy's proof that this owner runs it. */
export function proxyAuth(node: KeyPair, registry: Address, owner: Address, globalId = GLOBAL_ID): Buffer {
    const cell = beginCell()
        .storeUint(0x50525831, 32)
        .storeInt(globalId, 32)
        .storeAddress(registry)
        .storeAddress(owner)
        .storeUint(publicKey(node), 256)
        .endCell();
    return sign(cell.hash(), node.secretKey);
}

export { keys, publicKey };

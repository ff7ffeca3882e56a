// What an operation costs: gas in the project's contracts, and all that somebody pays for it.
import assert from 'node:assert/strict';
import { Address, Transaction } from '@ton/core';
import { TreasuryContract } from '@ton/sandbox';
import { Network, Result, assertOk, compute, storageFee } from '../support/network';

export type Figure = {
    /** In the project's contracts, over the whole trace; gas of wallets is not ours. */
    gas: number;
    /** All that is paid on the way, in nanotons: gas, forwarding, actions; without the sending wallet's own work. */
    nano: bigint;
    /** Rent for the time since the accounts were last touched, which is no matter of the operation; nanotons. */
    storage: bigint;
    /** How many of the project's contracts worked. */
    contracts: number;
};

export class Meter {
    readonly figures = new Map<string, Figure>();

    constructor(readonly net: Network) {}

    /** Runs the operation, which must succeed at `at`, and notes its figures under a name. */
    async measure<T extends Result>(name: string, at: Address, action: () => Promise<T>): Promise<T> {
        const result = await action();
        const worked = result.transactions.filter((tx) => address(tx).equals(at));
        assert.ok(worked.length > 0, `${name}: nothing happened at ${at}`);
        worked.forEach(assertOk);
        let figure: Figure = { gas: 0, nano: 0n, storage: 0n, contracts: 0 };
        for (const tx of result.transactions) {
            const { gas } = compute(tx);
            const own = gas > 0 && !(await this.isWallet(address(tx)));
            const rent = storageFee(tx);
            figure = {
                gas: figure.gas + (own ? gas : 0),
                nano: figure.nano + cost(tx) - rent,
                storage: figure.storage + (own ? rent : 0n),
                contracts: figure.contracts + (own ? 1 : 0),
            };
        }
        assert.ok(!this.figures.has(name), `${name} is measured twice`);
        this.figures.set(name, figure);
        return result;
    }

    private async isWallet(address: Address): Promise<boolean> {
        const { account } = (await this.net.chain.getContract(address)).account;
        const state = account?.storage.state;
        return state?.type === 'active' && state.state.code?.equals(TreasuryContract.code) === true;
    }
}

function address(tx: Transaction): Address {
    return new Address(0, Buffer.from(tx.address.toString(16).padStart(64, '0'), 'hex'));
}

/**
 * What a transaction takes from the money on its way. Forwarding fees count where the message is made: in part they are collected
 * there, the rest where it arrives. The wallet that begins pays for its own work as it pleases; only its message counts.
 */
function cost(tx: Transaction): bigint {
    const { description } = tx;
    assert.equal(description.type, 'generic');
    const { actionPhase, bouncePhase } = description;
    const forward = actionPhase?.totalFwdFees ?? 0n;
    const bounced = bouncePhase?.type === 'ok' ? bouncePhase.forwardFees : 0n;
    if (tx.inMessage?.info.type === 'external-in') return forward + storageFee(tx);
    return tx.totalFees.coins - (actionPhase?.totalActionFees ?? 0n) + forward + bounced;
}

// Registries that hold what a test wants, put on the chain as they are, under a governor who is a wallet. No log is there: what one would
// hear comes back.
import { Cell } from '@ton/core';
import { RegistryState } from '../build/Registry';
import { Genesis, REGISTRY_MIN_VALUE, impersonate, registryAt } from './dao';
import { Network, allOn, assertOk, ton } from './network';
import { place } from './placed';

/** Set up, in its first revision and with all that a genesis gives it, unless `held` says otherwise. */
export async function registry(held: Partial<RegistryState> = {}, genesis: Omit<Genesis, 'forged'> = {}) {
    const net = await Network.create();
    const governor = await net.wallet('governor');
    const contract = await place(net, await registryAt(governor.address, { ...genesis, forged: { ready: true, revision: 1n, ...held } }), ton('1000'));
    const { address } = contract;
    const says = (body: Cell, value = REGISTRY_MIN_VALUE) => impersonate(net, governor.address, address, body, value);
    const takes = async (body: Cell, value?: bigint) => assertOk(allOn(await says(body, value), address)[0]);
    const refuses = async (code: number, body: Cell, value?: bigint) => void (await net.refused(address, code, () => says(body, value)));
    return { net, address, registry: contract, governor, takes, refuses };
}

export type At = Awaited<ReturnType<typeof registry>>;

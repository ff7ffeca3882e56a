// Proxies under test.
import { Address, Cell, beginCell } from '@ton/core';
import { storeRegisterProxy } from '../build/Registry';
import { Dao, PARAMS, REGISTRY_MIN_VALUE, keys, proxyAuth, publicKey } from './dao';
import { Result, Wallet, ton } from './network';

/** What a proxy leaves in the registry for the storage of its entry. */
export const PROXY_FEE = ton('0.1');

export type ProxyOptions = { endpoint?: string; bond?: bigint; value?: bigint; signature?: Buffer; key?: string };

export function registerBody(registry: Address, owner: Address, opts: ProxyOptions = {}): Cell {
    const node = keys(opts.key ?? 'proxy');
    return beginCell()
        .store(
            storeRegisterProxy({
                $$type: 'RegisterProxy',
                queryId: 1n,
                nodeKey: publicKey(node),
                bond: opts.bond ?? PARAMS.minProxyBond,
                signature: opts.signature ?? proxyAuth(node, registry, owner),
                endpoint: opts.endpoint ?? '127.0.0.1:9000',
            }),
        )
        .endCell();
}

/** Registers a proxy of this wallet, with the key of this name. */
export function registerProxy(dao: Dao, wallet: Wallet, opts: ProxyOptions = {}): Promise<Result> {
    const value = opts.value ?? (opts.bond ?? PARAMS.minProxyBond) + PROXY_FEE + REGISTRY_MIN_VALUE;
    return dao.net.send(wallet, dao.registry.address, value, registerBody(dao.registry.address, wallet.address, opts));
}

// Contracts that were put on the chain as they are: bringing them there by messages would take a test of its own.
import { Contract } from '@ton/core';
import { createShardAccount } from '@ton/sandbox';
import { Network } from './network';

export async function place<T extends Contract>(net: Network, contract: T, balance: bigint) {
    const { code, data } = contract.init!;
    const { address } = contract;
    await net.chain.setShardAccount(address, createShardAccount({ address, code: code!, data: data!, balance }));
    return net.chain.openContract(contract);
}

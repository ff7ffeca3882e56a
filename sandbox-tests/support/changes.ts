// Every change that a governor and a council can make in a registry, in an order in which all of them are possible.
import { Address, Cell } from '@ton/core';
import { COUNCIL, Kind, PARAMS, keys } from './dao';
import {
    deprecate,
    lift,
    remove,
    revoke,
    scheduleImage,
    scheduleModel,
    setBan,
    setCodes,
    setCouncil,
    setGovernor,
    setMinTcb,
    setParams,
    setRebuildThreshold,
    setRebuilder,
    setRoot,
    setSuccessor,
    someCodes,
    suspend,
    suspension,
} from './entries';
import { DAY, Network, publicKey } from './network';

/** A message to the registry, and what the log is to hear of it: no id is a kind, so neither can be taken for the other. */
export type Change = { name: string; body: Cell; kind: bigint; id: bigint; moment: bigint };

export function everyChange(net: Network, registry: Address): Change[] {
    const now = BigInt(net.now);
    const usable = now + PARAMS.activationDelay;
    const [soon, later] = [now + BigInt(9 * DAY), now + BigInt(90 * DAY)];
    const elsewhere = new Address(0, Buffer.alloc(32, 0xe1));
    const validUntil = now + BigInt(DAY);
    const order = suspension({ registry, kind: Kind.image, id: 5n, scheduledAt: now, validUntil });
    const members = COUNCIL.slice(0, 2).map((key) => ({ key, cell: order }));
    const change = (name: string, body: Cell, kind: bigint, id: bigint, moment: bigint): Change => ({ name, body, kind, id, moment });
    return [
        change('schedule an image', scheduleImage(registry, 5n), Kind.image, 5n, usable),
        change('schedule a model', scheduleModel(6n), Kind.model, 6n, usable),
        change('schedule a model for later', scheduleModel(7n, { activeFrom: later }), Kind.model, 7n, later),
        change('suspend', suspend(Kind.image, 5n, validUntil, members), Kind.image, 5n, now + PARAMS.suspensionPeriod),
        change('lift', lift(Kind.image, 5n), Kind.image, 5n, now),
        change('deprecate', deprecate(Kind.model, 6n, Number(soon)), Kind.model, 6n, soon),
        change('deprecate at once', deprecate(Kind.model, 6n, 1), Kind.model, 6n, now),
        change('revoke', revoke(Kind.image, 5n), Kind.image, 5n, now),
        change('remove', remove(Kind.image, 5n), Kind.image, 5n, now),
        change('allow a root', setRoot(8n, true), 0n, 8n, usable),
        change('withdraw a root', setRoot(8n, false), 0n, 8n, now),
        change('ban', setBan(9n, true), 0n, 9n, now),
        change('lift a ban', setBan(9n, false), 0n, 9n, now),
        change('least TCB number', setMinTcb(20n), 0n, 0n, now),
        change('parameters', setParams(PARAMS), 0n, 0n, now),
        change('a rebuilder', setRebuilder(keys('another'), true), 0n, publicKey(keys('another')), now),
        change('the threshold', setRebuildThreshold(1n), 0n, 0n, now),
        change('codes', setCodes(someCodes(1n), Number(now) + DAY), 0n, 0n, now),
        change('the council', setCouncil(0n, []), 0n, 0n, now),
        change('a successor', setSuccessor(elsewhere), 0n, 0n, usable),
        change('no successor', setSuccessor(null), 0n, 0n, now),
        change('another governor', setGovernor(elsewhere), 0n, 0n, now),
    ];
}

// What a registry refuses because a list is full or because it is not set up, on registries that were put on the chain as they are.
import { test } from 'node:test';
import { Cell, Dictionary } from '@ton/core';
import { FormerCode, RegistryCounts, dictValueParserFormerCode } from '../build/Registry';
import { Kind, PARAMS, REGISTRY_MIN_VALUE, RegistryErr, keys } from '../support/dao';
import { lift, remove, revoke, scheduleImage, scheduleModel, setBan, setCodes, setCouncil, setGovernor, setMinTcb, setParams, setRebuildThreshold, setRebuilder, setRoot, setSuccessor, someCodes } from '../support/entries';
import { DAY, Network, ton } from '../support/network';
import { PROXY_FEE, registerBody } from '../support/proxies';
import { At, registry } from '../support/registries';

const BOND = PARAMS.minProxyBond;
const names = (n: number) => Array.from({ length: n }, (_, i) => keys(`one of many ${i}`));

const counted = (counts: Partial<RegistryCounts>) =>
    registry({ counts: { $$type: 'RegistryCounts', images: 0n, models: 0n, proxies: 0n, roots: 0n, banned: 0n, ...counts } });

test('RG-23: a list takes as many as it may hold, and not one more', async () => {
    const proxy = ({ address, governor }: At) => registerBody(address, governor.address, { key: 'proxy' });
    const lists: [keyof RegistryCounts, bigint, (at: At) => Cell, bigint?][] = [
        ['images', 256n, ({ address }) => scheduleImage(address, 99n)],
        ['models', 1024n, () => scheduleModel(99n)],
        ['roots', 8n, () => setRoot(99n, true)],
        ['banned', 512n, () => setBan(99n, true)],
        ['proxies', 256n, proxy, BOND + PROXY_FEE + REGISTRY_MIN_VALUE],
    ];
    for (const [name, most, body, value] of lists) {
        const full = await counted({ [name]: most });
        await full.refuses(RegistryErr.full, body(full), value);
        const almost = await counted({ [name]: most - 1n });
        await almost.takes(body(almost), value);
    }
});

test('RG-23: so do the rebuilders, the council and the former codes, which are counted', async () => {
    const sixteen = await registry({}, { rebuilders: names(15) });
    await sixteen.takes(setRebuilder(keys('one more'), true));
    await sixteen.refuses(RegistryErr.full, setRebuilder(keys('yet another'), true));
    await sixteen.takes(setCouncil(15n, names(15)));
    await sixteen.refuses(RegistryErr.badThreshold, setCouncil(15n, names(16)));
    const formers = (net: Network, n: number) => {
        const map = Dictionary.empty<bigint, FormerCode>(Dictionary.Keys.BigUint(256), dictValueParserFormerCode());
        for (let i = 0; i < n; i++) map.set(BigInt(1000 + i), { $$type: 'FormerCode', depth: 5n, acceptedUntil: BigInt(net.now + DAY) });
        return map;
    };
    const until = (at: At) => setCodes(someCodes(1n), at.net.now + DAY);
    const clock = await Network.create();
    const seven = await registry({ formerChannels: formers(clock, 7) });
    await seven.takes(until(seven));
    const eight = await registry({ formerChannels: formers(clock, 8) });
    await eight.refuses(RegistryErr.full, until(eight));
});

test('RG-2: before it is set up a registry hears nobody; afterwards its governor, who brings enough', async () => {
    const bodies = (at: At) => [
        scheduleImage(at.address, 1n),
        scheduleModel(1n),
        revoke(Kind.model, 1n),
        remove(Kind.model, 1n),
        lift(Kind.model, 1n),
        setRoot(99n, true),
        setMinTcb(1n),
        setBan(1n, true),
        setParams(PARAMS),
        setCodes(someCodes(1n)),
        setCouncil(0n, []),
        setRebuilder(keys('another'), true),
        setRebuildThreshold(1n),
        setSuccessor(at.governor.address),
        setGovernor(at.governor.address),
    ];
    const early = await registry({ ready: false });
    for (const body of bodies(early)) await early.refuses(RegistryErr.notReady, body);
    await early.refuses(RegistryErr.notReady, Cell.EMPTY);
    const proxy = registerBody(early.address, early.governor.address, { key: 'proxy' });
    await early.refuses(RegistryErr.notReady, proxy, BOND + PROXY_FEE + REGISTRY_MIN_VALUE);
    const ready = await registry();
    const thief = await ready.net.wallet('thief');
    for (const body of bodies(ready)) {
        await ready.refuses(RegistryErr.lowValue, body, REGISTRY_MIN_VALUE - 1n);
        await ready.net.refused(ready.address, RegistryErr.notGovernor, () => ready.net.send(thief, ready.address, ton('1'), body));
    }
});

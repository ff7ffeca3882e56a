// UP: a contract's code is what it was when money was put into it.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Channel, EVIDENCE_VALUE, MIN_VALUE, evidence } from '../support/channel';
import { Network, ton } from '../support/network';

const SOURCES = path.resolve(__dirname, '../../contracts');

function tactFiles(dir: string): string[] {
    return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
        const file = path.join(dir, entry.name);
        if (entry.isDirectory()) return tactFiles(file);
        return entry.name.endsWith('.tact') ? [file] : [];
    });
}

/** A source without its comments and texts. */
function words(file: string): string {
    return readFileSync(file, 'utf8').replace(/"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, ' ');
}

test('no contract can replace its code, or run any that it was not compiled with', () => {
    // Tact itself has no such operation: only TVM instructions written by hand could do it. They are few, spelled by name, and
    // none of them sets code, libraries or registers, or enters a cell as code.
    const harmless = new Set(['GLOBALID', 'XCTOS', 'NIP', 'NOT']);
    let bodies = 0;
    for (const file of tactFiles(SOURCES)) {
        const source = words(file);
        for (const [, body] of source.matchAll(/\basm\b[^{]*\{([^}]*)\}/g)) {
            bodies += 1;
            for (const instruction of body.trim().split(/\s+/)) {
                assert.ok(harmless.has(instruction), `${path.relative(SOURCES, file)}: ${instruction} is not known to be harmless`);
            }
        }
        assert.doesNotMatch(source, /\bset_?(lib_?)?code\b/i, path.relative(SOURCES, file));
    }
    assert.ok(bodies > 0, 'the pattern must still find what it looks for');
});

test('a channel keeps its code and its terms through every operation', async () => {
    const net = await Network.create();
    const channel = await Channel.funded(net, ton('2'));
    const code = async () => {
        const state = (await net.chain.getContract(channel.address)).account.account?.storage.state;
        return state?.type === 'active' ? state.state.code?.hash().toString('hex') : undefined;
    };
    const original = channel.contract.init!.code.hash().toString('hex');
    const seen = evidence({ registry: channel.stranger.address });
    const life = [
        () => channel.claim(ton('0.1')),
        () => channel.claim({ cumulative: ton('0.2'), evidence: seen }, { value: MIN_VALUE + EVIDENCE_VALUE }),
        () => channel.coopClose(),
        () => channel.topUp(ton('1')),
        () => channel.requestClose(),
        async () => {
            net.now = channel.books.closeAt;
            await channel.settle();
        },
    ];
    for (const step of life) {
        await step();
        assert.equal(await code(), original);
    }
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { Cell, Dictionary } from '@ton/core';
import { defaultConfig } from '@ton/sandbox';
import { GLOBAL_ID, devnetConfig } from '../support/network';

const params = (root: Cell) => Dictionary.loadDirect(Dictionary.Keys.Int(32), Dictionary.Values.Cell(), root);

test('the committed devnet configuration is fresh', () => {
    execFileSync(path.resolve(__dirname, '../../scripts/build-devnet-config'), ['--check'], { stdio: 'pipe' });
});

test('the devnet differs from mainnet in its global id and the form of its workchain descriptor only', () => {
    const devnet = params(devnetConfig());
    const mainnet = params(Cell.fromBase64(defaultConfig));
    const different = devnet.keys().filter((id) => !mainnet.get(id)?.equals(devnet.get(id)!));
    assert.deepEqual(different, [12, 19]);
    assert.equal(devnet.get(19)!.beginParse().loadInt(32), GLOBAL_ID);
    // Prices and limits: storage, gas, forwarding, message and account sizes, TVM version.
    for (const id of [8, 18, 20, 21, 24, 25, 43]) {
        assert.equal(devnet.get(id)?.hash().toString('hex'), mainnet.get(id)?.hash().toString('hex'), `parameter ${id}`);
    }
});

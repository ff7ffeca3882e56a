// Records tests/traces/contracts.json, the calls that the embedded devnet is compared with.
//
//   npm run record-trace             writes it
//   npm run record-trace -- --check  fails when it would come out different
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { recordChannel } from './channel';
import { Recorder } from './recorder';
import { recordWallets } from './wallets';

const TARGET = path.resolve(__dirname, '../../tests/traces/contracts.json');

async function main(args: string[]): Promise<void> {
    const recorder = new Recorder();
    await recordWallets(recorder);
    await recordChannel(recorder);
    const text = recorder.toJSON();
    if (args[0] === '--check') {
        if (!existsSync(TARGET) || readFileSync(TARGET, 'utf8') !== text) {
            throw new Error('tests/traces/contracts.json is stale: run "npm run record-trace" in sandbox-tests');
        }
    } else {
        mkdirSync(path.dirname(TARGET), { recursive: true });
        writeFileSync(TARGET, text);
    }
    console.log(`tests/traces/contracts.json: ${recorder.summary()}, ${Math.ceil(text.length / 1024)} KiB`);
}

main(process.argv.slice(2)).catch((e) => {
    console.error(e);
    process.exitCode = 1;
});

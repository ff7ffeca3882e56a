// Records tests/traces/contracts.{json,boc}: calls and answers that the embedded devnet is compared with.
//
//   npm run record-trace             writes them
//   npm run record-trace -- --check  fails when they would come out different
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { recordChannel } from './channel';
import { recordDao } from './dao';
import { Recorder } from './recorder';
import { recordWallets } from './wallets';

const TARGET = path.resolve(__dirname, '../../tests/traces');

async function main(args: string[]): Promise<void> {
    const recorder = new Recorder();
    await recordWallets(recorder);
    await recordChannel(recorder);
    await recordDao(recorder);
    mkdirSync(TARGET, { recursive: true });
    for (const [name, bytes] of recorder.files()) {
        const file = path.join(TARGET, name);
        if (args[0] !== '--check') writeFileSync(file, bytes);
        else if (!existsSync(file) || !readFileSync(file).equals(bytes)) {
            throw new Error(`tests/traces/${name} is stale: run "npm run record-trace" in sandbox-tests`);
        }
        console.log(`tests/traces/${name}: ${Math.ceil(bytes.length / 1024)} KiB`);
    }
    console.log(recorder.summary());
}

main(process.argv.slice(2)).catch((e) => {
    console.error(e);
    process.exitCode = 1;
});

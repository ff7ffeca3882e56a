// A devnet with a liteserver, and ton-lite-client on it.
'use strict';
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { LiteClient, LiteRoundRobinEngine, LiteSingleEngine } = require('ton-lite-client');

class Network {
    static async start() {
        const network = new Network();
        network.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lite-'));
        const config = path.join(network.folder, 'config.json');
        network.process = spawn(process.env.COCOON_LITE, ['--config-out', config, '--validators', '3'], { stdio: ['pipe', 'pipe', 'inherit'] });
        network.lines = readline.createInterface({ input: network.process.stdout })[Symbol.asyncIterator]();
        network.ready = JSON.parse((await network.lines.next()).value);
        const [server] = JSON.parse(fs.readFileSync(config)).liteservers;
        network.engine = new LiteRoundRobinEngine([
            new LiteSingleEngine({ host: `tcp://127.0.0.1:${server.port}`, publicKey: Buffer.from(server.id.key, 'base64') }),
        ]);
        network.client = new LiteClient({ engine: network.engine });
        return network;
    }

    /** Runs a command, as offchain/devnet/examples/lite.rs describes them. */
    async run(command) {
        this.process.stdin.write(`${command}\n`);
        const answer = JSON.parse((await this.lines.next()).value);
        assert.equal(answer.error, undefined, `${command}: ${answer.error}`);
        return answer.seqno;
    }

    /** The newest masterchain block. */
    async newest() {
        return (await this.client.getMasterchainInfo()).last;
    }

    async account(address) {
        return this.client.getAccountState(address, await this.newest());
    }

    async stop() {
        this.engine.close();
        this.process.stdin.end();
        if (this.process.exitCode === null) await new Promise((resolve) => this.process.once('exit', resolve));
        fs.rmSync(this.folder, { recursive: true });
    }
}

/** Asks again until the answer is right: a block comes every second. */
async function eventually(question, holds) {
    for (let i = 0; i < 50; i++) {
        const answer = await question();
        if (holds(answer)) return answer;
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.fail('not in 10 s');
}

module.exports = { Network, eventually };

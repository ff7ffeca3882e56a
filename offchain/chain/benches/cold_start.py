"""Cold start to the first proven account: this client, the C++ tonlib and pytoniq, in turn, on the same devnet.

    cargo build -p cocoon-devnet --example lite && cargo build -p cocoon-chain --example light_bench
    python3 offchain/chain/benches/cold_start.py target/debug/examples

Needs pytonlib and pytoniq: tests/lite-clients/requirements.txt. Prints medians in milliseconds.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from pytoniq import LiteClient
from pytonlib import TonlibClient

ROUNDS = 9
# Of no meaning; changing it makes a key block.
VALUES = ["te6ccgEBAQEADAAAExpDuaygAQEgH0g=", "te6ccgEBAQEADAAAExpDuaygEQEgH0g="]


async def tonlib(config, address):
    with tempfile.TemporaryDirectory() as keys:
        begin = time.perf_counter()
        client = TonlibClient(ls_index=0, config=config, keystore=keys, tonlib_timeout=20, verbosity_level=0)
        await client.init()
        await client.raw_get_account_state(address)
        spent = time.perf_counter() - begin
        await client.close()
        return spent


async def pytoniq(config, address):
    with tempfile.TemporaryDirectory() as store:
        # It keeps what it has proven where it is started, and that would be no cold start.
        os.chdir(store)
        begin = time.perf_counter()
        client = LiteClient.from_config(config, ls_i=0, trust_level=0, timeout=20)
        await client.connect()
        await client.get_account_state(address)
        spent = time.perf_counter() - begin
        await client.close()
        os.chdir("/")
        return spent


async def median(work, *args):
    times = []
    for _ in range(ROUNDS):
        times.append(await asyncio.wait_for(work(*args), 60))
    return statistics.median(times) * 1e3


def main():
    examples = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/global.config.json"
        network = subprocess.Popen(
            [f"{examples}/lite", "--config-out", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            giver = json.loads(network.stdout.readline())["giver"]
            for number in range(20):
                network.stdin.write(f"param 13 {VALUES[number % 2]}\n")
                network.stdin.flush()
                network.stdout.readline()
            with open(path) as file:
                from_init = json.load(file)
            from_zero = json.loads(json.dumps(from_init))
            from_zero["validator"]["init_block"] = from_zero["validator"]["zero_state"]
            for name, config in [("from the init block", from_init), ("from the zerostate", from_zero)]:
                with open(path, "w") as file:
                    json.dump(config, file)
                print(f"{name}, 21 key blocks in all")
                print(f"  tonlib (C++)   {asyncio.run(median(tonlib, config, giver)):9.2f} ms", flush=True)
                if config is from_init:  # pytoniq cannot begin at a zerostate
                    print(f"  pytoniq        {asyncio.run(median(pytoniq, config, giver)):9.2f} ms", flush=True)
                ours = subprocess.run([f"{examples}/light_bench", path, giver, str(ROUNDS)], capture_output=True, text=True)
                print(*[line for line in ours.stdout.splitlines() if "cold" in line] or [ours.stderr], sep="\n", flush=True)
        finally:
            network.stdin.close()
            network.wait(10)


if __name__ == "__main__":
    main()

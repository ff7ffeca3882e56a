"""A devnet with a liteserver, started once for all tests."""

import copy
import json
import os
import subprocess
import tempfile

import pytest


class Network:
    """The devnet's process. Commands are described in offchain/devnet/examples/lite.rs."""

    def __init__(self, *options):
        self.folder = tempfile.TemporaryDirectory()
        config = os.path.join(self.folder.name, "global.config.json")
        command = [os.environ["COCOON_LITE"], "--config-out", config, *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line, "the devnet ended before it was ready"
        self.ready = json.loads(line)
        with open(config) as file:
            self.from_init = json.load(file)
        self.key_blocks = {1}
        self.from_zerostate = copy.deepcopy(self.from_init)
        self.from_zerostate["validator"]["init_block"] = self.from_init["validator"]["zero_state"]

    def do(self, command):
        """Runs a command, and returns the number of the newest block."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, f"{command}: {answer['error']}"
        return answer["seqno"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.folder.cleanup()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """pytoniq keeps what it trusts in the current directory; every test begins with nothing."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def network():
    network = Network("--validators", "4")
    # Some history with a few key blocks, two changes of the validators, and accounts in both chains.
    network.do(f"faucet 0:{'11' * 32} 5")
    network.do(f"faucet -1:{'22' * 32} 6")
    for boc in ["te6ccgEBAQEADAAAExpDuaygAQEgH0g=", "te6ccgEBAQEADAAAExpDuaygEQEgH0g="]:
        network.key_blocks.add(network.do(f"param 13 {boc}"))
        network.do("advance 10")
        network.key_blocks.add(network.do(f"elect {len(boc) % 5 + 3}"))
        network.key_blocks.add(network.do("advance 10"))
    yield network
    network.do("fault none")
    network.stop()

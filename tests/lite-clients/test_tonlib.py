"""tonlib, the C++ reference client: it trusts the init block only, and runs getters on the proven state itself."""

import asyncio
import time

import pytest
from pytonlib import TonlibClient
from pytonlib.tonlibjson import TonlibError, TonlibNoResponse

FULL = -(2**63)


def with_tonlib(network, config, tmp_path, test, patience=10):
    async def body():
        client = TonlibClient(
            ls_index=0, config=config, keystore=str(tmp_path), tonlib_timeout=patience, verbosity_level=0
        )
        await client.init()
        try:
            return await test(client)
        finally:
            await client.close()

    return asyncio.run(asyncio.wait_for(body(), 60))


@pytest.fixture(params=["from_init", "from_zerostate"])
def config(request, network):
    return getattr(network, request.param)


def test_accounts(network, config, tmp_path):
    async def test(client):
        assert (await client.raw_get_account_state(f"0:{'11' * 32}"))["balance"] == "5000000000"
        assert (await client.raw_get_account_state(f"-1:{'22' * 32}"))["balance"] == "6000000000"
        assert (await client.raw_get_account_state(f"0:{'33' * 32}"))["balance"] == "-1"
        state = await client.generic_get_account_state(network.ready["giver"])
        assert state["account_state"]["@type"].startswith("wallet") or state["account_state"]["@type"].startswith("raw")
        history = await client.get_transactions(network.ready["giver"], limit=10)
        assert len(history) >= 2
        assert all(one["transaction_id"]["lt"] for one in history)

    with_tonlib(network, config, tmp_path, test)


def test_getters(network, config, tmp_path):
    async def test(client):
        result = await client.raw_run_method(network.ready["giver"], "seqno", [])
        assert result["exit_code"] == 0 and int(result["stack"][0][1], 16) >= 2
        missing = await client.raw_run_method(network.ready["giver"], "no_such_getter", [])
        assert missing["exit_code"] == 11

    with_tonlib(network, config, tmp_path, test)


def test_blocks(network, config, tmp_path):
    async def test(client):
        last = (await client.get_masterchain_info())["last"]["seqno"]
        [shard] = (await client.get_shards(last))["shards"]
        assert shard["seqno"] == last
        assert (await client.get_block_header(-1, FULL, last))["id"]["seqno"] == last
        assert (await client.get_block_header(0, FULL, 2))["id"]["workchain"] == 0
        assert (await client.lookup_block(-1, FULL, seqno=3))["seqno"] == 3
        assert (await client.lookup_block(0, FULL, unixtime=int(time.time()) - 1))["seqno"] >= 1
        assert (await client.lookup_block(0, FULL, lt=3_000_001))["seqno"] >= 1
        total = 0
        for seqno in range(1, last + 1):
            for workchain in (0, -1):
                listed = (await client.get_block_transactions(workchain, FULL, seqno, count=40))["transactions"]
                extended = await client.get_block_transactions_ext(workchain, FULL, seqno, count=40)
                assert len(listed) == len(extended["transactions"])
                total += len(listed)
        assert total >= 5

    with_tonlib(network, config, tmp_path, test)


def test_configuration(network, config, tmp_path):
    async def test(client):
        assert (await client.get_config_param(34))["@type"] == "configInfo"
        assert (await client.get_config_all())["config"]["bytes"]

    with_tonlib(network, config, tmp_path, test)


def test_attack_86_it_notices_a_forged_state(network, tmp_path):
    async def test(client):
        for fault in ["forge-state", "forge-proof"]:
            network.do(f"fault {fault}")
            try:
                with pytest.raises((TonlibError, TonlibNoResponse)):
                    await client.raw_get_account_state(f"0:{'11' * 32}")
            finally:
                network.do("fault none")
        assert (await client.raw_get_account_state(f"0:{'11' * 32}"))["balance"] == "5000000000"

    with_tonlib(network, network.from_init, tmp_path, test)


def test_attack_86_it_notices_a_forged_signature(network, tmp_path):
    async def test(client):
        with pytest.raises((TonlibError, TonlibNoResponse)):
            await client.raw_get_account_state(f"0:{'11' * 32}")

    network.do("fault forge-signature")
    try:
        with_tonlib(network, network.from_init, tmp_path, test, patience=4)
    finally:
        network.do("fault none")


def test_attack_85_it_does_not_wait_for_ever_for_a_server_that_stalls(network, tmp_path):
    async def test(client):
        with pytest.raises((TonlibError, TonlibNoResponse)):
            await client.get_masterchain_info()

    network.do("fault stall")
    try:
        with_tonlib(network, network.from_init, tmp_path, test, patience=3)
    finally:
        network.do("fault none")

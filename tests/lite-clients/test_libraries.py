"""A contract whose code is a public library: its getter, run by the C++ TVM and by the liteserver for pytoniq."""

import asyncio
import base64

import pytest
from pytoniq import LiteClient, WalletV4R2
from pytoniq_core import Address, Builder, Cell, StateInit, begin_cell
from pytonlib import TonlibClient

# DROP and 42 PUSHINT: whatever it is asked, it says 42.
LIBRARY = begin_cell().store_uint(0x30802A, 24).end_cell()
# PUSHREF, 2 PUSHINT and SETLIBCODE: it publishes the library when it is deployed.
PUBLISHER = StateInit(
    code=begin_cell().store_uint(0x88, 8).store_ref(LIBRARY).store_uint(0x72, 8).store_uint(0xFB06, 16).end_cell(),
    data=Cell.empty(),
)
USER = StateInit(code=Builder(type_=2).store_uint(2, 8).store_bytes(LIBRARY.hash).end_cell(), data=Cell.empty())


async def eventually(question, holds):
    for _ in range(50):
        answer = await question()
        if holds(answer):
            return answer
        await asyncio.sleep(0.2)
    raise AssertionError(f"not in 10 s: {answer}")


@pytest.fixture(scope="module")
def user(network, tmp_path_factory):
    """The address of the contract that uses the library."""

    async def deploy():
        client = LiteClient.from_config(network.from_init, 0, trust_level=1, timeout=5)
        await client.connect()
        sender = (await WalletV4R2.create(client, version="v4r2"))[1]
        network.do(f"faucet {sender.address.to_str(is_user_friendly=False)} 10")
        await sender.deploy_via_external()
        await eventually(lambda: client.get_account_state(sender.address), lambda state: state.is_active())
        for workchain, init in [(-1, PUBLISHER), (0, USER)]:
            to = Address((workchain, init.serialize().hash))
            await sender.transfer(to, 1_000_000_000, state_init=init)
            await eventually(lambda: client.get_account_state(to), lambda state: state.is_active())
        await client.close()
        return to.to_str(is_user_friendly=False)

    return asyncio.run(asyncio.wait_for(deploy(), 60))


@pytest.mark.parametrize("config", ["from_init", "from_zerostate"])
def test_tonlib_fetches_the_library_and_runs_the_getter(network, user, config, tmp_path):
    async def test():
        client = TonlibClient(ls_index=0, config=getattr(network, config), keystore=str(tmp_path), tonlib_timeout=10)
        await client.init()
        try:
            result = await client.raw_run_method(user, "anything", [])
            assert (result["exit_code"], result["stack"][-1][1]) == (0, "0x2a")
            found = await client.get_libraries([base64.b64encode(LIBRARY.hash).decode()])
            assert len(found["result"]) == 1
        finally:
            await client.close()

    asyncio.run(asyncio.wait_for(test(), 60))


@pytest.mark.parametrize("trust_level", [0, 1])
def test_pytoniq_is_given_the_result_and_the_library(network, user, trust_level):
    async def test():
        client = LiteClient.from_config(network.from_init, 0, trust_level=trust_level, timeout=5)
        await client.connect()
        assert await client.run_get_method(user, "anything", []) == [42]
        assert (await client.get_libraries([LIBRARY.hash]))[LIBRARY.hash.hex()].hash == LIBRARY.hash
        await client.close()

    asyncio.run(asyncio.wait_for(test(), 60))

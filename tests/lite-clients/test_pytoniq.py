"""pytoniq, which checks proofs itself: at trust level 0 everything from the init block on, at 1 all but the newest block."""

import asyncio
import secrets
import time

import pytest
from pytoniq import LiteClient, WalletV4R2
from pytoniq_core import begin_cell

FULL = -(2**63)


def run(test):
    return asyncio.run(asyncio.wait_for(test, 60))


async def connect(network, trust_level):
    client = LiteClient.from_config(network.from_init, 0, trust_level=trust_level, timeout=5)
    await client.connect()
    return client


async def eventually(question, holds):
    """Asks again until the answer is right: a block comes every second."""
    for _ in range(50):
        answer = await question()
        if holds(answer):
            return answer
        await asyncio.sleep(0.2)
    raise AssertionError(f"not in 10 s: {answer}")


@pytest.mark.parametrize("trust_level", [0, 1])
def test_wallets_deploy_and_pay_each_other(network, trust_level):
    async def test():
        client = await connect(network, trust_level)
        sender, receiver = [(await WalletV4R2.create(client, version="v4r2"))[1] for _ in range(2)]
        address = sender.address.to_str(is_user_friendly=False)
        network.do(f"faucet {address} 10")
        await sender.deploy_via_external()
        state = await eventually(lambda: client.get_account_state(address), lambda state: state.is_active())
        assert 9_900_000_000 < state.balance < 10_000_000_000
        seqno = await sender.get_seqno()
        body = begin_cell().store_uint(0, 32).store_snake_string("thank you " * 30).end_cell()
        await sender.transfer(receiver.address, 3_000_000_000, body=body)
        to = receiver.address.to_str(is_user_friendly=False)
        state = await eventually(lambda: client.get_account_state(to), lambda state: state.balance)
        assert 2_999_000_000 < state.balance <= 3_000_000_000
        await eventually(sender.get_seqno, lambda found: found == seqno + 1)
        assert await sender.get_public_key() == int.from_bytes(sender.public_key, "big")

        history = await client.get_transactions(address, count=10)
        assert len(history) == 3
        assert [len(transaction.out_msgs) for transaction in history] == [1, 0, 0]
        assert history[0].prev_trans_lt == history[1].lt
        block = (await client.get_transactions(to, count=10))[0]
        assert block.in_msg.info.value_coins == 3_000_000_000
        await client.close()

    run(test())


@pytest.mark.parametrize("trust_level", [0, 1])
def test_blocks_and_states_can_be_read(network, trust_level):
    async def test():
        client = await connect(network, trust_level)
        last = client.last_mc_block
        assert (await client.raw_get_block(last)).info.seqno == last.seqno
        assert (await client.raw_get_block_header(last)).info.seqno == last.seqno
        [shard] = await client.get_all_shards_info(last)
        assert shard.seqno == last.seqno
        assert (await client.raw_get_block(shard)).info.shard.workchain_id == 0
        found, _ = await client.lookup_block(-1, FULL, 2)
        assert found.seqno == 2
        found, header = await client.lookup_block(0, FULL, utime=int(time.time()) - 1)
        assert found.seqno >= 1 and header.info.gen_utime >= int(time.time()) - 60

        total = 0
        for seqno in range(1, last.seqno + 1):
            # At level 0 it takes every step back to a key block for one to the key block right before.
            if seqno in network.key_blocks and trust_level == 0:
                continue
            for workchain in (0, -1):
                block, _ = await client.lookup_block(workchain, FULL, seqno)
                listed = await client.raw_get_block_transactions(block)
                extended = await client.raw_get_block_transactions_ext(block)
                assert [one["lt"] for one in listed] == [one.lt for one in extended]
                total += len(listed)
                for one in listed:
                    assert (await client.lookup_block(workchain, FULL, lt=one["lt"]))[0] == block
                    transaction = await client.get_one_transaction(one["account"], one["lt"], block)
                    assert (transaction.cell.hash, transaction.lt) == (one["hash"], one["lt"])
        assert total >= 4
        await client.close()

    run(test())


@pytest.mark.parametrize("trust_level", [0, 1])
def test_accounts_and_configuration_can_be_read(network, trust_level):
    async def test():
        client = await connect(network, trust_level)
        assert (await client.get_account_state(f"0:{'11' * 32}")).balance == 5_000_000_000
        assert (await client.get_account_state(f"-1:{'22' * 32}")).balance == 6_000_000_000
        assert (await client.get_account_state(f"0:{'33' * 32}")).is_uninitialized()
        config = await client.get_config_all()
        assert config[19].load_int(32) == 0x434F434E
        assert set(await client.get_config_params([8, 34])) == {8, 34}
        stack = await client.run_get_method(network.ready["giver"], "seqno", [])
        assert stack[0] >= 2
        [shard] = await client.get_all_shards_info(client.last_mc_block)
        await client.get_shard_block_proof(shard)
        assert await client.get_libraries([secrets.token_bytes(32)])
        await client.close()

    run(test())


def test_it_follows_new_blocks(network):
    async def test():
        client = await connect(network, 0)
        first = client.last_mc_block.seqno
        await eventually(lambda: asyncio.sleep(0, client.last_mc_block), lambda block: block.seqno > first)
        await client.close()

    run(test())


def test_attack_86_it_notices_a_forged_state(network):
    async def test():
        client = await connect(network, 1)
        for fault in ["forge-state", "forge-proof"]:
            network.do(f"fault {fault}")
            with pytest.raises(Exception) as error:
                await client.get_account_state(f"0:{'11' * 32}")
            assert "proof" in str(error.value).lower() or "hash" in str(error.value).lower(), error.value
        network.do("fault none")
        assert (await client.get_account_state(f"0:{'11' * 32}")).balance == 5_000_000_000
        await client.close()

    run(test())


def test_attack_86_it_notices_a_forged_signature(network):
    async def test():
        network.do("fault forge-signature")
        try:
            with pytest.raises(Exception):
                await connect(network, 0)
        finally:
            network.do("fault none")
        await (await connect(network, 0)).close()

    run(test())

"""tonutils: wallets, history, getters and configuration. It checks no proofs."""

import asyncio

from ton_core import NetworkGlobalID
from tonutils.clients import LiteClient
from tonutils.contracts import WalletV4R2


def test_a_wallet_deploys_itself_pays_and_shows_its_history(network):
    async def test():
        [server] = network.from_init["liteservers"]
        # It insists on one of the networks that it knows; nothing but the wallets of version 5 depends on it.
        client = LiteClient(NetworkGlobalID.TESTNET, ip="127.0.0.1", port=server["port"], public_key=server["id"]["key"])
        await client.connect()
        wallet, _, _, _ = WalletV4R2.create(client)
        address = wallet.address.to_str(is_user_friendly=False)
        network.do(f"faucet {address} 10")
        to = f"0:{'44' * 32}"
        await wallet.transfer(destination=to, amount=2_000_000_000, body="thanks", bounce=False)
        for _ in range(50):
            info = await client.get_info(to)
            if info.balance == 2_000_000_000:
                break
            await asyncio.sleep(0.2)
        assert info.balance == 2_000_000_000
        assert await client.run_get_method(address, "seqno", []) == [1]
        assert len(await client.get_transactions(address, limit=10)) == 2
        assert 34 in await client.get_config()
        await client.close()

    asyncio.run(asyncio.wait_for(test(), 30))

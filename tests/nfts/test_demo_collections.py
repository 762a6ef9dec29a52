"""The demo's collections: every listed one answers, and the wallets hold what their stories say."""

from pathlib import Path

import pytest
from tests.nfts.conftest import Nfts, ids_of

from balance_tracker.catalog.collections import load_collections
from balance_tracker.catalog.networks import load_networks
from balance_tracker.core.ids import Address, Slug
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.collections import give_collections, place_collections
from balance_tracker.demo.contracts import ContractLibrary
from balance_tracker.demo.stories import TRADER, TREASURY
from balance_tracker.transport.pool import open_pool

pytestmark = pytest.mark.integration

ETHEREUM = Slug("ethereum")


@pytest.mark.usefixtures("chain")
async def test_every_listed_collection_answers_and_the_wallets_hold_some(nft_node: AnvilNode, packages: Path):
    listed = load_collections(load_networks())[ETHEREUM]
    place_collections(nft_node.client, ContractLibrary(packages), listed)
    give_collections(nft_node.client, ETHEREUM, listed)
    async with open_pool(ETHEREUM, [nft_node.url]) as pool:
        nfts = Nfts(pool)
        reading = await nfts.read(listed, Address(TREASURY))
        assert reading.collection_failures == ()
        assert ids_of(reading.collections) == {
            "CryptoPunks": [7_804, 7_805],
            "Bored Ape Yacht Club": [0, 1],
        }
        trader = ids_of((await nfts.find(listed, Address(TRADER))).holdings)
        assert trader == {"Azuki": [0, 1, 2], "Pudgy Penguins": [0], "Parallel Alpha": [10, 11]}

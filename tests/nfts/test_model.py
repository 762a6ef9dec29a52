"""Random lives of collections: what is told agrees with a model of who has what, now and in the past."""

import random
from collections.abc import AsyncIterator

import pytest
from tests.nfts.collections import Chain, collection
from tests.nfts.conftest import OTHER, OWNER, Nfts

from balance_tracker.core.nfts import NftHolding
from balance_tracker.transport.pool import open_pool

pytestmark = pytest.mark.integration

COLLECTIONS = [
    collection("Bare721"),
    collection("Wallets"),
    collection("Punks", "cryptopunks"),
    collection("many", "erc1155"),
]


@pytest.fixture
async def nfts(node_url: str) -> AsyncIterator[Nfts]:
    async with open_pool("ethereum", [node_url]) as pool:
        yield Nfts(pool)


class World:
    """Who has what, by the actions alone."""

    def __init__(self, chain: Chain, chance: random.Random) -> None:
        self.chain = chain
        self.chance = chance
        self.single: dict[str, dict[int, str]] = {"Bare721": {}, "Wallets": {}, "Punks": {}}
        self.many: dict[tuple[str, int], int] = {}

    def act(self) -> None:
        to = self.chance.choice([OWNER, OTHER])
        token_id = self.chance.randrange(12)
        name = self.chance.choice([*self.single, "many"])
        if name == "many":
            amount = self.chance.randrange(1, 4)
            self.chain.send((name, "mint(address,uint256,uint256,bytes)", (to, token_id, amount, b"")))
            self.many[to, token_id] = self.many.get((to, token_id), 0) + amount
            return
        what = "setInitialOwner" if name == "Punks" else "give"
        self.chain.send((name, f"{what}(address,uint256)", (to, token_id)))
        self.single[name][token_id] = to

    def held(self) -> dict[str | None, dict[str, int]]:
        held: dict[str | None, dict[str, int]] = {
            name: {str(one): 1 for one, owner in owners.items() if owner == OWNER}
            for name, owners in self.single.items()
        }
        held["many"] = {str(one): amount for (owner, one), amount in self.many.items() if owner == OWNER}
        return {name: tokens for name, tokens in held.items() if tokens}


def told(holdings: tuple[NftHolding, ...]) -> dict[str | None, dict[str, int]]:
    assert all(one.ids_complete for one in holdings)
    return {one.collection.name: {own.token_id: own.amount for own in one.token_ids} for one in holdings}


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_told_is_what_happened(chain: Chain, nfts: Nfts, seed: int):
    chain.place("Bare721", "Wallets", "Punks")
    chain.place_preset("many", "ERC1155PresetMinterPauser", ("string",), "")
    world = World(chain, random.Random(seed))
    past = []
    for _ in range(4):
        for _ in range(8):
            world.act()
        past.append((chain.head, world.held()))
        assert told((await nfts.find(COLLECTIONS)).holdings) == past[-1][1]
    for block, held in past:
        assert told((await nfts.find(COLLECTIONS, at=block)).holdings) == held

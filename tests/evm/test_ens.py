"""Names: forward, and backward only where both directions agree."""

import asyncio

import pytest
from tests.conftest import OpenGateway
from tests.nodes.chains import EnsNamesOnNode
from tests.nodes.token_zoo import Zoo

from balance_tracker.catalog.networks import load_networks
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Slug
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.evm.ens import EnsNames, namehash, normalise
from balance_tracker.evm.reader import EvmReader
from balance_tracker.transport.pool import open_pool

ETHEREUM = load_networks()[Slug("ethereum")]


def test_nodes_are_those_of_ensip_1() -> None:
    assert namehash("foo.eth") == "de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"


@pytest.mark.parametrize(("name", "normal"), [("Nick.ETH", "nick.eth"), ("♥️.eth", "♥.eth")])
def test_names_are_normalised_by_ensip_15(name: str, normal: str) -> None:
    assert normalise(name) == normal


@pytest.mark.parametrize("name", ["a..eth", "nick\u202e.eth", "vіtalik.eth", "x" * 300 + ".eth"])
def test_names_that_deceive_are_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        normalise(name)
    assert caught.value.code == "invalid_name"


@pytest.mark.integration
async def test_a_name_leads_to_its_address(node: AnvilNode, ens: EnsNamesOnNode) -> None:
    async with open_pool("ethereum", [node.url]) as pool:
        names = EnsNames(ETHEREUM, pool)
        assert await names.resolve(ens.named.upper()) == ens.owner
        for missing in (ens.empty, ens.unregistered):
            with pytest.raises(InputError) as caught:
                await names.resolve(missing)
            assert caught.value.code == "name_not_found"


@pytest.mark.integration
async def test_only_a_name_that_leads_back_is_shown(node: AnvilNode, ens: EnsNamesOnNode) -> None:
    async with open_pool("ethereum", [node.url]) as pool:
        names = EnsNames(ETHEREUM, pool)
        assert await names.name_of(ens.owner) == ens.named
        assert await names.name_of(ens.silent) is None
        assert await names.name_of(ens.impostor) is None
        # Asked again, it is remembered.
        assert await names.name_of(ens.owner) == ens.named


@pytest.mark.integration
async def test_the_look_for_a_name_rides_with_the_balances(
    node: AnvilNode, ens: EnsNamesOnNode, zoo: Zoo, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(node.url)
    async with open_pool("ethereum", [gateway.url]) as pool:
        names = EnsNames(ETHEREUM, pool)
        reader = EvmReader(ETHEREUM, pool, names)
        deadline = asyncio.get_running_loop().time() + 10
        await reader.read(zoo.stranger, (), None, deadline)
        assert await names.name_of(zoo.stranger) is None
        assert gateway.counts.requests == 1
        await reader.read(ens.owner, (), None, deadline)
        assert await names.name_of(ens.owner) == ens.named

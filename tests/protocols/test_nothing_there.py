"""A wallet that has nothing in any protocol: its whole portfolio is one request, with everything shipped.

Every contract that the first rounds ask is stood in for by one that says "nothing" in the shape
that each function has; the calls, their number and the reader are the real ones.
"""

from collections.abc import Iterable

import pytest
from tests.conftest import OpenGateway
from tests.evm.scenes import soon
from tests.nodes.chains import started

from balance_tracker.bootstrap.configuration import listed_tokens, tracked_networks
from balance_tracker.bootstrap.leading import protocol_guides
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.including import Include
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, set_code
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.reader import EvmReader
from balance_tracker.evm.touring import Touring
from balance_tracker.evm.wallet_tours import Leaders
from balance_tracker.settings import Settings
from balance_tracker.transport.pool import open_pool

OWNER = Address("0x00000000000000000000000000000000000A11cE")

SHAPES = {
    "d1946dbc": (0x20, 0),  # getReservesList(): a list without entries
    "b0772d0b": (0x20, 0),  # getAllMarkets()
    "abfceffc": (0x20, 0),  # getAssetsIn(address)
    "7d031b65": (0x20, 0),  # getWithdrawalRequests(address)
    "51974cc0": (0x40, 0, 0),  # getUserReservesData(address,address): such a list, and a number
    "dc4abafd": (0, 0, 0, 0, 0),  # userBasic(address)
}
"""What functions answer that have more to say than a zero."""


def contract_of_nothing() -> bytes:
    """Answers every call with a zero, but for the functions above."""
    head, default = bytes.fromhex("5f3560e01c"), bytes.fromhex("60205ff3")
    bodies = [
        # JUMPDEST; PUSH1 first word, PUSH0, MSTORE; PUSH1 size, PUSH0, RETURN.
        bytes.fromhex(f"5b60{words[0]:02x}5f5260{32 * len(words):02x}5ff3")
        for words in SHAPES.values()
    ]
    start = len(head) + 11 * len(SHAPES) + len(default)
    targets = [start + sum(map(len, bodies[:place])) for place in range(len(bodies))]
    # DUP1, PUSH4 selector, EQ, PUSH2 target, JUMPI.
    cases = (
        bytes.fromhex(f"8063{selector}1461{target:04x}57")
        for selector, target in zip(SHAPES, targets, strict=True)
    )
    return b"".join((head, *cases, default, *bodies))


def first_calls(guides: Leaders) -> Iterable[Call]:
    touring = Touring(Slug("any"))
    touring.start(guides.protocols, OWNER)
    return touring.calls


@pytest.mark.integration
@pytest.mark.parametrize("slug", ["ethereum", "base", "bsc"])
async def test_a_wallet_with_nothing_in_any_protocol_costs_one_request(
    slug: Slug, canonical_multicall3: bytes, open_gateway: OpenGateway
) -> None:
    settings = Settings()
    networks = tracked_networks(settings)
    network = networks[slug]
    tokens = (await listed_tokens(settings, networks))[slug][:150]
    leaders = Leaders(protocol_guides({slug: network}, {slug: tokens})[slug])
    contracts = {call.to for call in first_calls(leaders)}
    contracts |= {str(token.contract_address).lower() for token in tokens}
    with started(network.chain_id or 0) as node:
        set_code(node.client, dict.fromkeys(sorted(contracts), contract_of_nothing()))
        set_code(node.client, {MULTICALL3_ADDRESS: canonical_multicall3})
        gateway = await open_gateway(node.url)
        async with open_pool(slug, [gateway.url]) as pool:
            reader = EvmReader(network, pool, leaders=leaders)
            asked = Include(protocols=frozenset(leaders.slugs))
            reading = await reader.read(OWNER, tokens, None, soon(), asked)
    assert reading.protocol_failures == ()
    assert reading.positions == ()
    assert len(reading.protocols_asked) == len(leaders.slugs) > 3
    assert (reading.asked, reading.failures) == (1 + len(tokens), ())
    assert gateway.counts.requests == reading.requests == 1

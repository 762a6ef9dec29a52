"""Chainlink's feeds on a node of their own, whose time may pass."""

from collections.abc import Iterator

import pytest
from tests.nodes.chains import started
from tests.prices.feed_scenes import FeedsOnNode, feeds_on

from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, ContractLibrary, multicall3_runtime, set_code


@pytest.fixture(scope="module")
def feed_node() -> Iterator[AnvilNode]:
    with started(1) as node:
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3_runtime()})
        yield node


@pytest.fixture
def feeds(feed_node: AnvilNode, library: ContractLibrary) -> Iterator[FeedsOnNode]:
    yield from feeds_on(feed_node, library)

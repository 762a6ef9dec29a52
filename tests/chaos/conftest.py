"""Everything here runs in virtual time."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
from tests.chaos.chains import SLUGS, Chain, running_chains
from tests.chaos.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def chains() -> Iterator[tuple[Chain, ...]]:
    with running_chains(*SLUGS) as three:
        yield three


@pytest.fixture
def two_branches() -> Iterator[tuple[Chain, ...]]:
    """Two nodes that claim to be one network, and have different blocks."""
    with running_chains(1, 1) as two:
        yield two

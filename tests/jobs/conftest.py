"""Endpoints of the tests' own network."""

from collections.abc import Iterator

import pytest
from tests.jobs.island import island_endpoint


@pytest.fixture(scope="module")
def endpoint(canonical_multicall3: bytes) -> Iterator[str]:
    with island_endpoint(canonical_multicall3, 0.15) as url:
        yield url


@pytest.fixture(scope="module")
def slow_endpoint(canonical_multicall3: bytes) -> Iterator[str]:
    with island_endpoint(canonical_multicall3, 1.0) as url:
        yield url

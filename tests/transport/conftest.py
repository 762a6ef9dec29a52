"""The client runs under both event loops, so its tests do."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

UNDER_BOTH_LOOPS = {"test_http", "test_http2", "test_connections"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    both = item.path.stem in UNDER_BOTH_LOOPS
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    return loops | {"uvloop": uvloop.new_event_loop} if both else loops

"""``balance-tracker``: one reader per network, on uvloop where it is to be had."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from balance_tracker import BalanceReader
from benchmarks.contenders.reading import Rows

DEADLINE_SECONDS = 120.0


class Ours:
    """Readers that stay open, so that what they learnt of their endpoints counts."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._runner = asyncio.Runner(loop_factory=loop_factory())
        self._stack = AsyncExitStack()
        self._readers: list[BalanceReader] = []
        self._runner.run(self._open(urls))

    def read(self, wallets: Sequence[str], tokens: Sequence[str]) -> tuple[float, list[Rows]]:
        """One read per network, all at once."""
        # Not through the runner, which takes over SIGINT for each run: nothing that a service does.
        return self._runner.get_loop().run_until_complete(self._read(wallets, tokens))

    def close(self) -> None:
        """Close the readers and their loop."""
        self._runner.run(self._stack.aclose())
        self._runner.close()

    async def _open(self, urls: Sequence[str]) -> None:
        for url in urls:
            reader = BalanceReader([url], deadline_seconds=DEADLINE_SECONDS)
            self._readers.append(await self._stack.enter_async_context(reader))

    async def _read(self, wallets: Sequence[str], tokens: Sequence[str]) -> tuple[float, list[Rows]]:
        started = time.perf_counter()
        if len(self._readers) == 1:
            matrices = [await self._readers[0].read(wallets, tokens)]
        else:
            reads = (reader.read(wallets, tokens) for reader in self._readers)
            matrices = list(await asyncio.gather(*reads))
        return time.perf_counter() - started, [matrix.rows for matrix in matrices]


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is to be had."""
    try:
        import uvloop  # noqa: PLC0415 - not on every system
    except ImportError:
        return None
    return uvloop.new_event_loop


def open_contender(urls: Sequence[str], _options: dict[str, Any]) -> Ours:
    """Open a reader per URL."""
    return Ours(urls)

"""Small things done again and again, by one process at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from types import TracebackType
from typing import Self

from balance_tracker.core.errors import TrackerError
from balance_tracker.ports.leading import Leaders
from balance_tracker.telemetry.logging import get_logger

STOP_SECONDS = 5.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tick:
    """Something done every so often.

    Attributes:
        name: Of the task; processes agree by it who does it.
        every_seconds: How long after one began the next one is due.
        act: Does it; to do it twice does no harm.
    """

    name: str
    every_seconds: float
    act: Callable[[], Awaitable[object]]


class Everybody:
    """Implements :class:`balance_tracker.ports.leading.Leaders` for what each process does for itself."""

    async def take(self, task: str, holder: str, seconds: float) -> bool:
        """Always."""
        del task, holder, seconds
        return True


class Ticker:
    """Does ticks in this process, each where no other process did it just now.

    Args:
        leaders: Tells which process may.
        ticks: What is done.
    """

    def __init__(self, leaders: Leaders, ticks: Sequence[Tick]) -> None:
        self._leaders = leaders
        self._ticks = tuple(ticks)
        self._holder = token_hex(16)
        self._ending = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run(tick), name=f"tick {tick.name}") for tick in self._ticks]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what is nearly done end; half of a tick does no harm."""
        self._ending.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, tick: Tick) -> None:
        while not self._ending.is_set():
            await self._try(tick)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), tick.every_seconds)

    async def _try(self, tick: Tick) -> None:
        try:
            # A little less than the interval, so that the same process is not late for its own next turn.
            if await self._leaders.take(tick.name, self._holder, tick.every_seconds * 0.9):
                await tick.act()
        except TrackerError as error:
            _log.warning("tick_failed", tick=tick.name, code=error.code, reason=error.message)
        except Exception as error:  # noqa: BLE001 - the edge of one tick: the next one is tried all the same
            _log.exception("tick_broke", tick=tick.name, exc_info=error)

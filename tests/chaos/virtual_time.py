"""An event loop whose waiting takes no time: ten minutes pass in seconds, over real sockets.

Where nothing is left to do but wait for a timer, the clock goes there at once. Sockets within this
process deliver what was written to them at once, so nothing is under way then; a process beside
(a node) needs real time, for which the clock runs as usual: see :meth:`VirtualTimeLoop.real_work`.
"""

import asyncio
import selectors
import time
from collections.abc import Iterator
from contextlib import contextmanager

GRACE_SECONDS = 0.001
"""Real time that the kernel is given to deliver what is on its way between our own sockets."""


class _Selector(selectors.DefaultSelector):
    """Skips what it would wait, and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_seconds = 0.0
        self.real_works = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is None or self.real_works:
            return super().select(timeout)
        events = super().select(min(timeout, GRACE_SECONDS))
        if not events:
            self.skipped_seconds += timeout
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop with a clock that jumps over idle time."""

    def __init__(self) -> None:
        self._jumping = _Selector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """The loop's time: what really passed and what was skipped, in seconds."""
        return super().time() + self._jumping.skipped_seconds

    def wall_time(self) -> float:
        """The wall clock (Unix seconds) of this loop's world."""
        return time.time() + self._jumping.skipped_seconds

    @contextmanager
    def real_work(self) -> Iterator[None]:
        """Something outside this process is at work: the clock does not jump meanwhile."""
        self._jumping.real_works += 1
        try:
            yield
        finally:
            self._jumping.real_works -= 1


def virtual_loop() -> VirtualTimeLoop:
    """The running loop, in a test that runs in virtual time."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop

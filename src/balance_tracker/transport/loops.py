"""The event loop that waits on sockets: uvloop where there is one, which halves the cost of a request."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def run_quickly[T](work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end as :func:`asyncio.run` does, on uvloop unless it is not installed.

    It is not made for Windows and PyPy, where asyncio's own loop serves.
    """
    try:
        import uvloop  # noqa: PLC0415 - absent on some systems
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)

"""Child processes that end with the tests, also when those are killed without a chance to clean up."""

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def ends_with_us(how: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """What a child does before it becomes another program, so that Linux ends it with this process."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, how)

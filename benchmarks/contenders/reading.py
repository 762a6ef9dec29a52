"""What a contender is to the process that runs it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

type Rows = Sequence[Sequence[int | None]]
"""``rows[w][0]`` is the native coin of wallet w, ``rows[w][1 + t]`` its token t."""


class Contender(Protocol):
    """A client of one URL or of several networks, open and ready."""

    def read(self, wallets: Sequence[str], tokens: Sequence[str]) -> tuple[float, list[Rows]]:
        """Read everything at every URL at once: seconds that it took, and the rows of each."""

    def close(self) -> None:
        """Give back what it holds."""


type Open = Callable[[Sequence[str], dict[str, Any]], Contender]
"""Opens a contender for URLs; options differ between contenders."""

"""What a contender is told of a network, and what it says of a wallet there: plain values for JSON.

An answer has the same form whoever gives it, so that two of them can be compared::

    {
      "block": 124,
      "balances": {"native": 5, "0x…": 7},                  # zeros left out
      "aave": {
        "supplied": {"0x…": [7, true]},                     # underlying: to the wei, collateral
        "borrowed": {"0x…": 7}, "claimable": {"0x…": 7},
        "health_factor": 7, "collateral": 7, "debt": 7      # 18 decimals, dollars of 8
      },
      "uniswap": {"1": {"amounts": {"0x…": 7}, "fees": {"0x…": 7}, "tick": 5, "in_range": true}},
      "collections": {"0x…": [2, [0, 1]]}                   # balance, token ids
    }
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

type Answer = dict[str, Any]
type Description = dict[str, Any]
"""``tokens`` (address, symbol, decimals), ``collections`` (address, name), the rows ``aave``, ``uniswap``."""


class WholeContender(Protocol):
    """A client of one URL, open and ready to read whole wallets."""

    def read_whole(self, owner: str) -> tuple[float, Answer]:
        """All that a wallet has, of one block: seconds that it took, and the answer."""

    def close(self) -> None:
        """Give back what it holds."""


type OpenWhole = Callable[[Sequence[str], dict[str, Any]], WholeContender]


def differences(mine: Answer, other: Answer) -> int:
    """How many facts are in only one of two answers, or differ between them."""
    left, right = dict(_facts(mine)), dict(_facts(other))
    return sum(left.get(key, _ABSENT) != right.get(key, _ABSENT) for key in left | right)


_ABSENT = object()


def _facts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _facts(one, (*path, str(key)))
    else:
        yield path, value

"""Reading several contracts step by step, many such readings side by side, in few requests.

A protocol is read in rounds: first what tells whether the wallet has anything there, then the
rest. A tour writes that down as a generator: it yields the calls of a round, is sent their
outcomes in order, and returns what it found. All tours of a wallet go in step: the calls of one
round of all of them are one question, the first round rides with the balances, and every round
is of the same block.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from balance_tracker.core.ids import Address
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import Outcome

type Tour[T] = Generator[Sequence[Call], Sequence[Outcome], T]
"""Yields calls, is sent an outcome for each, returns what it found; raises :class:`TourError`."""

MOST_ROUNDS = 6


class TourError(Exception):
    """A tour can't go on: what it reads is not what it should be. Only this tour fails."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Guide[T]:
    """Who leads tours: ``start`` begins one for an owner.

    Attributes:
        name: The protocol, for messages and coverage.
        market: The market, where there are several.
    """

    name: str
    market: str | None
    start: Callable[[Address], Tour[T]]

"""Calls of others that ride along with balances: one request more would be one too many.

Whoever wants something of a network that a reading passes by anyway boards it: their calls
are answered at the block of the balances, in the same request where the endpoint takes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At, BlockRef
from balance_tracker.core.ids import Address
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Trip:
    """A reading that is about to be made: whose balances, of what (the native coin too), and when."""

    owners: Sequence[Address]
    assets: Sequence[Asset]
    at: At


@dataclass(frozen=True, slots=True)
class Ride:
    """Calls of one rider, and who takes what became of them, with the block it was at.

    ``learn`` is called once with an outcome per call, in order; never if the reading failed.
    """

    calls: Sequence[Call]
    learn: Callable[[Sequence[Outcome], BlockRef], None]


class Rider(Protocol):
    """Takes part in readings; it is shared by many at once, so a ride keeps its own state."""

    def board(self, trip: Trip) -> Ride | None:
        """What is to be asked along, ``None`` for nothing; a bounded number of calls."""


def board_all(riders: Sequence[Rider], trip: Trip) -> list[Ride]:
    """The rides of all who want to come along."""
    rides = (rider.board(trip) for rider in riders)
    return [ride for ride in rides if ride is not None and ride.calls]


def set_down(rides: Sequence[Ride], outcomes: Sequence[Outcome], block: BlockRef) -> None:
    """Give every ride its part of the outcomes."""
    start = 0
    for ride in rides:
        end = start + len(ride.calls)
        ride.learn(outcomes[start:end], block)
        start = end

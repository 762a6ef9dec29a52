"""Leads tours in step: the calls of one round of all of them are one question.

The first round rides with the balances. Whoever has seen enough after it is done; the others
go on together, a question each round, at the same block. A tour that can't go on fails alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from balance_tracker.core.ids import Address, Slug, shorten
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.core.positions import ProtocolFailure
from balance_tracker.evm.abi import WORD
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import NOT_YET, CallFailure, Outcome, is_unanswered
from balance_tracker.evm.tours import MOST_ROUNDS, Guide, Tour, TourError
from balance_tracker.telemetry.logging import get_logger

MOST_CALLS = 4_000
"""What one tour may ask in one round; what wallets hold must not make a question endless."""
MOST_DIGITS = 4_000_000
"""Of the data of these calls: 2 MB of what is sent."""

_ZERO = bytes(WORD)

_log = get_logger(__name__)


@dataclass(slots=True)
class _Walk[T]:
    """One tour under way: what it asks now, or what it has come to.

    Once it was ``told`` anything there may be something to be found.
    """

    guide: Guide[T]
    owner: Address
    tour: Tour[T] | None = None
    calls: tuple[Call, ...] = ()
    rounds: int = 0
    told: bool = False
    under_way: bool = True
    found: list[T] = field(default_factory=list)
    failure: ProtocolFailure | None = None

    def end(self) -> None:
        """Stop here."""
        self.under_way = False
        if self.tour is not None:
            self.tour.close()

    def go_on(self, outcomes: Sequence[Outcome]) -> None:
        """The next round.

        Raises:
            StopIteration: The tour has ended; its value is what it found.
            TourError: It can't go on, or asks without end.
        """
        calls: Sequence[Call] = ()
        while not calls:
            if self.tour is None:
                self.tour = self.guide.start(self.owner)
                calls = next(self.tour)
            else:
                calls = self.tour.send(outcomes)
            outcomes = ()
            self.rounds += 1
            if self.rounds > MOST_ROUNDS:
                raise TourError("too_large", f"it would take more than {MOST_ROUNDS} rounds of calls")
        self.calls = tuple(calls)
        if len(self.calls) > MOST_CALLS or sum(len(call.data) for call in self.calls) > MOST_DIGITS:
            raise TourError("too_large", f"it would take {len(self.calls)} calls at once")


class Party[T]:
    """The tours of one wallet: what they found, in the order of their guides, and which failed."""

    def __init__(self, walks: Sequence[_Walk[T]]) -> None:
        self._walks = walks

    @property
    def found(self) -> list[T]:
        """What the tours came back with."""
        return [found for walk in self._walks for found in walk.found]

    @property
    def failures(self) -> list[ProtocolFailure]:
        """The tours that did not."""
        return [walk.failure for walk in self._walks if walk.failure is not None]


class Touring:
    """All tours of one reading, from their first calls to what they found.

    Args:
        network: For the log.

    Example:
        ::

            touring = Touring(network.slug)
            party = touring.start(guides, owner)
            while touring.calls:
                touring.take(outcomes_of(touring.calls))
            print(party.found, party.failures)
    """

    def __init__(self, network: Slug) -> None:
        self._network = network
        self._walks: list[_Walk[Any]] = []

    @property
    def calls(self) -> Sequence[Call]:
        """What is asked in this round, a call of several tours once; nothing when all have ended."""
        return list(dict.fromkeys(call for walk in self._under_way() for call in walk.calls))

    def start[T](self, guides: Sequence[Guide[T]], owner: Address) -> Party[T]:
        """Begin a tour of an owner (in EIP-55 form) with each guide, before the first round."""
        walks = [_Walk(guide, owner) for guide in guides]
        for walk in walks:
            self._step(walk, ())
        self._walks += walks
        return Party(walks)

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Go on with what became of :attr:`calls`, in their order."""
        places = {call: place for place, call in enumerate(self.calls)}
        for walk in self._under_way():
            own = [outcomes[places[call]] for call in walk.calls]
            lost = next((outcome for outcome in own if _is_lost(outcome)), None)
            if isinstance(lost, CallFailure):
                self._fail(walk, lost.code, lost.reason)
            elif not walk.told and _is_before_all(own):
                walk.end()
            else:
                walk.told = True
                self._step(walk, own)

    def give_up(self, code: str, reason: str) -> None:
        """End the tours that are still under way: their next round can't be had."""
        for walk in self._under_way():
            self._fail(walk, code, reason)

    def _under_way(self) -> list[_Walk[Any]]:
        return [walk for walk in self._walks if walk.under_way]

    def _step(self, walk: _Walk[Any], outcomes: Sequence[Outcome]) -> None:
        """One round of one tour; whatever becomes of it, the others go on."""
        try:
            walk.go_on(outcomes)
        except StopIteration as end:
            walk.found, walk.under_way = [end.value], False
        except TourError as error:
            self._fail(walk, error.code, error.reason)
        except Exception as error:  # noqa: BLE001 - the edge of one tour: the others go on
            _log.exception("tour_broke", **self._named(walk), exc_info=error)
            self._fail(walk, "internal_error", "what the contracts answered was not understood")

    def _fail(self, walk: _Walk[Any], code: str, reason: str) -> None:
        walk.failure = ProtocolFailure(walk.guide.name, walk.guide.market, str(code), reason)
        walk.end()
        _log.warning("tour_failed", **self._named(walk), code=str(code), reason=reason[:200])

    def _named(self, walk: _Walk[Any]) -> dict[str, str | None]:
        return {
            "network": self._network,
            "protocol": walk.guide.name,
            "market": walk.guide.market,
            "owner": shorten(walk.owner),
        }


def _is_before_all(outcomes: Sequence[Outcome]) -> bool:
    """Whether a past block has nothing yet of what is asked: nobody could have anything there."""
    absent = sum(outcome is NOT_YET for outcome in outcomes)
    return absent > 0 and all(outcome in (NOT_YET, _ZERO) for outcome in outcomes)


def _is_lost(outcome: Outcome) -> bool:
    """Whether the answer is missing for a reason that says nothing of the contract."""
    return is_unanswered(outcome) or (
        isinstance(outcome, CallFailure) and outcome.code is FailureCode.HISTORY_UNAVAILABLE
    )

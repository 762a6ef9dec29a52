"""The best head of a network: the highest block that an endpoint showed and can be believed.

A head is not believed because one endpoint says it. One that lies (or that has fallen onto a chain
of its own) would make every honest endpoint look behind. Three kinds of evidence are weighed:

* A head whose time lies over a minute in the future does not count, unless another endpoint of the
  network shows the same: then that is how this network's clock runs.
* A head far above those of two or more others that answered lately is a lie, unless all of theirs
  are old by their own times and this one is not.
* A head that the chain can't have grown to since the best one, by the times of both blocks, is a
  lie, even if it comes from the endpoint that is always asked; unless a second one, asked in its
  place, shows it too.
* Two that agree far below the best head show that the best one was a lie.
* A best head that nobody shows any more is given up; see :mod:`balance_tracker.transport.retreat`.

With one endpoint there is nothing to weigh: what it says is taken, and what it says lower than
before, once it keeps saying so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from balance_tracker.core.errors import UpstreamError
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.transport.endpoint import Endpoint
from balance_tracker.transport.retreat import Retreat
from balance_tracker.transport.standing import Head

FUTURE_SECONDS = 60.0
LATELY_SECONDS = 10.0
MOST_BLOCKS_A_SECOND = 20
"""How fast a chain may grow between two looks; Arbitrum makes 4 to 10, Solana 2.5."""
SAME_MOMENT_SECONDS = 0.5
_CLOCKS_KNOWN_SECONDS = 300.0
_TOP_KNOWN_SECONDS = 300.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Other:
    endpoint: Endpoint
    head: Head


class Heads:
    """The heads that the endpoints of one network have shown.

    Attributes:
        best: The highest believed head; 0 when none was seen.
        floor: The block answered last as "latest": none before it is answered as that again.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        stale_behind: int,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self.stale_behind = stale_behind
        self.best = 0
        self.floor = 0
        self._endpoints = endpoints
        self._clock = clock
        self._now = now
        self._best_of: Endpoint | None = None
        self._top: Head | None = None
        self._leaps: list[_Other] = []
        self._doubted: int | None = None
        self._retreat = Retreat(len(endpoints))

    @property
    def least(self) -> int:
        """The block that an endpoint must have reached; 0 where that kept all from showing their heads."""
        return 0 if self._retreat.asks_freely else self.floor

    def missed(self) -> None:
        """A read found nobody who reaches the floor."""
        self._retreat.missed(self._clock())

    def saw(self, endpoint: Endpoint, number: int, timestamp: int | None) -> None:
        """Weigh the head that an endpoint showed.

        Args:
            endpoint: Who showed it.
            number: The block's number (slot).
            timestamp: Its time, Unix seconds; ``None`` if not known.

        Raises:
            UpstreamError: ``stale_head``: it is too far behind the best head; ``bad_response``:
                it is too far ahead of what others show.
        """
        head = Head(number, timestamp, self._clock())
        endpoint.standing.head = number
        endpoint.standing.head_seen = head
        if len(self._endpoints) > 1:
            if self._is_from_the_future(head) and not self._believes_the_future(endpoint, head):
                return
            self._refuse_what_nobody_else_sees(endpoint, head)
            self._refuse_a_leap(endpoint, head)
            self._unmask_the_best(endpoint, head)
        self._give_up_what_is_gone(endpoint, head)
        self._take(endpoint, head)

    def answered(self, number: int) -> None:
        """Raise the floor to a block that was answered as the latest, unless its head is in doubt."""
        if self._doubted is None or number < self._doubted:
            self.floor = number

    def _take(self, endpoint: Endpoint, head: Head) -> None:
        if head.number > self.best:
            self.best = head.number
            self._best_of = endpoint
            self._compare_the_rest(head)
        if head.number >= self.best:
            self._top = head
        if self._doubted is not None and self.best >= self._doubted:
            self._doubted = None
        endpoint.standing.behind = self.best - head.number
        if endpoint.standing.behind > self.stale_behind:
            raise UpstreamError(
                f"The endpoint is {endpoint.standing.behind} blocks behind the best head seen.",
                code="stale_head",
            )

    def _compare_the_rest(self, best: Head) -> None:
        """Others seen at the same moment are that much behind; older looks say nothing of now."""
        for other in self._endpoints:
            seen = other.standing.head_seen
            if seen is not None and best.seen_at - seen.seen_at <= SAME_MOMENT_SECONDS:
                other.standing.behind = max(0, best.number - seen.number)

    def _is_from_the_future(self, head: Head) -> bool:
        return head.timestamp is not None and head.timestamp > self._now() + FUTURE_SECONDS

    def _believes_the_future(self, endpoint: Endpoint, head: Head) -> bool:
        """Whether the others' clocks run ahead too; it is refused where one shows an honest time.

        Raises:
            UpstreamError: ``bad_response``: another endpoint shows that it is no such time yet.
        """
        others = self._others(endpoint, _CLOCKS_KNOWN_SECONDS)
        timed = [other.head for other in others if other.head.timestamp is not None]
        if any(self._is_from_the_future(other) for other in timed):
            self._doubted = None
            return True
        if timed:
            raise self._lie(endpoint, "Its head's time lies in the future.")
        self._doubted = head.number if self._doubted is None else min(self._doubted, head.number)
        return False

    def _refuse_what_nobody_else_sees(self, endpoint: Endpoint, head: Head) -> None:
        """Refuse a head that is far above those of at least two others.

        Raises:
            UpstreamError: ``bad_response``: it is.
        """
        others = self._others(endpoint, LATELY_SECONDS)
        if len(others) < 2 or any(self._reaches(other.head, head) for other in others):
            return
        if all(self._is_old(other.head) for other in others) and not self._is_old(head):
            return
        raise self._lie(endpoint, "Its head is far ahead of what other endpoints show.")

    def _refuse_a_leap(self, endpoint: Endpoint, head: Head) -> None:
        """Refuse a head that is too far above the best one for the time between the two blocks.

        Raises:
            UpstreamError: ``bad_response``: it is, and no other endpoint shows the like.
        """
        top = self._top
        if top is None or top.timestamp is None or head.timestamp is None:
            return
        lately = head.seen_at - LATELY_SECONDS
        grown = max(head.timestamp - top.timestamp, 0) * MOST_BLOCKS_A_SECOND
        if (
            head.seen_at - top.seen_at > _TOP_KNOWN_SECONDS
            or head.number <= top.number + grown + self.stale_behind
        ):
            return
        self._leaps = [leap for leap in self._leaps if leap.head.seen_at >= lately]
        if any(leap.endpoint is not endpoint and self._reaches(leap.head, head) for leap in self._leaps):
            return
        self._leaps.append(_Other(endpoint, head))
        raise self._lie(endpoint, "Its head is further than the chain can have grown.")

    def _unmask_the_best(self, endpoint: Endpoint, head: Head) -> None:
        """Drop the best head when this one and another agree that the chain is far below it."""
        liar = self._best_of
        if liar is None or liar is endpoint or head.number >= self.best - self.stale_behind:
            return
        told = liar.standing.head_seen
        too_early = told is not None and self._is_from_the_future(told)
        agree = [
            other
            for other in self._others(endpoint, LATELY_SECONDS)
            if other.endpoint is not liar
            and abs(other.head.number - head.number) <= self.stale_behind
            and other.head.number < self.best - self.stale_behind
        ]
        if not too_early and not agree:
            return
        if not too_early and told is not None and self._is_old(head) and not self._is_old(told):
            return
        liar.failed(self._lie(liar, "Its head was far ahead of what other endpoints show."))
        believed = max([head.number, *(other.head.number for other in agree)])
        self.best = believed
        self._best_of = endpoint
        self._top = head if head.number == believed else None
        self.floor = min(self.floor, believed)
        self._retreat.ends()
        for other in agree:
            other.endpoint.standing.behind = believed - other.head.number
            other.endpoint.forgive("stale_head")

    def _give_up_what_is_gone(self, endpoint: Endpoint, head: Head) -> None:
        """Lower the best head and the floor when nobody shows them any more.

        Raises:
            UpstreamError: ``stale_head``: it was asked without the floor, and is before it.
        """
        least = max(self.floor, self.best - self.stale_behind)
        if head.number >= least:
            self._retreat.ends()
            return
        top = self._top
        future = top is not None and self._is_from_the_future(top)
        if not self._retreat.is_believed(endpoint.name, head, top, top_is_future=future):
            if self._retreat.asks_freely and head.number < self.floor:
                raise UpstreamError("The endpoint is behind what was answered already.", code="stale_head")
            return
        others = [other for other in self._others(endpoint, LATELY_SECONDS) if other.head.number < least]
        believed = max([_Other(endpoint, head), *others], key=lambda one: one.head.number)
        was, self.best = self.best, believed.head.number
        self._best_of, self._top, self._doubted = believed.endpoint, believed.head, None
        self.floor = min(self.floor, self.best)
        self._retreat.ends()
        _log.warning("best_head_given_up", network=endpoint.network, was=was, now=self.best)
        for known in self._endpoints:
            seen = known.standing.head_seen
            known.standing.behind = 0 if seen is None else max(0, self.best - seen.number)
            if known.standing.behind <= self.stale_behind:
                known.forgive("stale_head")

    def _lie(self, endpoint: Endpoint, why: str) -> UpstreamError:
        """The head counts as not seen; the endpoint's health says why."""
        endpoint.standing.head_seen = None
        return UpstreamError(why, code="bad_response")

    def _others(self, endpoint: Endpoint, within_seconds: float) -> list[_Other]:
        since = self._clock() - within_seconds
        return [
            _Other(other, seen)
            for other in self._endpoints
            if other is not endpoint
            and (seen := other.standing.head_seen) is not None
            and seen.seen_at >= since
        ]

    def _reaches(self, before: Head, head: Head) -> bool:
        """Whether the chain may have grown from one head to the other in the time between."""
        grown = (head.seen_at - before.seen_at) * MOST_BLOCKS_A_SECOND
        return head.number <= before.number + grown + self.stale_behind

    def _is_old(self, head: Head) -> bool:
        return head.timestamp is not None and head.timestamp < self._now() - FUTURE_SECONDS

"""What was last decided of each asset's price, and how long it need not be asked for again.

Bounded: the asset unused longest makes room. Nothing here is ever a guess: an entry without a
price says that no source knew one, and only for a while.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import Price, PriceStatus

MOST_ASSETS = 10_000

REVALIDATED_FOR_TTLS = 2
"""For so many times its time to live after its end a price is still given at once, with its age,
while one refresh runs behind it; what is older is waited for."""

UNKNOWN_FOR_TTLS = 12
"""How long at most an asset that no source knows is not asked for again: one time to live after the
first try, since a source that had no time left says no more than one that does not know, then twice
as long after each."""

RETRY_SECONDS = 30.0
"""When what is missing because of a failure is asked for again."""

SUSPECT_RETRY_SECONDS = 60.0
"""When a price that jumped is asked for again, to see whether a second family confirms it."""

LAST_PRICE_SECONDS = 86_400.0
"""How long the last price before an outage is given, with its age; then it is not known. It is as old
as its oldest quote was when it was decided, and older by the time since then."""

ANCHOR_SECONDS = 86_400.0
"""How long a price that was agreed, or held, is what later ones are measured against."""

UNKNOWN_SHARE = 4
"""Assets without a price take at most this part of the room (a quarter), so that a wallet full of
contracts that nobody prices drives out no prices."""

State = Literal["fresh", "due", "missing"]
"""``due``: given at once while it is asked for again; ``missing``: it has to be waited for."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One asset's last decision, in US dollars.

    Attributes:
        price: ``None`` where no source knows one.
        decided_at: When it was, in seconds of the clock; of a price before an outage, its own time.
        asked_at: When sources were last asked.
        good_for: Seconds from then on in which they are not asked again.
        anchor: The last price that was agreed, or that a jump was held against.
        anchored_at: When that one was decided.
        lag: How old by its source's word the price was when it was decided, in seconds.
    """

    price: Price | None
    decided_at: float
    asked_at: float
    good_for: float
    anchor: Price | None = None
    anchored_at: float = 0.0
    lag: float = 0.0


@dataclass(frozen=True, slots=True)
class Told:
    """A decision as other processes are told of it: as :class:`Kept`, with ages in seconds."""

    price: Price | None
    decided_age: float
    asked_age: float
    good_for: float
    anchor: Price | None
    anchored_age: float
    lag: float


class PriceShelf:
    """Keeps decisions.

    Args:
        ttl_seconds: How long a price is fresh; 0 makes every price due at once, and nothing is
            given without asking.
        clock: Seconds that never go backwards.
        most_assets: How many are kept.
    """

    def __init__(
        self, ttl_seconds: float, clock: Callable[[], float], *, most_assets: int = MOST_ASSETS
    ) -> None:
        self.ttl_seconds = ttl_seconds
        self._clock = clock
        self._most_assets = most_assets
        self._kept: OrderedDict[AssetId, Kept] = OrderedDict()
        self._unknown: OrderedDict[AssetId, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def state(self, key: AssetId) -> State:
        """Whether the asset can be answered without asking."""
        kept = self._kept.get(key)
        if kept is None:
            return "missing"
        self._kept.move_to_end(key)
        now = self._clock()
        if now - kept.asked_at < kept.good_for:
            return "fresh"
        given_for = self.ttl_seconds * (1 + REVALIDATED_FOR_TTLS)
        return "due" if kept.price is not None and now - kept.decided_at < given_for else "missing"

    def price(self, key: AssetId) -> Price | None:
        """The last price with its age, ``None`` where none is known or the last one is too old."""
        kept = self._kept.get(key)
        if kept is None or kept.price is None:
            return None
        age = max(0.0, self._clock() - kept.decided_at)
        old = age + (kept.lag if kept.price.stale else 0)
        return None if old >= LAST_PRICE_SECONDS else replace(kept.price, age_seconds=age)

    def anchor(self, key: AssetId) -> Price | None:
        """The last price that was agreed, or that a jump was held against, with its age."""
        kept = self._kept.get(key)
        if kept is None or kept.anchor is None:
            return None
        age = max(0.0, self._clock() - kept.anchored_at)
        return None if age >= ANCHOR_SECONDS else replace(kept.anchor, age_seconds=age)

    def fresh_for(self, key: AssetId) -> float:
        """Seconds for which the answer of this asset stands; 0 where it is due or from before an outage."""
        kept = self._kept.get(key)
        if kept is None or (kept.price is not None and kept.price.stale):
            return 0.0
        return max(0.0, kept.asked_at + kept.good_for - self._clock())

    def decided(self, key: AssetId, price: Price, *, lag_seconds: float = 0.0) -> None:
        """Keep what was decided just now, and how old that is by its sources' word."""
        now = self._clock()
        last = self._kept.get(key)
        kept = Kept(replace(price, age_seconds=0), now, now, self.ttl_seconds, lag=max(0.0, lag_seconds))
        if price.status is PriceStatus.SUSPECT:
            kept = replace(kept, good_for=min(self.ttl_seconds, SUSPECT_RETRY_SECONDS))
            if last is not None and last.price is not None:
                # What is given is the price from before the jump, and so it is as old as that.
                kept = replace(kept, decided_at=last.decided_at, lag=last.lag)
        self._put(key, self._anchored(kept, last))

    def _anchored(self, kept: Kept, last: Kept | None) -> Kept:
        """With what later prices are measured against: this one if it is agreed, else the one before."""
        if kept.price is not None and kept.price.status is PriceStatus.AGREED:
            return replace(kept, anchor=kept.price, anchored_at=kept.decided_at)
        if last is not None and last.anchor is not None:
            return replace(kept, anchor=last.anchor, anchored_at=last.anchored_at)
        if kept.price is not None and kept.price.status is PriceStatus.SUSPECT:
            return replace(kept, anchor=kept.price, anchored_at=kept.decided_at)
        return kept

    def told(self, key: AssetId) -> Told | None:
        """What is kept of an asset, for other processes."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        now = self._clock()
        return Told(
            kept.price,
            now - kept.decided_at,
            now - kept.asked_at,
            kept.good_for,
            kept.anchor,
            now - kept.anchored_at if kept.anchor is not None else 0.0,
            kept.lag,
        )

    def adopt(self, key: AssetId, told: Told, age_seconds: float) -> bool:
        """Keep what another process decided, if it asked later than this one did; whether it is fresh.

        How long that stands is this one's to say: the other may have been set to be less exact.
        """
        last = self._kept.get(key)
        kept = self._as_told(told, self._clock() - age_seconds)
        if last is None or last.asked_at < kept.asked_at:
            if last is not None and self._is_better(last, kept):
                retry = min(kept.good_for, RETRY_SECONDS)
                kept = replace(last, price=_stale(last.price), asked_at=kept.asked_at, good_for=retry)
            self._put(key, kept)
        return self.state(key) == "fresh"

    def _as_told(self, told: Told, told_at: float) -> Kept:
        most = self.ttl_seconds * (1 if told.price is not None else UNKNOWN_FOR_TTLS)
        return Kept(
            told.price,
            told_at - told.decided_age,
            told_at - told.asked_age,
            min(told.good_for, most),
            told.anchor,
            told_at - told.anchored_age,
            told.lag,
        )

    def _is_better(self, last: Kept, told: Kept) -> bool:
        """Whether the last price here is newer than what another process that got none has left."""
        if last.price is None or self._clock() - last.decided_at + last.lag >= LAST_PRICE_SECONDS:
            return False
        return told.price is None or (told.price.stale and told.decided_at < last.decided_at)

    def undecided(self, key: AssetId, *, all_answered: bool) -> None:
        """Keep that there is no price now: the last one is stale, or there was never one."""
        now = self._clock()
        last = self._kept.get(key)
        retry = min(self.ttl_seconds, RETRY_SECONDS)
        if last is not None and last.price is not None:
            if now - last.decided_at + last.lag < LAST_PRICE_SECONDS:
                self._put(key, replace(last, price=_stale(last.price), asked_at=now, good_for=retry))
                return
            last = None
        again = retry
        if all_answered:
            before = last.good_for if last is not None else 0
            again = min(max(2 * before, self.ttl_seconds), self.ttl_seconds * UNKNOWN_FOR_TTLS)
        self._put(key, Kept(None, now, now, again))

    def _put(self, key: AssetId, kept: Kept) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        self._unknown.pop(key, None)
        if kept.price is None:
            self._unknown[key] = None
        while len(self._unknown) > max(1, self._most_assets // UNKNOWN_SHARE):
            del self._kept[self._unknown.popitem(last=False)[0]]
        while len(self._kept) > self._most_assets:
            self._unknown.pop(self._kept.popitem(last=False)[0], None)


def _stale(price: Price | None) -> Price | None:
    return None if price is None else replace(price, stale=True)

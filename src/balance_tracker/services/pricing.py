"""Current prices: every source asked at once for many assets, one decision for each, kept for a while.

A price within its time to live costs nothing. One past it is given at once, with its age, while
one refresh runs behind it. However many questions overlap, each asset is asked for once. When the
sources fail, the last price stands, marked stale and with its age; it is never a zero.

What prices are divided by (euros, or ether where prices are told in ether) is decided as a rate as well,
from the same quotes: see ``core/decision.py``.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Literal, Self

from balance_tracker.core.assets import Asset
from balance_tracker.core.currencies import convert
from balance_tracker.core.decision import decide
from balance_tracker.core.ids import AssetId
from balance_tracker.core.money import CURRENCY_ASSETS
from balance_tracker.core.prices import Currency, Price, PriceStatus, Quote
from balance_tracker.core.screening import RULES, Rules
from balance_tracker.ports import Board, PriceSource
from balance_tracker.services.price_round import SOURCE_SECONDS, PriceRound, by_price_key
from balance_tracker.services.price_sharing import PriceSharing
from balance_tracker.services.price_shelf import MOST_ASSETS, UNKNOWN_SHARE, PriceShelf
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.metrics import METRICS

PriceState = Literal["ok", "unknown", "failed"]

_CACHE = "prices"
_DECIDED_AT_ONCE = 100
"""A decision takes a tenth of a millisecond."""

_HALF = Decimal("0.5")
_CONFIDENCE_UNIT = Decimal("0.0001")
_RATE_IDS = frozenset(asset.asset_id for asset in CURRENCY_ASSETS.values())

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Flight:
    """A round under way, and the task that runs it."""

    asked: PriceRound
    task: asyncio.Task[None]


class PriceService:
    """Answers what assets are worth now.

    Args:
        sources: All asked at once.
        last_resort: Asked only for what no other source knows.
        ttl_seconds: How long a price is fresh; 0 asks at every question.
        source_seconds: What one source may take.
        most_assets: How many prices are kept.
        board: Where processes of one service tell each other what they decided.
        priced_as: Assets by id whose price others have; sources are asked for those.
        rules: The thresholds of the decision.
        clock: Seconds that never go backwards.
        now: The time, in UTC.
    """

    def __init__(
        self,
        sources: Sequence[PriceSource],
        *,
        last_resort: Sequence[PriceSource] = (),
        ttl_seconds: float,
        source_seconds: float = SOURCE_SECONDS,
        most_assets: int = MOST_ASSETS,
        board: Board | None = None,
        priced_as: Mapping[AssetId, Asset] | None = None,
        rules: Rules = RULES,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sources = tuple(sources)
        self._last_resort = tuple(last_resort)
        self._source_seconds = source_seconds
        self._priced_as = dict(priced_as or {})
        self._rules = rules
        self._shelf = PriceShelf(ttl_seconds, clock, most_assets=most_assets)
        self._rates = PriceShelf(ttl_seconds, clock, most_assets=UNKNOWN_SHARE * len(_RATE_IDS))
        self._sharing = PriceSharing(board, self._shelf, self._rates)
        self._now = now
        self._flights: dict[AssetId, _Flight] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._state: PriceState = "unknown"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def state(self) -> PriceState:
        """Whether any source answered when they were last asked; ``unknown`` before that."""
        return self._state

    @property
    def idle(self) -> bool:
        """Whether no source is being asked."""
        return not self._running

    async def prices(
        self, assets: Sequence[Asset], currency: Currency, deadline: float
    ) -> dict[AssetId, Price]:
        """Prices by ``price_key``; an asset without a known price is left out.

        Args:
            assets: What to price; several may have one price.
            currency: What prices are told in; without a known rate, nothing is.
            deadline: The loop's time (``asyncio`` clock, seconds) by which it answers with what it has.
        """
        keyed = by_price_key(assets, self._priced_as)
        if not keyed:
            return {}
        rate_of = CURRENCY_ASSETS.get(currency)
        wanted = keyed if rate_of is None else {rate_of.asset_id: rate_of, **keyed}
        waiting = self._ask_for(wanted)
        await self._wait({flight.task for flight in waiting.values()}, deadline)
        rate = None if rate_of is None else self._answer(rate_of.asset_id, waiting, self._rates)
        if rate_of is not None and rate is None:
            return {}
        prices = {}
        for key in keyed:
            price = self._answer(key, waiting, self._shelf)
            if price is not None and rate is not None:
                price = _converted(price, rate, currency)
            if price is not None:
                METRICS.observe_price_age(price.age_seconds)
                prices[key] = price
        return prices

    def fresh_for(self, assets: Iterable[Asset], currency: Currency) -> float | None:
        """Seconds for which the prices of these assets stand, known or not.

        ``None`` where no price can come: of no assets, or without sources.
        """
        if not self._sources and not self._last_resort:
            return None
        keys = {asset.price_key for asset in assets}
        if keys and currency in CURRENCY_ASSETS:
            keys.add(CURRENCY_ASSETS[currency].asset_id)
        return min(map(self._shelf.fresh_for, keys), default=None)

    async def close(self) -> None:
        """End the refreshes under way and wait until they have ended."""
        tasks = list(self._running)
        self._flights.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask_for(self, wanted: Mapping[AssetId, Asset]) -> dict[AssetId, _Flight]:
        """Start one round for what is not under way; the flights that have to be waited for."""
        states = {key: self._shelf.state(key) for key in wanted}
        due = {key: wanted[key] for key, state in states.items() if state != "fresh"}
        new = {key: asset for key, asset in due.items() if key not in self._flights}
        for key, state in states.items():
            joined = key in due and key not in new
            METRICS.observe_cache(_CACHE, "hit" if state != "missing" else "shared" if joined else "miss")
        if new and (self._sources or self._last_resort):
            self._start(new)
        return {
            key: self._flights[key]
            for key, state in states.items()
            if state == "missing" and key in self._flights
        }

    def _start(self, assets: Mapping[AssetId, Asset]) -> None:
        asked = PriceRound(
            self._sources,
            self._last_resort,
            assets,
            ask=lambda source, some, deadline: source.quotes(some, deadline),
            source_seconds=self._source_seconds,
        )
        task = asyncio.create_task(self._refresh(asked, assets), name="prices refresh")
        flight = _Flight(asked, task)
        self._flights.update(dict.fromkeys(assets, flight))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("prices_refresh_broke", exc_info=error)

    async def _refresh(self, asked: PriceRound, assets: Mapping[AssetId, Asset]) -> None:
        started = asyncio.get_running_loop().time()
        try:
            left = await self._sharing.take(assets)
            if not left:
                self._state = "ok"
                return
            asked.narrow(left)
            await asked.run()
            known = await self._decide_all(left, asked)
            await self._sharing.tell(left)
        finally:
            task = asyncio.current_task()
            for key in assets:
                flight = self._flights.get(key)
                if flight is not None and flight.task is task:
                    del self._flights[key]
        failed = asked.failed
        self._state = "failed" if len(failed) == len(asked.outcomes) else "ok"
        log = _log.warning if failed else _log.info
        log(
            "prices_refreshed",
            assets=len(left),
            known=known,
            sources=len(asked.outcomes),
            failed=failed or None,
            elapsed_seconds=round(asyncio.get_running_loop().time() - started, 3),
        )

    async def _decide_all(self, assets: Mapping[AssetId, Asset], asked: PriceRound) -> int:
        """Keep what follows from a round; how many prices it gave. Others get their turn between."""
        known = 0
        for position, key in enumerate(assets, start=1):
            known += self._decide(key, asked)
            if position % _DECIDED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return known

    def _decide(self, key: AssetId, asked: PriceRound) -> bool:
        """Keep what follows from a round for one asset; whether it is a price."""
        quotes = asked.quotes(key)
        price = self._decided(quotes, key, self._shelf)
        _observe(quotes, price)
        self._keep(self._shelf, key, price, asked)
        if key in _RATE_IDS:
            self._keep(self._rates, key, self._decided(quotes, key, self._rates), asked)
        return price is not None

    def _decided(self, quotes: Sequence[Quote], key: AssetId, shelf: PriceShelf) -> Price | None:
        """What follows from quotes for one asset; one that can't be decided costs the others nothing."""
        try:
            return decide(
                quotes,
                self._now(),
                shelf.price(key),
                self._rules,
                anchor=shelf.anchor(key),
                as_rate=shelf is self._rates,
            )
        except (ArithmeticError, ValueError) as error:
            _log.exception("price_decision_broke", asset=key, exc_info=error)
            return None

    def _keep(self, shelf: PriceShelf, key: AssetId, price: Price | None, asked: PriceRound) -> None:
        if price is None:
            shelf.undecided(key, all_answered=not asked.failed)
        else:
            shelf.decided(key, price, lag_seconds=(self._now() - price.as_of).total_seconds())

    def _answer(self, key: AssetId, waiting: Mapping[AssetId, _Flight], shelf: PriceShelf) -> Price | None:
        """What is known: of a round that is late, what its sources have said so far, half as sure."""
        last = shelf.price(key)
        flight = waiting.get(key)
        if flight is None or flight.task.done():
            return last
        said = flight.asked.quotes(key)
        price = self._decided(said, key, shelf) if said else None
        if price is not None:
            return _of_some(price, flight.asked)
        return None if last is None else replace(last, stale=True)

    async def _wait(self, tasks: set[asyncio.Task[None]], deadline: float) -> None:
        """Until the rounds are over or the deadline has come; they go on for the next question."""
        if tasks:
            left = deadline - asyncio.get_running_loop().time()
            await asyncio.wait(tasks, timeout=max(0.0, left))


def _converted(price: Price, rate: Price, currency: Currency) -> Price | None:
    """A price in another currency; one that can't be converted is not known, and harms no other."""
    try:
        return convert(price, rate, currency)
    except (ArithmeticError, ValueError) as error:
        _log.exception("price_conversion_broke", asset=price.asset_id, exc_info=error)
        return None


def _of_some(price: Price, asked: PriceRound) -> Price:
    """A price of the sources that answered in time: those still missing may say otherwise."""
    if asked.is_over or any(quote.family == "fixed" for quote in price.quotes):
        return price
    return replace(price, confidence=(price.confidence * _HALF).quantize(_CONFIDENCE_UNIT))


def _observe(quotes: Sequence[Quote], price: Price | None) -> None:
    """Count what became of each quote; of quotes that gave no price, all were dropped."""
    if price is None:
        for quote in quotes:
            METRICS.observe_quotes(quote.source, "unusable")
        METRICS.observe_decision("none")
        return
    for quote in price.quotes if price.status is not PriceStatus.SUSPECT else ():
        METRICS.observe_quotes(quote.source, "used")
    for dropped in price.dropped:
        METRICS.observe_quotes(dropped.quote.source, dropped.reason)
    METRICS.observe_decision(price.status.value, price.spread if len(price.quotes) > 1 else None)

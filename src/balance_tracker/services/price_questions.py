"""What is asked about prices: ids, currencies and times from text, and the answers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import INTERVAL_SECONDS, Currency, Interval, Price
from balance_tracker.services.asset_ids import AssetIds
from balance_tracker.services.price_history import History, PriceHistory
from balance_tracker.services.pricing import PriceService
from balance_tracker.services.questions import choose_currency, choose_time

DEFAULT_POINTS = 168
"""How many intervals before its end a series begins, where nothing else is asked: a week of hours."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices of every asset asked for, in their order; ``None`` where none is known."""

    currency: Currency
    prices: Mapping[AssetId, Price | None]


class PriceQuestions:
    """Answers questions about prices.

    Args:
        ids: Tells assets apart.
        current: Prices of now.
        past: Series.
        deadline_seconds: How long one answer may take.
    """

    def __init__(
        self, ids: AssetIds, current: PriceService, past: PriceHistory, *, deadline_seconds: float
    ) -> None:
        self._ids = ids
        self._current = current
        self._past = past
        self._deadline_seconds = deadline_seconds

    async def prices(self, assets: Sequence[str], currency: str = "usd") -> PriceList:
        """What assets are worth now.

        Args:
            assets: CAIP-19 ids, at most 150; never symbols.
            currency: What prices are told in.

        Raises:
            InputError: Something asked for can't be; its hint says what can.
        """
        chosen = choose_currency(currency)
        asked = self._ids.several(assets)
        known = [asset for asset in asked.values() if asset is not None]
        found = await self._current.prices(known, chosen, self._deadline())
        return PriceList(
            chosen, {one: found.get(asset.price_key) if asset else None for one, asset in asked.items()}
        )

    async def history(
        self,
        asset: str,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        interval: str = "1h",
        *,
        currency: str = "usd",
    ) -> History:
        """What an asset was worth over a time, at most 10,000 points.

        Args:
            asset: A CAIP-19 id.
            start: The begin; 168 intervals before the end without it.
            end: The end; now without it.
            interval: ``5m``, ``1h`` or ``1d``.
            currency: What amounts are in, by the rates of those times.

        Raises:
            InputError: Something asked for can't be; its hint says what can.
            UpstreamError: Nothing is known, and no source answered.
        """
        chosen = choose_currency(currency)
        distance = _choose_interval(interval)
        until = datetime.now(UTC) if end is None else choose_time("to", end)
        step = timedelta(seconds=INTERVAL_SECONDS[distance])
        since = until - DEFAULT_POINTS * step if start is None else choose_time("from", start)
        asset_id, known = self._ids.one(asset)
        if known is None:
            raise InputError(
                f"'{asset_id}' is on no tracked network.", code="unknown_asset", hint="/networks lists them."
            )
        return await self._past.history(
            known, since, until, distance, currency=chosen, deadline=self._deadline()
        )

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._deadline_seconds


def _choose_interval(text: str) -> Interval:
    wanted = text.strip().lower()
    for interval in INTERVAL_SECONDS:
        if interval == wanted:
            return interval
    raise InputError(
        f"'{wanted[:20]}' is no interval of a series.",
        code="invalid_interval",
        hint=f"Known are: {', '.join(INTERVAL_SECONDS)}.",
    )

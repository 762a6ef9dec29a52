"""Price sources asked at once: each within its own time, and none can fail or delay the others."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import Quote
from balance_tracker.ports import PriceSource
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.metrics import METRICS

SOURCE_SECONDS = 4.0
"""What one source may take; what it answers by then is used."""

LAST_RESORT_SECONDS = 3.0
"""The same for the sources that are asked only for what no other one knows."""

_MARGIN_SECONDS = 0.25
"""A source wraps up by its deadline; one that does not is left this much later."""

_OK = "ok"

_log = get_logger(__name__)

type Ask = Callable[[PriceSource, Sequence[Asset], float], Awaitable[Sequence[Quote]]]
"""How a source is asked: for current quotes, or for those of a past time."""


class PriceRound:
    """One question to all sources; what has come of it can be read while it runs.

    Args:
        sources: Asked at once, for all assets.
        last_resort: Asked afterwards, for what nobody has a quote of.
        assets: By the id under which their price is decided.
        ask: How a source is asked.
        source_seconds: What one source may take.
    """

    def __init__(
        self,
        sources: Sequence[PriceSource],
        last_resort: Sequence[PriceSource],
        assets: Mapping[AssetId, Asset],
        *,
        ask: Ask,
        source_seconds: float = SOURCE_SECONDS,
    ) -> None:
        self._sources = sources
        self._last_resort = last_resort
        self._assets = assets
        self._ask = ask
        self._source_seconds = source_seconds
        self._quotes: dict[AssetId, list[Quote]] = {}
        self.outcomes: dict[str, str] = {}
        self.is_over = False

    def quotes(self, key: AssetId) -> Sequence[Quote]:
        """What the sources have said of one asset so far."""
        return tuple(self._quotes.get(key, ()))

    @property
    def failed(self) -> dict[str, str]:
        """Why sources failed, by name; of a round that is over, the others all answered."""
        return {name: outcome for name, outcome in self.outcomes.items() if outcome != _OK}

    def narrow(self, assets: Mapping[AssetId, Asset]) -> None:
        """Ask for these only; the others are known meanwhile."""
        self._assets = assets

    async def run(self) -> None:
        """Ask them; never raises for what a source does."""
        await self._stage(self._sources, list(self._assets.values()), self._source_seconds)
        unknown = [asset for key, asset in self._assets.items() if key not in self._quotes]
        if unknown and self._last_resort:
            seconds = min(LAST_RESORT_SECONDS, self._source_seconds)
            await self._stage(self._last_resort, unknown, seconds)
        self.is_over = True

    async def _stage(self, sources: Sequence[PriceSource], assets: Sequence[Asset], seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for source in sources:
                group.create_task(self._one(source, assets, deadline))

    async def _one(self, source: PriceSource, assets: Sequence[Asset], deadline: float) -> None:
        answer = await settled(source.name, self._ask(source, assets, deadline), deadline)
        self.outcomes[source.name] = answer if isinstance(answer, str) else _OK
        if not isinstance(answer, str):
            self._take(answer)

    def _take(self, quotes: Sequence[Quote]) -> None:
        """Keep what was asked for; an answer about something else is nobody's price."""
        for quote in quotes:
            if quote.asset_id in self._assets:
                self._quotes.setdefault(quote.asset_id, []).append(quote)


async def settled[T](name: str, asking: Awaitable[Sequence[T]], deadline: float) -> Sequence[T] | str:
    """What a source answers, or the code of why it did not; never raises for what it does."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    answer: Sequence[T] | str
    try:
        async with asyncio.timeout_at(deadline + _MARGIN_SECONDS):
            answer = tuple(await asking)
    except TimeoutError:
        answer = "timed_out"
    except UpstreamError as error:
        answer = error.code
    except Exception as error:  # noqa: BLE001 - the edge of one source's task: the others go on
        answer = "internal_error"
        _log.exception("price_source_broke", source=name, exc_info=error)
    outcome = answer if isinstance(answer, str) else _OK
    METRICS.observe_price_source(name, outcome, loop.time() - started)
    return answer


def by_price_key(assets: Sequence[Asset], priced_as: Mapping[AssetId, Asset]) -> dict[AssetId, Asset]:
    """Each priced id once, with the asset that sources are asked for.

    Args:
        assets: What to price.
        priced_as: By their ids, the assets whose price others have: those are asked for.
    """
    keyed: dict[AssetId, Asset] = {}
    for asset in assets:
        key = asset.price_key
        if key not in keyed or asset.asset_id == key:
            keyed[key] = priced_as.get(key, asset)
    return keyed

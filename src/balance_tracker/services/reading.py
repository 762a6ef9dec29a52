"""One network read for one owner: from the cache, from the chain, or the last good answer.

Whatever happens here ends as a coverage entry; only a caller's mistake is raised.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from balance_tracker.core.assets import Asset, native_asset, unlisted_token
from balance_tracker.core.blocks import At
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address, Slug, shorten
from balance_tracker.core.portfolio import (
    AssetFailure,
    Balance,
    FailureCode,
    NetworkCoverage,
    NetworkError,
    Reading,
    Status,
)
from balance_tracker.ports import Cache, ChainReader
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.metrics import METRICS
from balance_tracker.telemetry.redact import redact_text

PARTIAL_TTL_SECONDS = 5.0
"""An answer with gaps is kept this long at most, so that a recovery is soon seen."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NetworkAnswer:
    """What one network adds to a portfolio; no balances when it failed."""

    balances: tuple[Balance, ...]
    coverage: NetworkCoverage


@dataclass(frozen=True, slots=True)
class Deadline:
    """Two moments of the loop's clock: when readers wrap up, and when we stop waiting."""

    wrap_up: float
    end: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Begin now; the margins leave time to answer with what there is."""
        now = asyncio.get_running_loop().time()
        margin = min(0.5, seconds / 10)
        return cls(wrap_up=now + seconds - margin, end=now + seconds - margin / 2)


class NetworkReading:
    """Reads one network through the cache and says how it went.

    Args:
        reader: The network's reader.
        listed: Its listed tokens.
        cache: Where fully usable answers are kept.
        ttl_seconds: For how long; 0 shares reads and keeps none.
    """

    def __init__(
        self, reader: ChainReader, listed: Sequence[Asset], cache: Cache, ttl_seconds: float
    ) -> None:
        self._reader = reader
        self._network = reader.network
        self._listed = tuple(listed)
        self._by_contract: dict[Address | None, Asset] = {asset.contract_address: asset for asset in listed}
        self._cache = cache
        self._ttl_seconds = ttl_seconds

    async def answer(
        self, owner: Address, tokens: Sequence[Address], at: At, deadline: Deadline
    ) -> NetworkAnswer:
        """Balances and coverage of one owner; never later than the deadline.

        Args:
            owner: Whose holdings.
            tokens: Contract addresses asked for by name, listed or not.
            at: The block or time.
            deadline: When to stop.

        Raises:
            InputError: A block was asked for that this network does not have.
        """
        started = asyncio.get_running_loop().time()
        assets = self._assets(tokens)
        key = _key(self._network.slug, owner, tokens, at)
        try:
            reading, age = await self._read(key, owner, assets, at, deadline)
            answer = self._answered(reading, age, started)
        except InputError as error:
            if isinstance(at, int):
                raise
            answer = self._failed(assets, NetworkError(error.code, error.message, retryable=False), started)
        except Exception as error:  # noqa: BLE001 - the edge of one network's task: the others go on
            answer = self._last_good(key, assets, self._explained(error), started)
        self._record(owner, answer)
        return answer

    async def _read(
        self, key: str, owner: Address, assets: tuple[Asset, ...], at: At, deadline: Deadline
    ) -> tuple[Reading, float]:
        if at is not None and self._network.family == "solana":
            raise UpstreamError(
                "Solana endpoints keep no past balances.", code="history_unavailable", retryable=False
            )

        async def load() -> Reading:
            try:
                reading = await self._reader.read(owner, assets, at, deadline.wrap_up)
            except UpstreamError as error:
                raise self._no_such_block(error, at) from error
            return _usable(reading)

        async with asyncio.timeout_at(deadline.end):
            reading, age = await self._cache.get_or_load(key, self._ttl_seconds, load, _always)
            if reading.failures and age > PARTIAL_TTL_SECONDS:
                ttl = min(self._ttl_seconds, PARTIAL_TTL_SECONDS)
                reading, age = await self._cache.get_or_load(key, ttl, load, _always)
        return self._as_listed(reading), age

    def _no_such_block(self, error: UpstreamError, at: At) -> UpstreamError | InputError:
        """The caller's mistake if it is the block that they named, otherwise the error as it is."""
        if error.code != "block_missing" or not isinstance(at, int):
            return error
        return InputError(
            f"{self._network.name} has no block {at} that an endpoint knows.",
            code="invalid_at",
            hint="Give a block that exists, or a time.",
        )

    def _explained(self, error: Exception) -> NetworkError:
        """Why the network is missing, without secrets; what nobody foresaw is logged in full."""
        if isinstance(error, UpstreamError):
            return NetworkError(error.code, redact_text(error.message), error.retryable, error.requests)
        if isinstance(error, TimeoutError):
            return NetworkError(
                "timed_out", "The network did not answer within the deadline.", retryable=True
            )
        _log.exception("network_read_broke", network=self._network.slug, exc_info=error)
        return NetworkError("internal_error", "The network could not be read.", retryable=False)

    def _assets(self, tokens: Sequence[Address]) -> tuple[Asset, ...]:
        """The listed tokens and those asked for by name, each once.

        On Solana the asked ones go as ``unknown``, which has the reader show them at zero.
        """
        asked: dict[Address, Asset] = {}
        for token in tokens:
            listed = self._by_contract.get(token)
            if listed is None:
                asked[token] = unlisted_token(self._network, token)
            elif self._network.family == "solana":
                asked[token] = replace(listed, trust="unknown")
        kept = (asset for asset in self._listed if asset.contract_address not in asked)
        return (*kept, *asked.values())

    def _as_listed(self, reading: Reading) -> Reading:
        """The reading with the catalog's own word on the assets that it has."""
        if self._network.family != "solana":
            return reading
        balances = (replace(balance, asset=self._own(balance.asset)) for balance in reading.balances)
        failures = (replace(failure, asset=self._own(failure.asset)) for failure in reading.failures)
        return replace(reading, balances=tuple(balances), failures=tuple(failures))

    def _own(self, asset: Asset) -> Asset:
        return self._by_contract.get(asset.contract_address, asset)

    def _answered(self, reading: Reading, age: float, started: float) -> NetworkAnswer:
        status: Status = "partial" if reading.failures else "ok"
        return NetworkAnswer(reading.balances, self._coverage(reading, status, age, started))

    def _last_good(
        self, key: str, assets: tuple[Asset, ...], error: NetworkError, started: float
    ) -> NetworkAnswer:
        kept = self._cache.last_good(key, Reading)
        if kept is None:
            return self._failed(assets, error, started)
        reading, age = kept
        reading = self._as_listed(reading)
        coverage = self._coverage(reading, "stale", age, started)
        return NetworkAnswer(reading.balances, replace(coverage, stale=True, error=error))

    def _coverage(self, reading: Reading, status: Status, age: float, started: float) -> NetworkCoverage:
        cached = age > 0
        return NetworkCoverage(
            network=self._network.slug,
            chain_id=self._network.chain_id,
            status=status,
            block=reading.block,
            cached=cached,
            stale=False,
            endpoint=reading.endpoint,
            requests=0 if cached else reading.requests,
            elapsed_ms=_elapsed_ms(started),
            asked=reading.asked,
            answered=reading.asked - len(reading.failures),
            failures=tuple(
                replace(failure, reason=redact_text(failure.reason)) for failure in reading.failures
            ),
            nfts=reading.nfts,
            age_seconds=int(age),
        )

    def _failed(self, assets: tuple[Asset, ...], error: NetworkError, started: float) -> NetworkAnswer:
        """Nothing is known: every asset asked is listed as failed, and no block is named."""
        asked = self._asked_of_failed(assets)
        code = FailureCode(error.code) if error.code in _ASSET_CODES else FailureCode.ENDPOINT_FAILED
        return NetworkAnswer(
            (),
            NetworkCoverage(
                network=self._network.slug,
                chain_id=self._network.chain_id,
                status="failed",
                block=None,
                cached=False,
                stale=False,
                endpoint=None,
                requests=error.requests,
                elapsed_ms=_elapsed_ms(started),
                asked=len(asked),
                answered=0,
                failures=tuple(AssetFailure(asset, code, error.detail) for asset in asked),
                error=error,
            ),
        )

    def _asked_of_failed(self, assets: tuple[Asset, ...]) -> tuple[Asset, ...]:
        """On Solana only the coin and the tokens asked by name: listed ones just name what is found."""
        native = native_asset(self._network)
        if self._network.family == "solana":
            return (native, *(asset for asset in assets if asset.trust == "unknown"))
        return (native, *assets)

    def _record(self, owner: Address, answer: NetworkAnswer) -> None:
        coverage = answer.coverage
        METRICS.observe_read(coverage.network, coverage.status, coverage.elapsed_ms / 1000)
        log = _log.info if coverage.error is None else _log.warning
        log(
            "network_read",
            network=coverage.network,
            owner=shorten(owner),
            status=coverage.status,
            cached=coverage.cached,
            block=coverage.block.number if coverage.block else None,
            requests=coverage.requests,
            failed_assets=len(coverage.failures),
            elapsed_seconds=coverage.elapsed_ms / 1000,
            code=coverage.error.code if coverage.error else None,
            detail=coverage.error.detail if coverage.error else None,
        )


_ASSET_CODES = frozenset(code.value for code in FailureCode)


def _usable(reading: Reading) -> Reading:
    """A reading of a real block in which at least one asset answered.

    Raises:
        UpstreamError: None did, so nothing is known and no block stands for it.
    """
    try:
        _ = reading.block.as_of
    except (ValueError, OverflowError, OSError):
        raise UpstreamError("The block's time is not a time.", code="malformed") from None
    if reading.balances or not reading.failures:
        return reading
    first = reading.failures[0]
    raise UpstreamError(f"Not one asset answered: {first.reason}", code=first.code.value)


def _always(_reading: Reading) -> bool:
    """Everything usable is kept; a network that failed never becomes a reading."""
    return True


def _key(slug: Slug, owner: Address, tokens: Sequence[Address], at: At) -> str:
    moment = at.isoformat() if isinstance(at, datetime) else str(at)
    return "|".join(("balances", slug, owner, moment, *sorted(tokens)))


def _elapsed_ms(started: float) -> int:
    return round((asyncio.get_running_loop().time() - started) * 1000)

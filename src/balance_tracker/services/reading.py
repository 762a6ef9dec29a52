"""One network read for one owner or for many: from the cache, from the chain, or the last good answer.

Whatever happens here ends as a coverage entry; only a caller's mistake is raised.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address, Slug, shorten
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import NetworkError, Reading, Status
from balance_tracker.ports import Cache, ChainReader
from balance_tracker.services.coverage import NetworkAnswer, NetworkCoverages, elapsed_ms, usable
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.metrics import METRICS

PARTIAL_TTL_SECONDS = 5.0
"""An answer with gaps is kept this long at most, so that a recovery is soon seen."""

_log = get_logger(__name__)


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
        self._coverages = NetworkCoverages(reader.network, listed)
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
        assets = self._coverages.assets(tokens, mark_asked=self._network.family == "solana")
        key = _key(self._network.slug, owner, tokens, at)
        try:
            reading, age = await self._read(key, owner, assets, at, deadline)
            answer = self._coverages.answered(reading, age, started)
        except InputError as error:
            answer = self._coverages.failed(assets, not_for_the_caller(error, at), started)
        except Exception as error:  # noqa: BLE001 - the edge of one network's task: the others go on
            why = self._coverages.explained(error)
            answer = self._last_good(key, why, started) or self._coverages.failed(assets, why, started)
        self._record(owner, answer)
        return answer

    async def answer_many(
        self, owners: Sequence[Address], tokens: Sequence[Address], at: At, deadline: Deadline
    ) -> list[NetworkAnswer]:
        """Balances and coverage of many owners, read as one matrix; never later than the deadline.

        An owner whose answer is kept and fresh is answered from the cache. What is read here is
        not kept: the cache holds the addresses that people look at, is far smaller than a batch,
        and would lose all of them to addresses that nobody asks for again while they are fresh.

        Args:
            owners: Whose holdings, each once; the answers come in their order.
            tokens: Contract addresses asked for by name, listed or not.
            at: The block or time.
            deadline: When to stop.

        Raises:
            InputError: A block was asked for that this network does not have.
        """
        started = asyncio.get_running_loop().time()
        keys = {owner: _key(self._network.slug, owner, tokens, at) for owner in owners}
        found = {owner: self._fresh(key, started) for owner, key in keys.items()}
        unread = [owner for owner, answer in found.items() if answer is None]
        if unread:
            assets = self._coverages.assets(tokens, mark_asked=True)
            results = await self._read_many(unread, assets, at, deadline)
            found |= self._matrix_answers(results, keys, assets, started)
        answers = [answer for answer in found.values() if answer is not None]
        self._record_many(answers, started)
        return answers

    async def _read(
        self, key: str, owner: Address, assets: tuple[Asset, ...], at: At, deadline: Deadline
    ) -> tuple[Reading, float]:
        refuse_past_of_solana(self._network, at)

        async def load() -> Reading:
            try:
                reading = await self._reader.read(owner, assets, at, deadline.wrap_up)
            except UpstreamError as error:
                raise no_such_block(self._network, error, at) from error
            return usable(reading)

        async with asyncio.timeout_at(deadline.end):
            reading, age = await self._cache.get_or_load(key, self._ttl_seconds, load, _always, Reading)
            if reading.failures and age > PARTIAL_TTL_SECONDS:
                ttl = min(self._ttl_seconds, PARTIAL_TTL_SECONDS)
                reading, age = await self._cache.get_or_load(key, ttl, load, _always, Reading)
        return self._coverages.as_listed(reading), age

    async def _read_many(
        self, owners: Sequence[Address], assets: tuple[Asset, ...], at: At, deadline: Deadline
    ) -> dict[Address, Reading | NetworkError]:
        """A reading of each owner, or why there is none; only one of them tells shared requests."""
        try:
            refuse_past_of_solana(self._network, at)
            async with asyncio.timeout_at(deadline.end):
                results = await self._reader.read_many(owners, assets, at, deadline.wrap_up)
            return dict(zip(owners, map(self._one_of_many, results), strict=True))
        except InputError as error:
            whole = not_for_the_caller(error, at)
        except Exception as error:  # the edge of one network's task: the others go on
            mistake = no_such_block(self._network, error, at) if isinstance(error, UpstreamError) else error
            if isinstance(mistake, InputError):
                raise mistake from error
            whole = self._coverages.explained(mistake)
        return {**dict.fromkeys(owners, replace(whole, requests=0)), owners[0]: whole}

    def _one_of_many(self, result: Reading | UpstreamError) -> Reading | NetworkError:
        if isinstance(result, UpstreamError):
            return self._coverages.explained(result)
        try:
            return self._coverages.as_listed(usable(result, without_zeros=True))
        except UpstreamError as error:
            return replace(self._coverages.explained(error), requests=result.requests)

    def _matrix_answers(
        self,
        results: dict[Address, Reading | NetworkError],
        keys: dict[Address, str],
        assets: tuple[Asset, ...],
        started: float,
    ) -> dict[Address, NetworkAnswer]:
        """The results as answers; owners who failed for one reason share the list of what failed."""
        answers: dict[Address, NetworkAnswer] = {}
        failed: dict[tuple[str, str], NetworkAnswer] = {}
        for owner, result in results.items():
            if isinstance(result, Reading):
                answers[owner] = self._coverages.answered(result, 0.0, started)
                continue
            kept = self._last_good(keys[owner], result, started)
            if kept is None:
                reason = (result.code, result.detail)
                if reason not in failed:
                    failed[reason] = self._coverages.failed(assets, result, started)
                coverage = failed[reason].coverage
                kept = NetworkAnswer((), replace(coverage, requests=result.requests, error=result))
            answers[owner] = kept
        return answers

    def _fresh(self, key: str, started: float) -> NetworkAnswer | None:
        """What is kept and would do for one owner too."""
        kept = self._cache.fresh(key, self._ttl_seconds, Reading)
        if kept is None or (kept[0].failures and kept[1] > PARTIAL_TTL_SECONDS):
            return None
        reading, age = kept
        return self._coverages.answered(self._coverages.as_listed(reading), age, started)

    def _last_good(self, key: str, error: NetworkError, started: float) -> NetworkAnswer | None:
        kept = self._cache.last_good(key, Reading)
        return None if kept is None else self._coverages.stale(*kept, error, started)

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

    def _record_many(self, answers: Sequence[NetworkAnswer], started: float) -> None:
        """One line and one observation for a matrix, however many owners it has."""
        coverages = [answer.coverage for answer in answers]
        if not coverages:
            return
        statuses = {coverage.status for coverage in coverages}
        status: Status = coverages[0].status if len(statuses) == 1 else "partial"
        seconds = elapsed_ms(started) / 1000
        METRICS.observe_read(self._network.slug, status, seconds)
        error = next((coverage.error for coverage in coverages if coverage.error is not None), None)
        log = _log.info if error is None else _log.warning
        log(
            "network_read_many",
            network=self._network.slug,
            owners=len(coverages),
            status=status,
            cached_owners=sum(coverage.cached for coverage in coverages),
            failed_owners=sum(coverage.status == "failed" for coverage in coverages),
            requests=sum(coverage.requests for coverage in coverages),
            elapsed_seconds=seconds,
            code=error.code if error else None,
            detail=error.detail if error else None,
        )


def refuse_past_of_solana(network: Network, at: At) -> None:
    """Nobody has what accounts of Solana held.

    Raises:
        UpstreamError: ``history_unavailable``, if that is asked for.
    """
    if at is not None and network.family == "solana":
        raise UpstreamError(
            "Solana endpoints keep no past balances.", code="history_unavailable", retryable=False
        )


def no_such_block(network: Network, error: UpstreamError, at: At) -> UpstreamError | InputError:
    """The caller's mistake if it is the block that they named, otherwise the error as it is."""
    if error.code != "block_missing" or not isinstance(at, int):
        return error
    return InputError(
        f"{network.name} has no block {at} that an endpoint knows.",
        code="invalid_at",
        hint="Give a block that exists, or a time.",
    )


def not_for_the_caller(error: InputError, at: At) -> NetworkError:
    """A mistake about the block, as the network's error unless the caller named that block.

    Raises:
        InputError: They did.
    """
    if isinstance(at, int):
        raise error
    return NetworkError(error.code, error.message, retryable=False)


def _always(_reading: Reading) -> bool:
    """Everything usable is kept; a network that failed never becomes a reading."""
    return True


def _key(slug: Slug, owner: Address, tokens: Sequence[Address], at: At) -> str:
    moment = at.isoformat() if isinstance(at, datetime) else str(at)
    return "|".join(("balances", slug, owner, moment, *sorted(tokens)))

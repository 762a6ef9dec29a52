"""One network read for all owners of one question together: balances, positions, collections, one block.

As :mod:`balance_tracker.services.reading`, but what several owners have is one reading: they are
read at once, kept together, and answered from the cache together or not at all.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At, BlockRef
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address, shorten
from balance_tracker.core.including import Include
from balance_tracker.core.networks import Network
from balance_tracker.core.nfts import Collection
from balance_tracker.core.portfolio import NetworkCoverage, NetworkError, Reading
from balance_tracker.core.positions import ProtocolFailure
from balance_tracker.ports import Cache, ChainReader
from balance_tracker.services.coverage import NetworkCoverages, has_gaps, usable
from balance_tracker.services.reading import (
    PARTIAL_TTL_SECONDS,
    Deadline,
    no_such_block,
    not_for_the_caller,
    refuse_past_of_solana,
)
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.metrics import METRICS

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """What one network adds: a reading of each owner who was read, and how it went in all."""

    network: Network
    readings: Mapping[Address, Reading]
    coverage: NetworkCoverage


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of the network, of whom, and when."""

    owners: tuple[Address, ...]
    assets: tuple[Asset, ...]
    at: At
    include: Include

    def key(self, network: Network) -> str:
        """Under which the answer is kept."""
        moment = self.at.isoformat() if isinstance(self.at, datetime) else str(self.at)
        rest = replace(self.include, protocols=frozenset())
        wanted = repr((sorted(self.include.protocols), rest, bool(self.assets)))
        digest = hashlib.sha256(wanted.encode()).hexdigest()[:16]
        return "|".join(("whole", network.slug, moment, digest, *sorted(self.owners)))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was read: of each owner, or why not."""

    readings: Mapping[Address, Reading]
    errors: Mapping[Address, NetworkError] = field(default_factory=dict)

    @property
    def has_gaps(self) -> bool:
        return bool(self.errors) or any(map(has_gaps, self.readings.values()))


class WholeReading:
    """Reads one network through the cache, for all that owners have there.

    Args:
        reader: The network's reader.
        listed: Its listed tokens.
        cache: Where answers are kept.
        ttl_seconds: For how long; 0 shares reads and keeps none.
    """

    def __init__(
        self,
        reader: ChainReader,
        listed: Sequence[Asset],
        cache: Cache,
        ttl_seconds: float,
    ) -> None:
        self.network = reader.network
        self.protocols = reader.protocols
        self._reader = reader
        self._coverages = NetworkCoverages(reader.network, listed)
        self._cache = cache
        self._ttl_seconds = ttl_seconds

    async def answer(
        self,
        owners: Sequence[Address],
        at: At,
        include: Include,
        deadline: Deadline,
        *,
        with_tokens: bool = True,
    ) -> WholeAnswer:
        """What owners have; never later than the deadline.

        Args:
            owners: Each once.
            at: The block or time.
            include: What is read besides balances.
            deadline: When to stop.
            with_tokens: Whether the listed tokens are asked, or the native coin only.

        Raises:
            InputError: A block was asked for that this network does not have.
        """
        started = asyncio.get_running_loop().time()
        assets = self._coverages.assets((), mark_asked=False) if with_tokens else ()
        asked = _Asked(tuple(owners), assets, at, include)
        try:
            kept, age = await self._read(asked, deadline)
            answer = self._answered(kept, age, started, include)
        except InputError as error:
            answer = self._failed(asked, not_for_the_caller(error, at), started)
        except Exception as error:  # noqa: BLE001 - the edge of one network's task: the others go on
            why = self._coverages.explained(error)
            answer = self._last_good(asked, why, started) or self._failed(asked, why, started)
        self._record(asked, answer)
        return answer

    async def _read(self, asked: _Asked, deadline: Deadline) -> tuple[_Kept, float]:
        refuse_past_of_solana(self.network, asked.at)
        key = asked.key(self.network)

        async def load() -> _Kept:
            try:
                results = await self._reader.read_many(
                    asked.owners, asked.assets, asked.at, deadline.wrap_up, asked.include
                )
            except UpstreamError as error:
                raise no_such_block(self.network, error, asked.at) from error
            return self._usable(asked.owners, results)

        async with asyncio.timeout_at(deadline.end):
            kept, age = await self._cache.get_or_load(key, self._ttl_seconds, load, _always, _Kept)
            if kept.has_gaps and age > PARTIAL_TTL_SECONDS:
                ttl = min(self._ttl_seconds, PARTIAL_TTL_SECONDS)
                kept, age = await self._cache.get_or_load(key, ttl, load, _always, _Kept)
        return kept, age

    def _usable(self, owners: Sequence[Address], results: Sequence[Reading | UpstreamError]) -> _Kept:
        """The results by owner.

        Raises:
            UpstreamError: Not one owner was read.
        """
        readings: dict[Address, Reading] = {}
        errors: dict[Address, UpstreamError] = {}
        for owner, result in zip(owners, results, strict=True):
            try:
                if isinstance(result, UpstreamError):
                    raise result
                readings[owner] = self._coverages.as_listed(usable(result, without_zeros=True))
            except UpstreamError as error:
                errors[owner] = error
        if not readings:
            raise next(iter(errors.values()))
        return _Kept(readings, {owner: self._coverages.explained(error) for owner, error in errors.items()})

    def _answered(self, kept: _Kept, age: float, started: float, include: Include) -> WholeAnswer:
        parts = [
            self._coverages.answered(reading, age, started).coverage for reading in kept.readings.values()
        ]
        asked = sorted({slug for reading in kept.readings.values() for slug in reading.protocols_asked})
        error = next(iter(kept.errors.values()), None)
        unsearched = _unsearched(kept.readings.values())
        coverage = replace(
            parts[0],
            status="ok" if error is None and all(part.status == "ok" for part in parts) else "partial",
            block=min((part.block for part in parts if part.block is not None), key=_number),
            requests=sum(part.requests for part in parts) + sum(one.requests for one in kept.errors.values()),
            asked=sum(part.asked for part in parts),
            answered=sum(part.answered for part in parts),
            failures=tuple(failure for part in parts for failure in part.failures),
            nfts=sum(part.nfts for part in parts),
            error=error,
            protocols=tuple(asked),
            protocol_failures=_each_once(part.protocol_failures for part in parts),
            collections=len(include.collections) - len(unsearched),
            collection_failures=_each_once(part.collection_failures for part in parts),
            unsearched=unsearched,
        )
        return WholeAnswer(self.network, kept.readings, coverage)

    def _last_good(self, asked: _Asked, error: NetworkError, started: float) -> WholeAnswer | None:
        kept = self._cache.last_good(asked.key(self.network), _Kept)
        if kept is None or kept[0].errors:
            return None  # an answer that lacks an owner would hide that nothing is known of it
        answer = self._answered(*kept, started, asked.include)
        coverage = replace(answer.coverage, status="stale", stale=True, error=error)
        return replace(answer, coverage=coverage)

    def _failed(self, asked: _Asked, error: NetworkError, started: float) -> WholeAnswer:
        """Nothing is known: what was to be asked of protocols is listed as failed, too."""
        include = asked.include
        coverage = self._coverages.failed(asked.assets, error, started).coverage
        slugs = [slug for slug in self.protocols if slug in include.protocols]
        failures = tuple(ProtocolFailure(slug, None, error.code, error.detail) for slug in slugs)
        unsearched = tuple(one for one in include.collections if one.standard == "erc1155")
        collections = tuple(
            ProtocolFailure("nfts", str(one.contract_address), error.code, error.detail)
            for one in include.collections
            if one not in unsearched
        )
        return WholeAnswer(
            self.network,
            {},
            replace(
                coverage,
                protocols=tuple(slugs),
                protocol_failures=failures,
                collections=len(collections),
                collection_failures=collections,
                unsearched=unsearched,
            ),
        )

    def _record(self, asked: _Asked, answer: WholeAnswer) -> None:
        coverage = answer.coverage
        METRICS.observe_read(coverage.network, coverage.status, coverage.elapsed_ms / 1000)
        log = _log.info if coverage.error is None else _log.warning
        log(
            "network_read_whole",
            network=coverage.network,
            owner=shorten(asked.owners[0]),
            owners=len(asked.owners),
            status=coverage.status,
            cached=coverage.cached,
            block=coverage.block.number if coverage.block else None,
            requests=coverage.requests,
            failed_assets=len(coverage.failures),
            positions=sum(len(reading.positions) for reading in answer.readings.values()),
            failed_protocols=len(coverage.protocol_failures),
            elapsed_seconds=coverage.elapsed_ms / 1000,
            code=coverage.error.code if coverage.error else None,
            detail=coverage.error.detail if coverage.error else None,
        )


def _always(_kept: _Kept) -> bool:
    """Everything usable is kept; a network that failed never becomes a reading."""
    return True


def _unsearched(readings: Iterable[Reading]) -> tuple[Collection, ...]:
    """The collections of which some owner's reading can't tell, each once."""
    found = {one.contract_address: one for reading in readings for one in reading.unsearched}
    return tuple(found.values())


def _number(block: BlockRef) -> int:
    return block.number


def _each_once(failures: Iterable[tuple[ProtocolFailure, ...]]) -> tuple[ProtocolFailure, ...]:
    """What failed for several owners, told once."""
    return tuple(dict.fromkeys(failure for some in failures for failure in some))

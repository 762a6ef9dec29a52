"""What a reading found of collections, completed with what stands in events only, at the same block."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.nfts import Collection, NftHolding
from balance_tracker.core.portfolio import NetworkCoverage, NetworkError, Reading
from balance_tracker.core.positions import ProtocolFailure
from balance_tracker.ports import Cache, NftReader, NftsFound
from balance_tracker.services.reading import Deadline
from balance_tracker.services.whole_reading import WholeAnswer
from balance_tracker.telemetry.logging import get_logger

MOST_IDS = 10_000
"""Ids of one collection that are read of a wallet, for what is to have all of them."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Searched:
    """What was found for the owners that were reached, and why the others were not."""

    found: Mapping[Address, NftsFound] = field(default_factory=dict)
    error: NetworkError | None = None


class NftCompletion:
    """Searches what contracts do not list.

    Args:
        searches: Who finds it, by network.
        cache: Where findings are kept; without it every question searches.
        ttl_seconds: For how long.
    """

    def __init__(
        self, searches: Mapping[Slug, NftReader], cache: Cache | None = None, ttl_seconds: float = 0
    ) -> None:
        self._searches = searches
        self._cache = cache
        self._ttl_seconds = ttl_seconds

    async def completed(
        self, answer: WholeAnswer, collections: Sequence[Collection], deadline: Deadline
    ) -> WholeAnswer:
        """The answer with all ids that can be found; what was read stands whatever becomes of the search.

        Args:
            answer: Of one network.
            collections: Those that the reading asked or left for this.
            deadline: The search ends with what it has in time for the answer.
        """
        search = self._searches.get(answer.network.slug)
        if search is None or not answer.readings:
            return answer
        shown = {one.contract_address: one for one in answer.coverage.unsearched}
        asked = [shown.get(one.contract_address, one) for one in collections]
        searched, fresh = await self._searched(search, answer, asked, deadline)
        return _merged(answer, searched, fresh=fresh)

    async def _searched(
        self, search: NftReader, answer: WholeAnswer, asked: Sequence[Collection], deadline: Deadline
    ) -> tuple[_Searched, bool]:
        """What was found, and whether it was so now."""

        async def load() -> _Searched:
            return await _search(search, answer, asked, deadline)

        if self._cache is None:
            return await load(), True
        try:
            async with asyncio.timeout_at(deadline.end):
                searched, age = await self._cache.get_or_load(
                    _key(answer, asked), self._ttl_seconds, load, _is_whole, _Searched
                )
        except TimeoutError:
            return _Searched(error=_timed_out()), True
        return searched, not age


async def _search(
    search: NftReader, answer: WholeAnswer, asked: Sequence[Collection], deadline: Deadline
) -> _Searched:
    """One owner after the other, so that many do not crowd out what others ask of the endpoints."""
    found: dict[Address, NftsFound] = {}
    for owner, reading in answer.readings.items():
        try:
            async with asyncio.timeout_at(deadline.end):
                found[owner] = await search.search(
                    owner, asked, reading.collections, reading.block, deadline.wrap_up
                )
        except TimeoutError:
            return _Searched(found, _timed_out())
        except Exception as error:  # noqa: BLE001 - the edge of one network's search: the others go on
            _log.exception("nft_search_broke", network=answer.network.slug, exc_info=error)
            broken = NetworkError("internal_error", "The ids could not be found.", retryable=True)
            return _Searched(found, broken)
    return _Searched(found)


def _merged(answer: WholeAnswer, searched: _Searched, *, fresh: bool) -> WholeAnswer:
    readings = {
        owner: _with(reading, searched.found.get(owner)) for owner, reading in answer.readings.items()
    }
    coverage = answer.coverage
    if fresh:
        coverage = replace(
            coverage,
            requests=coverage.requests + sum(found.requests for found in searched.found.values()),
        )
    failures = _each_once(one for found in searched.found.values() for one in found.failures)
    if failures:
        coverage = replace(
            coverage,
            collection_failures=_each_once((*coverage.collection_failures, *failures)),
            status="partial" if coverage.status == "ok" else coverage.status,
        )
    if searched.error is None:
        coverage = _all_asked(coverage)
    else:
        coverage = replace(coverage, status="partial", error=searched.error)
    return replace(answer, readings=readings, coverage=coverage)


def _with(reading: Reading, found: NftsFound | None) -> Reading:
    return reading if found is None else replace(reading, collections=tuple(found.holdings))


def _all_asked(coverage: NetworkCoverage) -> NetworkCoverage:
    """What was left for the search counts as asked now."""
    if not coverage.unsearched:
        return coverage
    asked = (coverage.collections or 0) + len(coverage.unsearched)
    return replace(coverage, collections=asked, unsearched=())


def first_ids(one: NftHolding, most: int) -> NftHolding:
    """The holding with so many ids at most; one that is cut is not complete and says so."""
    known = len(one.token_ids)
    if known <= most:
        return one
    note = f"{most} of {known} ids that were found are told here"
    note = note if one.ids_complete or one.ids_note is None else f"{note}; {one.ids_note}"
    return replace(one, token_ids=one.token_ids[:most], ids_complete=False, ids_note=note)


def _key(answer: WholeAnswer, asked: Sequence[Collection]) -> str:
    """Under which a finding is kept: what is found depends on the blocks and on what was read there."""
    read = [(owner, _place(reading.block), reading.collections) for owner, reading in answer.readings.items()]
    digest = hashlib.sha256(repr((list(asked), read)).encode()).hexdigest()[:32]
    return f"nft-search|{answer.network.slug}|{digest}"


def _place(block: BlockRef) -> tuple[int, str | None]:
    return block.number, block.hash


def _is_whole(searched: _Searched) -> bool:
    return searched.error is None and not any(found.failures for found in searched.found.values())


def _timed_out() -> NetworkError:
    return NetworkError("timed_out", "The ids were not found in time.", retryable=True)


def _each_once(failures: Iterable[ProtocolFailure]) -> tuple[ProtocolFailure, ...]:
    return tuple(dict.fromkeys(failures))

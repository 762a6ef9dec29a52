"""What an address holds of collections: found, completed, and told page by page.

What was found is kept for a while, by its question and its blocks, so that the pages of one cursor
are cut from one finding. Where it is gone the same blocks are read again; a network that keeps no
past (Solana) can't be, and the cursor has then run out.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from balance_tracker.core.blocks import At
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.including import Include
from balance_tracker.core.networks import Network
from balance_tracker.core.nfts import Collection, NftHolding, NftStandard
from balance_tracker.core.portfolio import FailureCode, NetworkCoverage
from balance_tracker.ports import Cache, NameService, NftReader
from balance_tracker.services import questions
from balance_tracker.services.addresses import AddressBook, Owner
from balance_tracker.services.naming import OwnerNames
from balance_tracker.services.nft_completing import MOST_IDS, NftCompletion
from balance_tracker.services.nft_metadata import NftMetadata
from balance_tracker.services.nft_pages import (
    DEFAULT_LIMIT,
    Cursor,
    NftPage,
    check_limit,
    cut_page,
    in_order,
    no_such_cursor,
)
from balance_tracker.services.portfolio import resolved
from balance_tracker.services.reading import Deadline
from balance_tracker.services.whole_reading import WholeReading

KEPT_SECONDS = 900.0
"""How long the pages of a cursor are sure to be there."""
MOST_COLLECTIONS = 20
"""Collections that may be asked for by address: what strangers wrote may be made to cost much."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of whom: everything checked."""

    owner: Owner
    networks: tuple[Network, ...]
    contracts: tuple[Address, ...]
    at: At

    @property
    def digest(self) -> str:
        """Ties cursors and what is kept to the question."""
        slugs = ",".join(network.slug for network in self.networks)
        parts = (self.owner.address, slugs, *sorted(self.contracts), str(self.at))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Found:
    """What all networks gave, with every id."""

    holdings: tuple[NftHolding, ...]
    coverage: tuple[NetworkCoverage, ...]

    @property
    def blocks(self) -> dict[Slug, int]:
        return {entry.network: entry.block.number for entry in self.coverage if entry.block is not None}

    def aged(self, seconds: float) -> "_Found":
        """The same, as it was found before."""
        coverage = (
            replace(
                entry, cached=entry.block is not None, requests=0, age_seconds=entry.age_seconds + seconds
            )
            for entry in self.coverage
        )
        return replace(self, coverage=tuple(coverage))


class NftService:
    """Answers what an address holds of collections.

    Args:
        networks: What is tracked, in the order of answers.
        readings: One per tracked network.
        searches: Who finds what contracts do not list, by network.
        collections: The listed collections, by network.
        metadata: Learns URIs and what they hold.
        book: Tells addresses apart.
        names: Names for display; ``None`` if none are looked up.
        cache: Where findings and names are kept.
        deadline_seconds: How long one answer may take.
        ttl_seconds: How long a finding answers the same question again.
        now: The time, in UTC.
    """

    def __init__(
        self,
        networks: Mapping[Slug, Network],
        readings: Mapping[Slug, WholeReading],
        searches: Mapping[Slug, NftReader],
        collections: Mapping[Slug, Sequence[Collection]],
        metadata: NftMetadata,
        *,
        book: AddressBook,
        names: NameService | None,
        cache: Cache,
        deadline_seconds: float,
        ttl_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._networks = networks
        self._readings = readings
        self._completion = NftCompletion(searches)
        self._collections = collections
        self._metadata = metadata
        self._book = book
        self._names = OwnerNames(names, cache)
        self._cache = cache
        self._deadline_seconds = deadline_seconds
        self._ttl_seconds = ttl_seconds
        self._now = now

    async def nfts(
        self,
        address: str,
        networks: Sequence[str] | None = None,
        *,
        collections: Sequence[str] = (),
        at: At | str = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        metadata: bool = False,
    ) -> NftPage:
        """What an address holds of collections, and what could not be learnt.

        Args:
            address: An EVM or Solana address, or a name that resolves.
            networks: Slugs to ask; every tracked network of the address's family without them.
            collections: Contract addresses (Solana: mints of collections): only these are told, listed
                or not; every listed one without them.
            at: A block number (then exactly one EVM network), a time, or ``None`` for the latest block.
            limit: The most token ids of one page.
            cursor: ``next_cursor`` of the page before, with the same question.
            metadata: Whether metadata is fetched from where URIs point, over the network.

        Raises:
            InputError: Something asked for can't be; its hint says what can.
            UpstreamError: The address is a name that could not be looked up.
        """
        limit = check_limit(limit)
        deadline = Deadline.after(self._deadline_seconds)
        asked = await self._question(address, networks, collections, at, deadline)
        place = None if cursor is None else Cursor.of(cursor, asked.digest)
        found = await (self._first(asked, deadline) if place is None else self._again(asked, place, deadline))
        offset = 0 if place is None else place.offset
        page, more = cut_page(found.holdings, offset, limit)
        blocks = {entry.network: entry.block for entry in found.coverage if entry.block is not None}
        holdings = await self._metadata.added_to(page, blocks, deadline.wrap_up, fetch=metadata)
        return NftPage(
            address=asked.owner.address,
            name=await self._names.soon(asked.owner),
            holdings=holdings,
            coverage=found.coverage,
            next_cursor=None if more is None else Cursor(asked.digest, more, found.blocks).text(),
            taken_at=self._now(),
        )

    async def _question(
        self,
        address: str,
        networks: Sequence[str] | None,
        collections: Sequence[str],
        at: At | str,
        deadline: Deadline,
    ) -> _Question:
        slugs = [
            questions.find_network(slug, self._networks).slug for slug in questions.split_words(networks)
        ]
        owner = await resolved(self._book, address, deadline)
        chosen = questions.choose_networks(owner, slugs, self._networks)
        contracts = questions.choose_tokens(owner, collections, self._book)
        if len(contracts) > MOST_COLLECTIONS:
            raise InputError(
                f"{len(contracts)} collections were asked for, and {MOST_COLLECTIONS} are allowed.",
                code="too_many_collections",
                hint="Split them over several requests.",
            )
        return _Question(owner, chosen, contracts, questions.choose_at(at, chosen, self._now()))

    async def _first(self, asked: _Question, deadline: Deadline) -> _Found:
        """What the networks have now, or had a moment ago."""

        async def load() -> _Found:
            return await self._find(asked, {}, deadline)

        key = f"nfts|{asked.digest}"
        found, age = await self._cache.get_or_load(key, self._ttl_seconds, load, _is_whole, _Found)
        await self._keep(asked, found)
        return found.aged(age) if age else found

    async def _again(self, asked: _Question, place: Cursor, deadline: Deadline) -> _Found:
        """What a cursor's pages are cut from.

        Raises:
            InputError: It is not kept any more and can't be read again.
        """

        async def load() -> _Found:
            families = {network.slug: network.family for network in asked.networks}
            if set(place.blocks) != set(families) or "solana" in families.values():
                raise no_such_cursor("The pages of this cursor are not kept any longer.")
            return await self._find(asked, place.blocks, deadline)

        key = _key(asked, place.blocks)
        found, age = await self._cache.get_or_load(key, KEPT_SECONDS, load, _always, _Found)
        return found.aged(age) if age else found

    async def _keep(self, asked: _Question, found: _Found) -> None:
        async def load() -> _Found:
            return found

        await self._cache.get_or_load(_key(asked, found.blocks), KEPT_SECONDS, load, _always, _Found)

    async def _find(self, asked: _Question, blocks: Mapping[Slug, int], deadline: Deadline) -> _Found:
        """Ask all networks at once.

        Raises:
            InputError: A block was asked for that does not exist.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._of_network(network, asked, blocks.get(network.slug), deadline))
                for network in asked.networks
            ]
        holdings: list[NftHolding] = []
        coverage: list[NetworkCoverage] = []
        for task in tasks:
            result = task.result()
            if isinstance(result, InputError):
                raise result
            holdings += result[0]
            coverage.append(result[1])
        return _Found(tuple(holdings), tuple(coverage))

    async def _of_network(
        self, network: Network, asked: _Question, block: int | None, deadline: Deadline
    ) -> tuple[tuple[NftHolding, ...], NetworkCoverage] | InputError:
        collections = self._asked_collections(network, asked.contracts)
        include = Include(collections=collections, most_ids=MOST_IDS, nfts=True)
        owner = asked.owner.address
        try:
            answer = await self._readings[network.slug].answer(
                [owner], asked.at if block is None else block, include, deadline, with_tokens=False
            )
        except InputError as error:
            return error
        answer = await self._completion.completed(answer, collections, deadline)
        reading, coverage = answer.readings.get(owner), answer.coverage
        found = () if reading is None else reading.collections
        if asked.contracts and network.family == "solana":
            found = tuple(one for one in found if one.collection.contract_address in asked.contracts)
        if asked.contracts and len(asked.networks) > 1:
            coverage = _without_elsewhere(coverage, collections)
        return in_order(found), coverage

    def _asked_collections(self, network: Network, contracts: Sequence[Address]) -> tuple[Collection, ...]:
        """The listed collections, or those asked for by name; what nobody listed shows what it is."""
        listed = {one.contract_address: one for one in self._collections.get(network.slug, ())}
        if not contracts:
            return tuple(listed.values())
        standard: NftStandard = "metaplex" if network.family == "solana" else "erc721"
        return tuple(
            listed.get(contract) or Collection(network.slug, contract, standard, None, trust="unknown")
            for contract in contracts
        )


def _key(asked: _Question, blocks: Mapping[Slug, int]) -> str:
    at = ",".join(f"{slug}:{number}" for slug, number in sorted(blocks.items()))
    return f"nfts|{asked.digest}|{at}"


def _always(_found: _Found) -> bool:
    return True


def _is_whole(found: _Found) -> bool:
    """Whether a finding may answer the same question again."""
    return all(entry.status == "ok" for entry in found.coverage)


def _without_elsewhere(coverage: NetworkCoverage, collections: Sequence[Collection]) -> NetworkCoverage:
    """Without the collections asked for by name that are no contracts there: they are on another network."""
    unlisted = {str(one.contract_address) for one in collections if one.trust == "unknown"}
    failures = tuple(
        failure
        for failure in coverage.collection_failures
        if failure.code != FailureCode.NO_CONTRACT or failure.market not in unlisted
    )
    gone = len(coverage.collection_failures) - len(failures)
    if not gone:
        return coverage
    gaps = bool(failures or coverage.failures or coverage.protocol_failures or coverage.error)
    return replace(
        coverage,
        collections=max((coverage.collections or 0) - gone, 0),
        collection_failures=failures,
        status="ok" if coverage.status == "partial" and not gaps else coverage.status,
    )

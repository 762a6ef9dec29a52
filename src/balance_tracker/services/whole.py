"""Everything that addresses have: balances, positions and collections, of one block per network."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from balance_tracker.core.blocks import At
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.including import Include
from balance_tracker.core.networks import Network
from balance_tracker.core.nfts import Collection
from balance_tracker.core.prices import Currency
from balance_tracker.core.whole import (
    STAKE_TOKENS,
    OwnedCollection,
    Positions,
    StakeTokens,
    ValuedPosition,
    WholePortfolio,
)
from balance_tracker.ports import Cache, NameService
from balance_tracker.services import questions
from balance_tracker.services.addresses import AddressBook, Owner
from balance_tracker.services.naming import OwnerNames
from balance_tracker.services.nft_completing import MOST_IDS, NftCompletion, first_ids
from balance_tracker.services.portfolio import resolved
from balance_tracker.services.reading import Deadline
from balance_tracker.services.valuation import Priced, Valuation, by_value, lead_seconds, valued
from balance_tracker.services.whole_reading import WholeAnswer, WholeReading
from balance_tracker.services.whole_valuing import put_together, totals_of, valued_position

MOST_ADDRESSES = 20
IDS_TOLD = 100
"""Ids of a collection that a portfolio shows; ``/nfts`` has all of them, page by page."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of whom: everything checked."""

    owners: tuple[Owner, ...]
    networks: Mapping[Slug, tuple[Address, ...]]
    currency: Currency
    at: At
    protocols: frozenset[str] | None = None
    only_protocols: bool = False
    search_nfts: bool = False
    stake_tokens: StakeTokens = "position"


class WholeService:
    """Answers what protocols hold for an address, and what addresses have in all.

    Args:
        networks: What is tracked, in the order of answers.
        readings: One per tracked network.
        book: Tells addresses apart.
        names: Names for display; ``None`` if none are looked up.
        cache: Where names are kept.
        deadline_seconds: How long one answer may take.
        valuation: Prices what is held; without it nothing is priced.
        collections: Which collections a portfolio asks, by network.
        completion: Searches for NFTs that no contract lists, where that is asked for.
        now: The time, in UTC.
    """

    def __init__(
        self,
        networks: Mapping[Slug, Network],
        readings: Mapping[Slug, WholeReading],
        book: AddressBook,
        names: NameService | None,
        cache: Cache,
        *,
        deadline_seconds: float,
        valuation: Valuation | None = None,
        collections: Mapping[Slug, Sequence[Collection]] | None = None,
        completion: NftCompletion | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._networks = networks
        self._readings = readings
        self._book = book
        self._deadline_seconds = deadline_seconds
        self._valuation = valuation
        self._collections = collections or {}
        self._completion = NftCompletion({}) if completion is None else completion
        self._names = OwnerNames(names, cache)
        self._now = now

    async def portfolio(
        self,
        addresses: Sequence[str],
        networks: Sequence[str] | None = None,
        *,
        currency: str = "usd",
        at: At | str = None,
        search_nfts: bool = False,
        stake_tokens: StakeTokens = "position",
    ) -> WholePortfolio:
        """Everything that addresses have, and what could not be learnt.

        Args:
            addresses: EVM or Solana addresses or names; one that is given twice counts once.
            networks: Slugs to ask; every tracked network of the addresses' families without them.
            currency: What values are in.
            at: A block number (then exactly one EVM network), a time, or ``None`` for the latest block.
            search_nfts: Whether tokens that no contract lists are searched for, at the same block. It takes
                more requests; without it such collections are the coverage's ``unsearched``.
            stake_tokens: Whether a token that stands for a stake is a ``position`` in what is staked, or a
                ``holding`` at its own price; never both.

        Raises:
            InputError: Something asked for can't be; its hint says what can.
            UpstreamError: An address is a name that could not be looked up.
        """
        deadline = Deadline.after(self._deadline_seconds)
        asked = await self._question(addresses, networks, currency, at, deadline)
        stakes = _chosen_stake_tokens(stake_tokens)
        asked = replace(asked, search_nfts=search_nfts, stake_tokens=stakes)
        answers, priced = await self._answers(asked, deadline)
        asked = await self._named(asked, answers)
        had = put_together(answers, stakes)
        holdings = tuple(by_value(valued(balance, priced) for balance in had.balances))
        positions = _by_net_value(valued_position(position, priced) for position in had.positions)
        return WholePortfolio(
            addresses=tuple(owner.address for owner in asked.owners),
            names={owner.address: owner.name for owner in asked.owners if owner.name is not None},
            currency=asked.currency,
            holdings=holdings,
            positions=positions,
            collections=_told(had.collections) if search_nfts else had.collections,
            excluded=had.excluded,
            totals=totals_of(asked.networks, holdings, positions),
            coverage=tuple(answer.coverage for answer in answers),
            taken_at=self._now(),
            priced_for_seconds=priced.good_for_seconds,
        )

    async def positions(
        self,
        address: str,
        networks: Sequence[str] | None = None,
        *,
        protocols: Sequence[str] = (),
        currency: str = "usd",
        at: At | str = None,
    ) -> Positions:
        """What protocols hold for an address.

        Args:
            address: As for :meth:`portfolio`.
            networks: As for :meth:`portfolio`.
            protocols: Slugs to ask; every one without them.
            currency: What values are in.
            at: As for :meth:`portfolio`.

        Raises:
            InputError: As for :meth:`portfolio`; ``unknown_protocol`` names the nearest.
            UpstreamError: As for :meth:`portfolio`.
        """
        deadline = Deadline.after(self._deadline_seconds)
        chosen = self._chosen_protocols(protocols)
        owner = await resolved(self._book, address, deadline)
        asked = await self._question([owner.address], networks, currency, at, deadline)
        asked = replace(asked, owners=(owner,), protocols=chosen, only_protocols=True)
        answers, priced = await self._answers(asked, deadline)
        [owner] = (await self._named(asked, answers)).owners
        had = put_together(answers)
        return Positions(
            address=owner.address,
            name=owner.name,
            currency=asked.currency,
            positions=_by_net_value(valued_position(position, priced) for position in had.positions),
            coverage=tuple(answer.coverage for answer in answers),
            taken_at=self._now(),
            priced_for_seconds=priced.good_for_seconds,
        )

    async def _question(
        self,
        addresses: Sequence[str],
        networks: Sequence[str] | None,
        currency: str,
        at: At | str,
        deadline: Deadline,
    ) -> _Question:
        """What is asked, checked.

        Raises:
            InputError: It can't be asked.
            UpstreamError: A name could not be looked up.
        """
        chosen_currency = questions.choose_currency(currency)
        slugs = [
            questions.find_network(slug, self._networks).slug for slug in questions.split_words(networks)
        ]
        owners = await self._owners(addresses, deadline)
        asked: dict[Slug, list[Address]] = {}
        for owner in owners:
            for network in questions.choose_networks(owner, slugs, self._networks):
                asked.setdefault(network.slug, []).append(owner.address)
        ordered = {slug: tuple(asked[slug]) for slug in self._networks if slug in asked}
        return _Question(
            owners=owners,
            networks=ordered,
            currency=chosen_currency,
            at=questions.choose_at(at, [self._networks[slug] for slug in ordered], self._now()),
        )

    async def _owners(self, addresses: Sequence[str], deadline: Deadline) -> tuple[Owner, ...]:
        """The owners of texts, each once; names are looked up side by side.

        Raises:
            InputError: One is no address, there is none, or there are too many.
            UpstreamError: A name could not be looked up.
        """
        words = list(dict.fromkeys(questions.split_words(addresses)))
        if len(words) > MOST_ADDRESSES:
            raise InputError(
                f"{len(words)} addresses were asked for, and {MOST_ADDRESSES} are allowed.",
                code="too_many_addresses",
                hint="Split them over several requests.",
            )
        if not words:
            self._book.told("")
        found = [await resolved(self._book, word, deadline) for word in words]
        owners: dict[Address, Owner] = {}
        for owner in found:
            known = owners.get(owner.address)
            owners[owner.address] = owner if known is None or known.name is None else known
        return tuple(owners.values())

    def _chosen_protocols(self, protocols: Sequence[str]) -> frozenset[str] | None:
        """The protocols named, ``None`` for all of them.

        Raises:
            InputError: ``unknown_protocol``: no network here has it.
        """
        words = [word.lower() for word in questions.split_words(protocols)]
        known = sorted({slug for reading in self._readings.values() for slug in reading.protocols})
        for word in words:
            if word not in known:
                shown = word[:60] if word.isprintable() else "?"
                raise InputError(
                    f"There is no protocol '{shown}' here.",
                    code="unknown_protocol",
                    hint=questions.nearest(word, known),
                )
        return frozenset(words) or None

    async def _answers(self, asked: _Question, deadline: Deadline) -> tuple[list[WholeAnswer], Priced]:
        """What the networks answer, and the prices of it.

        Raises:
            InputError: A block was asked for that does not exist.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._read(slug, owners, asked, deadline))
                for slug, owners in asked.networks.items()
            ]
            pricing = group.create_task(self._priced(asked, tasks, deadline))
            # Beside the prices, which must not wait for a search.
            completing = [
                group.create_task(self._completed(slug, task, asked, deadline))
                for slug, task in zip(asked.networks, tasks, strict=True)
            ]
        results = [task.result() for task in completing]
        for result in results:
            if isinstance(result, InputError):
                raise result
        return _good(results), pricing.result()

    async def _read(
        self, slug: Slug, owners: Sequence[Address], asked: _Question, deadline: Deadline
    ) -> WholeAnswer | InputError:
        reading = self._readings[slug]
        all_protocols = frozenset(reading.protocols)
        include = Include(protocols=all_protocols if asked.protocols is None else asked.protocols)
        if not asked.only_protocols:
            include = replace(include, collections=tuple(self._collections.get(slug, ())), nfts=True)
        if asked.search_nfts:
            # A contract that lists more ids than are told is not searched for the rest of them.
            include = replace(include, most_ids=MOST_IDS)
        with_tokens = not asked.only_protocols
        try:
            return await reading.answer(owners, asked.at, include, deadline, with_tokens=with_tokens)
        except InputError as error:
            return error

    async def _completed(
        self,
        slug: Slug,
        reading: asyncio.Task[WholeAnswer | InputError],
        asked: _Question,
        deadline: Deadline,
    ) -> WholeAnswer | InputError:
        """What a network answered, with the NFTs that no contract lists if they are to be searched for."""
        answer = await reading
        if isinstance(answer, InputError) or not asked.search_nfts:
            return answer
        return await self._completion.completed(answer, self._collections.get(slug, ()), deadline)

    async def _named(self, asked: _Question, answers: Sequence[WholeAnswer]) -> _Question:
        """The question with the name of its owner, if there is one owner and it is soon found.

        The read of the names' own network looks for it on its way.
        """
        [owner, *others] = asked.owners
        read = {answer.network.slug: answer.coverage.status for answer in answers}
        failed = read.get(self._names.network, "ok") in ("failed", "stale") if self._names.network else True
        if others or failed or not self._names.needed(owner):
            return asked
        return replace(asked, owners=(replace(owner, name=await self._names.soon(owner)),))

    async def _priced(
        self, asked: _Question, tasks: Sequence[asyncio.Task[WholeAnswer | InputError]], deadline: Deadline
    ) -> Priced:
        """Prices of all that the networks answered, asked for at once.

        Where a network is so slow that no time would be left for prices, those of the others are
        asked for while it is waited for.
        """
        if self._valuation is None:
            return Priced()
        loop = asyncio.get_running_loop()
        left = deadline.end - loop.time()
        _, slow = await asyncio.wait(tasks, timeout=max(0.0, left - lead_seconds(left)))
        if slow:
            await self._price(asked, [task.result() for task in tasks if task.done()], loop.time())
            await asyncio.wait(tasks)
        return await self._price(asked, [task.result() for task in tasks], deadline.end)

    async def _price(
        self, asked: _Question, results: Sequence[WholeAnswer | InputError], until: float
    ) -> Priced:
        """Prices as far as they are there at a time of the loop; the sources go on for the next to ask."""
        answers = _good(results)
        assets = put_together(answers, asked.stake_tokens).priceable()
        if self._valuation is None or not assets:
            return Priced()
        return await self._valuation.priced(assets, _moment(asked.at, answers), asked.currency, until)


def _chosen_stake_tokens(stake_tokens: str) -> StakeTokens:
    """How stake tokens are told.

    Raises:
        InputError: ``invalid_parameter``: there is no such way.
    """
    for known in STAKE_TOKENS:
        if stake_tokens == known:
            return known
    raise InputError(
        "Stake tokens can't be told like that.",
        code="invalid_parameter",
        hint=f"'stake_tokens' is one of: {', '.join(STAKE_TOKENS)}.",
    )


def _told(collections: Iterable[OwnedCollection]) -> tuple[OwnedCollection, ...]:
    """The collections with as many ids as a portfolio has room for."""
    return tuple(replace(one, holding=first_ids(one.holding, IDS_TOLD)) for one in collections)


def _good(results: Iterable[WholeAnswer | InputError]) -> list[WholeAnswer]:
    return [result for result in results if isinstance(result, WholeAnswer)]


def _moment(at: At, answers: Sequence[WholeAnswer]) -> datetime | None:
    """The time whose prices are asked for, ``None`` for now: that of a past block is the block's."""
    if at is None or isinstance(at, datetime):
        return at
    blocks = (answer.coverage.block for answer in answers)
    return next((block.as_of for block in blocks if block is not None), None)


def _by_net_value(positions: Iterable[ValuedPosition]) -> tuple[ValuedPosition, ...]:
    """The most valuable first, those without a known value last; otherwise as they were."""
    return tuple(sorted(positions, key=_order))


def _order(one: ValuedPosition) -> tuple[bool, Decimal]:
    return (one.net_value is None, Decimal(0) if one.net_value is None else -one.net_value)

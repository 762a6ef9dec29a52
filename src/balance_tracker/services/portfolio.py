"""What an address holds: all networks at once, under one deadline, and what is missing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

from balance_tracker.core.blocks import At
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.ports import Cache, NameService
from balance_tracker.services import questions
from balance_tracker.services.addresses import AddressBook, Owner
from balance_tracker.services.composing import compose, moment_of, priceable
from balance_tracker.services.coverage import NetworkAnswer
from balance_tracker.services.naming import NAME_GRACE_SECONDS, OwnerNames
from balance_tracker.services.questions import Question
from balance_tracker.services.reading import Deadline, NetworkReading
from balance_tracker.services.valuation import Priced, Valuation, lead_seconds


class PortfolioService:
    """Answers what an address holds.

    Args:
        networks: What is tracked, in the order of answers.
        readings: One per tracked network.
        book: Tells addresses apart.
        names: Names for display; ``None`` if none are looked up.
        cache: Where names are kept.
        deadline_seconds: How long one answer may take.
        valuation: Prices what is held; without it nothing is priced.
        now: The time, in UTC.
    """

    def __init__(
        self,
        networks: Mapping[Slug, Network],
        readings: Mapping[Slug, NetworkReading],
        book: AddressBook,
        names: NameService | None,
        cache: Cache,
        *,
        deadline_seconds: float,
        valuation: Valuation | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._networks = networks
        self._readings = readings
        self._book = book
        self._names = OwnerNames(names, cache)
        self._deadline_seconds = deadline_seconds
        self._valuation = valuation
        self._now = now

    async def portfolio(
        self,
        address: str,
        networks: Sequence[str] | None = None,
        *,
        tokens: Sequence[str] = (),
        currency: str = "usd",
        at: At | str = None,
        spam: bool = False,
        min_value: Decimal | str | int | None = None,
    ) -> Portfolio:
        """What an address holds, and what could not be learnt.

        Args:
            address: An EVM or Solana address, or a name that resolves.
            networks: Slugs to ask; every tracked network of the address's family without them.
            tokens: Contract addresses to ask besides the listed ones, shown also at zero.
            currency: What values are in.
            at: A block number (then exactly one EVM network), a time, or ``None`` for the latest block.
            spam: Whether tokens that look like spam are shown.
            min_value: Holdings of a known lower value are left out.

        Raises:
            InputError: Something asked for can't be; its hint says what can.
            UpstreamError: The address is a name that could not be looked up.
        """
        deadline = Deadline.after(self._deadline_seconds)
        currency = questions.choose_currency(currency)
        least = questions.choose_min_value(min_value)
        slugs = [
            questions.find_network(slug, self._networks).slug for slug in questions.split_words(networks)
        ]
        owner = await resolved(self._book, address, deadline)
        chosen = questions.choose_networks(owner, slugs, self._networks)
        question = Question(
            owner=owner,
            networks=chosen,
            tokens=questions.choose_tokens(owner, tokens, self._book),
            currency=currency,
            at=questions.choose_at(at, chosen, self._now()),
            spam=spam,
            min_value=least,
        )
        return await self._answer(question, deadline)

    async def _answer(self, question: Question, deadline: Deadline) -> Portfolio:
        async with asyncio.TaskGroup() as group:
            tasks = {
                network.slug: group.create_task(self._read(network, question, deadline))
                for network in question.networks
            }
            naming = group.create_task(self._name(question.owner, tasks, deadline))
            pricing = group.create_task(self._priced(question, list(tasks.values()), deadline))
            await asyncio.wait(tasks.values())
            await asyncio.wait([naming], timeout=NAME_GRACE_SECONDS)
            naming.cancel()
        answers = [_network_answer(task.result()) for task in tasks.values()]
        name = naming.result() if not naming.cancelled() else question.owner.name
        return compose(question, name, answers, self._now(), pricing.result())

    async def _priced(
        self,
        question: Question,
        tasks: Sequence[asyncio.Task[NetworkAnswer | InputError]],
        deadline: Deadline,
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
            await self._price(question, [task.result() for task in tasks if task.done()], loop.time())
            await asyncio.wait(tasks)
        return await self._price(question, [task.result() for task in tasks], deadline.end)

    async def _price(
        self, question: Question, results: Sequence[NetworkAnswer | InputError], until: float
    ) -> Priced:
        """Prices as far as they are there at a time of the loop; the sources go on for the next to ask."""
        answers = [result for result in results if isinstance(result, NetworkAnswer)]
        assets = priceable(question, answers)
        if self._valuation is None or not assets:
            return Priced()
        return await self._valuation.priced(assets, moment_of(question, answers), question.currency, until)

    async def _read(
        self, network: Network, question: Question, deadline: Deadline
    ) -> NetworkAnswer | InputError:
        reading = self._readings[network.slug]
        try:
            return await reading.answer(question.owner.address, question.tokens, question.at, deadline)
        except InputError as error:
            return error

    async def _name(
        self,
        owner: Owner,
        tasks: Mapping[Slug, asyncio.Task[NetworkAnswer | InputError]],
        deadline: Deadline,
    ) -> str | None:
        """The owner's name: the one asked by, or the checked one; unknown is ``None``.

        Where the names' own network is read for this answer, that read looks for a name on
        its way: it is waited for, and if it failed nothing more is asked of that network.
        """
        if not self._names.needed(owner):
            return owner.name
        riding = tasks.get(self._names.network) if self._names.network is not None else None
        if riding is not None:
            await asyncio.wait([riding])
            if _failed(riding.result()):
                return None
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline.end):
                return await self._names.name_of(owner.address)
        return None


async def resolved(book: AddressBook, address: str, deadline: Deadline) -> Owner:
    """The owner that a text means, within the deadline.

    Raises:
        InputError: It is no address and no name.
        UpstreamError: It is a name that could not be looked up.
    """
    try:
        async with asyncio.timeout_at(deadline.end):
            return await book.resolve(address)
    except TimeoutError:
        raise UpstreamError(
            "The name could not be looked up within the deadline.", code="timed_out"
        ) from None


def _network_answer(result: NetworkAnswer | InputError) -> NetworkAnswer:
    if isinstance(result, InputError):
        raise result
    return result


def _failed(answer: NetworkAnswer | InputError) -> bool:
    return isinstance(answer, InputError) or answer.coverage.status in ("failed", "stale")

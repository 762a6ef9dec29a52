"""What many addresses hold: one matrix per network and chunk, in bounded memory, with progress.

The addresses are read in chunks, in their order. All networks of a chunk are read at once,
each as one matrix at one block, under a deadline of the chunk's own. Two chunks are read
while a third is handed out, and no more: a slow consumer slows the reading. One address, one
network or one chunk that fails is not the end of the others.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.ports import Cache, NameService
from balance_tracker.services.addresses import AddressBook, Owner
from balance_tracker.services.composing import compose, moment_of, priceable
from balance_tracker.services.coverage import NetworkAnswer
from balance_tracker.services.many_questions import Asked, Entry, ManyQuestions, chunks, told_apart
from balance_tracker.services.naming import NAME_GRACE_SECONDS, OwnerNames
from balance_tracker.services.portfolio import resolved
from balance_tracker.services.questions import Question
from balance_tracker.services.reading import Deadline, NetworkReading
from balance_tracker.services.valuation import Priced, Valuation, lead_seconds

OWNERS_PER_CHUNK = 250
"""Owners on EVM networks that are read together: with the longest list some 45,000 balances,
which is a few requests to a network, and a few MiB where every wallet holds dozens of tokens."""

SOLANA_OWNERS_PER_CHUNK = 50
"""Owners on Solana that are read together: each takes two requests of its own."""

CHUNKS_IN_FLIGHT = 2
LOOKUPS_AT_ONCE = 8
NAMED_UP_TO = 20
"""Up to so many addresses, their names are looked up for display as for one address. A longer list
is for programs: it has the names it was asked by and those that are known, and costs no request more."""


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """What became of one address.

    Attributes:
        text: The address or name as it was given.
        positions: Its places in the list; several where it is repeated, which counts once.
        result: Its portfolio, or why it has none: no address, or a name that has none
            (``InputError``), or a name that could not be looked up (``UpstreamError``).
    """

    text: str
    positions: tuple[int, ...]
    result: Portfolio | InputError | UpstreamError


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is; ``left_seconds`` is an estimate, ``None`` before anything is done."""

    done: int
    total: int
    elapsed_seconds: float
    left_seconds: float | None


type Report = Callable[[Progress], None]
type _Mistake = InputError | UpstreamError
type _Matrices = Mapping[Slug, dict[Address, NetworkAnswer] | InputError]


@dataclass(frozen=True, slots=True)
class _Read:
    """One address with what its networks answered; composed only when it is handed out."""

    entry: Entry
    question: Question | _Mistake
    name: str | None = None
    answers: Sequence[NetworkAnswer] = ()
    taken_at: datetime = datetime.min
    priced: Priced = field(default_factory=Priced)


@dataclass(frozen=True, slots=True)
class _Work:
    """One batch: its questions, the chunks not begun, and whether names are looked up."""

    shared: ManyQuestions
    chunks: Iterator[list[Entry]]
    named: bool


class ManyPortfolios:
    """Answers what many addresses hold.

    Args:
        networks: What is tracked, in the order of answers.
        readings: One per tracked network.
        book: Tells addresses apart.
        names: Names for display; ``None`` if none are looked up.
        cache: Where names are kept.
        deadline_seconds: How long one chunk may take.
        owners_per_chunk: Owners on EVM networks that are read together.
        valuation: Prices what is held, a chunk at once; without it nothing is priced.
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
        owners_per_chunk: int = OWNERS_PER_CHUNK,
        valuation: Valuation | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._networks = networks
        self._readings = readings
        self._book = book
        self._names = OwnerNames(names, cache)
        self._deadline_seconds = deadline_seconds
        self._owners_per_chunk = owners_per_chunk
        self._valuation = valuation
        self._now = now

    def portfolios(
        self,
        addresses: Sequence[str],
        networks: Sequence[str] | None = None,
        *,
        tokens: Sequence[str] = (),
        currency: str = "usd",
        at: At | str = None,
        spam: bool = False,
        min_value: Decimal | str | int | None = None,
        progress: Report | None = None,
    ) -> AsyncGenerator[AddressAnswer, None]:
        """What each address holds, as it is read, in the order of their first places.

        Args:
            addresses: EVM and Solana addresses and names, as many as you like.
            networks: Slugs to ask; every tracked network of an address's family without them.
            tokens: Contract addresses to ask besides the listed ones, shown also at zero; each is
                asked of the addresses of its own family.
            currency: What values are in.
            at: A block number (then exactly one EVM network), a time, or ``None`` for the latest block.
            spam: Whether tokens that look like spam are shown.
            min_value: Holdings of a known lower value are left out.
            progress: Told at the start and whenever a chunk is read; repeated addresses count
                at each place.

        Raises:
            InputError: What is asked is wrong for every address; one wrong address is an answer.
        """
        asked = Asked(networks, tokens, currency, at, spam, min_value)
        return self._run(addresses, asked, progress)

    async def _run(
        self, addresses: Sequence[str], asked: Asked, report: Report | None
    ) -> AsyncGenerator[AddressAnswer, None]:
        meter = _Meter(len(addresses), report)
        entries = await told_apart(addresses, self._book)
        shared = ManyQuestions(asked, entries, self._networks, self._book, self._now())
        work = _Work(
            shared,
            chunks(entries, self._owners_per_chunk, min(SOLANA_OWNERS_PER_CHUNK, self._owners_per_chunk)),
            named=len(entries) <= NAMED_UP_TO,
        )
        running: deque[asyncio.Task[deque[_Read]]] = deque()
        try:
            self._start(running, work)
            while running:
                read = await running[0]
                running.popleft()
                meter.add(sum(len(one.entry.positions) for one in read))
                self._start(running, work)
                while read:
                    yield _composed(read.popleft())
        finally:
            await _ended(running)

    def _start(self, running: "deque[asyncio.Task[deque[_Read]]]", work: "_Work") -> None:
        """Begin the next chunks, as many as may be under way."""
        while len(running) < CHUNKS_IN_FLIGHT:
            chunk = next(work.chunks, None)
            if chunk is None:
                return
            running.append(asyncio.create_task(self._read(chunk, work)))

    async def _read(self, chunk: Sequence[Entry], work: "_Work") -> deque[_Read]:
        deadline = Deadline.after(self._deadline_seconds)
        asked = await self._questions(chunk, work.shared, deadline)
        questions = [one for one in asked if isinstance(one, Question)]
        matrices = await self._matrices(questions, deadline)
        priced = await self._price(questions, matrices, deadline.end)
        taken_at = self._now()
        read = [
            replace(_answered(entry, question, matrices, taken_at), priced=priced)
            for entry, question in zip(chunk, asked, strict=True)
        ]
        names = await self._names_of(read, deadline, look_up=work.named)
        return deque(_with_name(one, names) for one in read)

    async def _questions(
        self, chunk: Sequence[Entry], shared: ManyQuestions, deadline: Deadline
    ) -> list[Question | _Mistake]:
        """What is asked of each owner of a chunk; names are looked up a few at a time."""
        free = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def looked_up(name: str) -> Owner | _Mistake:
            async with free:
                try:
                    return await resolved(self._book, name, deadline)
                except (InputError, UpstreamError) as error:
                    return error

        async with asyncio.TaskGroup() as group:
            owners = [
                group.create_task(looked_up(entry.text)) if entry.owner is None else entry.owner
                for entry in chunk
            ]
        return [
            _asked(shared, owner.result() if isinstance(owner, asyncio.Task) else owner) for owner in owners
        ]

    async def _matrices(self, asked: Sequence[Question], deadline: Deadline) -> _Matrices:
        """Each network asked of the owners of its family, all networks at once.

        Where one is so slow that no time would be left for prices, those of the others are asked
        for while it is waited for.
        """
        first: dict[Slug, Question] = {}
        owners: dict[Slug, dict[Address, None]] = {}
        for question in asked:
            for network in question.networks:
                first.setdefault(network.slug, question)
                owners.setdefault(network.slug, {})[question.owner.address] = None
        async with asyncio.TaskGroup() as group:
            tasks = {
                slug: group.create_task(self._matrix(slug, list(owners[slug]), question, deadline))
                for slug, question in first.items()
            }
            left = deadline.end - asyncio.get_running_loop().time()
            if tasks and self._valuation is not None:
                await asyncio.wait(tasks.values(), timeout=max(0.0, left - lead_seconds(left)))
                done = {slug: task.result() for slug, task in tasks.items() if task.done()}
                if len(done) < len(tasks):
                    await self._price(asked, done, 0)
        return {slug: task.result() for slug, task in tasks.items()}

    async def _price(self, asked: Sequence[Question], matrices: _Matrices, until: float) -> Priced:
        """Prices of all that a chunk holds, asked for once, as far as they are there at a loop's time."""
        if self._valuation is None or not asked:
            return Priced()
        assets: dict[AssetId, Asset] = {}
        moment: datetime | None = None
        for question in asked:
            found = [matrices[network.slug] for network in question.networks if network.slug in matrices]
            answers = [one[question.owner.address] for one in found if not isinstance(one, InputError)]
            assets.update({asset.asset_id: asset for asset in priceable(question, answers)})
            moment = moment or moment_of(question, answers)
        if not assets:
            return Priced()
        return await self._valuation.priced(list(assets.values()), moment, asked[0].currency, until)

    async def _matrix(
        self, slug: Slug, owners: Sequence[Address], question: Question, deadline: Deadline
    ) -> dict[Address, NetworkAnswer] | InputError:
        try:
            answers = await self._readings[slug].answer_many(owners, question.tokens, question.at, deadline)
        except InputError as error:
            return error
        return dict(zip(owners, answers, strict=True))

    async def _names_of(
        self, read: Sequence[_Read], deadline: Deadline, *, look_up: bool
    ) -> dict[Address, str | None]:
        """Names for display: those known, and where the list is short those looked up, for a moment."""
        names: dict[Address, str | None] = {}
        tasks: dict[Address, asyncio.Task[str | None]] = {}
        free = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def looked_up(address: Address) -> str | None:
            async with free, asyncio.timeout_at(deadline.end):
                return await self._names.name_of(address)

        for one in read:
            if isinstance(one.question, Question):
                owner = one.question.owner
                names[owner.address] = self._names.known(owner)
                if look_up and self._names.needed(owner) and not _failed_on(self._names.network, one.answers):
                    tasks[owner.address] = asyncio.create_task(looked_up(owner.address))
        if tasks:
            try:
                await asyncio.wait(tasks.values(), timeout=NAME_GRACE_SECONDS)
            finally:
                await _ended(tasks.values())
        for address, task in tasks.items():
            with suppress(TimeoutError, asyncio.CancelledError):
                names[address] = task.result()
        return names


class _Meter:
    """Counts what is done and reports it."""

    def __init__(self, total: int, report: Report | None) -> None:
        self._total = total
        self._report = report
        self._done = 0
        self._started = asyncio.get_running_loop().time()
        self.add(0)

    def add(self, done: int) -> None:
        self._done += done
        if self._report is None:
            return
        elapsed = asyncio.get_running_loop().time() - self._started
        left = elapsed / self._done * (self._total - self._done) if self._done else None
        self._report(Progress(self._done, self._total, elapsed, left))


def _asked(shared: ManyQuestions, owner: Owner | _Mistake) -> Question | _Mistake:
    if not isinstance(owner, Owner):
        return owner
    try:
        return shared.question(owner)
    except InputError as error:
        return error


def _answered(
    entry: Entry,
    question: Question | _Mistake,
    matrices: _Matrices,
    taken_at: datetime,
) -> _Read:
    if not isinstance(question, Question):
        return _Read(entry, question)
    answers: list[NetworkAnswer] = []
    for network in question.networks:
        matrix = matrices[network.slug]
        if isinstance(matrix, InputError):
            return _Read(entry, matrix)
        answers.append(matrix[question.owner.address])
    return _Read(entry, question, None, answers, taken_at)


def _with_name(read: _Read, names: Mapping[Address, str | None]) -> _Read:
    """The answer with the name that the owner was asked by, or else has."""
    if not isinstance(read.question, Question):
        return read
    owner = read.question.owner
    return replace(read, name=owner.name or names.get(owner.address))


def _composed(read: _Read) -> AddressAnswer:
    result: Portfolio | _Mistake = (
        compose(read.question, read.name, read.answers, read.taken_at, read.priced)
        if isinstance(read.question, Question)
        else read.question
    )
    return AddressAnswer(read.entry.text, read.entry.positions, result)


def _failed_on(slug: Slug | None, answers: Sequence[NetworkAnswer]) -> bool:
    """Whether the names' own network was read and failed: nothing more is asked of it then."""
    coverages = (answer.coverage for answer in answers)
    return any(entry.network == slug and entry.status in {"failed", "stale"} for entry in coverages)


async def _ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel what is under way and wait until it has ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

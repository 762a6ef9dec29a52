"""Keeping portfolios, and asking for what was kept."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from balance_tracker.core.access import Caller
from balance_tracker.core.comparing import Comparison, compare
from balance_tracker.core.errors import ConflictError, InputError, NotFoundError, UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.jobs import Job
from balance_tracker.core.kept import Owner, new_id
from balance_tracker.core.snapshots import (
    CARRY_FOR,
    LAPSE_FOR,
    Snapshot,
    SnapshotHead,
    SnapshotState,
    Wallet,
    subject_of,
)
from balance_tracker.core.whole import WholePortfolio
from balance_tracker.ports.snapshots import (
    HeadPlace,
    ReadsPortfolio,
    ReadsPrices,
    SnapshotFilter,
    SnapshotStore,
    WalletStore,
)
from balance_tracker.services.addresses import AddressBook
from balance_tracker.services.keeping import collections_of, lines_of, networks_of
from balance_tracker.services.labels import checked_name
from balance_tracker.services.questions import choose_currency, choose_time
from balance_tracker.services.settling import settled, unpriced_now
from balance_tracker.services.thinning import span_for

MOST_POINTS = 1000
"""Points of a series; a longer one is thinned out to one of each span of time, the last that is known."""

_NONE = "There is no such snapshot."
_HINT = "GET /snapshots lists them."

_USABLE = (SnapshotState.COMPLETE, SnapshotState.ESTIMATED)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What is to be kept, as people write it: of an address, or of a wallet.

    Attributes:
        currency: ``None``: the wallet's, or dollars.
        at: A past time; an archive endpoint must know it.
        idempotency_key: Asked with again, the snapshot that was kept then is the answer.
    """

    address: str | None = None
    wallet_id: str | None = None
    networks: tuple[str, ...] | None = None
    name: str | None = None
    currency: str | None = None
    at: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesRequest:
    """Which series: of an address or a wallet, from one time to another.

    Attributes:
        every: The span that it is thinned out to; ``None``: as little as fits.
    """

    address: str | None = None
    wallet_id: str | None = None
    currency: str = "usd"
    start: str | None = None
    end: str | None = None
    every: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Snapshots in the order of time; ``every`` is the span that they are thinned out to."""

    subject: str
    currency: str
    heads: tuple[SnapshotHead, ...]
    every: timedelta | None


class SnapshotService:
    """Takes, finds and compares snapshots.

    Args:
        store: Where they are kept.
        wallets: Those that are followed.
        portfolio: Reads what is kept.
        book: Tells addresses apart.
        random_bits: Gives a number of so many bits that nobody can foretell.
        prices: Prices of now for what is carried forward; without it that keeps its old ones.
        now: The time, in UTC.
    """

    def __init__(
        self,
        store: SnapshotStore,
        wallets: WalletStore,
        portfolio: ReadsPortfolio,
        book: AddressBook,
        *,
        random_bits: Callable[[int], int],
        prices: ReadsPrices | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._prices = prices
        self._store = store
        self._wallets = wallets
        self._portfolio = portfolio
        self._book = book
        self._random_bits = random_bits
        self._now = now

    async def take(self, caller: Caller, request: SnapshotRequest) -> Snapshot:
        """Read an address or a wallet and keep what it has.

        Raises:
            InputError: Something is wrong; the hint says what would be right.
            NotFoundError: There is no such wallet.
            ConflictError: ``idempotency_conflict``: the key was used for another question.
            UpstreamError: A name could not be looked up, or not one network was read.
        """
        wanted = await self._wanted(caller, request)
        at = None if request.at is None else choose_time("at", request.at)
        key = None
        if request.idempotency_key is not None:
            key = f"{caller.owner}:{request.idempotency_key}"[:120]
            if (kept := await self._store.by_key(key)) is not None:
                return _answers(kept, wanted, at)
        portfolio = await self._portfolio(wanted.addresses, wanted.networks, currency=wanted.currency, at=at)
        if portfolio.nothing_obtained:
            raise UpstreamError(
                "Not one network could be read, so there is nothing to keep.",
                code="nothing_obtained",
                hint="Ask again later; the networks' health is at /networks.",
            )
        kept = await self._store.keep(await self._made(wanted.about, portfolio, at), key)
        return _answers(kept, wanted, at)

    async def take_due(self, job: Job) -> None:
        """Keep the snapshot of a wallet that is due: the handler of jobs of the kind ``snapshot``.

        However often it is done, one snapshot is kept of each due time. One that is so late that the
        next is due is not taken: it would show what is now and not what was then.

        Raises:
            UpstreamError: Not one network was read, and there are tries left.
        """
        wallet_id, due = str(job.payload["wallet_id"]), str(job.payload["due"])
        key = f"{wallet_id}@{due}"
        wallet = await self._wallets.get(wallet_id, None)
        if wallet is None or wallet.snapshot_every is None or await self._store.by_key(key) is not None:
            return
        if datetime.fromisoformat(due) + wallet.snapshot_every <= self._now():
            return
        portfolio = await self._portfolio(wallet.addresses, wallet.networks, currency=wallet.currency)
        if portfolio.nothing_obtained and job.attempt < job.most_attempts:
            raise UpstreamError("Not one network could be read.", code="nothing_obtained")
        await self._store.keep(await self._made(_about(wallet), portfolio, None), key)

    async def schedule(self, wake: Callable[[Sequence[str]], Awaitable[None]], limit: int = 500) -> int:
        """Keep a job for each wallet whose snapshot is due, and wake who does them; how many there were."""
        job_ids = await self._wallets.schedule(self._now(), limit)
        if job_ids:
            await wake(job_ids)
        return len(job_ids)

    async def get(self, caller: Caller, snapshot_id: str) -> Snapshot:
        """One snapshot.

        Raises:
            NotFoundError: There is none, or it is another key's.
        """
        found = await self._store.get(snapshot_id, caller.owners)
        if found is None:
            raise NotFoundError(_NONE, hint=_HINT)
        return found

    async def delete(self, caller: Caller, snapshot_id: str) -> None:
        """Forget a snapshot.

        Raises:
            NotFoundError: There is none, or it is another key's.
        """
        if not await self._store.delete(snapshot_id, caller.owners):
            raise NotFoundError(_NONE, hint=_HINT)

    async def heads(
        self, caller: Caller, request: SeriesRequest, limit: int, before: HeadPlace | None
    ) -> Sequence[SnapshotHead]:
        """Snapshots, the newest first; of an address or a wallet, or all.

        Raises:
            InputError: The address or a time is wrong.
            UpstreamError: A name could not be looked up.
            NotFoundError: There is no such wallet.
        """
        subject = None
        if request.address is not None or request.wallet_id is not None:
            subject = await self._subject(caller, request)
        which = _filter(caller, request, subject, None)
        return await self._store.heads(which, limit, before)

    async def series(self, caller: Caller, request: SeriesRequest, most: int = MOST_POINTS) -> Series:
        """The values of an address or a wallet over time.

        Raises:
            InputError: The question is wrong.
            UpstreamError: A name could not be looked up.
            NotFoundError: There is no such wallet.
        """
        subject = await self._subject(caller, request)
        currency = choose_currency(request.currency)
        which = _filter(caller, request, subject, currency)
        every = span_for(await self._store.extent(which), request.every, most)
        return Series(subject, currency, tuple(await self._store.series(which, every)), every)

    async def compare(self, caller: Caller, from_id: str, to_id: str) -> Comparison:
        """What changed from one snapshot to another.

        Raises:
            NotFoundError: One of them does not exist, or is another key's.
            InputError: ``not_comparable``: they are of different subjects or in different currencies.
        """
        before, after = await self.get(caller, from_id), await self.get(caller, to_id)
        if before.subject != after.subject:
            raise InputError(
                "The snapshots are not of the same address or wallet.",
                code="not_comparable",
                hint="Compare two of one subject.",
            )
        if before.currency != after.currency:
            raise InputError(
                f"One snapshot is in {before.currency}, the other in {after.currency}.",
                code="not_comparable",
                hint="Compare two of one currency.",
            )
        return compare(before, after)

    async def snapshots(self, ids: Sequence[str]) -> Sequence[Snapshot]:
        """These snapshots, in the order of time."""
        return await self._store.snapshots(ids)

    async def _made(self, about: "_About", portfolio: WholePortfolio, at: datetime | None) -> Snapshot:
        """The snapshot of a portfolio, with what it lacks carried forward."""
        now = self._now()
        earlier = await self._earlier(about, portfolio.currency, at or now, is_past=at is not None)
        taken_at = at or now
        if at is None and earlier and earlier[0].taken_at >= now:
            # Another process' clock was ahead: in a series, the later one comes later.
            taken_at = earlier[0].taken_at + _TICK
        fresh = Snapshot(
            snapshot_id=new_id("snp", now, self._random_bits),
            owner=about.owner,
            subject=about.subject,
            addresses=portfolio.addresses,
            wallet_id=about.wallet_id,
            name=about.name,
            currency=portfolio.currency,
            taken_at=taken_at,
            state=SnapshotState.COMPLETE,
            lines=lines_of(portfolio),
            networks=networks_of(portfolio),
            collections=collections_of(portfolio),
        )
        made = settled(fresh, portfolio.coverage, earlier)
        carried = unpriced_now(fresh, made)
        if not carried or at is not None or self._prices is None:
            return made
        return settled(fresh, portfolio.coverage, earlier, await self._prices(carried, made.currency))

    async def _earlier(
        self, about: "_About", currency: str, moment: datetime, *, is_past: bool
    ) -> Sequence[Snapshot]:
        """The last snapshot, and if that is incomplete, the last one before that is not."""
        which = SnapshotFilter(
            owners=(about.owner,),
            subject=about.subject,
            currency=currency,
            start=moment - LAPSE_FOR,
            end=moment if is_past else None,
        )
        last = await self._store.last(which)
        if last is None or last.state is not SnapshotState.INCOMPLETE:
            return () if last is None else (last,)
        usable = replace(which, start=moment - CARRY_FOR, states=_USABLE)
        before = await self._store.last(usable)
        return (last,) if before is None else (last, before)

    async def _wanted(self, caller: Caller, request: SnapshotRequest) -> "_Wanted":
        """Of what a snapshot is wanted, names looked up."""
        name = None if request.name is None else checked_name(request.name)
        _one_of(request.address, request.wallet_id)
        if request.wallet_id is None:
            owner = await self._book.resolve(request.address or "")
            currency = choose_currency(request.currency or "usd")
            about = _About(caller.owner, owner.address, None, name)
            return _Wanted(about, (owner.address,), request.networks, currency)
        if request.networks is not None:
            raise InputError(
                "A wallet has its own networks.",
                code="invalid_parameter",
                hint="Leave 'networks' out, or change the wallet's.",
            )
        wallet = await self._wallet(caller, request.wallet_id)
        currency = choose_currency(request.currency or wallet.currency)
        about = replace(_about(wallet), name=name or wallet.name)
        return _Wanted(about, wallet.addresses, wallet.networks, currency)

    async def _wallet(self, caller: Caller, wallet_id: str) -> Wallet:
        wallet = await self._wallets.get(wallet_id, caller.owners)
        if wallet is None:
            raise NotFoundError("There is no such wallet.", hint="GET /wallets lists them.")
        return wallet

    async def _subject(self, caller: Caller, request: SeriesRequest) -> str:
        _one_of(request.address, request.wallet_id)
        if request.wallet_id is None:
            owner = await self._book.resolve(request.address or "")
            return owner.address
        subject = subject_of(request.wallet_id)
        if await self._store.extent(SnapshotFilter(caller.owners, subject)) is None:
            await self._wallet(caller, request.wallet_id)  # Of one that is gone, snapshots may be left.
        return subject


@dataclass(frozen=True, slots=True)
class _About:
    """Whose snapshot it is, and of what."""

    owner: Owner
    subject: str | Address
    wallet_id: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be read and kept."""

    about: _About
    addresses: tuple[Address, ...]
    networks: tuple[str, ...] | None
    currency: str


def _about(wallet: Wallet) -> _About:
    return _About(wallet.owner, subject_of(wallet.wallet_id), wallet.wallet_id, wallet.name)


def _one_of(address: str | None, wallet_id: str | None) -> None:
    if (address is None) == (wallet_id is None):
        raise InputError(
            "Name either an address or a wallet.",
            code="missing_parameter",
            hint="An 'address', 0x…, or a 'wallet', wal_….",
        )


def _answers(kept: Snapshot, wanted: _Wanted, at: datetime | None) -> Snapshot:
    """The snapshot that was kept, if it is of what is asked for now."""
    same = (kept.subject, kept.currency) == (wanted.about.subject, wanted.currency)
    if not same or (at is not None and kept.taken_at != at):
        raise ConflictError(
            "This Idempotency-Key was used for another snapshot.",
            code="idempotency_conflict",
            hint="Use a new key for each snapshot.",
        )
    return kept


def _filter(
    caller: Caller, request: SeriesRequest, subject: str | None, currency: str | None
) -> SnapshotFilter:
    start = None if request.start is None else choose_time("from", request.start)
    end = None if request.end is None else choose_time("to", request.end)
    if start is not None and end is not None and start > end:
        raise InputError("'from' is after 'to'.", code="invalid_range", hint="Turn them round.")
    return SnapshotFilter(caller.owners, subject, currency, start, end)

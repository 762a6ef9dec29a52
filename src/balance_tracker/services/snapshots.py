"""Keeping portfolios, and asking for what was kept."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from balance_tracker.core.access import Caller
from balance_tracker.core.blocks import At
from balance_tracker.core.comparing import Comparison, compare
from balance_tracker.core.errors import InputError, NotFoundError, UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.jobs import Job
from balance_tracker.core.kept import Owner, new_id
from balance_tracker.core.snapshots import (
    CARRY_FOR,
    Snapshot,
    SnapshotHead,
    SnapshotState,
    Wallet,
    subject_of,
)
from balance_tracker.core.whole import WholePortfolio
from balance_tracker.ports.snapshots import SnapshotFilter, SnapshotStore, WalletStore
from balance_tracker.services.addresses import AddressBook
from balance_tracker.services.labels import checked_name
from balance_tracker.services.questions import choose_currency, choose_time
from balance_tracker.services.settling import collections_of, lines_of, networks_of, settled

MOST_POINTS = 1000
"""Points of a series; a longer one is thinned out to the last of each span of time."""

STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (300, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 604_800, 2_592_000)
)
"""The spans that series are thinned out to."""

_NONE = "There is no such snapshot."
_HINT = "GET /snapshots lists them."


class ReadsPortfolio(Protocol):
    """What snapshots are made of; :meth:`balance_tracker.services.whole.WholeService.portfolio` is one."""

    async def __call__(
        self,
        addresses: Sequence[str],
        networks: Sequence[str] | None = None,
        *,
        currency: str = "usd",
        at: At | str = None,
    ) -> WholePortfolio:
        """Everything that addresses have."""


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What is to be kept, as people write it.

    Attributes:
        at: A past time; an archive endpoint must know it.
        idempotency_key: Asked with again, the snapshot that was kept then is the answer.
    """

    address: str
    networks: tuple[str, ...] | None = None
    name: str | None = None
    currency: str = "usd"
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
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._wallets = wallets
        self._portfolio = portfolio
        self._book = book
        self._random_bits = random_bits
        self._now = now

    async def take(self, caller: Caller, request: SnapshotRequest) -> Snapshot:
        """Read an address and keep what it has.

        Raises:
            InputError: Something is wrong; the hint says what would be right.
            UpstreamError: A name could not be looked up, or not one network was read.
        """
        key = None
        if request.idempotency_key is not None:
            key = f"{caller.owner}:{request.idempotency_key}"[:120]
            if (kept := await self._store.by_key(key)) is not None:
                return kept
        name = None if request.name is None else checked_name(request.name)
        at = None if request.at is None else choose_time("at", request.at)
        portfolio = await self._portfolio(
            [request.address], request.networks, currency=request.currency, at=at
        )
        if portfolio.nothing_obtained:
            raise UpstreamError(
                "Not one network could be read, so there is nothing to keep.",
                code="nothing_obtained",
                hint="Ask again later; the networks' health is at /networks.",
            )
        about = _About(caller.owner, portfolio.addresses[0], None, name)
        return await self._store.keep(await self._made(about, portfolio, at), key)

    async def take_due(self, job: Job) -> None:
        """Keep the snapshot of a wallet that is due: the handler of jobs of the kind ``snapshot``.

        However often it is done, one snapshot is kept of each due time.

        Raises:
            UpstreamError: Not one network was read, and there are tries left.
        """
        wallet_id, due = str(job.payload["wallet_id"]), str(job.payload["due"])
        key = f"{wallet_id}@{due}"
        wallet = await self._wallets.get(wallet_id, None)
        if wallet is None or await self._store.by_key(key) is not None:
            return
        portfolio = await self._read(wallet)
        if portfolio.nothing_obtained and job.attempt < job.most_attempts:
            raise UpstreamError("Not one network could be read.", code="nothing_obtained")
        about = _About(wallet.owner, subject_of(wallet.wallet_id), wallet.wallet_id, wallet.name)
        await self._store.keep(await self._made(about, portfolio, None), key)

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
        self, caller: Caller, request: SeriesRequest, limit: int, before: str | None
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
        every = request.every
        heads = await self._store.series(which, every)
        for step in STEPS:
            if len(heads) <= most:
                break
            if every is None or step > every:
                every = step
                heads = _thinned(heads, step)
        return Series(subject, currency, tuple(heads), every)

    async def compare(self, caller: Caller, from_id: str, to_id: str) -> Comparison:
        """What changed from one snapshot to another.

        Raises:
            NotFoundError: One of them does not exist, or is another key's.
            InputError: ``not_comparable``: their values are in different currencies.
        """
        before, after = await self.get(caller, from_id), await self.get(caller, to_id)
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

    async def _read(self, wallet: Wallet) -> WholePortfolio:
        return await self._portfolio(wallet.addresses, wallet.networks, currency=wallet.currency)

    async def _made(self, about: "_About", portfolio: WholePortfolio, at: datetime | None) -> Snapshot:
        """The snapshot of a portfolio, with what it lacks carried forward."""
        taken_at = at or self._now()
        fresh = Snapshot(
            snapshot_id=new_id("snp", self._now(), self._random_bits),
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
        which = SnapshotFilter(
            owners=(about.owner,),
            subject=about.subject,
            currency=portfolio.currency,
            start=taken_at - CARRY_FOR,
            end=taken_at,
        )
        return settled(fresh, portfolio, await self._store.last(which))

    async def _subject(self, caller: Caller, request: SeriesRequest) -> str:
        if (request.address is None) == (request.wallet_id is None):
            raise InputError(
                "Name either an address or a wallet.",
                code="missing_parameter",
                hint="address=0x… or wallet=wal_…",
            )
        if request.address is not None:
            owner = await self._book.resolve(request.address)
            return owner.address
        wallet = await self._wallets.get(request.wallet_id or "", caller.owners)
        if wallet is None:
            raise NotFoundError("There is no such wallet.", hint="GET /wallets lists them.")
        return subject_of(wallet.wallet_id)


@dataclass(frozen=True, slots=True)
class _About:
    """Whose snapshot it is, and of what."""

    owner: Owner
    subject: str | Address
    wallet_id: str | None
    name: str | None


def _filter(
    caller: Caller, request: SeriesRequest, subject: str | None, currency: str | None
) -> SnapshotFilter:
    start = None if request.start is None else choose_time("from", request.start)
    end = None if request.end is None else choose_time("to", request.end)
    if start is not None and end is not None and start > end:
        raise InputError("'from' is after 'to'.", code="invalid_range", hint="Turn them round.")
    return SnapshotFilter(caller.owners, subject, currency, start, end)


def _thinned(heads: Sequence[SnapshotHead], every: timedelta) -> list[SnapshotHead]:
    """The last of each span of time."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return list({(head.taken_at - epoch) // every: head for head in heads}.values())

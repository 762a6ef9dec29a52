"""Keeping portfolios and asking for them: on a real database, with scripted portfolios."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from tests.fakes.history import BASE_ETHER, DAY, ETHER, HOUR, T0, coverage, holding, line, portfolio, snapshot
from tests.fakes.readers import ALICE, BASE, ETHEREUM, formats

from balance_tracker.core.access import Caller, Scope
from balance_tracker.core.blocks import At
from balance_tracker.core.errors import ConflictError, InputError, TrackerError, UpstreamError
from balance_tracker.core.ids import Address, AssetId
from balance_tracker.core.jobs import Job
from balance_tracker.core.kept import Owner
from balance_tracker.core.portfolio import NetworkError
from balance_tracker.core.snapshots import LinePrice, SnapshotState, Wallet
from balance_tracker.core.whole import WholePortfolio
from balance_tracker.ports.snapshots import SnapshotFilter
from balance_tracker.services.addresses import AddressBook
from balance_tracker.services.performance import PerformanceService
from balance_tracker.services.snapshots import SeriesRequest, SnapshotRequest, SnapshotService, _About
from balance_tracker.services.thinning import STEPS
from balance_tracker.services.wallets import WalletEdit, WalletRequest, WalletService
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import SqlJobStore
from balance_tracker.storage.snapshots import SqlSnapshotStore
from balance_tracker.storage.wallets import SNAPSHOT_JOB, SqlWalletStore

MINE = Caller(Owner("key_mine"), frozenset({Scope.READ, Scope.WRITE}))
THEIRS = Caller(Owner("key_theirs"), frozenset({Scope.READ, Scope.WRITE}))
ADMIN = Caller(Owner("key_admin"), frozenset({Scope.ADMIN}))
ASKED = SnapshotRequest(ALICE)


class World:
    """Ether on two networks, a clock that stands still, and networks that fail when told to."""

    def __init__(self, database: Database) -> None:
        self.now = T0
        self.ether, self.based = "1", "2"
        self.failing: set[str] = set()
        self.error = NetworkError("timed_out", "Nothing came.", retryable=True)
        self.asked: list[tuple[tuple[str, ...], object, str, At | str]] = []
        self.store = SqlSnapshotStore(database)
        self.wallet_store = SqlWalletStore(database)
        self._bits = 0
        book = AddressBook(formats(), None)
        self.snapshots = SnapshotService(
            self.store, self.wallet_store, self.read, book, random_bits=self.bits, now=lambda: self.now
        )
        networks = {network.slug: network for network in (ETHEREUM, BASE)}
        self.wallets = WalletService(self.wallet_store, networks, book, self.bits, now=lambda: self.now)
        self.performance = PerformanceService(self.snapshots)

    def bits(self, _count: int) -> int:
        self._bits += 1
        return self._bits

    async def read(
        self,
        addresses: Sequence[str],
        networks: Sequence[str] | None = None,
        *,
        currency: str = "usd",
        at: At | str = None,
    ) -> WholePortfolio:
        self.asked.append((tuple(addresses), networks, currency, at))
        moment = at if isinstance(at, datetime) else self.now
        told, held = [], []
        for network, asset, amount in ((ETHEREUM, ETHER, self.ether), (BASE, BASE_ETHER, self.based)):
            if networks is not None and network.slug not in networks:
                continue
            if network.slug in self.failing:
                told.append(coverage(network, "failed", error=self.error))
            else:
                told.append(coverage(network, at=moment))
                held.append(holding(asset, amount, "2000", moment))
        return portfolio(*told, holdings=held, addresses=addresses, currency=currency, at=moment)

    async def followed(self, every: str | None = "1h") -> Wallet:
        return await self.wallets.create(MINE, WalletRequest("treasury", (ALICE,), snapshot_every=every))


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def job(wallet: Wallet, due: datetime = T0, attempt: int = 1) -> Job:
    payload = {"wallet_id": wallet.wallet_id, "due": due.isoformat()}
    return Job("job_1", SNAPSHOT_JOB, payload, attempt, 5, "lease")


async def code_of(asked: object) -> str:
    with pytest.raises(TrackerError) as told:
        await asked  # type: ignore[misc]
    return told.value.code


async def test_what_is_kept_is_what_was_read_and_is_found_by_its_owner(world: World) -> None:
    kept = await world.snapshots.take(MINE, replace(ASKED, name="end of the year"))
    assert (kept.total_value, kept.subject, kept.name) == (6000, ALICE, "end of the year")
    assert kept.networks[0].block_hash == "0x1"
    assert await world.snapshots.get(MINE, kept.snapshot_id) == kept
    assert await world.snapshots.get(ADMIN, kept.snapshot_id) == kept
    assert await code_of(world.snapshots.get(THEIRS, kept.snapshot_id)) == "not_found"
    assert await code_of(world.snapshots.delete(THEIRS, kept.snapshot_id)) == "not_found"
    await world.snapshots.delete(MINE, kept.snapshot_id)
    assert await code_of(world.snapshots.get(MINE, kept.snapshot_id)) == "not_found"


async def test_a_failed_network_is_filled_from_ones_own_earlier_snapshot_only(world: World) -> None:
    await world.snapshots.take(MINE, ASKED)
    world.now, world.failing = T0 + HOUR, {"base"}
    assert (await world.snapshots.take(MINE, ASKED)).total_value == 6000
    theirs = await world.snapshots.take(THEIRS, ASKED)
    assert (theirs.state, theirs.total_value) == (SnapshotState.INCOMPLETE, None)
    euros = await world.snapshots.take(MINE, replace(ASKED, currency="eur"))
    assert euros.state is SnapshotState.INCOMPLETE


async def test_what_is_carried_is_valued_at_the_price_of_now(world: World) -> None:
    """Where a network fails, the sources of prices still answer."""

    async def prices(assets: Sequence[AssetId], currency: str) -> Mapping[AssetId, LinePrice]:
        asked.append((tuple(assets), currency))
        return {assets[0]: LinePrice(Decimal(3000), world.now, ("test",))}

    asked: list[tuple[tuple[AssetId, ...], str]] = []
    world.snapshots._prices = prices
    base = replace(ASKED, networks=("base",))
    await world.snapshots.take(MINE, base)
    world.now, world.failing = T0 + 24 * HOUR, {"base"}
    found = await world.read([ALICE], ("base",))
    made = await world.snapshots._made(_About(MINE.owner, ALICE, None, None), found, None)
    assert (made.state, made.total_value) == (SnapshotState.ESTIMATED, 6000)
    assert asked == [((BASE_ETHER.price_key,), "usd")]


async def test_where_no_network_answers_nothing_is_kept(world: World) -> None:
    world.failing = {"base", "ethereum"}
    assert await code_of(world.snapshots.take(MINE, ASKED)) == "nothing_obtained"
    assert await world.store.heads(SnapshotFilter(None), 10, None) == []


async def test_the_same_idempotency_key_is_the_same_snapshot_and_of_another_question_a_conflict(
    world: World,
) -> None:
    asked = replace(ASKED, idempotency_key="a")
    first = await world.snapshots.take(MINE, asked)
    world.now += HOUR
    assert await world.snapshots.take(MINE, asked) == first
    assert (await world.snapshots.take(THEIRS, asked)).snapshot_id != first.snapshot_id
    with pytest.raises(ConflictError):
        await world.snapshots.take(MINE, replace(asked, currency="eur"))
    both = await asyncio.gather(
        *(world.snapshots.take(MINE, replace(asked, idempotency_key="b")) for _ in "12")
    )
    assert both[0] == both[1]


async def test_a_past_time_is_kept_as_of_then_and_lost_history_is_told(world: World) -> None:
    world.now = T0 + 10 * DAY
    kept = await world.snapshots.take(MINE, replace(ASKED, at="2025-12-31T23:59:59Z"))
    assert kept.taken_at == T0 - timedelta(seconds=1)
    assert world.asked[-1][3] == kept.taken_at
    assert {line.price.as_of for line in kept.lines if line.price} == {kept.taken_at}
    world.failing, world.error = {"base"}, NetworkError("history_unavailable", "Gone.", retryable=False)
    gone = await world.snapshots.take(MINE, replace(ASKED, at="2025-10-01T00:00:00Z"))
    assert (gone.state, gone.total_value) == (SnapshotState.INCOMPLETE, None)
    assert gone.networks[1].error == "history_unavailable"


async def test_a_later_snapshot_does_not_fill_an_earlier_one(world: World) -> None:
    await world.snapshots.take(MINE, ASKED)
    world.failing = {"base"}
    past = await world.snapshots.take(MINE, replace(ASKED, at="2025-12-31T23:00:00Z"))
    assert past.state is SnapshotState.INCOMPLETE


async def test_a_clock_that_went_back_makes_no_earlier_snapshot(world: World) -> None:
    first = await world.snapshots.take(MINE, ASKED)
    world.now -= timedelta(seconds=5)
    second = await world.snapshots.take(MINE, ASKED)
    assert second.taken_at > first.taken_at
    [newest, _] = await world.snapshots.heads(MINE, SeriesRequest(ALICE), 10, None)
    assert newest.snapshot_id == second.snapshot_id


async def test_a_wallet_can_be_kept_by_hand_and_has_its_own_networks(world: World) -> None:
    wallet = await world.wallets.create(
        MINE, WalletRequest("treasury", (ALICE,), networks=("base",), currency="eur")
    )
    kept = await world.snapshots.take(MINE, SnapshotRequest(wallet_id=wallet.wallet_id))
    assert (kept.subject, kept.wallet_id, kept.name) == (
        f"wallet:{wallet.wallet_id}",
        wallet.wallet_id,
        "treasury",
    )
    assert (kept.currency, kept.total_value) == ("eur", 4000)
    asked = SnapshotRequest(wallet_id=wallet.wallet_id)
    assert await code_of(world.snapshots.take(THEIRS, asked)) == "not_found"
    assert (
        await code_of(world.snapshots.take(MINE, replace(asked, networks=("base",)))) == "invalid_parameter"
    )
    assert await code_of(world.snapshots.take(MINE, replace(asked, address=ALICE))) == "missing_parameter"
    assert await code_of(world.snapshots.take(MINE, SnapshotRequest())) == "missing_parameter"


async def test_a_due_snapshot_is_kept_once_however_often_it_is_done(world: World) -> None:
    wallet = await world.followed()
    await asyncio.gather(*(world.snapshots.take_due(job(wallet)) for _ in range(4)))
    await world.snapshots.take_due(job(wallet))
    world.now += HOUR
    await world.snapshots.take_due(job(wallet, T0 + HOUR))
    heads = await world.snapshots.heads(MINE, SeriesRequest(wallet_id=wallet.wallet_id), 10, None)
    assert [head.taken_at for head in heads] == [T0 + HOUR, T0]


async def test_a_due_snapshot_is_tried_again_where_nothing_answers_and_kept_at_the_last_try(
    world: World,
) -> None:
    wallet = await world.followed()
    await world.snapshots.take_due(job(wallet))
    world.now, world.failing = T0 + HOUR, {"base", "ethereum"}
    with pytest.raises(UpstreamError):
        await world.snapshots.take_due(job(wallet, world.now))
    await world.snapshots.take_due(job(wallet, world.now, attempt=5))
    [head, _] = await world.snapshots.heads(MINE, SeriesRequest(wallet_id=wallet.wallet_id), 10, None)
    assert (head.state, head.total_value) == (SnapshotState.ESTIMATED, 6000)


async def test_of_a_wallet_that_is_gone_nothing_is_kept(world: World) -> None:
    wallet = await world.followed()
    await world.wallets.delete(MINE, wallet.wallet_id)
    await world.snapshots.take_due(job(wallet))
    assert world.asked == []


async def test_scheduled_snapshots_are_one_for_each_due_time_over_restarts_and_two_processes(
    world: World, database: Database, database_url: str
) -> None:
    wallet = await world.followed()
    async with Database(database_url) as second:
        worlds = [world, World(second)]
        for hours in range(6):
            for one in worlds:
                one.now = T0 + hours * HOUR
                # Each process, as it starts, looks for what is due.
            woken: list[str] = []

            async def wake(ids: Sequence[str], into: list[str] = woken) -> None:
                into += ids

            await asyncio.gather(*(one.snapshots.schedule(wake) for one in (*worlds, *worlds)))
            assert len(woken) == 1
            jobs = SqlJobStore(database, now=lambda: world.now)
            taken = await jobs.claim(60, [SNAPSHOT_JOB])
            assert taken is not None
            # A worker that died after it kept the snapshot: another does the job again.
            await asyncio.gather(*(one.snapshots.take_due(taken) for one in worlds))
            assert await jobs.finish(taken)
    heads = await world.snapshots.heads(MINE, SeriesRequest(wallet_id=wallet.wallet_id), 100, None)
    assert [head.taken_at for head in heads] == [T0 + hours * HOUR for hours in range(5, -1, -1)]


async def test_a_long_series_is_thinned_and_says_to_what(world: World) -> None:
    for n in range(50):
        await world.store.keep(snapshot(T0 + n * HOUR, line("eth", 1, 100 + n), number=n, owner=MINE.owner))
    asked = SeriesRequest(ALICE)
    whole = await world.snapshots.series(MINE, asked)
    assert (len(whole.heads), whole.every) == (50, None)
    thin = await world.snapshots.series(MINE, asked, 20)
    assert thin.every in STEPS
    assert thin.every == 4 * HOUR
    assert len(thin.heads) <= 20
    assert thin.heads[-1] == whole.heads[-1]
    daily = await world.snapshots.series(MINE, replace(asked, every=DAY))
    assert [head.total_value for head in daily.heads] == [123, 147, 149]
    assert len((await world.snapshots.series(MINE, asked, 3)).heads) <= 3
    nothing = await world.snapshots.series(THEIRS, asked)
    assert (nothing.heads, nothing.every) == ((), None)


async def test_only_what_can_be_compared_is(world: World) -> None:
    first = await world.snapshots.take(MINE, ASKED)
    world.now, world.ether = T0 + HOUR, "3"
    second = await world.snapshots.take(MINE, ASKED)
    compared = await world.snapshots.compare(MINE, first.snapshot_id, second.snapshot_id)
    assert (compared.effects.amount, compared.effects.price) == (4000, 0)
    euros = await world.snapshots.take(MINE, replace(ASKED, currency="eur"))
    wallet = await world.followed()
    other = await world.snapshots.take(MINE, SnapshotRequest(wallet_id=wallet.wallet_id))
    for one in (euros, other):
        asked = world.snapshots.compare(MINE, first.snapshot_id, one.snapshot_id)
        assert await code_of(asked) == "not_comparable"
    assert (
        await code_of(world.snapshots.compare(THEIRS, first.snapshot_id, second.snapshot_id)) == "not_found"
    )


async def test_wrong_questions_are_refused_with_what_would_be_right(world: World) -> None:
    for asked in (SeriesRequest(), SeriesRequest(ALICE, "wal_1")):
        assert await code_of(world.snapshots.series(MINE, asked)) == "missing_parameter"
    assert await code_of(world.snapshots.series(MINE, SeriesRequest(wallet_id="wal_none"))) == "not_found"
    turned = SeriesRequest(ALICE, start="2026-02-01T00:00:00Z", end="2026-01-01T00:00:00Z")
    assert await code_of(world.snapshots.series(MINE, turned)) == "invalid_range"
    with pytest.raises(InputError):
        await world.snapshots.series(MINE, SeriesRequest(ALICE, start="yesterday"))


async def test_performance_tells_returns_and_refuses_them_over_a_gap(world: World) -> None:
    for hours, ether in enumerate(["1", "1", "4"]):
        world.now, world.ether = T0 + hours * HOUR, ether
        await world.snapshots.take(MINE, ASKED)
    found = await world.performance.performance(MINE, SeriesRequest(ALICE))
    assert (found.change, found.time_weighted, found.gaps) == (6000, 0, ())
    assert [(flow.kind.value, flow.value) for flow in found.flows] == [("deposit", Decimal(6000))]
    [asset] = found.by_asset
    assert (asset.profit, asset.flows) == (0, 6000)
    world.now, world.failing = T0 + 30 * HOUR, {"base"}
    await world.snapshots.take(MINE, ASKED)
    found = await world.performance.performance(MINE, SeriesRequest(ALICE))
    assert found.time_weighted is found.money_weighted is found.drawdown is found.change is None
    assert [gap.reason for gap in found.gaps] == ["incomplete"]


async def test_performance_of_nothing_or_of_one_snapshot_is_none(world: World) -> None:
    asked = SeriesRequest(ALICE)
    for _ in range(2):
        found = await world.performance.performance(MINE, asked)
        assert found.time_weighted is found.money_weighted is found.drawdown is found.change is None
        assert (found.gaps, found.flows, found.total("flow")) == ((), (), 0)
        await world.snapshots.take(MINE, ASKED)


async def test_a_wallet_is_made_changed_and_refused(world: World) -> None:
    wallet = await world.followed("90m")
    assert (wallet.snapshot_every, wallet.next_snapshot_at) == (timedelta(minutes=90), T0)
    changed = await world.wallets.change(MINE, wallet.wallet_id, WalletEdit(networks=("base", "base")))
    assert changed.networks == ("base",)
    assert (
        await world.wallets.change(MINE, wallet.wallet_id, WalletEdit(all_networks=True))
    ).networks is None
    assert await code_of(world.wallets.change(THEIRS, wallet.wallet_id, WalletEdit("x"))) == "not_found"
    asked = WalletRequest("x", (ALICE,))
    for wrong, code in (
        (replace(asked, addresses=()), "missing_parameter"),
        (replace(asked, addresses=(ALICE,) * 21), "too_many_addresses"),
        (replace(asked, addresses=("zzz",)), "invalid_address"),
        (replace(asked, networks=("nowhere",)), "unknown_network"),
        (replace(asked, currency="xxx"), "invalid_currency"),
        (replace(asked, snapshot_every="1s"), "invalid_interval"),
        (replace(asked, snapshot_every="31d"), "invalid_interval"),
    ):
        assert await code_of(world.wallets.create(MINE, wrong)) == code
    twice = await world.wallets.create(MINE, replace(asked, addresses=(ALICE, ALICE)))
    assert twice.addresses == (Address(ALICE),)

"""Snapshots as they are kept: exact, found again, paged and thinned, on every database."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.history import DAY, HOUR, T0, line, snapshot

from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.kept import ANYONE, Owner
from balance_tracker.core.snapshots import (
    KeptCollection,
    Line,
    LinePrice,
    Place,
    ReadNetwork,
    Side,
    Snapshot,
    SnapshotHead,
    SnapshotState,
)
from balance_tracker.ports.snapshots import SnapshotFilter
from balance_tracker.storage.database import Database
from balance_tracker.storage.snapshot_documents import document_of
from balance_tracker.storage.snapshots import SqlSnapshotStore

ALL = SnapshotFilter(owners=None)
MINE, THEIRS = Owner("key_mine"), Owner("key_theirs")


def full() -> Snapshot:
    """One with something in every field, and numbers that no float holds."""
    price = LinePrice(Decimal("0.000000000000000000123456789012345678901"), T0, ("chainlink", "defillama"))
    place = Place(
        Slug("ethereum"),
        AssetId("eip155:1/erc20:0xA"),
        Side.BORROWED,
        "lending",
        "aave_v3",
        "AaveV3Ethereum",
        "7",
        Address("0xb"),
        "variable",
    )
    amount = Decimal(2**256 - 1).scaleb(-18)
    lent = Line(
        place, AssetId("eip155:1/slip44:60"), "ETH", 2**256 - 1, None, price, T0 - HOUR, Address("0xc"), price
    )
    held = Line(
        Place(Slug("base"), AssetId("eip155:8453/erc20:0xA")),
        AssetId("x"),
        None,
        2**256 - 1,
        Decimal(amount),
        price,
    )
    return replace(
        snapshot(T0 + timedelta(microseconds=1), lent, held),
        name="the end of the quarter",
        wallet_id="wal_1",
        state=SnapshotState.ESTIMATED,
        networks=(
            ReadNetwork(Slug("base"), "partial", 2**60, "0xab", T0, 3, T0 - HOUR, "timed_out", known=False),
            ReadNetwork(Slug("solana"), "failed", None, None, None, known=False),
        ),
        collections=(
            KeptCollection(Slug("base"), Address("0xa"), Address("0xb"), None, 2**200, ("1", "2")),
            KeptCollection(Slug("base"), Address("0xa"), Address("0xc"), "Punks", None),
        ),
    )


def heads_of(found: list[SnapshotHead]) -> list[str]:
    return [head.snapshot_id[-2:] for head in found]


async def kept(store: SqlSnapshotStore, *snapshots: Snapshot) -> None:
    for one in snapshots:
        await store.keep(one)


async def test_what_is_kept_is_read_again_to_the_last_digit(database: Database) -> None:
    store = SqlSnapshotStore(database)
    await store.keep(full())
    found = await store.get(full().snapshot_id, None)
    assert found == full()
    assert found is not None
    assert found.known_value == full().known_value
    [head] = await store.heads(ALL, 10, None)
    assert (head.total_value, head.known_value, head.unpriced) == (full().total_value, full().known_value, 1)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**60))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_document_never_holds_a_float(amount: Decimal) -> None:
    def floats(value: object) -> list[float]:
        if isinstance(value, float):
            return [value]
        inner = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        )
        return [one for part in inner for one in floats(part)]

    lines = [replace(line("eth", 1, 1), amount=amount), replace(line("usdc", 1), raw_amount=int(amount))]
    assert floats(document_of(snapshot(T0, *lines))) == []
    assert floats(document_of(full())) == []


async def test_under_one_unique_key_the_first_is_kept(database: Database) -> None:
    store = SqlSnapshotStore(database)
    first, second = snapshot(T0, number=1), snapshot(T0 + HOUR, number=2)
    assert await store.keep(first, "wal_1@now") == first
    assert await store.keep(second, "wal_1@now") == first
    assert await store.by_key("wal_1@now") == first
    assert await store.by_key("other") is None
    assert len(await store.heads(ALL, 10, None)) == 1


async def test_what_belongs_to_another_is_not_there(database: Database) -> None:
    store = SqlSnapshotStore(database)
    await kept(store, snapshot(T0, number=1, owner=MINE), snapshot(T0, number=2, owner=THEIRS))
    [mine, theirs] = [f"snp_{number:026d}" for number in (1, 2)]
    assert await store.get(theirs, (MINE,)) is None
    assert not await store.delete(theirs, (MINE,))
    assert heads_of(list(await store.heads(SnapshotFilter((MINE,)), 10, None))) == ["01"]
    assert len(await store.heads(ALL, 10, None)) == 2
    assert await store.delete(mine, (MINE,))
    assert await store.get(mine, None) is None


async def test_pages_go_on_where_the_last_one_ended_also_when_that_one_is_gone(database: Database) -> None:
    store = SqlSnapshotStore(database)
    # Two were taken at the same moment.
    times = [T0, T0 + HOUR, T0 + HOUR, T0 + 2 * HOUR, T0 + 3 * HOUR]
    await kept(store, *(snapshot(at, number=n) for n, at in enumerate(times)))
    first = await store.heads(ALL, 3, None)
    assert heads_of(list(first)) == ["04", "03", "02"]
    place = (first[-1].taken_at, first[-1].snapshot_id)
    await store.delete(first[-1].snapshot_id, None)
    assert heads_of(list(await store.heads(ALL, 3, place))) == ["01", "00"]


async def test_filters_are_by_subject_currency_state_and_time(database: Database) -> None:
    store = SqlSnapshotStore(database)
    await kept(
        store,
        snapshot(T0, number=1),
        snapshot(T0 + DAY, number=2, currency="eur"),
        snapshot(T0 + 2 * DAY, number=3, subject="wallet:wal_1"),
        snapshot(T0 + 3 * DAY, number=4, state=SnapshotState.INCOMPLETE),
    )

    async def found(**which: object) -> list[str]:
        return heads_of(list(await store.heads(replace(ALL, **which), 10, None)))  # type: ignore[arg-type]

    assert await found(subject="wallet:wal_1") == ["03"]
    assert await found(currency="eur") == ["02"]
    assert await found(states=[SnapshotState.COMPLETE]) == ["03", "02", "01"]
    assert await found(start=T0 + DAY, end=T0 + 2 * DAY) == ["03", "02"]
    assert await found(owners=[]) == []
    last = await store.last(replace(ALL, states=(SnapshotState.COMPLETE,), end=T0 + DAY))
    assert last is not None
    assert last.currency == "eur"
    assert await store.last(replace(ALL, subject="nobody")) is None
    extent = await store.extent(ALL)
    assert extent is not None
    assert (extent.count, extent.first, extent.last) == (4, T0, T0 + 3 * DAY)
    assert await store.extent(replace(ALL, subject="nobody")) is None


async def test_a_series_is_thinned_to_the_last_known_of_each_span(database: Database) -> None:
    store = SqlSnapshotStore(database)
    blind = SnapshotState.INCOMPLETE
    await kept(
        store,
        *(
            snapshot(T0 + n * HOUR, number=n, state=blind if n in {23, 24, 25} else SnapshotState.COMPLETE)
            for n in range(26)
        ),
    )
    assert heads_of(list(await store.series(ALL, None))) == [f"{n:02d}" for n in range(26)]
    assert heads_of(list(await store.series(ALL, DAY))) == ["22", "25"]
    assert heads_of(list(await store.series(ALL, 6 * HOUR))) == ["05", "11", "17", "22", "25"]


async def test_many_are_read_whole_in_the_order_of_time(database: Database) -> None:
    store = SqlSnapshotStore(database)
    made = [snapshot(T0 + n * HOUR, line("eth", n + 1, 2), number=n) for n in range(7)]
    await kept(store, *reversed(made))
    assert await store.snapshots([one.snapshot_id for one in reversed(made)]) == made
    assert await store.snapshots([]) == []
    assert made[0].owner == ANYONE

"""A year of hourly snapshots of many wallets: how fast series, comparison and performance answer.

``python -m benchmarks.history`` makes them in SQLite and PostgreSQL (in temporary files and a cluster of
its own), asks the use cases as the API does, and prints a table with the size on disk and the plans.

    --wallets 10      how many are followed (100 makes 876,000 snapshots)
    --only sqlite     or postgresql
    --json            the figures as JSON
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import LargeBinary, bindparam, insert, text
from sqlalchemy.dialects import postgresql, sqlite

from balance_tracker.core.access import Caller
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.kept import ANYONE
from balance_tracker.core.snapshots import (
    Line,
    LinePrice,
    Place,
    ReadNetwork,
    Snapshot,
    SnapshotState,
    Wallet,
    subject_of,
)
from balance_tracker.ports.snapshots import SnapshotFilter
from balance_tracker.services.performance import PerformanceService
from balance_tracker.services.serialise_history import (
    comparison_json,
    head_json,
    performance_json,
    series_json,
)
from balance_tracker.services.snapshots import SeriesRequest, SnapshotService
from balance_tracker.storage.columns import Document
from balance_tracker.storage.database import Database
from balance_tracker.storage.migrating import upgrade
from balance_tracker.storage.snapshots import SqlSnapshotStore, row_of, series_of
from balance_tracker.storage.tables import SNAPSHOTS
from balance_tracker.storage.wallets import SqlWalletStore

START = datetime(2025, 1, 1, tzinfo=UTC)
HOURS = 8760
LINES = 25
"""Amounts in one snapshot, on five networks: a wallet that is used."""
NETWORKS = ("ethereum", "arbitrum", "base", "optimism", "polygon")
DIFFERENT_DOCUMENTS = 240
"""So many different contents a wallet's year has: to compress each would take longer than to write it."""
ROWS_AT_ONCE = 2000
TRIES = 15
LIMIT_MS = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """What one database showed."""

    database: str
    snapshots: int
    written_seconds: float
    megabytes: float
    milliseconds: Mapping[str, float]
    plans: Mapping[str, str]


def snapshot_at(wallet: int, hour: int, luck: random.Random) -> Snapshot:
    """One snapshot: amounts that seldom change, prices that always do."""
    at = START + timedelta(hours=hour, seconds=luck.randrange(20))
    lines = []
    for number in range(LINES):
        network = NETWORKS[number % len(NETWORKS)]
        key = AssetId(f"eip155:1/erc20:0x{number:040x}")
        raw = (wallet + 1) * 10**18 + number * 10**15 + hour // 200
        price = LinePrice(Decimal(luck.randrange(10**6, 10**9)).scaleb(-6), at, ("chainlink", "defillama"))
        place = Place(Slug(network), AssetId(f"eip155:{number % 5 + 1}/erc20:0x{number:040x}"))
        lines.append(Line(place, key, f"T{number}", raw, Decimal(raw).scaleb(-18), price))
    networks = tuple(
        ReadNetwork(Slug(slug), "ok", 21_000_000 + hour, f"0x{luck.getrandbits(256):064x}", at)
        for slug in NETWORKS
    )
    wallet_id = f"wal_{wallet:026d}"
    return Snapshot(
        snapshot_id=f"snp_{hour:08d}{wallet:018d}",
        owner=ANYONE,
        subject=subject_of(wallet_id),
        addresses=(Address(f"0x{wallet:040x}"),),
        wallet_id=wallet_id,
        name=f"wallet {wallet}",
        currency="usd",
        taken_at=at,
        state=SnapshotState.COMPLETE,
        lines=tuple(lines),
        networks=networks,
    )


def prepared(wallet: int, hour: int, luck: random.Random) -> dict[str, Any]:
    """A row with its document compressed."""
    row = row_of(snapshot_at(wallet, hour, luck))
    return {**row, "document": Document().process_bind_param(row["document"], sqlite.dialect())}


def rows(wallets: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of all, in the order in which they would have been written: hour by hour."""
    luck = random.Random(7)
    contents = [
        [prepared(wallet, n * HOURS // DIFFERENT_DOCUMENTS, luck) for n in range(DIFFERENT_DOCUMENTS)]
        for wallet in range(wallets)
    ]
    batch: list[dict[str, Any]] = []
    for hour in range(HOURS):
        for wallet in range(wallets):
            at = START + timedelta(hours=hour, seconds=luck.randrange(20))
            content = contents[wallet][hour * DIFFERENT_DOCUMENTS // HOURS]
            batch.append(
                {
                    **content,
                    "id": f"snp_{hour:08d}{wallet:018d}",
                    "taken_at": at,
                    "unique_key": f"{wallet}@{hour}",
                }
            )
            if len(batch) == ROWS_AT_ONCE:
                yield batch
                batch = []
    if batch:
        yield batch


async def fill(database: Database, wallets: int) -> float:
    """Make the year; the seconds it took."""
    began = time.perf_counter()
    store = SqlWalletStore(database)
    for number in range(wallets):
        wallet = Wallet(
            wallet_id=f"wal_{number:026d}",
            owner=ANYONE,
            name=f"wallet {number}",
            addresses=(Address(f"0x{number:040x}"),),
            networks=None,
            currency="usd",
            snapshot_every=None,
            next_snapshot_at=None,
            created_at=START,
            updated_at=START,
        )
        await store.add(wallet, wallets + 1)
    # What is compressed already is handed on as bytes.
    given = {
        column.name: bindparam(column.name, type_=LargeBinary() if column.name == "document" else column.type)
        for column in SNAPSHOTS.columns
    }
    for batch in rows(wallets):
        async with database.writing() as connection:
            await connection.execute(insert(SNAPSHOTS).values(given), batch)
    if not database.is_sqlite:
        async with database.engine.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await plain.execute(text("VACUUM ANALYZE snapshots"))
    return time.perf_counter() - began


async def measured(database: Database, wallets: int) -> dict[str, float]:
    """Median milliseconds of each question, from the question to the bytes of its answer."""
    snapshots = SnapshotService(
        SqlSnapshotStore(database),
        SqlWalletStore(database),
        _reads_nothing,
        _NoBook(),
        random_bits=random.getrandbits,
    )
    performance = PerformanceService(snapshots)
    caller, luck = Caller(), random.Random(1)

    def asked(**more: Any) -> SeriesRequest:
        return replace(SeriesRequest(wallet_id=f"wal_{luck.randrange(wallets):026d}"), **more)

    async def compared() -> Any:
        wallet = luck.randrange(wallets)
        ids = [f"snp_{luck.randrange(HOURS):08d}{wallet:018d}" for _ in range(2)]
        return comparison_json(await snapshots.compare(caller, *ids))

    async def series(**more: Any) -> Any:
        return series_json(await snapshots.series(caller, asked(**more)))

    async def page(**more: Any) -> Any:
        asking = SeriesRequest() if more.pop("of_all", False) else asked()
        return [head_json(head) for head in await snapshots.heads(caller, asking, 101, None)]

    async def performed(**more: Any) -> Any:
        return performance_json(await performance.performance(caller, asked(**more)))

    questions: dict[str, Callable[[], Awaitable[Any]]] = {
        "series of a year (thinned)": series,
        "series of a month, hourly": lambda: series(start="2025-06-01T00:00:00Z", end="2025-07-01T00:00:00Z"),
        "compare two": compared,
        "page of 100 of a wallet": page,
        "page of 100 of all": lambda: page(of_all=True),
        "performance of a year (thinned)": performed,
        "performance of a year by week": lambda: performed(every=timedelta(days=7)),
    }
    return {name: await _median(question) for name, question in questions.items()}


async def _median(question: Callable[[], Awaitable[Any]]) -> float:
    taken: list[float] = []
    for _ in range(TRIES):
        began = time.perf_counter()
        orjson.dumps(await question())
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


async def plans(database: Database) -> dict[str, str]:
    """How the database finds a series and what a comparison needs."""
    which = SnapshotFilter((ANYONE,), subject_of(f"wal_{0:026d}"), "usd")
    series = series_of(which, timedelta(hours=12), is_sqlite=database.is_sqlite)
    dialect: Any = sqlite.dialect() if database.is_sqlite else postgresql.dialect()
    shown = str(series.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)"
    async with database.reading() as connection:
        # The question has no text from outside: its values are this file's own.
        lines = (await connection.exec_driver_sql(f"{explain} {shown}")).all()
    return {"series of a year (thinned)": "\n".join(str(line[-1]) for line in lines)}


async def size_of(database: Database, file: Path) -> float:
    """Megabytes on disk, with indexes."""
    if database.is_sqlite:
        return sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*")) / 1e6
    async with database.reading() as connection:
        question = text("SELECT pg_total_relation_size('snapshots')")
        return float(await connection.scalar(question) or 0) / 1e6


async def run(name: str, url: str, file: Path, wallets: int) -> Figures:
    """Fill a database and ask it."""
    async with Database(url, connections=2, answer_seconds=None) as database:
        await upgrade(database)
        seconds = await fill(database, wallets)
        return Figures(
            database=name,
            snapshots=wallets * HOURS,
            written_seconds=seconds,
            megabytes=await size_of(database, file),
            milliseconds=await measured(database, wallets),
            plans=await plans(database),
        )


@asynccontextmanager
async def databases(only: str | None, wallets: int) -> AsyncIterator[list[Figures]]:
    """Each database in turn, in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="history-") as name:
        room, found = Path(name), []
        if only != "postgresql":
            file = room / "history.db"
            found.append(await run("sqlite", f"sqlite:///{file}", file, wallets))
        if only != "sqlite":
            from tests.nodes.servers import PostgresServer, postgres_binaries  # noqa: PLC0415

            (room / "postgres").mkdir()
            with PostgresServer(postgres_binaries()["postgresql"], room / "postgres") as server:
                database = server.fresh()
                found.append(await run("postgresql", server.url(database), room, wallets))
        yield found


def table(found: list[Figures]) -> str:
    """The figures for people."""
    lines = []
    for one in found:
        lines.append(
            f"{one.database}: {one.snapshots:,} snapshots of {LINES} amounts, {one.megabytes:,.0f} MB "
            f"({one.megabytes * 1e6 / one.snapshots:,.0f} bytes each), "
            f"written in {one.written_seconds:,.0f} s"
        )
        lines += [f"  {name:<36}{ms:>9.1f} ms" for name, ms in one.milliseconds.items()]
        for name, plan in one.plans.items():
            lines += [f"  plan of {name}:", *(f"    {line}" for line in plan.splitlines())]
    return "\n".join(lines)


def misses(found: list[Figures]) -> list[str]:
    """What is slower than it should be: series and comparison."""
    return [
        f"{one.database}: {name} took {ms:.0f} ms"
        for one in found
        for name, ms in one.milliseconds.items()
        if ms >= LIMIT_MS and name.startswith(("series", "compare"))
    ]


async def _reads_nothing(*_args: Any, **_more: Any) -> Any:
    raise AssertionError("history is asked without a network")


class _NoBook:
    """Wallets need no names looked up."""

    async def resolve(self, _text: str) -> Any:
        raise AssertionError("wallets only")


def measure_history(wallets: int = 10) -> list[dict[str, Any]]:
    """The figures of every database, as plain values."""

    async def measured() -> list[Figures]:
        async with databases(None, wallets) as found:
            return found

    return [{name: getattr(one, name) for name in Figures.__slots__} for one in asyncio.run(measured())]


async def main(arguments: list[str]) -> int:
    """Run it; 1 where series or comparison are too slow."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history")
    parser.add_argument("--wallets", type=int, default=10)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    async with databases(chosen.only, chosen.wallets) as found:
        if chosen.json:
            print(json.dumps([{name: getattr(one, name) for name in Figures.__slots__} for one in found]))
        else:
            print(table(found))
        slow = misses(found)
    for line in slow:
        print(line, file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))

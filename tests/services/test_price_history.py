"""Series of past prices: fetched once, kept over a restart, joined, and open about their gaps."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.fakes.prices import ScriptedSource, points
from tests.fakes.readers import ETHEREUM, refused
from tests.fakes.service import NOW

from balance_tracker.cache.price_history import MOST_POINTS, PriceHistoryFiles
from balance_tracker.core.assets import native_asset
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import Currency, Interval, PriceSeries, Span
from balance_tracker.services.price_history import History, PriceHistory

ETHER = native_asset(ETHEREUM)
ETH = ETHER.asset_id
EUR = AssetId("swift:0/iso4217:EUR")
MORNING = NOW - timedelta(hours=5)
HOUR = timedelta(hours=1)


@dataclass
class Archive:
    """The use case over a directory; it is built anew for each question, as after a restart."""

    directory: Path
    sources: Sequence[ScriptedSource]
    now: datetime = NOW
    stores: list[PriceHistoryFiles] = field(default_factory=list)

    async def ask(
        self,
        start: datetime = MORNING,
        end: datetime = NOW,
        interval: Interval = "1h",
        currency: Currency = "usd",
    ) -> History:
        history = PriceHistory(self.sources, PriceHistoryFiles(self.directory), now=lambda: self.now)
        deadline = asyncio.get_running_loop().time() + 1
        return await history.history(ETHER, start, end, interval, currency=currency, deadline=deadline)


def amounts(history: History) -> list[int]:
    return [int(point.amount) for point in history.points]


def files(directory: Path) -> list[Path]:
    return list(directory.glob("*.json"))


async def test_a_series_is_fetched_once_and_survives_a_restart(tmp_path: Path) -> None:
    source = ScriptedSource("defillama", points={ETH: points("defillama", MORNING, 5)})
    archive = Archive(tmp_path / "prices", [source])
    first = await archive.ask()
    again = await archive.ask()
    assert amounts(first) == amounts(again) == [100, 101, 102, 103, 104]
    assert (first.start, first.end, first.gaps, first.failed) == (MORNING, NOW, (), {})
    assert {point.source for point in again.points} == {"defillama"}
    assert len(source.asked) == 1


async def test_only_what_is_missing_is_fetched_and_joined_without_holes(tmp_path: Path) -> None:
    source = ScriptedSource("defillama", points={ETH: points("defillama", MORNING, 5)})
    archive = Archive(tmp_path, [source])
    await archive.ask(MORNING + 2 * HOUR, MORNING + 4 * HOUR)
    whole = await archive.ask()
    assert source.spans == [(MORNING + 2 * HOUR, MORNING + 4 * HOUR), (MORNING, NOW)]
    assert amounts(whole) == [100, 101, 102, 103, 104]
    assert amounts(await archive.ask(MORNING + HOUR, MORNING + 2 * HOUR)) == [101]
    assert len(source.spans) == 2


async def test_each_interval_is_joined_from_all_that_have_a_point_in_it(tmp_path: Path) -> None:
    full = points("coingecko", MORNING, 5, first=200)
    leader = ScriptedSource("coingecko", points={ETH: [full[0], full[1], full[4]]})
    other = ScriptedSource("defillama", points={ETH: points("defillama", MORNING + HOUR, 2)})
    found = await Archive(tmp_path, [other, leader]).ask()
    assert [(point.source, int(point.amount)) for point in found.points] == [
        ("coingecko", 200),
        ("coingecko+defillama", 100),
        ("defillama", 101),
        ("coingecko", 204),
    ]
    gap = int((MORNING + 3 * HOUR).timestamp())
    assert found.gaps == (Span(gap, gap + 3600),)


async def test_a_gap_that_every_source_was_asked_about_is_told_and_not_asked_again(tmp_path: Path) -> None:
    source = ScriptedSource(points={ETH: points("coingecko", MORNING + HOUR, 2)})
    archive = Archive(tmp_path, [source])
    for _ in range(2):
        found = await archive.ask()
        start = int(MORNING.timestamp())
        assert found.gaps == (Span(start, start + 3600), Span(start + 3 * 3600, start + 5 * 3600))
    assert len(source.asked) == 1


async def test_what_a_source_failed_on_is_asked_again_and_what_others_said_is_kept(tmp_path: Path) -> None:
    failing = ScriptedSource("coingecko", error=refused(code="rate_limited"))
    other = ScriptedSource("defillama", points={ETH: points("defillama", MORNING, 2)})
    archive = Archive(tmp_path, [failing, other])
    found = await archive.ask()
    assert found.failed == {"coingecko": "rate_limited"}
    assert amounts(found) == [100, 101]
    failing.error = None
    failing.points = {ETH: points("coingecko", MORNING, 5, first=200)}
    assert amounts(await archive.ask()) == [100, 101, 202, 203, 204]


async def test_when_every_source_fails_and_nothing_is_kept_it_is_an_error_and_no_empty_series(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(points={ETH: points("coingecko", MORNING, 5)})
    archive = Archive(tmp_path, [source])
    source.error = refused()
    with pytest.raises(UpstreamError, match="No price source answered"):
        await archive.ask()
    source.error = None
    await archive.ask()
    source.error = refused()
    assert amounts(await archive.ask(MORNING - HOUR, NOW)) == [100, 101, 102, 103, 104]


async def test_the_interval_under_way_is_shown_and_never_kept(tmp_path: Path) -> None:
    source = ScriptedSource(points={ETH: points("coingecko", MORNING, 6)})
    archive = Archive(tmp_path, [source], now=NOW + timedelta(minutes=20))
    end = NOW + timedelta(minutes=20)
    assert amounts(await archive.ask(MORNING, end)) == [100, 101, 102, 103, 104, 105]
    source.points = {ETH: points("coingecko", NOW, 1, first=900)}
    assert amounts(await archive.ask(MORNING, end)) == [100, 101, 102, 103, 104, 900]
    assert source.spans[1] == (NOW, NOW + HOUR)


async def test_gaps_are_asked_for_again_after_a_week_and_points_are_not(tmp_path: Path) -> None:
    source = ScriptedSource(points={ETH: points("coingecko", MORNING + HOUR, 2)})
    archive = Archive(tmp_path, [source])
    await archive.ask()
    source.points = {ETH: points("coingecko", MORNING, 5, first=900)}
    archive.now = NOW + timedelta(days=6)
    assert amounts(await archive.ask()) == [100, 101]
    archive.now = NOW + timedelta(days=8)
    assert amounts(await archive.ask()) == [900, 100, 101, 903, 904]
    assert amounts(await archive.ask()) == [900, 100, 101, 903, 904]
    assert len(source.asked) == 2


async def test_a_long_time_is_asked_for_in_parts_side_by_side(tmp_path: Path) -> None:
    start = NOW - timedelta(minutes=5 * 6000)
    source = ScriptedSource(points={ETH: points("coingecko", start, 6000, "5m")})
    archive = Archive(tmp_path, [source])
    found = await archive.ask(start, NOW, "5m")
    assert len(found.points) == 6000
    assert [int((end - begin).total_seconds()) // 300 for begin, end in source.spans] == [2500, 2500, 1000]


async def test_many_asking_at_once_fetch_once(tmp_path: Path) -> None:
    source = ScriptedSource(points={ETH: points("coingecko", MORNING, 5)}, delay_seconds=0.01)
    history = PriceHistory([source], PriceHistoryFiles(tmp_path), now=lambda: NOW)
    deadline = asyncio.get_running_loop().time() + 1
    asked = [history.history(ETHER, MORNING, NOW, "1h", currency="usd", deadline=deadline) for _ in range(5)]
    assert {len(found.points) for found in await asyncio.gather(*asked)} == {5}
    assert len(source.asked) == 1


async def test_points_in_another_currency_stand_where_both_are_known(tmp_path: Path) -> None:
    rates = points("coingecko", MORNING, 3, first=2)
    source = ScriptedSource(points={ETH: points("coingecko", MORNING, 5), EUR: rates})
    found = await Archive(tmp_path, [source]).ask(currency="eur")
    assert [round(point.amount, 4) for point in found.points] == [
        Decimal(50),
        Decimal("33.6667"),
        Decimal("25.5"),
    ]
    assert len(found.gaps) == 1


@pytest.mark.parametrize(
    ("start", "end", "interval"),
    [
        (NOW, MORNING, "1h"),
        (NOW + 2 * HOUR, NOW + 3 * HOUR, "1h"),
        (NOW - timedelta(days=40), NOW, "5m"),
    ],
)
async def test_a_time_that_is_none_or_too_long_is_the_callers_mistake(
    tmp_path: Path, start: datetime, end: datetime, interval: Interval
) -> None:
    source = ScriptedSource()
    with pytest.raises(InputError) as caught:
        await Archive(tmp_path, [source]).ask(start, end, interval)
    assert caught.value.code == "invalid_range"
    assert source.asked == []


@pytest.mark.parametrize(
    "torn", [b"", b"{", b'{"format": 1}', b"[]", b"null", b'{"format":2,"asset_id":"x"}']
)
async def test_a_torn_file_counts_as_none_and_is_fetched_again(
    tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    source = ScriptedSource(points={ETH: points("coingecko", MORNING, 5)})
    archive = Archive(tmp_path, [source])
    await archive.ask()
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(torn or whole[: len(whole) // 2])
    assert amounts(await archive.ask()) == [100, 101, 102, 103, 104]
    assert len(source.asked) == 2
    assert file.read_bytes() == whole
    assert "price_history_unreadable" in caplog.text


async def test_a_directory_that_can_not_be_written_costs_a_fetch_and_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "prices"
    blocked.write_text("a file in the way", encoding="utf-8")
    source = ScriptedSource(points={ETH: points("coingecko", MORNING, 5)})
    assert len((await Archive(blocked, [source]).ask()).points) == 5
    assert "price_history_not_kept" in caplog.text


_WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from balance_tracker.cache.price_history import PriceHistoryFiles
from balance_tracker.core.prices import PricePoint, PriceSeries, Span

async def main():
    store = PriceHistoryFiles(Path(sys.argv[1]))
    count = 0
    while True:
        count += 1
        points = tuple(
            PricePoint(datetime.fromtimestamp(3600 * n, UTC), Decimal(count), "writer") for n in range(3000)
        )
        await store.keep("eip155:1/slip44:60", "1h", PriceSeries(points, (Span(0, 3600 * 3000),)))
        print(count, flush=True)

asyncio.run(main())
"""


async def test_a_process_killed_while_it_writes_leaves_a_whole_series(tmp_path: Path) -> None:
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _WRITER, str(tmp_path)), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(3):
            await process.stdout.readline()
        process.kill()
        await process.wait()
        kept = await PriceHistoryFiles(tmp_path).load(ETH, "1h")
        assert len(kept.points) == 3000
        assert len({point.amount for point in kept.points}) == 1


async def test_files_and_points_are_bounded(tmp_path: Path) -> None:
    store = PriceHistoryFiles(tmp_path, most_files=3)
    for number in range(6):
        await store.keep(AssetId(f"eip155:1/slip44:{number}"), "1h", PriceSeries())
    assert len(files(tmp_path)) == 3
    many = tuple(points("coingecko", MORNING, MOST_POINTS + 10, "5m"))
    first, last = (int(point.at.timestamp()) for point in (many[0], many[-1]))
    await store.keep(ETH, "5m", PriceSeries(many, (Span(first, last + 300),)))
    kept = await PriceHistoryFiles(tmp_path).load(ETH, "5m")
    assert kept.points == many[10:]
    assert kept.fetched == (Span(first + 3000, last + 300),)


async def test_a_liar_with_most_points_does_not_own_the_series(tmp_path: Path) -> None:
    liar = ScriptedSource("defillama", points={ETH: points("defillama", MORNING, 5, first=10**9)})
    honest = [
        ScriptedSource("coingecko", points={ETH: points("coingecko", MORNING, 4)}),
        ScriptedSource("chainlink", "oracle", points={ETH: points("chainlink", MORNING, 4, first=101)}),
    ]
    found = await Archive(tmp_path, [liar, *honest]).ask()
    assert amounts(found)[:4] == [101, 102, 103, 104]
    assert {point.source for point in found.points[:4]} == {"chainlink+coingecko+defillama"}
    assert found.points[4].source == "defillama"


async def test_a_rate_that_is_too_low_at_one_of_two_sources_does_not_overstate_a_series(
    tmp_path: Path,
) -> None:
    liar = ScriptedSource("a", points={EUR: points("a", MORNING, 5, first=1)})
    honest = ScriptedSource(
        "b", points={ETH: points("b", MORNING, 5, first=1000), EUR: points("b", MORNING, 5, first=10)}
    )
    found = await Archive(tmp_path, [liar, honest]).ask(currency="eur")
    assert found.points[0].amount == 100


async def test_a_point_of_more_sources_takes_the_place_of_a_lonely_one(tmp_path: Path) -> None:
    late = ScriptedSource("chainlink", "oracle", error=refused())
    sources = [late, ScriptedSource("coingecko", points={ETH: points("coingecko", MORNING, 5, first=900)})]
    archive = Archive(tmp_path, sources)
    assert amounts(await archive.ask())[0] == 900
    late.error = None
    late.points = {ETH: points("chainlink", MORNING, 5)}
    assert (await archive.ask()).points[0].source == "chainlink+coingecko"


async def test_the_interval_under_way_is_asked_for_once_in_the_time_that_a_price_is_fresh(
    tmp_path: Path,
) -> None:
    now = [NOW + timedelta(minutes=20)]
    source = ScriptedSource(points={ETH: points("coingecko", MORNING, 6)})
    history = PriceHistory([source], PriceHistoryFiles(tmp_path), under_way_seconds=300, now=lambda: now[0])

    async def ask() -> list[int]:
        deadline = asyncio.get_running_loop().time() + 1
        return amounts(await history.history(ETHER, MORNING, now[0], "1h", currency="usd", deadline=deadline))

    for _ in range(5):
        assert await ask() == [100, 101, 102, 103, 104, 105]
    assert len(source.asked) == 1
    now[0] += timedelta(seconds=301)
    source.points = {ETH: points("coingecko", NOW, 1, first=900)}
    assert (await ask())[-1] == 900
    assert len(source.asked) == 2


async def test_what_is_kept_in_memory_is_bounded_by_points(tmp_path: Path) -> None:
    store = PriceHistoryFiles(tmp_path, most_points_in_memory=100)
    for number in range(10):
        series = PriceSeries(tuple(points("coingecko", MORNING, 30)))
        await store.keep(AssetId(f"eip155:1/slip44:{number}"), "1h", series)
    await store.keep(ETH, "1h", PriceSeries(tuple(points("coingecko", MORNING, 101))))
    assert sum(len(series.points) for series in store._known.values()) <= 100
    assert store._points == sum(len(series.points) for series in store._known.values())
    assert len((await store.load(ETH, "1h")).points) == 101


@pytest.mark.parametrize("until", [0, 86_400])
async def test_a_time_before_anything_had_a_price_asks_nobody(tmp_path: Path, until: int) -> None:
    source = ScriptedSource()
    end = datetime.fromtimestamp(until, UTC)
    with pytest.raises(InputError, match="before anything had a price"):
        await Archive(tmp_path, [source]).ask(end - 100 * HOUR, end)
    assert source.asked == []

"""Past prices by Chainlink's feeds: at a block, by walking rounds, over phases, and as a series."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.conftest import OpenGateway
from tests.evm.scenes import changed, soon
from tests.prices.feed_scenes import (
    ETHER,
    ETHEREUM,
    FEEDS,
    OFFERED,
    REVERTS,
    SHIB,
    USDC,
    FeedsOnNode,
    asset,
    chainlink,
)

from balance_tracker.core.prices import PricePoint
from balance_tracker.demo.contracts import (
    DEPLOYER,
    Placement,
    Transaction,
    call_data,
    place,
    set_code,
    transact,
)
from balance_tracker.demo.feeds import place_feeds
from balance_tracker.prices.chainlink import history
from balance_tracker.prices.chainlink.history import in_step, round_at

pytestmark = pytest.mark.integration

MINUTES = 60
ANSWERS = {"ETH/USD": [3_000, 3_100, 3_200, 3_050, 2_900, 3_300], "SHIB/ETH": ["4e-9", "5e-9", "6e-9"]}
NOBODY = f"0x{0:040x}"


def utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def answer(feeds: FeedsOnNode, pair: str, values: list[Any], after_seconds: int) -> list[tuple[int, Decimal]]:
    """Rounds after each other, each so long after the one before: when, and what."""
    told = []
    for value in values:
        feeds.pass_time(after_seconds)
        number = (feeds.latest_round(FEEDS[pair])[0] & (1 << 64) - 1) + 1
        transact(feeds.client, [feeds.placed[pair].answered(number, Decimal(value))])
        told.append((feeds.latest_round(FEEDS[pair])[3], Decimal(value)))
    return told


@asynccontextmanager
async def without_history(feeds: FeedsOnNode) -> AsyncIterator[str]:
    """The node as an endpoint that has pruned the state of every block but the latest."""

    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_call" or call["params"][1] == "latest":
            return reply
        error = {"code": -32000, "message": f"missing trie node {'0' * 64} (path ) state is not available"}
        return {"jsonrpc": "2.0", "id": reply["id"], "error": error}

    async with changed(feeds.node.url, change) as endpoint:
        yield endpoint.url


def new_phase(feeds: FeedsOnNode, pair: str, value: str) -> None:
    """Put a new aggregator behind a feed's proxy, whose only round has this answer."""
    aggregator = Placement(
        "0x00000000000000000000000000000000000a66e9",
        feeds.library.mock_aggregator,
        (8, int(Decimal(value) * 10**8)),
    )
    place(feeds.client, [aggregator])
    proxy = FEEDS[pair].proxy
    transact(
        feeds.client,
        [
            Transaction(proxy, call_data("proposeAggregator(address)", aggregator.address), DEPLOYER),
            Transaction(proxy, call_data("confirmAggregator(address)", aggregator.address), DEPLOYER),
        ],
    )


async def test_the_price_of_a_past_time_is_what_the_feed_said_then(feeds: FeedsOnNode) -> None:
    told = answer(feeds, "ETH/USD", ANSWERS["ETH/USD"], 10 * MINUTES)
    async with chainlink({ETHEREUM: feeds.node.url}) as (source, _):
        for when, value in told:
            for late in (0, 5 * MINUTES):
                (quote,) = await source.quotes_at([asset(ETHER)], utc(when + late), soon())
                assert (quote.amount, quote.as_of) == (value, utc(when))
                assert quote.block_number is not None


async def test_before_a_feed_was_there_it_has_no_price(feeds: FeedsOnNode) -> None:
    feeds.pass_time(10 * MINUTES)
    before = feeds.now
    feeds.pass_time(10 * MINUTES)
    place_feeds(
        feeds.client, feeds.library, replace(OFFERED, feeds=(FEEDS["LINK/USD"],)), {"LINK/USD": "17.5"}
    )
    offered = {ETHEREUM: replace(OFFERED, feeds=(FEEDS["LINK/USD"],))}
    link = asset(FEEDS["LINK/USD"].assets[0])
    async with chainlink({ETHEREUM: feeds.node.url}, offered) as (source, _):
        assert await source.quotes_at([link], utc(before), soon()) == []
        assert await source.quotes_at([link], utc(1_000), soon()) == []
        (quote,) = await source.quotes_at([link], utc(feeds.now), soon())
        assert quote.amount == Decimal("17.5")


async def test_without_old_state_the_rounds_tell_the_same(
    feeds: FeedsOnNode, open_gateway: OpenGateway
) -> None:
    ether = answer(feeds, "ETH/USD", ANSWERS["ETH/USD"], 10 * MINUTES)
    async with without_history(feeds) as url:
        gateway = await open_gateway(url)
        async with chainlink({ETHEREUM: gateway.url}) as (source, _):
            for when, value in ether:
                for late in (0, 5 * MINUTES):
                    quotes = await source.quotes_at([asset(ETHER), asset(SHIB)], utc(when + late), soon())
                    amounts = {quote.asset_id: quote.amount for quote in quotes}
                    assert amounts == {ETHER: value, SHIB: Decimal("0.000000004312345678") * value}
                    assert {quote.block_number for quote in quotes} == {None}
            gateway.reset()
            await source.quotes_at([asset(ETHER), asset(SHIB)], utc(ether[0][0] + 1), soon())
    # Beside the search for the block: two tries of the old state, and three steps for all feeds.
    assert gateway.counts.methods.count("eth_call") <= 6


async def test_a_stale_round_of_the_past_is_no_price_of_then(feeds: FeedsOnNode) -> None:
    ((first, _),) = answer(feeds, "ETH/USD", [3_000], 3 * 60 * MINUTES)
    feeds.pass_time(2 * 60 * MINUTES)
    answer(feeds, "ETH/USD", [3_100], 60 * MINUTES)
    async with without_history(feeds) as url:
        for endpoint in (feeds.node.url, url):
            async with chainlink({ETHEREUM: endpoint}) as (source, _):
                assert await source.quotes_at([asset(ETHER)], utc(first + 2 * 60 * MINUTES), soon()) == []


async def test_a_search_goes_back_into_earlier_phases(feeds: FeedsOnNode) -> None:
    told = answer(feeds, "ETH/USD", ANSWERS["ETH/USD"], 10 * MINUTES)
    feeds.pass_time(10 * MINUTES)
    new_phase(feeds, "ETH/USD", "5000.5")
    latest = feeds.latest_round(FEEDS["ETH/USD"])
    assert latest[0] >> 64 == 2
    async with chainlink({ETHEREUM: feeds.node.url}) as (source, _):
        reader = source.rider(ETHEREUM)

        async def at(moment: int) -> Any:
            searches = [round_at(FEEDS["ETH/USD"].proxy, moment)]
            return (await in_step(searches, lambda calls: reader.outcomes(calls, soon())))[0]

        assert (await at(latest[3])).answer == 5_000_5 * 10**7
        for when, value in told:
            assert (await at(when + 1)).answer == value * 10**8
        assert await at(1_000) is None
        points = await source.series(asset(ETHER), utc(told[0][0]), utc(latest[3]), "5m", soon())
    values = [value for _, value in told]
    assert [point.amount for point in points] == [*values, Decimal("5000.5")]


async def test_a_series_has_a_point_per_interval_at_the_time_of_its_round(feeds: FeedsOnNode) -> None:
    told = answer(feeds, "ETH/USD", [1_000 + number for number in range(12)], 10 * MINUTES)
    start, end = told[2][0], told[9][0]
    async with chainlink({ETHEREUM: feeds.node.url}) as (source, _):
        points = await source.series(asset(ETHER), utc(start), utc(end), "5m", soon())
        assert points == [PricePoint(utc(when), value, "chainlink") for when, value in told[2:10]]
        hourly = await source.series(asset(ETHER), utc(start), utc(end), "1h", soon())
        expected = {when // 3_600: value for when, value in told[2:10]}
        assert [point.amount for point in hourly] == list(expected.values())
        assert await source.series(asset(ETHER), utc(1_000), utc(2_000), "1d", soon()) == []
        assert await source.series(asset(SHIB), utc(1_000), utc(2_000), "1d", soon()) == []


async def test_a_series_in_ether_is_told_in_dollars_of_its_time(feeds: FeedsOnNode) -> None:
    expected = []
    for ether, shib in zip(ANSWERS["ETH/USD"], ANSWERS["SHIB/ETH"], strict=False):
        answer(feeds, "ETH/USD", [ether], 5 * MINUTES)
        ((when, _),) = answer(feeds, "SHIB/ETH", [shib], 5 * MINUTES)
        expected.append(PricePoint(utc(when), Decimal(shib) * ether, "chainlink"))
    async with chainlink({ETHEREUM: feeds.node.url}) as (source, _):
        points = await source.series(asset(SHIB), expected[0].at, expected[-1].at, "5m", soon())
    assert points == expected


async def test_a_long_series_is_thinned_and_stays_within_its_requests(
    feeds: FeedsOnNode, open_gateway: OpenGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_ROUNDS", 5)
    told = answer(feeds, "ETH/USD", [1_000 + number for number in range(40)], 10 * MINUTES)
    gateway = await open_gateway(feeds.node.url)
    async with chainlink({ETHEREUM: gateway.url}) as (source, _):
        points = await source.series(asset(ETHER), utc(told[0][0]), utc(told[-1][0]), "5m", soon())
    assert len(points) == 5
    assert {(point.at, point.amount) for point in points} <= {(utc(when), value) for when, value in told}
    assert (points[0].amount, points[-1].amount) == (1_000, 1_039)
    assert gateway.counts.requests <= 6


async def test_a_feed_that_is_none_has_no_past(feeds: FeedsOnNode) -> None:
    now = feeds.now
    for code in (REVERTS, b""):
        set_code(feeds.client, {FEEDS["USDC/USD"].proxy: code})
        async with without_history(feeds) as url, chainlink({ETHEREUM: url}) as (source, _):
            assert await source.quotes_at([asset(USDC)], utc(now - 1), soon()) == []
            assert await source.series(asset(USDC), utc(now - 100), utc(now), "5m", soon()) == ()
            assert not await source.series(asset(SHIB), utc(now - 100), utc(now - 50), "5m", soon())


async def test_an_asset_without_a_feed_has_no_series(feeds: FeedsOnNode) -> None:
    async with chainlink({ETHEREUM: feeds.node.url}) as (source, _):
        nothing = await source.series(asset("eip155:1/erc20:0x00"), utc(0), utc(1), "1d", soon())  # type: ignore[arg-type]
    assert nothing == ()

"""Prices of a past time, by what sources really answer: their nearest points come before or after it."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.fakes.web_api import Asked, Said, web_api
from tests.prices.assets import token

from balance_tracker.core.prices import Price
from balance_tracker.ports import PriceSource
from balance_tracker.prices.coingecko import open_coingecko
from balance_tracker.prices.defillama import open_defillama
from balance_tracker.services.past_prices import PastPrices
from balance_tracker.transport.http import HttpClient

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
DOLLAR = token("ethereum", USDC, coingecko="usd-coin")
AT = datetime(2026, 6, 1, 12, 20, tzinfo=UTC)
"""The points of a chart are ten minutes after it, and fifty before."""
FIRST = datetime(2026, 6, 1, 0, 30, tzinfo=UTC)


def answer(asked: Asked) -> Said:
    if "market_chart" in asked.path:
        rows = [[int((FIRST + timedelta(hours=hour)).timestamp() * 1000), 1 + hour] for hour in range(24)]
        return Said({"prices": rows})
    moment = int(asked.path.split("/")[3]) + 600
    return Said({"coins": {f"ethereum:{USDC}": {"price": 12.5, "timestamp": moment, "symbol": "USDC"}}})


async def priced(*sources: PriceSource) -> Price:
    past = PastPrices(sources)
    found = await past.prices([DOLLAR], AT, "usd", asyncio.get_running_loop().time() + 5)
    await past.close()
    return found[DOLLAR.asset_id]


async def test_a_chart_gives_its_last_point_before_the_time_though_the_next_is_nearer() -> None:
    async with web_api(answer) as api, HttpClient() as http:
        price = await priced(open_coingecko(http, {}, base_url=f"{api.url}/api/v3"))
    assert (price.amount, price.as_of) == (12, AT - timedelta(minutes=50))


async def test_a_point_a_little_after_the_time_is_used_where_there_is_no_other() -> None:
    async with web_api(answer) as api, HttpClient() as http:
        llama = open_defillama(http, {DOLLAR.network: "ethereum"}, base_url=api.url)
        price = await priced(llama)
        both = await priced(llama, open_coingecko(http, {}, base_url=f"{api.url}/api/v3"))
    assert price.as_of == AT + timedelta(minutes=10)
    assert both.sources == ("coingecko", "defillama")

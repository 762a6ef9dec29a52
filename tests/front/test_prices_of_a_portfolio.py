"""One portfolio of 14 networks and 300 assets, priced by the real sources from servers of their shapes.

Half of the tokens have an id of CoinGecko, the others are known by their contract only.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.fakes.readers import ALICE, ScriptedReader, network, token
from tests.fakes.tracker import ScriptedTracker
from tests.fakes.web_api import Asked, Said, WebApi, web_api

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.prices import PriceStatus
from balance_tracker.prices.coingecko import open_coingecko
from balance_tracker.prices.defillama import open_defillama
from balance_tracker.services.serialise import portfolio_json
from balance_tracker.settings import Settings
from balance_tracker.transport.http import HttpClient

NETWORKS = 14
ASSETS = 300
SLUGS = [Slug(f"net{place}") for place in range(NETWORKS)]


def wallet() -> tuple[list[ScriptedReader], list[Asset]]:
    """A coin and 20 or 21 tokens on each network, one whole unit of each."""
    readers, listed = [], []
    for place, slug in enumerate(SLUGS):
        net = network(slug, chain_id=1000 + place, price_ids={"coingecko": f"coin-{place}"})
        net = replace(net, native=replace(net.native, priced_as=AssetId(f"eip155:{1000 + place}/slip44:60")))
        count = (ASSETS - NETWORKS) // NETWORKS + (place < (ASSETS - NETWORKS) % NETWORKS)
        held = [Address(f"0x{place + 1:020x}{number + 1:020x}") for number in range(count)]
        for number, address in enumerate(held):
            ids = {"coingecko": f"token-{place}-{number}"} if number % 2 == 0 else {}
            listed.append(token(net, address, f"T{place}x{number}", price_ids=ids))
        readers.append(ScriptedReader(net, {None: 10**18, **dict.fromkeys(held, 10**6)}))
    return readers, listed


def coingecko(asked: Asked) -> Said:
    now = int(time.time())
    wanted = asked.query.get("ids") or asked.query["contract_addresses"]
    return Said({name: {"usd": 2.5, "last_updated_at": now} for name in wanted.split(",")})


def defillama(asked: Asked) -> Said:
    now = int(time.time()) - 120
    wanted = asked.path.removeprefix("/prices/current/").split(",")
    return Said({"coins": {name: {"price": 2.5, "timestamp": now, "confidence": 0.99} for name in wanted}})


@asynccontextmanager
async def priced_tracker(
    first: Any = coingecko, second: Any = defillama
) -> AsyncIterator[tuple[ScriptedTracker, WebApi, WebApi]]:
    readers, listed = wallet()
    names = {slug: str(slug) for slug in SLUGS}
    async with web_api(first) as gecko, web_api(second) as llama, HttpClient() as http:
        sources = (
            open_coingecko(http, names, base_url=gecko.url),
            open_defillama(http, names, base_url=llama.url),
        )
        tracker = ScriptedTracker(readers, listed, settings=Settings(deadline_seconds=8), prices=sources)
        async with tracker:
            yield tracker, gecko, llama


async def test_300_assets_on_14_networks_take_one_request_per_source_and_100_to_150_assets() -> None:
    async with priced_tracker() as (tracker, gecko, llama):
        portfolio = await tracker.portfolio(ALICE)
        await tracker.portfolio(ALICE)
    assert len(portfolio.holdings) == ASSETS
    assert portfolio.total_value == Decimal("2.5") * ASSETS
    assert portfolio.unpriced == 0
    assert len(gecko.asked) <= ASSETS // 100
    assert len(llama.asked) <= ASSETS // 100


async def test_coingecko_refusing_after_two_calls_takes_nothing_from_the_answer() -> None:
    calls = 0

    def limited(asked: Asked) -> Said:
        nonlocal calls
        calls += 1
        return (
            coingecko(asked)
            if calls <= 2
            else Said({"status": {"error_code": 429}}, 429, {"Retry-After": "60"})
        )

    async with priced_tracker(limited) as (tracker, gecko, _):
        await tracker.prices(["eip155:1000/slip44:60"])
        portfolio = await tracker.portfolio(ALICE)
        assert portfolio.unpriced == 0
        assert len(gecko.asked) <= 4
        assert len((await tracker.portfolio(ALICE)).holdings) == ASSETS


@pytest.mark.parametrize("status", [429, 500])
async def test_one_source_down_leaves_every_price_to_the_other_with_its_age(status: int) -> None:
    async with priced_tracker(lambda _: Said(b"down", status)) as (tracker, _, _):
        portfolio = await tracker.portfolio(ALICE)
        assert tracker.readiness().components["prices"] == "ok"
    assert portfolio.unpriced == 0
    prices = [holding.price for holding in portfolio.holdings if holding.price is not None]
    assert {price.sources for price in prices} == {("defillama",)}
    assert {price.status for price in prices} == {PriceStatus.SINGLE}
    assert all((portfolio.taken_at - price.as_of).total_seconds() >= 119 for price in prices)


async def test_both_down_is_unknown_and_never_zero() -> None:
    def down(_: Asked) -> Said:
        return Said(b"<html>", 502)

    async with priced_tracker(down, down) as (tracker, _, _):
        shape = portfolio_json(await tracker.portfolio(ALICE))
        assert tracker.readiness().components["prices"] == "failed"
    assert (shape["total_value"], shape["unpriced"], shape["complete"]) == (None, ASSETS, True)
    assert {holding["value"] for holding in shape["holdings"]} == {None}

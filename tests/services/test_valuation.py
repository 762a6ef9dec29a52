"""What holdings are worth: exact, sorted, and open about what totals leave out."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import (
    ALICE,
    BASE,
    BLOCK,
    DAI,
    ETHEREUM,
    SOLANA_ALICE,
    STRANGE,
    USDC,
    ScriptedReader,
    network,
    refused,
    token,
)
from tests.fakes.service import NOW, Scene

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address, AssetId
from balance_tracker.core.portfolio import Balance, Portfolio
from balance_tracker.core.prices import Price, PriceStatus, Quote
from balance_tracker.services.freshness import good_for_seconds
from balance_tracker.services.past_prices import PastPrices
from balance_tracker.services.pricing import PriceService
from balance_tracker.services.serialise import portfolio_json
from balance_tracker.services.valuation import NO_VALUE_NOTE, Priced, Valuation, valued

DOLLAR = token(ETHEREUM, USDC, "USDC")
SAI = token(ETHEREUM, DAI, "DAI", 18)
ETH = "eip155:1/slip44:60"
EUR = "swift:0/iso4217:EUR"
AMOUNTS = {ETH: "2000.5", DOLLAR.asset_id: "0.9998"}


def symbols(portfolio: Portfolio) -> list[str | None]:
    return [holding.balance.asset.symbol for holding in portfolio.holdings]


def wallet() -> ScriptedReader:
    return ScriptedReader(ETHEREUM, {None: 10**18, USDC: 5_000_000_000, DAI: 7})


def shape(portfolio: Portfolio, place: int = 0) -> dict[str, Any]:
    return portfolio_json(portfolio)["holdings"][place]  # type: ignore[no-any-return]


async def test_values_are_exact_products_and_the_most_valuable_comes_first() -> None:
    source = ScriptedSource(amounts=AMOUNTS, changes={ETH: "0.25"})
    async with Scene([wallet()], [DOLLAR, SAI], prices=[source]) as scene:
        portfolio = await scene.service.portfolio(ALICE)
    assert symbols(portfolio) == ["USDC", "ETH", "DAI"]
    assert [holding.value for holding in portfolio.holdings] == [Decimal(4999), Decimal("2000.5"), None]
    assert portfolio.total_value == Decimal("6999.5")
    assert portfolio.unpriced == 1
    ether = shape(portfolio, 1)
    assert (ether["value"], ether["value_change_24h"]) == ("2000.5", "400.1")
    assert ether["price"] == {
        "currency": "usd",
        "amount": "2000.5",
        "as_of": "2026-11-22T05:00:00Z",
        "sources": ["coingecko"],
        "spread": "0",
        "confidence": ether["price"]["confidence"],
        "status": "single",
        "stale": False,
    }
    assert shape(portfolio, 2)["price"] is None
    assert portfolio_json(portfolio)["total_value"] == "6999.5"


async def test_a_sum_of_very_large_and_very_small_values_keeps_every_digit() -> None:
    reader = ScriptedReader(ETHEREUM, {None: 1, USDC: 10**40})
    source = ScriptedSource(amounts={ETH: "0.000000000000000001", DOLLAR.asset_id: "1"})
    async with Scene([reader], [DOLLAR], prices=[source]) as scene:
        total = (await scene.service.portfolio(ALICE)).total_value
    assert str(total) == f"1{'0' * 34}.{'0' * 35}1"


async def test_without_a_single_price_the_total_is_not_known_and_nothing_is_zero() -> None:
    source = ScriptedSource(error=refused())
    async with Scene([wallet()], [DOLLAR, SAI], prices=[source]) as scene:
        portfolio = await scene.service.portfolio(ALICE)
    assert symbols(portfolio) == ["ETH", "DAI", "USDC"]
    assert portfolio.total_value is None
    assert portfolio.unpriced == 3
    assert portfolio.complete
    assert portfolio.priced_for_seconds == 30


async def test_dust_is_folded_with_its_value_and_what_has_no_known_value_is_not_dust() -> None:
    reader = ScriptedReader(ETHEREUM, {None: 10**15, USDC: 900_000, DAI: 10**18})
    async with Scene([reader], [DOLLAR, SAI], prices=[ScriptedSource(amounts=AMOUNTS)]) as scene:
        portfolio = await scene.service.portfolio(ALICE, min_value="1")
        all_of_it = await scene.service.portfolio(ALICE)
    assert symbols(portfolio) == ["ETH", "DAI"]
    (folded,) = portfolio_json(portfolio)["excluded"]
    assert (folded["symbol"], folded["reason"], folded["value"]) == ("USDC", "dust", "0.89982")
    assert portfolio.total_value == Decimal("2.0005")
    assert all_of_it.total_value == Decimal("2.0005") + Decimal("0.89982")


async def test_spam_is_never_priced_and_never_adds_to_a_total_even_when_shown() -> None:
    key = f"eip155:1/erc20:{STRANGE}"
    reader = ScriptedReader(
        ETHEREUM, {None: 10**18, STRANGE: 10**24}, metadata={STRANGE: ("GIFT", "claim at gift.xyz", 0)}
    )
    source = ScriptedSource(amounts={**AMOUNTS, key: "1000000"})
    async with Scene([reader], prices=[source]) as scene:
        shown = await scene.service.portfolio(ALICE, tokens=[STRANGE], spam=True)
        hidden = await scene.service.portfolio(ALICE, tokens=[STRANGE])
    assert shown.total_value == hidden.total_value == Decimal("2000.5")
    assert (shown.holdings[1].value, shown.unpriced) == (None, 1)
    assert [(entry.reason, entry.value) for entry in hidden.excluded] == [("spam", None)]
    assert all(key not in asked for asked in source.asked)


async def test_values_come_in_the_currency_asked_for() -> None:
    source = ScriptedSource(amounts={**AMOUNTS, EUR: "1.25"})
    async with Scene([wallet()], [DOLLAR], prices=[source]) as scene:
        portfolio = await scene.service.portfolio(ALICE, currency="EUR")
        unknown = await scene.service.portfolio(ALICE, currency="jpy")
    assert portfolio.total_value == Decimal("5599.6")
    assert shape(portfolio)["price"]["currency"] == "eur"
    assert unknown.total_value is None


async def test_a_past_block_is_valued_at_the_prices_of_its_time() -> None:
    source = ScriptedSource(amounts=AMOUNTS, past={ETH: "300", DOLLAR.asset_id: "1"})
    async with Scene([wallet()], [DOLLAR], prices=[source]) as scene:
        at_block = await scene.service.portfolio(ALICE, ["ethereum"], at=21_000_000)
        again = await scene.service.portfolio(ALICE, ["ethereum"], at=21_000_000)
        at_time = await scene.service.portfolio(ALICE, at=NOW - timedelta(days=300))
        now = await scene.service.portfolio(ALICE)
    assert at_block.total_value == at_time.total_value == Decimal(5300)
    assert now.total_value == Decimal("6999.5")
    price = at_block.holdings[1].price
    assert price is not None
    assert (price.as_of, price.age_seconds, price.stale) == (BLOCK.as_of, 0, False)
    assert again.total_value == at_block.total_value
    assert len(source.asked) == 3


async def test_a_stale_price_and_a_price_past_its_time_tell_their_age() -> None:
    source = ScriptedSource(amounts=AMOUNTS)
    async with Scene([wallet()], [DOLLAR], prices=[source]) as scene:
        fresh = await scene.service.portfolio(ALICE)
        source.error = refused()
        scene.clock.now += 301
        due = await scene.service.portfolio(ALICE)
        await asyncio.sleep(0.01)
        stale = await scene.service.portfolio(ALICE)
    assert "age_seconds" not in shape(fresh)["price"]
    assert (shape(due)["price"]["stale"], shape(due)["price"]["age_seconds"]) == (False, 301)
    assert (shape(stale)["price"]["stale"], shape(stale)["price"]["age_seconds"]) == (True, 301)
    assert stale.total_value == fresh.total_value
    assert [good_for_seconds(one, 600) for one in (due, stale)] == [0, 0]
    assert fresh.priced_for_seconds == 300


async def test_a_disputed_price_shows_what_each_source_said() -> None:
    sources = [
        ScriptedSource("coingecko", amounts={ETH: "2000"}),
        ScriptedSource("chainlink", "oracle", amounts={ETH: "2500"}),
    ]
    async with Scene([ScriptedReader(ETHEREUM, {None: 1})], prices=sources) as scene:
        price = shape(await scene.service.portfolio(ALICE))["price"]
    assert price["status"] == "disputed"
    assert [(quote["source"], quote["amount"]) for quote in price["quotes"]] == [
        ("chainlink", "2500"),
        ("coingecko", "2000"),
    ]


async def test_prices_do_not_wait_for_a_network_that_takes_all_the_time() -> None:
    source = ScriptedSource(amounts=AMOUNTS, delay_seconds=0.02)
    readers = [wallet(), ScriptedReader(BASE, {None: 1}, delay_seconds=60)]
    async with Scene(readers, [DOLLAR], prices=[source], deadline_seconds=0.4) as scene:
        started = asyncio.get_running_loop().time()
        portfolio = await scene.service.portfolio(ALICE)
        assert asyncio.get_running_loop().time() - started < 0.6
    assert portfolio.total_value == Decimal("6999.5")
    assert portfolio.coverage[1].status == "failed"


async def test_a_slow_source_never_delays_the_answer_beyond_the_deadline() -> None:
    source = ScriptedSource(amounts=AMOUNTS, delay_seconds=60)
    async with Scene([wallet()], prices=[source], deadline_seconds=0.2, source_seconds=60) as scene:
        started = asyncio.get_running_loop().time()
        portfolio = await scene.service.portfolio(ALICE)
        assert asyncio.get_running_loop().time() - started < 0.4
    assert portfolio.complete
    assert portfolio.total_value is None


class BrokenPrices(PriceService):
    """Fails in a way that nobody foresaw."""

    async def prices(self, *_: object) -> dict[AssetId, Price]:
        raise ZeroDivisionError("oops")


async def test_what_nobody_foresaw_in_prices_is_recorded_and_harms_no_balance(
    caplog: pytest.LogCaptureFixture,
) -> None:
    valuation = Valuation(BrokenPrices([], ttl_seconds=0), PastPrices([]))
    priced = await valuation.priced([DOLLAR], None, "usd", 0)
    assert (priced.prices, priced.good_for_seconds) == ({}, 0)
    assert "pricing_broke" in caplog.text


async def test_many_wallets_are_priced_by_one_question_for_each_chunk() -> None:
    owners = [f"0x{number:040x}" for number in range(1, 31)]
    reader = ScriptedReader(ETHEREUM, {None: 10**18, USDC: 1_000_000})
    source = ScriptedSource(amounts=AMOUNTS)
    async with Scene([reader], [DOLLAR], prices=[source], owners_per_chunk=10) as scene:
        found = await results(scene, owners)
    totals = {one.total_value for one in found if isinstance(one, Portfolio)}
    assert totals == {Decimal("2001.4998")}
    assert len(found) == 30
    assert len(source.asked) == 1


async def test_many_wallets_have_prices_though_a_network_takes_all_the_time() -> None:
    readers = [wallet(), ScriptedReader(BASE, {None: 1}, delay_seconds=60)]
    source = ScriptedSource(amounts=AMOUNTS)
    async with Scene(readers, [DOLLAR], prices=[source], deadline_seconds=0.4) as scene:
        first, _ = await results(scene, [ALICE, SOLANA_ALICE])
    assert isinstance(first, Portfolio)
    assert first.total_value == Decimal("6999.5")


async def results(scene: Scene, owners: Sequence[str]) -> list[object]:
    async with aclosing(scene.many.portfolios(owners)) as answers:
        return [answer.result async for answer in answers]


def scattered(networks: int, assets: int) -> tuple[list[ScriptedReader], list[Asset]]:
    """So many distinct assets over networks, a native coin on each among them."""
    readers, listed = [], []
    each = (assets - networks) // networks
    for place in range(networks):
        net = network(f"net{place}", chain_id=1000 + place)
        net = replace(net, native=replace(net.native, priced_as=f"eip155:{1000 + place}/slip44:60"))
        count = each + (place < assets % networks)
        held = [Address(f"0x{place:020x}{number:020x}") for number in range(count)]
        listed += [token(net, address, f"T{place}x{number}") for number, address in enumerate(held)]
        readers.append(ScriptedReader(net, {None: 10**18, **dict.fromkeys(held, 10**6)}))
    return readers, listed


async def test_300_assets_of_14_networks_cost_one_request_for_each_source_and_150_assets() -> None:
    readers, listed = scattered(14, 300)
    keys = [asset.asset_id for asset in listed] + [reader.network.native.priced_as for reader in readers]
    amounts = dict.fromkeys(keys, "2")
    sources = [
        ScriptedSource(name, amounts=amounts, per_request=150, delay_seconds=0.05)
        for name in ("coingecko", "coinmarketcap", "defillama")
    ]
    async with Scene(readers, listed, prices=sources) as scene:
        started = asyncio.get_running_loop().time()
        portfolio = await scene.service.portfolio(ALICE)
        assert asyncio.get_running_loop().time() - started < 1
        await scene.service.portfolio(ALICE)
    assert len(set(keys)) == len(portfolio.holdings) == 300
    assert [len(source.asked) for source in sources] == [1, 1, 1]
    assert [source.requests for source in sources] == [2, 2, 2]
    assert portfolio.total_value == 600
    assert portfolio.unpriced == 0


async def test_under_a_limit_of_calls_the_others_fill_in_and_nothing_is_missing() -> None:
    readers, listed = scattered(14, 300)
    keys = [asset.asset_id for asset in listed] + [reader.network.native.priced_as for reader in readers]
    amounts = dict.fromkeys(keys, "2")
    limited = ScriptedSource("coingecko", amounts=amounts, per_request=30, requests_allowed=5)
    other = ScriptedSource("defillama", amounts=amounts, as_of=NOW - timedelta(minutes=9))
    async with Scene(readers, listed, prices=[limited, other]) as scene:
        portfolio = await scene.service.portfolio(ALICE)
    assert portfolio.unpriced == 0
    assert portfolio.total_value == 600
    assert limited.requests == 5
    sources = [holding.price.sources for holding in portfolio.holdings if holding.price is not None]
    assert sources.count(("coingecko", "defillama")) == 150
    assert sources.count(("defillama",)) == 150
    ages = {NOW - holding.price.as_of for holding in portfolio.holdings if holding.price is not None}
    assert ages == {timedelta(minutes=9)}


@pytest.mark.parametrize(("shown", "value"), [("4", None), ("1", Decimal(250)), (None, Decimal(250))])
def test_a_mint_that_shows_another_amount_has_a_price_and_no_value(shown: str | None, value: Any) -> None:
    share = replace(SAI, decimals=8)
    price = Price(
        share.asset_id, "usd", Decimal(250), NOW, ("coingecko",), Decimal(0), Decimal(1), PriceStatus.SINGLE
    )
    holding = valued(Balance(share, 10**8, ui_amount=shown), Priced({share.asset_id: price}))
    assert (holding.value, holding.price) == (value, price)
    assert holding.balance.asset.note == (NO_VALUE_NOTE if value is None else None)
    own = replace(price, quotes=(Quote(share.asset_id, "fixed", "fixed", Decimal(250), NOW),))
    told = valued(Balance(share, 10**8, ui_amount=shown), Priced({share.asset_id: own}))
    assert told.value == 250

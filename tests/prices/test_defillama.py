"""DefiLlama: many coins in few requests, its confidence, its history; on recorded answers."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from tests.fakes.web_api import Asked, Said, web_api
from tests.prices.assets import coin, large_portfolio, native, platforms, token
from tests.prices.contract import AS_OF, SourceContract, soon
from tests.prices.recorded_bodies import Recorded, recorded, specification

from balance_tracker.core.assets import Asset
from balance_tracker.prices.defillama import UNTOLD_CONFIDENCE, DefiLlama, open_defillama
from balance_tracker.transport.http import HttpClient

RECORDED = recorded("defillama")
API = specification("defillama")
USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
HISTORY = "/prices/historical/"
SLUGS = {chain: slug for slug, chain in platforms("defillama").items()}


def opened(http: HttpClient, url: str) -> DefiLlama:
    return open_defillama(http, platforms("defillama"), base_url=url)


def names(asked: Asked) -> list[str]:
    return asked.path.rpartition("/")[2].split(",")


def all_known(asked: Asked) -> Said:
    return Said(
        {
            "coins": {
                name: {"price": 2, "timestamp": AS_OF, "confidence": 0.99, "symbol": "?"}
                for name in names(asked)
            }
        }
    )


def asset_of(name: str) -> Asset:
    chain, _, address = name.partition(":")
    if chain == "coingecko":
        return coin(address)
    return token(SLUGS.get(chain, chain), address)


class TestDefiLlamaKeepsTheContract(SourceContract):
    def known(self) -> Asset:
        return token("ethereum", USDC)

    def unknown(self) -> Asset:
        return token("base", "0x0000000000000000000000000000000000000bad")

    def answer(self, asked: Asked, price: Any, as_of: int | None) -> Said:
        entry = {"price": price, "symbol": "USDC", "decimals": 6, "confidence": 0.99, "timestamp": as_of}
        return Said(
            {"coins": {f"ethereum:{USDC}": {key: entry[key] for key in entry if entry[key] is not None}}}
        )

    def opened(self, http: HttpClient, url: str) -> DefiLlama:
        return opened(http, url)


@pytest.mark.parametrize("answer", RECORDED, ids=lambda answer: answer.url[-50:])
async def test_every_recorded_price_is_right_to_the_digit(answer: Recorded) -> None:
    path = unquote(urlsplit(answer.url).path)
    chains = {**platforms("defillama"), **({"gnosis": "gnosis"} if "gnosis:" in path else {})}
    assets = [asset_of(name) for name in path.rpartition("/")[2].split(",")]
    async with web_api(lambda asked: Said(answer.body)) as api, HttpClient() as http:
        source = open_defillama(http, chains, base_url=api.url)
        if HISTORY in path:
            at = datetime.fromtimestamp(int(path.split("/")[3]), UTC)
            quotes = await source.quotes_at(assets, at, soon())
        else:
            quotes = await source.quotes(assets, soon())
    assert sorted(str(quote.amount) for quote in quotes) == sorted(answer.digits("price"))
    assert sorted(str(int(quote.as_of.timestamp())) for quote in quotes) == sorted(answer.digits("timestamp"))
    told = answer.digits("confidence")
    assert [str(quote.confidence) for quote in quotes] == (told or [str(UNTOLD_CONFIDENCE)] * len(quotes))
    assert unquote(api.asked[0].target.partition("?")[0]) == path


async def test_the_specification_is_asked_and_its_examples_are_read() -> None:
    example = json.dumps(API["/prices/historical/{timestamp}/{coins}"]["example"], default=str)
    body = (
        example.replace('"0.022053735051098835"', "0.022053735051098835").replace('"0.99"', "0.99").encode()
    )
    asset = token("ethereum", "0xdF574c24545E5FfEcb9a659c229253D4111d87e1")
    async with web_api(lambda asked: Said(body)) as api, HttpClient() as http:
        [quote] = await opened(http, api.url).quotes_at(
            [asset], datetime.fromtimestamp(1648680149, UTC), soon()
        )
    assert (quote.amount, quote.confidence) == (Decimal("0.022053735051098835"), Decimal("0.99"))


async def test_a_large_portfolio_takes_three_requests_side_by_side() -> None:
    assets = large_portfolio(300)
    async with web_api(all_known) as api, HttpClient() as http:
        quotes = await opened(http, api.url).quotes(assets, soon())
    assert len(quotes) == 300
    assert len(api.asked) == 3
    assert all(100 <= len(names(asked)) <= 150 for asked in api.asked[:2])
    assert max(len(asked.target) for asked in api.asked) < 8_000


async def test_one_batch_that_fails_takes_nothing_from_the_others() -> None:
    assets = large_portfolio(300)
    first = {"left": True}

    def answer(asked: Asked) -> Said:
        if first.pop("left", False):
            return Said(b"<html>bad gateway</html>", 502)
        return all_known(asked)

    async with web_api(answer) as api, HttpClient() as http:
        quotes = await opened(http, api.url).quotes(assets, soon())
    assert 150 <= len(quotes) < 300


async def test_the_case_of_an_address_that_comes_back_does_not_matter() -> None:
    def answer(asked: Asked) -> Said:
        return Said({"coins": {names(asked)[0].lower(): {"price": 2, "timestamp": AS_OF}}})

    async with web_api(answer) as api, HttpClient() as http:
        [quote] = await opened(http, api.url).quotes([token("ethereum", USDC)], soon())
        assert quote.confidence == UNTOLD_CONFIDENCE
        mint = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
        assert await opened(http, api.url).quotes([token("solana", mint)], soon()) == []


@pytest.mark.parametrize("confidence", [1.2, -0.1, "high", True])
async def test_a_confidence_that_is_none_makes_no_quote(confidence: Any) -> None:
    body = {"coins": {f"ethereum:{USDC}": {"price": 2, "timestamp": AS_OF, "confidence": confidence}}}
    async with web_api(lambda asked: Said(body)) as api, HttpClient() as http:
        assert await opened(http, api.url).quotes([token("ethereum", USDC)], soon()) == []


async def test_a_native_coin_is_asked_by_its_id_and_priced_once_for_all_networks() -> None:
    async with web_api(all_known) as api, HttpClient() as http:
        [quote] = await opened(http, api.url).quotes([native("base")], soon())
    assert quote.asset_id == "eip155:1/slip44:60"
    assert names(api.asked[0]) == ["coingecko:ethereum"]


async def test_a_series_is_asked_in_parts_of_five_hundred_points() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def answer(asked: Asked) -> Said:
        begin, span = int(asked.query["start"]), int(asked.query["span"])
        rows = [{"timestamp": begin + 3600 * step + 7, "price": 2} for step in range(span)]
        return Said({"coins": {names(asked)[0]: {"symbol": "USDC", "confidence": 0.99, "prices": rows}}})

    async with web_api(answer) as api, HttpClient() as http:
        source = opened(http, api.url)
        end = start + timedelta(hours=1200)
        points = await source.series(token("ethereum", USDC), start, end, "1h", soon())
        assert await source.series(token("ethereum", USDC), end, start, "1h", soon()) == []
    assert len(points) == 1200
    assert [asked.query["span"] for asked in api.asked] == ["500", "500", "201"]
    assert {asked.query["period"] for asked in api.asked} == {"1h"}
    assert api.asked[0].path == f"/chart/ethereum:{USDC}"


async def test_a_key_in_the_path_of_its_root_is_never_shown() -> None:
    async with (
        web_api(lambda asked: Said({"message": "no /sEcReT1234567/coins here"}, 404)) as api,
        HttpClient() as http,
    ):
        source = opened(http, f"{api.url}/sEcReT1234567/coins")
        with pytest.raises(Exception, match="no /") as caught:
            await source.quotes([token("ethereum", USDC)], soon())
        assert "sEcReT" not in str(caught.value) + repr(source.host) + repr(source.host.health())
        assert api.asked[0].path.startswith("/sEcReT1234567/coins/prices/current/")

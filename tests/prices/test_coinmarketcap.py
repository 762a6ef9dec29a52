"""CoinMarketCap: ids by contract and never by symbol, kept in a file; quotes; errors with status 200."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.web_api import Asked, Said, web_api
from tests.prices.assets import NETWORKS, coin, native, platforms, token
from tests.prices.contract import AS_OF, KEY, SourceContract, soon
from tests.prices.recorded_bodies import recorded

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.prices.coinmarketcap import IDS_FILE, CoinMarketCap, open_coinmarketcap
from balance_tracker.transport.http import HttpClient

[TEER] = recorded("coinmarketcap")
USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
USDC_ON_BASE = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
OK = {"error_code": 0, "error_message": None}
MAP = [
    {"id": 3408, "symbol": "USDC", "platform": {"id": 1, "name": "Ethereum", "token_address": USDC.lower()}},
    {
        "id": 999,
        "symbol": "USDC",
        "platform": {"id": 14, "name": "BNB Smart Chain (BEP20)", "token_address": "0x" + "9" * 40},
    },
    {"id": 1, "symbol": "BTC", "platform": None},
]
INFO = {
    "3408": {
        "id": 3408,
        "contract_address": [
            {"contract_address": USDC, "platform": {"name": "Ethereum", "coin": {"id": "1027"}}},
            {"contract_address": USDC_ON_BASE, "platform": {"name": "Base", "coin": {"id": "27716"}}},
        ],
    }
}


def quoted(price: Any = 2, as_of: int | None = AS_OF, **more: Any) -> dict[str, Any]:
    entry = {"price": price, "volume_24h": 72743.61342986, "percent_change_24h": -1.5, **more}
    if as_of is not None:
        entry["last_updated"] = f"{datetime.fromtimestamp(as_of, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
    return {"USD": entry}


def service(asked: Asked) -> Said:
    if asked.path == "/v1/cryptocurrency/map":
        return Said({"status": OK, "data": MAP})
    if asked.path == "/v2/cryptocurrency/info":
        if asked.query["address"] == USDC_ON_BASE:
            return Said({"status": OK, "data": INFO})
        return Said({"status": {"error_code": 400, "error_message": 'Invalid value for "address"'}}, 400)
    ids = [int(number) for number in asked.query["id"].split(",")]
    return Said({"status": OK, "data": {str(number): {"id": number, "quote": quoted()} for number in ids}})


def numbered(number: int) -> Asset:
    asset = coin(f"coin-{number}")
    asset.price_ids.clear()
    asset.price_ids["coinmarketcap"] = str(number)
    return asset


class TestCoinMarketCapKeepsTheContract(SourceContract):
    has_key = True

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.data_dir = tmp_path

    def known(self) -> Asset:
        return numbered(1)

    def unknown(self) -> Asset:
        return numbered(2)

    def answer(self, asked: Asked, price: Any, as_of: int | None) -> Said:
        return Said({"status": OK, "data": {"1": {"id": 1, "quote": quoted(price, as_of)}}})

    def opened(self, http: HttpClient, url: str) -> CoinMarketCap:
        return open_coinmarketcap(http, platforms("coinmarketcap"), self.data_dir, api_key=KEY, base_url=url)


def opened(http: HttpClient, url: str, data_dir: Path) -> CoinMarketCap:
    return open_coinmarketcap(http, platforms("coinmarketcap"), data_dir, api_key=KEY, base_url=url)


async def test_the_recorded_price_is_right_to_the_digit(tmp_path: Path) -> None:
    """It is the older version's answer, which has the same shape; one that asked for dollars by their id."""
    [digits] = TEER.digits("price")
    async with web_api(lambda asked: Said(TEER.body)) as api, HttpClient() as http:
        [quote] = await opened(http, api.url, tmp_path).quotes([numbered(13323)], soon())
    assert str(quote.amount) == digits == "4.967298630193371"
    assert quote.as_of == datetime(2022, 1, 13, 17, 42, tzinfo=UTC)
    assert quote.liquidity == Decimal("72743.61342986")
    assert quote.change_24h == Decimal("0.2414973926")


async def test_tokens_are_found_by_network_and_contract_and_kept(tmp_path: Path) -> None:
    assets = [
        token("ethereum", USDC),
        token("base", USDC_ON_BASE),
        token("base", "0x" + "7" * 40),
        native("base"),
    ]
    async with web_api(service) as api, HttpClient() as http:
        quotes = await opened(http, api.url, tmp_path).quotes(assets, soon())
        assert {quote.asset_id for quote in quotes} == {
            assets[0].asset_id,
            assets[1].asset_id,
            "eip155:1/slip44:60",
        }
        paths = [asked.path for asked in api.asked]
        assert paths.count("/v1/cryptocurrency/map") == 1
        assert paths.count("/v2/cryptocurrency/info") == 2
        assert api.asked[-1].query["id"] == "1027,3408"
        api.asked.clear()
        again = await opened(http, api.url, tmp_path).quotes(assets, soon())
    assert len(again) == 3
    assert [asked.path for asked in api.asked] == ["/v2/cryptocurrency/quotes/latest"]
    assert KEY not in (tmp_path / IDS_FILE).read_text()


async def test_the_same_address_on_another_network_is_another_token(tmp_path: Path) -> None:
    """And a symbol is none: the list has two coins called USDC."""
    async with web_api(service) as api, HttpClient() as http:
        assert await opened(http, api.url, tmp_path).quotes([token("polygon", USDC)], soon()) == []
    assert not any("symbol" in asked.query for asked in api.asked)


async def test_three_hundred_known_assets_take_three_requests(tmp_path: Path) -> None:
    async with web_api(service) as api, HttpClient() as http:
        quotes = await opened(http, api.url, tmp_path).quotes([numbered(n) for n in range(1, 301)], soon())
    assert len(quotes) == 300
    assert len(api.asked) == 3


async def test_only_a_few_contracts_are_looked_up_at_a_time(tmp_path: Path) -> None:
    assets = [token("linea", f"0x{number:040x}") for number in range(1, 51)]
    async with web_api(service) as api, HttpClient() as http:
        source = opened(http, api.url, tmp_path)
        assert await source.quotes(assets, soon()) == []
        assert await source.quotes(assets, soon()) == []
    looked_up = [asked.query["address"] for asked in api.asked if asked.path.endswith("/info")]
    assert len(looked_up) == len(set(looked_up)) == 8


async def test_a_broken_file_of_ids_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / IDS_FILE).write_text('{"version": 1, "ids": {"ethereum:x": "no pair"}}')
    async with web_api(service) as api, HttpClient() as http:
        assert len(await opened(http, api.url, tmp_path).quotes([token("ethereum", USDC)], soon())) == 1
    assert json.loads((tmp_path / IDS_FILE).read_text())["ids"][f"ethereum:{USDC.lower()}"][0] == 3408


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        (1001, 401, "unauthorized"),
        (1002, 401, "unauthorized"),
        (1003, 402, "unauthorized"),
        (1006, 403, "unauthorized"),
        (1007, 403, "unauthorized"),
        (1008, 429, "rate_limited"),
        (1010, 429, "rate_limited"),
        (1011, 429, "rate_limited"),
        (400, 400, "request_refused"),
        (500, 500, "bad_response"),
        (1008, 200, "rate_limited"),
        ("1001", 200, "unauthorized"),
        (1006, 200, "unauthorized"),
    ],
)
async def test_errors_are_known_by_their_code_whatever_the_status(
    tmp_path: Path, code: Any, status: int, expected: str
) -> None:
    said = Said({"status": {"error_code": code, "error_message": "no"}, "data": {}}, status)
    async with web_api(lambda asked: said) as api, HttpClient() as http:
        with pytest.raises(UpstreamError) as caught:
            await opened(http, api.url, tmp_path).quotes([numbered(1)], soon())
    assert caught.value.code == expected


async def test_a_spent_allowance_is_not_asked_for_again_within_the_hour(tmp_path: Path) -> None:
    said = Said({"status": {"error_code": 1010, "error_message": "monthly limit"}}, 429)
    async with web_api(lambda asked: said) as api, HttpClient() as http:
        source = opened(http, api.url, tmp_path)
        for _ in range(3):
            with pytest.raises(UpstreamError) as caught:
                await source.quotes([numbered(1)], soon())
        assert (caught.value.retry_after_seconds or 0) > 3000
    assert len(api.asked) == 1


async def test_without_a_map_the_coins_that_are_known_are_priced(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Said:
        return Said(b"", 404) if asked.path.endswith("/map") else service(asked)

    async with web_api(answer) as api, HttpClient() as http:
        quotes = await opened(http, api.url, tmp_path).quotes([native("base"), token("base", USDC)], soon())
    assert [quote.asset_id for quote in quotes] == ["eip155:1/slip44:60"]


async def test_it_keeps_no_history(tmp_path: Path) -> None:
    async with web_api(service) as api, HttpClient() as http:
        source = opened(http, api.url, tmp_path)
        now = datetime.now(UTC)
        assert await source.quotes_at([numbered(1)], now, soon()) == ()
        assert await source.series(numbered(1), now, now, "1h", soon()) == ()
    assert not api.asked


def test_each_shipped_network_has_a_name_there() -> None:
    assert len({name.casefold() for name in platforms("coinmarketcap").values()}) == len(NETWORKS)


async def test_a_map_that_was_cut_off_goes_on_where_it_ended(tmp_path: Path) -> None:
    page = [{"id": number, "platform": None} for number in range(1, 5_001)]
    fails = [True]

    def answer(asked: Asked) -> Said:
        if not asked.path.endswith("/map"):
            return Said({"status": {"error_code": 400, "error_message": "unknown"}}, 400)
        if asked.query["start"] == "1":
            return Said({"status": {"error_code": 0}, "data": page})
        return Said(b"", 503) if fails[0] else Said({"status": {"error_code": 0}, "data": []})

    async with web_api(answer) as api, HttpClient() as http:
        with pytest.raises(UpstreamError):
            await opened(http, api.url, tmp_path).quotes([token("ethereum", USDC)], soon())
        fails[0] = False
        assert await opened(http, api.url, tmp_path).quotes([token("ethereum", USDC)], soon()) == []
    starts = [asked.query["start"] for asked in api.asked if asked.path.endswith("/map")]
    assert starts == ["1", "5001", "5001"]

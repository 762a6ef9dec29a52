"""CoinGecko: ids and contracts in few requests, keys and hosts, limits, history; on recorded answers."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.fakes.web_api import Asked, Said, web_api
from tests.prices.assets import coin, large_portfolio, native, platforms, token
from tests.prices.contract import AS_OF, KEY, SourceContract, soon
from tests.prices.recorded_bodies import Recorded, parameters, recorded, specification

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.money import CURRENCY_ASSETS
from balance_tracker.prices.coingecko import PRO_URL, PUBLIC_URL, CoinGecko, open_coingecko
from balance_tracker.transport.api_host import ApiHost
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.memory import MemoryFile

RECORDED = recorded("coingecko")
API = specification("coingecko")
USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"


def entry(price: Any = 2, as_of: int | None = AS_OF, **more: Any) -> dict[str, Any]:
    return {"usd": price, **({} if as_of is None else {"last_updated_at": as_of}), **more}


def path_of(asked: Asked) -> str:
    """The path as the specification has it."""
    rest = asked.path.removeprefix("/api/v3")
    rest = re.sub(r"^/simple/token_price/[^/]+$", "/simple/token_price/{id}", rest)
    rest = re.sub(r"^/coins/[^/]+/contract/[^/]+/", "/coins/{id}/contract/{contract_address}/", rest)
    return re.sub(r"^/coins/[^/{]+/market", "/coins/{id}/market", rest)


def by_the_book(asked: Asked) -> Said:
    """Answers as the specification says: refuses parameters that it does not have, or that lack."""
    path = path_of(asked)
    if path not in API:
        return Said({"error": "Incorrect path. Please check https://docs.coingecko.com/"}, 404)
    known, needed = parameters(API, path)
    if not asked.query.keys() <= known or not needed <= asked.query.keys():
        return Said({"error": "Invalid parameters"}, 400)
    if path.startswith("/coins"):
        return Said(
            json.dumps(API[path]["example"], default=str)
            .replace('"', "")
            .replace("prices", '"prices"')
            .replace("market_caps", '"market_caps"')
            .replace("total_volumes", '"total_volumes"')
            .encode()
        )
    names = asked.query.get("ids", asked.query.get("contract_addresses", "")).lower().split(",")
    return Said(
        {name: entry(3, usd_24h_change=-1.4093297098441402, usd_24h_vol=29096603418) for name in names}
    )


class TestCoinGeckoKeepsTheContract(SourceContract):
    has_key = True

    def known(self) -> Asset:
        return coin("bitcoin")

    def unknown(self) -> Asset:
        return coin("no-such-coin")

    def answer(self, asked: Asked, price: Any, as_of: int | None) -> Said:
        return Said({"bitcoin": entry(price, as_of)})

    def opened(self, http: HttpClient, url: str) -> CoinGecko:
        return open_coingecko(http, platforms("coingecko"), api_key=KEY, base_url=f"{url}/api/v3")


def keyless(http: HttpClient, url: str, **more: Any) -> CoinGecko:
    return CoinGecko([ApiHost("coingecko", f"{url}/api/v3", http, **more)], platforms("coingecko"))


@pytest.mark.parametrize("answer", RECORDED, ids=lambda answer: f"{answer.url[-40:]} {answer.recorded_at:%F}")
async def test_every_recorded_price_is_right_to_the_digit(answer: Recorded) -> None:
    query = parse_qs(urlsplit(answer.url).query)
    [identifier], [currency] = query["ids"], query["vs_currencies"]
    [digits] = answer.digits(currency)
    assert answer.recorded_at is not None
    stamp = f', "last_updated_at": {int(answer.recorded_at.timestamp())}}}}}'
    body = answer.body.decode().replace("}}", stamp).replace(f'"{currency}"', '"usd"').encode()
    async with web_api(lambda asked: Said(body)) as api, HttpClient() as http:
        [quote] = await keyless(http, api.url).quotes([coin(identifier)], soon())
    assert str(quote.amount) == digits
    assert quote.as_of == answer.recorded_at


async def test_the_recorded_answers_without_a_time_are_no_quotes() -> None:
    """They were asked without it; ours asks for it, and a number of no known age is not current."""
    for answer in RECORDED:
        async with web_api(lambda asked, answer=answer: Said(answer.body)) as api, HttpClient() as http:
            [identifier] = parse_qs(urlsplit(answer.url).query)["ids"]
            assert await keyless(http, api.url).quotes([coin(identifier)], soon()) == []


async def test_it_asks_as_the_specification_says_and_reads_its_examples() -> None:
    body = json.dumps(API["/simple/price"]["example"], default=str).encode()
    body = re.sub(rb'"(-?[0-9.]+)"', rb"\1", body)
    async with web_api(lambda asked: Said(body)) as api, HttpClient() as http:
        [quote] = await keyless(http, api.url).quotes([coin("bitcoin")], soon())
        assert (quote.amount, quote.as_of) == (76975, datetime.fromtimestamp(1779092258, UTC))
        assert quote.change_24h == Decimal("-0.014093297098441402")
        assert quote.liquidity == Decimal("29096603418.89408")
        api.answer = by_the_book
        tokens = [coin("bitcoin"), token("ethereum", USDC), token("base", USDC)]
        assert len(await keyless(http, api.url).quotes(tokens, soon())) == 2  # one network at a time
        [asked, _] = [one for one in api.asked if "ids" in one.query or "contract_addresses" in one.query][1:]
    assert asked.query["include_last_updated_at"] == "true"
    assert asked.query["precision"] == "full"


async def test_a_large_portfolio_takes_one_request_for_each_hundred_assets_at_most() -> None:
    assets = large_portfolio(300)
    async with web_api(by_the_book) as api, HttpClient() as http:
        quotes = await keyless(http, api.url).quotes(assets, soon())
    assert len(api.asked) <= 3
    assert len(quotes) > 250
    assert len({quote.asset_id for quote in quotes}) == len(quotes)


async def test_contracts_take_no_more_requests_either_and_networks_come_by_turns() -> None:
    slugs = [slug for slug in platforms("coingecko") if slug != "solana"]
    assets = [token(slug, f"0x{number:040x}") for slug in slugs for number in range(1, 22)][:290]
    async with web_api(by_the_book) as api, HttpClient() as http:
        source = keyless(http, api.url)
        seen = {quote.asset_id for _ in range(5) for quote in await source.quotes(assets, soon())}
    assert len(api.asked) == 15
    assert len(seen) == 290


async def test_one_contract_beside_ids_is_asked_too() -> None:
    async with web_api(by_the_book) as api, HttpClient() as http:
        quotes = await keyless(http, api.url).quotes([native("base"), token("base", USDC)], soon())
    assert len(quotes) == 2
    assert len(api.asked) == 2


async def test_several_assets_of_one_id_are_asked_once() -> None:
    assets = [token("base", USDC, coingecko="usd-coin"), token("ethereum", USDC, coingecko="usd-coin")]
    async with web_api(by_the_book) as api, HttpClient() as http:
        quotes = await keyless(http, api.url).quotes(assets, soon())
    assert [quote.asset_id for quote in quotes] == [asset.asset_id for asset in assets]
    assert [asked.query["ids"] for asked in api.asked] == ["usd-coin"]


async def test_how_many_contracts_it_takes_at_once_is_learnt_from_its_refusal() -> None:
    def answer(asked: Asked) -> Said:
        if asked.query["contract_addresses"].count(",") > 1:
            message = "Number of contract addresses in the request exceeds the allowed limit (2 addresses)."
            return Said({"error_code": 10012, "status": {"error_message": message}}, 400)
        return by_the_book(asked)

    assets = [token("base", f"0x{number:040x}") for number in range(1, 6)]
    async with web_api(answer) as api, HttpClient() as http:
        source = keyless(http, api.url)
        assert len(await source.quotes(assets, soon())) == 2
        assert len(await source.quotes(assets, soon())) == 2
    assert [asked.query["contract_addresses"].count(",") + 1 for asked in api.asked] == [5, 2, 2]


async def test_addresses_are_found_in_any_case_but_solana_keeps_its_own() -> None:
    mint = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
    body = {USDC.lower(): entry(), mint: entry(3)}
    async with web_api(lambda asked: Said(body)) as api, HttpClient() as http:
        source = keyless(http, api.url)
        assert len(await source.quotes([token("ethereum", USDC)], soon())) == 1
        assert len(await source.quotes([token("solana", mint)], soon())) == 1
    assert [asked.path for asked in api.asked] == [
        "/api/v3/simple/token_price/ethereum",
        "/api/v3/simple/token_price/solana",
    ]


async def test_a_coin_may_be_called_status_or_error() -> None:
    body = {"status": entry(Decimal(2).__int__()), "error": entry(4)}
    async with web_api(lambda asked: Said(body)) as api, HttpClient() as http:
        quotes = await keyless(http, api.url).quotes([coin("status"), coin("error")], soon())
    assert [quote.amount for quote in quotes] == [2, 4]


async def test_under_five_calls_a_minute_it_stays_within_them_and_answers_what_it_has() -> None:
    async with web_api(by_the_book) as api, HttpClient() as http:
        source = keyless(http, api.url, per_minute=5)
        assert len(await source.quotes(large_portfolio(300), soon())) > 250
        outcomes = []
        for number in range(10):
            try:
                outcomes.append(len(await source.quotes([coin(f"coin-{number}")], soon())))
            except UpstreamError as error:
                outcomes.append(error.code)
    assert set(outcomes[-7:]) == {"rate_limited"}
    assert len(api.asked) == 5


async def test_a_limit_that_nobody_told_is_learnt_from_one_refusal() -> None:
    allowed = 5

    def answer(asked: Asked) -> Said:
        if len(api.asked) > allowed:
            said = {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}}
            return Said(said, 429)
        return by_the_book(asked)

    async with web_api(answer) as api, HttpClient() as http:
        source = keyless(http, api.url)
        outcomes = []
        for number in range(12):
            try:
                outcomes.append(len(await source.quotes([coin(f"coin-{number}")], soon())))
            except UpstreamError as error:
                outcomes.append(error.code)
    assert outcomes == [1] * 5 + ["rate_limited"] * 7
    assert len(api.asked) == allowed + 1


@pytest.mark.parametrize(
    ("key", "base_url", "urls", "headers"),
    [
        (None, None, [PUBLIC_URL], [{}]),
        (KEY, None, [PUBLIC_URL, PRO_URL], [{"x-cg-demo-api-key": KEY}, {"x-cg-pro-api-key": KEY}]),
        (KEY, PRO_URL, [PRO_URL], [{"x-cg-pro-api-key": KEY}]),
        (KEY, PUBLIC_URL, [PUBLIC_URL], [{"x-cg-demo-api-key": KEY}]),
        (
            KEY,
            "http://own.example/api/v3",
            ["http://own.example/api/v3"],
            [{"x-cg-demo-api-key": KEY, "x-cg-pro-api-key": KEY}],
        ),
    ],
)
def test_hosts_and_headers_follow_the_key(
    key: str | None, base_url: str | None, urls: list[str], headers: list[Mapping[str, str]]
) -> None:
    source = open_coingecko(HttpClient(), {}, api_key=key, base_url=base_url)
    assert [host._base_url for host in source._hosts] == urls
    assert [host._headers for host in source._hosts] == headers


async def test_a_key_of_the_other_plan_goes_to_the_other_host() -> None:
    wrong = {"error_code": 10010, "status": {"error_message": "change your root URL to pro-api"}}
    async with (
        web_api(lambda asked: Said(wrong, 400)) as demo,
        web_api(by_the_book) as pro,
        HttpClient() as http,
    ):
        hosts = [ApiHost("coingecko", f"{api.url}/api/v3", http, explain=_explain()) for api in (demo, pro)]
        source = CoinGecko(hosts, {})
        for _ in range(2):
            assert len(await source.quotes([coin("bitcoin")], soon())) == 1
    assert (len(demo.asked), len(pro.asked)) == (1, 2)


def _explain() -> Any:
    from balance_tracker.prices.coingecko_errors import explain  # noqa: PLC0415

    return explain


async def test_fiat_currencies_are_told_by_a_coin_in_the_same_request() -> None:
    figures = {
        "usd": 75000,
        "eur": 60000,
        "usd_24h_change": 10,
        "eur_24h_change": 0,
        "last_updated_at": AS_OF,
    }
    async with web_api(lambda asked: Said({"bitcoin": figures})) as api, HttpClient() as http:
        assets = [CURRENCY_ASSETS["eur"], CURRENCY_ASSETS["gbp"], CURRENCY_ASSETS["btc"]]
        [bitcoin, euro] = await keyless(http, api.url).quotes(assets, soon())
    assert (bitcoin.amount, euro.amount, euro.change_24h) == (75000, Decimal("1.25"), Decimal("0.1"))
    assert euro.asset_id == "swift:0/iso4217:EUR"
    assert [asked.query["vs_currencies"] for asked in api.asked] == ["usd,eur,gbp"]


async def test_a_past_price_is_the_nearest_point_and_tells_its_time() -> None:
    at = datetime(2026, 5, 17, 14, 30, tzinfo=UTC)
    rows = [
        [int((at + timedelta(minutes=minutes)).timestamp() * 1000), 100 + minutes]
        for minutes in (-50, -4, 30)
    ]
    async with web_api(lambda asked: Said({"prices": rows})) as api, HttpClient() as http:
        [quote] = await keyless(http, api.url).quotes_at([coin("bitcoin")], at, soon())
        api.answer = lambda asked: Said({"error": "coin not found"}, 404)
        assert await keyless(http, api.url).quotes_at([coin("gone")], at, soon()) == []
    assert (quote.amount, quote.as_of) == (96, at - timedelta(minutes=4))
    assert api.asked[0].path == "/api/v3/coins/bitcoin/market_chart/range"


async def test_a_past_that_the_plan_does_not_reach_is_none_and_harms_no_current_price() -> None:
    said = {"error_code": 10012, "error_message": "Your request exceeds the allowed time range (365 days)."}

    def answer(asked: Asked) -> Said:
        return Said({"error": {"status": said}}, 401) if "chart" in asked.path else by_the_book(asked)

    async with web_api(answer) as api, HttpClient() as http:
        source = open_coingecko(http, {}, api_key=KEY, base_url=f"{api.url}/api/v3")
        at = datetime(2014, 1, 1, tzinfo=UTC)
        assert await source.quotes_at([coin("bitcoin")], at, soon()) == []
        assert await source.series(coin("bitcoin"), at, at + timedelta(days=1), "1h", soon()) == []
        assert len(await source.quotes([coin("bitcoin")], soon())) == 1


async def test_a_series_is_thinned_to_its_interval() -> None:
    start = datetime(2026, 5, 17, tzinfo=UTC)
    rows = [[int((start + timedelta(minutes=5 * step)).timestamp() * 1000), 100 + step] for step in range(37)]
    async with web_api(lambda asked: Said({"prices": rows})) as api, HttpClient() as http:
        source = keyless(http, api.url)
        points = await source.series(token("ethereum", USDC), start, start + timedelta(hours=2), "1h", soon())
        fine = await source.series(coin("bitcoin"), start, start + timedelta(hours=2), "5m", soon())
    assert [point.amount for point in points] == [100, 112, 124]
    assert len(fine) == 25
    assert api.asked[0].path == f"/api/v3/coins/ethereum/contract/{USDC}/market_chart/range"
    assert api.asked[0].query["from"] == str(int(start.timestamp()))


async def test_the_series_of_a_currency_comes_of_two_charts() -> None:
    start = datetime(2026, 5, 17, tzinfo=UTC)

    def answer(asked: Asked) -> Said:
        price = 75000 if asked.query["vs_currency"] == "usd" else 60000
        return Said(
            {"prices": [[int(start.timestamp() * 1000) + 3_600_000 * hour, price] for hour in range(3)]}
        )

    async with web_api(answer) as api, HttpClient() as http:
        points = await keyless(http, api.url).series(
            CURRENCY_ASSETS["eur"], start, start + timedelta(hours=2), "1h", soon()
        )
    assert [point.amount for point in points] == [Decimal("1.25")] * 3
    assert len(api.asked) == 2


async def test_what_it_learnt_is_kept_over_a_restart(tmp_path: Path) -> None:
    message = "Number of contract addresses in the request exceeds the allowed limit of 1 contract address."

    def answer(asked: Asked) -> Said:
        if "," in asked.query["contract_addresses"]:
            return Said({"error_code": 10012, "status": {"error_message": message}}, 400)
        return by_the_book(asked)

    assets = [token("base", f"0x{number:040x}") for number in range(1, 4)]
    async with web_api(answer) as api, HttpClient() as http:
        for _ in range(2):
            async with MemoryFile(tmp_path / "endpoints.json") as memories:
                source = open_coingecko(
                    http, platforms("coingecko"), base_url=f"{api.url}/api/v3", memories=memories
                )
                assert len(await source.quotes(assets, soon())) == 1
    assert [asked.query["contract_addresses"].count(",") for asked in api.asked] == [2, 0, 0]


@pytest.mark.parametrize("odd", [b"null", b'{"usd":1e99999999999999999999,"last_updated_at":1}'])
async def test_one_coin_that_is_null_or_absurd_loses_no_other(odd: bytes) -> None:
    body = b'{"odd":' + odd + b',"bitcoin":{"usd":75000,"last_updated_at":%d}}' % AS_OF
    async with web_api(lambda asked: Said(body)) as api, HttpClient() as http:
        quotes = await keyless(http, api.url).quotes([coin("bitcoin"), coin("odd")], soon())
    assert [quote.amount for quote in quotes] == [75000]

"""``GET /prices`` and ``GET /prices/history``, and prices in ``GET /balances``."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.fakes.prices import ScriptedSource, points
from tests.fakes.readers import ALICE, USDC, refused
from tests.fakes.service import Clock
from tests.fakes.tracker import ScriptedTracker, opened, three_networks

from balance_tracker.api import examples, schemas
from balance_tracker.api.app import create_app
from balance_tracker.settings import Settings

ETH = "eip155:1/slip44:60"
DOLLAR = f"eip155:1/erc20:{USDC}"
EUR = "swift:0/iso4217:EUR"
HOUR = timedelta(hours=1)


def source(**more: Any) -> ScriptedSource:
    amounts = {ETH: "2000", DOLLAR: "1", EUR: "1.25"}
    return ScriptedSource(amounts=amounts, as_of=datetime.now(UTC), **more)


@contextmanager
def client(*prices: ScriptedSource, clock: Clock | None = None, **settings: Any) -> Iterator[TestClient]:
    clock = clock or Clock()
    chosen = Settings(deadline_seconds=2, **settings)
    tracker = ScriptedTracker(three_networks(), settings=chosen, clock=clock, prices=prices)
    app = create_app(open_tracker=lambda: opened(tracker), clock=clock)
    with TestClient(app, raise_server_exceptions=False) as open_client:
        yield open_client


def test_every_asset_asked_for_is_in_the_answer_and_unknown_is_null() -> None:
    asked = [ETH, DOLLAR, f"eip155:1/erc20:0x{7:040x}", "eip155:999/slip44:60"]
    with client(source()) as api:
        answer = api.get("/prices", params={"assets": ",".join(asked)})
    body = answer.json()
    assert answer.status_code == 200
    schemas.Prices.model_validate(body)
    assert body["currency"] == "usd"
    assert [entry["asset_id"] for entry in body["prices"]] == asked
    assert [entry["price"] and entry["price"]["amount"] for entry in body["prices"]] == [
        "2000",
        "1",
        None,
        None,
    ]
    assert body["prices"][0]["price"]["age_seconds"] == 0


def test_prices_come_in_the_currency_asked_for() -> None:
    with client(source()) as api:
        body = api.get(f"/prices?assets={ETH},{EUR}&currency=EUR").json()
    assert [(entry["price"]["currency"], entry["price"]["amount"]) for entry in body["prices"]] == [
        ("eur", "1600"),
        ("eur", "1"),
    ]


def test_an_outage_is_the_last_price_as_stale_and_a_start_in_one_is_null() -> None:
    clock, feed = Clock(), source()
    with client(feed, clock=clock) as api:
        api.get(f"/prices?assets={ETH}")
        feed.error = refused()
        clock.now += 1000
        price = api.get(f"/prices?assets={ETH}").json()["prices"][0]["price"]
        unknown = api.get(f"/prices?assets={DOLLAR}").json()["prices"][0]["price"]
    assert (price["amount"], price["stale"], price["age_seconds"]) == ("2000", True, 1000)
    assert unknown is None


def test_without_sources_everything_is_null_and_readiness_names_no_prices() -> None:
    with client() as api:
        assert api.get(f"/prices?assets={ETH}").json()["prices"] == [{"asset_id": ETH, "price": None}]
        assert "prices" not in api.get("/ready").json()["components"]


def test_readiness_names_the_prices_and_their_failing_does_not_end_it() -> None:
    feed = source()
    with client(feed, price_ttl_seconds=0) as api:
        states = [api.get("/ready").json()["components"]["prices"]]
        for error in (None, refused()):
            feed.error = error
            api.get(f"/prices?assets={ETH}")
            ready = api.get("/ready")
            states.append(ready.json()["components"]["prices"])
    assert states == ["unknown", "ok", "failed"]
    assert ready.status_code == 200


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "missing_parameter"),
        ("assets=usdc", "invalid_asset"),
        (f"assets={ETH}&currency=doge", "invalid_currency"),
        (f"assets={ETH}&currencies=usd", "unknown_parameter"),
        (f"assets={ETH}&assets={ETH}", "repeated_parameter"),
        ("assets=" + ",".join(f"eip155:1/erc20:0x{number:040x}" for number in range(151)), "too_many_assets"),
    ],
)
def test_a_wrong_question_about_prices_is_a_problem_with_a_hint(query: str, code: str) -> None:
    with client(source()) as api:
        answer = api.get(f"/prices?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert code == "missing_parameter" or answer.json()["hint"]


def test_a_series_has_its_points_sources_and_gaps() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    feed = source(points={ETH: points("coingecko", start, 3)})
    with client(feed) as api:
        answer = api.get(
            "/prices/history", params={"asset": ETH, "from": start.isoformat(), "to": "2026-01-01T04:00:00Z"}
        )
    body = answer.json()
    assert answer.status_code == 200, answer.text
    schemas.PriceHistory.model_validate(body)
    assert (body["asset_id"], body["interval"], body["from"]) == (ETH, "1h", "2026-01-01T00:00:00Z")
    assert [(point["at"], point["amount"]) for point in body["points"]] == [
        ("2026-01-01T00:00:00Z", "100"),
        ("2026-01-01T01:00:00Z", "101"),
        ("2026-01-01T02:00:00Z", "102"),
    ]
    assert body["gaps"] == [{"from": "2026-01-01T03:00:00Z", "to": "2026-01-01T04:00:00Z"}]
    assert body["failed"] == []


def test_a_series_without_times_is_the_last_168_intervals() -> None:
    with client(source()) as api:
        body = api.get(f"/prices/history?asset={ETH}&interval=5m").json()
    start, end = (datetime.fromisoformat(body[name]) for name in ("from", "to"))
    assert timedelta(minutes=5 * 168) <= end - start <= timedelta(minutes=5 * 170)


def test_a_series_that_nobody_answers_is_a_502_and_no_empty_one() -> None:
    with client(source(error=refused())) as api:
        answer = api.get(f"/prices/history?asset={ETH}")
    assert (answer.status_code, answer.json()["code"]) == (502, "nothing_obtained")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("asset=eth", "invalid_asset"),
        ("asset=eip155:999/slip44:60", "unknown_asset"),
        (f"asset={ETH}&interval=1w", "invalid_interval"),
        (f"asset={ETH}&from=yesterday", "invalid_time"),
        (f"asset={ETH}&to=9999-12-31T23:59:59-23:59", "invalid_time"),
        (f"asset={ETH}&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "invalid_range"),
        (f"asset={ETH}&from=2020-01-01T00:00:00Z&interval=5m", "invalid_range"),
        (f"asset={ETH}&start=2020-01-01T00:00:00Z", "unknown_parameter"),
        (f"asset={ETH}&currency=doge", "invalid_currency"),
    ],
)
def test_a_wrong_question_about_the_past_is_a_problem_with_a_hint(query: str, code: str) -> None:
    with client(source()) as api:
        answer = api.get(f"/prices/history?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["hint"]


def test_balances_have_prices_values_and_a_total() -> None:
    with client(source()) as api:
        body = api.get(f"/balances?address={ALICE}").json()
    schemas.Balances.model_validate(body)
    assert [(h["network"], h["symbol"], h["value"]) for h in body["holdings"]] == [
        ("ethereum", "ETH", "6000"),
        ("base", "ETH", "200"),
        ("ethereum", "USDC", "1.5"),
    ]
    assert (body["total_value"], body["unpriced"]) == ("6201.5", 0)
    assert Decimal(body["holdings"][0]["price"]["confidence"]) <= 1


def test_a_stored_answer_stands_no_longer_than_its_prices() -> None:
    clock, feed = Clock(), source()
    with client(feed, clock=clock, balance_ttl_seconds=600, price_ttl_seconds=120) as api:
        first = api.get(f"/balances?address={ALICE}")
        clock.now += 100
        stored = api.get(f"/balances?address={ALICE}")
        again = api.get(f"/balances?address={ALICE}", headers={"if-none-match": first.headers["etag"]})
        clock.now += 19
        feed.amounts[ETH] = "3000"
        last = api.get(f"/balances?address={ALICE}")
        clock.now += 2
        due = api.get(f"/balances?address={ALICE}")
    assert [answer.headers["cache-control"] for answer in (stored, last, due)] == [
        "private, max-age=5",
        "private, max-age=1",
        "private, max-age=0",
    ]
    assert again.status_code == 304
    assert due.json()["holdings"][0]["price"]["age_seconds"] == 121


def test_the_examples_of_prices_have_the_shapes_that_are_answered() -> None:
    schemas.Prices.model_validate(examples.PRICES)
    schemas.PriceHistory.model_validate(examples.PRICE_HISTORY)
    schemas.Balances.model_validate(examples.BALANCES)


def test_an_absurd_change_of_a_day_ends_no_answer_in_any_currency() -> None:
    feed = source(changes={ETH: "-0." + "9" * 34, DOLLAR: "0.001"})
    with client(feed) as api:
        for currency in ("usd", "eur", "eth"):
            answer = api.get("/prices", params={"assets": f"{ETH},{DOLLAR}", "currency": currency})
            assert answer.status_code == 200
            assert all(entry["price"] for entry in answer.json()["prices"])
            balances = api.get("/balances", params={"address": ALICE, "currency": currency})
            assert balances.json()["total_value"] is not None


def test_the_same_history_up_to_now_is_asked_for_once() -> None:
    feed = source()
    with client(feed) as api:
        for _ in range(5):
            assert api.get("/prices/history", params={"asset": ETH}).status_code == 200
    assert len(feed.asked) == 1

"""``GET /defi`` and ``GET /portfolio``: the contract's shapes, and what can't be asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import ALICE, BASE, ETHEREUM, SOLANA, SOLANA_ALICE, ScriptedReader, refused
from tests.fakes.tracker import ScriptedTracker, opened
from tests.services.test_whole import DOLLAR, LISTED, PRICES, lender, lent

from balance_tracker.api import whole_examples, whole_schemas
from balance_tracker.api.app import create_app
from balance_tracker.core.positions import ProtocolFailure

OWNER = f"0x{0xB0B:040x}"


@contextmanager
def client(*readers: ScriptedReader) -> Iterator[TestClient]:
    source = ScriptedSource(amounts=PRICES, as_of=datetime.now(UTC))
    tracker = ScriptedTracker(readers or (lender(), ScriptedReader(SOLANA)), LISTED, prices=[source])
    app = create_app(open_tracker=lambda: opened(tracker))
    with TestClient(app, raise_server_exceptions=False) as open_client:
        yield open_client


def get(api: TestClient, route: str, **params: str) -> tuple[int, dict[str, Any]]:
    answer = api.get(route, params=params)
    return answer.status_code, answer.json()


def test_a_portfolio_counts_nothing_twice_and_subtracts_debts() -> None:
    with client() as api:
        status, body = get(api, "/portfolio", address=ALICE)
    assert status == 200
    whole_schemas.Whole.model_validate(body)
    assert (body["addresses"], body["total_value"], body["complete"]) == ([ALICE], "2450", True)
    assert body["totals"]["by_network"] == {"ethereum": "2450"}
    assert [one["reason"] for one in body["excluded"]] == ["in_position"]


def test_a_portfolio_of_several_addresses_of_both_families() -> None:
    with client() as api:
        status, body = get(api, "/portfolio", address=f"{ALICE},{SOLANA_ALICE},{ALICE}")
    assert status == 200
    assert body["addresses"] == [ALICE, SOLANA_ALICE]
    assert [one["network"] for one in body["coverage"]] == ["ethereum", "solana"]


def test_positions_are_in_the_underlying_with_their_health() -> None:
    with client() as api:
        status, body = get(api, "/defi", address=ALICE, protocols="aave_v3")
    assert status == 200
    whole_schemas.Positions.model_validate(body)
    [position] = body["positions"]
    assert position["supplied"][0]["asset_id"] == DOLLAR.asset_id
    assert (position["health_factor"], position["net_value"]) == ("2.5", "400")
    assert body["coverage"][0]["protocols"] == {"asked": 1, "answered": 1, "failed": []}


def test_a_failed_protocol_is_declared_and_the_rest_is_answered() -> None:
    reader = lender()
    reader.protocol_failures = (ProtocolFailure("lido", "Withdrawal queue", "reverted", "paused"),)
    with client(reader) as api:
        status, body = get(api, "/defi", address=ALICE)
    whole_schemas.Positions.model_validate(body)
    assert (status, body["complete"], body["coverage"][0]["status"]) == (200, False, "partial")
    [failed] = body["coverage"][0]["protocols"]["failed"]
    assert (failed["protocol"], failed["markets"][0]["market"]) == ("lido", "Withdrawal queue")
    assert len(body["positions"]) == 1


@pytest.mark.parametrize("route", ["/defi", "/portfolio"])
def test_where_no_network_answered_it_is_a_502_with_the_reasons(route: str) -> None:
    with client(ScriptedReader(ETHEREUM, error=refused())) as api:
        status, body = get(api, route, address=ALICE)
    assert (status, body["code"]) == (502, "nothing_obtained")
    assert body["coverage"][0]["status"] == "failed"
    assert "key-1" not in str(body)


def test_one_network_down_is_still_an_answer() -> None:
    with client(lender(), ScriptedReader(BASE, error=refused())) as api:
        status, body = get(api, "/portfolio", address=ALICE)
    assert (status, body["complete"], body["total_value"]) == (200, False, "2450")
    assert body["totals"]["by_network"] == {"ethereum": "2450", "base": None}


@pytest.mark.parametrize(
    ("route", "params", "code"),
    [
        ("/defi", {"address": f"{ALICE},{OWNER}"}, "invalid_address"),
        ("/defi", {"address": ALICE, "protocols": "aave_v9"}, "unknown_protocol"),
        ("/defi", {"address": ALICE, "tokens": ALICE}, "unknown_parameter"),
        ("/portfolio", {"address": ""}, "invalid_address"),
        ("/portfolio", {"address": ALICE, "networks": "solana"}, "wrong_network_family"),
        ("/portfolio", {"address": ALICE, "at": "tomorrow"}, "invalid_at"),
        ("/portfolio", {"address": ",".join(f"0x{n:040x}" for n in range(1, 30))}, "too_many_addresses"),
    ],
)
def test_what_cannot_be_asked_is_a_400_with_its_code(route: str, params: dict[str, str], code: str) -> None:
    with client() as api:
        status, body = get(api, route, **params)
    assert (status, body["code"]) == (400, code)


def test_the_examples_of_the_specification_are_of_its_shapes() -> None:
    whole_schemas.Positions.model_validate(whole_examples.POSITIONS)
    whole_schemas.Whole.model_validate(whole_examples.WHOLE)
    assert lent().protocol == whole_examples.POSITIONS["positions"][0]["protocol"]

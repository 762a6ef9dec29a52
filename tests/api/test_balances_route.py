"""``GET /balances``: the answer of the contract, and problems with hints."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.fakes.readers import (
    ALICE,
    BASE,
    ETHEREUM,
    SOLANA_ALICE,
    STRANGE,
    USDC,
    ScriptedNames,
    ScriptedReader,
    refused,
)
from tests.fakes.tracker import ScriptedTracker, opened, three_networks

from balance_tracker.api import examples, schemas
from balance_tracker.api.app import create_app
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.services.serialise import portfolio_json


@contextmanager
def client(tracker: ScriptedTracker | None = None) -> Iterator[TestClient]:
    chosen = tracker or ScriptedTracker(three_networks())
    with TestClient(
        create_app(open_tracker=lambda: opened(chosen)), raise_server_exceptions=False
    ) as open_client:
        yield open_client


def problem_of(path: str, tracker: ScriptedTracker | None = None, status: int = 400) -> dict[str, Any]:
    with client(tracker) as api:
        answer = api.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "code", "detail"} <= set(body)
    assert body["status"] == status
    assert body["detail"].endswith(".")
    return body


def test_an_address_answers_with_its_holdings_and_coverage() -> None:
    with client() as api:
        answer = api.get("/balances", params={"address": ALICE.lower()})
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    schemas.Balances.model_validate(body)
    assert body["address"] == ALICE
    assert [(h["network"], h["symbol"], h["amount"]) for h in body["holdings"]] == [
        ("ethereum", "ETH", "3"),
        ("ethereum", "USDC", "1.5"),
        ("base", "ETH", "0.1"),
    ]
    assert body["complete"] is True
    assert body["total_value"] is None
    assert body["unpriced"] == 3


def test_a_solana_address_answers_from_solana() -> None:
    with client() as api:
        body = api.get(f"/balances?address={SOLANA_ALICE}").json()
    schemas.Balances.model_validate(body)
    assert [entry["network"] for entry in body["coverage"]] == ["solana"]
    assert body["coverage"][0]["nfts"] == 1
    assert body["holdings"][1]["accounts"] == []


def test_one_network_failing_never_fails_the_answer() -> None:
    readers = [ScriptedReader(ETHEREUM, error=refused()), ScriptedReader(BASE, {None: 1})]
    with client(ScriptedTracker(readers)) as api:
        answer = api.get(f"/balances?address={ALICE}")
    body = answer.json()
    schemas.Balances.model_validate(body)
    assert answer.status_code == 200
    assert [entry["status"] for entry in body["coverage"]] == ["failed", "ok"]
    assert body["complete"] is False
    assert "key-1" not in answer.text


def test_nothing_obtained_is_a_bad_gateway_with_the_coverage() -> None:
    tracker = ScriptedTracker([ScriptedReader(BASE, error=refused())])
    body = problem_of(f"/balances?address={ALICE}", tracker, 502)
    assert body["code"] == "nothing_obtained"
    schemas.Coverage.model_validate(body["coverage"][0])
    assert body["coverage"][0]["status"] == "failed"


def test_a_name_that_could_not_be_looked_up_obtained_nothing() -> None:
    tracker = ScriptedTracker([ScriptedReader(ETHEREUM)], names=ScriptedNames(error=refused()))
    body = problem_of("/balances?address=alice.eth", tracker, 502)
    assert (body["code"], body["coverage"]) == ("nothing_obtained", [])


def test_asked_tokens_networks_and_spam_reach_the_use_case() -> None:
    reader = ScriptedReader(BASE, {STRANGE: 7}, metadata={STRANGE: ("GIFT", "claim it", 0)})
    with client(ScriptedTracker([reader, ScriptedReader(ETHEREUM)])) as api:
        path = f"/balances?address={ALICE}&networks=base&tokens={STRANGE}"
        hidden = api.get(path).json()
        shown = api.get(f"{path}&spam=true&currency=EUR&min_value=0.5").json()
    assert [entry["reason"] for entry in hidden["excluded"]] == ["spam"]
    assert shown["holdings"][0]["trust"] == "spam"
    assert shown["currency"] == "eur"
    assert [entry["network"] for entry in shown["coverage"]] == ["base"]


def test_a_failed_token_is_listed_and_never_a_zero() -> None:
    reader = ScriptedReader(ETHEREUM, {None: 1}, {USDC: FailureCode.OUT_OF_GAS})
    with client(ScriptedTracker([reader])) as api:
        body = api.get(f"/balances?address={ALICE}").json()
    assets = body["coverage"][0]["assets"]
    assert body["coverage"][0]["status"] == "partial"
    assert [failure["code"] for failure in assets["failed"]] == ["out_of_gas"]
    assert assets["asked"] == assets["answered"] + len(assets["failed"])
    assert "USDC" not in [holding["symbol"] for holding in body["holdings"]]


@pytest.mark.parametrize(
    ("query", "code", "hint"),
    [
        ("", "missing_parameter", None),
        ("address=", "invalid_address", "EVM"),
        ("address=hello", "invalid_address", "EVM"),
        (f"address={ALICE},{ALICE}", "invalid_address", "one address at a time"),
        (f"address={ALICE}&networks=etherium", "unknown_network", "'ethereum'"),
        (f"address={ALICE}&networks=solana", "wrong_network_family", "ethereum"),
        (f"address={SOLANA_ALICE}&networks=ethereum", "wrong_network_family", "solana"),
        (f"address={ALICE}&netwroks=base", "unknown_parameter", "'networks'"),
        (f"address={ALICE}&zzzz=1", "unknown_parameter", "It takes: address"),
        (f"address={ALICE}&networks=base&networks=ethereum", "repeated_parameter", "comma"),
        (f"address={ALICE}&tokens=usdc", "invalid_address", None),
        (f"address={ALICE}&currency=doge", "invalid_currency", "usd"),
        (f"address={ALICE}&at=soon", "invalid_at", "block number"),
        (f"address={ALICE}&at=2999-01-01T00:00:00Z", "invalid_at", "now"),
        (f"address={ALICE}&at=12", "invalid_at", "networks="),
        (f"address={ALICE}&spam=perhaps", "invalid_parameter", None),
        (f"address={ALICE}&min_value=-1", "invalid_parameter", None),
        (f"address={'0x' + 'a' * 400}", "invalid_parameter", None),
    ],
)
def test_wrong_input_has_a_code_and_a_hint(query: str, code: str, hint: str | None) -> None:
    body = problem_of(f"/balances?{query}")
    assert body["code"] == code
    if hint is not None:
        assert hint in body["hint"]


def test_a_wrong_checksum_shows_the_right_one() -> None:
    body = problem_of("/balances?address=0xD8dA6BF26964aF9D7eEd9e03E53415D37aA96045")
    assert body["code"] == "invalid_checksum"
    assert ALICE in body["hint"]


def test_what_broke_is_a_problem_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    tracker = ScriptedTracker(three_networks())
    with client(tracker) as api:
        tracker._portfolios = None
        answer = api.get(f"/balances?address={ALICE}")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "Traceback" not in answer.text
    assert "request_broke" in caplog.text


def test_the_example_of_the_specification_is_an_answer() -> None:
    schemas.Balances.model_validate(examples.BALANCES)
    schemas.NetworkShape.model_validate(examples.NETWORK)
    schemas.Tokens.model_validate(examples.TOKENS)
    schemas.Ready.model_validate(examples.READY)


async def test_the_api_answers_with_the_library_s_values() -> None:
    tracker = ScriptedTracker(three_networks())
    async with tracker:
        own = portfolio_json(await tracker.portfolio(ALICE))
    with client() as api:
        served = api.get(f"/balances?address={ALICE}").json()
    for entry in (*own["coverage"], *served["coverage"]):
        entry.pop("elapsed_ms")
    assert served == own

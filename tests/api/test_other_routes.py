"""The catalog's and the service's routes, the documents, and the edge of every request."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from tests.fakes.readers import ALICE, BASE, USDC, ScriptedReader, refused
from tests.fakes.tracker import ScriptedTracker, opened, three_networks

from balance_tracker import __version__
from balance_tracker.api import schemas
from balance_tracker.api.app import create_app
from balance_tracker.telemetry.logging import configure


@contextmanager
def client(tracker: ScriptedTracker | None = None) -> Iterator[TestClient]:
    chosen = tracker or ScriptedTracker(three_networks())
    with TestClient(
        create_app(open_tracker=lambda: opened(chosen)), raise_server_exceptions=False
    ) as open_client:
        yield open_client


def test_networks_are_listed_with_their_endpoints() -> None:
    with client() as api:
        body = api.get("/networks").json()
        one = api.get("/networks/solana").json()
    schemas.Networks.model_validate(body)
    schemas.NetworkShape.model_validate(one)
    assert [entry["slug"] for entry in body["networks"]] == ["ethereum", "base", "solana"]
    assert (one["chain_id"], one["tokens"]) == (None, 1)


def test_a_network_that_is_not_there_is_not_found() -> None:
    with client() as api:
        answer = api.get("/networks/bas")
    assert answer.status_code == 404
    assert (answer.json()["code"], answer.json()["hint"]) == ("unknown_network", "Did you mean 'base'?")


def test_tokens_are_paged() -> None:
    with client() as api:
        first = api.get("/tokens?limit=2").json()
        second = api.get(f"/tokens?limit=2&cursor={first['next_cursor']}").json()
        found = api.get("/tokens?network=ethereum&query=usd").json()
    schemas.Tokens.model_validate(first)
    assert (len(first["tokens"]), len(second["tokens"]), second["next_cursor"]) == (2, 1, None)
    assert [entry["contract_address"] for entry in found["tokens"]] == [USDC]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_parameter"),
        ("limit=1001", "invalid_parameter"),
        ("limit=ten", "invalid_parameter"),
        ("limit=1_0", "invalid_parameter"),
        ("cursor=zzz", "invalid_cursor"),
        ("network=nowhere", "unknown_network"),
        ("networks=base", "unknown_parameter"),
    ],
)
def test_wrong_questions_about_tokens_are_refused(query: str, code: str) -> None:
    with client() as api:
        answer = api.get(f"/tokens?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_the_service_tells_of_itself() -> None:
    with client() as api:
        ready = api.get("/ready")
        health = api.get("/health").json()
        assert api.get("/version").json()["version"] == __version__
    assert ready.status_code == 200
    assert health == {"status": "ok", "components": ready.json()["components"]}
    assert ready.json()["components"] == {
        "catalog": "ok",
        "cache": "ok",
        "database": "ok",
        "ethereum": "ok",
        "base": "ok",
        "solana": "ok",
    }


def test_it_is_not_ready_when_every_network_is_down() -> None:
    with client(ScriptedTracker([ScriptedReader(BASE, error=refused())])) as api:
        answer = api.get("/ready")
    assert answer.status_code == 503
    assert (answer.json()["code"], answer.json()["components"]["base"]) == ("not_ready", "failed")


def test_it_is_not_ready_before_it_is_open() -> None:
    api = TestClient(create_app(open_tracker=lambda: opened(ScriptedTracker(three_networks()))))
    for path in ("/ready", f"/balances?address={ALICE}", "/networks"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")


def test_metrics_count_requests_by_route_and_never_by_address() -> None:
    with client() as api:
        api.get(f"/balances?address={ALICE}")
        api.get("/networks/base")
        api.get(f"/{ALICE}")
        answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'tracker_http_requests_total{method="GET",route="/balances",status="200"}' in answer.text
    assert 'route="/networks/{slug}"' in answer.text
    assert 'route="unmatched",status="404"' in answer.text
    assert ALICE not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/balances/", 404, "not_found"),
        ("POST", "/balances", 405, "method_not_allowed"),
        ("TRACE", "/health", 405, "method_not_allowed"),
        ("GET", "/health?deep=1", 400, "unknown_parameter"),
        ("GET", "/health?" + "a" * 20_000, 400, "uri_too_long"),
    ],
)
def test_what_is_not_there_is_a_problem(method: str, path: str, status: int, code: str) -> None:
    with client() as api:
        answer = api.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 405:
        assert answer.headers["allow"] == ("GET, HEAD" if path == "/balances" else "GET")


@pytest.mark.parametrize("length", ["100000", "-1", "many", "9" * 30])
def test_a_body_larger_than_any_question_is_refused(length: str) -> None:
    with client() as api:
        answer = api.request("GET", "/health", headers={"content-length": length})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_every_answer_has_its_id_and_the_security_headers() -> None:
    with client() as api:
        own = api.get("/health")
        given = api.get("/health", headers={"x-request-id": "mine-1"})
        odd = api.get("/nowhere", headers={"x-request-id": "a b\tc"})
    assert len(own.headers["x-request-id"]) == 32
    assert given.headers["x-request-id"] == "mine-1"
    assert odd.headers["x-request-id"] != "a b\tc"
    for answer in (own, odd):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"


def test_a_request_is_one_line_with_its_id_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: logging.getLogger(name).handlers[:] for name in ("balance_tracker", "asyncio")}
    configure("json", "info")
    try:
        with client() as api:
            api.get(f"/balances?address={ALICE}", headers={"x-request-id": "mine-2"})
    finally:
        for name, handlers in before.items():
            logging.getLogger(name).handlers[:] = handlers
            logging.getLogger(name).setLevel(logging.NOTSET)
            logging.getLogger(name).propagate = True
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    requests = [line for line in lines if line["event"] == "request_answered"]
    assert len(requests) == 1
    assert (requests[0]["route"], requests[0]["status"], requests[0]["request_id"]) == (
        "/balances",
        200,
        "mine-2",
    )
    assert requests[0]["elapsed_seconds"] > 0
    assert {line["request_id"] for line in lines} == {"mine-2"}
    assert ALICE not in json.dumps(lines)


def test_the_documents_come_without_any_other_host() -> None:
    with client() as api:
        pages = {path: api.get(path) for path in ("/", "/redoc")}
        for name in ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js"):
            asset = api.get(f"/assets/{name}")
            assert (asset.status_code, asset.headers["cache-control"]) == (200, "public, max-age=86400")
        start = api.get("/docs-start.js")
    assert start.headers["content-type"].startswith("text/javascript")
    for page in pages.values():
        assert page.status_code == 200
        assert "http" not in page.text.replace("https://www.w3.org", "")
        assert "script-src 'self'" in page.headers["content-security-policy"]


def test_the_specification_describes_every_route_with_examples_and_problems() -> None:
    with client() as api:
        document = api.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/balances",
        "/defi",
        "/nfts",
        "/portfolio",
        "/prices",
        "/prices/history",
        "/networks",
        "/networks/{slug}",
        "/tokens",
        "/health",
        "/ready",
        "/version",
        "/metrics",
    }
    parameters = {entry["name"] for entry in document["paths"]["/balances"]["get"]["parameters"]}
    assert parameters == {"address", "networks", "tokens", "currency", "at", "spam", "min_value"}
    for path, operations in document["paths"].items():
        operation = operations["get"]
        assert operation["summary"], path
        assert "422" not in operation["responses"]
        assert "application/problem+json" in operation["responses"]["400"]["content"]
        assert all(entry["description"] for entry in operation.get("parameters", []))
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["paths"]["/balances"]["get"]["responses"]["200"]["content"]["application/json"]["example"]

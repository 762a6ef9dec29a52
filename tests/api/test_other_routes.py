"""The catalog's and the service's routes, the documents, and the edge of every request."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from tests.fakes.readers import ALICE, BASE, USDC, ScriptedReader, refused
from tests.fakes.tracker import ScriptedTracker, opened, three_networks
from tools.error_codes import CODES

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
        "jobs": "ok",
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


SPECIFIED = {
    "/balances": {"get"},
    "/defi": {"get"},
    "/nfts": {"get"},
    "/portfolio": {"get"},
    "/prices": {"get"},
    "/prices/history": {"get"},
    "/snapshots": {"get", "post"},
    "/snapshots/series": {"get"},
    "/snapshots/compare": {"get"},
    "/snapshots/{snapshot_id}": {"get", "delete"},
    "/performance": {"get"},
    "/wallets": {"get", "post"},
    "/wallets/{wallet_id}": {"get", "patch", "delete"},
    "/batch": {"get", "post"},
    "/batch/{batch_id}": {"get", "delete"},
    "/batch/{batch_id}/results": {"get"},
    "/keys": {"get", "post"},
    "/keys/{key_id}": {"get", "patch", "delete"},
    "/keys/{key_id}/rotate": {"post"},
    "/keys/{key_id}/usage": {"get"},
    "/networks": {"get"},
    "/networks/{slug}": {"get"},
    "/tokens": {"get"},
    "/health": {"get"},
    "/ready": {"get"},
    "/version": {"get"},
    "/metrics": {"get"},
}
OPEN_ROUTES = {"/health", "/ready"}


def specification() -> dict[str, Any]:
    with client() as api:
        document: dict[str, Any] = api.get("/openapi.json").json()
    return document


def test_the_specification_describes_every_route_with_examples_and_problems() -> None:
    document = specification()
    assert {path: set(operations) for path, operations in document["paths"].items()} == SPECIFIED
    parameters = {entry["name"] for entry in document["paths"]["/balances"]["get"]["parameters"]}
    assert parameters == {"address", "networks", "tokens", "currency", "at", "spam", "min_value"}
    tags = {tag["name"] for tag in document["tags"]}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            assert set(operation["tags"]) <= tags, path
            assert ("422" in operation["responses"]) == ("requestBody" in operation), (method, path)
            assert "application/problem+json" in operation["responses"]["400"]["content"]
            assert all(entry["description"] for entry in operation.get("parameters", []))
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_specification_has_an_example_of_every_good_answer_and_every_problem() -> None:
    for path, operations in specification()["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    if kind in {"application/json", "application/problem+json"} and path not in SMALL:
                        assert "example" in content, (method, path, status)
                if int(status) >= 400:
                    example = answer["content"]["application/problem+json"]["example"]
                    assert example["status"] == int(status)
                    assert example["code"] in CODES, example["code"]


SMALL = {"/health", "/ready", "/version", "/metrics"}
"""What they answer needs no example."""


def test_the_specification_says_what_the_guard_answers() -> None:
    document = specification()
    assert set(document["components"]["securitySchemes"]) == {"ApiKeyHeader", "Bearer"}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            answers = operation["responses"]
            if path in OPEN_ROUTES:
                assert "security" not in operation
                assert not {"401", "429"} & set(answers)
                continue
            optional = {} in operation["security"]
            assert optional != path.startswith("/keys")
            assert {"ApiKeyHeader": []} in operation["security"]
            assert "WWW-Authenticate" in answers["401"]["headers"]
            assert "Retry-After" in answers["429"]["headers"]
            limited = [name for name in answers["429"]["headers"] if name.startswith("RateLimit-")]
            assert len(limited) == (0 if path in SMALL else 4)


async def _parts(size: int, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size


@pytest.mark.parametrize(
    ("method", "path", "kilobytes", "expected"),
    [
        ("POST", "/wallets", 64, 422),
        ("POST", "/wallets", 65, 413),
        ("PATCH", "/wallets/wal_x", 65, 413),
        ("POST", "/snapshots", 100, 413),
        ("POST", "/batch", 4096, 422),
        ("POST", "/batch", 4097, 413),
        ("POST", "/batch/", 65, 404),
        ("DELETE", "/wallets/wal_x", 65, 404),
    ],
)
async def test_a_body_is_bounded_also_where_it_does_not_say_how_long_it_is(
    method: str, path: str, kilobytes: int, expected: int
) -> None:
    app = create_app(open_tracker=lambda: opened(ScriptedTracker(three_networks())))
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://test") as api,
    ):
        answer = await api.request(
            method, path, content=_parts(1024, kilobytes), headers={"content-type": "application/json"}
        )
    assert answer.status_code == expected
    if expected == 413:
        assert answer.json()["code"] == "body_too_large"
        assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize(("path", "most"), [("/wallets", 65_536), ("/batch", 4 * 2**20)])
def test_a_body_that_says_it_is_too_long_is_not_read(path: str, most: int) -> None:
    with client() as api:
        fits = api.post(path, content=b"{}", headers={"content-length": str(most)})
        answer = api.post(path, content=b"{}", headers={"content-length": str(most + 1)})
    assert fits.status_code == 422
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

"""The guard of every request: 401, 403 and 429, limits on every kind of answer, and the client's address."""

import io
import logging
import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from shutil import copyfile

import pytest
from fastapi.testclient import TestClient
from tests.fakes.access import ADMIN_KEY
from tests.fakes.guarded import ADMIN, guarded, new_key, outcome
from tests.fakes.readers import ALICE, BASE, ETHEREUM, ScriptedReader, refused

from balance_tracker.api.app import create_app
from balance_tracker.api.guard import client_of, key_of
from balance_tracker.settings import Settings
from balance_tracker.telemetry.logging import configure

ASKED = f"/balances?address={ALICE}"
STRANGER = f"bt_{'a' * 12}_{'b' * 43}"
OPEN = {"/health", "/ready", "/", "/redoc", "/docs-start.js", "/openapi.json"}
LIMIT_HEADERS = {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit-policy"}
ROUTES = [
    (method.upper(), path)
    for path, operations in create_app(Settings()).openapi()["paths"].items()
    for method in operations
]
TROUBLE = ScriptedReader(ETHEREUM, error=RuntimeError("something that nobody foresaw"))


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_where_a_key_is_needed_every_route_but_the_open_ones_needs_one(
    closed: TestClient, method: str, path: str
) -> None:
    asked = re.sub(r"\{\w+\}", "x", path)
    without = closed.request(method, asked)
    wrong = closed.request(method, asked, headers={"X-API-Key": STRANGER})
    if path in OPEN:
        assert without.status_code == wrong.status_code == 200
        return
    assert outcome(without) == (401, "key_missing")
    assert outcome(wrong) == (401, "key_unknown")
    for answer in (without, wrong):
        assert answer.headers["www-authenticate"] == 'Bearer realm="balance-tracker"'
    assert closed.request(method, asked, headers=ADMIN).status_code not in {401, 403}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_where_none_is_needed_only_management_does(public: TestClient, method: str, path: str) -> None:
    answer = public.request(method, re.sub(r"\{\w+\}", "x", path))
    if path.startswith("/keys"):
        assert outcome(answer) == (401, "key_missing")
    else:
        assert answer.status_code not in {401, 403}


@pytest.fixture(scope="module")
def closed(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("closed")
    copyfile(sqlite_template, folder / "tracker.db")
    with guarded(data_dir=folder, require_api_key=True, rate_limit_anonymous="none") as api:
        yield api


@pytest.fixture(scope="module")
def public(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("public")
    copyfile(sqlite_template, folder / "tracker.db")
    with guarded(data_dir=folder, rate_limit_anonymous="none") as api:
        yield api


@pytest.mark.parametrize("path", [*sorted(OPEN), "/assets/swagger-ui.css", "/assets/redoc.standalone.js"])
def test_health_and_the_documents_are_open(closed: TestClient, path: str) -> None:
    answer = closed.get(path, headers={"X-API-Key": STRANGER})
    assert answer.status_code == 200
    assert not LIMIT_HEADERS & set(answer.headers)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/health/", "//health", "/assets", "/assets/../metrics", "/docs", "/HEALTH", "/app2"]
)
def test_what_only_looks_like_an_open_path_is_closed(closed: TestClient, path: str) -> None:
    closed_scope = closed.build_request("GET", "http://testserver").url.copy_with(raw_path=path.encode())
    answer = closed.get(closed_scope)
    assert answer.status_code in {401, 404}
    assert "tracker_" not in answer.text


def test_without_an_admin_key_management_is_closed() -> None:
    with guarded(admin_key=None) as api:
        assert outcome(api.get("/keys")) == (403, "management_closed")
        assert outcome(api.get("/keys", headers=ADMIN)) == (401, "key_unknown")
        assert outcome(api.post("/keys", json={"name": "mine", "scopes": ["admin"]})) == (
            403,
            "management_closed",
        )


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "{}"},
        {"x-api-key": "  {} "},
        {"Authorization": "Bearer {}"},
        {"authorization": "bearer   {}"},
        {"Authorization": "Basic eDp5", "X-API-Key": "{}"},
        {"Authorization": "Bearer nonsense", "X-API-Key": "{}"},
    ],
)
def test_a_key_goes_in_either_header(closed: TestClient, headers: dict[str, str]) -> None:
    _, own = new_key(closed)
    sent = {name: value.format(own["X-API-Key"]) for name, value in headers.items()}
    assert closed.get("/version", headers=sent).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("X-API-Key", "")], "key_unknown"),
        ([("X-API-Key", "x" * 10_000)], "key_unknown"),
        ([("X-API-Key", ADMIN_KEY + "x")], "key_unknown"),
        ([("X-API-Key", ADMIN_KEY), ("X-API-Key", STRANGER)], "key_unknown"),
        ([("X-API-Key", STRANGER), ("X-API-Key", ADMIN_KEY)], "key_unknown"),
        ([("X-API-Key", "schlüssel".encode())], "key_unknown"),
        ([("X-API-Key", b"\xff\xfe\x00")], "key_unknown"),
        ([("Authorization", "Bearer ")], "key_unknown"),
        ([("Authorization", f"Bearer {ADMIN_KEY} {ADMIN_KEY}")], "key_unknown"),
        ([("Authorization", f"Basic {ADMIN_KEY}")], "key_missing"),
        ([("Authorization", ADMIN_KEY)], "key_missing"),
        ([("Cookie", f"X-API-Key={ADMIN_KEY}")], "key_missing"),
    ],
)
def test_what_is_no_key_opens_nothing(closed: TestClient, headers: list[tuple[str, str]], code: str) -> None:
    assert outcome(closed.get("/version", headers=headers)) == (401, code)


def test_the_same_key_twice_is_one() -> None:
    with guarded(require_api_key=True) as api:
        twice = [("X-API-Key", ADMIN_KEY), ("X-API-Key", ADMIN_KEY), ("Authorization", f"Bearer {ADMIN_KEY}")]
        assert api.get("/version", headers=twice).status_code == 200


def test_a_key_in_the_query_is_none_and_is_not_shown(closed: TestClient) -> None:
    answer = closed.get(f"/version?api_key={ADMIN_KEY}")
    assert outcome(answer) == (401, "key_missing")
    assert ADMIN_KEY not in closed.get(f"/version?api_key={ADMIN_KEY}", headers=ADMIN).text


def test_every_kind_of_answer_says_what_is_left() -> None:
    readers = (TROUBLE, ScriptedReader(BASE, {None: 1}))
    with guarded(readers, rate_limit_key="1000/minute") as api:
        _, key = new_key(api)
        on_base = f"{ASKED}&networks=base"
        first = api.get(on_base, headers=key)
        answers = {
            "read": first,
            "cached": api.get(on_base, headers=key),
            "stored": api.get(on_base, headers=key),
            "unchanged": api.get(on_base, headers={**key, "If-None-Match": first.headers["etag"]}),
            "head": api.head(on_base, headers=key),
            "other head": api.head("/networks", headers=key),
            "wrong": api.get("/balances?address=nonsense", headers=key),
            "not there": api.get("/nowhere", headers=key),
            "not of that method": api.post("/balances", headers=key),
            "not allowed": api.get("/keys", headers=key),
            "of nobody": api.get("/wallets/wal_x", headers=key),
            "wrong body": api.post("/wallets", json={}, headers=key),
            "too large": api.post("/wallets", content=iter([b"x" * 70_000]), headers=key),
        }
    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses == {
        "read": 200,
        "cached": 200,
        "stored": 200,
        "unchanged": 304,
        "head": 200,
        "other head": 405,
        "wrong": 400,
        "not there": 404,
        "not of that method": 405,
        "not allowed": 403,
        "of nobody": 404,
        "wrong body": 422,
        "too large": 413,
    }
    for number, (name, answer) in enumerate(answers.items(), 1):
        assert set(answer.headers) >= LIMIT_HEADERS, name
        assert answer.headers["ratelimit-limit"] == "1000"
        assert answer.headers["ratelimit-policy"] == "1000;w=60"
        # A little comes back while it runs: 1000 a minute are 17 a second.
        assert 1000 - number <= int(answer.headers["ratelimit-remaining"]) <= 1000
        assert int(answer.headers["ratelimit-reset"]) >= 0


def test_too_much_is_refused_until_it_was_said_to_be_let_through() -> None:
    with guarded(rate_limit_anonymous="2/hour") as api:
        for _ in range(2):
            assert api.get(ASKED).status_code == 200
        for answer in (api.get(ASKED), api.head("/nowhere"), api.get("/networks")):
            assert answer.status_code == 429
            assert 1790 <= int(answer.headers["retry-after"]) <= 1800
            assert answer.headers["ratelimit-remaining"] == "0"
            assert answer.headers["ratelimit-policy"] == "2;w=3600"
        assert outcome(api.get(ASKED)) == (429, "rate_limited")
        assert api.get("/health").status_code == 200
        assert api.get("/version").status_code == 200
        assert api.get("/networks", headers=ADMIN).status_code == 200


def test_each_address_of_a_portfolio_is_a_unit() -> None:
    other = "0x" + "12" * 20
    with guarded(rate_limit_anonymous="4/hour") as api:
        answer = api.get(f"/portfolio?address={ALICE},{other},{other}")
        assert (answer.status_code, answer.headers["ratelimit-remaining"]) == (200, "1")
        refused_one = api.get(f"/portfolio?address={ALICE},{other}")
        assert outcome(refused_one) == (429, "rate_limited")
        assert refused_one.headers["ratelimit-remaining"] == "0"


def test_the_limit_of_a_key_is_its_own() -> None:
    with guarded(rate_limit_anonymous="1/hour", rate_limit_key="3/hour") as api:
        _, one = new_key(api)
        _, other = new_key(api, rate_limit="2/hour")
        assert [api.get("/networks", headers=one).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert [api.get("/networks", headers=other).status_code for _ in range(3)] == [200, 200, 429]
        assert [api.get("/networks").status_code for _ in range(2)] == [200, 429]


def test_guessing_keys_is_limited_and_does_not_touch_the_one_that_is_right() -> None:
    with guarded(rate_limit_anonymous="3/hour") as api:
        _, key = new_key(api)
        guesses = [api.get("/version", headers={"X-API-Key": f"{STRANGER[:-1]}{n}"}) for n in range(5)]
        assert [guess.status_code for guess in guesses] == [401, 401, 401, 429, 429]
        assert guesses[0].headers["ratelimit-remaining"] == "2"
        assert api.get("/networks", headers=key).status_code == 200


def test_a_break_is_counted_and_still_says_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> object:
        raise RuntimeError("something that nobody foresaw")

    with guarded() as api:
        key_id, key = new_key(api)
        monkeypatch.setattr(api.app.state.service.wallets, "wallets", broken)  # type: ignore[attr-defined]
        answer = api.get("/wallets", headers=key)
        assert outcome(answer) == (500, "internal_error")
        assert set(answer.headers) >= LIMIT_HEADERS
        api.portal.call(api.app.state.service.usage.keep)  # type: ignore[attr-defined, union-attr]
        rows = api.get(f"/keys/{key_id}/usage", headers=ADMIN).json()["usage"]
    assert [(row["route"], row["requests"], row["errors"]) for row in rows] == [("/wallets", 1, 1)]


def test_usage_is_by_route_and_has_what_was_refused() -> None:
    with guarded(rate_limit_key="4/hour") as api:
        key_id, key = new_key(api)
        for path in (ASKED, "/networks/base", "/networks/solana", "/nowhere", "/networks", ASKED):
            api.get(path, headers=key)
        api.get("/version", headers=key)
        api.portal.call(api.app.state.service.usage.keep)  # type: ignore[attr-defined, union-attr]
        kept = api.get(f"/keys/{key_id}/usage", headers=ADMIN).json()
        shown = api.get(f"/keys/{key_id}", headers=ADMIN).json()
    rows = {row["route"]: (row["requests"], row["units"], row["refused"]) for row in kept["usage"]}
    assert rows == {
        "/balances": (1, 1, 1),
        "/networks/{slug}": (2, 2, 0),
        "/version": (1, 0, 0),
        "unmatched": (1, 1, 0),
        "/networks": (0, 0, 1),
    }
    assert shown["last_used_at"] is not None


def test_while_the_database_is_away_keys_are_not_let_through_and_others_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from balance_tracker.core.errors import StorageError  # noqa: PLC0415
    from balance_tracker.storage.keys import SqlKeyStore  # noqa: PLC0415

    async def away(*_: object) -> None:
        raise StorageError("The database does not answer.")

    with guarded(rate_limit_anonymous="100/minute") as api:
        _, key = new_key(api)
        monkeypatch.setattr(SqlKeyStore, "by_prefix", away)
        answer = api.get("/networks", headers=key)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["code"] == StorageError.code
        assert api.get("/networks").status_code == 200
        assert api.get("/networks", headers=ADMIN).status_code == 200


def test_secrets_are_in_no_log_line_no_metric_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure("json", "debug")
    logging.getLogger("balance_tracker").setLevel(logging.DEBUG)
    with guarded((TROUBLE, ScriptedReader(BASE, error=refused())), rate_limit_key="20/hour") as api:
        key_id, key = new_key(api)
        secret = key["X-API-Key"]
        rotated = api.post(f"/keys/{key_id}/rotate", headers=ADMIN).json()["key"]
        texts = []
        for headers in (key, {"Authorization": f"Bearer {rotated}"}, ADMIN, {"X-API-Key": secret[:-1]}):
            for path in (ASKED, "/keys", f"/keys/{key_id}", "/nowhere", f"/networks/{secret}", "/metrics"):
                answer = api.get(path, headers=headers)
                texts.append(f"{answer.headers}{answer.text}".replace(f"/networks/{secret}", ""))
            texts.append(api.post("/wallets", json={"name": secret}, headers=headers).text)
        api.delete(f"/keys/{key_id}", headers=ADMIN)
        texts.append(api.get("/version", headers=key).text)
    everything = stream.getvalue() + "".join(texts)
    assert "request_answered" in everything
    for hidden in (secret[16:], rotated[16:], ADMIN_KEY):
        assert hidden not in everything


def sent(*headers: tuple[str, str], peer: str | None = "10.0.0.1") -> dict[str, object]:
    return {
        "client": None if peer is None else (peer, 1),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }


PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.1", ["198.51.100.1"], "203.0.113.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66, 198.51.100.1, 10.2.2.2"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66", "198.51.100.1", "10.2.2.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.9.9.9, 10.2.2.2"], "10.9.9.9"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8:1:2::9]:4711"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["2001:db8:1:2::9"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["2001:db8:1:2::9%eth0"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.66, nonsense, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", [", ,"], "10.0.0.1"),
        ("10.0.0.1", ["\xff\x00"], "10.0.0.1"),
        ("10.0.0.1", ["0x7f.1"], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        (None, ["198.51.100.1"], "unknown"),
        ("testclient", ["198.51.100.1"], "unknown"),
    ],
)
def test_a_client_is_the_last_address_that_no_proxy_of_ours_added(
    peer: str | None, forwarded: list[str], client: str
) -> None:
    scope = sent(*(("x-forwarded-for", value) for value in forwarded), peer=peer)
    assert client_of(scope, PROXIES) == client


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert client_of(sent(("x-forwarded-for", "198.51.100.1")), ()) == "10.0.0.1"


def test_a_thousand_hops_take_no_time() -> None:
    scope = sent(("x-forwarded-for", ", ".join(["10.0.0.9"] * 1000)))
    assert client_of(scope, PROXIES) == "10.0.0.9"


def test_a_key_that_is_too_long_is_none() -> None:
    assert key_of(sent(("x-api-key", "a" * 512))) == "a" * 512
    assert key_of(sent(("x-api-key", "a" * 513))) == ""
    assert key_of(sent()) is None


def test_a_client_can_not_free_itself_by_a_header() -> None:
    with guarded(rate_limit_anonymous="2/hour", trusted_proxies="10.0.0.0/8") as api:
        statuses = [
            api.get("/networks", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
            for number in range(3)
        ]
    assert statuses == [200, 200, 429]


def test_behind_a_trusted_proxy_each_client_has_its_own_limit() -> None:
    with guarded(rate_limit_anonymous="1/hour", trusted_proxies="10.0.0.0/8", client=("10.0.0.5", 1)) as api:
        statuses = [
            api.get("/networks", headers={"X-Forwarded-For": f"192.0.2.66, {client}"}).status_code
            for client in ("198.51.100.1", "198.51.100.2", "198.51.100.1")
        ]
    assert statuses == [200, 200, 429]

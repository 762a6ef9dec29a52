"""``/keys``, scopes, and that what belongs to a key is nobody else's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from tests.fakes.guarded import ADMIN, guarded, new_key, outcome
from tests.fakes.readers import ALICE

from balance_tracker.api import key_schemas
from balance_tracker.services.pages import cursor_of

NO_KEY = "key_" + "0" * 26


@pytest.fixture
def api() -> Iterator[TestClient]:
    with guarded() as opened:
        yield opened


def test_a_key_is_made_shown_changed_and_revoked(api: TestClient) -> None:
    expiry = (datetime.now(UTC) + timedelta(days=7)).replace(microsecond=0)
    body = {"name": "report", "scopes": ["write", "read"], "rate_limit": "7/second"}
    made = api.post("/keys", json={**body, "expires_at": expiry.isoformat()}, headers=ADMIN)
    shape = key_schemas.NewKeyShape.model_validate(made.json())
    at = made.headers["location"]

    assert (made.status_code, at, shape.scopes) == (201, f"/keys/{shape.id}", ["read", "write"])
    assert shape.key.startswith(f"{shape.prefix}_")
    shown = api.get(at, headers=ADMIN).json()
    key_schemas.KeyShape.model_validate(shown)
    assert "key" not in shown
    assert shown["rate_limit"] == "7/second"

    changed = api.patch(at, json={"name": "reports", "rate_limit": None}, headers=ADMIN).json()
    assert (changed["name"], changed["rate_limit"]) == ("reports", None)
    assert changed["expires_at"] == shown["expires_at"]
    assert api.patch(at, json={"expires_at": None}, headers=ADMIN).json()["expires_at"] is None

    assert api.delete(at, headers=ADMIN).json()["revoked_at"] is not None
    assert outcome(api.get("/version", headers={"X-API-Key": shape.key})) == (401, "key_revoked")
    assert outcome(api.patch(at, json={"name": "x"}, headers=ADMIN)) == (404, "not_found")
    assert outcome(api.post(f"{at}/rotate", headers=ADMIN)) == (404, "not_found")
    assert [key["id"] for key in api.get("/keys", headers=ADMIN).json()["keys"]] == [shape.id]


def test_keys_are_paged_the_newest_first(api: TestClient) -> None:
    made = [new_key(api, name=str(number))[0] for number in range(5)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = api.get(f"/keys?limit=2{cursor and '&cursor=' + cursor}", headers=ADMIN).json()
        key_schemas.Keys.model_validate(page)
        seen += [key["id"] for key in page["keys"]]
        cursor = page["next_cursor"]
    assert seen == sorted(made, reverse=True)


def test_a_rotated_secret_works_on_for_as_long_as_was_said(api: TestClient) -> None:
    key_id, old = new_key(api)
    new = {"X-API-Key": api.post(f"/keys/{key_id}/rotate", headers=ADMIN).json()["key"]}
    for headers in (old, new):
        assert api.get("/version", headers=headers).status_code == 200
    newest = api.post(f"/keys/{key_id}/rotate", json={"overlap_seconds": 0}, headers=ADMIN).json()
    for headers in (old, new):
        assert outcome(api.get("/version", headers=headers)) == (401, "key_expired")
    assert api.get("/version", headers={"X-API-Key": newest["key"]}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/keys", {}, (422, "invalid_body")),
        ("POST", "/keys", {"name": ""}, (422, "invalid_body")),
        ("POST", "/keys", {"name": " "}, (400, "invalid_name")),
        ("POST", "/keys", {"name": "a\u202eb"}, (400, "invalid_name")),
        ("POST", "/keys", {"name": "x", "scopes": []}, (422, "invalid_body")),
        ("POST", "/keys", {"name": "x", "scopes": ["root"]}, (422, "invalid_body")),
        ("POST", "/keys", {"name": "x", "owner": "y"}, (422, "invalid_body")),
        ("POST", "/keys", {"name": "x", "rate_limit": "0/second"}, (400, "invalid_rate_limit")),
        ("POST", "/keys", {"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, (400, "invalid_expiry")),
        ("POST", "/keys", {"name": "x", "expires_at": "2030-01-01T00:00:00"}, (422, "invalid_body")),
        ("POST", "/keys", {"name": "x", "expires_at": "9999-12-31T23:59:59-14:00"}, (400, "invalid_expiry")),
        ("POST", "/keys?name=x", {"name": "x"}, (400, "unknown_parameter")),
        ("GET", "/keys?limit=0", None, (400, "invalid_parameter")),
        ("GET", "/keys?cursor=zzz", None, (400, "invalid_cursor")),
        ("GET", f"/keys?cursor={cursor_of('wallets', NO_KEY)}", None, (400, "invalid_cursor")),
        ("GET", f"/keys?cursor={cursor_of('keys', 'a\0b')}", None, (400, "invalid_cursor")),
        ("GET", f"/keys/{NO_KEY}", None, (404, "not_found")),
        ("PATCH", f"/keys/{NO_KEY}", {"name": "x"}, (404, "not_found")),
        ("DELETE", "/keys/%00", None, (404, "not_found")),
        ("POST", f"/keys/{NO_KEY}/rotate", {"overlap_seconds": "1"}, (422, "invalid_body")),
        ("POST", f"/keys/{NO_KEY}/rotate", {"overlap_seconds": -1}, (422, "invalid_body")),
        ("GET", f"/keys/{NO_KEY}/usage", None, (404, "not_found")),
        ("GET", f"/keys/{NO_KEY}/usage?from=2026-02-01&to=2026-01-01", None, (400, "invalid_period")),
        ("GET", f"/keys/{NO_KEY}/usage?from=0001-01-01&to=9999-12-31", None, (400, "invalid_period")),
        ("GET", f"/keys/{NO_KEY}/usage?to=0001-01-01", None, (404, "not_found")),
        ("GET", f"/keys/{NO_KEY}/usage?from=yesterday", None, (400, "invalid_parameter")),
    ],
)
def test_what_is_wrong_is_refused(
    api: TestClient, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    assert outcome(api.request(method, path, json=body, headers=ADMIN)) == expected


def test_half_a_character_is_no_name(api: TestClient) -> None:
    headers = {**ADMIN, "Content-Type": "application/json"}
    answer = api.post("/keys", content=b'{"name": "\\ud800"}', headers=headers)
    assert answer.status_code in {400, 422}


def test_a_key_of_the_scope_admin_manages_keys_and_others_do_not(api: TestClient) -> None:
    _, manager = new_key(api, scopes=["admin"])
    key_id, user = new_key(api)
    assert api.get("/keys", headers=manager).status_code == 200
    made = api.post("/keys", json={"name": "by another"}, headers=manager)
    assert made.status_code == 201
    for method, path in (
        ("GET", "/keys"),
        ("POST", "/keys"),
        ("GET", f"/keys/{key_id}"),
        ("PATCH", f"/keys/{key_id}"),
        ("DELETE", f"/keys/{key_id}"),
        ("POST", f"/keys/{key_id}/rotate"),
        ("GET", f"/keys/{key_id}/usage"),
    ):
        assert outcome(api.request(method, path, headers=user)) == (403, "scope_missing")
    assert api.get("/version", headers=user).status_code == 200


def test_a_key_of_the_scope_admin_needs_no_admin_key() -> None:
    with guarded() as api:
        _, manager = new_key(api, scopes=["admin"])
    with guarded(admin_key=None) as api:  # the same database
        assert api.get("/keys", headers=manager).status_code == 200


def test_a_key_that_only_reads_changes_nothing(api: TestClient) -> None:
    _, reader = new_key(api, scopes=["read"])
    wallet = {"name": "x", "addresses": [ALICE]}
    for method, path, body in (
        ("POST", "/wallets", wallet),
        ("PATCH", "/wallets/wal_x", {"name": "y"}),
        ("DELETE", "/wallets/wal_x", None),
        ("POST", "/snapshots", {"address": ALICE}),
        ("DELETE", "/snapshots/snp_x", None),
        ("POST", "/batch", {"addresses": [ALICE]}),
        ("DELETE", "/batch/bat_x", None),
    ):
        assert outcome(api.request(method, path, json=body, headers=reader)) == (403, "scope_missing")
    for path in ("/wallets", "/snapshots", "/batch", f"/balances?address={ALICE}"):
        assert api.get(path, headers=reader).status_code == 200


def test_a_scope_taken_away_is_gone_at_the_next_request(api: TestClient) -> None:
    key_id, key = new_key(api)
    wallet = {"name": "x", "addresses": [ALICE]}
    assert api.post("/wallets", json=wallet, headers=key).status_code == 201
    api.patch(f"/keys/{key_id}", json={"scopes": ["read"]}, headers=ADMIN)
    assert outcome(api.post("/wallets", json=wallet, headers=key)) == (403, "scope_missing")


def test_what_belongs_to_another_key_is_not_there(api: TestClient) -> None:
    _, owner = new_key(api)
    _, other = new_key(api)
    made = {
        "/wallets": api.post("/wallets", json={"name": "x", "addresses": [ALICE]}, headers=owner),
        "/snapshots": api.post("/snapshots", json={"address": ALICE}, headers=owner),
        "/batch": api.post("/batch", json={"addresses": [ALICE]}, headers=owner),
    }
    lists = {"/wallets": "wallets", "/snapshots": "snapshots", "/batch": "batches"}
    for path, answer in made.items():
        assert answer.status_code in {201, 202}, answer.text
        at = answer.headers["location"]
        for stranger in (other, {}):
            assert outcome(api.get(at, headers=stranger)) == (404, "not_found")
            assert outcome(api.delete(at, headers=stranger)) == (404, "not_found")
            assert api.get(path, headers=stranger).json()[lists[path]] == []
        for insider in (owner, ADMIN):
            assert api.get(at, headers=insider).status_code == 200
            assert len(api.get(path, headers=insider).json()[lists[path]]) == 1
    wallet = made["/wallets"].headers["location"]
    batch = made["/batch"].headers["location"]
    snapshot = made["/snapshots"].json()["id"]
    compared = f"/snapshots/compare?from_id={snapshot}&to_id={snapshot}"
    for stranger in (other, {}):
        assert outcome(api.patch(wallet, json={"name": "y"}, headers=stranger)) == (404, "not_found")
        assert outcome(api.get(f"{batch}/results", headers=stranger)) == (404, "not_found")
        assert outcome(api.get(compared, headers=stranger)) == (404, "not_found")
        wallet_id = wallet.removeprefix("/wallets/")
        assert api.get(f"/snapshots?wallet={wallet_id}", headers=stranger).status_code == 404
        assert api.get(f"/performance?address={ALICE}", headers=stranger).json().get("points", []) == []
    for at in (wallet, batch, f"/snapshots/{snapshot}"):
        assert api.delete(at, headers=owner).status_code in {200, 204}


def test_no_cursor_leads_to_what_belongs_to_another_key(api: TestClient) -> None:
    _, owner = new_key(api)
    _, other = new_key(api)
    for number in range(3):
        api.post("/wallets", json={"name": str(number), "addresses": [ALICE]}, headers=owner)
    cursor = api.get("/wallets?limit=1", headers=owner).json()["next_cursor"]
    assert api.get(f"/wallets?cursor={cursor}", headers=other).json()["wallets"] == []


def test_what_belongs_to_a_revoked_key_is_still_seen_by_an_admin(api: TestClient) -> None:
    key_id, owner = new_key(api)
    api.post("/wallets", json={"name": "x", "addresses": [ALICE]}, headers=owner)
    api.delete(f"/keys/{key_id}", headers=ADMIN)
    assert len(api.get("/wallets", headers=ADMIN).json()["wallets"]) == 1


def test_answers_of_keys_are_kept_by_nobody(api: TestClient) -> None:
    made = api.post("/keys", json={"name": "x"}, headers=ADMIN)
    assert made.headers["cache-control"] == "no-store"

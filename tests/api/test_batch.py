"""``/batch``: the contract's answers, what is refused, and what it costs."""

import json
import time
from typing import Any

from fastapi.testclient import TestClient
from tests.fakes.guarded import guarded, new_key, outcome
from tests.fakes.readers import ALICE, BASE, ETHEREUM, ScriptedReader

from balance_tracker.api import batch_schemas as shapes

LINES = {"Accept": "application/x-ndjson"}


def wallets(count: int) -> list[str]:
    return [f"0x{number + 1:040x}" for number in range(count)]


def ended(api: TestClient, batch_id: str, **more: Any) -> dict[str, Any]:
    until = time.monotonic() + 20
    while True:
        body: dict[str, Any] = api.get(f"/batch/{batch_id}", **more).json()
        if body["status"] not in {"queued", "running"}:
            return body
        assert time.monotonic() < until, body
        time.sleep(0.02)


def made(api: TestClient, *addresses: str, **more: Any) -> str:
    answer = api.post("/batch", json={"addresses": addresses}, **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_batch_is_accepted_worked_on_and_answered_in_pages_and_lines() -> None:
    with guarded() as api:
        answer = api.post("/batch", json={"addresses": [*wallets(4), "0xbad"], "networks": ["ethereum"]})
        body = answer.json()
        assert answer.status_code == 202
        shapes.BatchShape.model_validate(body)
        assert (answer.headers["location"], answer.headers["retry-after"]) == (f"/batch/{body['id']}", "1")

        last = ended(api, body["id"])
        shapes.BatchShape.model_validate(last)
        assert last["status"] == "partial"
        assert last["counts"] == {"total": 5, "done": 5, "ok": 4, "partial": 0, "failed": 1}
        assert last["estimated_seconds_left"] is None

        pages, cursor = [], ""
        while cursor is not None:
            page = api.get(f"{last['results']}?limit=2{cursor}").json()
            shapes.Results.model_validate(page)
            pages.append([one["position"] for one in page["results"]])
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        assert pages == [[0, 1], [2, 3], [4]]

        stream = api.get(last["results"], headers=LINES)
        assert stream.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in stream.text.splitlines()]
        assert [one["position"] for one in lines] == [0, 1, 2, 3, 4]
        assert lines[4]["problem"]["code"] == "invalid_address"
        assert lines[0]["portfolio"]["holdings"][0]["raw_amount"] == str(3 * 10**18)

        assert [one["id"] for one in api.get("/batch").json()["batches"]] == [body["id"]]


def test_the_list_has_pages_the_newest_first() -> None:
    with guarded() as api:
        ids = [made(api, ALICE) for _ in range(3)]
        first = api.get("/batch?limit=2").json()
        shapes.Batches.model_validate(first)
        second = api.get(f"/batch?limit=2&cursor={first['next_cursor']}").json()
        assert {one["id"] for one in (*first["batches"], *second["batches"])} == {*ids}
        assert second["next_cursor"] is None
        assert outcome(api.get("/batch?cursor=made-up")) == (400, "invalid_cursor")


def test_a_running_batch_is_cancelled_and_one_that_has_ended_stays_as_it_is() -> None:
    slow = ScriptedReader(ETHEREUM, {None: 1}, delay_seconds=1.5)
    with guarded([slow]) as api:
        batch_id = made(api, ALICE)
        cancelled = api.delete(f"/batch/{batch_id}")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        assert api.delete(f"/batch/{batch_id}").json() == cancelled.json()
    with guarded([ScriptedReader(BASE, {None: 1})]) as api:
        done = ended(api, made(api, ALICE))
        assert api.delete(f"/batch/{done['id']}").json() == done
        assert done["status"] == "done"


def test_an_idempotency_key_gives_the_same_batch_again() -> None:
    with guarded() as api:
        asked = {"headers": {"Idempotency-Key": "order-66"}}
        first = made(api, ALICE, **asked)
        assert made(api, ALICE, **asked) == first
        other = api.post("/batch", json={"addresses": wallets(1)}, **asked)
        assert outcome(other) == (409, "idempotency_conflict")
        wrong = api.post("/batch", json={"addresses": [ALICE]}, headers={"Idempotency-Key": "a b"})
        assert wrong.json()["code"] == "invalid_idempotency_key"
        assert len(api.get("/batch").json()["batches"]) == 1


def test_what_is_no_question_is_refused() -> None:
    with guarded() as api:
        for body in (
            {},
            {"addresses": []},
            {"addresses": [1]},
            {"addresses": [ALICE], "include": ["weather"]},
            {"addresses": [ALICE], "more": 1},
            {"addresses": ["0x" + "1" * 400]},
            {"addresses": wallets(10_001)},
        ):
            assert api.post("/batch", json=body).status_code == 422, str(body)[:100]
        assert outcome(api.post("/batch", json={"addresses": [ALICE], "networks": ["atlantis"]}))[1] == (
            "unknown_network"
        )
        large = api.post("/batch", content=b"[" + b" " * (5 * 2**20) + b"]")
        assert outcome(large) == (413, "body_too_large")
        assert outcome(api.get("/batch/bat_1/results")) == (404, "not_found")


def test_what_belongs_to_another_key_is_not_there() -> None:
    with guarded() as api:
        _, mine = new_key(api, scopes=["read", "write"])
        _, yours = new_key(api, scopes=["read", "write"])
        _, reader = new_key(api, scopes=["read"])
        batch_id = made(api, ALICE, headers=mine)
        ended(api, batch_id, headers=mine)
        for method, path in (("GET", ""), ("GET", "/results"), ("DELETE", "")):
            for headers in (yours, {}):
                answer = api.request(method, f"/batch/{batch_id}{path}", headers=headers)
                assert outcome(answer) == (404, "not_found")
        assert api.get(f"/batch/{batch_id}/results", headers={**yours, **LINES}).status_code == 404
        assert api.get("/batch", headers=yours).json()["batches"] == []
        assert outcome(api.post("/batch", json={"addresses": [ALICE]}, headers=reader))[0] == 403


def test_ten_addresses_cost_one_unit() -> None:
    with guarded(rate_limit_anonymous="100/hour") as api:

        def left(count: int) -> int:
            answer = api.post("/batch", json={"addresses": wallets(count)})
            assert answer.status_code == 202
            return int(answer.headers["ratelimit-remaining"])

        assert [left(1), left(10), left(11), left(200)] == [99, 98, 96, 76]


def test_a_batch_that_is_more_than_is_left_is_refused_and_not_kept() -> None:
    with guarded(rate_limit_anonymous="20/hour") as api:
        assert api.get("/batch").status_code == 200
        answer = api.post("/batch", json={"addresses": wallets(200)})
        assert outcome(answer)[0] == 429
        assert int(answer.headers["retry-after"]) == 360
        assert api.get("/batch").json()["batches"] == []


def test_a_batch_that_costs_more_than_the_whole_limit_is_taken_and_owed() -> None:
    for count in (100, 101, 110, 1000):
        with guarded(rate_limit_anonymous="10/minute") as api:
            answer = api.post("/batch", json={"addresses": wallets(count)})
            assert answer.status_code == 202, answer.text
            refused = api.get("/batch")
            assert outcome(refused) == (429, "rate_limited")


def test_several_addresses_in_one_text_are_no_address() -> None:
    with guarded() as api:
        for include in ("balances", "defi"):
            body = {"addresses": [",".join(wallets(3))], "include": [include]}
            batch_id = api.post("/batch", json=body).json()["id"]
            ended(api, batch_id)
            [result] = api.get(f"/batch/{batch_id}/results").json()["results"]
            assert (result["status"], result["problem"]["code"]) == ("failed", "invalid_address")

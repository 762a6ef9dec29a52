"""``/wallets``, ``/snapshots`` and ``/performance``: shapes, pages, ownership, files."""

import csv
import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile
from typing import Any

import pyarrow.parquet
import pytest
from fastapi.testclient import TestClient
from tests.fakes.guarded import ADMIN, guarded, new_key
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import ALICE, BASE, ETHEREUM, SOLANA, ScriptedReader, refused, token
from tests.fakes.service import Clock
from tests.fakes.tracker import ScriptedTracker, opened
from tests.services.test_whole import LISTED, PRICES, lender

from balance_tracker.api import history_schemas as shapes
from balance_tracker.api.app import create_app
from balance_tracker.core.ids import Address

EVIL = Address("0x2222222222222222222222222222222222222222")
FORMULA = token(ETHEREUM, EVIL, '=HYPERLINK("http://x")')


@contextmanager
def client(*readers: ScriptedReader, clock: Callable[[], float] = time.monotonic) -> Iterator[TestClient]:
    source = ScriptedSource(amounts=PRICES, as_of=datetime.now(UTC))
    tracker = ScriptedTracker(readers or (lender(),), [*LISTED, FORMULA], prices=[source], clock=clock)
    with TestClient(create_app(open_tracker=lambda: opened(tracker)), raise_server_exceptions=False) as api:
        yield api


def take(api: TestClient, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    answer = api.post("/snapshots", json={"address": ALICE, **body}, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/snapshots/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


def problem(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_a_portfolio_is_kept_found_and_forgotten() -> None:
    with client() as api:
        kept = take(api, name="now")
        shapes.SnapshotShape.model_validate(kept)
        assert (kept["state"], kept["total_value"], kept["unpriced"]) == ("complete", "2450", 0)
        assert {line["side"] for line in kept["lines"]} == {"held", "supplied", "borrowed"}
        assert api.get(f"/snapshots/{kept['id']}").json() == kept
        listed = api.get("/snapshots", params={"address": ALICE}).json()
        shapes.Snapshots.model_validate(listed)
        assert [one["id"] for one in listed["snapshots"]] == [kept["id"]]
        assert api.delete(f"/snapshots/{kept['id']}").status_code == 204
        assert problem(api.get(f"/snapshots/{kept['id']}")) == (404, "not_found")


def test_a_network_that_failed_leaves_no_total() -> None:
    with client(lender(), ScriptedReader(BASE, error=refused())) as api:
        kept = take(api)
        assert (kept["state"], kept["total_value"], kept["known_value"]) == ("incomplete", None, "2450")
        assert [one["known"] for one in kept["networks"]] == [True, False]
        [point] = api.get("/snapshots/series", params={"address": ALICE}).json()["points"]
        assert (point["value"], point["known_value"]) == (None, "2450")


def test_pages_lead_to_all_of_them_once_also_when_some_are_deleted_between() -> None:
    with client() as api:
        ids = [take(api)["id"] for _ in range(5)]
        seen, cursor = [], None
        while True:
            params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
            page = api.get("/snapshots", params=params).json()
            seen += [one["id"] for one in page["snapshots"]]
            if (cursor := page["next_cursor"]) is None:
                break
            api.delete(f"/snapshots/{seen[-1]}")
        assert seen == ids[::-1]
        assert problem(api.get("/snapshots", params={"cursor": "x"})) == (400, "invalid_cursor")


def test_what_changed_adds_up_and_what_can_not_be_compared_is_refused() -> None:
    reader, clock = lender(), Clock()
    with client(reader, clock=clock) as api:
        first = take(api)
        reader.amounts[None] = 2 * 10**18
        clock.now += 61
        second = take(api)
        asked = {"from_id": first["id"], "to_id": second["id"]}
        body = api.get("/snapshots/compare", params=asked).json()
        shapes.ComparisonShape.model_validate(body)
        assert (body["value_change"], body["amount_effect"], body["price_effect"]) == ("2000", "2000", "0")
        assert [one["symbol"] for one in body["assets"]] == ["ETH"]
        wrong = {"from_id": first["id"], "to_id": "snp_none"}
        assert problem(api.get("/snapshots/compare", params=wrong)) == (404, "not_found")
        assert problem(api.get("/snapshots/compare", params={"from_id": "x"})) == (400, "missing_parameter")
        euros = take(api, currency="eth")
        wrong = {"from_id": first["id"], "to_id": euros["id"]}
        assert problem(api.get("/snapshots/compare", params=wrong)) == (400, "not_comparable")


def test_performance_has_its_shape_and_says_why_it_tells_no_return() -> None:
    with client() as api:
        take(api)
        take(api)
        body = api.get("/performance", params={"address": ALICE}).json()
        shapes.PerformanceShape.model_validate(body)
        assert (body["time_weighted_return"], body["change"], body["gaps"]) == ("0", "0", [])
        assert problem(api.get("/performance")) == (400, "missing_parameter")
        asked = {"address": ALICE, "every": "1x"}
        assert problem(api.get("/performance", params=asked)) == (400, "invalid_interval")


def test_wallets_are_made_paged_changed_kept_and_forgotten() -> None:
    with client() as api:
        answer = api.post("/wallets", json={"name": "treasury", "addresses": [ALICE]})
        wallet = answer.json()
        assert (answer.status_code, answer.headers["location"]) == (201, f"/wallets/{wallet['id']}")
        shapes.WalletShape.model_validate(wallet)
        api.post("/wallets", json={"name": "other", "addresses": [ALICE]})
        page = api.get("/wallets", params={"limit": "1"}).json()
        assert [one["name"] for one in page["wallets"]] == ["other"]
        rest = api.get("/wallets", params={"limit": "1", "cursor": page["next_cursor"]}).json()
        assert ([one["name"] for one in rest["wallets"]], rest["next_cursor"]) == (["treasury"], None)
        path = f"/wallets/{wallet['id']}"
        changed = api.patch(path, json={"networks": ["ethereum"], "name": "t"}).json()
        assert (changed["networks"], changed["name"]) == (["ethereum"], "t")
        assert api.patch(path, json={"networks": None}).json()["networks"] is None
        kept = api.post("/snapshots", json={"wallet": wallet["id"]}).json()
        assert (kept["subject"], kept["wallet_id"]) == (f"wallet:{wallet['id']}", wallet["id"])
        series = api.get("/snapshots/series", params={"wallet": wallet["id"]}).json()
        shapes.SeriesShape.model_validate(series)
        assert [point["id"] for point in series["points"]] == [kept["id"]]
        assert api.delete(path).status_code == 204
        assert problem(api.get(path)) == (404, "not_found")
        assert api.get(f"/snapshots/{kept['id']}").status_code == 200
        left = api.get("/snapshots/series", params={"wallet": wallet["id"]}).json()
        assert left["points"] == series["points"]
        unknown = api.get("/snapshots/series", params={"wallet": "wal_none"})
        assert problem(unknown) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"address": ALICE, "wallet": "wal_1"}, (400, "missing_parameter")),
        ({}, (400, "missing_parameter")),
        ({"wallet": "wal_none"}, (404, "not_found")),
        ({"address": ALICE, "at": "tomorrow"}, (400, "invalid_time")),
        ({"address": ALICE, "at": "2999-01-01T00:00:00Z"}, (400, "invalid_at")),
        ({"address": ALICE, "currency": "xyz"}, (400, "invalid_currency")),
        ({"address": ALICE, "more": 1}, (422, "invalid_body")),
        ({"address": "x" * 301}, (422, "invalid_body")),
    ],
)
def test_a_wrong_question_is_a_problem_with_its_code(body: dict[str, Any], outcome: tuple[int, str]) -> None:
    with client() as api:
        assert problem(api.post("/snapshots", json=body)) == outcome


def test_the_idempotency_key_gives_the_same_snapshot_again() -> None:
    with client() as api:
        headers = {"Idempotency-Key": "a"}
        assert take(api, headers)["id"] == take(api, headers)["id"]
        answer = api.post("/snapshots", json={"address": ALICE, "currency": "eth"}, headers=headers)
        assert problem(answer) == (409, "idempotency_conflict")
        answer = api.post("/snapshots", json={"address": ALICE}, headers={"Idempotency-Key": "a b"})
        assert problem(answer) == (400, "invalid_idempotency_key")


def test_what_belongs_to_a_key_is_seen_by_it_and_by_the_admin_only(
    sqlite_template: Path, tmp_path: Path
) -> None:
    copyfile(sqlite_template, tmp_path / "tracker.db")
    with guarded(data_dir=tmp_path, rate_limit_anonymous="none") as api:
        mine, theirs = (new_key(api, scopes=["read", "write"])[1] for _ in range(2))
        reads = new_key(api, scopes=["read"])[1]
        kept = take(api, mine)
        wallet = api.post("/wallets", json={"name": "w", "addresses": [ALICE]}, headers=mine).json()
        for path in (f"/snapshots/{kept['id']}", f"/wallets/{wallet['id']}"):
            assert api.get(path, headers=mine).status_code == 200
            assert api.get(path, headers=ADMIN).status_code == 200
            for other in (theirs, {}):
                assert problem(api.get(path, headers=other)) == (404, "not_found")
                assert problem(api.delete(path, headers=other)) == (404, "not_found")
        assert api.get("/snapshots", headers=theirs).json()["snapshots"] == []
        assert api.get("/wallets", headers=theirs).json()["wallets"] == []
        asked = {"wallet": wallet["id"]}
        assert problem(api.get("/performance", params=asked, headers=theirs)) == (404, "not_found")
        answer = api.post("/snapshots", json={"address": ALICE}, headers=reads)
        assert problem(answer) == (403, "scope_missing")


def rows(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


def columns(answer: Any) -> dict[str, list[Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
    assert not [field for field in table.schema if pyarrow.types.is_floating(field.type)]
    found: dict[str, list[Any]] = table.to_pydict()
    return found


def test_files_hold_the_same_exact_numbers_as_the_answer() -> None:
    reader = lender()
    reader.amounts[EVIL] = 10**24 + 1
    with client(reader) as api:
        kept = take(api)
        path = f"/snapshots/{kept['id']}"
        lines = rows(api.get(path, params={"format": "csv"}))
        assert [line["amount"] for line in lines] == [line["amount"] for line in kept["lines"]]
        assert [line["value"] or None for line in lines] == [line["value"] for line in kept["lines"]]
        [odd] = [line for line in lines if line["raw_amount"] == str(10**24 + 1)]
        assert odd["symbol"].startswith("'=HYPERLINK")
        table = columns(api.get(path, params={"format": "parquet"}))
        assert table["value"] == [line["value"] for line in kept["lines"]]
        assert table["taken_at"][0].tzinfo is not None
        take(api)
        page = api.get("/snapshots", params={"format": "csv", "limit": "1"})
        assert len(rows(page)) == 1
        assert page.headers["content-disposition"] == 'attachment; filename="snapshots.csv"'
        following = page.headers["link"].split(";")[0].strip("<>")
        [second] = rows(api.get(following))
        assert second["id"] == kept["id"]
        for route in ("/snapshots/series", "/performance"):
            for part in ("periods", "flows", "assets") if route == "/performance" else ("",):
                asked = {"address": ALICE, **({"part": part} if part else {})}
                written = rows(api.get(route, params={**asked, "format": "csv"}))
                table = columns(api.get(route, params={**asked, "format": "parquet"}))
                assert {len(column) for column in table.values()} == {len(written)}
        [period] = rows(api.get("/performance", params={"address": ALICE, "format": "csv"}))
        assert (period["return"], period["gap"], period["value_after"]) == ("0", "", "2450")


def test_without_pyarrow_parquet_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with client() as api:
        kept = take(api)
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        answer = api.get(f"/snapshots/{kept['id']}", params={"format": "parquet"})
        assert problem(answer) == (400, "parquet_unavailable")
        assert "format=csv" in answer.json()["hint"]
        assert api.get(f"/snapshots/{kept['id']}", params={"format": "csv"}).status_code == 200
        assert api.get(f"/snapshots/{kept['id']}", params={"format": "xls"}).status_code == 400


def test_the_examples_of_the_specification_have_the_shapes_of_the_answers() -> None:
    shapes.WalletShape.model_validate(shapes.WALLET)
    shapes.SnapshotShape.model_validate(shapes.SNAPSHOT)
    shapes.SeriesShape.model_validate(shapes.SERIES)
    shapes.ComparisonShape.model_validate(shapes.COMPARISON)
    shapes.PerformanceShape.model_validate(shapes.PERFORMANCE)
    assert SOLANA.slug == "solana"

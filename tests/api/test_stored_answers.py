"""``GET /balances`` from stored bytes: true ages, tags and times, and never longer than the cache."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.fakes.readers import (
    ALICE,
    BASE,
    ETHEREUM,
    SOLANA_ALICE,
    USDC,
    ScriptedNames,
    ScriptedReader,
    refused,
)
from tests.fakes.service import Clock
from tests.fakes.tracker import ScriptedTracker, opened, three_networks

from balance_tracker.api import schemas
from balance_tracker.api.app import create_app
from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.settings import Settings

PATH = f"/balances?address={ALICE}"
NAMED = {"alice.eth": ALICE}


@dataclass
class Served:
    """A client of the app, the clock of its caches, and what is behind it."""

    api: TestClient
    clock: Clock
    readers: Sequence[ScriptedReader]
    names: ScriptedNames

    def asked(self, path: str = PATH, **headers: str) -> tuple[dict[str, Any], Any]:
        answer = self.api.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        schemas.Balances.model_validate(body)
        assert int(answer.headers["content-length"]) == len(answer.content)
        return body, answer.headers

    def stored(self) -> int:
        return len(self.api.app.state.answers)  # type: ignore[attr-defined]

    def reads(self) -> int:
        return sum(reader.reads for reader in self.readers)

    def hits(self) -> float:
        text = self.api.get("/metrics").text
        name = 'tracker_cache_lookups_total{cache="answers",outcome="hit"} '
        return next((float(line[len(name) :]) for line in text.splitlines() if line.startswith(name)), 0.0)


@contextmanager
def serving(
    readers: Sequence[ScriptedReader] | None = None,
    *,
    ttl_seconds: float = 60,
    known: dict[str, str] | None = None,
) -> Iterator[Served]:
    clock = Clock()
    chosen = readers or three_networks()
    names = ScriptedNames(NAMED if known is None else known)
    settings = Settings(deadline_seconds=2, balance_ttl_seconds=ttl_seconds)
    tracker = ScriptedTracker(chosen, names=names, settings=settings, clock=clock)
    app = create_app(open_tracker=lambda: opened(tracker), clock=clock)
    with TestClient(app, raise_server_exceptions=False) as api:
        yield Served(api, clock, chosen, names)


def said(body: dict[str, Any]) -> dict[str, Any]:
    """What an answer says, without how it came."""
    how = {"cached", "age_seconds", "requests", "elapsed_ms"}
    coverage = [{k: v for k, v in entry.items() if k not in how} for entry in body["coverage"]]
    return {**body, "coverage": coverage}


def test_the_third_asking_is_served_from_stored_bytes_and_says_the_same() -> None:
    with serving() as served:
        first, _ = served.asked()
        second, _ = served.asked()
        before = served.hits()
        third, headers = served.asked()
        assert served.hits() == before + 1
        assert served.reads() == 2
    assert said(first) == said(second) == said(third)
    assert [entry["cached"] for entry in first["coverage"]] == [False, False]
    assert [(entry["cached"], entry["requests"]) for entry in third["coverage"]] == [(True, 0)] * 2
    assert headers["content-type"] == "application/json"
    assert headers["x-content-type-options"] == "nosniff"
    assert len(headers["x-request-id"]) == 32


def test_ages_go_on_in_stored_bytes() -> None:
    with serving() as served:
        served.asked()
        served.clock.now += 2
        served.asked()
        for seconds in (0.5, 0.5, 11):
            served.clock.now += seconds
            body, headers = served.asked()
            age = int(served.clock.now - 1000)
            assert [entry["age_seconds"] for entry in body["coverage"]] == [age, age]
            assert headers["cache-control"] == f"private, max-age={int(60 - (served.clock.now - 1000))}"
        assert served.hits() >= 3
        assert served.reads() == 2


def test_an_answer_is_read_again_as_soon_as_the_cache_is_due() -> None:
    with serving() as served:
        served.asked()
        served.asked()
        served.clock.now += 59.5
        assert served.asked()[1]["cache-control"] == "private, max-age=0"
        served.clock.now += 0.5
        body, headers = served.asked()
        assert [entry["cached"] for entry in body["coverage"]] == [False, False]
        assert headers["cache-control"] == "private, max-age=60"
        assert served.stored() == 0


def test_the_first_network_that_is_due_ends_a_stored_answer() -> None:
    with serving() as served:
        served.asked(f"{PATH}&networks=base")
        served.clock.now += 40
        served.asked()
        body, headers = served.asked()
        assert [entry["age_seconds"] for entry in body["coverage"]] == [0, 40]
        assert headers["cache-control"] == "private, max-age=20"
        served.asked()
        served.clock.now += 20
        body, _ = served.asked()
        assert [(entry["network"], entry["cached"]) for entry in body["coverage"]] == [
            ("ethereum", True),
            ("base", False),
        ]


def test_a_tag_stands_for_the_same_blocks_however_the_answer_came() -> None:
    readers = three_networks()
    with serving(readers) as served:
        tags = {served.asked()[1]["etag"] for _ in range(3)}
        served.clock.now += 30
        tags.add(served.asked()[1]["etag"])
        assert len(tags) == 1
        assert all(tag.startswith('W/"') for tag in tags)
        served.clock.now += 31
        for reader in readers:
            reader.block = BlockRef(21_000_001, "0x" + "cd" * 32, 1_790_000_012)
        assert served.asked()[1]["etag"] not in tags


@pytest.mark.parametrize("asked_before", [1, 2])
@pytest.mark.parametrize("form", ["{}", "*", '"other", {}', '"other",{}'])
def test_who_has_the_answer_is_told_so_in_a_304(asked_before: int, form: str) -> None:
    with serving() as served:
        tag = [served.asked()[1]["etag"] for _ in range(asked_before)][-1]
        answer = served.api.get(PATH, headers={"if-none-match": form.format(tag)})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert answer.headers["cache-control"].startswith("private, max-age=")
        assert "content-type" not in answer.headers
        strong = served.api.get(PATH, headers={"if-none-match": tag.removeprefix("W/")})
        other = served.api.get(PATH, headers={"if-none-match": 'W/"0123"'})
    assert strong.status_code == 304
    assert other.status_code == 200


def test_an_answer_with_gaps_is_kept_for_five_seconds_and_by_nobody_else() -> None:
    readers = [ScriptedReader(ETHEREUM, {None: 1}, {USDC: FailureCode.REVERTED})]
    with serving(readers) as served:
        served.asked()
        body, headers = served.asked()
        assert body["coverage"][0]["status"] == "partial"
        assert headers["cache-control"] == "no-store"
        assert "etag" not in headers
        assert served.stored() == 1
        served.clock.now += 4.75
        before = served.hits()
        served.asked()
        assert served.hits() == before + 1
        readers[0].failing.clear()
        served.clock.now += 0.5
        body, headers = served.asked()
        assert body["complete"] is True
        assert headers["cache-control"] == "private, max-age=60"


def test_an_answer_without_a_network_is_not_stored() -> None:
    readers = [ScriptedReader(ETHEREUM, error=refused()), ScriptedReader(BASE, {None: 1})]
    with serving(readers) as served:
        for _ in range(3):
            _, headers = served.asked()
            assert headers["cache-control"] == "no-store"
            assert "etag" not in headers
        assert served.stored() == 0


def test_a_stale_answer_is_not_stored() -> None:
    readers = [ScriptedReader(ETHEREUM, {None: 1})]
    with serving(readers) as served:
        served.asked()
        readers[0].error = refused()
        served.clock.now += 61
        for _ in range(3):
            body, headers = served.asked()
            assert (body["coverage"][0]["status"], headers["cache-control"]) == ("stale", "no-store")
        assert served.stored() == 0


def test_nothing_is_stored_when_the_cache_is_off() -> None:
    with serving(ttl_seconds=0) as served:
        for asking in range(1, 4):
            body, headers = served.asked()
            assert headers["cache-control"] == "private, max-age=0"
            assert [entry["cached"] for entry in body["coverage"]] == [False, False]
            assert served.reads() == 2 * asking
        assert served.stored() == 0
        answer = served.api.get(PATH, headers={"if-none-match": headers["etag"]})
        assert answer.status_code == 304
        assert served.reads() == 8


def test_an_owner_whose_name_is_not_known_is_looked_up_again_soon() -> None:
    with serving(known={}) as served:
        served.asked()
        assert served.asked()[1]["cache-control"] == "private, max-age=5"
        served.names.known["alice.eth"] = ALICE
        served.clock.now += 4
        assert served.asked()[1]["cache-control"] == "private, max-age=1"
        served.clock.now += 2
        before = served.hits()
        served.asked()
        assert served.hits() == before


def test_spellings_of_one_question_get_one_answer_and_other_questions_their_own() -> None:
    with serving() as served:
        spellings = [PATH, PATH.lower(), f"{PATH}&networks=ethereum,base", f"{PATH}&spam=false"]
        answers = [served.asked(path) for path in spellings for _ in range(3)]
        assert len({headers["etag"] for _, headers in answers}) == 1
        swapped, _ = served.asked(f"{PATH}&networks=base,ethereum")
        assert [entry["network"] for entry in swapped["coverage"]] == ["base", "ethereum"]
        by_name = [served.asked("/balances?address=ALICE.eth")[0] for _ in range(3)]
        assert all(said(body) == said(answers[0][0]) for body in by_name)
        solana = [served.asked(f"/balances?address={SOLANA_ALICE}")[0] for _ in range(3)]
        assert {body["address"] for body in solana} == {SOLANA_ALICE}
        asked = [served.asked(f"{PATH}&tokens={USDC}&currency=eur")[0] for _ in range(3)]
        assert {body["currency"] for body in asked} == {"eur"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f"address={ALICE}&netwroks=base", "unknown_parameter"),
        (f"address={ALICE}&address={ALICE}", "repeated_parameter"),
        (f"address={ALICE}&networks=nowhere", "unknown_network"),
        ("", "missing_parameter"),
    ],
)
def test_what_is_refused_stays_refused_when_the_answer_is_stored(query: str, code: str) -> None:
    with serving() as served:
        for _ in range(3):
            served.asked()
        for _ in range(2):
            answer = served.api.get(f"/balances?{query}")
            assert (answer.status_code, answer.json()["code"]) == (400, code)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["cache-control"] == "no-store"
        assert served.stored() == 1


def test_head_says_what_get_would_without_the_text() -> None:
    with serving() as served:
        for _ in range(4):
            head = served.api.head(PATH)
            assert (head.status_code, head.content) == (200, b"")
            assert int(head.headers["content-length"]) > 500
            assert head.headers["etag"].startswith('W/"')
        _, headers = served.asked()
        assert headers["content-length"] == head.headers["content-length"]
        wrong = served.api.head("/balances?address=hello")
        assert (wrong.status_code, wrong.content) == (400, b"")
        text = served.api.get("/metrics").text
    assert 'tracker_http_requests_total{method="HEAD",route="/balances",status="200"}' in text


def test_a_stored_answer_is_counted_and_logged_only_when_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with serving() as served:
        served.asked()
        served.asked()
        for level, lines in (("INFO", 0), ("DEBUG", 1)):
            caplog.clear()
            with caplog.at_level(level, logger="balance_tracker"):
                served.asked()
            assert caplog.text.count("request_answered") == lines


def test_stored_answers_end_with_the_tracker() -> None:
    with serving() as served:
        for _ in range(3):
            served.asked()
    answer = served.api.get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")

"""The store of answers by itself: bounded by number and by size, least used first."""

from typing import Any

import orjson
from tests.fakes.service import Clock

from balance_tracker.api.stored import StoredAnswer, StoredAnswers


def an_answer(address: str, *, asked_at: float, good_for: float = 60, padding: int = 0) -> StoredAnswer:
    body: dict[str, Any] = {
        "address": address,
        "holdings": ["x" * padding],
        "coverage": [{"network": "base", "age_seconds": 1, "elapsed_ms": 9, "assets": {"asked": 1}}],
        "complete": True,
    }
    return StoredAnswer(body, [1.5], asked_at, good_for)


def test_the_answer_unused_longest_makes_room() -> None:
    clock = Clock()
    store = StoredAnswers(60, clock=clock, most_answers=2)
    for name in ("a", "b"):
        store.keep(name.encode(), an_answer(name, asked_at=clock.now))
    assert store.get(b"a") is not None
    store.keep(b"c", an_answer("c", asked_at=clock.now))
    assert len(store) == 2
    assert store.get(b"b") is None
    assert store.get(b"a") is not None


def test_answers_are_bounded_by_their_size_together() -> None:
    clock = Clock()
    store = StoredAnswers(60, clock=clock, most_bytes=50_000)
    for number in range(20):
        store.keep(b"%d" % number, an_answer(str(number), asked_at=clock.now, padding=5_000))
        assert store.size_bytes <= 50_000
    assert len(store) == 4
    assert store.get(b"19") is not None
    store.keep(b"huge", an_answer("huge", asked_at=clock.now, padding=30_000))
    assert store.get(b"huge") is None
    assert len(store) == 4


def test_an_answer_kept_again_counts_once() -> None:
    clock = Clock()
    store = StoredAnswers(60, clock=clock)
    for _ in range(3):
        store.keep(b"a", an_answer("a", asked_at=clock.now))
    size = store.size_bytes
    store.keep(b"a", an_answer("a", asked_at=clock.now))
    assert (len(store), store.size_bytes) == (1, size)


def test_what_is_due_is_neither_kept_nor_given() -> None:
    clock = Clock()
    store = StoredAnswers(60, clock=clock)
    store.keep(b"a", an_answer("a", asked_at=clock.now - 60))
    assert len(store) == 0
    store.keep(b"a", an_answer("a", asked_at=clock.now))
    clock.now += 60
    assert store.get(b"a") is None
    assert (len(store), store.size_bytes) == (0, 0)


def test_an_answer_is_written_again_when_an_age_changes() -> None:
    answer = an_answer("a", asked_at=100)
    first = answer.body(100)
    assert answer.body(100.4) is first
    assert [orjson.loads(answer.body(now))["coverage"][0]["age_seconds"] for now in (100, 100.5, 130)] == [
        1,
        2,
        31,
    ]
    assert orjson.loads(first)["coverage"][0] == {
        "network": "base",
        "age_seconds": 1,
        "elapsed_ms": 0,
        "assets": {"asked": 1},
    }

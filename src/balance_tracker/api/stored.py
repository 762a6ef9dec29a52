"""Answers kept as bytes: bounded, never longer than the cache that they stand for."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b

import orjson

from balance_tracker.services.serialise import Json

MOST_ANSWERS = 1024
MOST_BYTES = 32 * 2**20
"""Of all answers together, with what is needed to write them again."""

_ENTRY_BYTES = 1024
"""About what an answer takes besides its text."""

_HOW_IT_CAME = frozenset({"cached", "age_seconds", "requests", "elapsed_ms"})


class StoredAnswer:
    """One answer as it is given from the cache; its ages go on with the clock.

    Args:
        answer: What ``portfolio_json`` wrote, of networks that all came from the cache.
        ages: How old each network was at ``asked_at``, in seconds, in the order of the coverage.
        asked_at: When it was asked, in seconds of the clock.
        good_for: Seconds from then on.
    """

    __slots__ = ("_answer", "_body", "_body_until", "_read_at", "complete", "etag", "good_until")

    def __init__(self, answer: Json, ages: Sequence[float], asked_at: float, good_for: float) -> None:
        self.etag = entity_tag(answer)
        self.complete = bool(answer["complete"])
        self.good_until = asked_at + good_for
        self._read_at = [asked_at - age for age in ages]
        self._answer = _as_fragments(answer)
        self._body = b""
        self._body_until = -math.inf

    def body(self, now: float) -> bytes:
        """The text, in which ``age_seconds`` is true at this moment of the clock."""
        if now >= self._body_until:
            self._write(now)
        return self._body

    def _write(self, now: float) -> None:
        """Fill in the ages; they hold until the first of them is a second older."""
        until = self.good_until
        for entry, read_at in zip(self._answer["coverage"], self._read_at, strict=True):
            age = int(now - read_at)
            entry["age_seconds"] = age
            until = min(until, read_at + age + 1)
        self._body = orjson.dumps(self._answer)
        self._body_until = until


class StoredAnswers:
    """Keeps the answers used last, by the query as it was sent.

    Another spelling of a question is another entry, and never an answer to something else.

    Args:
        ttl_seconds: How long the cache keeps a network; 0 keeps none, here as there.
        clock: Seconds that never go backwards, as the cache's.
        most_answers: How many are kept before the one unused longest goes.
        most_bytes: Likewise, for their size together.
    """

    def __init__(
        self,
        ttl_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        most_answers: int = MOST_ANSWERS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.ttl_seconds = ttl_seconds
        self.clock = clock
        self._most_answers = most_answers
        self._most_bytes = most_bytes
        self._answers: OrderedDict[bytes, tuple[StoredAnswer, int]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def size_bytes(self) -> int:
        """About how much memory they take."""
        return self._bytes

    def get(self, query: bytes) -> StoredAnswer | None:
        """The answer to this very query, if it is still good."""
        kept = self._answers.get(query)
        if kept is None:
            return None
        if self.clock() >= kept[0].good_until:
            self._drop(query)
            return None
        self._answers.move_to_end(query)
        return kept[0]

    def keep(self, query: bytes, answer: StoredAnswer) -> None:
        """Keep an answer, if it is good for any time and not too large; others make room."""
        now = self.clock()
        size = _ENTRY_BYTES + len(query) + 2 * len(answer.body(now))
        if answer.good_until <= now or size > self._most_bytes:
            return
        if query in self._answers:
            self._drop(query)
        self._answers[query] = (answer, size)
        self._bytes += size
        while len(self._answers) > self._most_answers or self._bytes > self._most_bytes:
            self._drop(next(iter(self._answers)))

    def _drop(self, query: bytes) -> None:
        self._bytes -= self._answers.pop(query)[1]


def entity_tag(answer: Json) -> bytes:
    """The answer's ``ETag``: the same as long as it says the same of the same blocks.

    A weak one: how an answer came (from the cache, how old, in how many requests) is no part of it,
    so an answer read now and the same one from the cache have one tag.
    """
    coverage = [
        {name: value for name, value in entry.items() if name not in _HOW_IT_CAME}
        for entry in answer["coverage"]
    ]
    said = orjson.dumps({**answer, "coverage": coverage})
    return b'W/"%s"' % blake2b(said, digest_size=16).hexdigest().encode()


def _as_fragments(answer: Json) -> Json:
    """The answer with everything written but the coverage's own numbers, as the cache gives it."""
    written: Json = {
        name: value if name == "coverage" else orjson.Fragment(orjson.dumps(value))
        for name, value in answer.items()
    }
    written["coverage"] = [
        {**entry, "elapsed_ms": 0, "assets": orjson.Fragment(orjson.dumps(entry["assets"]))}
        for entry in answer["coverage"]
    ]
    return written

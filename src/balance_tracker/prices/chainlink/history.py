"""Past rounds of a feed, found by asking the feed itself: no endpoint with old state is needed.

A proxy's round id is ``phase << 64 | round``: a new aggregator behind the proxy begins a new
phase, whose rounds count from one. Within a phase times only rise, so a time is found by
narrowing down, many rounds at once. All searches of a question go in step, one request a step.
"""

from collections.abc import Awaitable, Callable, Generator, Sequence

from balance_tracker.core.ids import Address
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.prices.chainlink.rounds import (
    GET_ROUND_DATA,
    LATEST_ROUND_DATA,
    Round,
    read_round,
)

FAN = 15
"""Rounds that one step of a search looks at."""
MOST_STEPS = 12
"""Steps within one phase: 16 ** 12 rounds."""
MOST_PHASES = 4
"""How many phases back a search goes."""
MOST_ROUNDS = 480
"""Rounds of one series; a longer time is seen at evenly spread ones."""
LARGEST_ROUND = 1 << 24
"""Where the search for the end of an earlier phase begins."""

_PHASE = 1 << 64

type Search[T] = Generator[list[Call], Sequence[Outcome], T]
"""Yields what it wants to know, is sent what became of it, and returns what it found."""

type Ask = Callable[[Sequence[Call]], Awaitable[Sequence[Outcome]]]


async def in_step[T](searches: Sequence[Search[T]], ask: Ask) -> list[T]:
    """Carry out searches side by side: their questions of a step are one request.

    Raises:
        UpstreamError: No endpoint answered a step.
    """
    results: dict[int, T] = {}
    asking: dict[int, list[Call]] = {}
    for number, search in enumerate(searches):
        _advance(number, search, None, asking, results)
    while asking:
        step = dict(asking)
        outcomes = await ask([call for calls in step.values() for call in calls])
        start = 0
        for number, calls in step.items():
            end = start + len(calls)
            _advance(number, searches[number], outcomes[start:end], asking, results)
            start = end
    return [results[number] for number in range(len(searches))]


def round_at(proxy: Address, moment: int) -> Search[Round | None]:
    """The last round written at or before ``moment`` (Unix seconds), ``None`` if none is found."""
    (outcome,) = yield [Call(proxy.lower(), LATEST_ROUND_DATA)]
    latest = read_round(outcome)
    if not isinstance(latest, Round):
        return None
    if 0 < latest.updated_at <= moment:
        return latest
    phase, number = divmod(latest.round_id, _PHASE)
    found = yield from _in_phase(proxy, phase, number, moment)
    for earlier in range(phase - 1, max(phase - MOST_PHASES, 0), -1):
        if found is not None:
            break
        found = yield from _in_phase(proxy, earlier, LARGEST_ROUND, moment, is_over=True)
    return found


def rounds_between(proxy: Address, start: int, end: int) -> Search[list[Round]]:
    """Rounds from ``start`` to ``end`` (Unix seconds), in order of time, at most :data:`MOST_ROUNDS`.

    The round that was true at ``start`` comes first, where there is one.
    """
    last = yield from round_at(proxy, end)
    if last is None:
        return []
    first = yield from round_at(proxy, start)
    ids = yield from _ids_between(proxy, first, last)
    outcomes = yield [_round_call(proxy, round_id) for round_id in ids]
    found = [one for one in map(read_round, outcomes) if isinstance(one, Round)]
    return sorted((one for one in found if 0 < one.updated_at <= end), key=lambda one: one.updated_at)


def _in_phase(
    proxy: Address, phase: int, last: int, moment: int, *, is_over: bool = False
) -> Search[Round | None]:
    """The last round of a phase by a time.

    A round without data is a gap, which tells nothing; of a phase that is over, whose length is
    not known, it is one after the last.
    """
    low, high, best = 0, last + 1, None
    for _ in range(MOST_STEPS):
        span = high - low
        if span <= 1:
            break
        probes = sorted({low + span * part // (FAN + 1) for part in range(1, FAN + 1)} - {low})
        outcomes = yield [_round_call(proxy, phase * _PHASE + number) for number in probes]
        known = [(number, read_round(one)) for number, one in zip(probes, outcomes, strict=True)]
        before = (low, high)
        for number, found in known:
            has_data = isinstance(found, Round) and found.updated_at > 0
            if isinstance(found, Round) and 0 < found.updated_at <= moment:
                low, best = number, found
            elif has_data or is_over:
                high = number
                break
        if before == (low, high):
            break
    return best


def _ids_between(proxy: Address, first: Round | None, last: Round) -> Search[list[int]]:
    """Round ids of all phases from one round to another, thinned evenly to :data:`MOST_ROUNDS`."""
    last_phase = last.round_id // _PHASE
    begin = first.round_id if first is not None else last_phase * _PHASE + 1
    spans: list[range] = []
    for phase in range(max(begin // _PHASE, last_phase - MOST_PHASES + 1), last_phase):
        end = yield from _in_phase(proxy, phase, LARGEST_ROUND, last.updated_at, is_over=True)
        if end is not None:
            spans.append(range(max(begin, phase * _PHASE + 1), end.round_id + 1))
    spans.append(range(max(begin, last_phase * _PHASE + 1), last.round_id + 1))
    total = sum(len(span) for span in spans)
    wanted = min(total, MOST_ROUNDS)
    places = {(total - 1) * part // max(wanted - 1, 1) for part in range(wanted)}
    return [_at(spans, place) for place in sorted(places)]


def _at(spans: Sequence[range], place: int) -> int:
    for span in spans:
        if place < len(span):
            return span[place]
        place -= len(span)
    raise IndexError(place)


def _round_call(proxy: Address, round_id: int) -> Call:
    return Call(proxy.lower(), f"{GET_ROUND_DATA}{round_id:064x}")


def _advance[T](
    number: int,
    search: Search[T],
    outcomes: Sequence[Outcome] | None,
    asking: dict[int, list[Call]],
    results: dict[int, T],
) -> None:
    """Let one search go on to its next question, or to its end; a question of nothing is answered at once."""
    asking.pop(number, None)
    try:
        calls = search.send(outcomes) if outcomes is not None else next(search)
        while not calls:
            calls = search.send([])
    except StopIteration as done:
        results[number] = done.value
        return
    asking[number] = calls

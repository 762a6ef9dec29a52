"""The goals, line by line: what was wanted, what was measured, whether it is met.

Works on the document that ``--json`` prints, so that a report can't say anything else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.arena import LIMIT_MULTICALL, OURS, PEERS

type Document = dict[str, Any]

_ROUND_TRIP_MS = 100.0


@dataclass(frozen=True, slots=True)
class Goal:
    """One line.

    Attributes:
        name: What it is about.
        wanted: The goal in words.
        measured: What came out, in the same unit; ``None`` if it was not measured.
        met: Whether it is met; ``None`` if it was not measured.
        note: What the measured number was made of.
    """

    name: str
    wanted: str
    measured: str | None
    met: bool | None
    note: str = ""


def goals(document: Document) -> list[Goal]:
    """All goals that the document has figures for."""
    cases = {case["key"]: case for case in document["cases"]}
    found = [
        *_speed(cases, "W1", 5, 1.25),
        *_speed(cases, "W2", 10, 1.4),
        *_speed(cases, "W3", 15, 1.5),
        *_memory(cases),
        *_speed(cases, "W2 multicall", 3.5, 1.2),
        *_speed(cases, "W3 multicall", 5.5, 1.2),
        *_speed(cases, "W2 slow", 6, 1.15),
        *_round_trips(cases, "W4", 1.03),
        *_round_trips(cases, "W4 cold", 3.1),
        *_one_request(cases),
        *_processor(cases),
        *_bytes(cases),
        *_fewest(cases),
        *_portfolio(cases),
        *_served(document),
    ]
    return list(found)


def row(case: Document, name: str) -> Document | None:
    """A contender's row, if all that it answered is right."""
    return next((one for one in case["rows"] if one["name"] == name and one["right"]), None)


def best_peer(case: Document) -> Document | None:
    """The fastest peer whose every number is right."""
    peers = [found for name in PEERS if (found := row(case, name))]
    return min(peers, key=lambda one: float(one["ms"]), default=None)


def limit_of(case: Document) -> Document | None:
    """The limit that goes with the case's form of the read."""
    return row(case, case["limit"])


def _speed(cases: Document, key: str, faster: float, over_limit: float) -> Iterator[Goal]:
    case = cases.get(key)
    ours = case and row(case, OURS)
    if not case or not ours:
        return
    peer, limit = best_peer(case), limit_of(case)
    if peer:
        ratio = peer["ms"] / ours["ms"]
        note = f"{peer['name']} {_ms(peer['ms'])}, ours {_ms(ours['ms'])}"
        yield Goal(f"{key}: best peer", f"{faster:g}x faster", f"{ratio:.1f}x", ratio >= faster, note)
    if limit:
        ratio = ours["ms"] / limit["ms"]
        note = f"{limit['name']} {_ms(limit['ms'])}"
        yield Goal(f"{key}: limit", f"≤ {over_limit:g}x", f"{ratio:.2f}x", ratio <= over_limit, note)


def _memory(cases: Document) -> Iterator[Goal]:
    for key in ("W3", "10,000"):
        ours = key in cases and row(cases[key], OURS)
        if ours and ours["growth_mib"] is not None:
            growth = ours["growth_mib"]
            note = _memory_of_peers(cases[key])
            yield Goal(f"{key}: memory", "< 60 MiB over the import", f"{growth:.0f} MiB", growth < 60, note)


def _memory_of_peers(case: Document) -> str:
    known = [(name, found["growth_mib"]) for name in PEERS if (found := row(case, name))]
    return ", ".join(f"{name} {growth:.0f} MiB" for name, growth in known if growth is not None)


def _round_trips(cases: Document, key: str, most: float) -> Iterator[Goal]:
    ours = key in cases and row(cases[key], OURS)
    if not ours:
        return
    trips = ours["ms"] / _ROUND_TRIP_MS
    peer, limit = best_peer(cases[key]), limit_of(cases[key])
    known = [(peer["name"], peer["ms"])] if peer else []
    known += [(limit["name"], limit["ms"])] if limit else []
    note = ", ".join(f"{name} {ms / _ROUND_TRIP_MS:.3f}" for name, ms in known)
    yield Goal(f"{key}: round trips", f"≤ {most:g}", f"{trips:.3f}", trips <= most, note)


def _one_request(cases: Document) -> Iterator[Goal]:
    ours = "W5" in cases and row(cases["W5"], OURS)
    if ours:
        measured = f"{ours['requests']} request, {ours['too_many']} times 429"
        met = ours["requests"] == 1 and not ours["too_many"]
        yield Goal("W5", "1 request, no 429", measured, met, f"{ours['calls']} JSON-RPC calls")


def _processor(cases: Document) -> Iterator[Goal]:
    """Client CPU of W3, where what a request costs by itself no longer shows."""
    case = cases.get("W3")
    ours = case and row(case, OURS)
    if not case or not ours:
        return
    mine = _microseconds(case, ours)
    peers = [_microseconds(case, found) for name in PEERS if (found := row(case, name))]
    limit = limit_of(case)
    yield Goal("client CPU per balance", "≤ 0.4 µs", f"{mine:.2f} µs", mine <= 0.4, "W3, user and system")
    if peers:
        ratio = min(peers) / mine
        yield Goal("client CPU: best peer", "50x less", f"{ratio:.0f}x", ratio >= 50, f"{min(peers):.1f} µs")
    if limit:
        least = _microseconds(case, limit)
        yield Goal("client CPU: limit", "≤ 2x", f"{mine / least:.2f}x", mine <= 2 * least, f"{least:.2f} µs")


def _microseconds(case: Document, found: Document) -> float:
    return float(1_000 * found["cpu_ms"] / case["balances"])


def _bytes(cases: Document) -> Iterator[Goal]:
    case = cases.get("W3")
    ours = case and row(case, OURS)
    if not case or not ours:
        return
    mine = _bytes_of(case, ours)
    peers = [_bytes_of(case, found) for name in PEERS if (found := row(case, name)) and "bytes_up" in found]
    note = f"up {ours['bytes_up'] / case['balances']:.2f}, down {ours['bytes_down'] / case['balances']:.2f}"
    yield Goal("bytes per balance on the wire", "≤ 12", f"{mine:.1f}", mine <= 12, f"W3: {note}")
    if peers:
        ratio = min(peers) / mine
        yield Goal("bytes: best peer", "60x fewer", f"{ratio:.0f}x", ratio >= 60, f"{min(peers):.0f} bytes")


def _bytes_of(case: Document, found: Document) -> float:
    return float((found["bytes_up"] + found["bytes_down"]) / case["balances"])


def _fewest(cases: Document) -> Iterator[Goal]:
    """The fewest requests that the caps allow, by what the reading must move and burn at the least."""
    for key in ("W2 small", "W3 small", "W2 small multicall"):
        case = cases.get(key)
        ours = case and row(case, OURS)
        if not case or not ours:
            continue
        fewest = fewest_requests(case)
        measured = f"{ours['requests']} ({ours['refused']} refused)"
        met = ours["requests"] <= fewest
        yield Goal(f"{key}: requests", f"{fewest}, the fewest possible", measured, met, case["title"])


MULTICALL_CALL_BYTES = 448
"""Hexadecimal digits of one call of ``aggregate3``."""

MULTICALL_GAS, SCAN_GAS = 6_840, 3_200
"""What a balance of these tokens costs at the least, by the form of the read."""


def fewest_requests(case: Document) -> int:
    """A lower bound for a client that knows the caps from the start."""
    known, balances = case["conditions"], case["balances"]
    by_multicall = case["limit"] == LIMIT_MULTICALL
    gas = balances * (MULTICALL_GAS if by_multicall else SCAN_GAS)
    size = balances * MULTICALL_CALL_BYTES if by_multicall else 0
    return int(max(-(-gas // known["gas"]), -(-size // known["body_bytes"]), 1))


def _portfolio(cases: Document) -> Iterator[Goal]:
    """Requests of a whole portfolio; what its reading took against web3.py stands in the note."""
    for key in ("portfolio", "portfolio slow", "portfolio nothing"):
        case = cases.get(key)
        ours = case and row(case, OURS)
        if not case or not ours:
            continue
        wanted, peer = f"≤ {case['fewest']}, the fewest possible", best_peer(case)
        note = (
            f"{peer['name']} {peer['requests']} and {peer['ms'] / ours['ms']:.1f}x the time:"
            f" {_ms(peer['ms'])}, ours {_ms(ours['ms'])}"
            if peer
            else case["title"]
        )
        met = ours["requests"] <= case["fewest"]
        yield Goal(f"{key}: requests", wanted, f"{ours['requests']}", met, note)


def _served(document: Document) -> Iterator[Goal]:
    served = document.get("served")
    if served:
        rates = f"{served['ours_rps']:,.0f} of {served['raw_rps']:,.0f} a second"
        note = f"{rates}, {served['answer_bytes']:,} bytes"
        ratio = served["ratio"]
        yield Goal("a cached GET /balances", "≥ 0.4 of raw ASGI", f"{ratio:.2f}", ratio >= 0.4, note)


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds >= 100 else f"{milliseconds:.2f} ms"

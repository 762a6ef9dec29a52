"""Writes ``docs/benchmarks.md`` and its plot: ``python -m benchmarks.report results.json``.

The figures are those of the document that ``python -m benchmarks.bench --json`` printed, so that the
page can't say what was not measured.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.arena import OURS, ROOT
from benchmarks.goals import Goal, goals
from benchmarks.plot import growth_svg
from benchmarks.reasons import REASONS
from benchmarks.table import count

PAGE, PLOT = "benchmarks.md", "benchmarks-growth.svg"

_INTRODUCTION = """\
# Benchmarks

Measured {date} by {program} on Python {python} ({system}), {cores} cores that other work shared, in
{seconds} s. The page is written by a program from the figures of one run.

**Noise.** Milliseconds of two runs differ by half and more on a machine like this; ratios within a run
hold better, because the contenders take turns and a median is taken. Counts (requests, calls, bytes)
do not depend on the machine, and the tests check them.

**To reproduce:** `make bench`, or `make bench ARGS="--only W1,W2"`; for this page
`python -m benchmarks.bench --json > results.json` and `python -m benchmarks.report results.json`.

**The scene.** One anvil with 60 OpenZeppelin ERC-20s, Multicall3 at its usual address, 50M gas a call.
Treasury-like: every tenth wallet holds 9 tokens in 10, the others 45 in 100, so that half of all
balances are zero; the rest are mostly 10^15 to 10^20 smallest units, and every eighth token has 6 decimals.
Every number of every read is compared with the formula it was made by; who is wrong is not timed.

**The limit** is measured in the same run: requests ready as bytes, blocking sockets, replies cut by
slicing; as many connections as are fastest. It has two forms: with our scanner (the very bytes that
our reader sends), and with Multicall3.

**The endpoints** of W4 and after are simulated by a process in front of the node: round trips (a new
connection costs one for TCP and one for TLS 1.3 before the first request; the cryptography and TCP's
slow start are not simulated), bandwidth, 429 with `Retry-After`, caps of gas, bodies and batches, and
endpoints without state overrides or code of ours.

**The portfolio** is read on another node: a market of Aave V3.6 from its authors' sources, Uniswap V3 from
its packages, more than 100 tokens and 20 collections: all balances, the ids of what is held, the loan and the
liquidity to the wei, of one block. web3.py's answer, in which the positions are the contracts' own word, is
compared with ours fact by fact. To ask contracts what they can be asked takes three requests at the least,
because a position's id leads to its pool and range, and these lead to the pool's price and fees; a wallet
that has nothing takes one. The limit there sends the same requests as ours, ready as bytes, and decodes
nothing.
"""


def main() -> None:
    """Write the page and the plot."""
    parser = argparse.ArgumentParser(description="Write the page of the benchmarks.")
    parser.add_argument("results", type=Path, help="what --json printed")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    document = json.loads(arguments.results.read_text(encoding="utf-8"))
    (arguments.folder / PAGE).write_text(page(document), encoding="utf-8")
    if "growth" in document:
        (arguments.folder / PLOT).write_text(growth_svg(document["growth"]), encoding="utf-8")


def page(document: dict[str, Any]) -> str:
    """The page in Markdown."""
    parts = [_INTRODUCTION.format(**document["meta"]), _goals_part(goals(document))]
    if "growth" in document:
        parts.append(_growth_part(document["growth"]))
    parts += [_case_part(case) for case in document["cases"]]
    parts += _service_part(document)
    parts += [f"{name} was not measured: {why}\n" for name, why in document["meta"].get("failed", {}).items()]
    return "\n".join(parts)


def _goals_part(found: list[Goal]) -> str:
    lines = ["## Goals", "", "| | goal | measured | | made of |", "|---|---|---|---|---|"]
    for goal in found:
        verdict = "met" if goal.met else "**missed**"
        lines.append(f"| {goal.name} | {goal.wanted} | {goal.measured} | {verdict} | {goal.note} |")
    missed = [goal.name for goal in found if not goal.met]
    lines += ["", f"Missed: {'; '.join(missed)}." if missed else "None is missed.", ""]
    lines += [f"- {name}: {REASONS[name]}." for name in missed if name in REASONS]
    lines.append("")
    return "\n".join(lines)


def _growth_part(growth: dict[str, list[dict[str, Any]]]) -> str:
    lines = ["## How cost grows", "", f"![Time against wallets and tokens]({PLOT})", ""]
    for axis, points in growth.items():
        names = list(points[0]["ms"])
        lines += [f"| {axis} | " + " | ".join(f"{name}, ms" for name in names) + " |"]
        lines += ["|---" * (1 + len(names)) + "|"]
        for point in points:
            cells = [f"{point['ms'][name]:,.1f}" if name in point["ms"] else "–" for name in names]
            lines.append(f"| {point[axis]:,} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _case_part(case: dict[str, Any]) -> str:
    ours = next((row["ms"] for row in case["rows"] if row["name"] == OURS and row["right"]), None)
    lines = [
        f"## {case['key']}: {case['title']}",
        "",
        f"{case['balances']:,} balances a read.",
        "",
        "| | ms | to ours | CPU, µs a balance | requests | calls | 429 | bytes up | bytes down | MiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in case["rows"]:
        if row["right"]:
            lines.append(f"| {row['name']} | {' | '.join(_cells(case, row, ours))} |")
        else:
            lines.append(f"| {row['name']} | wrong: {row['failure']} | | | | | | | | |")
    return "\n".join([*lines, ""])


def _cells(case: dict[str, Any], row: dict[str, Any], ours: float | None) -> Iterator[str]:
    yield f"{row['ms']:,.2f}"
    yield f"{row['ms'] / ours:.2f}x" if ours else "–"
    yield f"{1_000 * row['cpu_ms'] / case['balances']:.2f}"
    for name in ("requests", "calls", "too_many", "bytes_up", "bytes_down"):
        yield count(row, name)
    yield "–" if row["growth_mib"] is None else f"{row['growth_mib']:.0f}"


def _service_part(document: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    if service := document.get("service"):
        lines += [
            "## The API",
            "",
            f"`GET /balances` of one wallet on {service['networks']} networks of the demo,"
            f" {service['holdings']} holdings, {service['answer_bytes']:,} bytes: the first after the start"
            f" {service['first_ms']:.0f} ms ({service['requests']} requests), cold"
            f" {service['cold_p50_ms']:.1f} ms, cached {service['cached_p50_ms']:.2f} ms (medians).",
            "",
        ]
    if served := document.get("served"):
        lines += [
            f"Cached answers under load: {served['ours_rps']:,.0f} a second; a raw ASGI answer of the same"
            f" {served['answer_bytes']:,} bytes on the same server: {served['raw_rps']:,.0f}."
            f" The ratio is {served['ratio']:.2f}.",
            "",
        ]
    return [*lines, *_kept_part(document)]


def _kept_part(document: dict[str, Any]) -> list[str]:
    """What is kept and guarded: batches, keys and limits."""
    lines: list[str] = []
    if batch := document.get("batch"):
        lines += [
            f"`POST /batch` of {batch['wallets']:,} wallets on {batch['networks']} networks of the simulator:"
            f" accepted in {batch['accepted_ms']:.0f} ms, done in {batch['seconds']:.1f} s with"
            f" {batch['requests']} requests and {batch['peak_mib']:.0f} MiB more memory; all results as lines"
            f" in {batch['stream_seconds']:.1f} s ({batch['stream_bytes']:,} bytes,"
            f" {batch['database_bytes']:,} in the database).",
            "",
        ]
    if guarded := document.get("guarded"):
        open_p50 = guarded["open"]["p50_us"]
        lines += ["Cached `GET /balances`, 500 a second over two processes:", ""]
        lines += ["| | p50 µs | p99 µs | p50 over open, µs |", "| --- | --- | --- | --- |"]
        for way, name in (
            ("open", "no key, no limit"),
            ("in_process", "key and limit, counted in process"),
            ("valkey", "key and limit, counted in Valkey"),
        ):
            one = guarded[way]
            over = "–" if way == "open" else f"{one['p50_us'] - open_p50:,.0f}"
            lines.append(f"| {name} | {one['p50_us']:,.0f} | {one['p99_us']:,.0f} | {over} |")
        lines.append("")
    if history := document.get("history"):
        lines += _history_part(history)
    return lines


def _history_part(history: list[dict[str, Any]]) -> list[str]:
    """A year of hourly snapshots, on each database."""
    names = list(history[0]["milliseconds"])
    lines = ["A year of hourly snapshots of many wallets, milliseconds:", ""]
    lines += [f"| | {' | '.join(one['database'] for one in history)} |"]
    lines += ["| --- |" + " --- |" * len(history)]
    lines.append("| snapshots | " + " | ".join(f"{one['snapshots']:,}" for one in history) + " |")
    lines.append("| on disk, MB | " + " | ".join(f"{one['megabytes']:,.0f}" for one in history) + " |")
    for name in names:
        lines.append(
            f"| {name} | " + " | ".join(f"{one['milliseconds'][name]:,.0f}" for one in history) + " |"
        )
    return [*lines, ""]


if __name__ == "__main__":
    main()

"""The benchmarks' document as one table in plain text."""

from typing import Any

from benchmarks.arena import OURS
from benchmarks.goals import Goal, goals

_HEAD = (
    f"  {'':27}{'ms':>9}{'to ours':>9}{'CPU µs':>8}{'requests':>9}{'calls':>6}{'429':>5}"
    f"{'bytes up':>12}{'bytes down':>12}{'MiB':>6}"
)


def as_table(document: dict[str, Any]) -> str:
    """All cases, then the goals; CPU is the client's, per balance, MiB the growth over the imports."""
    lines = [_HEAD]
    for case in document["cases"]:
        lines += ["", f"{case['key']}: {case['title']} ({case['balances']:,} balances)", *case_lines(case)]
    lines += _service_lines(document)
    lines += [f"  {name} was not measured: {why}" for name, why in document["meta"].get("failed", {}).items()]
    lines += ["", f"  {'goal':32}{'wanted':28}{'measured':26}", *map(_goal_line, goals(document))]
    meta = document["meta"]
    lines += ["", f"{meta['program']}, Python {meta['python']}, {meta['cores']} cores, {meta['date']}"]
    return "\n".join(lines)


def case_lines(case: dict[str, Any]) -> list[str]:
    """One line for each contender."""
    ours = next((row for row in case["rows"] if row["name"] == OURS and row["right"]), None)
    return [_row_line(case, row, ours) for row in case["rows"]]


def _row_line(case: dict[str, Any], row: dict[str, Any], ours: dict[str, Any] | None) -> str:
    if not row["right"]:
        return f"  {row['name']:27}    wrong: {row['failure'][:80]}"
    to_ours = f"{row['ms'] / ours['ms']:.2f}x" if ours else ""
    memory = row["growth_mib"]
    return (
        f"  {row['name']:27}{row['ms']:9,.2f}{to_ours:>9}{1_000 * row['cpu_ms'] / case['balances']:8.2f}"
        f"{count(row, 'requests'):>9}{count(row, 'calls'):>6}{count(row, 'too_many'):>5}"
        f"{count(row, 'bytes_up'):>12}{count(row, 'bytes_down'):>12}"
        f"{'' if memory is None else format(memory, '.0f'):>6}"
    )


def count(row: dict[str, Any], name: str) -> str:
    """A number of the wire, or a dash where it was not counted."""
    return f"{row[name]:,}" if name in row else "–"


def _service_lines(document: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    if service := document.get("service"):
        lines += [
            "",
            f"GET /balances, {service['networks']} networks of the demo, {service['holdings']} holdings,"
            f" {service['answer_bytes']:,} bytes",
            f"  {'first after the start':27}{service['first_ms']:9.2f}  {service['requests']} requests",
            f"  {'cold, p50':27}{service['cold_p50_ms']:9.2f}",
            f"  {'cached, p50':27}{service['cached_p50_ms']:9.2f}",
        ]
    if served := document.get("served"):
        lines.append(
            f"  {'cached, answers a second':27}{served['ours_rps']:9,.0f}  "
            f"{served['ratio']:.2f} of a raw ASGI answer of the same size ({served['raw_rps']:,.0f})"
        )
    return [*lines, *_batch_lines(document), *_guarded_lines(document), *_history_lines(document)]


def _batch_lines(document: dict[str, Any]) -> list[str]:
    if not (batch := document.get("batch")):
        return []
    return [
        "",
        f"POST /batch, {batch['wallets']:,} wallets on {batch['networks']} networks",
        f"  {'accepted, ms':27}{batch['accepted_ms']:9.2f}",
        f"  {'done, s':27}{batch['seconds']:9.2f}"
        f"  {batch['requests']} requests, {batch['peak_mib']:.0f} MiB more",
        f"  {'all results as lines, s':27}{batch['stream_seconds']:9.2f}  {batch['stream_bytes']:,} bytes",
        f"  {'in the database, bytes':27}{batch['database_bytes']:9,}",
    ]


def _guarded_lines(document: dict[str, Any]) -> list[str]:
    if not (guarded := document.get("guarded")):
        return []
    names = {"open": "no key, no limit", "in_process": "key and limit", "valkey": "the same in Valkey"}
    return [
        "",
        "Cached GET /balances, 500 a second over two processes, µs",
        *(
            f"  {name:27}{guarded[way]['p50_us']:9,.0f}  p99 {guarded[way]['p99_us']:,.0f}"
            for way, name in names.items()
        ),
    ]


def _goal_line(goal: Goal) -> str:
    verdict = {True: "met", False: "MISSED", None: "not measured"}[goal.met]
    return f"  {goal.name:32}{goal.wanted:28}{goal.measured or '':22}{verdict:8}{goal.note}"


def _history_lines(document: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for one in document.get("history") or ():
        lines += ["", f"{one['snapshots']:,} snapshots in {one['database']}, {one['megabytes']:,.0f} MB; ms"]
        lines += [f"  {name:34}{spent:9.1f}" for name, spent in one["milliseconds"].items()]
    return lines

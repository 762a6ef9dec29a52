"""Small house rules for the source that no linter states."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import SOURCE, functions, parsed, project_files, python_files, shown, text_of

LONGEST_FUNCTION_LINES = 50
LONGEST_FILE_LINES = 400

GENERATED = "src/balance_tracker/storage/migrations/versions/"
"""Migrations: written by a tool from the tables, a list of columns each."""

FLOAT_HAS_NO_MONEY = {
    "src/balance_tracker/transport/bucket.py": "requests a second",
    "src/balance_tracker/transport/reply.py": "seconds of Retry-After",
    "src/balance_tracker/telemetry/metrics.py": "a ratio that is counted in buckets",
    "src/balance_tracker/solana/binary.py": "a multiplier that a mint stores as an IEEE double",
    "src/balance_tracker/solana/ui_amount.py": "what a token program displays, which it computes in doubles",
    "src/balance_tracker/demo/solana_rpc_encoding.py": "a number of the node protocol, beside its text",
}
"""Where ``float(...)`` may be called, and on what."""

BROAD_CATCHES = {
    "src/balance_tracker/solana/sources.py": "one protocol on Solana: the others go on",
    "src/balance_tracker/evm/touring.py": "one tour: the others go on",
    "src/balance_tracker/api/middleware.py": "one request",
    "src/balance_tracker/cli/exits.py": "one command",
    "src/balance_tracker/services/catalog.py": "one network's probe: the others go on",
    "src/balance_tracker/services/naming.py": "a name for display, which harms no answer",
    "src/balance_tracker/jobs/celery_queue.py": "the broker, which only wakes: jobs are kept without it",
    "src/balance_tracker/jobs/runner.py": "one job: the worker goes on with others",
    "src/balance_tracker/jobs/ticking.py": "one tick: the next one is tried all the same",
    "src/balance_tracker/services/nft_completing.py": "one network's search: the others go on",
    "src/balance_tracker/services/price_round.py": "one price source's task: the others go on",
    "src/balance_tracker/services/reading.py": "one network's task: the others go on",
    "src/balance_tracker/services/valuation.py": "prices, which harm no balance",
    "src/balance_tracker/services/whole_reading.py": "one network's task: the others go on",
    "src/balance_tracker/services/token_refresh.py": "one network's check: the others go on",
}
"""Where ``except Exception`` may stand: an edge, which records what it caught."""

SILENCED_TYPES = {
    "src/balance_tracker/api/specification.py": "the framework's own way to replace the specification",
    "src/balance_tracker/telemetry/logging.py": "a property in place of an attribute, to follow stderr",
}
"""Where a type error is silenced, and why."""

UNFINISHED = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error", "pragma: no " + "cover")
LEFT_OUT = ("pytest." + "skip(", "x" + "fail(", "mark." + "skip")


def calls_of(path: Path, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def broad_catches(path: Path) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or "Exception" in names_in(node.type)):
            yield node


def names_in(node: ast.AST) -> set[str]:
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}


def test_no_function_needs_scrolling() -> None:
    long = [
        f"{shown(path)}:{node.lineno} {name} has {lines} lines"
        for path in python_files("src", "benchmarks", "tools")
        for name, node in functions(path)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION_LINES
        and not shown(path).startswith(GENERATED)
    ]
    assert not long


def test_no_source_file_holds_two_ideas() -> None:
    long = [shown(path) for path in python_files("src") if text_of(path).count("\n") > LONGEST_FILE_LINES]
    assert not long


def test_no_float_touches_money() -> None:
    found = {shown(path) for path in python_files("src") if any(calls_of(path, "float"))}
    assert found == set(FLOAT_HAS_NO_MONEY)


def test_amounts_are_never_divided_or_rounded_as_floats() -> None:
    """In the core a ``/`` between integers would be a float, and a float literal would be one too."""
    found = [
        f"{shown(path)}:{node.lineno}"
        for path in python_files("src")
        if path.is_relative_to(SOURCE / "core")
        for node in ast.walk(parsed(path))
        if (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
    ]
    assert not found


def test_broad_catches_stand_only_at_the_edges() -> None:
    found = {shown(path) for path in python_files("src") if any(broad_catches(path))}
    assert found == set(BROAD_CATCHES)


def test_a_broad_catch_does_something_with_what_it_caught() -> None:
    for path in python_files("src"):
        for handler in broad_catches(path):
            assert handler.name, f"{shown(path)}:{handler.lineno} gives what it caught no name"
            body = ast.Module(body=handler.body, type_ignores=[])
            assert handler.name in names_in(body), f"{shown(path)}:{handler.lineno} drops what it caught"


def test_nothing_is_left_unfinished_or_untested() -> None:
    found = [
        f"{shown(path)}:{number}: {word}"
        for path in python_files("src", "tests", "benchmarks", "tools")
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        for word in UNFINISHED + LEFT_OUT
        if word in line
    ]
    assert not found


def test_type_errors_are_silenced_only_where_a_reason_is_known() -> None:
    found = {shown(path) for path in python_files("src") if "type: " + "ignore" in text_of(path)}
    assert found == set(SILENCED_TYPES)


def test_every_public_thing_says_what_it_is() -> None:
    bare = [f"{shown(path)}: module" for path in python_files("src") if not ast.get_docstring(parsed(path))]
    for path in python_files("src"):
        bare += [
            f"{shown(path)}:{node.lineno} {node.name}"
            for holder in _public_holders(parsed(path))
            for node in holder.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
    assert not bare


def _public_holders(module: ast.Module) -> Iterator[ast.Module | ast.ClassDef]:
    yield module
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node


def test_nothing_is_printed_without_saying_where() -> None:
    """Data goes to stdout and all else to stderr, so a stray ``print`` spoils a pipe."""
    found = [
        f"{shown(path)}:{call.lineno}"
        for path in python_files("src")
        for call in calls_of(path, "print")
        if not any(keyword.arg == "file" for keyword in call.keywords)
    ]
    assert not found


def test_test_functions_have_sentences_for_names() -> None:
    short = [
        f"{shown(path)} {name}"
        for path in python_files("tests")
        for name, _ in functions(path)
        if name.startswith("test_") and name.count("_") < 3
    ]
    assert not short


def test_the_package_says_that_it_is_typed() -> None:
    assert SOURCE / "py.typed" in project_files()

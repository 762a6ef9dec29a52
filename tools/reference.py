"""Writes the reference pages of ``docs/`` from the code, or checks that they are what the code says.

Usage: ``python tools/reference.py`` writes them, ``python tools/reference.py --check`` exits with 1 if
one is not up to date. No page has a fact that is written anywhere else by hand.
"""

import ast
import importlib
import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from error_codes import CODES

from balance_tracker.api.app import create_app
from balance_tracker.bootstrap.leading import position_sources, protocol_guides
from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.tokens import load_tokens
from balance_tracker.cli.main import app as command_line
from balance_tracker.core.networks import Network
from balance_tracker.protocols.found import FoundProtocol, found_protocols
from balance_tracker.settings import Settings, environment_name
from balance_tracker.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "balance_tracker"
DOCS = ROOT / "docs"
_NOTICE = "<!-- Written by tools/reference.py from the code; change the code and run it again. -->\n"
_WORD = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")
_CODE_CALLS = {"problem": 1, "NetworkError": 0}


def settings_page() -> str:
    """Every setting with its default and its sentence."""
    rows = [
        (
            f"`{environment_name(name)}`",
            _default(field.get_default(call_default_factory=True)),
            field.description,
        )
        for name, field in Settings.model_fields.items()
    ]
    text = (
        "Environment variables, or the same names in a file `.env` where the service is started. A wrong one "
        "stops the start, with its name and the reason. An empty one counts as not set.\n\n"
    )
    return _page("Settings", text + _table(("name", "default", "what it does"), rows))


def cli_page() -> str:
    """Every command with its arguments and options."""
    root = typer.main.get_command(command_line)
    parts = [
        f"{root.help}\n\n{root.epilog}\n\nData goes to stdout, everything else to stderr. On a terminal it "
        "is a table; in a pipe it is tab-separated text.\n"
    ]
    for words, command in _commands(root, ("balance-tracker",)):
        rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
        parts.append(f"## `{' '.join(words)}`\n\n{command.help or ''}\n")
        if rows:
            parts.append(_table(("", "default", "what it does"), rows))
    return _page("Command line", "\n".join(parts))


def api_page() -> str:
    """Every route with its parameters and answers."""
    document = create_app(Settings()).openapi()
    parts = [
        f"{document['info']['description'].strip()}\n\nThe whole specification is at `/openapi.json`, to try "
        "out at `/` (Swagger UI) and to read at `/redoc`.\n"
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(_route(method.upper(), path, operation))
    return _page("API", "\n".join(parts))


def errors_page() -> str:
    """Every code that the package may answer with."""
    found = error_codes()
    missing, unused = sorted(found - set(CODES)), sorted(set(CODES) - found)
    if missing or unused:
        raise SystemExit(f"tools/error_codes.py lacks {missing} and has without need {unused}")
    text = (
        "One word for one reason, the same in the API, the logs and the metrics: in problems "
        "(`application/problem+json`) as `code`, in coverage as `error.code` and `failed[].code`.\n\n"
    )
    rows = [(f"`{code}`", CODES[code]) for code in sorted(found)]
    return _page("Error codes", text + _table(("code", "meaning"), rows))


def metrics_page() -> str:
    """Every metric with its labels."""
    rows = []
    for family in sorted(Metrics().registry.collect(), key=lambda one: one.name):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append((f"`{name}`", family.type, family.documentation))
    text = (
        "At `/metrics`, in the Prometheus text format. Labels have few values and never an address or a key. "
        "With several workers each process counts for itself.\n\n"
    )
    return _page("Metrics", text + _table(("name", "type", "what it counts"), rows))


def networks_page() -> str:
    """Every shipped network."""
    networks = load_networks()
    tokens = load_tokens(networks, shipped=True)
    rows = [_network_row(network, len(tokens[slug])) for slug, network in networks.items()]
    head = ("slug", "name", "id", "native", "tokens", "Multicall3", "lifecycle")
    notes = [
        f"- **{network.slug}**: {note}\n"
        for network in networks.values()
        for note in (*([network.lifecycle_note] if network.lifecycle_note else []), *network.notes)
    ]
    return _page("Networks", _table(head, rows) + ("\n## Notes\n\n" + "".join(notes) if notes else ""))


def protocols_page() -> str:
    """Every protocol, where it is, and what of it is not read."""
    networks = load_networks()
    markets: dict[str, Counter[str]] = {}
    for slug, guides in protocol_guides(networks, {}).items():
        for guide in guides:
            markets.setdefault(guide.name, Counter())[slug] += 1
    for slug, sources in position_sources(networks, {}).items():
        for source in sources:
            markets.setdefault(source.slug, Counter())[slug] += 1
    found = found_protocols()
    rows = [
        (f"`{one.spec.slug}`", one.spec.name, one.spec.grade, _places(markets.get(one.spec.slug, Counter())))
        for one in found
    ]
    text = (
        "The slug is the word in `protocols=`; behind each network stands how many markets are read there. "
        "How one is added: [adding a protocol](adding-a-protocol.md).\n\n"
    )
    gaps = "".join(f"- **{one.spec.slug}**: {_gaps(one)}\n" for one in found)
    head = ("slug", "name", "grade", "networks")
    return _page("Protocols", f"{text}{_table(head, rows)}\n## Known gaps\n\n{gaps}")


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "api.md": api_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
    "networks.md": networks_page,
    "protocols.md": protocols_page,
}


def error_codes() -> set[str]:
    """Every code that stands in the source: ``code=…`` of a call, ``code = …`` of a class, enums."""
    found: set[str] = set()
    for path in sorted(SOURCE.rglob("*.py")):
        if "demo" not in path.relative_to(SOURCE).parts:
            found.update(_codes_of(ast.parse(path.read_text(encoding="utf-8"))))
    return found


def main() -> int:
    """Write the pages, or with ``--check`` compare them."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, page in PAGES.items():
        target, text = DOCS / name, page()
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            DOCS.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"Not up to date: {', '.join(stale)}; run python tools/reference.py.", file=sys.stderr)
        return 1
    return 0


def _codes_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _codes_of_call(node)
        elif isinstance(node, ast.ClassDef):
            yield from _codes_of_class(node)
        elif isinstance(node, ast.Assign) and _name(node.targets[0]) in {"_CODES", "code"}:
            texts = (_text(part) for part in ast.walk(node.value))
            yield from (text for text in texts if text is not None and _WORD.fullmatch(text))


def _codes_of_call(node: ast.Call) -> Iterator[str]:
    for keyword in node.keywords:
        if keyword.arg == "code":
            yield from _texts(keyword.value)
    place = _CODE_CALLS.get(_name(node.func))
    if place is not None and len(node.args) > place:
        yield from _texts(node.args[place])


def _codes_of_class(node: ast.ClassDef) -> Iterator[str]:
    enumeration = node.name == "FailureCode"
    for statement in node.body:
        if isinstance(statement, ast.Assign) and (enumeration or _name(statement.targets[0]) == "code"):
            yield from _texts(statement.value)


def _texts(node: ast.expr) -> Iterator[str]:
    """A text, or both of ``a if … else b``."""
    parts = (node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,)
    yield from (text for part in parts if (text := _text(part)) is not None)


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if not children:
        yield words, command
        return
    for name, child in children.items():
        yield from _commands(child, (*words, name))


def _parameter(parameter: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`", "", parameter.help or ""
    metavar = f" {parameter.metavar}" if parameter.metavar else ""
    return f"`{', '.join(parameter.opts)}{metavar}`", _default(parameter.default), parameter.help or ""


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"## `{method} {path}`\n\n{operation['summary']}. {operation.get('description', '')}\n"]
    rows = [
        (
            f"`{entry['name']}`",
            "required" if entry.get("required") else _default(entry["schema"].get("default")),
            entry["description"],
        )
        for entry in operation.get("parameters", [])
    ]
    if rows:
        parts.append(_table(("parameter", "default", "what it does"), rows))
    answers = (
        f"`{status}` {answer['description']}" for status, answer in sorted(operation["responses"].items())
    )
    parts.append(f"Answers: {'; '.join(answers)}.\n")
    return "\n".join(parts)


def _network_row(network: Network, tokens: int) -> tuple[str, ...]:
    multicall = network.contracts.get("multicall3")
    return (
        f"`{network.slug}`",
        network.name,
        f"`{network.id}`",
        network.native.symbol,
        str(tokens),
        f"`{multicall.address}`" if multicall else "-",
        network.lifecycle,
    )


def _places(markets: Counter[str]) -> str:
    return ", ".join(f"{slug} ({count})" for slug, count in sorted(markets.items()))


def _gaps(found: FoundProtocol) -> str:
    """What the protocol's file says that it does not read: one paragraph at its top."""
    module = importlib.import_module(f"balance_tracker.protocols.{found.spec.slug}")
    told = re.search(r"Known gaps: (.*?)(?:\n\n|\Z)", inspect.getdoc(module) or "", re.DOTALL)
    return " ".join(told.group(1).replace("``", "`").split()) if told else ""


def _default(value: object) -> str:
    if value is None or value in ((), [], {}, ""):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: object) -> str:
    return " ".join(str(text or "").split()).replace("|", "\\|")


def _page(title: str, text: str) -> str:
    return f"{_NOTICE}\n# {title}\n\n{text.rstrip()}\n"


if __name__ == "__main__":
    sys.exit(main())

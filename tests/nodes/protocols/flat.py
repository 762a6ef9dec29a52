"""Compiles Solidity of the tests that imports OpenZeppelin: all of it as one source, in order."""

import hashlib
import json
import re
from pathlib import Path

from tests.nodes.solidity import MANIFEST, SOLIDITY, compiled

from balance_tracker.demo.artifacts import fetch_packages
from balance_tracker.demo.contracts import Artifact

FOLDER = Path(__file__).parent
_IMPORT = re.compile(r'^import\s+"([^"]+)";\s*$', re.MULTILINE)
_LEFT_OUT = re.compile(r"^(import .*|pragma .*|// SPDX.*)$", re.MULTILINE)


def compile_flat(name: str) -> dict[str, Artifact]:
    """Every concrete contract of ``name`` (a file beside this one) and of what it imports, by its name.

    The artifacts don't know the types of their constructors: use :func:`dataclasses.replace`.
    Compiled once per source.
    """
    openzeppelin, packages = fetch_packages(), fetch_packages(MANIFEST, lambda line: None)
    seen: dict[Path, str] = {}
    _collect(FOLDER / name, openzeppelin, seen)
    text = "\n".join(["// SPDX-License-Identifier: MIT", "pragma solidity ^0.8.0;", *seen.values()])
    kept = packages / f"balance-tracker-{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        part = kept.with_suffix(f".{id(text)}.part")
        part.write_text(json.dumps(compiled("Solidity", name, text, SOLIDITY, packages)), encoding="ascii")
        part.replace(kept)
    codes = json.loads(kept.read_text(encoding="ascii"))
    return {made: Artifact(made, bytes.fromhex(code)) for made, code in codes.items() if code}


def _collect(file: Path, packages: Path, seen: dict[Path, str]) -> None:
    """Put a source behind all that it imports."""
    text = file.read_text(encoding="utf-8")
    for path in _IMPORT.findall(text):
        imported = (file.parent if path.startswith(".") else packages) / path
        if imported.resolve() not in seen:
            _collect(imported, packages, seen)
    seen[file.resolve()] = _LEFT_OUT.sub("", text)

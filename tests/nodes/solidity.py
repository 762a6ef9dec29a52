"""Compiles the Solidity sources of the tests, and the scanner's Yul, with one solc."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from balance_tracker.demo.artifacts import fetch_packages, npm_command
from balance_tracker.demo.contracts import Artifact

MANIFEST = Path(__file__).parent / "npm"
SOLIDITY: dict[str, Any] = {"optimizer": {"enabled": True, "runs": 200}}
SCANNER: dict[str, Any] = {
    # Before PUSH0: some networks still lack it.
    "evmVersion": "istanbul",
    "optimizer": {"enabled": True, "runs": 1_000_000, "details": {"yul": True}},
}


def compile_contracts(source: Path) -> dict[str, Artifact]:
    """Every concrete contract of a Solidity file, by its name; compiled once per source."""
    packages = fetch_packages(MANIFEST, lambda line: None)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    kept = packages / f"balance-tracker-{source.stem}-{digest}.json"
    if not kept.exists():
        part = kept.with_suffix(f".{id(source)}.part")
        codes = compiled("Solidity", source.name, source.read_text(encoding="utf-8"), SOLIDITY, packages)
        part.write_text(json.dumps(codes), encoding="ascii")
        part.replace(kept)
    codes = json.loads(kept.read_text(encoding="ascii"))
    return {name: Artifact(name, bytes.fromhex(code)) for name, code in codes.items() if code}


def compile_scanner(source: str) -> str:
    """The scanner's bytecode as hexadecimal digits: init code that is its own runtime."""
    packages = fetch_packages(MANIFEST, lambda line: None)
    return compiled("Yul", "scanner.yul", source, SCANNER, packages)["Scanner"]


def compiled(language: str, name: str, text: str, settings: dict[str, Any], packages: Path) -> dict[str, str]:
    """The creation bytecode of every object of one source, as hexadecimal digits."""
    question = {
        "language": language,
        "sources": {name: {"content": text}},
        "settings": {**settings, "outputSelection": {"*": {"*": ["evm.bytecode.object"]}}},
    }
    _, environment = npm_command()
    node = shutil.which("node", path=environment["PATH"])
    assert node is not None, "npm is there and node is not"
    with tempfile.TemporaryFile() as asked:
        # From a file: of a pipe that is not filled yet node reads EAGAIN, and gives up.
        asked.write(json.dumps(question).encode())
        asked.seek(0)
        done = subprocess.run(
            [node, str(packages / "solc" / "solc.js"), "--standard-json"],
            stdin=asked,
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            check=True,
        )
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    errors = [item["formattedMessage"] for item in answer.get("errors", ()) if item["severity"] == "error"]
    assert not errors, "\n".join(errors)
    contracts = answer["contracts"][name]
    return {made: contract["evm"]["bytecode"]["object"] for made, contract in contracts.items()}

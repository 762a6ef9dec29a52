"""Compiles the Solidity sources of the tests, once per source."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from balance_tracker.demo.artifacts import fetch_packages, npm_command
from balance_tracker.demo.contracts import Artifact

MANIFEST = Path(__file__).parent / "npm"


def compile_contracts(source: Path) -> dict[str, Artifact]:
    """Every concrete contract of a source file, by its name."""
    packages = fetch_packages(MANIFEST, lambda line: None)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    kept = packages / f"balance-tracker-{source.stem}-{digest}.json"
    if not kept.exists():
        part = kept.with_suffix(f".{id(source)}.part")
        part.write_text(json.dumps(_compile(source, packages)), encoding="ascii")
        part.replace(kept)
    codes = json.loads(kept.read_text(encoding="ascii"))
    return {name: Artifact(name, bytes.fromhex(code)) for name, code in codes.items() if code}


def _compile(source: Path, packages: Path) -> dict[str, str]:
    question = {
        "language": "Solidity",
        "sources": {source.name: {"content": source.read_text()}},
        "settings": {
            "optimizer": {"enabled": True, "runs": 200},
            "outputSelection": {"*": {"*": ["evm.bytecode.object"]}},
        },
    }
    _, environment = npm_command()
    node = shutil.which("node", path=environment["PATH"])
    assert node is not None, "npm is there and node is not"
    done = subprocess.run(
        [node, str(packages / "solc" / "solc.js"), "--standard-json"],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=True,
    )
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    errors = [item["formattedMessage"] for item in answer.get("errors", ()) if item["severity"] == "error"]
    assert not errors, "\n".join(errors)
    contracts = answer["contracts"][source.name]
    return {name: contract["evm"]["bytecode"]["object"] for name, contract in contracts.items()}

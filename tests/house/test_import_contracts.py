"""The rooms and their walls: the contracts hold, and they would notice if they did not."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.house.tree import ROOT, SOURCE

LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

HEAVY_ROOMS = frozenset(
    {"api", "bootstrap", "catalog", "cli", "demo", "prices", "protocols", "services", "settings", "solana"}
)
HEAVY_LIBRARIES = frozenset({"eth_abi", "fastapi", "pydantic_settings", "solders", "typer", "web3"})
"""What reading balances needs none of."""

WALLS_BROKEN = {
    "services/wrong.py": ("from balance_tracker.evm import address", "Use cases know ports, not chains"),
    "transport/wrong.py": (
        "from balance_tracker.settings import Settings",
        "The hot path knows no catalog, no settings and no use case",
    ),
    "core/wrong.py": ("import asyncio", "The core is pure: no input, no output, no clock, no library"),
    "cache/wrong.py": (
        "from balance_tracker import settings",
        "Only entry points and bootstrap see the settings",
    ),
    "evm/wrong.py": ("import aiohttp", "The HTTP client stays in transport"),
    "cli/wrong.py": ("import fastapi", "The web framework stays in api"),
    "api/wrong.py": ("import typer", "The command line's libraries stay in cli"),
    "prices/wrong.py": (
        "from balance_tracker.prices import coingecko",
        "No price source knows another",
    ),
    "protocols/wrong.py": (
        "from balance_tracker.protocols import found",
        "No protocol knows another",
    ),
    "jobs/wrong.py": ("import sqlalchemy", "The database's libraries stay in storage"),
    "storage/wrong.py": ("import redis", "Redis stays in the cache room"),
    "ports/wrong.py": ("import celery", "Celery stays with the jobs and their worker"),
    "jobs/wronger.py": ("import pyarrow", "Parquet's library is an extra that one file knows"),
    "catalog/wrong.py": ("import solders", "Solana's library stays with Solana and the demo"),
    "bootstrap/wrong.py": ("import structlog", "Logging's and metrics' libraries stay in telemetry"),
    "solana/wrong.py": ("import pydantic", "Validation's libraries stay where outside text comes in"),
    "telemetry/wrong.py": ("from balance_tracker import api", "Imports point inwards"),
    "demo/wrong.py": (
        "from balance_tracker.demo import wronger",
        "Inside every room imports have no circles",
    ),
    "demo/wronger.py": (
        "from balance_tracker.demo import wrong",
        "Inside every room imports have no circles",
    ),
}


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a project's own tree, whatever else is installed."""
    return subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the tree, to break."""
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "data", "node_modules")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_contract_is_kept() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_a_room_without_a_place_in_the_layers_fails(copy: Path) -> None:
    (copy / "src/balance_tracker/attic").mkdir()
    (copy / "src/balance_tracker/attic/__init__.py").write_text('"""A room nobody gave a place."""\n')
    result = lint(copy)
    assert result.returncode != 0
    assert "balance_tracker.attic" in result.stdout


def test_each_wall_notices_the_import_that_breaks_it(copy: Path) -> None:
    for name, (statement, _) in WALLS_BROKEN.items():
        path = copy / "src/balance_tracker" / name
        assert path.parent.is_dir(), f"{path.parent.name} is no room any more"
        path.write_text(f'"""Wrong on purpose."""\n\n{statement}\n')
    result = lint(copy)
    assert result.returncode != 0
    kept = [contract for _, contract in WALLS_BROKEN.values() if f"{contract} BROKEN" not in result.stdout]
    assert not kept, f"not noticed: {kept}\n{result.stdout}"


def test_each_contract_has_an_import_that_is_shown_to_break_it() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    shown_to_break = {contract for _, contract in WALLS_BROKEN.values()}
    assert {contract["name"] for contract in contracts} - shown_to_break == {"Ports need only the core"}


def test_the_hot_path_imports_no_catalog_settings_or_web_framework() -> None:
    script = "import sys; from balance_tracker import BalanceReader; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    loaded = result.stdout.split()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("balance_tracker.")}
    assert {"core", "evm", "transport"} <= rooms
    assert not rooms & HEAVY_ROOMS
    assert not HEAVY_LIBRARIES & set(loaded)

"""Runs commands in this process, over scripted networks."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fakes.tracker import ScriptedTracker, opened, three_networks
from typer.testing import CliRunner

import balance_tracker.cli.balances as balances_command
import balance_tracker.cli.networks as networks_command
import balance_tracker.cli.tokens as tokens_command
import balance_tracker.cli.whole as whole_command
from balance_tracker.cli.main import app
from balance_tracker.settings import Settings


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


type Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def quiet_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRACKER_DATA_DIR")
    names = ("balance_tracker", "uvicorn", "uvicorn.error", "asyncio")
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).level) for name in names}
    yield
    for name, (handlers, level) in before.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = True


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line; ``tracker`` replaces the three networks that answer."""

    def command(*words: str, tracker: ScriptedTracker | None = None) -> Ran:
        def scripted(_settings: Settings) -> object:
            return opened(tracker or ScriptedTracker(three_networks()))

        for module in (balances_command, networks_command, tokens_command, whole_command):
            monkeypatch.setattr(module, "running", scripted)
        result = CliRunner().invoke(app, list(words))
        return Ran(result.exit_code, result.stdout, result.stderr)

    return command

"""The loop that commands run on."""

import asyncio
import sys

import pytest

from balance_tracker.transport.loops import run_quickly


async def name_of_the_loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_commands_run_on_uvloop_where_there_is_one() -> None:
    assert run_quickly(name_of_the_loop()) == "uvloop"


def test_without_uvloop_commands_run_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run_quickly(name_of_the_loop()) == "asyncio"

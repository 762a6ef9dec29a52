"""The memory of endpoints: expiring values, and a file that outlives the process and shows no URL."""

import asyncio
import json
import logging
from pathlib import Path

import pytest
from tests.transport.clock import Clock

from balance_tracker.transport.memory import (
    DAY_SECONDS,
    LONGEST_SECONDS,
    LONGEST_TEXT,
    MOST_NAMES,
    Memory,
    MemoryFile,
    endpoint_key,
)

URL = "https://node.example/v3/secret-path-key"
YEAR_2026 = 1_780_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock(YEAR_2026)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "endpoints.json"


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def exists(path: Path) -> bool:
    return path.exists()


def test_a_value_is_had_until_it_expires(clock: Clock) -> None:
    memory = Memory(clock)
    assert memory.get("gas") is None
    memory.put("gas", 30_000_000, 60.0)
    memory.put("rung.override", "failed", 10.0)
    assert (memory.get("gas"), memory.number("gas")) == (30_000_000, 30_000_000)
    assert memory.number("rung.override") is None
    assert memory.shown() == {"gas": "30000000", "rung.override": "failed"}
    clock.move(10.0)
    assert memory.get("rung.override") is None
    assert memory.shown() == {"gas": "30000000"}
    memory.forget("gas")
    memory.forget("gas")
    assert memory.shown() == {}


def test_a_memory_is_small_whatever_is_put_in(clock: Clock) -> None:
    memory = Memory(clock)
    memory.put("lasting", "x" * 10_000, DAY_SECONDS * 365)
    for number in range(1_000):
        memory.put(f"name{number}", number, 60.0 + number)
    assert len(memory.shown()) == MOST_NAMES
    assert memory.shown()["lasting"] == "x" * LONGEST_TEXT
    assert memory.get("name999") == 999
    clock.move(LONGEST_SECONDS)
    assert memory.get("lasting") is None


async def test_what_was_learnt_survives_a_restart_until_it_expires(path: Path, clock: Clock) -> None:
    async with MemoryFile(path, now=clock) as file:
        file.of("base", URL).put("batch_limit", 3, DAY_SECONDS)
        file.of("base", URL).put("rung.override", "failed", 60.0)
        assert file.of("base", URL) is file.of("base", URL)
    clock.move(61.0)
    async with MemoryFile(path, now=clock) as file:
        assert file.of("base", URL).shown() == {"batch_limit": "3"}
        assert file.of("base", URL + "2").shown() == {}
        assert file.of("ethereum", URL).shown() == {}


async def test_the_file_shows_no_url_and_no_host(path: Path, clock: Clock) -> None:
    async with MemoryFile(path, now=clock) as file:
        file.of("base", URL).put("batch_limit", 3, DAY_SECONDS)
    text = text_of(path)
    assert "secret" not in text
    assert "example" not in text
    assert [entry.name for entry in path.parent.iterdir()] == ["endpoints.json"]


async def test_nothing_is_written_where_nothing_was_learnt(path: Path) -> None:
    async with MemoryFile(path) as file:
        file.of("base", URL).get("batch_limit")
    assert not path.parent.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"version": 2, "endpoints": {}}',
        b'{"version": 1, "endpoints": []}',
        b"[" * 100_000,
    ],
)
async def test_a_broken_file_is_an_empty_one_and_is_told(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, content)
    async with MemoryFile(path) as file:
        assert file.of("base", URL).shown() == {}
        file.of("base", URL).put("batch_limit", 3, DAY_SECONDS)
    assert any("endpoint_memory_unreadable" in record.getMessage() for record in caplog.records)
    async with MemoryFile(path) as file:
        assert file.of("base", URL).get("batch_limit") == 3


async def test_strange_entries_are_left_out_and_the_others_kept(path: Path, clock: Clock) -> None:
    async with MemoryFile(path, now=clock) as file:
        file.of("base", URL).put("gas", 5, DAY_SECONDS)
    document = json.loads(text_of(path))
    (entries,) = document["endpoints"].values()
    soon = clock() + 60
    entries |= {
        "flag": [True, soon],
        "list": [[1], soon],
        "short": [1],
        "no_end": [1, None],
        "for_ever": [1, clock() + 10 * LONGEST_SECONDS],
        "over": [1, clock() - 1],
    }
    document["endpoints"]["other"] = 5
    write(path, json.dumps(document).encode())
    async with MemoryFile(path, now=clock) as file:
        assert file.of("base", URL).shown() == {"gas": "5"}


async def test_what_other_processes_keep_of_other_endpoints_stays(path: Path, clock: Clock) -> None:
    async with MemoryFile(path, now=clock) as mine, MemoryFile(path, now=clock) as theirs:
        mine.of("base", URL).put("gas", 1, DAY_SECONDS)
        theirs.of("bsc", URL).put("gas", 2, DAY_SECONDS)
    async with MemoryFile(path, now=clock) as file:
        assert (file.of("base", URL).get("gas"), file.of("bsc", URL).get("gas")) == (1, 2)


async def test_changes_are_written_while_it_runs_but_not_each_on_its_own(path: Path) -> None:
    async with MemoryFile(path, save_every_seconds=0.05) as file:
        memory = file.of("base", URL)
        for number in range(100):
            memory.put("gas", number, DAY_SECONDS)
        assert not exists(path)
        for _ in range(100):
            if exists(path):
                break
            await asyncio.sleep(0.01)
        (entries,) = json.loads(text_of(path))["endpoints"].values()
        assert entries["gas"][0] == 99


async def test_a_directory_that_can_not_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "data").write_text("a file, where a directory should be")
    async with MemoryFile(tmp_path / "data" / "endpoints.json", save_every_seconds=0.0) as file:
        for number in range(3):
            file.of("base", URL).put("gas", number, DAY_SECONDS)
            await asyncio.sleep(0.03)
        assert file.of("base", URL).get("gas") == 2
    told = [record for record in caplog.records if "unwritable" in record.getMessage()]
    assert len(told) == 1


def test_a_limit_that_is_met_for_years_lasts_as_long_as_it_may(clock: Clock) -> None:
    memory = Memory(clock)
    for _ in range(600):
        memory.put_limit("body_bytes", 10_000, 3_600.0)
        clock.move(3_601.0)
    memory.put_limit("body_bytes", 10_000, 3_600.0)
    clock.move(3_599.0)
    assert memory.get("body_bytes") == 10_000
    clock.move(1.0)
    assert memory.get("body_bytes") is None


@pytest.mark.parametrize("times", [-(10**6), 0, 512, 10**12, True, "many"])
def test_a_count_of_any_size_makes_a_limit_of_a_sensible_time(clock: Clock, times: int | str) -> None:
    memory = Memory(clock)
    memory.load({"times.body_bytes": (times, clock() + DAY_SECONDS)})
    memory.put_limit("body_bytes", 10_000, DAY_SECONDS)
    clock.move(59.0)
    assert memory.get("body_bytes") == 10_000
    clock.move(DAY_SECONDS)
    assert memory.get("body_bytes") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_limit", 0),
        ("batch_limit", -7),
        ("batch_limit", True),
        ("batch_limit", 1_001),
        ("body_bytes", 0),
        ("body_bytes", -1),
        ("body_bytes", 999),
        ("gas", -5),
        ("gas", 10**17),
        ("gas", 1.5),
        ("history_refused_blocks", 0),
        ("history_refused_blocks", 127),
        ("rung.override", "x" * 101),
        ("rung.override", None),
    ],
)
def test_a_value_in_the_file_that_nobody_learns_is_passed_over(
    path: Path, clock: Clock, name: str, value: object
) -> None:
    ends = clock() + 60
    entries = {name: [value, ends], "works": ["override", ends], "cells.override": [1, ends]}
    document = {"version": 1, "endpoints": {endpoint_key("base", URL): entries}}
    write(path, json.dumps(document).encode())
    memory = MemoryFile(path, now=clock).of("base", URL)
    assert memory.shown() == {"works": "override", "cells.override": "1"}


def test_what_is_true_is_no_number(clock: Clock) -> None:
    memory = Memory(clock)
    memory.put("gas", True, 60.0)
    assert memory.number("gas") is None

"""What endpoints have shown, kept with an expiry: in memory, and in a file over a restart.

Values are small (a batch limit, a rate, a rung of the ladder that failed) and each has its
own end, since an endpoint may change: what has expired is learnt again by use. The file
holds no URL, only a hash of each, because a URL may hold a key.
"""

import asyncio
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import orjson

from balance_tracker.telemetry.logging import get_logger

DAY_SECONDS = 86_400.0
MOST_NAMES = 64
"""Names that one endpoint's memory holds; the one that ends first makes room."""
LONGEST_TEXT = 100
LONGEST_SECONDS = 30 * DAY_SECONDS
"""Nothing is believed for longer; a file that says so was written with a wrong clock."""
MOST_FILE_BYTES = 8 * 2**20
SAVE_EVERY_SECONDS = 3.0
FIRST_LIMIT_SECONDS = 60.0
_LIMIT_GROWTH = 4
_MOST_TIMES = 12
"""More spells make a limit last no longer: by then it is kept for as long as anything is."""
_TIMES_MET = "times."
"""Before a limit's name: in how many spells it was met."""

BATCH_LIMIT = "batch_limit"
BODY_BYTES = "body_bytes"
HISTORY_REFUSED = "history_refused_blocks"
MOST_CALLS = 1_000
"""Calls in one batch, whatever an endpoint takes; Geth's own limit."""
LEAST_BODY_BYTES = 1_000
"""No endpoint that is of use takes less."""
EVERY_NODE_KEEPS_BLOCKS = 128
"""State this far back is had from any full node and says nothing about an archive."""
_LARGEST = 2**53
_SENSIBLE = {
    BATCH_LIMIT: range(1, MOST_CALLS + 1),
    BODY_BYTES: range(LEAST_BODY_BYTES, _LARGEST),
    HISTORY_REFUSED: range(EVERY_NODE_KEEPS_BLOCKS, _LARGEST),
}
"""What a file may say; all other numbers are counts and limits, from 1."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    value: int | str
    ends: float


class Memory:
    """What one endpoint has shown.

    Args:
        now: The time in seconds; of the wall clock, where the memory outlives the process.
        changed: Called after each change.
    """

    def __init__(
        self, now: Callable[[], float] = time.time, changed: Callable[[], None] | None = None
    ) -> None:
        self._now = now
        self._changed = changed
        self._entries: dict[str, _Entry] = {}

    def get(self, name: str) -> int | str | None:
        """The value; ``None`` when it was never learnt or has expired."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        if entry.ends <= self._now():
            del self._entries[name]
            return None
        return entry.value

    def number(self, name: str) -> int | None:
        """The value where it is an integer; ``None`` otherwise."""
        value = self.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def put(self, name: str, value: int | str, for_seconds: float) -> None:
        """Keep a value for so many seconds, at most 30 days."""
        if isinstance(value, str):
            value = value[:LONGEST_TEXT]
        if name not in self._entries and len(self._entries) >= MOST_NAMES:
            del self._entries[min(self._entries, key=lambda known: self._entries[known].ends)]
        self._entries[name] = _Entry(value, self._now() + min(for_seconds, LONGEST_SECONDS))
        self._tell()

    def put_limit(self, name: str, value: int, longest_seconds: float) -> None:
        """Keep a limit that was met: a minute at first, four times as long whenever it is met anew.

        What looks like a limit may be a bad minute of the endpoint, and each request that keeps to it
        costs others; to find that it holds costs one that is refused.
        """
        times = min(max(self.number(_TIMES_MET + name) or 0, 0), _MOST_TIMES)
        if self.get(name) is None:
            times += 1
            self.put(_TIMES_MET + name, times, 7 * DAY_SECONDS)
        seconds = FIRST_LIMIT_SECONDS * _LIMIT_GROWTH ** (max(times, 1) - 1)
        self.put(name, value, min(seconds, longest_seconds))

    def forget(self, name: str) -> None:
        """Drop a value, known or not."""
        if self._entries.pop(name, None) is not None:
            self._tell()

    def shown(self) -> dict[str, str]:
        """What is known now, as text for people, by name."""
        now = self._now()
        return {
            name: str(entry.value)
            for name, entry in sorted(self._entries.items())
            if entry.ends > now and not name.startswith(_TIMES_MET)
        }

    def kept(self) -> dict[str, tuple[int | str, float]]:
        """What a file keeps: each value with the time at which it ends."""
        now = self._now()
        return {name: (entry.value, entry.ends) for name, entry in self._entries.items() if entry.ends > now}

    def load(self, kept: Mapping[str, tuple[int | str, float]]) -> None:
        """Take what :meth:`kept` gave, as far as it has not expired."""
        now = self._now()
        for name, (value, ends) in list(kept.items())[:MOST_NAMES]:
            if now < ends <= now + LONGEST_SECONDS:
                self._entries[name] = _Entry(value, ends)

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed()


class LearnedView(MutableMapping[str, str]):
    """A memory as a mapping of texts; what is set lasts a day."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def __getitem__(self, name: str) -> str:
        value = self._memory.get(name)
        if value is None:
            raise KeyError(name)
        return str(value)

    def __setitem__(self, name: str, value: str) -> None:
        self._memory.put(name, value, DAY_SECONDS)

    def __delitem__(self, name: str) -> None:
        self._memory.forget(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._memory.shown())

    def __len__(self) -> int:
        return len(self._memory.shown())


class Memories(Protocol):
    """Where memories come from."""

    def of(self, network: str, url: str) -> Memory:
        """The memory of one endpoint of one network; the same one each time."""


class MemoryFile:
    """The memories of all endpoints of a process, kept in one file.

    Used as ``async with``: changes are written within a few seconds, and at the end. A file
    that can't be read is an empty one; one that can't be written is told once, and the
    memories go on without it. What other processes keep there of other endpoints stays.

    Args:
        path: The file; its directory is made when something is to be kept.
        now: The wall clock (seconds since 1970).
        save_every_seconds: The shortest time between two writes.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], float] = time.time,
        save_every_seconds: float = SAVE_EVERY_SECONDS,
    ) -> None:
        self._path = path
        self._now = now
        self._every = save_every_seconds
        self._kept: dict[str, dict[str, tuple[int | str, float]]] | None = None
        self._memories: dict[str, Memory] = {}
        self._changed = asyncio.Event()
        self._saver: asyncio.Task[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._unwritable = False

    async def __aenter__(self) -> Self:
        if self._kept is None:
            self._kept = await asyncio.to_thread(self._read)
        self._saver = asyncio.create_task(self._save_when_changed())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._saver is not None:
            self._saver.cancel()
            await asyncio.gather(self._saver, return_exceptions=True)
            self._saver = None
        if self._writing is not None:
            await self._writing  # what was under way when the saver was ended
        if self._changed.is_set():
            await self._save()

    def of(self, network: str, url: str) -> Memory:
        """The memory of one endpoint of one network; the same one each time."""
        key = endpoint_key(network, url)
        memory = self._memories.get(key)
        if memory is None:
            if self._kept is None:
                self._kept = self._read()
            memory = self._memories[key] = Memory(self._now, self._changed.set)
            memory.load(self._kept.get(key, {}))
        return memory

    async def _save_when_changed(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._every)
            await self._save()

    async def _save(self) -> None:
        self._changed.clear()
        mine = {key: memory.kept() for key, memory in self._memories.items()}
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, mine))
        await asyncio.shield(self._writing)

    def _read(self) -> dict[str, dict[str, tuple[int | str, float]]]:
        try:
            return _parsed(_bounded(self._path))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("endpoint_memory_unreadable", path=str(self._path), reason=str(error)[:200])
            return {}

    def _write(self, mine: Mapping[str, Mapping[str, tuple[int | str, float]]]) -> None:
        now = self._now()
        others = {key: kept for key, kept in self._read().items() if key not in mine}
        document = {
            key: {name: [value, round(ends)] for name, (value, ends) in kept.items() if ends > now}
            for key, kept in {**others, **mine}.items()
        }
        body = orjson.dumps(
            {"version": 1, "endpoints": {key: kept for key, kept in document.items() if kept}},
            option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS,
        )
        try:
            _replace(self._path, body)
        except OSError as error:
            if not self._unwritable:
                self._unwritable = True
                _log.warning("endpoint_memory_unwritable", path=str(self._path), reason=str(error)[:200])


def endpoint_key(network: str, url: str) -> str:
    """What an endpoint is called in the file: a hash, from which no URL can be had back."""
    return hashlib.sha256(f"{network}\n{url}".encode()).hexdigest()[:32]


def _replace(path: Path, body: bytes) -> None:
    """Write beside it and move over it, so that a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(body)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def _bounded(path: Path) -> bytes:
    if path.stat().st_size > MOST_FILE_BYTES:
        raise ValueError("it is too large")
    return path.read_bytes()


def _parsed(body: bytes) -> dict[str, dict[str, tuple[int | str, float]]]:
    """A file's entries; what is no entry is left out.

    Raises:
        ValueError: It is no such file at all.
    """
    document = orjson.loads(body)
    match document:
        case {"version": 1, "endpoints": dict(endpoints)}:
            pass
        case _:
            raise ValueError("it is no file of this version")
    return {key: _entries(kept) for key, kept in endpoints.items() if isinstance(kept, dict)}


def _entries(kept: dict[str, Any]) -> dict[str, tuple[int | str, float]]:
    entries: dict[str, tuple[int | str, float]] = {}
    for name, entry in kept.items():
        match entry:
            case [int() | str() as value, int() | float() as ends] if _is_sensible(name, value):
                if math.isfinite(ends):
                    entries[name] = (value, ends)
            case _:
                continue
    return entries


def _is_sensible(name: str, value: int | str) -> bool:
    """Whether a value may have been learnt; one that was not would spoil every read until it ends."""
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    return not isinstance(value, bool) and value in _SENSIBLE.get(name, range(1, _LARGEST))

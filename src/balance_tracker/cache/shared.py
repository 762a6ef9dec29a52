"""A cache in two levels: this process first, then Redis, where the other processes find it too.

Level one answers whatever it can. What it lacks is looked up in Redis, and loaded under a short lock
where it is not there either, so that one process loads while the others wait for its value. Values
stay in Redis for a day: too old to be an answer, but the last good one for a process that never had any.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from redis.asyncio import Redis

from balance_tracker.cache.codec import Codec, CodecError, Codecs
from balance_tracker.cache.memory import JUST_KEPT_SECONDS, Entry, MemoryCache, Obtained
from balance_tracker.cache.redis_client import RedisAwayError, RedisClient
from balance_tracker.cache.scripts import EXTEND, LOOK, RELEASE, STORE
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.metrics import METRICS

KEPT_SECONDS = 86_400
"""How long a value is the last good one."""

MOST_VALUES = 50_000
"""So many values are kept in Redis, those stored last: some hundred megabytes at most."""

LOCK_SECONDS = 3.0
"""How long a holder that died keeps others waiting; one that lives says so every third of it."""

_FAILURE_TOLD_SECONDS = 0.4
"""Longer than the longest pause, so that every waiter hears of it."""

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.15
_NEWER_MS = 50

_INDEX = "tracker:1:cache"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Packed:
    """A value as Redis had it; unpacked when somebody wants it."""

    data: bytes
    codec: Codec


@dataclass(slots=True)
class _Place:
    """Where a value is in Redis, and how this load stands."""

    codec: Codec
    value: str
    lock: str
    token: str
    alone: bool = False
    waited: bool = False


@dataclass(frozen=True, slots=True)
class _Seen:
    state: str
    age_seconds: float
    data: bytes | None


class SharedCache(MemoryCache):
    """Keeps values here and in Redis; implements :class:`balance_tracker.ports.Cache`.

    Whatever fails in Redis ends as if it were not there: the value is loaded by this process.

    Args:
        name: Its label in the metrics; what Redis adds is told as ``<name>_redis``.
        client: Where the second level is.
        namespace: Tells apart what must not be mixed: only processes with the same one share values.
        max_entries: See :class:`~balance_tracker.cache.memory.MemoryCache`.
        lock_seconds: How long a lock holds without a word of its holder.
        most_values: How many values of all namespaces there may be in Redis.
    """

    def __init__(
        self,
        name: str,
        client: RedisClient,
        namespace: str,
        *,
        max_entries: int = 4096,
        lock_seconds: float = LOCK_SECONDS,
        most_values: int = MOST_VALUES,
    ) -> None:
        super().__init__(name, max_entries=max_entries)
        self._client = client
        self._prefix = f"tracker:1:cache:{namespace}"
        self._most_values = most_values
        self._lock_ms = int(lock_seconds * 1000)
        self._codecs = Codecs()
        self._behind: set[asyncio.Task[None]] = set()
        self._look = client.script(LOOK)
        self._store_script = client.script(STORE)
        self._release_script = client.script(RELEASE)
        self._extend_script = client.script(EXTEND)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the loads under way, and what is still being told to Redis."""
        await super().close()
        await asyncio.gather(*self._behind, return_exceptions=True)

    async def _obtain[T](
        self,
        key: str,
        ttl_seconds: float,
        load: Callable[[], Awaitable[T]],
        keep: Callable[[T], bool],
        kind: Any,
    ) -> Obtained:
        codec = self._codecs.of(kind) if ttl_seconds > 0 else None
        if codec is None or not self._client.up:
            return await super()._obtain(key, ttl_seconds, load, keep, kind)
        place = self._place(codec, key)
        found = await self._find(key, place, ttl_seconds)
        if found is not None:
            METRICS.observe_cache(f"{self._name}_redis", "shared" if place.waited else "hit")
            return found
        METRICS.observe_cache(f"{self._name}_redis", "miss")
        return await self._load(place, load, keep)

    def _opened(self, key: str, entry: Entry) -> bool:
        """Whether the entry has its value; one of another make is dropped."""
        packed = entry.value
        if not isinstance(packed, _Packed):
            return True
        try:
            entry.value, weight = packed.codec.decode(packed.data)
        except CodecError:
            self._drop(key)
            return False
        self._weigh(entry, weight)
        return True

    def _place(self, codec: Codec, key: str) -> _Place:
        digest = hashlib.sha256(key.encode()).hexdigest()[:40]
        value = f"{self._prefix}:{codec.schema}:{digest}"
        return _Place(codec, value, f"{value}:lock", secrets.token_hex(8))

    async def _find(self, key: str, place: _Place, ttl_seconds: float) -> Obtained | None:
        """What Redis has or gets; ``None`` where it has to be loaded here."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            seen = await self._ask(key, place, ttl_seconds)
            if seen.state == "fresh" and seen.data is not None:
                return await self._unpacked(place, seen)
            if seen.data is not None:
                self._remember(key, place.codec, seen)
            if seen.state != "wait":
                place.alone = seen.state != "load"
                return None
            place.waited = True
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)

    async def _ask(self, key: str, place: _Place, ttl_seconds: float) -> _Seen:
        entry = self._entries.get(key)
        have = -1 if entry is None else max(0, int(self._age(entry) * 1000) - _NEWER_MS)
        args = (
            KEPT_SECONDS * 1000,
            int(ttl_seconds * 1000),
            have,
            place.token,
            self._lock_ms,
            int(place.waited),
        )
        try:
            state, age_ms, data = await self._look((place.value, place.lock), args)
        except RedisAwayError:
            return _Seen("alone", 0.0, None)
        return _Seen(state.decode(), max(age_ms / 1000, JUST_KEPT_SECONDS), data)

    async def _unpacked(self, place: _Place, seen: _Seen) -> Obtained | None:
        """The value; one that can't be read is taken away and loaded here."""
        try:
            value, weight = place.codec.decode(seen.data or b"")
        except CodecError as error:
            _log.warning("shared_value_unreadable", cache=self._name, reason=str(error))
            place.alone = True
            await self._quietly(self._client.run(lambda redis: _delete(redis, place.value)))
            return None
        return Obtained(value, seen.age_seconds, kept=True, weight=weight)

    def _remember(self, key: str, codec: Codec, seen: _Seen) -> None:
        """Keep a stale value packed: the last good one, should the load fail."""
        packed = _Packed(seen.data or b"", codec)
        self._store(key, Obtained(packed, seen.age_seconds, kept=True, weight=len(packed.data)))

    async def _load[T](
        self, place: _Place, load: Callable[[], Awaitable[T]], keep: Callable[[T], bool]
    ) -> Obtained:
        started = self._clock()
        held = None if place.alone else asyncio.create_task(self._hold(place), name=f"{self._name} lock")
        failed, stored = True, False
        try:
            value = await load()
            kept = keep(value)
            stored = kept and self._tell(place, value, started)
        except asyncio.CancelledError:
            failed = False
            raise
        finally:
            if held is not None:
                held.cancel()
                if not stored:
                    self._in_background(self._release(place, failed=failed))
        return Obtained(value, 0.0, kept)

    async def _hold(self, place: _Place) -> None:
        """Say every while that the load goes on."""
        while True:
            await asyncio.sleep(self._lock_ms / 3000)
            await self._quietly(self._extend_script((place.lock,), (place.token, self._lock_ms)))

    def _tell(self, place: _Place, value: object, started: float) -> bool:
        """Give the value to the other processes, without waiting for it; whether it can be given."""
        try:
            data = place.codec.encode(value)
        except CodecError as error:
            _log.warning("shared_value_not_written", cache=self._name, reason=str(error))
            return False
        self._in_background(self._put(place, data, started, self._clock()))
        return True

    async def _put(self, place: _Place, data: bytes, started: float, loaded: float) -> None:
        age_ms = int((self._clock() - loaded) * 1000)
        took_ms = int((loaded - started) * 1000)
        args = (data, KEPT_SECONDS * 1000, took_ms, place.token, age_ms, self._most_values)
        await self._quietly(self._store_script((place.value, place.lock, _INDEX), args))

    async def _release(self, place: _Place, *, failed: bool) -> None:
        args = (place.token, int(failed), int(_FAILURE_TOLD_SECONDS * 1000))
        await self._quietly(self._release_script((place.lock,), args))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"{self._name} sharing")
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def _quietly(self, work: Awaitable[object]) -> None:
        """What Redis does not do now it need not do: values are loaded again, locks run out."""
        with suppress(RedisAwayError):
            await work


async def _delete(redis: Redis, name: str) -> None:
    await redis.delete(name)

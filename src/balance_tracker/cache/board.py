"""A board in Redis: many small values by name, each got by one process and seen by all.

Unlike the cache in two levels it keeps nothing here: who reads a value keeps it in its own way.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import batched
from typing import Any

from balance_tracker.cache.codec import Codec, CodecError, Codecs
from balance_tracker.cache.redis_client import Argument, RedisAwayError, RedisClient
from balance_tracker.cache.scripts import CLAIM, READ, SHOW
from balance_tracker.telemetry.metrics import METRICS

KEPT_SECONDS = 86_400
LOCK_SECONDS = 5.0
"""How long others wait for a process that is getting values, or died doing so."""

MOST_VALUES = 100_000
"""So many values are kept, those shown last: about a kilobyte each."""

AT_ONCE = 200
"""So many names go into one script."""

_INDEX = "tracker:1:board"
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.25


class Board:
    """Shows values to other processes; implements :class:`balance_tracker.ports.Board`.

    While Redis is away there are no values of others, and everything is this process's to get.

    Args:
        name: Its label in the metrics.
        client: Where it is.
        namespace: Only processes with the same one see each other's values.
        most_values: How many values of all namespaces there may be.
    """

    def __init__(
        self, name: str, client: RedisClient, namespace: str, *, most_values: int = MOST_VALUES
    ) -> None:
        self._most_values = most_values
        self._name = f"{name}_redis"
        self._client = client
        self._prefix = f"tracker:1:board:{namespace}"
        self._codecs = Codecs()
        self._token = secrets.token_hex(8)
        self._read_script = client.script(READ)
        self._claim_script = client.script(CLAIM)
        self._show_script = client.script(SHOW)

    async def look[T](
        self, names: Sequence[str], kind: type[T], suits: Callable[[str, T, float], bool]
    ) -> Sequence[str]:
        """Names that are this process's to get; see :meth:`balance_tracker.ports.Board.look`."""
        codec = self._codecs.of(kind)
        if codec is None or not self._client.up:
            return names
        left, mine = await self._unseen(names, codec, suits), list[str]()
        METRICS.observe_cache(self._name, "hit" if len(left) < len(names) else "miss")
        until = asyncio.get_running_loop().time() + LOCK_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while left:
            taken = await self._claimed(left, codec)
            mine += [name for name in left if name in taken]
            left = [name for name in left if name not in taken]
            if not left or asyncio.get_running_loop().time() >= until:
                break
            METRICS.observe_cache(self._name, "shared")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
            left = await self._unseen(left, codec, suits)
        return mine + left

    async def show[T](self, values: Mapping[str, T | None], kind: type[T]) -> None:
        """Show values; see :meth:`balance_tracker.ports.Board.show`."""
        codec = self._codecs.of(kind)
        if codec is None:
            return
        with suppress(RedisAwayError):
            for some in batched(values.items(), AT_ONCE):
                keys = [self._key(codec, name) for name, _ in some]
                texts = [_written(codec, value) for _, value in some]
                args: list[Argument] = [self._token, KEPT_SECONDS * 1000, self._most_values, *texts]
                await self._show_script((*keys, *map(_lock, keys), _INDEX), args)

    async def _unseen[T](
        self, names: Sequence[str], codec: Codec, suits: Callable[[str, T, float], bool]
    ) -> list[str]:
        """Those that nobody shows, or that do not suit."""
        left: list[str] = []
        for some in batched(names, AT_ONCE):
            try:
                found = await self._read_script([self._key(codec, name) for name in some], ())
            except RedisAwayError:
                left += some
                continue
            for name, (data, left_ms) in zip(some, found, strict=True):
                value = _read(codec, data)
                age = max(0.0, KEPT_SECONDS - left_ms / 1000)
                if value is None or not suits(name, value, age):
                    left.append(name)
        return left

    async def _claimed(self, names: Sequence[str], codec: Codec) -> set[str]:
        """Those whose lock was free; all of them while Redis is away."""
        taken: set[str] = set()
        for some in batched(names, AT_ONCE):
            keys = [_lock(self._key(codec, name)) for name in some]
            try:
                mine = await self._claim_script(keys, (self._token, int(LOCK_SECONDS * 1000)))
            except RedisAwayError:
                return set(names)
            taken |= {name for name, is_mine in zip(some, mine, strict=True) if is_mine}
        return taken

    def _key(self, codec: Codec, name: str) -> str:
        return f"{self._prefix}:{codec.schema}:{name}"


def _lock(key: str) -> str:
    return f"{key}:lock"


def _written(codec: Codec, value: object | None) -> bytes:
    try:
        return b"" if value is None else codec.encode(value)
    except CodecError:
        return b""


def _read(codec: Codec, data: bytes | None) -> Any:
    try:
        return None if data is None else codec.decode(data)[0]
    except CodecError:
        return None

"""Names of owners for display: looked up once in a while, and never the end of an answer."""

import asyncio
from contextlib import suppress

from balance_tracker.core.errors import TrackerError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.ports import Cache, NameService
from balance_tracker.services.addresses import Owner
from balance_tracker.telemetry.logging import get_logger

NAME_TTL_SECONDS = 3600.0
NAME_GRACE_SECONDS = 1.0
"""How long a finished answer waits for its owner's name, which is only for display."""

_log = get_logger(__name__)


class OwnerNames:
    """The checked names of addresses, kept in the cache.

    Args:
        names: Where they are looked up; ``None`` if none are.
        cache: Where they are kept.
    """

    def __init__(self, names: NameService | None, cache: Cache) -> None:
        self._names = names
        self._cache = cache

    @property
    def network(self) -> Slug | None:
        """Where names are kept; ``None`` if none are looked up."""
        return self._names.network.slug if self._names is not None else None

    def needed(self, owner: Owner) -> bool:
        """Whether the owner was not asked by a name and may have one."""
        return owner.name is None and self._names is not None and owner.family == "evm"

    def known(self, owner: Owner) -> str | None:
        """The name they were asked by, or the one looked up lately; costs no request."""
        if not self.needed(owner):
            return owner.name
        kept = self._cache.fresh(_key(owner.address), NAME_TTL_SECONDS, str)
        return kept[0] if kept is not None else None

    async def soon(self, owner: Owner) -> str | None:
        """The name they were asked by, or the one looked up while a finished answer waits for it."""
        if not self.needed(owner):
            return owner.name
        with suppress(TimeoutError):
            async with asyncio.timeout(NAME_GRACE_SECONDS):
                return await self.name_of(owner.address)
        return None

    async def name_of(self, address: Address) -> str | None:
        """The checked name of an address; ``None`` if it has none or it could not be looked up."""
        names = self._names
        if names is None:
            return None

        async def look_up() -> str | None:
            return await names.name_of(address)

        try:
            key = _key(address)
            name, _ = await self._cache.get_or_load(key, NAME_TTL_SECONDS, look_up, _always, str | None)
        except TrackerError as error:
            _log.info("name_lookup_failed", code=error.code, detail=error.message)
        except Exception as error:  # noqa: BLE001 - a name is only for display and harms no answer
            _log.exception("name_lookup_broke", error=error)
        else:
            return name
        return None


def _key(address: Address) -> str:
    return f"name|{address}"


def _always(_name: str | None) -> bool:
    return True

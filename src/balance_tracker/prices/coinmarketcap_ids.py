"""What CoinMarketCap calls assets: found by network and contract, kept for weeks in a file.

Its map names one contract of each coin, all of it in a few pages, which is read once a week. A
contract that is not there may be a coin's second one: it is looked up alone, a few at a time, and
what was found out is kept, also that it was nothing. Nothing is found by a symbol.

Source: https://coinmarketcap.com/api/documentation/v1 (CoinMarketCap ID Map, Metadata)
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.prices.answers import read_bounded
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.transport.api_host import ApiHost, RequestRefusedError

MAP_SECONDS = 7 * 86_400
FOUND_SECONDS = 30 * 86_400
NOTHING_SECONDS = 3 * 86_400
MAP_PAGE = 5_000
MAP_PAGES = 4
LOOK_UPS_AT_ONCE = 4
MOST_IDS = 40_000
MOST_FILE_BYTES = 16 * 2**20

_MAP_TIME = "map"
_MAP_READ = "map read"
"""How many pages of it were read, where the reading was cut off: the next one goes on from there."""
_MAP_BYTES = 8 * 2**20

_log = get_logger(__name__)

type _Known = dict[str, tuple[int | None, int]]
"""Id (``None``: it has none) and the time until which that is believed, by network and contract."""


class CoinMarketCapIds:
    """The ids of assets.

    Args:
        host: Where it is asked.
        platforms: The name of each network there, without what it has in brackets.
        path: The file; ``None`` keeps nothing over a restart.
        now: The wall clock, in seconds.
    """

    def __init__(
        self,
        host: ApiHost,
        platforms: Mapping[Slug, str],
        path: Path | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._platforms = {slug: _folded(name) for slug, name in platforms.items()}
        self._path = path
        self._now = now
        self._known: _Known | None = None
        self._finding = asyncio.Lock()

    async def of(self, assets: Sequence[Asset], deadline: float) -> dict[int, list[Asset]]:
        """The assets whose id is known or can be found in time, by id.

        Raises:
            UpstreamError: Nothing was known, and it could not be found out.
        """
        found: dict[int, list[Asset]] = {}
        unknown: list[Asset] = []
        async with self._finding:
            known = await self._loaded()
            error = await self._find(self._without_id(assets, known), known, deadline)
        for asset in assets:
            number = _own_id(asset) or known.get(self._key(asset) or "", (None, 0))[0]
            if number is None:
                unknown.append(asset)
            else:
                found.setdefault(number, []).append(asset)
        if error is not None and not found:
            raise error
        return found

    def _without_id(self, assets: Sequence[Asset], known: _Known) -> list[Asset]:
        now = self._now()
        return [
            asset
            for asset in assets
            if _own_id(asset) is None
            and (key := self._key(asset)) is not None
            and known.get(key, (None, 0))[1] <= now
        ]

    async def _find(self, assets: list[Asset], known: _Known, deadline: float) -> UpstreamError | None:
        """Find out ids: of all by the map, of a few that are not in it alone. Returns why it could not."""
        if not assets:
            return None
        try:
            if known.get(_MAP_TIME, (None, 0))[1] <= self._now():
                await self._read_map(known, deadline)
                assets = self._without_id(assets, known)
            await asyncio.gather(
                *(self._look_up(asset, known, deadline) for asset in assets[:LOOK_UPS_AT_ONCE])
            )
        except UpstreamError as error:
            return error
        finally:
            await self._keep(known)
        return None

    async def _read_map(self, known: _Known, deadline: float) -> None:
        until = int(self._now() + MAP_SECONDS)
        read, good_until = known.get(_MAP_READ, (None, 0))
        for page in range((read or 0) if good_until > self._now() else 0, MAP_PAGES):
            query = {
                "listing_status": "active",
                "start": str(page * MAP_PAGE + 1),
                "limit": str(MAP_PAGE),
                "aux": "platform",
            }
            coins = await self._host.get(
                "/v1/cryptocurrency/map", query, read=_rows, deadline=deadline, max_bytes=_MAP_BYTES
            )
            for coin in coins:
                for key in self._keys_of_platform(coin.get("platform")):
                    self._note(known, key, _whole(coin.get("id")), until)
            if len(coins) < MAP_PAGE:
                break
            known[_MAP_READ] = (page + 1, until)
        known.pop(_MAP_READ, None)
        known[_MAP_TIME] = (None, until)

    async def _look_up(self, asset: Asset, known: _Known, deadline: float) -> None:
        key = self._key(asset)
        if key is None:
            return
        now = int(self._now())
        query = {"address": str(asset.contract_address), "skip_invalid": "true", "aux": "platform"}
        try:
            coins = await self._host.get("/v2/cryptocurrency/info", query, read=_rows, deadline=deadline)
        except RequestRefusedError:  # how it says that it knows no such contract
            self._note(known, key, None, now + NOTHING_SECONDS)
            return
        for coin in coins:
            number = _whole(coin.get("id"))
            for contract in _mappings(coin.get("contract_address")):
                for other in self._keys_of_contract(contract):
                    self._note(known, other, number, now + FOUND_SECONDS)
        if known.get(key, (None, 0))[1] <= now:
            self._note(known, key, None, now + NOTHING_SECONDS)

    def _note(self, known: _Known, key: str, number: int | None, until: int) -> None:
        if len(known) >= MOST_IDS and key not in known:
            for old in sorted(known, key=lambda one: known[one][1])[: MOST_IDS // 10]:
                del known[old]
        known[key] = (number, until)

    def _key(self, asset: Asset) -> str | None:
        platform = self._platforms.get(asset.network)
        if platform is None or asset.contract_address is None:
            return None
        return _contract_key(platform, str(asset.contract_address))

    def _keys_of_platform(self, platform: Any) -> list[str]:
        if not isinstance(platform, Mapping):
            return []
        return self._keys(platform.get("name"), platform.get("token_address"))

    def _keys_of_contract(self, contract: Mapping[str, Any]) -> list[str]:
        platform = contract.get("platform")
        if not isinstance(platform, Mapping):
            return []
        return self._keys(platform.get("name"), contract.get("contract_address"))

    def _keys(self, name: Any, address: Any) -> list[str]:
        """Under what a contract is kept; none if it is on no network of ours."""
        if not isinstance(name, str) or not isinstance(address, str) or not 20 <= len(address) <= 100:
            return []
        platform = _folded(name)
        return [_contract_key(platform, address)] if platform in self._platforms.values() else []

    async def _loaded(self) -> _Known:
        if self._known is None:
            self._known = {} if self._path is None else await asyncio.to_thread(_read, self._path)
        return self._known

    async def _keep(self, known: _Known) -> None:
        if self._path is not None:
            await asyncio.to_thread(_write, self._path, dict(known))


def _folded(name: str) -> str:
    """A network's name without capitals and without what follows in brackets (``(BEP20)``)."""
    return name.partition("(")[0].strip().casefold()


def _own_id(asset: Asset) -> int | None:
    """The id that the asset's file states."""
    text = asset.price_ids.get("coinmarketcap", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _contract_key(platform: str, address: str) -> str:
    return f"{platform}:{address.lower() if address.startswith(('0x', '0X')) else address}"


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _rows(document: Any) -> list[Mapping[str, Any]]:
    """The coins of an answer, whether it lists them or has them by id."""
    data = document.get("data") if isinstance(document, Mapping) else None
    if isinstance(data, Mapping):
        data = [row for rows in data.values() for row in (rows if isinstance(rows, list) else [rows])]
    if not isinstance(data, list):
        raise UpstreamError("CoinMarketCap answered what is no list of coins.", code="bad_response")
    return _mappings(data)


def _mappings(rows: Any) -> list[Mapping[str, Any]]:
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _read(path: Path) -> _Known:
    """What the file keeps; a broken one is an empty one."""
    try:
        document = json.loads(read_bounded(path, MOST_FILE_BYTES))
        entries = document["ids"] if document["version"] == 1 else {}
        return {
            key: (number, until)
            for key, (number, until) in entries.items()
            if isinstance(until, int) and (number is None or _whole(number))
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        _log.warning("price_ids_unreadable", path=str(path), reason=str(error)[:200])
        return {}


def _write(path: Path, known: _Known) -> None:
    """Write beside it and move over it, so that a reader sees the old file or the new one."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps({"version": 1, "ids": known}, sort_keys=True), encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        _log.warning("price_ids_unwritable", path=str(path), reason=str(error)[:200])

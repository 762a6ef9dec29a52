"""Token lists read again: what would change, checked on chain, and kept only when told to."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import ConfigurationError, UpstreamError
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.ports import MetadataFailure, MetadataReader, TokenMetadata
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.redact import redact_text

REFRESHED_LIST = Path("tokens") / "refreshed.json"
"""Where the kept list is, below the data directory; later starts merge it over the shipped lists."""

CheckCode = Literal[
    "decimals_differ", "symbol_differs", "no_decimals", "no_contract", "unreadable", "unchecked"
]

_UNKNOWN = frozenset({FailureCode.ENDPOINT_FAILED, FailureCode.TIMED_OUT, FailureCode.HISTORY_UNAVAILABLE})
"""Failures that say nothing about the token."""

_FIELDS = ("symbol", "name", "decimals", "logo_uri")

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TokenChange:
    """A known token of which a list says something else, in ``fields``."""

    before: Asset
    after: Asset
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenObjection:
    """A listed token that is not taken over, and why."""

    asset: Asset
    code: CheckCode
    reason: str


@dataclass(frozen=True, slots=True)
class TokenListDiff:
    """What the lists would change.

    Attributes:
        added: Tokens that were not known, confirmed on chain.
        changed: Known tokens with other facts, confirmed on chain.
        removed: Tokens of the last refresh that no list has any more.
        refused: Tokens whose contract contradicts the list, or is none.
        unchecked: Tokens that could not be asked; they stay as they were.
        unchanged: How many tokens are known just so.
        keeping: The tokens of the document that :meth:`TokenRefresh.keep` writes.
    """

    added: tuple[Asset, ...]
    changed: tuple[TokenChange, ...]
    removed: tuple[Asset, ...]
    refused: tuple[TokenObjection, ...]
    unchecked: tuple[TokenObjection, ...]
    unchanged: int
    keeping: tuple[Asset, ...]

    @property
    def empty(self) -> bool:
        """Whether keeping it would change nothing."""
        return not (self.added or self.changed or self.removed)


class TokenRefresh:
    """Compares lists with what is tracked, and keeps what stands the check.

    Args:
        readers: Who asks each network's tokens about themselves.
        render: Writes tokens as a list document.
        data_dir: Where the service keeps its files.
    """

    def __init__(
        self,
        readers: Mapping[Slug, MetadataReader],
        render: Callable[[Sequence[Asset]], bytes],
        data_dir: Path,
    ) -> None:
        self._readers = readers
        self._render = render
        self._target = data_dir / REFRESHED_LIST

    async def compare(
        self,
        fetched: Iterable[Asset],
        current: Mapping[Slug, Sequence[Asset]],
        kept: Sequence[Asset],
        deadline: float,
    ) -> TokenListDiff:
        """What the fetched lists would change, every token checked on chain. Writes nothing.

        Args:
            fetched: The tokens of all lists in their order; the last of one token wins.
            current: The tracked tokens, what the last refresh kept among them.
            kept: What the last refresh kept.
            deadline: The loop's time by which it answers; tokens not asked by then are unchecked.
        """
        listed = {token.asset_id: token for token in fetched}
        objections = await self._check(listed.values(), deadline)
        known = {token.asset_id: token for tokens in current.values() for token in tokens}
        return _difference(listed, objections, known, {token.asset_id: token for token in kept})

    def keep(self, diff: TokenListDiff) -> Path:
        """Write the list of a difference in one step: the old file or the new one, never half of one.

        Returns:
            The file.

        Raises:
            ConfigurationError: The data directory can't be written.
        """
        try:
            _write_atomically(self._target, self._render(diff.keeping))
        except OSError as error:
            raise ConfigurationError(
                f"{self._target}: can't be written: {error.strerror}.", hint="Check TRACKER_DATA_DIR."
            ) from None
        return self._target

    async def _check(self, tokens: Iterable[Asset], deadline: float) -> dict[AssetId, TokenObjection]:
        """What stands against each token; no entry is a token that its contract confirms."""
        by_network: dict[Slug, list[Asset]] = {}
        for token in tokens:
            by_network.setdefault(token.network, []).append(token)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._check_network(slug, found, deadline))
                for slug, found in by_network.items()
            ]
        return {objection.asset.asset_id: objection for task in tasks for objection in task.result()}

    async def _check_network(
        self, slug: Slug, tokens: Sequence[Asset], deadline: float
    ) -> list[TokenObjection]:
        reader = self._readers.get(slug)
        if reader is None:
            return _all_unchecked(tokens, "this network can't be asked about its tokens")
        try:
            async with asyncio.timeout_at(deadline):
                said = await reader.metadata(tokens, deadline)
        except TimeoutError:
            return _all_unchecked(tokens, "the network did not answer in time")
        except UpstreamError as error:
            return _all_unchecked(tokens, redact_text(error.message).rstrip("."))
        except Exception as error:  # noqa: BLE001 - the edge of one network's task: the others go on
            _log.exception("token_check_broke", network=slug, exc_info=error)
            return _all_unchecked(tokens, "the check broke; the log says why")
        found = (_objection(token, _answer(said, token)) for token in tokens)
        return [objection for objection in found if objection is not None]


def _difference(
    listed: Mapping[AssetId, Asset],
    objections: Mapping[AssetId, TokenObjection],
    known: Mapping[AssetId, Asset],
    kept: Mapping[AssetId, Asset],
) -> TokenListDiff:
    confirmed = {asset_id: token for asset_id, token in listed.items() if asset_id not in objections}
    added = {asset_id: token for asset_id, token in confirmed.items() if asset_id not in known}
    changed = {
        asset_id: TokenChange(known[asset_id], token, fields)
        for asset_id, token in confirmed.items()
        if asset_id in known and (fields := _changed_fields(known[asset_id], token))
    }
    refused = tuple(found for found in objections.values() if found.code != "unchecked")
    unchecked = tuple(found for found in objections.values() if found.code == "unchecked")
    ours = kept.keys() | added.keys() | changed.keys()
    staying = [found.asset.asset_id for found in unchecked if found.asset.asset_id in kept]
    return TokenListDiff(
        added=tuple(added.values()),
        changed=tuple(changed.values()),
        removed=tuple(token for asset_id, token in kept.items() if asset_id not in listed),
        refused=refused,
        unchecked=unchecked,
        unchanged=len(confirmed) - len(added) - len(changed),
        keeping=(
            *(token for asset_id, token in confirmed.items() if asset_id in ours),
            *(kept[asset_id] for asset_id in staying),
        ),
    )


def _changed_fields(before: Asset, after: Asset) -> tuple[str, ...]:
    """Fields of which the list says something, and something else."""
    values = ((name, getattr(before, name), getattr(after, name)) for name in _FIELDS)
    return tuple(name for name, old, new in values if new is not None and new != old)


def _answer(
    said: Mapping[Address, TokenMetadata | MetadataFailure], token: Asset
) -> TokenMetadata | MetadataFailure | None:
    return said.get(token.contract_address) if token.contract_address is not None else None


def _objection(token: Asset, said: TokenMetadata | MetadataFailure | None) -> TokenObjection | None:
    if said is None:
        return TokenObjection(token, "unchecked", "the network did not say anything about it")
    if isinstance(said, MetadataFailure):
        return TokenObjection(token, _code(said.code), redact_text(said.reason))
    if said.decimals is None:
        return TokenObjection(token, "no_decimals", "the contract does not say its decimals")
    if said.decimals != token.decimals:
        reason = f"the list says {token.decimals} decimals, the contract {said.decimals}"
        return TokenObjection(token, "decimals_differ", reason)
    if said.symbol is not None and not _same_symbol(said.symbol, token.symbol):
        reason = f"the list says {token.symbol!r}, the contract {said.symbol[:40]!r}"
        return TokenObjection(token, "symbol_differs", reason)
    return None


def _code(failure: FailureCode) -> CheckCode:
    if failure in _UNKNOWN:
        return "unchecked"
    return "no_contract" if failure is FailureCode.NO_CONTRACT else "unreadable"


def _same_symbol(said: str, listed: str | None) -> bool:
    """Case and outer blanks do not make another token."""
    return listed is not None and said.strip().casefold() == listed.strip().casefold()


def _all_unchecked(tokens: Sequence[Asset], reason: str) -> list[TokenObjection]:
    return [TokenObjection(token, "unchecked", reason) for token in tokens]


def _write_atomically(target: Path, document: bytes) -> None:
    """A file beside the target takes its place once it is safely on the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    """The rename itself reaches the disk; where directories can't be opened, the system sees to it."""
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

"""What one network adds to an answer: its balances, and what of it is known.

The same words whether one owner was read or many at once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from balance_tracker.core.assets import Asset, native_asset, unlisted_token
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import (
    AssetFailure,
    Balance,
    FailureCode,
    NetworkCoverage,
    NetworkError,
    Reading,
)
from balance_tracker.core.positions import ProtocolFailure
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.redact import redact_text

_ASSET_CODES = frozenset(code.value for code in FailureCode)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NetworkAnswer:
    """What one network adds to a portfolio; no balances when it failed."""

    balances: tuple[Balance, ...]
    coverage: NetworkCoverage


class NetworkCoverages:
    """Turns readings and errors of one network into answers.

    Args:
        network: What its data file says.
        listed: Its listed tokens.
    """

    def __init__(self, network: Network, listed: Sequence[Asset]) -> None:
        self._network = network
        self._listed = tuple(listed)
        self._by_contract: dict[Address | None, Asset] = {asset.contract_address: asset for asset in listed}

    def assets(self, tokens: Sequence[Address], *, mark_asked: bool) -> tuple[Asset, ...]:
        """The listed tokens and those asked for by name, each once.

        Args:
            tokens: Contract addresses asked for by name, listed or not.
            mark_asked: Whether listed ones go as ``unknown`` too if asked for by name, which
                has a reader show them at zero; :meth:`as_listed` takes it back.
        """
        asked: dict[Address, Asset] = {}
        for token in tokens:
            listed = self._by_contract.get(token)
            if listed is None:
                asked[token] = unlisted_token(self._network, token)
            elif mark_asked:
                asked[token] = replace(listed, trust="unknown")
        kept = (asset for asset in self._listed if asset.contract_address not in asked)
        return (*kept, *asked.values())

    def as_listed(self, reading: Reading) -> Reading:
        """The reading with the catalog's own word on the assets that it has."""
        if self._network.family != "solana" and not any(
            map(self._is_marked, (balance.asset for balance in reading.balances))
        ):
            return reading
        balances = (replace(balance, asset=self._own(balance.asset)) for balance in reading.balances)
        failures = (replace(failure, asset=self._own(failure.asset)) for failure in reading.failures)
        return replace(reading, balances=tuple(balances), failures=tuple(failures))

    def answered(self, reading: Reading, age: float, started: float) -> NetworkAnswer:
        """The answer of a reading that is ``age`` seconds old; 0 if it was read now."""
        cached = age > 0
        coverage = NetworkCoverage(
            network=self._network.slug,
            chain_id=self._network.chain_id,
            status="partial" if has_gaps(reading) else "ok",
            block=reading.block,
            cached=cached,
            stale=False,
            endpoint=reading.endpoint,
            requests=0 if cached else reading.requests,
            elapsed_ms=elapsed_ms(started),
            asked=reading.asked,
            answered=reading.asked - len(reading.failures),
            failures=_redacted(reading.failures),
            nfts=reading.nfts,
            age_seconds=age,
            protocol_failures=_clean(reading.protocol_failures),
            collection_failures=_clean(reading.collection_failures),
        )
        return NetworkAnswer(reading.balances, coverage)

    def stale(self, reading: Reading, age: float, error: NetworkError, started: float) -> NetworkAnswer:
        """The last good answer in place of one that failed."""
        answer = self.answered(self.as_listed(reading), age, started)
        coverage = replace(answer.coverage, status="stale", stale=True, error=error)
        return replace(answer, coverage=coverage)

    def failed(self, assets: Iterable[Asset], error: NetworkError, started: float) -> NetworkAnswer:
        """Nothing is known: every asset asked is listed as failed, and no block is named."""
        asked = self._asked_of_failed(assets)
        code = FailureCode(error.code) if error.code in _ASSET_CODES else FailureCode.ENDPOINT_FAILED
        coverage = NetworkCoverage(
            network=self._network.slug,
            chain_id=self._network.chain_id,
            status="failed",
            block=None,
            cached=False,
            stale=False,
            endpoint=None,
            requests=error.requests,
            elapsed_ms=elapsed_ms(started),
            asked=len(asked),
            answered=0,
            failures=tuple(AssetFailure(asset, code, error.detail) for asset in asked),
            error=error,
        )
        return NetworkAnswer((), coverage)

    def explained(self, error: Exception) -> NetworkError:
        """Why the network is missing, without secrets; what nobody foresaw is logged in full."""
        if isinstance(error, UpstreamError):
            return NetworkError(error.code, redact_text(error.message), error.retryable, error.requests)
        if isinstance(error, TimeoutError):
            return NetworkError(
                "timed_out", "The network did not answer within the deadline.", retryable=True
            )
        _log.exception("network_read_broke", network=self._network.slug, exc_info=error)
        return NetworkError("internal_error", "The network could not be read.", retryable=False)

    def _is_marked(self, asset: Asset) -> bool:
        return asset.trust == "unknown" and asset.contract_address in self._by_contract

    def _own(self, asset: Asset) -> Asset:
        return self._by_contract.get(asset.contract_address, asset)

    def _asked_of_failed(self, assets: Iterable[Asset]) -> tuple[Asset, ...]:
        """On Solana only the coin and the tokens asked by name: listed ones just name what is found."""
        native = native_asset(self._network)
        if self._network.family == "solana":
            return (native, *(asset for asset in assets if asset.trust == "unknown"))
        return (native, *map(self._own, assets))


def has_gaps(reading: Reading) -> bool:
    """Whether anything that was asked of the network is not known."""
    return bool(reading.failures or reading.protocol_failures or reading.collection_failures)


def usable(reading: Reading, *, without_zeros: bool = False) -> Reading:
    """A reading of a real block in which at least one asset answered.

    Args:
        reading: What a reader made of the answers.
        without_zeros: Whether zeros are left out of it, so that no balance may mean all zeros.

    Raises:
        UpstreamError: None did, so nothing is known and no block stands for it.
    """
    try:
        _ = reading.block.as_of
    except (ValueError, OverflowError, OSError):
        raise UpstreamError("The block's time is not a time.", code="malformed") from None
    zeros = without_zeros and reading.asked > len(reading.failures)
    if reading.balances or not reading.failures or zeros:
        return reading
    first = reading.failures[0]
    raise UpstreamError(f"Not one asset answered: {first.reason}", code=first.code.value)


def elapsed_ms(started: float) -> int:
    """Milliseconds since a moment of the loop's clock."""
    return round((asyncio.get_running_loop().time() - started) * 1000)


def _clean(failures: tuple[ProtocolFailure, ...]) -> tuple[ProtocolFailure, ...]:
    return tuple(replace(failure, reason=redact_text(failure.reason)) for failure in failures)


def _redacted(failures: tuple[AssetFailure, ...]) -> tuple[AssetFailure, ...]:
    """The failures without secrets; the same objects where there was none to strike out.

    A batch shares them between thousands of owners, and most name the same few reasons.
    """
    if not failures:
        return failures
    clean = {reason: redact_text(reason) for reason in {failure.reason for failure in failures}}
    if all(clean[failure.reason] == failure.reason for failure in failures):
        return failures
    return tuple(replace(failure, reason=clean[failure.reason]) for failure in failures)

"""The markets as the data file has them."""

from dataclasses import dataclass
from typing import Any

from balance_tracker.core.errors import ConfigurationError, InputError
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.protocols.spec import Row

_ADDRESSES = EvmAddresses()
_STATES = ("active", "deprecated")


@dataclass(frozen=True, slots=True)
class Known:
    """A reserve that the data knows; its contracts in lower case."""

    underlying: str
    a_token: str
    variable_debt_token: str


@dataclass(frozen=True, slots=True)
class Market:
    """One pool and what belongs to it; contracts in lower case.

    Attributes:
        provider: The contract that names all others of the market; it never changes, nor does ``pool``.
        data_provider: Which one to ask where ``provider`` does not say.
        user_data: The helper that tells all reserves of a wallet in one call.
        incentives: Where rewards are claimed, if anywhere.
        deprecated: Aave itself no longer keeps it; what is in it still is.
    """

    name: str
    provider: str
    pool: str
    data_provider: str
    user_data: str
    incentives: str | None
    deprecated: bool
    reserves: tuple[Known, ...]


def market_of(row: Row) -> Market:
    """The market of one table of the data.

    Raises:
        ConfigurationError: Names the market and the key.
    """
    status = _text(row, "status")
    if status not in _STATES:
        raise _refused(row, "status", f"must be one of {', '.join(_STATES)}")
    return Market(
        name=_text(row, "market"),
        provider=_address(row, "pool_addresses_provider"),
        pool=_address(row, "pool"),
        data_provider=_address(row, "protocol_data_provider"),
        user_data=_address(row, "ui_pool_data_provider"),
        incentives=_address(row, "incentives_controller") if "incentives_controller" in row else None,
        deprecated=status == "deprecated",
        reserves=tuple(_known(row, item) for item in row.get("reserves", ())),
    )


def _known(row: Row, item: Row) -> Known:
    named = {**item, "market": row.get("market")}
    return Known(*(_address(named, key) for key in ("underlying", "a_token", "variable_debt_token")))


def _text(row: Row, key: str) -> str:
    value: Any = row.get(key)
    if not isinstance(value, str) or not value:
        raise _refused(row, key, "must be text")
    return value


def _address(row: Row, key: str) -> str:
    try:
        return _ADDRESSES.parse(_text(row, key)).lower()
    except InputError as error:
        raise _refused(row, key, error.message) from None


def _refused(row: Row, key: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"protocols/aave_v3.toml, {row.get('market')}: {key}: {reason}")

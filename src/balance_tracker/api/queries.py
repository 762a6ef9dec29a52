"""The query parameters of every route: typed, bounded, documented, and nothing beside them."""

from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from balance_tracker.core.errors import InputError
from balance_tracker.core.prices import CURRENCIES
from balance_tracker.services.catalog import DEFAULT_LIMIT, MOST_PER_PAGE

_AMOUNT = r"^(0|[1-9][0-9]{0,38})(\.[0-9]{1,38})?$"


def _strict_bool(value: object) -> object:
    if value in {"true", "false"}:
        return value == "true"
    if isinstance(value, bool):
        return value
    raise ValueError("it must be true or false")


def _strict_int(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.lstrip("-").isdigit() and len(value) < 20):
        raise ValueError("it must be a whole number")
    return value


type StrictBool = Annotated[bool, BeforeValidator(_strict_bool)]
type StrictInt = Annotated[int, BeforeValidator(_strict_int)]


CURRENCY = Field(
    default="usd",
    max_length=20,
    description=f"What prices and values are in: {', '.join(CURRENCIES)}.",
    examples=["usd"],
)

NETWORKS = Field(
    default=None,
    max_length=1000,
    description="Slugs, comma-separated. Without it, every tracked network of the address's family.",
    examples=["ethereum,base"],
)

AT = Field(
    default=None,
    max_length=64,
    description=(
        "A block number (then exactly one EVM network) or an RFC 3339 time (the last block at or before "
        "it, on every network). Without it, the latest block."
    ),
    examples=["2026-01-31T12:00:00Z", "21000000"],
)


class NoQuery(BaseModel):
    """A route without parameters."""

    model_config = ConfigDict(extra="forbid")


class BalancesQuery(BaseModel):
    """What `GET /balances` takes."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(
        max_length=300,
        description=(
            "Whose holdings: an EVM address (any case; a mixed-case checksum must be right), a Solana "
            "address, or an ENS name. One address."
        ),
        examples=["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "vitalik.eth"],
    )
    networks: str | None = NETWORKS
    tokens: str | None = Field(
        default=None,
        max_length=8000,
        description=(
            "Contract addresses (Solana: mints), comma-separated, at most 100: added to the listed tokens, "
            "listed or not, and shown also at zero."
        ),
        examples=["0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"],
    )
    currency: str = CURRENCY
    at: str | None = AT
    spam: StrictBool = Field(default=False, description="Whether tokens that look like spam are shown.")
    min_value: str | None = Field(
        default=None,
        pattern=_AMOUNT,
        max_length=80,
        description="Holdings of a known lower value are left out and listed in `excluded`.",
        examples=["1.5"],
    )


class PricesQuery(BaseModel):
    """What `GET /prices` takes."""

    model_config = ConfigDict(extra="forbid")

    assets: str = Field(
        max_length=16_000,
        description=(
            "CAIP-19 ids, comma-separated, at most 150, as `asset_id` is in every answer; never symbols, "
            "which anybody can take."
        ),
        examples=["eip155:1/slip44:60,eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"],
    )
    currency: str = CURRENCY


class HistoryQuery(BaseModel):
    """What `GET /prices/history` takes."""

    model_config = ConfigDict(extra="forbid")

    asset: str = Field(max_length=300, description="One CAIP-19 id.", examples=["eip155:1/slip44:60"])
    start: str | None = Field(
        default=None,
        alias="from",
        max_length=64,
        description="RFC 3339; 168 intervals before `to` without it.",
        examples=["2026-01-01T00:00:00Z"],
    )
    end: str | None = Field(
        default=None,
        alias="to",
        max_length=64,
        description="RFC 3339; now without it.",
        examples=["2026-01-31T12:00:00Z"],
    )
    interval: str = Field(
        default="1h",
        max_length=20,
        description="How far apart points are: 5m, 1h or 1d. At most 10,000 of them.",
        examples=["1h"],
    )
    currency: str = CURRENCY


class TokensQuery(BaseModel):
    """What `GET /tokens` takes."""

    model_config = ConfigDict(extra="forbid")

    network: str | None = Field(
        default=None,
        max_length=1000,
        description="A slug, or several, comma-separated. Without it, every tracked network.",
        examples=["base"],
    )
    query: str | None = Field(
        default=None,
        max_length=200,
        description="Text that is in the symbol, the name or the address, in any case.",
        examples=["usdc"],
    )
    limit: StrictInt = Field(
        default=DEFAULT_LIMIT, ge=1, le=MOST_PER_PAGE, description="The most tokens of one page."
    )
    cursor: str | None = Field(
        default=None, max_length=300, description="`next_cursor` of the page before, with the same question."
    )


async def once_each(request: Request) -> None:
    """Refuse a parameter that is given twice: which one would count?

    Raises:
        InputError: ``repeated_parameter``.
    """
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name in seen:
            raise InputError(
                f"'{name[:60]}' is given more than once.",
                code="repeated_parameter",
                hint="Give several values comma-separated.",
            )
        seen.add(name)

"""The shapes of answers, for the specification; the bytes are written by ``services.serialise``."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DECIMAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$"
_INTEGER = r"^(0|[1-9][0-9]*)$"


class Shape(BaseModel):
    """A shape that holds nothing beside its fields."""

    model_config = ConfigDict(extra="forbid")


class Quote(Shape):
    """What one source said, of the asset or of the currency's rate."""

    asset_id: str
    source: str
    currency: Literal["usd"]
    amount: str = Field(pattern=DECIMAL)
    as_of: str


class Price(Shape):
    """What one unit costs, and how we know."""

    currency: str
    amount: str = Field(pattern=DECIMAL)
    as_of: str = Field(description="When the oldest quote used was true.")
    sources: list[str] = Field(description="Those whose quotes were used.")
    spread: str = Field(pattern=DECIMAL, description="(Highest - lowest quote used) / price.")
    confidence: str = Field(pattern=DECIMAL, description="0 to 1.")
    status: Literal["agreed", "single", "disputed", "suspect"] = Field(
        description=(
            "`agreed`: sources of several families agree; `single`: one family only; `disputed`: they "
            "differ, see `quotes`; `suspect`: it jumped and nobody confirms it, so the last price is given."
        )
    )
    stale: bool = Field(description="Whether it is the last price before all sources failed.")
    age_seconds: int | None = Field(
        default=None, description="How long ago it was decided; in `/balances` only of one that is not fresh."
    )
    quotes: list[Quote] | None = Field(
        default=None, description="Of a disputed price: what each source said."
    )


class TokenAccount(Shape):
    """One Solana token account of a holding."""

    address: str
    raw_amount: str = Field(pattern=_INTEGER)
    state: str = Field(description="`initialized` or `frozen`.")
    delegate: str | None
    delegated_raw_amount: str = Field(pattern=_INTEGER)
    withheld_raw_amount: str = Field(pattern=_INTEGER)


class Identity(Shape):
    """What identifies an asset."""

    network: str
    chain_id: int | None = Field(description="The EIP-155 integer; null on Solana.")
    asset_id: str = Field(description="CAIP-19.")
    contract_address: str | None = Field(description="Null for the native coin; the mint on Solana.")
    native: bool
    symbol: str | None
    name: str | None
    decimals: int | None = Field(description="Null where the contract does not say.")


class Holding(Identity):
    """How much of one asset the address has."""

    raw_amount: str = Field(pattern=_INTEGER, description="Smallest units, as the chain has it.")
    amount: str | None = Field(pattern=DECIMAL, description="Whole units; null without decimals.")
    price: Price | None
    value: str | None = Field(pattern=DECIMAL, description="Null is not known; never zero for it.")
    value_change_24h: str | None = Field(
        pattern=DECIMAL, description="By how much this amount rose in value within a day."
    )
    trust: Literal["verified", "listed", "unknown", "spam"]
    logo_uri: str | None
    ui_amount: str | None = Field(default=None, description="What a Solana mint displays, if it differs.")
    accounts: list[TokenAccount] | None = Field(default=None, description="Solana: the accounts summed.")


class AssetFailure(Shape):
    """One asset whose balance is not known; it is never a zero."""

    asset_id: str
    contract_address: str | None
    symbol: str | None
    code: Literal[
        "reverted",
        "out_of_gas",
        "no_data",
        "malformed",
        "no_contract",
        "endpoint_failed",
        "timed_out",
        "history_unavailable",
    ]
    reason: str


class AssetCounts(Shape):
    """`asked` is `answered` plus the number failed, the native coin included."""

    asked: int
    answered: int
    failed: list[AssetFailure]


class NetworkError(Shape):
    """Why a network is missing or stale."""

    code: str
    detail: str
    retryable: bool


class Coverage(Shape):
    """What one network was asked, and what of it is known."""

    network: str
    chain_id: int | None
    status: Literal["ok", "partial", "stale", "failed"]
    block_number: int | None = Field(description="Solana: the slot. Null of a failed network.")
    block_hash: str | None
    as_of: str | None = Field(description="The block's time.")
    cached: bool
    stale: bool
    age_seconds: int = Field(description="How old a cached or stale answer is.")
    endpoint: str | None = Field(description="The host that answered.")
    requests: int = Field(description="Requests that this answer cost; 0 from the cache.")
    elapsed_ms: int
    assets: AssetCounts
    error: NetworkError | None
    nfts: int | None = Field(default=None, description="Solana: what looks like an NFT, counted only.")


class ExcludedHolding(Shape):
    """A holding that is left out, and why: `spam`, `dust`, `mirror` or `in_position`."""

    network: str
    asset_id: str
    contract_address: str | None
    symbol: str | None
    raw_amount: str = Field(pattern=_INTEGER)
    amount: str | None = Field(pattern=DECIMAL)
    value: str | None = Field(pattern=DECIMAL, description="Of dust: what it is worth.")
    reason: Literal["spam", "dust", "mirror", "in_position"]


class Balances(Shape):
    """What an address holds, and what could not be learnt."""

    address: str
    name: str | None = Field(description="The checked ENS name, if it has one.")
    currency: str
    holdings: list[Holding]
    coverage: list[Coverage]
    total_value: str | None = Field(
        pattern=DECIMAL,
        description="The exact sum of the known values of `holdings`; what is in `excluded` is not in it.",
    )
    unpriced: int = Field(description="How many holdings have no known value.")
    excluded: list[ExcludedHolding]
    complete: bool = Field(description="Whether every network asked is `ok`.")


class AssetPrice(Shape):
    """One asset asked for; without a known price it is null, and never zero."""

    asset_id: str = Field(description="CAIP-19.")
    price: Price | None


class Prices(Shape):
    """What assets are worth now, every one that was asked for."""

    currency: str
    prices: list[AssetPrice]


class PricePoint(Shape):
    """What an asset was worth at a time, by one source."""

    at: str
    amount: str = Field(pattern=DECIMAL)
    source: str


class PriceGap(Shape):
    """A time of which no source has a price."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    start: str = Field(alias="from")
    end: str = Field(alias="to")


class FailedSource(Shape):
    """A source that did not answer, and why."""

    source: str
    code: str


class PriceHistory(Shape):
    """What an asset was worth over a time: at most one point for each interval."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    asset_id: str
    currency: str
    interval: Literal["5m", "1h", "1d"]
    start: str = Field(alias="from", description="The start of the first interval.")
    end: str = Field(alias="to", description="The end of the last.")
    points: list[PricePoint]
    gaps: list[PriceGap]
    failed: list[FailedSource] = Field(description="Sources that were asked now and did not answer.")


class NativeCoin(Shape):
    """What pays a network's fees."""

    symbol: str
    name: str
    decimals: int


class Endpoint(Shape):
    """What is known of one endpoint; its name is its host."""

    name: str
    state: Literal["unknown", "healthy", "resting", "stale", "wrong_chain"]
    latency_ms: int | None = Field(description="The median of its recent times.")
    p95_latency_ms: int | None = Field(description="What 95 of 100 recent answers did not exceed.")
    head: int | None = Field(description="The last block (slot) that it showed.")
    head_age_seconds: int | None = Field(description="How long ago it showed its head.")
    blocks_behind: int | None = Field(description="How far that was behind the network's best head.")
    requests: int = Field(description="How many were sent to it.")
    successes: int
    failures: int
    errors: dict[str, int] = Field(description="How many reads failed on it, by code.")
    last_error: str | None
    retry_in_seconds: int | None = Field(description="How long it is still left alone.")
    learned: dict[str, str] = Field(description="Limits and gaps that it has shown by use.")


class NetworkShape(Shape):
    """One tracked network."""

    slug: str
    name: str
    family: Literal["evm", "solana"]
    network_id: str = Field(description="CAIP-2.")
    chain_id: int | None
    native: NativeCoin
    lifecycle: Literal["active", "sunset"]
    lifecycle_note: str | None
    explorer_url: str | None
    tokens: int = Field(description="How many tokens are listed.")
    endpoints: list[Endpoint]


class Networks(Shape):
    """What is tracked."""

    networks: list[NetworkShape]


class Token(Identity):
    """One listed token."""

    trust: Literal["verified", "listed", "unknown", "spam"]
    logo_uri: str | None
    tags: list[str]
    price_ids: dict[str, str]
    confidence: str | None
    note: str | None


class Tokens(Shape):
    """One page of listed tokens."""

    tokens: list[Token]
    next_cursor: str | None


ComponentState = Literal["ok", "unknown", "degraded", "failed"]


class Health(Shape):
    """Liveness, with each component by name as it was last seen."""

    status: Literal["ok"]
    components: dict[str, ComponentState]


class Ready(Shape):
    """Readiness, with each component by name."""

    status: Literal["ready"]
    components: dict[str, ComponentState]


class Version(Shape):
    """What runs here."""

    name: str
    version: str
    python: str


class Problem(BaseModel):
    """An error, by RFC 9457; further members depend on the code."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str = Field(description="Stable, for programs.")
    detail: str = Field(description="One sentence, for people.")
    hint: str | None = Field(default=None, description="What to do about it.")


def problem_example(status: int, title: str, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """An example of a problem for the specification."""
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return {**body, **more}

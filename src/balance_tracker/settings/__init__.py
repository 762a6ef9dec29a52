"""Every knob of the service: environment variables, or the same names in ``.env``.

Rooms do not read these; the entry points and bootstrap do, and hand plain values on.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, DirectoryPath, Field, FilePath, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from balance_tracker.settings.values import (
    RPC_PREFIX,
    AdminKey,
    ApiKey,
    BaseUrl,
    DatabaseUrl,
    IpNetwork,
    RateLimit,
    RedisUrl,
    checked_rpc,
    lower,
    sources,
    split,
)

__all__ = ["PREFIX", "RPC_PREFIX", "PriceSourceName", "Settings", "environment_name", "explain", "rpc_key"]

PREFIX = "TRACKER_"
PriceSourceName = Literal["chainlink", "defillama", "coingecko", "coinmarketcap", "uniswap_twap"]


class Settings(BaseSettings):
    """What the operator decided; frozen.

    Names in the environment begin with ``TRACKER_``, but for those that every program calls the same.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
        validate_default=False,
    )

    data_dir: Path = Field(
        default=Path("data"),
        description=(
            "Where the service keeps its files, such as refreshed token lists and what endpoints have "
            "shown of their limits; made when needed."
        ),
    )
    networks: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)] = Field(
        default=(), description="Slugs of the networks to track, comma-separated; without it, all of them."
    )
    networks_dir: DirectoryPath | None = Field(
        default=None,
        description="A directory of more network files, written like the shipped ones; a same slug replaces.",
    )
    rpc: Annotated[
        dict[str, Annotated[tuple[str, ...], BeforeValidator(split)]], AfterValidator(checked_rpc)
    ] = Field(
        default_factory=dict,
        repr=False,
        description=(
            "Endpoint URLs of one network (`http`, `https`, `ws` or `wss`), comma-separated, in place of "
            "the shipped public ones; the slug is written in capitals with `-` as `_`. Paths, queries and "
            "passwords in them are secrets and are never shown."
        ),
    )
    token_lists: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)] = Field(
        default=(),
        repr=False,
        description="Files or URLs in the Token Lists schema, comma-separated, merged over the shipped.",
    )
    shipped_tokens: bool = Field(
        default=True,
        description=(
            "Whether the shipped lists of tokens and collections are used; `false` leaves only the "
            "operator's."
        ),
    )
    collection_lists: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)] = Field(
        default=(),
        repr=False,
        description=(
            "Files or URLs of lists of NFT collections, comma-separated, merged over the shipped; the page "
            "on collections shows one."
        ),
    )
    ipfs_gateway: BaseUrl = Field(
        default="https://ipfs.io",
        repr=False,
        description=(
            "The gateway that metadata of NFTs is fetched by where it is on IPFS and was asked for: the root "
            "behind which paths are `/ipfs/…`."
        ),
    )
    balance_ttl_seconds: float = Field(
        default=60.0,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="How long balances are answered from the cache before they are read again; 0: never.",
    )
    price_sources: Annotated[tuple[PriceSourceName, ...], NoDecode, BeforeValidator(sources)] = Field(
        default=("chainlink", "defillama", "coingecko", "coinmarketcap"),
        description=(
            "The price sources to ask, comma-separated: `chainlink`, `defillama`, `coingecko`, "
            "`coinmarketcap` (with its key) and `uniswap_twap`, which is asked only for what no other one "
            "knows; `none` asks nobody. The operator's own prices are always asked first."
        ),
    )
    price_ttl_seconds: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description=(
            "How long prices are answered from the cache before they are asked for again; 0: never. For "
            "twice as long again they are given with their age while a refresh runs."
        ),
    )
    fixed_prices: FilePath | None = Field(
        default=None,
        description=(
            "A TOML or JSON file of the operator's own prices, which win over every source; the page on "
            "price sources shows one."
        ),
    )
    coingecko_api_key: ApiKey | None = Field(
        default=None,
        repr=False,
        validation_alias="COINGECKO_API_KEY",
        description="A demo or pro key of CoinGecko; without it, it is asked seldom.",
    )
    coingecko_base_url: BaseUrl | None = Field(
        default=None,
        repr=False,
        validation_alias="COINGECKO_BASE_URL",
        description=(
            "CoinGecko's root with its path, to `/api/v3`; without it, the public host of the key's plan."
        ),
    )
    coinmarketcap_api_key: ApiKey | None = Field(
        default=None,
        repr=False,
        validation_alias="COINMARKETCAP_API_KEY",
        description="A key of CoinMarketCap; without it, it is not asked.",
    )
    coinmarketcap_base_url: BaseUrl | None = Field(
        default=None,
        repr=False,
        validation_alias="COINMARKETCAP_BASE_URL",
        description="CoinMarketCap's root; without it, the public host.",
    )
    defillama_base_url: BaseUrl | None = Field(
        default=None,
        repr=False,
        validation_alias="DEFILLAMA_BASE_URL",
        description=(
            "The root of DefiLlama's coins API, in which a key may be part of the path; without it, the "
            "public host."
        ),
    )
    database_url: DatabaseUrl | None = Field(
        default=None,
        repr=False,
        validation_alias="DATABASE_URL",
        description=(
            "`sqlite:///…` or `postgresql://…`; without it, the file `tracker.db` in the data directory. "
            "SQLite is migrated at the start; PostgreSQL by `balance-tracker db upgrade`."
        ),
    )
    redis_url: RedisUrl | None = Field(
        default=None,
        repr=False,
        validation_alias="REDIS_URL",
        description=(
            "`redis://…` or `rediss://…`: the cache, the counters of rate limits and the messages that "
            "several API processes share; without it, each process has its own."
        ),
    )
    celery_broker_url: RedisUrl | None = Field(
        default=None,
        repr=False,
        validation_alias="CELERY_BROKER_URL",
        description=(
            "`redis://…` or `rediss://…`: jobs are done by Celery's workers (`balance-tracker worker` and "
            "`beat`); without it, by the API process itself."
        ),
    )
    database_connections: int = Field(
        default=10, ge=2, le=200, description="How many connections one process has to the database at most."
    )
    require_api_key: bool = Field(
        default=False,
        description=(
            "Whether every route but `/health`, `/ready`, the documentation and the page needs an API key."
        ),
    )
    admin_key: AdminKey | None = Field(
        default=None,
        repr=False,
        description=(
            "Opens the management of keys (`/keys`), in the header `X-API-Key`; at least 16 characters. "
            "Without it, a key of the scope `admin` does."
        ),
    )
    rate_limit_anonymous: RateLimit = Field(
        default="60/minute",
        description=(
            "How much work a client without a key may ask for, by its address (IPv6: by its /64), as "
            "`60/minute`; one address asked on its networks is 1. `none` is no limit."
        ),
    )
    rate_limit_key: RateLimit = Field(
        default="600/minute",
        description="The same for each API key that has no limit of its own.",
    )
    trusted_proxies: Annotated[tuple[IpNetwork, ...], NoDecode, BeforeValidator(split)] = Field(
        default=(),
        description=(
            "Networks, comma-separated, whose `X-Forwarded-For` tells the client's address: the proxies in "
            "front of this service, for example `10.0.0.0/8`."
        ),
    )
    job_lease_seconds: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        allow_inf_nan=False,
        description="So long after a worker died at the latest, another one goes on with its jobs.",
    )
    keep_jobs_days: int = Field(
        default=7, ge=1, le=3650, description="How long jobs and batches that have ended are kept."
    )
    keep_usage_days: int = Field(
        default=400, ge=1, le=36_500, description="How long the usage of API keys is kept, by day."
    )
    keep_snapshots_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description=(
            "How long snapshots are kept; without it, for ever. The last one of every day is kept ten times "
            "as long."
        ),
    )
    deadline_seconds: float = Field(
        default=15.0,
        gt=0,
        le=300,
        allow_inf_nan=False,
        description="Within this time a read answers with what it has; unfinished networks are `failed`.",
    )
    log_format: Annotated[Literal["console", "json"] | None, BeforeValidator(lower)] = Field(
        default=None,
        description="`console` or `json`; without it, `console` on a terminal and `json` elsewhere.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = Field(
        default="info",
        description=(
            "The lowest level of the lines that are logged; a request answered with stored bytes is a line "
            "of `debug`."
        ),
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read ``TRACKER_RPC_<SLUG>`` beside the named settings; the environment wins over ``.env``."""
        del file_secret_settings
        rpc = _RpcSource(settings_cls, {**_variables(dotenv_settings), **_variables(env_settings)})
        return (init_settings, rpc, env_settings, dotenv_settings)


class _RpcSource(PydanticBaseSettingsSource):
    """Collects ``TRACKER_RPC_<SLUG>`` variables into the field ``rpc``."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: :meth:`__call__` answers for the one field."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        prefix = RPC_PREFIX.lower()
        found = {
            name[len(prefix) :]: value
            for name, value in self._variables.items()
            if name.startswith(prefix) and len(name) > len(prefix) and value and value.strip()
        }
        return {"rpc": found} if found else {}


def rpc_key(slug: str) -> str:
    """The name in :attr:`Settings.rpc` of a network.

    >>> rpc_key("polygon-zkevm")
    'polygon_zkevm'
    """
    return slug.lower().replace("-", "_")


def environment_name(field: str) -> str:
    """The environment variable of a setting.

    >>> environment_name("deadline_seconds")
    'TRACKER_DEADLINE_SECONDS'
    """
    if field == "rpc":
        return f"{RPC_PREFIX}<SLUG>"
    known = Settings.model_fields.get(field.lower())
    if known is not None and isinstance(known.validation_alias, str):
        return known.validation_alias
    return f"{PREFIX}{field.upper()}"


def explain(error: ValidationError) -> str:
    """One sentence that names the first wrong setting and the reason, never its value."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    if reason.startswith(PREFIX):
        return f"{reason}."
    field = str(first["loc"][0]) if first["loc"] else "a setting"
    return f"{environment_name(field)} is wrong: {reason[:1].lower()}{reason[1:]}."


def _variables(source: PydanticBaseSettingsSource) -> Mapping[str, str | None]:
    return source.env_vars if isinstance(source, EnvSettingsSource) else {}

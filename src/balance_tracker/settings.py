"""Every knob of the service: environment variables, or the same names in ``.env``.

Rooms do not read these; the entry points and bootstrap do, and hand plain values on.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, DirectoryPath, Field, FilePath, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "TRACKER_"
RPC_PREFIX = "TRACKER_RPC_"
PriceSourceName = Literal["chainlink", "defillama", "coingecko", "coinmarketcap", "uniswap_twap"]
_RPC_SCHEMES = frozenset({"http", "https", "ws", "wss"})
_KEY = re.compile(r"[!-~]{1,512}")


def _split(value: object) -> object:
    """Comma-separated text as a tuple; anything else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _sources(value: object) -> object:
    """Names in lower case, each once; ``none`` alone is no source."""
    words = _split(value)
    if not isinstance(words, tuple):
        return value
    names = tuple(dict.fromkeys(str(word).lower() for word in words if str(word).lower() != "fixed"))
    return () if names == ("none",) else names


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _checked_rpc(rpc: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Refuse what is not a URL, without showing it: it may hold a key."""
    for name, urls in rpc.items():
        for position, url in enumerate(urls, start=1):
            if not _is_endpoint_url(url):
                raise ValueError(
                    f"{RPC_PREFIX}{name.upper()} must hold http(s) or ws(s) URLs; number {position} is none"
                )
    return rpc


def _is_endpoint_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in _RPC_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _checked_key(key: str) -> str:
    """Refuse what no header can hold, without showing it."""
    key = key.strip()
    if not _KEY.fullmatch(key):
        raise ValueError("it must be one word of printable ASCII characters")
    return key


def _checked_base_url(url: str) -> str:
    """Refuse what is no root to put paths behind, without showing it: it may hold a key."""
    url = url.strip().rstrip("/")
    if not _is_endpoint_url(url) or not url.lower().startswith(("http://", "https://")):
        raise ValueError("it must be an http(s) URL")
    if "?" in url or "#" in url:
        raise ValueError("it must have no query, since paths are put behind it")
    return url


type _ApiKey = Annotated[str, AfterValidator(_checked_key)]
type _BaseUrl = Annotated[str, AfterValidator(_checked_base_url)]


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
    networks: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(), description="Slugs of the networks to track, comma-separated; without it, all of them."
    )
    networks_dir: DirectoryPath | None = Field(
        default=None,
        description="A directory of more network files, written like the shipped ones; a same slug replaces.",
    )
    rpc: Annotated[
        dict[str, Annotated[tuple[str, ...], BeforeValidator(_split)]], AfterValidator(_checked_rpc)
    ] = Field(
        default_factory=dict,
        repr=False,
        description=(
            "Endpoint URLs of one network (`http`, `https`, `ws` or `wss`), comma-separated, in place of "
            "the shipped public ones; the slug is written in capitals with `-` as `_`. Paths, queries and "
            "passwords in them are secrets and are never shown."
        ),
    )
    token_lists: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
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
    collection_lists: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(),
        repr=False,
        description=(
            "Files or URLs of lists of NFT collections, comma-separated, merged over the shipped; the page "
            "on collections shows one."
        ),
    )
    ipfs_gateway: _BaseUrl = Field(
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
    price_sources: Annotated[tuple[PriceSourceName, ...], NoDecode, BeforeValidator(_sources)] = Field(
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
    coingecko_api_key: _ApiKey | None = Field(
        default=None,
        repr=False,
        validation_alias="COINGECKO_API_KEY",
        description="A demo or pro key of CoinGecko; without it, it is asked seldom.",
    )
    coingecko_base_url: _BaseUrl | None = Field(
        default=None,
        repr=False,
        validation_alias="COINGECKO_BASE_URL",
        description=(
            "CoinGecko's root with its path, to `/api/v3`; without it, the public host of the key's plan."
        ),
    )
    coinmarketcap_api_key: _ApiKey | None = Field(
        default=None,
        repr=False,
        validation_alias="COINMARKETCAP_API_KEY",
        description="A key of CoinMarketCap; without it, it is not asked.",
    )
    coinmarketcap_base_url: _BaseUrl | None = Field(
        default=None,
        repr=False,
        validation_alias="COINMARKETCAP_BASE_URL",
        description="CoinMarketCap's root; without it, the public host.",
    )
    defillama_base_url: _BaseUrl | None = Field(
        default=None,
        repr=False,
        validation_alias="DEFILLAMA_BASE_URL",
        description=(
            "The root of DefiLlama's coins API, in which a key may be part of the path; without it, the "
            "public host."
        ),
    )
    deadline_seconds: float = Field(
        default=15.0,
        gt=0,
        le=300,
        allow_inf_nan=False,
        description="Within this time a read answers with what it has; unfinished networks are `failed`.",
    )
    log_format: Annotated[Literal["console", "json"] | None, BeforeValidator(_lower)] = Field(
        default=None,
        description="`console` or `json`; without it, `console` on a terminal and `json` elsewhere.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
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

"""Settings turned into what is tracked: networks with their endpoints, and the listed tokens."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_settings import SettingsError

from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.token_list import MAX_LIST_BYTES
from balance_tracker.catalog.tokens import load_tokens, read_local_list
from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import ConfigurationError, UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network
from balance_tracker.services.token_refresh import REFRESHED_LIST
from balance_tracker.settings import RPC_PREFIX, Settings, explain, rpc_key
from balance_tracker.telemetry.redact import redact_url
from balance_tracker.transport.http import fetch_document

LIST_SECONDS = 20.0


def load_settings() -> Settings:
    """The settings of the environment and ``.env``.

    Raises:
        ConfigurationError: One is wrong; the message names it and the reason.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(explain(error)) from None
    except SettingsError as error:
        raise ConfigurationError(f"A setting can't be read: {error}.") from None
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError("The file .env can't be read as UTF-8 text.") from None


def tracked_networks(settings: Settings) -> dict[Slug, Network]:
    """The networks that the settings ask for, with the operator's endpoints in place.

    Raises:
        ConfigurationError: A setting names a network that does not exist, or one has no endpoint.
    """
    with named_setting("TRACKER_NETWORKS_DIR"):
        known = load_networks(settings.networks_dir)
    by_key = {rpc_key(slug): slug for slug in known}
    for key in settings.rpc:
        if key not in by_key:
            raise _unknown_rpc(key, by_key)
    chosen = [_known(slug.lower(), known) for slug in settings.networks] or list(known)
    networks = {}
    for slug in chosen:
        urls = settings.rpc.get(rpc_key(slug)) or known[slug].endpoints
        if not urls:
            raise ConfigurationError(
                f"The network '{slug}' has no endpoint.", hint=f"Set {RPC_PREFIX}{rpc_key(slug).upper()}."
            )
        networks[slug] = replace(known[slug], endpoints=tuple(urls))
    return networks


async def listed_tokens(
    settings: Settings, networks: Mapping[Slug, Network]
) -> dict[Slug, tuple[Asset, ...]]:
    """The listed tokens of the networks: shipped lists, refreshed ones, and the operator's.

    Raises:
        ConfigurationError: A list can't be had, or is wrong.
    """
    refreshed = settings.data_dir / REFRESHED_LIST
    lists = [read_local_list(refreshed)] if refreshed.exists() else []
    with named_setting("TRACKER_TOKEN_LISTS"):
        lists += [await operator_list(entry) for entry in settings.token_lists]
        return load_tokens(networks, shipped=settings.shipped_tokens, extra_lists=lists)


async def operator_list(entry: str, what: str = "token list") -> tuple[str, bytes]:
    """A list of the operator, from its file or its URL, as origin and document.

    Args:
        entry: A path or a URL.
        what: What is listed, for the message.

    Raises:
        ConfigurationError: It can't be had.
    """
    if "://" not in entry:
        return read_local_list(entry)
    try:
        return entry, await fetch_document(entry, MAX_LIST_BYTES, LIST_SECONDS)
    except UpstreamError as error:
        raise ConfigurationError(
            f"A {what} could not be fetched from {redact_url(entry)}: {error.message}"
        ) from None


@contextmanager
def named_setting(setting: str) -> Iterator[None]:
    """Put the setting's name ahead of what is wrong with the file that it names."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{setting}: {error.message}", hint=error.hint) from None


def _known(slug: str, known: Mapping[Slug, Network]) -> Slug:
    if slug in known:
        return Slug(slug)
    raise ConfigurationError(
        f"TRACKER_NETWORKS names '{slug}', which is no network.", hint=_nearest(slug, list(known))
    )


def _unknown_rpc(key: str, by_key: Mapping[str, str]) -> ConfigurationError:
    names = {f"{RPC_PREFIX}{known.upper()}": known for known in by_key}
    return ConfigurationError(
        f"{RPC_PREFIX}{key.upper()} names no network.",
        hint=_nearest(f"{RPC_PREFIX}{key.upper()}", list(names)),
    )


def _nearest(word: str, words: list[str]) -> str:
    close = get_close_matches(word, words, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Known are: {', '.join(words)}."

"""The tracked tokens of every network: shipped lists, and the operator's merged over them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from balance_tracker.catalog.local_files import read_bounded
from balance_tracker.catalog.token_list import HINT, MAX_LIST_BYTES, read_token_list
from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import AssetId, Slug
from balance_tracker.core.networks import Network

type ListSource = Path | str | tuple[str, bytes]
"""A file of this machine, or what was fetched: where it is from, and the document."""


def load_tokens(
    networks: Mapping[Slug, Network], *, shipped: bool, extra_lists: Sequence[ListSource] = ()
) -> dict[Slug, tuple[Asset, ...]]:
    """The tracked tokens of each network, shipped ones first, each once.

    Args:
        networks: The tracked networks.
        shipped: Whether the shipped lists count.
        extra_lists: The operator's; later ones win.

    Returns:
        A tuple for every network, empty where nothing is listed.

    Raises:
        ConfigurationError: A list is wrong; names its origin, the line or key, and the reason.
    """
    found: dict[Slug, dict[AssetId, Asset]] = {slug: {} for slug in networks}
    if shipped:
        for network in networks.values():
            _merge(found, shipped_tokens(network))
    for source in extra_lists:
        origin, document = source if isinstance(source, tuple) else read_local_list(source)
        _merge(found, read_token_list(document, origin, networks).tokens)
    return {slug: tuple(_unshared(tokens.values())) for slug, tokens in found.items()}


def shipped_tokens(network: Network) -> tuple[Asset, ...]:
    """The shipped list of a network; empty where none is shipped.

    A network of the operator that took a shipped slug for another chain gets none of them:
    its ``chainId`` is not the list's.
    """
    name = f"{network.slug}.json"
    entry = files("balance_tracker") / "data" / "tokens" / name
    if not entry.is_file():
        return ()
    return read_token_list(entry.read_bytes(), name, {network.slug: network}, trust="verified").tokens


def read_local_list(path: str | Path) -> tuple[str, bytes]:
    """A list on this machine: its path for messages, and the document.

    Raises:
        ConfigurationError: Not a file, not readable, or larger than a list can be.
    """
    return str(path), read_bounded(Path(path), MAX_LIST_BYTES)


def merge_token(known: Asset, over: Asset) -> Asset:
    """What the operator's list says of a token, and the rest of what was known of it.

    A shipped token stays ``verified``: the operator corrects it, and does not discover it.
    """
    return replace(
        over,
        trust=known.trust,
        logo_uri=over.logo_uri or known.logo_uri,
        price_ids=_merged_ids(known.price_ids, over.price_ids),
        tags=over.tags or known.tags,
        note=over.note or known.note,
        confidence=over.confidence or known.confidence,
    )


def _merge(found: Mapping[Slug, dict[AssetId, Asset]], tokens: Iterable[Asset]) -> None:
    for token in tokens:
        of_network = found[token.network]
        known = of_network.get(token.asset_id)
        of_network[token.asset_id] = token if known is None else merge_token(known, token)


def _unshared(tokens: Iterable[Asset]) -> Iterable[Asset]:
    """The tokens of a network; a CoinGecko id that two of them have is of one at most, so it is a hint.

    Both are then asked for by their contracts.
    """
    listed = list(tokens)
    counts = Counter(token.price_ids["coingecko"] for token in listed if "coingecko" in token.price_ids)
    for token in listed:
        coin = token.price_ids.get("coingecko")
        if coin is None or counts[coin] < 2:
            yield token
        else:
            others = {key: value for key, value in token.price_ids.items() if key != "coingecko"}
            yield replace(token, price_ids={**others, HINT: coin})


def _merged_ids(known: Mapping[str, str], over: Mapping[str, str]) -> dict[str, str]:
    """Both, the later first; a new CoinGecko id drops the older one, but a hint none that it agrees with."""
    if HINT in over and over[HINT] == known.get("coingecko"):
        over = {key: value for key, value in over.items() if key != HINT}
    services = {key.partition("_")[0] for key in over}
    return {key: value for key, value in known.items() if key.partition("_")[0] not in services} | dict(over)

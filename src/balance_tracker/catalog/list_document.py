"""Tokens written as a list in the Token Lists schema, the way they are read again."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from balance_tracker.catalog.token_list import HINT, list_chain_id
from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network


def render_token_list(
    name: str, tokens: Iterable[Asset], networks: Mapping[Slug, Network], written_at: datetime
) -> bytes:
    """A list document, one token a line; ``read_token_list`` gives the same tokens back.

    Args:
        name: What the list is called.
        tokens: Tokens of the networks given; each must have symbol, name and decimals.
        networks: The tracked networks.
        written_at: The list's time stamp, with its zone.
    """
    head = {
        "name": name,
        "timestamp": written_at.isoformat(timespec="seconds"),
        "version": {"major": 1, "minor": 0, "patch": 0},
    }
    opening = json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}")
    lines = [json.dumps(_entry(token, networks[token.network]), ensure_ascii=False) for token in tokens]
    body = "[" + ",".join(f"\n    {line}" for line in lines) + ("\n  ]" if lines else "]")
    return f'{opening},\n  "tokens": {body}\n}}\n'.encode()


def _entry(token: Asset, network: Network) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "chainId": list_chain_id(network),
        "address": token.contract_address,
        "symbol": token.symbol,
        "name": token.name,
        "decimals": token.decimals,
    }
    if token.logo_uri:
        entry["logoURI"] = token.logo_uri
    if token.tags:
        entry["tags"] = list(token.tags)
    if extensions := _extensions(token):
        entry["extensions"] = extensions
    return entry


def _extensions(token: Asset) -> dict[str, str]:
    ids = token.price_ids
    found = {
        "coingeckoId": ids.get("coingecko") or ids.get(HINT),
        "coingeckoIdFrom": "platform" if "coingecko" in ids else "list" if HINT in ids else None,
        "coinpaprikaId": ids.get("coinpaprika"),
        "confidence": token.confidence,
        "note": token.note,
    }
    return {key: value for key, value in found.items() if value is not None}

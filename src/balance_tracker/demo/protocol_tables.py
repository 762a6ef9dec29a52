"""The tables of protocols that the demo's nodes have, as files that replace the shipped ones.

The shipped tables name many markets that no local node has. The demo tracks what is there, as it does
with tokens: rows of the shipped tables for what it placed, and nothing else.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from balance_tracker.catalog.protocols import OPERATOR_FOLDER, Deployments, load_deployments
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network

type Row = Mapping[str, Any]

TABLES = ("aave_v3", "compound_v2", "compound_v3", "erc4626", "uniswap_v2", "uniswap_v3")
"""Protocols whose deployments are in tables."""


def shipped_tables(networks: Mapping[Slug, Network]) -> dict[str, Deployments]:
    """What the tracker is shipped with, by protocol and network."""
    return load_deployments(TABLES, networks)


def shipped_row(tables: Mapping[str, Deployments], protocol: str, slug: Slug, market: str) -> Row:
    """One market of the shipped tables.

    Raises:
        ConfigurationError: It is not there.
    """
    for row in tables[protocol].get(slug, ()):
        if row["market"] == market:
            return row
    raise ConfigurationError(f"The table of {protocol} has no {market} on {slug}.")


def write_tables(directory: Path, placed: Iterable[tuple[str, Row]]) -> None:
    """Write a directory of networks in which every protocol has only the rows given.

    Args:
        directory: What ``TRACKER_NETWORKS_DIR`` will name.
        placed: Protocols and rows.
    """
    rows: dict[str, list[Row]] = {protocol: [] for protocol in TABLES}
    for protocol, row in placed:
        rows[protocol].append(row)
    folder = directory / OPERATOR_FOLDER
    folder.mkdir(parents=True)
    for protocol, own in rows.items():
        (folder / f"{protocol}.toml").write_text("\n".join(map(_table, own)), encoding="utf-8")


def _table(row: Row) -> str:
    return "\n".join(["[[deployments]]", *(f"{key} = {_value(value)}" for key, value in row.items()), ""])


def _value(value: Any) -> str:
    """A value of a table; text, numbers and truths are written as in JSON."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(own)}" for key, own in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)

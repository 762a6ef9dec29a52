"""Where protocols are deployed: the shipped tables, and the operator's over them.

A table is ``protocols/<slug>.toml`` with ``[[deployments]]``, each with the slug of its ``network``;
what else stands in it is the protocol's own to read and to refuse.
"""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from balance_tracker.catalog.documents import parse_toml, refusal
from balance_tracker.catalog.local_files import read_bounded
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network

MAX_PROTOCOL_BYTES = 4 * 2**20
OPERATOR_FOLDER = "protocols"
"""Where an operator's tables are, inside the directory of networks."""

type Deployments = dict[Slug, tuple[Mapping[str, Any], ...]]


def load_deployments(
    protocols: Iterable[str], networks: Mapping[Slug, Network], extra_dir: Path | None = None
) -> dict[str, Deployments]:
    """The tables of protocols, by their slug and then by network; those that are not tracked are left out.

    Args:
        protocols: Slugs; one without a file has no table.
        networks: The tracked networks.
        extra_dir: The operator's directory of networks; its ``protocols/SLUG.toml`` replaces a shipped file.

    Raises:
        ConfigurationError: A file is wrong; names the file, the line or key, and the reason.
    """
    shipped = files("balance_tracker") / "data" / "protocols"
    found: dict[str, Deployments] = {}
    for slug in protocols:
        name = f"{slug}.toml"
        own = extra_dir / OPERATOR_FOLDER / name if extra_dir is not None else None
        if own is not None and own.exists():
            found[slug] = read_deployments(read_bounded(own, MAX_PROTOCOL_BYTES), str(own), networks)
        elif (entry := shipped / name).is_file():
            found[slug] = read_deployments(entry.read_bytes(), f"protocols/{name}", networks)
    return found


def read_deployments(document: bytes, origin: str, networks: Mapping[Slug, Network]) -> Deployments:
    """One protocol's table from the bytes of its file, by network.

    Raises:
        ConfigurationError: Names the file, the key and the reason.
    """
    rows = parse_toml(document, origin).get("deployments", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise refusal(origin, "'deployments' must be a list of tables")
    by_network: dict[Slug, list[Mapping[str, Any]]] = {}
    for position, row in enumerate(rows):
        network = row.get("network")
        if not isinstance(network, str):
            raise refusal(origin, f"deployments[{position}] has no 'network'")
        if Slug(network) in networks:
            by_network.setdefault(Slug(network), []).append(row)
    return {slug: tuple(own) for slug, own in by_network.items()}

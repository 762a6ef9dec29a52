"""Every tracked network: the shipped files, and the operator's over them."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from balance_tracker.catalog.documents import refusal
from balance_tracker.catalog.local_files import read_bounded
from balance_tracker.catalog.network_file import read_network
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.core.ids import NetworkId, Slug
from balance_tracker.core.networks import Network

MAX_NETWORK_BYTES = 256 * 1024
"""A network's file is a page; anything larger is another file."""


def load_networks(extra_dir: Path | None = None) -> dict[Slug, Network]:
    """Every tracked network by its slug.

    Args:
        extra_dir: The operator's directory of ``SLUG.toml`` files; a same slug replaces the
            shipped network, a new one is added.

    Raises:
        ConfigurationError: A file is wrong (names the file, the key and the reason), or two
            networks have the same id.
    """
    shipped = sorted(
        (entry.name, entry.read_bytes())
        for entry in (files("balance_tracker") / "data" / "networks").iterdir()
        if entry.name.endswith(".toml")
    )
    networks = _read_all((name, name.removesuffix(".toml"), document) for name, document in shipped)
    if extra_dir is not None:
        networks |= _read_all(_operator_files(extra_dir))
    _refuse_shared_ids(networks.values())
    return networks


def _operator_files(directory: Path) -> Iterable[tuple[str, str, bytes]]:
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix == ".toml")
    except OSError as error:
        raise refusal(str(directory), f"can't be read as a directory of networks: {error.strerror}") from None
    return [(str(path), path.stem, read_bounded(path, MAX_NETWORK_BYTES)) for path in paths]


def _read_all(documents: Iterable[tuple[str, str, bytes]]) -> dict[Slug, Network]:
    read = (read_network(document, origin, stem) for origin, stem, document in documents)
    return {network.slug: network for network in read}


def _refuse_shared_ids(networks: Iterable[Network]) -> None:
    owners: dict[NetworkId, Slug] = {}
    for network in networks:
        owner = owners.setdefault(network.id, network.slug)
        if owner != network.slug:
            raise ConfigurationError(
                f"{network.slug}.toml: id {network.id} is already that of '{owner}'.",
                hint=f"To replace it, name the file {owner}.toml and its slug '{owner}'.",
            )

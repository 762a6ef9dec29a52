"""Who leads tours on each network: the guides of all protocols that are there."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from balance_tracker.catalog.protocols import load_deployments
from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import ConfigurationError, InputError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.networks import Network
from balance_tracker.evm.tours import TourError
from balance_tracker.protocols.found import FoundProtocol, found_protocols
from balance_tracker.protocols.spec import EvmGuide, Rows
from balance_tracker.solana.sources import PositionSource


def protocol_guides(
    networks: Mapping[Slug, Network], tokens: Mapping[Slug, Sequence[Asset]], extra_dir: Path | None = None
) -> dict[Slug, list[EvmGuide]]:
    """The guides of every EVM network, in the order of the protocols' slugs.

    Args:
        networks: The tracked networks.
        tokens: Their listed tokens, by which assets are named.
        extra_dir: The operator's directory of networks.

    Raises:
        ConfigurationError: A table of deployments is wrong.
    """
    evm = {slug: network for slug, network in networks.items() if network.family == "evm"}
    protocols = [found for found in found_protocols() if found.spec.family == "evm"]
    tables = load_deployments((found.spec.slug for found in protocols), evm, extra_dir)
    guides: dict[Slug, list[EvmGuide]] = {}
    for slug, network in evm.items():
        asset_of = _asset_of(tokens.get(slug, ()))
        guides[slug] = [
            guide
            for found in protocols
            for guide in _guides(found, network, asset_of, tables.get(found.spec.slug, {}).get(slug, ()))
        ]
    return guides


def position_sources(
    networks: Mapping[Slug, Network], tokens: Mapping[Slug, Sequence[Asset]]
) -> dict[Slug, list[PositionSource]]:
    """Where positions come from on every Solana network, in the order of the protocols' slugs."""
    return {
        slug: [
            source
            for found in found_protocols()
            if found.sources is not None
            for source in found.sources(network, _asset_of(tokens.get(slug, ())))
        ]
        for slug, network in networks.items()
        if network.family == "solana"
    }


def _guides(
    found: FoundProtocol, network: Network, asset_of: Callable[[Address], Asset | None], rows: Rows
) -> Sequence[EvmGuide]:
    """The guides of one protocol.

    Raises:
        ConfigurationError: What its table says can't be used.
    """
    if found.guides is None:
        return ()
    try:
        return found.guides(network, asset_of, rows)
    except (KeyError, TypeError, ValueError, AttributeError, InputError, TourError) as error:
        raise ConfigurationError(
            f"protocols/{found.spec.slug}.toml: a deployment on {network.slug} can't be used: {error!r}."
        ) from error


def _asset_of(tokens: Sequence[Asset]) -> Callable[[Address], Asset | None]:
    """What is listed, by its contract in any case; by its mint on Solana, where the case counts."""
    listed = {str(asset.contract_address): asset for asset in tokens}
    lowered = {contract.lower(): asset for contract, asset in listed.items() if contract[:2] == "0x"}
    return lambda address: listed.get(address) or lowered.get(address.lower())

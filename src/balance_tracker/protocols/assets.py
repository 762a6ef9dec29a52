"""The assets that a tour meets: the catalog's word where it has one, else the contract's own."""

from collections.abc import Iterable, Sequence

from balance_tracker.core.assets import Asset, unlisted_token
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.metadata import CALLS_PER_TOKEN, metadata_calls, read_metadata
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.tours import Tour, TourError
from balance_tracker.ports import MetadataFailure
from balance_tracker.protocols.spec import AssetOf

MOST_UNKNOWN = 64
"""Tokens that one tour asks at once what they are."""

_ADDRESSES = EvmAddresses()


def known_assets(network: Network, asset_of: AssetOf, addresses: Iterable[str]) -> Tour[dict[str, Asset]]:
    """The assets of contracts, by address in lower case: for ``yield from`` in a tour.

    Costs a round only if the catalog does not know all of them. An asset keeps ``decimals`` of
    ``None`` where its contract does not tell.

    Args:
        network: Where they are.
        asset_of: What the catalog knows.
        addresses: Contracts, written in any case.

    Raises:
        TourError: There are too many of them, or one has no contract.
    """
    wanted = dict.fromkeys(address.lower() for address in addresses)
    found = {address: asset_of(Address(address)) for address in wanted}
    unknown = [address for address, asset in found.items() if asset is None]
    known = {address: asset for address, asset in found.items() if asset is not None}
    if not unknown:
        return known
    if len(unknown) > MOST_UNKNOWN:
        raise TourError("malformed", f"{len(unknown)} unknown tokens stand in one market")
    outcomes = yield [call for address in unknown for call in asset_calls(address)]
    for number, address in enumerate(unknown):
        known[address] = read_asset(network, address, outcomes[number * CALLS_PER_TOKEN :])
    return known


def asset_calls(address: str) -> list[Call]:
    """The calls that :func:`read_asset` reads, ``CALLS_PER_TOKEN`` of them."""
    return metadata_calls(address.lower())


def read_asset(network: Network, address: str, outcomes: Sequence[Outcome]) -> Asset:
    """The asset of a token that no list has, by what its contract says.

    Raises:
        TourError: It has no contract.
    """
    metadata = read_metadata(outcomes[:CALLS_PER_TOKEN])
    if isinstance(metadata, MetadataFailure):
        raise TourError(metadata.code, f"the token {address}: {metadata.reason}")
    token = unlisted_token(network, eip55(address))
    return token.with_metadata(metadata.symbol, metadata.name, metadata.decimals)


def eip55(address: str) -> Address:
    """An address as it goes out.

    Raises:
        TourError: It is none.
    """
    try:
        return _ADDRESSES.parse(address.lower())
    except InputError as error:
        raise TourError("malformed", error.message) from error

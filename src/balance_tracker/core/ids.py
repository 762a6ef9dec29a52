"""Names of things: addresses, networks (CAIP-2) and assets (CAIP-19)."""

from typing import NewType

Address = NewType("Address", str)
"""An address in the form it goes out in: EIP-55 on EVM networks, base58 on Solana."""

AssetId = NewType("AssetId", str)
"""A CAIP-19 id, for example ``eip155:1/erc20:0xA0b8…`` or ``solana:5eyk…/slip44:501``."""

NetworkId = NewType("NetworkId", str)
"""A CAIP-2 id, for example ``eip155:8453``."""

Slug = NewType("Slug", str)
"""Our short name of a network, for example ``base``."""


def token_asset_id(network_id: NetworkId, family: str, contract_address: Address) -> AssetId:
    """The CAIP-19 id of a fungible token (namespace ``erc20`` or ``token``).

    >>> token_asset_id(NetworkId("eip155:1"), "evm", Address("0xdAC17F958D2ee523a2206206994597C13D831ec7"))
    'eip155:1/erc20:0xdAC17F958D2ee523a2206206994597C13D831ec7'
    """
    namespace = "erc20" if family == "evm" else "token"
    return AssetId(f"{network_id}/{namespace}:{contract_address}")


def shorten(address: str) -> str:
    """An address for logs: enough to recognise, not enough to follow.

    >>> shorten("0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045")
    '0xd8dA…6045'
    """
    return address if len(address) <= 12 else f"{address[:6]}…{address[-4:]}"

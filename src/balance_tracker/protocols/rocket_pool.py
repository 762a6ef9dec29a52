"""Rocket Pool: rETH stands for ether that its node operators have staked.

Source: https://docs.rocketpool.net (RocketTokenRETH: ``getEthValue``), the same function that burning pays by
Golden: tests/protocols/test_liquid_staking.py
Known gaps: what node operators have bonded (minipools, RPL) is not read. rETH on other networks is a
bridged copy without the rate, and stays a holding there.
"""

from collections.abc import Mapping, Sequence

from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.protocols.receipts import Receipt, receipt_guide
from balance_tracker.protocols.spec import AssetOf, EvmGuide, ProtocolSpec, Rows

PROTOCOL = ProtocolSpec(slug="rocket_pool", name="Rocket Pool", family="evm", grade="bronze")

GET_ETH_VALUE = "8b32fa23"

DEPLOYMENTS: Mapping[str, Receipt] = {
    "ethereum": Receipt(Address("0xae78736Cd615f374D3085123A210448E74Fc6393"), "rETH", GET_ETH_VALUE),
}


def guides(
    network: Network,
    asset_of: AssetOf,
    rows: Rows = (),  # noqa: ARG001 - the contracts stand above
) -> Sequence[EvmGuide]:
    """One guide where rETH is issued."""
    receipt = DEPLOYMENTS.get(network.slug)
    return [receipt_guide(PROTOCOL.slug, network, asset_of, receipt)] if receipt else []

"""Liquid staking tokens whose rate their own contract tells: each stands for what was staked behind it.

Sources, function by function:

- cbETH ``exchangeRate()``: the interface that Coinbase published with its wrapped-tokens-os (IStakedTokenV1);
  wBETH has the same one (github.com/euler-xyz/euler-price-oracle, src/adapter/binance)
- weETH ``getEETHByWeETH(uint256)``: https://etherfi.gitbook.io; an eETH is an ether at ether.fi
- osETH and osGNO ``convertToAssets(uint256)`` of OsTokenVaultController: https://docs.stakewise.io,
  addresses from npm @stakewise/v3-sdk 2.0.2
- ETHx ``getExchangeRate()`` of Stader's StaderStakePoolsManager: ether of one ETHx
  (github.com/stader-labs/ethx)
- rsETH ``rsETHPrice()`` of Kelp's LRTOracle: ether of one rsETH, whatever it is staked in; contract and
  address from the README of github.com/Kelp-DAO/LRT-rsETH
- sAVAX ``getPooledAvaxByShares(uint256)``: https://docs.benqi.fi (liquid staking)

Golden: tests/protocols/test_liquid_staking.py
Known gaps: tokens whose rate is told by a contract that the data does not name (ezETH, MaticX, stMATIC,
sFTMX), that have none (frxETH), and bridged copies stay holdings. What is on its way out of a
protocol (unlock requests) is not read.
"""

from collections.abc import Mapping, Sequence

from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.protocols.receipts import Receipt, receipt_guide
from balance_tracker.protocols.spec import AssetOf, EvmGuide, ProtocolSpec, Rows

PROTOCOL = ProtocolSpec(slug="liquid_staking", name="Liquid staking", family="evm", grade="bronze")

CONVERT_TO_ASSETS = "07a2d13a"
EXCHANGE_RATE = "3ba0b9a9"
GET_EETH_BY_WEETH = "94626044"
GET_EXCHANGE_RATE = "e6aa216c"
GET_POOLED_AVAX_BY_SHARES = "4a36d6c1"
RSETH_PRICE = "b4b46434"

DEPLOYMENTS: Mapping[str, tuple[Receipt, ...]] = {
    "ethereum": (
        Receipt(
            Address("0xBe9895146f7AF43049ca1c1AE358B0541Ea49704"), "cbETH", EXCHANGE_RATE, of_amount=False
        ),
        Receipt(Address("0xCd5fE23C85820F7B72D0926FC9b05b43E359b7ee"), "weETH", GET_EETH_BY_WEETH),
        Receipt(
            Address("0xf1C9acDc66974dFB6dEcB12aA385b9cD01190E38"),
            "osETH",
            CONVERT_TO_ASSETS,
            told_by=Address("0x2A261e60FB14586B474C208b1B7AC6D0f5000306"),
        ),
        Receipt(
            Address("0xA35b1B31Ce002FBF2058D22F30f95D405200A15b"),
            "ETHx",
            GET_EXCHANGE_RATE,
            of_amount=False,
            told_by=Address("0xcf5EA1b38380f6aF39068375516Daf40Ed70D299"),
        ),
        Receipt(
            Address("0xA1290d69c65A6Fe4DF752f95823fae25cB99e5A7"),
            "rsETH",
            RSETH_PRICE,
            of_amount=False,
            told_by=Address("0x349A73444b1a310BAe67ef67973022020d70020d"),
        ),
    ),
    "bsc": (
        Receipt(
            Address("0xa2E3356610840701BDf5611a53974510Ae27E2e1"),
            "wBETH",
            EXCHANGE_RATE,
            of_amount=False,
            underlying=Address("0x2170Ed0880ac9A755fd29B2688956BD959F933F8"),
        ),
    ),
    "avalanche": (
        Receipt(Address("0x2b2C81e08f1Af8835a78Bb2A90AE924ACE0eA4bE"), "sAVAX", GET_POOLED_AVAX_BY_SHARES),
    ),
    "gnosis": (
        Receipt(
            Address("0xF490c80aAE5f2616d3e3BDa2483E30C4CB21d1A0"),
            "osGNO",
            CONVERT_TO_ASSETS,
            told_by=Address("0x60B2053d7f2a0bBa70fe6CDd88FB47b579B9179a"),
            underlying=Address("0x9C58BAcC331c9aa871AFD802DB6379a98e80CEdb"),
        ),
    ),
}


def guides(
    network: Network,
    asset_of: AssetOf,
    rows: Rows = (),  # noqa: ARG001 - the contracts stand above
) -> Sequence[EvmGuide]:
    """A guide for each receipt of the network."""
    receipts = DEPLOYMENTS.get(network.slug, ())
    return [receipt_guide(PROTOCOL.slug, network, asset_of, receipt) for receipt in receipts]

"""The demo's wallets: who holds what, and how it got there. Every amount is invented.

Tokens come from their issuers by transfers, and go on between the wallets by transfers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from balance_tracker.core.ids import Address, Slug
from balance_tracker.demo.contracts import (
    DEPLOYER,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    place,
    set_code,
    transact,
)
from balance_tracker.demo.ens import claim_reverse_names, register_names
from balance_tracker.demo.networks import LocalNetwork
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.demo.solana_story import SOLANA_USER


def demo_address(label: str) -> Address:
    """An address that nobody has the key of, the same in every run."""
    return Address(to_checksum_address(keccak(text=f"balance-tracker demo: {label}")[12:]))


TREASURY = demo_address("treasury")
TRADER = demo_address("trader")
SPAMMED = demo_address("spammed wallet")
EXCHANGE = demo_address("exchange")
TREASURY_NAME = "demo-treasury.eth"

ADVERT = demo_address("a token that is an advertisement")
STRANGER = demo_address("an unlisted token")
TRAP = demo_address("a token that reverts")


@dataclass(frozen=True, slots=True)
class Wallet:
    """One sample wallet: what to ask for, and its story in one sentence.

    ``networks`` are slugs, all of the demo without any; ``tokens`` are contract addresses to
    ask there beside the listed ones.
    """

    title: str
    story: str
    asks: str
    networks: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()


WALLETS = (
    Wallet(
        "A treasury",
        "It is asked by its name, holds on four networks, lends on Aave, and makes markets on Uniswap.",
        TREASURY_NAME,
    ),
    Wallet(
        "A trader",
        "Many tokens, some down to dust, a loan on Aave, and a Uniswap position in range.",
        TRADER,
    ),
    Wallet(
        "A spammed wallet",
        "Asked with three tokens that are on no list: one advertises, one looks honest, one only reverts.",
        SPAMMED,
        ("ethereum",),
        (ADVERT, STRANGER, TRAP),
    ),
    Wallet(
        "A Solana user",
        "Stake, two NFTs, several accounts of one mint, a frozen one, interest, and scaled shares.",
        SOLANA_USER,
    ),
)

type Holdings = Mapping[Slug, Mapping[str, str]]

NATIVE = "native"

TREASURY_HOLDINGS: Holdings = {
    Slug("ethereum"): {
        NATIVE: "1250.5",
        "USDC": "4200000.25",
        "USDT": "1100000",
        "DAI": "900000",
        "WETH": "320",
        "MKR": "150.75",
        "LINK": "40000",
        "WBTC": "41.5",
    },
    Slug("base"): {NATIVE: "12.25", "USDC": "250000"},
    Slug("polygon"): {NATIVE: "80000", "USDC": "75000"},
    Slug("arbitrum"): {NATIVE: "30", "USDC": "600000", "ARB": "3000000"},
}
TRADER_HOLDINGS: Holdings = {
    Slug("ethereum"): {
        NATIVE: "7.318245911",
        "USDC": "18250.11",
        "LINK": "1200",
        "UNI": "640.5",
        "AAVE": "31.25",
        "PEPE": "420690000",
        "SHIB": "8000000",
        "LDO": "0.000000000000000001",
    },
    Slug("base"): {NATIVE: "1.5", "USDC": "3100.4", "AERO": "5000", "DEGEN": "120000"},
    Slug("polygon"): {NATIVE: "950.125", "WETH": "2.75", "AAVE": "4"},
    Slug("arbitrum"): {NATIVE: "0.8", "ARB": "9000", "GMX": "55.5", "WETH": "1.25"},
}
SPAMMED_HOLDINGS: Holdings = {Slug("ethereum"): {NATIVE: "0.42", "USDC": "129.99"}}

PAYMENTS: Sequence[tuple[Slug, str, str, str, str]] = (
    (Slug("ethereum"), TREASURY, TRADER, "USDT", "25000"),
    (Slug("ethereum"), TRADER, EXCHANGE, "LINK", "200"),
    (Slug("ethereum"), TREASURY, SPAMMED, "DAI", "50"),
    (Slug("polygon"), TREASURY, TRADER, "USDC", "1500.5"),
    (Slug("arbitrum"), TREASURY, TRADER, "USDC", "12000"),
    (Slug("arbitrum"), TRADER, EXCHANGE, "ARB", "1000"),
)
"""Network, sender, receiver, symbol, amount."""

_REVERT = bytes.fromhex("600080fd")
_ETHER = 10**18


def tell_stories(networks: Mapping[Slug, LocalNetwork], library: ContractLibrary) -> None:
    """Let everything happen that the wallets' stories say.

    Raises:
        UpstreamError: A transfer failed.
    """
    for slug, network in networks.items():
        for owner, holdings in (
            (TREASURY, TREASURY_HOLDINGS),
            (TRADER, TRADER_HOLDINGS),
            (SPAMMED, SPAMMED_HOLDINGS),
        ):
            _give(network, owner, holdings.get(slug, {}))
        paid = [payment for payment in PAYMENTS if payment[0] == slug]
        transact(network.client, [network.transfer(*payment[1:]) for payment in paid])
    ethereum = networks[Slug("ethereum")].client
    register_names(ethereum, {TREASURY_NAME: TREASURY})
    claim_reverse_names(ethereum, {TREASURY: TREASURY_NAME})
    _send_spam(ethereum, library)


def _give(network: LocalNetwork, owner: Address, holdings: Mapping[str, str]) -> None:
    gifts = [
        network.transfer(DEPLOYER, owner, symbol, amount)
        for symbol, amount in holdings.items()
        if symbol != NATIVE
    ]
    transact(network.client, gifts)
    if NATIVE in holdings:
        network.give_native(owner, holdings[NATIVE])


def _send_spam(client: NodeClient, library: ContractLibrary) -> None:
    """Tokens that the spammed wallet never asked for."""
    place(
        client,
        [
            Placement(ADVERT, library.erc20, ("Visit usdc-gift.example.com to claim", "USDC-GIFT.COM")),
            Placement(STRANGER, library.erc20, ("Neighbourhood Garden", "GARDEN")),
        ],
    )
    set_code(client, {TRAP: _REVERT})
    mint = "mint(address,uint256)"
    transact(
        client,
        [
            Transaction(ADVERT, call_data(mint, SPAMMED, 88_888 * _ETHER)),
            Transaction(STRANGER, call_data(mint, SPAMMED, 12 * _ETHER)),
        ],
    )

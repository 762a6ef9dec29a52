"""A real token for every listed one: with its address, symbol, name and decimals.

==============  ===========================================  ==========================
listed token    contract                                     why this one
==============  ===========================================  ==========================
wrapped native  WETH9                                        it is what is there
MKR             MakerDAO's DSToken                           texts are ``bytes32``
USDT            MakerDAO's Tether                            transfers return nothing
18 decimals     OpenZeppelin's ERC20PresetMinterPauser       the most common code
all others      Circle's FiatTokenV2_2 behind its own proxy  what USDC is
==============  ===========================================  ==========================
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.demo.contracts import (
    DEPLOYER,
    PROXY_ADMIN,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    place,
    transact,
)
from balance_tracker.demo.node_client import Call, NodeClient

USDC_IMPLEMENTATION = "0x43506849D7C04F9138D1A2050bbF3A0c054402dd"
"""Where USDC's implementation is on Ethereum."""

MKR = "0x9f8F72aA9304c8B593d555F12eF6589cC3A579A2"
USDT = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
_MINT_ALLOWANCE = 2**255
_TETHER_SUPPLY = 10**17


class Kind(Enum):
    """Which contract stands for a token."""

    WRAPPED_NATIVE = auto()
    BYTES32_TEXTS = auto()
    NO_RETURN_VALUE = auto()
    PLAIN = auto()
    PROXIED = auto()


@dataclass(frozen=True, slots=True)
class PlacedToken:
    """A token that can be given to owners."""

    address: Address
    kind: Kind

    def given_to(self, owner: str, raw_amount: int) -> tuple[Transaction, ...]:
        """What gives ``owner`` that much of the token, by the token's own rules."""
        match self.kind:
            case Kind.WRAPPED_NATIVE:
                return (
                    Transaction(self.address, call_data("deposit()"), value=raw_amount),
                    self.transfer(DEPLOYER, owner, raw_amount),
                )
            case Kind.NO_RETURN_VALUE:
                return (self.transfer(DEPLOYER, owner, raw_amount),)
            case _:
                return (Transaction(self.address, call_data("mint(address,uint256)", owner, raw_amount)),)

    def transfer(self, sender: str, receiver: str, raw_amount: int) -> Transaction:
        """A transfer between two owners."""
        data = call_data("transfer(address,uint256)", receiver, raw_amount)
        return Transaction(self.address, data, sender)


def place_tokens(
    client: NodeClient, library: ContractLibrary, network: Network, assets: Iterable[Asset]
) -> dict[Address, PlacedToken]:
    """Put a real token at the address of every asset, in a handful of requests.

    Returns:
        What was placed, by contract address.
    """
    listed = {asset.contract_address: asset for asset in assets if asset.contract_address is not None}
    tokens = {address: PlacedToken(address, _kind(network, asset)) for address, asset in listed.items()}
    place(client, library.fiat_token_base(USDC_IMPLEMENTATION))
    place(client, [_placement(library, token, listed[address]) for address, token in tokens.items()])
    transact(
        client, [step for address, token in tokens.items() for step in _first_steps(token, listed[address])]
    )
    client.batch([step for address, token in tokens.items() for step in _texts(token, listed[address])])
    return tokens


def begin_fiat_token(address: str, name: str, symbol: str, decimals: int) -> list[Transaction]:
    """What makes a new proxy of Circle's a token that the deployer issues."""
    start = "initialize(string,string,string,uint8,address,address,address,address)"
    calls = (
        call_data("changeAdmin(address)", PROXY_ADMIN),
        call_data(start, name, symbol, "USD", decimals, *[DEPLOYER] * 4),
        call_data("configureMinter(address,uint256)", DEPLOYER, _MINT_ALLOWANCE),
    )
    return [Transaction(address, data) for data in calls]


def _kind(network: Network, asset: Asset) -> Kind:
    special = {network.wrapped_native: Kind.WRAPPED_NATIVE}
    if network.slug == "ethereum":
        special |= {Address(MKR): Kind.BYTES32_TEXTS, Address(USDT): Kind.NO_RETURN_VALUE}
    usual = Kind.PLAIN if asset.decimals == 18 else Kind.PROXIED
    return special.get(asset.contract_address, usual)


def _placement(library: ContractLibrary, token: PlacedToken, asset: Asset) -> Placement:
    match token.kind:
        case Kind.WRAPPED_NATIVE:
            return Placement(token.address, library.weth)
        case Kind.BYTES32_TEXTS:
            return Placement(token.address, library.ds_token, (_bytes32(asset.symbol),))
        case Kind.NO_RETURN_VALUE:
            return Placement(token.address, library.tether, (_TETHER_SUPPLY,))
        case Kind.PLAIN:
            return Placement(token.address, library.erc20, (asset.name or "", asset.symbol or ""))
        case Kind.PROXIED:
            return Placement(token.address, library.fiat_token_proxy, (USDC_IMPLEMENTATION,))


def _first_steps(token: PlacedToken, asset: Asset) -> Sequence[Transaction]:
    """What is called once after the constructor."""
    if token.kind is Kind.BYTES32_TEXTS:
        return [Transaction(token.address, call_data("setName(bytes32)", _bytes32(asset.name)))]
    if token.kind is Kind.PROXIED:
        return begin_fiat_token(token.address, asset.name or "", asset.symbol or "", asset.decimals or 0)
    return []


def _texts(token: PlacedToken, asset: Asset) -> list[Call]:
    """Listed texts over those that a constructor fixed (name in slot 0, symbol in slot 1)."""
    if token.kind not in {Kind.WRAPPED_NATIVE, Kind.NO_RETURN_VALUE}:
        return []
    texts: list[Any] = [_short_string(asset.name), _short_string(asset.symbol)]
    return [
        ("anvil_setStorageAt", [token.address, f"0x{slot:064x}", text]) for slot, text in enumerate(texts)
    ]


def _bytes32(text: str | None) -> bytes:
    return (text or "").encode()[:32].ljust(32, b"\0")


def _short_string(text: str | None) -> str:
    """A string of at most 31 bytes as Solidity stores it: the text, then twice its length."""
    raw = (text or "").encode()[:31]
    return "0x" + (raw.ljust(31, b"\0") + bytes([2 * len(raw)])).hex()

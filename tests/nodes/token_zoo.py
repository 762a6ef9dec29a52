"""The token zoo: one token for each way in which a token can be hard to read.

``build_zoo(client, library)`` places them on any node. Each :class:`Member` says which outcomes
of ``balanceOf(zoo.owner)`` are right: a value, or a failure code; never both kinds unless
reasonable readers differ (then the preferred one is first).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from tests.nodes.solidity import compile_contracts

from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.demo.contracts import (
    Artifact,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    place,
    set_code,
    transact,
)
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.demo.tokens import begin_fiat_token

SOURCE = Path(__file__).parent / "zoo" / "Zoo.sol"
MINT = "mint(address,uint256)"
GIVE = "give(address,uint256)"
FIAT_IMPLEMENTATION = "fiat_implementation"
CONTROL_SYMBOL = "EV\x00IL\x1b[31m\u202e\nUSD"
LONG_SYMBOL = "LONG" * 1024
ETHER = 10**18

type Outcome = int | FailureCode


@dataclass(frozen=True, slots=True)
class Member:
    """One token: which outcomes are right, and what its contract really answers of itself.

    ``symbol`` and ``token_name`` are the raw texts (``None``: it has none that can be read),
    ``decimals`` is ``None`` where none can be known.
    """

    name: str
    address: Address
    accepts: tuple[Outcome, ...]
    symbol: str | None = "ZOO"
    token_name: str | None = "Zoo Member"
    decimals: int | None = 18

    @property
    def expected(self) -> Outcome:
        """The preferred outcome."""
        return self.accepts[0]

    @property
    def value(self) -> int | None:
        """The preferred raw amount, ``None`` where it is a failure."""
        return None if isinstance(self.expected, FailureCode) else self.expected


@dataclass(frozen=True, slots=True)
class Zoo:
    """The members by name, and the owner who holds them."""

    owner: Address
    stranger: Address
    members: dict[str, Member] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    @property
    def addresses(self) -> list[Address]:
        """The addresses in a fixed order, that of ``members``."""
        return [member.address for member in self.members.values()]

    @property
    def readable(self) -> list[Member]:
        """Those with a value."""
        return [member for member in self.members.values() if member.value is not None]

    @property
    def unreadable(self) -> list[Member]:
        """Those that must fail, each in its own way."""
        return [member for member in self.members.values() if member.value is None]


def zoo_address(name: str) -> Address:
    """An address that depends on the name only."""
    return Address(to_checksum_address(keccak(text=f"token zoo: {name}")[12:]))


OWNER = zoo_address("the owner")
STRANGER = zoo_address("a stranger")


def build_zoo(client: NodeClient, library: ContractLibrary) -> Zoo:
    """Place every member and give its holdings to the zoo's owner."""
    written = compile_contracts(SOURCE)
    _place_real(client, library)
    _place_written(client, written)
    transact(client, _real_holdings() + _written_holdings())
    _charge_fee(client, "fee_on_transfer", fee_bps=10, most=50_000_000)
    transact(client, [_call("fee_on_transfer", "transfer(address,uint256)", OWNER, 1_000_000_000)])
    set_code(client, {zoo_address("eoa"): b""})
    return Zoo(OWNER, STRANGER, {member.name: member for member in _members()})


def _members() -> Sequence[Member]:
    reverted, gas = FailureCode.REVERTED, FailureCode.OUT_OF_GAS
    no_data, malformed = FailureCode.NO_DATA, FailureCode.MALFORMED
    return (
        _member("plain", 5 * ETHER, symbol="PLAIN", token_name="Plain Token"),
        _member("no_return_value", 123_456_789, symbol="USDT", token_name="Tether", decimals=6),
        _member("bytes32_texts", 7 * ETHER, symbol="BYT", token_name="Bytes Thirty-Two"),
        _member("proxy", 42_000_000, symbol="PRX", token_name="Proxied Token", decimals=6),
        _member("zero_decimals", 17, symbol="WHOLE", token_name="Whole Units", decimals=0),
        _member("many_decimals", 3 * 10**36, symbol="FINE", token_name="Fine Units", decimals=36),
        _member("no_decimals", 99, symbol="NODEC", token_name="No Decimals", decimals=None),
        _member("odd_decimals", 98, symbol="ODDDEC", token_name="Decimals Out Of Range", decimals=None),
        _member("fee_on_transfer", 999_000_000, symbol="USDT", token_name="Tether", decimals=6),
        _member("rebasing", 150 * ETHER),
        _member("same_for_everyone", 888 * ETHER),
        _member("only_events", 0),
        _member("heavy", 11 * ETHER),
        _member("control_characters", ETHER, symbol=CONTROL_SYMBOL, token_name="Free \x07 Money"),
        _member("long_symbol", 2 * ETHER, symbol=LONG_SYMBOL, token_name="L" * 4096),
        _member("empty_texts", 4 * ETHER, symbol="", token_name=""),
        _member("blob_texts", 5, symbol=None, token_name=None),
        _member("largest", 2**256 - 1, symbol="MAX", token_name="Everything"),
        _member("reverts", reverted),
        _member("reverts_with_reason", reverted),
        _member("returns_nothing", no_data),
        _member("returns_31_bytes", malformed),
        _member("returns_64_bytes", malformed),
        _member("returns_blob", malformed, gas),
        _member("loops_forever", gas),
        _member("invalid_opcode", reverted, gas),
        _member("erc1155", reverted, symbol=None, token_name=None, decimals=None),
        _member("eoa", FailureCode.NO_CONTRACT, no_data, symbol=None, token_name=None, decimals=None),
    )


def _member(name: str, *accepts: Outcome, **more: Any) -> Member:
    return Member(name, zoo_address(name), accepts, **more)


def _place_real(client: NodeClient, library: ContractLibrary) -> None:
    """Those that are real artifacts."""
    implementation = zoo_address(FIAT_IMPLEMENTATION)
    place(client, library.fiat_token_base(implementation))
    texts = {
        "plain": ("Plain Token", "PLAIN"),
        "control_characters": ("Free \x07 Money", CONTROL_SYMBOL),
        "long_symbol": ("L" * 4096, LONG_SYMBOL),
        "empty_texts": ("", ""),
        "largest": ("Everything", "MAX"),
    }
    proxies = ("proxy", "zero_decimals", "many_decimals")
    place(
        client,
        [
            *(Placement(zoo_address(name), library.erc20, pair) for name, pair in texts.items()),
            *(Placement(zoo_address(name), library.fiat_token_proxy, (implementation,)) for name in proxies),
            Placement(zoo_address("no_return_value"), library.tether, (10**18,)),
            Placement(zoo_address("fee_on_transfer"), library.tether, (10**18,)),
            Placement(zoo_address("bytes32_texts"), library.ds_token, (b"BYT".ljust(32, b"\0"),)),
            Placement(zoo_address("erc1155"), library.erc1155, ("ipfs:zoo",)),
        ],
    )
    transact(
        client,
        [*_begin("proxy", "Proxied Token", "PRX", 6), *_begin("zero_decimals", "Whole Units", "WHOLE", 0)],
    )
    transact(client, _begin("many_decimals", "Fine Units", "FINE", 36))


def _place_written(client: NodeClient, written: dict[str, Artifact]) -> None:
    """Those that no real artifact is bad enough for."""
    names = {
        "no_decimals": "NoDecimals",
        "odd_decimals": "OddDecimals",
        "rebasing": "Rebasing",
        "same_for_everyone": "SameForEveryone",
        "only_events": "OnlyEvents",
        "heavy": "Heavy",
        "blob_texts": "BlobTexts",
        "reverts": "RevertsPlainly",
        "reverts_with_reason": "RevertsWithReason",
        "returns_nothing": "ReturnsNothing",
        "returns_31_bytes": "Returns31Bytes",
        "returns_64_bytes": "Returns64Bytes",
        "returns_blob": "ReturnsBlob",
        "loops_forever": "LoopsForever",
        "invalid_opcode": "InvalidOpcode",
    }
    place(client, [Placement(zoo_address(name), written[contract]) for name, contract in names.items()])


def _begin(name: str, text: str, symbol: str, decimals: int) -> list[Transaction]:
    return begin_fiat_token(zoo_address(name), text, symbol, decimals)


def _real_holdings() -> list[Transaction]:
    minted = {
        "plain": 5 * ETHER,
        "control_characters": ETHER,
        "long_symbol": 2 * ETHER,
        "empty_texts": 4 * ETHER,
        "bytes32_texts": 7 * ETHER,
        "largest": 2**256 - 1,
        "proxy": 42_000_000,
        "zero_decimals": 17,
        "many_decimals": 3 * 10**36,
    }
    return [
        *(_call(name, MINT, OWNER, amount) for name, amount in minted.items()),
        _call("bytes32_texts", "setName(bytes32)", b"Bytes Thirty-Two".ljust(32, b"\0")),
        _call("no_return_value", "transfer(address,uint256)", OWNER, 123_456_789),
        _call("erc1155", "mint(address,uint256,uint256,bytes)", OWNER, 1, 500, b""),
    ]


def _written_holdings() -> list[Transaction]:
    given = {
        "no_decimals": 99,
        "odd_decimals": 98,
        "rebasing": 100 * ETHER,
        "heavy": 11 * ETHER,
        "blob_texts": 5,
    }
    return [
        *(_call(name, GIVE, OWNER, amount) for name, amount in given.items()),
        _call("rebasing", "rebase(uint256)", 3 * ETHER // 2),
        _call("only_events", "announce(address,uint256)", OWNER, ETHER),
    ]


def _charge_fee(client: NodeClient, name: str, fee_bps: int, most: int) -> None:
    """Tether's own fee, which this build has no function to set: slots 7 and 8 of its storage."""
    for slot, number in ((7, fee_bps), (8, most)):
        client.call("anvil_setStorageAt", zoo_address(name), f"0x{slot:064x}", f"0x{number:064x}")


def _call(name: str, signature: str, *arguments: Any) -> Transaction:
    return Transaction(zoo_address(name), call_data(signature, *arguments))

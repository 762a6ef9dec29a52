"""What collections are asked, and their answers read without trusting them.

Sources: ERC-721 and ERC-1155 (https://eips.ethereum.org/EIPS/eip-721, eip-1155), ERC-165 for the
interface ids, ERC721AQueryable (https://chiru-labs.github.io/ERC721A), CryptoPunksMarket
(``0xb47e3cd837dDF8e4c57F05d70Ab865de6e193BBB``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import BALANCE_OF, WORD, address_word, read_address, read_uint
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure, Outcome

OWNER_OF = "6352211e"
OWNED_AT_INDEX = "2f745c59"
TOTAL_SUPPLY = "18160ddd"
SUPPORTS_INTERFACE = "01ffc9a7"
ERC721_URI = "c87b56dd"
ERC1155_URI = "0e89341c"
BALANCE_OF_BATCH = "4e1273f4"
TOKENS_OF_OWNER = "8462151c"
WALLET_OF_OWNER = "438b6300"
TOKENS_OF_OWNER_IN = "99a2557a"
PUNK_INDEX_TO_ADDRESS = "58178168"

ERC1155_INTERFACE = "d9b67a26"

LIST_GAS_UNITS = 60
"""3.9 million gas for a view that loops over a collection; what needs more is asked in stretches."""

URI_GAS_UNITS = 46
"""3 million gas: metadata that is drawn on the chain."""

PROBES = 16
"""Ids of a collection that are asked first, and alone if they take much: each may cost a whole call's gas."""

SPARE_GAS_UNITS = 4
"""262,144 gas for one of many ids: ERC721A looks back through a hundred ids for an owner."""

MOST_LISTED = 10_000
"""Ids that one answer of a contract may list."""


def balance_call(contract: str, owner: str) -> Call:
    """How many tokens of a collection an owner has (ERC-721, and CryptoPunks alike)."""
    return Call(contract, BALANCE_OF + address_word(owner))


def index_call(contract: str, owner: str, index: int) -> Call:
    """The owner's token at a place (ERC-721 Enumerable)."""
    return Call(contract, OWNED_AT_INDEX + address_word(owner) + f"{index:064x}")


def listing_calls(contract: str, owner: str) -> list[Call]:
    """The two usual views that list an owner's tokens at once."""
    word = address_word(owner)
    return [
        Call(contract, selector + word, gas_units=LIST_GAS_UNITS, alone=False)
        for selector in (TOKENS_OF_OWNER, WALLET_OF_OWNER)
    ]


def stretch_call(contract: str, owner: str, start: int, stop: int) -> Call:
    """The owner's tokens from ``start`` up to but without ``stop`` (ERC721AQueryable)."""
    data = f"{TOKENS_OF_OWNER_IN}{address_word(owner)}{start:064x}{stop:064x}"
    return Call(contract, data, gas_units=LIST_GAS_UNITS, alone=False)


def id_call(contract: str, selector: str, token_id: int) -> Call:
    """A view that takes a token id: its owner, its URI."""
    data = selector + f"{token_id:064x}"
    if selector in {ERC721_URI, ERC1155_URI}:
        return Call(contract, data, gas_units=URI_GAS_UNITS, alone=False)
    return Call(contract, data)


def spared(call: Call) -> Call:
    """One of many alike, given up where it takes much: a stranger's contract may make it take all gas."""
    return replace(call, gas_units=SPARE_GAS_UNITS, alone=False)


def supply_call(contract: str) -> Call:
    """How many tokens there are."""
    return Call(contract, TOTAL_SUPPLY)


def interface_call(contract: str, interface: str) -> Call:
    """Whether a contract says that it has an interface (ERC-165)."""
    return Call(contract, SUPPORTS_INTERFACE + interface.ljust(64, "0"))


def batch_call(contract: str, owner: str, token_ids: Sequence[int]) -> Call:
    """The owner's amounts of several ids (ERC-1155)."""
    count = len(token_ids)
    owners = address_word(owner) * count
    ids = "".join(f"{token_id:064x}" for token_id in token_ids)
    second = 2 * WORD + WORD + count * WORD
    data = f"{BALANCE_OF_BATCH}{2 * WORD:064x}{second:064x}{count:064x}{owners}{count:064x}{ids}"
    return Call(contract, data, gas_units=max(8, count // 4))


def uint_of(outcome: Outcome) -> int | None:
    """One unsigned word, or ``None`` for anything else."""
    return read_uint(outcome) if isinstance(outcome, bytes) else None


def address_of(outcome: Outcome) -> str | None:
    """One address in lower case, or ``None`` for anything else."""
    return read_address(outcome) if isinstance(outcome, bytes) else None


def took_all(outcomes: Iterable[Outcome]) -> bool:
    """Whether any of the calls took all its gas."""
    return any(isinstance(one, CallFailure) and one.code is FailureCode.OUT_OF_GAS for one in outcomes)


def is_true(outcome: Outcome) -> bool:
    """Whether a view answered ``true``."""
    return uint_of(outcome) == 1


def uints_of(outcome: Outcome, most: int = MOST_LISTED) -> list[int] | None:
    """A list of unsigned words of at most ``most``; ``None`` if it is not exactly that."""
    if not isinstance(outcome, bytes) or len(outcome) < 2 * WORD:
        return None
    count = int.from_bytes(outcome[WORD : 2 * WORD])
    if int.from_bytes(outcome[:WORD]) != WORD or count > most or len(outcome) != (2 + count) * WORD:
        return None
    return words_of(outcome[2 * WORD :])


def words_of(data: bytes) -> list[int]:
    """The whole words that data begins with."""
    return [int.from_bytes(data[at : at + WORD]) for at in range(0, len(data) - WORD + 1, WORD)]


def distinct(token_ids: Iterable[int | None]) -> list[int]:
    """The ids that are there, each once, in their order."""
    return list(dict.fromkeys(one for one in token_ids if one is not None))

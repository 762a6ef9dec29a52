"""Non-fungible tokens that a wallet holds: plain values, all of one block."""

from dataclasses import dataclass
from typing import Any, Literal

from balance_tracker.core.ids import Address, Slug

MOST_URI_BYTES = 256 * 1024
"""What is longer is no metadata URI that anybody follows, and is not handed on."""

NftStandard = Literal["erc721", "erc1155", "cryptopunks", "metaplex", "token2022"]


@dataclass(frozen=True, slots=True)
class Collection:
    """A contract of non-fungible tokens that is asked.

    Attributes:
        since_block: Where its events begin, if known.
    """

    network: Slug
    contract_address: Address
    standard: NftStandard
    name: str | None
    symbol: str | None = None
    since_block: int = 0
    trust: Literal["verified", "listed", "unknown"] = "verified"


@dataclass(frozen=True, slots=True)
class NftId:
    """One token of a collection; ``amount`` is 1 but for ERC-1155.

    ``metadata`` is what its URI holds, where that was in the URI itself (``data:``) or asked for.
    """

    token_id: str
    amount: int
    metadata_uri: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NftHolding:
    """What a wallet holds of one collection.

    Attributes:
        balance: How many by the contract's own word; ``None`` where it does not tell (ERC-1155).
        ids_complete: Whether ``token_ids`` is all of them; ``ids_note`` says why not, and which
            blocks were looked through.
        extra: What the standard adds (Metaplex: ``verified``, ``collection``).
    """

    collection: Collection
    balance: int | None
    token_ids: tuple[NftId, ...]
    ids_complete: bool
    ids_note: str | None = None
    extra: tuple[tuple[str, str], ...] = ()

"""The shapes of ``/nfts``, for the specification; ``serialise_nfts`` writes them."""

from typing import Any, Literal

from pydantic import Field

from balance_tracker.api.schemas import Coverage, Shape


class FailedCollection(Shape):
    """A collection that is not known."""

    contract_address: str | None
    code: str
    reason: str


class UnsearchedCollection(Shape):
    """A collection whose tokens stand in events only, which nobody looked through."""

    contract_address: str
    name: str | None
    standard: Literal["erc1155"]


class CollectionCounts(Shape):
    """`asked` is `answered` plus the number failed; what is in `not_searched` was not asked."""

    asked: int
    answered: int
    failed: list[FailedCollection]
    not_searched: list[UnsearchedCollection] = Field(
        description=(
            "Whether the wallet has any of these is not known. `/portfolio?nfts=search` and `/nfts` look for "
            "them."
        )
    )


class NftId(Shape):
    """One token of a collection."""

    token_id: str = Field(description="A number in decimal; on Solana the mint.")
    amount: str = Field(pattern=r"^[0-9]+$", description="1 but for ERC-1155.")
    metadata_uri: str | None = Field(description="As the contract gives it; null where it gives none.")
    metadata: dict[str, Any] = Field(
        default_factory=dict,
        description=(
            "What the URI holds (`data:`), or what it points to if `metadata=true`. Left out where it is not "
            "known. It is a stranger's text: show it as such."
        ),
    )


class NftCollection(Shape):
    """What an address holds of a collection, with the ids that are on this page."""

    network: str
    contract_address: str = Field(description="On Solana the collection's mint, or the token's own.")
    standard: Literal["erc721", "erc1155", "cryptopunks", "metaplex", "token2022"]
    name: str | None
    symbol: str | None
    trust: Literal["verified", "listed", "unknown"]
    balance: int | None = Field(
        description="By the contract's own word; null where it tells none (ERC-1155)."
    )
    token_ids: list[NftId]
    ids_complete: bool = Field(description="Whether all pages together have every id.")
    ids_note: str | None = Field(description="Why not, and which blocks were looked through.")
    details: dict[str, str] = Field(description="What the standard adds, such as `verified` on Solana.")


class NftCoverage(Coverage):
    """What one network was asked, with its collections."""

    collections: CollectionCounts


class Nfts(Shape):
    """What an address holds of collections, one page of it."""

    address: str
    name: str | None
    collections: list[NftCollection]
    coverage: list[NftCoverage]
    complete: bool = Field(description="Whether every network asked is `ok`.")
    next_cursor: str | None = Field(description="Of the next page; null on the last one.")

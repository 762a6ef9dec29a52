"""What a reading of a network holds besides balances."""

from dataclasses import dataclass

from balance_tracker.core.nfts import Collection


@dataclass(frozen=True, slots=True)
class Include:
    """What is read at the block of the balances, and mostly in the same request.

    Attributes:
        protocols: Slugs; a network reads those of them that it has.
        collections: The collections to ask. On Solana, where what a wallet has is found and not asked,
            they only name what is found.
        most_ids: How many token ids are read of each collection.
        nfts: Whether Solana tells the non-fungible tokens that it finds.
    """

    protocols: frozenset[str] = frozenset()
    collections: tuple[Collection, ...] = ()
    most_ids: int = 100
    nfts: bool = False

    def __bool__(self) -> bool:
        return bool(self.protocols or self.collections or self.nfts)


BALANCES_ONLY = Include()

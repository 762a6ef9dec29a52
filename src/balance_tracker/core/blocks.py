"""The block that an answer is true at, and the block that a caller asks for."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class BlockRef:
    """One block: its number (Solana: slot), its hash if known, its time in Unix seconds."""

    number: int
    hash: str | None
    timestamp: int

    @property
    def as_of(self) -> datetime:
        """The block's own time, in UTC."""
        return datetime.fromtimestamp(self.timestamp, UTC)


type At = int | datetime | None
"""``None``: the latest block; an int: that block; a time: the last block at or before it."""

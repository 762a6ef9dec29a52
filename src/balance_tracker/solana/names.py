"""What mints that no list has call themselves, remembered for a while.

A name is decoration by strangers: cleaned, cut and never the reason of a failure.
"""

from collections import OrderedDict
from dataclasses import dataclass

from balance_tracker.core.text import clean_text
from balance_tracker.solana.binary import LayoutError
from balance_tracker.solana.layouts import MintState
from balance_tracker.solana.metadata import MintMetadata, decode_metaplex
from balance_tracker.solana.programs import METAPLEX_METADATA_PROGRAM
from balance_tracker.solana.replies import Account, Item

MOST_NAMES = 10_000
MOST_SYMBOL_CHARACTERS = 64
MOST_NAME_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Name:
    """Symbol and name of a mint, cleaned; ``None`` where it has none."""

    symbol: str | None
    name: str | None


UNNAMED = Name(None, None)


class Names:
    """Names by mint; the longest unused goes first when there are too many."""

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._most = most
        self._names: OrderedDict[str, Name] = OrderedDict()

    def knows(self, mint: str) -> bool:
        """Whether the mint's name needs no asking."""
        return mint in self._names

    def of(self, mint: str, state: MintState | None, metaplex: Item) -> Name:
        """The mint's name: its own metadata, else its Metaplex account, else what is remembered."""
        found = _own(mint, state) or _metaplex(mint, metaplex)
        if found is None:
            return self._names.get(mint, UNNAMED)
        name = Name(
            clean_text(found.symbol, MOST_SYMBOL_CHARACTERS) or None,
            clean_text(found.name, MOST_NAME_CHARACTERS) or None,
        )
        self._remember(mint, name)
        return name

    def _remember(self, mint: str, name: Name) -> None:
        self._names[mint] = name
        self._names.move_to_end(mint)
        while len(self._names) > self._most:
            self._names.popitem(last=False)


def _own(mint: str, state: MintState | None) -> MintMetadata | None:
    """Metadata inside the mint, believed where the mint itself points to it."""
    if state is None or state.metadata is None:
        return None
    return state.metadata if state.metadata_address == mint == state.metadata.mint else None


def _metaplex(mint: str, item: Item) -> MintMetadata | None:
    if not isinstance(item, Account) or item.program != METAPLEX_METADATA_PROGRAM:
        return None
    try:
        metadata = decode_metaplex(item.data)
    except LayoutError:
        return None
    return metadata if metadata.mint == mint else None

"""What a mint is called: the Token-2022 metadata extension and Metaplex metadata accounts.

Sources: ``spl_token_metadata_interface::state::TokenMetadata`` (Borsh inside the
mint) and ``mpl_token_metadata::accounts::Metadata`` (607 or 679 bytes, texts padded
with NULs to 32, 10 and 200 bytes).
"""

from dataclasses import dataclass

from balance_tracker.core.ids import Address
from balance_tracker.solana.binary import Bytes, LayoutError

METAPLEX_KEY = 4
"""First byte of a ``MetadataV1`` account."""

_METAPLEX_NAME_BYTES, _METAPLEX_SYMBOL_BYTES, _METAPLEX_URI_BYTES = 32, 10, 200
_LONGEST_TLV_BYTES = 65_535
_MOST_CREATORS = 100
_CREATOR_BYTES = 34

TOKEN_STANDARDS = (
    "non_fungible",
    "fungible_asset",
    "fungible",
    "non_fungible_edition",
    "programmable_non_fungible",
    "programmable_non_fungible_edition",
)
"""Metaplex's kinds of tokens, in the order of their numbers."""


@dataclass(frozen=True, slots=True)
class MintMetadata:
    """Name and symbol as their authority wrote them: unchecked and not yet cleaned."""

    mint: Address
    name: str
    symbol: str
    uri: str


@dataclass(frozen=True, slots=True)
class MetaplexMetadata:
    """A whole Metaplex metadata account.

    Attributes:
        names: Name, symbol and URI.
        token_standard: One of :data:`TOKEN_STANDARDS`; ``None`` where the account is older than that.
        collection: The mint of the collection that it claims to be of.
        verified: Whether that collection's authority has signed it; unsigned claims mean nothing.
    """

    names: MintMetadata
    token_standard: str | None = None
    collection: Address | None = None
    verified: bool = False


def decode_token_metadata(data: bytes) -> MintMetadata:
    """Metadata from the value of a mint's ``TokenMetadata`` extension.

    Raises:
        LayoutError: The bytes are something else.
    """
    reader = Bytes(data, "token metadata")
    reader.address_or_zeros()
    metadata = MintMetadata(
        mint=reader.address(),
        name=reader.text(_LONGEST_TLV_BYTES),
        symbol=reader.text(_LONGEST_TLV_BYTES),
        uri=reader.text(_LONGEST_TLV_BYTES),
    )
    for _ in range(2 * reader.u32()):
        reader.text(_LONGEST_TLV_BYTES)
    return metadata


def decode_metaplex(data: bytes) -> MintMetadata:
    """Name, symbol and URI from a Metaplex metadata account.

    Raises:
        LayoutError: The bytes are something else.
    """
    return _names(Bytes(data, "Metaplex metadata"))


def decode_whole_metaplex(data: bytes) -> MetaplexMetadata:
    """A Metaplex metadata account with its collection; what an older one has not is not known.

    Raises:
        LayoutError: The bytes are something else.
    """
    reader = Bytes(data, "Metaplex metadata")
    names = _names(reader)
    try:
        return _with_collection(reader, names)
    except LayoutError:
        # Accounts of the first version end earlier, and some were resized with what is no option.
        return MetaplexMetadata(names)


def _with_collection(reader: Bytes, names: MintMetadata) -> MetaplexMetadata:
    reader.u16()
    if reader.flag():
        creators = reader.u32()
        if creators > _MOST_CREATORS:
            raise LayoutError(f"The Metaplex metadata claims {creators} creators.")
        reader.take(creators * _CREATOR_BYTES)
    reader.flag()
    reader.flag()
    if reader.flag():
        reader.u8()
    number = reader.u8() if reader.flag() else None
    standard = None if number is None or number >= len(TOKEN_STANDARDS) else TOKEN_STANDARDS[number]
    if not reader.flag():
        return MetaplexMetadata(names, standard)
    verified = reader.flag()
    return MetaplexMetadata(names, standard, reader.address(), verified)


def _names(reader: Bytes) -> MintMetadata:
    if reader.u8() != METAPLEX_KEY:
        raise LayoutError("The account is no Metaplex metadata: its first byte is another.")
    reader.address()
    return MintMetadata(
        mint=reader.address(),
        name=reader.text(_METAPLEX_NAME_BYTES),
        symbol=reader.text(_METAPLEX_SYMBOL_BYTES),
        uri=reader.text(_METAPLEX_URI_BYTES),
    )

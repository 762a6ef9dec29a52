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


@dataclass(frozen=True, slots=True)
class MintMetadata:
    """Name and symbol as their authority wrote them: unchecked and not yet cleaned."""

    mint: Address
    name: str
    symbol: str
    uri: str


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
    """Metadata from a Metaplex metadata account.

    Raises:
        LayoutError: The bytes are something else.
    """
    reader = Bytes(data, "Metaplex metadata")
    if reader.u8() != METAPLEX_KEY:
        raise LayoutError("The account is no Metaplex metadata: its first byte is another.")
    reader.address()
    return MintMetadata(
        mint=reader.address(),
        name=reader.text(_METAPLEX_NAME_BYTES),
        symbol=reader.text(_METAPLEX_SYMBOL_BYTES),
        uri=reader.text(_METAPLEX_URI_BYTES),
    )

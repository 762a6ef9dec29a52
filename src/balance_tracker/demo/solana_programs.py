"""Instructions of the Solana programs that the demo bank runs.

Sources: ``spl_token_interface::instruction``, ``spl_token_2022_interface::instruction`` and its
extensions (first byte, then little-endian arguments), ``spl_token_metadata_interface``
(first 8 bytes of a SHA-256), ``spl_associated_token_account``.
"""

import hashlib
import struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

SYSTEM = Pubkey.from_string("11111111111111111111111111111111")
TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_TOKEN = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
METAPLEX_METADATA = Pubkey.from_string("metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s")
MARINADE = Pubkey.from_string("MarBmsSgKXdrN1egZf5sqe1TMai9K1rChYNDJgjq7aD")
MARINADE_STATE = Pubkey.from_string("8szGkuLTAux9XMgZ2vtY39jVSowEcpBfFfD8hXSEqdGC")
WRAPPED_SOL = Pubkey.from_string("So11111111111111111111111111111111111111112")

_MARINADE_STATE_BYTES, _MARINADE_ACTIVE_AT, _MARINADE_SUPPLY_AT = 638, 376, 504


def initialize_mint(program: Pubkey, mint: Pubkey, decimals: int, authority: Pubkey) -> Instruction:
    """``InitializeMint2`` with one authority for minting and freezing."""
    data = bytes([20, decimals]) + bytes(authority) + b"\x01" + bytes(authority)
    return Instruction(program, data, [_written(mint)])


def initialize_account(program: Pubkey, account: Pubkey, mint: Pubkey, owner: Pubkey) -> Instruction:
    """``InitializeAccount3``: a token account at an address of its own."""
    return Instruction(program, bytes([18]) + bytes(owner), [_written(account), _read(mint)])


def open_associated(program: Pubkey, mint: Pubkey, owner: Pubkey, payer: Pubkey) -> Instruction:
    """``CreateIdempotent`` of the associated token program."""
    accounts = [
        AccountMeta(payer, is_signer=True, is_writable=True),
        _written(associated_address(program, mint, owner)),
        _read(owner),
        _read(mint),
        _read(SYSTEM),
        _read(program),
    ]
    return Instruction(ASSOCIATED_TOKEN, b"\x01", accounts)


def associated_address(program: Pubkey, mint: Pubkey, owner: Pubkey) -> Pubkey:
    """The owner's usual token account of a mint."""
    return Pubkey.find_program_address([bytes(owner), bytes(program), bytes(mint)], ASSOCIATED_TOKEN)[0]


def mint_to(program: Pubkey, mint: Pubkey, account: Pubkey, authority: Pubkey, raw: int) -> Instruction:
    """``MintTo``."""
    data = struct.pack("<BQ", 7, raw)
    return Instruction(program, data, [_written(mint), _written(account), _signed(authority)])


def transfer_checked(
    program: Pubkey, source: Pubkey, mint: Pubkey, target: Pubkey, owner: Pubkey, *, raw: int, decimals: int
) -> Instruction:
    """``TransferChecked``; Token-2022 withholds the mint's fee in the target."""
    data = struct.pack("<BQB", 12, raw, decimals)
    return Instruction(program, data, [_written(source), _read(mint), _written(target), _signed(owner)])


def approve(program: Pubkey, account: Pubkey, delegate: Pubkey, owner: Pubkey, raw: int) -> Instruction:
    """``Approve``: a delegate may move this much."""
    data = struct.pack("<BQ", 4, raw)
    return Instruction(program, data, [_written(account), _read(delegate), _signed(owner)])


def burn(program: Pubkey, account: Pubkey, mint: Pubkey, owner: Pubkey, raw: int) -> Instruction:
    """``Burn``."""
    data = struct.pack("<BQ", 8, raw)
    return Instruction(program, data, [_written(account), _written(mint), _signed(owner)])


def freeze(program: Pubkey, account: Pubkey, mint: Pubkey, authority: Pubkey) -> Instruction:
    """``FreezeAccount``."""
    return Instruction(program, bytes([10]), [_written(account), _read(mint), _signed(authority)])


def close(program: Pubkey, account: Pubkey, lamports_to: Pubkey, authority: Pubkey) -> Instruction:
    """``CloseAccount``: of an empty token account, or of a Token-2022 mint without supply."""
    return Instruction(program, bytes([9]), [_written(account), _written(lamports_to), _signed(authority)])


def set_owner(program: Pubkey, account: Pubkey, owner: Pubkey, new_owner: Pubkey) -> Instruction:
    """``SetAuthority`` of kind ``AccountOwner``: gives the token account away."""
    data = bytes([6, 2, 1]) + bytes(new_owner)
    return Instruction(program, data, [_written(account), _signed(owner)])


def sync_native(account: Pubkey) -> Instruction:
    """``SyncNative``: the lamports sent to a wrapped SOL account become its tokens."""
    return Instruction(TOKEN, bytes([17]), [_written(account)])


def amount_to_ui_amount(program: Pubkey, mint: Pubkey, raw: int) -> Instruction:
    """``AmountToUiAmount``: the program returns the text that it shows for a raw amount."""
    return Instruction(program, struct.pack("<BQ", 23, raw), [_read(mint)])


def account_size(program: Pubkey, mint: Pubkey) -> Instruction:
    """``GetAccountDataSize``: the program returns how many bytes an account of the mint needs."""
    return Instruction(program, bytes([21]), [_read(mint)])


def close_authority(mint: Pubkey, authority: Pubkey) -> Instruction:
    """``InitializeMintCloseAuthority``."""
    return Instruction(TOKEN_2022, bytes([25, 1]) + bytes(authority), [_written(mint)])


def transfer_fee(mint: Pubkey, authority: Pubkey, fee_bps: int, most_raw: int) -> Instruction:
    """``InitializeTransferFeeConfig``."""
    who = b"\x01" + bytes(authority)
    data = bytes([26, 0]) + who + who + struct.pack("<HQ", fee_bps, most_raw)
    return Instruction(TOKEN_2022, data, [_written(mint)])


def interest_bearing(mint: Pubkey, authority: Pubkey, rate_bps: int) -> Instruction:
    """``InterestBearingMint::Initialize``."""
    return Instruction(
        TOKEN_2022, bytes([33, 0]) + bytes(authority) + struct.pack("<h", rate_bps), [_written(mint)]
    )


def update_rate(mint: Pubkey, authority: Pubkey, rate_bps: int) -> Instruction:
    """``InterestBearingMint::UpdateRate``."""
    return Instruction(
        TOKEN_2022, bytes([33, 1]) + struct.pack("<h", rate_bps), [_written(mint), _signed(authority)]
    )


def permanent_delegate(mint: Pubkey, delegate: Pubkey) -> Instruction:
    """``InitializePermanentDelegate``."""
    return Instruction(TOKEN_2022, bytes([35]) + bytes(delegate), [_written(mint)])


def scaled_ui_amount(mint: Pubkey, authority: Pubkey, multiplier: float) -> Instruction:
    """``ScaledUiAmountMint::Initialize``."""
    return Instruction(
        TOKEN_2022, bytes([43, 0]) + bytes(authority) + struct.pack("<d", multiplier), [_written(mint)]
    )


def update_multiplier(mint: Pubkey, authority: Pubkey, multiplier: float, effective_at: int) -> Instruction:
    """``ScaledUiAmountMint::UpdateMultiplier``: the new factor counts from a Unix time on."""
    return Instruction(
        TOKEN_2022,
        bytes([43, 1]) + struct.pack("<dq", multiplier, effective_at),
        [_written(mint), _signed(authority)],
    )


def metadata_pointer(mint: Pubkey, authority: Pubkey) -> Instruction:
    """``MetadataPointer::Initialize``: the mint holds its own metadata."""
    return Instruction(TOKEN_2022, bytes([39, 0]) + bytes(authority) + bytes(mint), [_written(mint)])


def token_metadata(mint: Pubkey, authority: Pubkey, name: str, symbol: str, uri: str) -> Instruction:
    """``spl_token_metadata_interface`` ``Initialize``, which writes into the mint."""
    kind = hashlib.sha256(b"spl_token_metadata_interface:initialize_account").digest()[:8]
    texts = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in (name, symbol, uri))
    accounts = [_written(mint), _read(authority), _read(mint), _signed(authority)]
    return Instruction(TOKEN_2022, kind + texts, accounts)


def metaplex_address(mint: Pubkey) -> Pubkey:
    """Where Metaplex keeps the metadata of a mint."""
    seeds = [b"metadata", bytes(METAPLEX_METADATA), bytes(mint)]
    return Pubkey.find_program_address(seeds, METAPLEX_METADATA)[0]


def metaplex_metadata(mint: Pubkey, authority: Pubkey, name: str, symbol: str, uri: str) -> bytes:
    """The 679 bytes of a Metaplex metadata account, its texts padded with NULs.

    The Metaplex program is not in the bank: these bytes are set, not computed by it.
    """
    texts = b"".join(
        struct.pack("<I", size) + text.encode().ljust(size, b"\0")
        for text, size in ((name, 32), (symbol, 10), (uri, 200))
    )
    return (bytes([4]) + bytes(authority) + bytes(mint) + texts).ljust(679, b"\0")


def marinade_state(mint: Pubkey, *, active: int, supply: int) -> bytes:
    """The 638 bytes of Marinade's state, of which only the staked lamports and the mSOL are not zero.

    The Marinade program is not in the bank: these bytes are set, not computed by it.
    """
    data = bytearray(_MARINADE_STATE_BYTES)
    data[:8] = hashlib.sha256(b"account:State").digest()[:8]
    data[8:40] = bytes(mint)
    struct.pack_into("<Q", data, _MARINADE_ACTIVE_AT, active)
    struct.pack_into("<Q", data, _MARINADE_SUPPLY_AT, supply)
    return bytes(data)


def _read(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=False, is_writable=False)


def _written(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=False, is_writable=True)


def _signed(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=True, is_writable=False)

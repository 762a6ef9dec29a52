"""Mints and token accounts on the demo bank, each made by the real token programs."""

from dataclasses import dataclass

from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from balance_tracker.demo import solana_programs as programs
from balance_tracker.demo.solana_bank import SolanaBank
from balance_tracker.demo.solana_programs import TOKEN, TOKEN_2022, WRAPPED_SOL

_MINT_BYTES = 82
_EXTENDED_MINT_BYTES = 166
_ENTRY_BYTES = 4


@dataclass(frozen=True, slots=True)
class Extras:
    """What a Token-2022 mint has beyond the base; times and rates as their extensions have them."""

    interest_bps: int | None = None
    multiplier: float | None = None
    fee_bps: int | None = None
    closable: bool = False
    permanent_delegate: bool = False
    name: str | None = None
    symbol: str = ""


class BankTokens:
    """Makes mints and accounts; the bank's authority may mint, freeze and close."""

    def __init__(self, bank: SolanaBank) -> None:
        self._bank = bank

    def create_mint(
        self,
        decimals: int,
        *,
        address: Pubkey | None = None,
        program: Pubkey = TOKEN,
        extras: Extras | None = None,
    ) -> Pubkey:
        """Make a mint at an address or at a new one; ``extras`` make it one of Token-2022."""
        mint = address or Pubkey.new_unique()
        bank, authority = self._bank, self._bank.authority
        program = TOKEN_2022 if extras is not None else program
        size, setup = _extensions(mint, authority, extras or Extras())
        named = _name(mint, authority, extras or Extras())
        bank.send(
            bank.make_account(mint, size, program, spare_bytes=1024 if named else 0),
            *setup,
            programs.initialize_mint(program, mint, decimals, authority),
            *named,
        )
        return mint

    def open_account(self, mint: Pubkey, owner: Pubkey) -> Pubkey:
        """The owner's associated token account of a mint, made if it is not there."""
        program = self._bank.program_of(mint)
        self._bank.send(programs.open_associated(program, mint, owner, self._bank.authority))
        return programs.associated_address(program, mint, owner)

    def open_extra_account(self, mint: Pubkey, owner: Pubkey, *, address: Pubkey | None = None) -> Pubkey:
        """One more token account of a mint, at an address of its own."""
        program = self._bank.program_of(mint)
        size = int.from_bytes(self._bank.ask_program(programs.account_size(program, mint)), "little")
        account = address or Pubkey.new_unique()
        self._bank.send(
            self._bank.make_account(account, size, program),
            programs.initialize_account(program, account, mint, owner),
        )
        return account

    def give(self, mint: Pubkey, owner: Pubkey, raw_amount: int) -> Pubkey:
        """Mint tokens into the owner's associated account; returns the account."""
        account = self.open_account(mint, owner)
        self.mint_to(mint, account, raw_amount)
        return account

    def mint_to(self, mint: Pubkey, account: Pubkey, raw_amount: int) -> None:
        """Mint tokens into an account."""
        program = self._bank.program_of(mint)
        self._bank.send(programs.mint_to(program, mint, account, self._bank.authority, raw_amount))

    def freeze(self, mint: Pubkey, account: Pubkey) -> None:
        """Freeze an account: its owner keeps the tokens but can't move them."""
        program = self._bank.program_of(mint)
        self._bank.send(programs.freeze(program, account, mint, self._bank.authority))

    def wrap_sol(self, owner: Pubkey, lamports: int) -> Pubkey:
        """Give the owner wrapped SOL, as a wallet makes it: lamports sent, then synchronised."""
        if self._bank.svm.get_account(WRAPPED_SOL) is None:
            self.create_mint(9, address=WRAPPED_SOL)
        account = self.open_account(WRAPPED_SOL, owner)
        sent = TransferParams(from_pubkey=self._bank.authority, to_pubkey=account, lamports=lamports)
        self._bank.send(transfer(sent), programs.sync_native(account))
        return account

    def create_nft(self, owner: Pubkey, name: str, symbol: str, *, address: Pubkey | None = None) -> Pubkey:
        """A mint of supply 1 without decimals and with Metaplex metadata, held by the owner."""
        mint = self.create_mint(0, address=address)
        self.give(mint, owner, 1)
        self.set_metaplex(mint, name, symbol)
        return mint

    def set_metaplex(self, mint: Pubkey, name: str, symbol: str) -> None:
        """Name a mint by a Metaplex metadata account."""
        data = programs.metaplex_metadata(mint, self._bank.authority, name, symbol, "")
        self._bank.set_bytes(programs.metaplex_address(mint), data, programs.METAPLEX_METADATA)

    def close_mint(self, mint: Pubkey) -> None:
        """Close a Token-2022 mint without supply; empty accounts of it stay."""
        authority = self._bank.authority
        self._bank.send(programs.close(TOKEN_2022, mint, authority, authority))


def _extensions(mint: Pubkey, authority: Pubkey, extras: Extras) -> tuple[int, list[Instruction]]:
    """The mint's size without its name, and the instructions that come before the mint's own."""
    wanted = [
        (32, programs.close_authority(mint, authority)) if extras.closable else None,
        (108, programs.transfer_fee(mint, authority, extras.fee_bps, 2**63))
        if extras.fee_bps is not None
        else None,
        (52, programs.interest_bearing(mint, authority, extras.interest_bps))
        if extras.interest_bps is not None
        else None,
        (56, programs.scaled_ui_amount(mint, authority, extras.multiplier))
        if extras.multiplier is not None
        else None,
        (32, programs.permanent_delegate(mint, authority)) if extras.permanent_delegate else None,
        (64, programs.metadata_pointer(mint, authority)) if extras.name is not None else None,
    ]
    chosen = [one for one in wanted if one is not None]
    size = _EXTENDED_MINT_BYTES + sum(_ENTRY_BYTES + length for length, _ in chosen)
    return (size if chosen else _MINT_BYTES), [instruction for _, instruction in chosen]


def _name(mint: Pubkey, authority: Pubkey, extras: Extras) -> list[Instruction]:
    if extras.name is None:
        return []
    return [programs.token_metadata(mint, authority, extras.name, extras.symbol, "")]

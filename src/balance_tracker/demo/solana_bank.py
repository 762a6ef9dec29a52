"""A real Solana bank on this machine: LiteSVM with the real programs, behind JSON-RPC over HTTP.

State is made by transactions of the real Token and Token-2022 programs. Signatures
are not checked, so that mints can be made at their mainnet addresses.
"""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from solders.account import Account
from solders.instruction import Instruction
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import CreateAccountParams, TransferParams, create_account, transfer
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from balance_tracker.demo import solana_programs as programs
from balance_tracker.demo.solana_rpc import BankLimits, BankRpc
from balance_tracker.demo.solana_rpc_server import RpcServer

MAINNET_GENESIS_HASH = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"
LAMPORTS_PER_SOL = 1_000_000_000
SECONDS_PER_SLOT = 0.4


class TransactionFailedError(Exception):
    """The bank refused a transaction; the message has the program's log."""


class SolanaBank:
    """A bank and its endpoint; ``async with SolanaBank() as bank`` serves ``bank.url``."""

    def __init__(
        self,
        *,
        slot: int = 435_888_000,
        unix_timestamp: int = 1_795_000_000,
        genesis_hash: str = MAINNET_GENESIS_HASH,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.svm = LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
        self.genesis_hash = genesis_hash
        self.limits = BankLimits()
        self.authority = Pubkey.from_bytes(b"authority of the demo bank mints")
        self._first_time = unix_timestamp
        self._first_slot = slot
        self.set_time(slot, unix_timestamp)
        self.svm.airdrop(self.authority, 100_000 * LAMPORTS_PER_SOL)
        self.rpc = BankRpc(self)
        self._server = RpcServer(self.rpc, host, port)

    @property
    def url(self) -> str:
        """The endpoint's URL, once it serves."""
        return self._server.url

    @property
    def requests(self) -> int:
        """HTTP requests received so far."""
        return self._server.requests

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.close()

    @property
    def slot(self) -> int:
        """The slot of the bank's clock."""
        return self.svm.get_clock().slot

    @property
    def unix_timestamp(self) -> int:
        """The bank's time in Unix seconds."""
        return self.svm.get_clock().unix_timestamp

    def set_time(self, slot: int, unix_timestamp: int) -> None:
        """Set the clock sysvar."""
        clock = self.svm.get_clock()
        clock.slot, clock.unix_timestamp = slot, unix_timestamp
        self.svm.set_clock(clock)

    def advance(self, slots: int, seconds: int | None = None) -> None:
        """Let slots pass; without ``seconds`` at 0.4 s each."""
        passed = round(slots * SECONDS_PER_SLOT) if seconds is None else seconds
        self.set_time(self.slot + slots, self.unix_timestamp + passed)

    def follow_the_clock(self) -> None:
        """From now on, every call finds the bank at the time of this machine, a slot each 0.4 s."""
        slot, started = self.slot, self.unix_timestamp

        def tick(_method: str, _number: int) -> None:
            now = max(int(time.time()), started)
            self.set_time(slot + int((now - started) / SECONDS_PER_SLOT), now)

        self.limits.before_call = tick

    def block_time(self, slot: int) -> int:
        """The time of a slot by the pace of 0.4 s, in Unix seconds."""
        if slot == self.slot:
            return self.unix_timestamp
        return self._first_time + round((slot - self._first_slot) * SECONDS_PER_SLOT)

    def send(self, *instructions: Instruction) -> TransactionMetadata:
        """Run a transaction, paid by the bank's authority.

        Raises:
            TransactionFailedError: A program refused it.
        """
        outcome = self.svm.send_transaction(self._transaction(instructions))
        if isinstance(outcome, FailedTransactionMetadata):
            log = "\n".join(outcome.meta().logs())
            raise TransactionFailedError(f"{outcome.err()}\n{log}")
        return outcome

    def ask_program(self, instruction: Instruction) -> bytes:
        """What a program returns for an instruction that changes nothing.

        Raises:
            TransactionFailedError: The program refused it.
        """
        outcome = self.svm.simulate_transaction(self._transaction([instruction]))
        if isinstance(outcome, FailedTransactionMetadata):
            raise TransactionFailedError(str(outcome.err()))
        return bytes(outcome.meta().return_data().data)

    def give_sol(self, owner: Pubkey, lamports: int) -> None:
        """Send lamports to an address."""
        self.send(transfer(TransferParams(from_pubkey=self.authority, to_pubkey=owner, lamports=lamports)))

    def make_account(
        self, address: Pubkey, size_bytes: int, program: Pubkey, spare_bytes: int = 0
    ) -> Instruction:
        """The instruction that makes an account of a program, with rent for growing by ``spare_bytes``."""
        return create_account(
            CreateAccountParams(
                from_pubkey=self.authority,
                to_pubkey=address,
                lamports=self.svm.minimum_balance_for_rent_exemption(size_bytes + spare_bytes),
                space=size_bytes,
                owner=program,
            )
        )

    def set_bytes(self, address: Pubkey, data: bytes, program: Pubkey) -> None:
        """Set an account's bytes directly: for programs that the bank has not, and for nonsense."""
        lamports = self.svm.minimum_balance_for_rent_exemption(len(data))
        self.svm.set_account(address, Account(lamports, data, program))

    def program_of(self, mint: Pubkey) -> Pubkey:
        """The token program of a mint."""
        account = self.svm.get_account(mint)
        if account is None:
            raise LookupError(f"The bank has no mint {mint}.")
        return account.owner

    def _transaction(self, instructions: Sequence[Instruction]) -> VersionedTransaction:
        message = Message.new_with_blockhash(list(instructions), self.authority, self.svm.latest_blockhash())
        unsigned = [Signature.default()] * message.header.num_required_signatures
        return VersionedTransaction.populate(message, unsigned)

    def ui_amount(self, mint: Pubkey, raw_amount: int) -> str:
        """The text that the token program itself shows for a raw amount now."""
        program = self.program_of(mint)
        return self.ask_program(programs.amount_to_ui_amount(program, mint, raw_amount)).decode()

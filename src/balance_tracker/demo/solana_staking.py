"""Stake accounts on a real bank, made and changed by the real Stake and Vote programs."""

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from balance_tracker.demo.solana_bank import SolanaBank

STAKE = Pubkey.from_string("Stake11111111111111111111111111111111111111")
VOTE = Pubkey.from_string("Vote111111111111111111111111111111111111111")
CLOCK = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
_RENT = Pubkey.from_string("SysvarRent111111111111111111111111111111111")
_HISTORY = Pubkey.from_string("SysvarStakeHistory1111111111111111111111111")
_CONFIG = Pubkey.from_string("StakeConfig11111111111111111111111111111111")

RESERVE = 2_282_880
"""Rent of 200 bytes, in lamports."""

type Lockup = tuple[int, int, Pubkey]
"""Unix time, epoch, custodian."""

NO_LOCKUP: Lockup = (0, 0, Pubkey.default())


def u32(number: int) -> bytes:
    """Four bytes."""
    return number.to_bytes(4, "little")


def u64(number: int) -> bytes:
    """Eight bytes."""
    return number.to_bytes(8, "little")


class Staking:
    """What a staker does."""

    def __init__(self, bank: SolanaBank) -> None:
        self.bank = bank

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch; stake that was delegated before it is active there."""
        clock = self.bank.svm.get_clock()
        clock.epoch = epoch
        self.bank.svm.set_clock(clock)

    def validator(self, address: Pubkey | None = None) -> Pubkey:
        """A vote account, at an address or at a new one."""
        vote, node = address or Pubkey.new_unique(), Pubkey.new_unique()
        initialize = Instruction(
            VOTE,
            u32(0) + bytes(node) * 3 + b"\x05",
            [_written(vote), _read(_RENT), _read(CLOCK), _signer(node)],
        )
        self.bank.send(self.bank.make_account(vote, 3_762, VOTE), initialize)
        return vote

    def account(
        self,
        staker: Pubkey,
        withdrawer: Pubkey,
        lamports: int,
        lockup: Lockup = NO_LOCKUP,
        *,
        address: Pubkey | None = None,
    ) -> Pubkey:
        """An initialised stake account with lamports beside its reserve, at an address or at a new one."""
        stake = address or Pubkey.new_unique()
        until, epoch, custodian = lockup
        data = (
            u32(0)
            + bytes(staker)
            + bytes(withdrawer)
            + until.to_bytes(8, "little", signed=True)
            + u64(epoch)
            + bytes(custodian)
        )
        initialize = Instruction(STAKE, data, [_written(stake), _read(_RENT)])
        self.bank.send(self.bank.make_account(stake, 200, STAKE), initialize)
        if lamports:
            self.bank.give_sol(stake, lamports)
        return stake

    def delegate(self, stake: Pubkey, vote: Pubkey, staker: Pubkey) -> None:
        """Delegate all of an account to a validator, from the next epoch on."""
        accounts = [_written(stake), _read(vote), _read(CLOCK), _read(_HISTORY), _read(_CONFIG)]
        self.bank.send(Instruction(STAKE, u32(2), [*accounts, _signer(staker)]))

    def deactivate(self, stake: Pubkey, staker: Pubkey) -> None:
        """Take the delegation back, from the next epoch on."""
        self.bank.send(Instruction(STAKE, u32(5), [_written(stake), _read(CLOCK), _signer(staker)]))

    def withdraw(self, stake: Pubkey, lamports: int, authority: Pubkey) -> None:
        """Take lamports that are not staked out of an account."""
        accounts = [_written(stake), _written(authority), _read(CLOCK), _read(_HISTORY)]
        self.bank.send(Instruction(STAKE, u32(4) + u64(lamports), [*accounts, _signer(authority)]))

    def authorize_withdrawer(self, stake: Pubkey, old: Pubkey, new: Pubkey) -> None:
        """Give an account to another withdrawer."""
        data = u32(1) + bytes(new) + u32(1)
        self.bank.send(Instruction(STAKE, data, [_written(stake), _read(CLOCK), _signer(old)]))

    def lamports(self, stake: Pubkey) -> int:
        """All lamports of an account."""
        return self.bank.svm.get_balance(stake) or 0

    def data(self, stake: Pubkey) -> bytes:
        """The bytes of an account."""
        account = self.bank.svm.get_account(stake)
        if account is None:
            raise LookupError(f"The bank has no account {stake}.")
        return bytes(account.data)


def _written(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=False, is_writable=True)


def _read(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=False, is_writable=False)


def _signer(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=True, is_writable=False)

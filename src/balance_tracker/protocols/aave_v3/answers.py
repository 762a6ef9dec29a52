"""What the contracts of a market return, in the shapes of V3.0 to V3.6, read without trusting it.

Stable debt is gone since V3.2: the helper's rows became shorter, the data provider's answers zero there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from balance_tracker.core.text import clean_text
from balance_tracker.evm.abi import WORD
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.tours import TourError

MOST_RESERVES = 128
"""The bitmap of a wallet has two bits for each."""

MOST_REWARDS = 128
NO_DEBT = (1 << 256) - 1
"""The health factor of an account without debt."""

_BORROWS = int("55" * WORD, 16)
_ADDRESS_END = 1 << 160
_ROW_BEFORE_3_2, _ROW = 7, 4
_LABEL_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class UserReserve:
    """What the helper says of a wallet in one reserve; scaled amounts only tell whether there is any."""

    underlying: str
    supplied: bool
    borrowed: bool


@dataclass(frozen=True, slots=True)
class Account:
    """The pool's word on a wallet: money in the market's base currency, ratios of 10,000.

    ``health_factor`` is raw, of 18 decimals, ``None`` without debt.
    """

    collateral: int
    debt: int
    available_borrows: int
    liquidation_threshold: int
    ltv: int
    health_factor: int | None


@dataclass(frozen=True, slots=True)
class Holding:
    """A wallet in one reserve, in smallest units of the underlying, interest of this very block included."""

    supplied: int
    stable_debt: int
    variable_debt: int
    collateral: bool

    @property
    def empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.supplied or self.stable_debt or self.variable_debt)


def read_user_reserves(outcome: Outcome) -> tuple[list[UserReserve], int] | None:
    """What ``getUserReservesData`` says, and the e-mode; ``None`` if it is of no use."""
    values = _words(outcome)
    if values is None or len(values) < 3 or values[0] != 2 * WORD:
        return None
    e_mode, count = values[1], values[2]
    width, rest = divmod(len(values) - 3, count) if count else (_ROW, len(values) - 3)
    if rest or width not in (_ROW, _ROW_BEFORE_3_2) or count > MOST_RESERVES or e_mode > 255:
        return None
    rows = [values[at : at + width] for at in range(3, len(values), width)]
    if any(not 0 < row[0] < _ADDRESS_END or row[2] > 1 for row in rows):
        return None
    return [_user_reserve(row) for row in rows], e_mode


def _user_reserve(row: Sequence[int]) -> UserReserve:
    debts = (row[4], row[5]) if len(row) == _ROW_BEFORE_3_2 else (row[3],)
    return UserReserve(_hex(row[0]), row[1] > 0, any(debts))


def borrows_in(configuration: int) -> int:
    """In how many reserves the bitmap has a debt.

    >>> borrows_in(0b01_10_11)
    2
    """
    return (configuration & _BORROWS).bit_count()


def read_word(outcome: Outcome, what: str) -> int:
    """One word.

    Raises:
        TourError: There is none.
    """
    return read_exactly(outcome, 1, what)[0]


def read_exactly(outcome: Outcome, count: int, what: str) -> list[int]:
    """So many words.

    Raises:
        TourError: The call failed, or the data is of another length.
    """
    if isinstance(outcome, CallFailure):
        raise TourError(outcome.code, f"{what}: {outcome.reason}")
    values = _words(outcome)
    if values is None or len(values) != count:
        raise TourError("malformed", f"{what} is {len(outcome)} bytes, not {count * WORD}")
    return values


def read_account(outcome: Outcome) -> Account:
    """What ``getUserAccountData`` says.

    Raises:
        TourError: It failed or is malformed.
    """
    collateral, debt, available, threshold, ltv, health = read_exactly(outcome, 6, "the account's data")
    if threshold > 10_000 or ltv > 10_000:
        raise TourError("malformed", "the account's thresholds are over one")
    return Account(collateral, debt, available, threshold, ltv, None if health == NO_DEBT else health)


def read_holding(outcome: Outcome) -> Holding:
    """What ``getUserReserveData`` says.

    Raises:
        TourError: It failed or is malformed.
    """
    values = read_exactly(outcome, 9, "a reserve's data of the account")
    if values[8] > 1:
        raise TourError("malformed", "a reserve's collateral flag is neither yes nor no")
    return Holding(values[0], values[1], values[2], values[8] == 1)


def read_tokens(outcome: Outcome) -> tuple[str, str, str]:
    """A reserve's aToken, stable and variable debt token.

    Raises:
        TourError: They are not addresses.
    """
    values = read_exactly(outcome, 3, "a reserve's tokens")
    if any(value >= _ADDRESS_END for value in values):
        raise TourError("malformed", "a reserve's tokens are no addresses")
    a_token, stable, variable = map(_hex, values)
    return a_token, stable, variable


def read_addresses(outcome: Outcome) -> list[str]:
    """The list of the pool's reserves.

    Raises:
        TourError: It failed or is malformed.
    """
    if isinstance(outcome, CallFailure):
        raise TourError(outcome.code, f"the list of reserves: {outcome.reason}")
    values = _words(outcome) or []
    if len(values) < 2 or values[0] != WORD or values[1] != len(values) - 2 or values[1] > MOST_RESERVES:
        raise TourError("malformed", f"the list of reserves is no list ({len(outcome)} bytes)")
    if any(not 0 < value < _ADDRESS_END for value in values[2:]):
        raise TourError("malformed", "the list of reserves has what is no address")
    return list(dict.fromkeys(map(_hex, values[2:])))


def read_rewards(outcome: Outcome) -> dict[str, int] | str:
    """Unclaimed amounts by reward token, without zeros; or why they are not known."""
    if isinstance(outcome, CallFailure):
        return outcome.reason
    values = _words(outcome) or []
    count = values[2] if len(values) > 2 else -1
    if not 0 <= count <= MOST_REWARDS or len(values) != 4 + 2 * count or values[3 + count] != count:
        return f"the answer is malformed ({len(outcome)} bytes)"
    if values[:2] != [2 * WORD, (3 + count) * WORD]:
        return "the answer is malformed"
    rewards: dict[str, int] = {}
    for token, amount in zip(values[3 : 3 + count], values[4 + count :], strict=True):
        if amount and not 0 < token < _ADDRESS_END:
            return "a reward is no token"
        if amount:
            rewards[_hex(token)] = rewards.get(_hex(token), 0) + amount
    return rewards


def read_label(outcome: Outcome) -> str | None:
    """The name of an e-mode (the last field of ``getEModeCategoryData``), ``None`` if it has none."""
    if isinstance(outcome, CallFailure) or len(outcome) < 7 * WORD:
        return None
    length = int.from_bytes(outcome[6 * WORD : 7 * WORD])
    if outcome[5 * WORD : 6 * WORD] != (5 * WORD).to_bytes(WORD) or length > len(outcome) - 7 * WORD:
        return None
    text = outcome[7 * WORD : 7 * WORD + length].decode("utf-8", errors="replace")
    return clean_text(text, _LABEL_CHARACTERS) or None


def _words(outcome: Outcome) -> list[int] | None:
    if isinstance(outcome, CallFailure) or len(outcome) % WORD:
        return None
    return [int.from_bytes(outcome[at : at + WORD]) for at in range(0, len(outcome), WORD)]


def _hex(value: int) -> str:
    return f"0x{value:040x}"

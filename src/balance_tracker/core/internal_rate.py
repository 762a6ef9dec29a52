"""The internal rate of return: the growth a year at which payments become a final value."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Overflow

RATIO_DIGITS = Decimal("1E-12")
"""Returns are given to so many digits."""

_CONTEXT = Context(prec=24, Emax=999_999, Emin=-999_999)
_LOWEST, _HIGHEST = Decimal("1E-6"), Decimal("1E+6")
"""The growth a year that is looked for: nearly all lost, and a million times as much."""
_MOST_STEPS = 120
_CLOSE = Decimal("1E-16")
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that was put in, below zero where it was taken out, so many years before the end."""

    amount: Decimal
    years: Decimal


def internal_rate(payments: Sequence[Payment], final: Decimal) -> Decimal | None:
    """The rate a year, as a ratio; ``None`` where there is none, or perhaps more than one.

    Args:
        payments: The earliest first.
        final: What is there at the end.

    Source: C. S. Soper, "The Marginal Efficiency of Capital: A Further Note", The Economic Journal 69
        (1959): a rate at which what is invested never falls below zero is the only one.

    >>> str(internal_rate([Payment(Decimal(100), Decimal(1))], Decimal(110)))
    '0.1'
    """
    growth = _root(payments, final)
    if growth is None:
        return None
    if _sign_changes([one.amount for one in payments] + [-final]) != 1 and not _stays_invested(
        payments, growth
    ):
        return None
    rate = _CONTEXT.subtract(growth, Decimal(1))
    return rate.quantize(RATIO_DIGITS, context=_CONTEXT).normalize(_CONTEXT)


def _root(payments: Sequence[Payment], final: Decimal) -> Decimal | None:
    """Where the payments grown are the final value, between two bounds that close in (Illinois method)."""
    logs = _CONTEXT.ln(_LOWEST), _CONTEXT.ln(_HIGHEST)
    try:
        excesses = _excess(payments, final, logs[0]), _excess(payments, final, logs[1])
    except Overflow:
        return None
    (low, high), (at_low, at_high) = logs, excesses
    if at_low == 0 or at_high == 0 or (at_low > 0) == (at_high > 0):
        return None
    side = 0
    for step in range(_MOST_STEPS):
        if abs(_CONTEXT.subtract(high, low)) <= _CLOSE:
            break
        # Now and then the middle, so that it closes in whatever the shape.
        middle = (
            _CONTEXT.multiply(_CONTEXT.add(low, high), _HALF)
            if step % 3 == 2
            else _crossing(low, high, at_low, at_high)
        )
        here = _excess(payments, final, middle)
        if here == 0:
            return _CONTEXT.exp(middle)
        if (here > 0) == (at_high > 0):
            high, at_high = middle, here
            at_low = _CONTEXT.multiply(at_low, _HALF) if side == 1 else at_low
            side = 1
        else:
            low, at_low = middle, here
            at_high = _CONTEXT.multiply(at_high, _HALF) if side == -1 else at_high
            side = -1
    return _CONTEXT.exp(_crossing(low, high, at_low, at_high))


def _crossing(low: Decimal, high: Decimal, at_low: Decimal, at_high: Decimal) -> Decimal:
    """Where the line through both ends crosses zero."""
    span = _CONTEXT.subtract(high, low)
    part = _CONTEXT.divide(at_low, _CONTEXT.subtract(at_low, at_high))
    return _CONTEXT.add(low, _CONTEXT.multiply(span, part))


def _excess(payments: Sequence[Payment], final: Decimal, log_growth: Decimal) -> Decimal:
    """By how much payments grown are more than the final value."""
    total = -final
    for one in payments:
        factor = _CONTEXT.exp(_CONTEXT.multiply(log_growth, one.years))
        total = _CONTEXT.add(total, _CONTEXT.multiply(one.amount, factor))
    return total


def _stays_invested(payments: Sequence[Payment], growth: Decimal) -> bool:
    """Whether what is invested, grown at this rate, never falls below zero before the end."""
    log_growth = _CONTEXT.ln(growth)
    balance, before = Decimal(0), payments[0].years if payments else Decimal(0)
    for one in payments:
        factor = _CONTEXT.exp(_CONTEXT.multiply(log_growth, _CONTEXT.subtract(before, one.years)))
        balance, before = _CONTEXT.add(_CONTEXT.multiply(balance, factor), one.amount), one.years
        if balance < 0:
            return False
    return True


def _sign_changes(amounts: Sequence[Decimal]) -> int:
    signs = [amount > 0 for amount in amounts if amount]
    return sum(one != other for one, other in itertools.pairwise(signs))

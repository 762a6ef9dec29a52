"""Exact amounts: integers of the chain, decimals of people, and no float between."""

import re
from collections.abc import Iterable
from decimal import Context, Decimal

_EXACT = Context(prec=400)
"""Wide enough for 2**256 scaled by 255 digits, so that nothing is ever rounded."""

_QUOTIENT = Context(prec=18)
"""For what has no end: more digits than any source of prices has."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_MOST_DIGITS = 100

LOWEST_CHANGE = Decimal("-0.9999")
HIGHEST_CHANGE = Decimal(1_000_000)
"""No day's change is beyond these, as parts: what is would divide by next to nothing, or is no change."""
_CHANGE_DIGITS = Decimal("1E-8")


def to_amount(raw_amount: int, decimals: int) -> Decimal:
    """Scale an on-chain integer to whole units of its asset, exactly.

    Args:
        raw_amount: Smallest units (wei, lamports), as the chain returned it.
        decimals: Digits after the point, 0 to 255: ERC-20 ``decimals()``, SPL mint.

    Raises:
        ValueError: ``decimals`` is out of range.

    >>> to_amount(1_500_000, 6)
    Decimal('1.500000')
    """
    if not 0 <= decimals <= 255:
        raise ValueError(f"decimals must be 0 to 255, not {decimals}")
    return Decimal(raw_amount).scaleb(-decimals, _EXACT)


def plain(value: Decimal) -> str:
    """A decimal as the API writes it: no exponent, no trailing zeros, no minus zero.

    >>> plain(Decimal("1.500000")), plain(Decimal("1E+3")), plain(Decimal("-0.0"))
    ('1.5', '1000', '0')
    """
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def decimal_or_none(value: object) -> Decimal | None:
    """A number that someone else sent, as a decimal; ``None`` for all that is not surely one.

    Decimals, integers and plain text are taken. Floats are not, for their digits are not the
    sender's; nor booleans, NaN, infinities, text with anything else in it, and numbers of more
    than 100 digits or beyond 10**100, which nobody means.

    >>> decimal_or_none("0.9998"), decimal_or_none("NaN"), decimal_or_none(0.5), decimal_or_none(True)
    (Decimal('0.9998'), None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        return None
    if isinstance(value, str) and not (len(value) <= _MOST_DIGITS + 10 and _NUMBER.fullmatch(value)):
        return None
    if isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS:
        return None
    number = Decimal(value)
    if not number.is_finite() or len(number.as_tuple().digits) > _MOST_DIGITS:
        return None
    return number if abs(number.adjusted()) <= _MOST_DIGITS else None


def value_of(raw_amount: int, decimals: int | None, price: Decimal | None) -> Decimal | None:
    """What an on-chain integer is worth, exactly; ``None`` where decimals or price are not known.

    Args:
        raw_amount: Smallest units, as the chain returned it.
        decimals: Digits after the point, 0 to 255.
        price: Per whole unit, in any currency; the value is in the same.

    >>> value_of(1_500_000, 6, Decimal("0.9998"))
    Decimal('1.4997000000')
    """
    if decimals is None or price is None:
        return None
    return _EXACT.multiply(to_amount(raw_amount, decimals), price)


def value_change(value: Decimal | None, change: Decimal | None) -> Decimal | None:
    """By how much a value rose if its price rose by ``change``, to 18 digits; ``None`` if not known.

    Args:
        value: Worth now, in any currency.
        change: Part by which the price rose since (``0.01``: one percent); see :func:`is_change`.

    >>> value_change(Decimal("110"), Decimal("0.1")), value_change(Decimal(5), None)
    (Decimal('10'), None)
    """
    if value is None or change is None or not is_change(change):
        return None
    return _QUOTIENT.divide(_EXACT.multiply(value, change), _EXACT.add(1, change))


def is_change(change: Decimal) -> bool:
    """Whether a number can be a day's change, as a part: from -0.9999 to a million.

    >>> is_change(Decimal("0.01")), is_change(Decimal("-0.99999")), is_change(Decimal("NaN"))
    (True, False, False)
    """
    return change.is_finite() and LOWEST_CHANGE <= change <= HIGHEST_CHANGE


def relative_change(change: Decimal | None, against: Decimal | None) -> Decimal | None:
    """A day's change measured in something that changed too, to eight digits; ``None`` if not known.

    >>> relative_change(Decimal("0.21"), Decimal("0.1")), relative_change(Decimal("0.1"), None)
    (Decimal('0.10000000'), None)
    """
    if change is None or against is None or not (is_change(change) and is_change(against)):
        return None
    risen = quotient(_EXACT.add(1, change), _EXACT.add(1, against))
    relative = _EXACT.subtract(risen, 1).quantize(_CHANGE_DIGITS, context=_EXACT)
    return relative if is_change(relative) else None


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """The sum with all its digits, where ``sum`` would round to 28 of them.

    >>> exact_sum([Decimal("1E+30"), Decimal("0.1")])
    Decimal('1000000000000000000000000000000.1')
    """
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total


def exact_product(amount: Decimal, factor: Decimal) -> Decimal:
    """The product with all its digits.

    >>> exact_product(Decimal("1234567890123456.789012345678"), Decimal("1.0000000000001"))
    Decimal('1234567890123580.2458013580236789012345678')
    """
    return _EXACT.multiply(amount, factor)


def quotient(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Money for money, to 18 digits, which is more than any source has.

    Raises:
        ValueError: The divisor is not above zero.

    >>> quotient(Decimal("2.2"), Decimal("1.1")), quotient(Decimal(1), Decimal(3))
    (Decimal('2'), Decimal('0.333333333333333333'))
    """
    if divisor <= 0:
        raise ValueError(f"only something above zero can be divided by, not {divisor}")
    return _QUOTIENT.divide(dividend, divisor)

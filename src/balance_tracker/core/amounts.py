"""Exact amounts: integers of the chain, decimals of people, and no float between."""

from decimal import Context, Decimal

_EXACT = Context(prec=400)
"""Wide enough for 2**256 scaled by 255 digits, so that nothing is ever rounded."""


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

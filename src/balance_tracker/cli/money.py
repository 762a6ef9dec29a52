"""Prices and values for people: rounded here and nowhere else."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

_EXACT = Context(prec=400)
_DECIMALS = {"jpy": 0, "btc": 8, "eth": 6}
_USUAL_DECIMALS = 2
_DIGITS = 4


def readable_value(value: Decimal, currency: str) -> str:
    """A value as money is written: rounded half to even to the decimals of its currency.

    What is too small for that is shown as less than the smallest, and not as a zero; nor is there a
    minus zero.

    >>> readable_value(Decimal("1234.565"), "usd"), readable_value(Decimal("0.001"), "usd")
    ('1,234.56', '<0.01')
    >>> readable_value(Decimal("0"), "usd"), readable_value(Decimal("1234.5"), "jpy")
    ('0.00', '1,234')
    """
    unit = Decimal(1).scaleb(-_DECIMALS.get(currency, _USUAL_DECIMALS))
    if 0 < abs(value) < unit:
        return f"{'-' if value < 0 else ''}<{unit:f}"
    rounded = value.quantize(unit, ROUND_HALF_EVEN, _EXACT)
    return f"{rounded or abs(rounded):,f}"


def readable_change(change: Decimal, currency: str) -> str:
    """A change of value, with its sign.

    >>> readable_change(Decimal("102.5"), "usd"), readable_change(Decimal("-0.001"), "usd")
    ('+102.50', '-<0.01')
    >>> readable_change(Decimal("0"), "usd")
    '0.00'
    """
    sign = "+" if change > 0 else "-" if change < 0 else ""
    return sign + readable_value(abs(change), currency)


def readable_price(amount: Decimal) -> str:
    """A price: two decimals from a hundred on, otherwise four digits that count.

    >>> readable_price(Decimal("2647.5")), readable_price(Decimal("0.000012345"))
    ('2,647.50', '0.00001234')
    >>> readable_price(Decimal("1.0003")), readable_price(Decimal("0.99981"))
    ('1.0003', '0.9998')
    """
    decimals = 2 if amount >= 100 else _DIGITS if amount >= 1 else _DIGITS - 1 - amount.adjusted()
    return f"{amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN, _EXACT):,f}"

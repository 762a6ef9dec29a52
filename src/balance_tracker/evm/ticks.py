"""The arithmetic of pools with concentrated liquidity, as their contracts do it: integers, rounded down.

A tick is a price of 1.0001 to its power; what is computed with is the price's root, with 96 binary
digits after the point. Fees are counted for one unit of liquidity since the pool began, with 128
binary digits; they go round at 2 ** 256, so that only differences mean anything.

Sources: ``TickMath``, ``SqrtPriceMath``, ``Tick`` and ``Position`` of
https://github.com/Uniswap/v3-core, and sections 6.1 to 6.3 of its whitepaper.
Proof: tests/evm/test_ticks.py, and on the real contracts tests/protocols/test_uniswap_v3.py.
"""

from dataclasses import dataclass
from functools import lru_cache

MAX_TICK = 887_272
"""The highest tick; the lowest is its negative."""

PRICE_BITS = 96
FEE_BITS = 128
_ROOTS = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x09AA508B5B7A84E1C677DE54F3E99BC9,
    0x005D6AF8DEDB81196699C329225EE604,
    0x00002216E584F5FA1EA926041BEDFE98,
    0x00000000048A170391F7DC42444E8FA2,
)
"""2 ** 128 / 1.0001 ** (2 ** n / 2) for n from 0, to the nearest."""

_WORD = 1 << 256


@dataclass(frozen=True, slots=True)
class PoolPrice:
    """Where a pool is: the root of its price, and its tick, which moves with it."""

    root: int
    tick: int


@lru_cache(maxsize=4_096)
def root_at(tick: int) -> int:
    """The root of the price at a tick, with 96 binary digits after the point, rounded up.

    Raises:
        ValueError: No pool has that tick.

    >>> root_at(0) == 1 << 96
    True
    """
    if abs(tick) > MAX_TICK:
        raise ValueError(f"{tick} is no tick: the highest is {MAX_TICK}")
    ratio = 1 << FEE_BITS
    for bit, root in enumerate(_ROOTS):
        if abs(tick) >> bit & 1:
            ratio = ratio * root >> FEE_BITS
    if tick > 0:
        ratio = (_WORD - 1) // ratio
    return -(-ratio >> FEE_BITS - PRICE_BITS)


def amounts_of(liquidity: int, lower: int, upper: int, price: PoolPrice) -> tuple[int, int]:
    """What liquidity between two ticks is made of: raw amounts of both tokens, as ``burn`` pays them.

    Under its range it is all of the first token, over it all of the second.

    Raises:
        ValueError: A tick is none.
    """
    low, high = root_at(lower), root_at(upper)
    if price.tick < lower:
        return _first(liquidity, low, high), 0
    if price.tick >= upper:
        return 0, _second(liquidity, low, high)
    return _first(liquidity, price.root, high), _second(liquidity, low, price.root)


def _first(liquidity: int, low: int, high: int) -> int:
    return (liquidity << PRICE_BITS) * (high - low) // high // low


def _second(liquidity: int, low: int, high: int) -> int:
    return liquidity * (high - low) >> PRICE_BITS


def growth_inside(total: int, outside_lower: int, outside_upper: int, place: int) -> int:
    """Fees that one unit of liquidity between two ticks was paid, in one of the tokens.

    Args:
        total: Of the whole pool, since it began.
        outside_lower: What the lower tick keeps: fees on its side away from the price.
        outside_upper: What the upper tick keeps.
        place: Where the price is: -1 under the range, 0 in it, 1 over it.
    """
    below = outside_lower if place >= 0 else total - outside_lower
    above = outside_upper if place <= 0 else total - outside_upper
    return (total - below - above) % _WORD


def fees_since(growth: int, last: int, liquidity: int) -> int:
    """Raw fees of so much liquidity, for growth since it was last looked at."""
    return (growth - last) % _WORD * liquidity >> FEE_BITS

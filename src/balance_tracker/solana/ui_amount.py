"""The amount that the Token-2022 program shows for interest-bearing and scaled mints.

Such mints display another amount than ``raw_amount / 10**decimals``. The program computes
it with doubles, so this module does the same operations in the same order, to the last
digit; nothing here is used to add or compare money, the raw amount stands beside it.

Source: ``spl_token_2022_interface::extension::{interest_bearing_mint, scaled_ui_amount}``
(``amount_to_ui_amount``); ``exp`` and ``powi`` as the on-chain compiler has them:
FreeBSD's ``e_exp.c`` and LLVM's ``__powidf2``. Checked against the program itself.
"""

import math

from balance_tracker.solana.extensions import InterestBearing, ScaledUiAmount
from balance_tracker.solana.layouts import MintState

SECONDS_PER_YEAR = 60.0 * 60.0 * 24.0 * 365.24
ONE_IN_BASIS_POINTS = 10_000.0

_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_INVERSE_LN2 = 1.44269504088896338700e00
_P1 = 1.66666666666666019037e-01
_P2 = -2.77777777770155933842e-03
_P3 = 6.61375632143793436117e-05
_P4 = -1.65339022054652515390e-06
_P5 = 4.13813679705723846039e-08
_EXP_OVERFLOWS = 7.09782712893383973096e02
_EXP_UNDERFLOWS = -7.45133219101941108420e02


def ui_amount(mint: MintState, raw_amount: int, unix_timestamp: int) -> str | None:
    """What the mint displays for a raw amount at a time, or ``None`` if that is the plain amount.

    Args:
        mint: The mint with its extensions.
        raw_amount: Smallest units, 0 to 2**64 - 1.
        unix_timestamp: The clock's time in Unix seconds.

    Returns:
        A plain decimal as the program writes it; ``None`` also where doubles overflow,
        since the program has no number to show then.
    """
    if mint.scaled_ui_amount is not None:
        shown = _scaled(mint.scaled_ui_amount, raw_amount, mint.decimals, unix_timestamp)
    elif mint.interest_bearing is not None:
        shown = _with_interest(mint.interest_bearing, raw_amount, mint.decimals, unix_timestamp)
    else:
        return None
    return _written(shown, mint.decimals) if math.isfinite(shown) else None


def _scaled(config: ScaledUiAmount, raw_amount: int, decimals: int, unix_timestamp: int) -> float:
    is_new = unix_timestamp >= config.new_multiplier_effective_at
    scaled = float(raw_amount) * (config.new_multiplier if is_new else config.multiplier)
    if not math.isfinite(scaled):
        return scaled
    return float(math.trunc(scaled)) / _power(10.0, decimals)


def _with_interest(config: InterestBearing, raw_amount: int, decimals: int, unix_timestamp: int) -> float:
    before = _growth(config.pre_update_average_rate_bps, config.last_updated_at - config.initialized_at)
    since = _growth(config.current_rate_bps, unix_timestamp - config.last_updated_at)
    return float(raw_amount) * (before * since / _power(10.0, decimals))


def _growth(rate_bps: int, seconds: int) -> float:
    return _exp(float(rate_bps * seconds) / SECONDS_PER_YEAR / ONE_IN_BASIS_POINTS)


def _written(shown: float, decimals: int) -> str:
    text = f"{shown:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def _power(base: float, exponent: int) -> float:
    """``base`` to a natural power by repeated squaring, rounding where the chain rounds."""
    result = 1.0
    while True:
        if exponent & 1:
            result *= base
        exponent >>= 1
        if not exponent:
            return result
        base *= base


def _exp(x: float) -> float:
    """e**x rounded as on the chain: a C library's result can differ in the last bit."""
    if x > _EXP_OVERFLOWS:
        return math.inf
    if x < _EXP_UNDERFLOWS:
        return 0.0
    size = abs(x)
    if size < 2.0**-28:
        return 1.0 + x
    k = 0
    high, low = x, 0.0
    if size > 0.5 * math.log(2):
        half = math.copysign(0.5, x)
        k = int(math.copysign(1, x)) if size < 1.5 * math.log(2) else int(_INVERSE_LN2 * x + half)
        high, low = x - k * _LN2_HIGH, k * _LN2_LOW
    rest = high - low
    square = rest * rest
    c = rest - square * (_P1 + square * (_P2 + square * (_P3 + square * (_P4 + square * _P5))))
    y = 1.0 + (rest * c / (2.0 - c) - low + high)
    return math.ldexp(y, k) if k else y

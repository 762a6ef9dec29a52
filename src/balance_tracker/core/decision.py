"""How quotes become a price. Nothing here asks anybody: quotes, a time and the last price go in.

1. **Screening** (``core/screening.py``). A quote is dropped, with its reason, that is no positive
   number, absurd, older than its family may be (24 hours at most), from the future, below the
   confidence floor, or from a pool without liquidity. A source has one voice. A price set by the
   operator (family ``fixed``) beats all others, however far they are from it.
2. **Weighing** (``core/weighing.py``). Each family (aggregators, oracles, pools) has one vote, by
   confidence and age, which its sources share. Of three sources or more none has half.
3. **Voting**. The votes are counted twice, by families as weighed and by sources, one each. Either
   way the middle is the weighted median: the lowest figure that half of the votes do not exceed. The
   price is the lower of both, always a figure that a source said, never a mixture. *Influence
   is bounded*: whatever one source among three or more says, the price stays within what the others
   say. And no minority of the sources, nor any one family of three, lifts it above what the
   honest ones say. Of two sources it is the lower, or the one that is fresh where the other is not.
   The lower, because a report should rather understate than overstate: a lie that is too low costs
   at most the holding, one that is too high has no limit.
4. **Judging**. Quotes within the threshold of the price agree with it. Those that do not are dropped
   as outliers if the others are most of the sources, have more than half of the weight, and either
   stand for two families or leave no family unheard. The vote is not taken again without them, which
   could carry the price out of the bound. Then it is

   - ``agreed``: quotes of at least two families agree;
   - ``single``: all that agree are of one family, and no other family says otherwise;
   - ``disputed``: anything else; every quote stays among those shown.
5. **Holding**. A price further than the limit from the last one, which quotes of at least two
   families do not confirm, is ``suspect``: the last price is given, with its own time and half of its
   confidence. A quote confirms a jump that lies nearer to the new price than to the last one.
   A last price that was not agreed is held only if fewer sources that did not stand for it confirm the
   jump than stood for it: what one source said first is no shield against others.
   The *anchor*, the last price that was agreed or held, is looked at as well: many small steps are
   a jump too. Two hours after the last price was decided it is held no longer, nor once its quotes are a
   day old; then the new price is given, and is ``disputed`` for as long as the anchor still counts.

A **rate** divides what it is applied to, so there the lower value is by the higher figure: all of the
above holds upside down, and of two sources the higher counts, fresh or not.

The confidence of a price is the weighted mean of ``confidence x (1 + freshness) / 2`` over the quotes
used, times 1 if agreed, 0.8 if single, 0.5 if disputed, divided by ``1 + spread``. The operator's own
word has 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Literal

from balance_tracker.core.amounts import is_change
from balance_tracker.core.prices import DroppedQuote, Price, PriceStatus, Quote
from balance_tracker.core.screening import LONGEST_AGE, RULES, DropReason, Rules, screen
from balance_tracker.core.weighing import STEPS, Weights, confidence_of, freshness, middles, weigh

_EXACT = Context(prec=400)
_SPREAD_DIGITS = 8
_CONFIDENCE_DIGITS = 4
_SURE = {
    PriceStatus.AGREED: Fraction(1),
    PriceStatus.SINGLE: Fraction(4, 5),
    PriceStatus.DISPUTED: Fraction(1, 2),
}


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the vote came to."""

    amount: Decimal
    status: PriceStatus
    used: list[Quote]
    outliers: list[Quote]


def decide(
    quotes: Sequence[Quote],
    now: datetime,
    last: Price | None = None,
    rules: Rules = RULES,
    *,
    anchor: Price | None = None,
    as_rate: bool = False,
) -> Price | None:
    """Decide the price of one asset in US dollars; the rule is at the top of this file.

    Args:
        quotes: What sources say of one asset, usable or not.
        now: The time, UTC.
        last: The last price decided for it, in US dollars, if one is known; its ``age_seconds`` tell
            how long ago that was, and for one that is held since it was first decided.
        rules: The thresholds.
        anchor: The last one that was agreed, or that a jump was held against; as ``last``.
        as_rate: Whether others are divided by it.

    Returns:
        The price, or ``None`` where no quote is usable: not known, which is not zero.

    Raises:
        ValueError: Quotes or the last price are of another asset or another currency.
    """
    _check_that_all_is_of_one_asset(quotes, last, anchor)
    usable, dropped = screen(quotes, now, rules)
    if not usable:
        return None
    weights = weigh(usable, now, rules)
    if as_rate and len(usable) == 2:
        weights = dict.fromkeys(weights, 1)
    verdict = _vote(usable, weights, rules, as_rate=as_rate)
    if usable[0].family != "fixed":
        jump = _jump(
            last, anchor, rules, lambda before: _is_unconfirmed(verdict.amount, usable, before, now, rules)
        )
        if jump == "held" and last is not None:
            return _held(last, usable, dropped)
        if jump is not None:
            verdict = replace(verdict, status=PriceStatus.DISPUTED)
    return _price(verdict, dropped, weights, now, rules)


def _check_that_all_is_of_one_asset(quotes: Sequence[Quote], *before: Price | None) -> None:
    known = [price for price in before if price is not None]
    ids = {quote.asset_id for quote in quotes} | {price.asset_id for price in known}
    if len(ids) > 1:
        raise ValueError(f"a price is decided for one asset, not for {', '.join(sorted(ids))}")
    for price in known:
        if price.currency != "usd":
            raise ValueError(f"prices are decided in usd; the last one is in {price.currency}")


def _vote(usable: Sequence[Quote], weights: Weights, rules: Rules, *, as_rate: bool = False) -> _Verdict:
    if as_rate:
        amount = min(middles(usable, weights, lambda quote: quote.amount.copy_negate())).copy_negate()
    else:
        amount = min(middles(usable, weights, lambda quote: quote.amount))
    agreeing: list[Quote] = []
    others: list[Quote] = []
    for quote in usable:
        is_apart = _is_apart(quote.amount, amount, rules.dispute_threshold)
        (others if is_apart else agreeing).append(quote)
    if others and not _carries(agreeing, others, weights):
        return _Verdict(amount, PriceStatus.DISPUTED, list(usable), [])
    families = {quote.family for quote in agreeing}
    status = PriceStatus.AGREED if len(families) > 1 else PriceStatus.SINGLE
    return _Verdict(amount, status, agreeing, others)


def _carries(agreeing: Sequence[Quote], others: Sequence[Quote], weights: Weights) -> bool:
    """Whether the first outvote the others in every way, and leave no family unheard that could tell."""
    weight, against = (sum(weights[quote.source] for quote in side) for side in (agreeing, others))
    families = {quote.family for quote in agreeing}
    all_heard = families >= {quote.family for quote in others}
    return len(agreeing) > len(others) and weight > against and (len(families) > 1 or all_heard)


def _is_apart(one: Decimal, other: Decimal, part: Decimal) -> bool:
    """Whether the higher is above the lower by more than this part of it."""
    return max(one, other) > _EXACT.multiply(min(one, other), _EXACT.add(1, part))


def _jump(
    last: Price | None,
    anchor: Price | None,
    rules: Rules,
    is_jump_from: Callable[[Price], bool],
) -> Literal["held", "passed"] | None:
    """Whether this is a jump that no second family confirms: held, or given since the time is over."""
    against_last = last is not None and is_jump_from(last)
    against_anchor = anchor is not None and is_jump_from(anchor)
    if last is None or not (against_last or against_anchor):
        return "passed" if against_anchor else None
    if not against_last and anchor is not None and _is_apart(last.amount, anchor.amount, rules.jump_limit):
        return "passed"  # the step away from the anchor was held in its time
    return "held" if timedelta(seconds=last.age_seconds) <= rules.hold_for else "passed"


def _is_unconfirmed(
    amount: Decimal, usable: Sequence[Quote], before: Price, now: datetime, rules: Rules
) -> bool:
    """Whether this is a jump against a price that still counts, and too few say so."""
    newest = max((quote.as_of for quote in before.quotes), default=before.as_of)
    if now - newest > LONGEST_AGE or not _is_apart(amount, before.amount, rules.jump_limit):
        return False
    halfway = _EXACT.multiply(amount, before.amount)  # the square of what is as far from both
    confirming = [
        quote
        for quote in usable
        if (_EXACT.multiply(quote.amount, quote.amount) > halfway) is (amount > before.amount)
    ]
    if len({quote.family for quote in confirming}) > 1:
        return False
    stood = [
        quote
        for quote in before.quotes
        if not _is_apart(quote.amount, before.amount, rules.dispute_threshold)
    ]
    others = {quote.source for quote in confirming} - {quote.source for quote in stood}
    return len({quote.family for quote in stood}) > 1 or len(others) < max(1, len(stood))


def _held(last: Price, usable: Sequence[Quote], dropped: list[DroppedQuote]) -> Price:
    jumps = [DroppedQuote(quote, DropReason.UNCONFIRMED_JUMP) for quote in usable]
    is_held_already = last.status is PriceStatus.SUSPECT
    half = _rounded(Fraction(last.confidence) * Fraction(1, 2), _CONFIDENCE_DIGITS)
    return replace(
        last,
        status=PriceStatus.SUSPECT,
        confidence=last.confidence if is_held_already else half,
        dropped=(*dropped, *jumps),
        stale=False,
    )


def _price(
    verdict: _Verdict, dropped: list[DroppedQuote], weights: Weights, now: datetime, rules: Rules
) -> Price:
    used = sorted(verdict.used, key=lambda quote: quote.source)
    amounts = [quote.amount for quote in used]
    spread = Fraction(Fraction(max(amounts)) - Fraction(min(amounts)), Fraction(verdict.amount))
    confidence = _SURE[verdict.status] * _confidence(used, weights, spread, now, rules)
    outliers = [DroppedQuote(quote, DropReason.OUTLIER) for quote in verdict.outliers]
    return Price(
        asset_id=used[0].asset_id,
        currency="usd",
        amount=verdict.amount,
        as_of=min(quote.as_of for quote in used),
        sources=tuple(quote.source for quote in used),
        spread=_rounded(spread, _SPREAD_DIGITS),
        confidence=Decimal(1) if used[0].family == "fixed" else _rounded(confidence, _CONFIDENCE_DIGITS),
        status=verdict.status,
        quotes=tuple(used),
        dropped=(*dropped, *outliers),
        change_24h=_change(used, now, rules),
    )


def _confidence(
    used: Sequence[Quote], weights: Weights, spread: Fraction, now: datetime, rules: Rules
) -> Fraction:
    total = sum(weights[quote.source] for quote in used)
    sure = sum(
        weights[quote.source] * confidence_of(quote) * (STEPS + freshness(quote, now, rules))
        for quote in used
    )
    return Fraction(sure, 2 * STEPS**2 * total) * Fraction(1, 1 + spread)


def _change(used: Sequence[Quote], now: datetime, rules: Rules) -> Decimal | None:
    """The day's change by the same two counts among those that tell it: the one nearer to none."""
    changes = {
        quote.source: quote.change_24h
        for quote in used
        if quote.change_24h is not None and is_change(quote.change_24h)
    }
    telling = [quote for quote in used if quote.source in changes]
    told = tuple(changes.values())
    if len(telling) >= 3:
        told = middles(telling, weigh(telling, now, rules), lambda quote: changes[quote.source])
    return min(told, key=lambda change: (abs(change), change), default=None)


def _rounded(number: Fraction, digits: int) -> Decimal:
    return Decimal(round(number * 10**digits)).scaleb(-digits, _EXACT)

"""What each voice counts, and the middle of all: arithmetic in whole numbers, so nothing is rounded.

The weights are such that no liar can decide alone:

- A quote weighs from 1 to 1.9: ``1 + 0.9 x confidence x freshness``. The best weighs less than
  twice the worst, so of three sources or more of one family none has half of the weight.
- A family has the weight of its best quote, shared among its quotes in proportion: ten
  aggregators that copy one exchange count as one. Of three families or more none has half.
- One source that is a whole family, against two or more sources of another, could reach half: it
  is then held to nine tenths of the weight of the others.
- Of two sources both count the same, unless one of them is fresh and the other is not: then the
  fresh one decides.

So among three sources or more no source has half of the weight (``tests/core/test_weighing.py``
tries it), and whatever it says, the middle lies within what the others say. Counted by sources, one
vote each, the same holds for any minority of them.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import accumulate
from math import prod

from balance_tracker.core.prices import Quote
from balance_tracker.core.screening import Rules

type Weights = Mapping[str, int]
"""What each source counts, by its name; only their proportions matter."""

STEPS = 10_000
"""Confidence and freshness are counted in ten-thousandths."""


def freshness(quote: Quote, now: datetime, rules: Rules) -> int:
    """In ten-thousandths: all while a quote is fresh for its family, then falling to none at ``max_age``."""
    age = now - quote.as_of
    if quote.family == "fixed" or age <= rules.fresh_for[quote.family]:
        return STEPS
    left, whole = (
        rules.max_age[quote.family] - age,
        rules.max_age[quote.family] - rules.fresh_for[quote.family],
    )
    return max(0, left * STEPS // whole)


def confidence_of(quote: Quote) -> int:
    """A source's own confidence in ten-thousandths, within none and all."""
    return int(min(max(quote.confidence, Decimal(0)), Decimal(1)) * STEPS)


def weigh(quotes: Sequence[Quote], now: datetime, rules: Rules) -> Weights:
    """What each source counts: the rules are at the top of this file.

    Args:
        quotes: One per source, all usable.
        now: The time, UTC.
        rules: For how long a quote is fresh, and when it is too old.
    """
    if len(quotes) == 2:
        return _of_two(quotes, now, rules)
    families: dict[str, dict[str, int]] = defaultdict(dict)
    for quote in quotes:
        families[quote.family][quote.source] = _own_weight(quote, now, rules)
    # A share is own x best / total of the family. All are multiplied by every total, to stay whole.
    whole = prod(sum(own.values()) for own in families.values())
    return _held_below_half(
        {
            source: weight * max(own.values()) * (whole // sum(own.values()))
            for own in families.values()
            for source, weight in own.items()
        }
    )


def _own_weight(quote: Quote, now: datetime, rules: Rules) -> int:
    return 10 * STEPS**2 + 9 * confidence_of(quote) * freshness(quote, now, rules)


def _of_two(quotes: Sequence[Quote], now: datetime, rules: Rules) -> Weights:
    is_fresh = {quote.source: freshness(quote, now, rules) == STEPS for quote in quotes}
    one_decides = any(is_fresh.values())
    return {source: int(fresh or not one_decides) for source, fresh in is_fresh.items()}


def _held_below_half(weights: dict[str, int]) -> Weights:
    heaviest = max(weights, key=lambda source: (weights[source], source))
    others = sum(weights.values()) - weights[heaviest]
    if len(weights) < 3 or weights[heaviest] < others:
        return weights
    return {source: 9 * others if source == heaviest else 10 * weight for source, weight in weights.items()}


def weighted_median(quotes: Sequence[Quote], weights: Weights, of: Callable[[Quote], Decimal]) -> Decimal:
    """The lowest number that half of the weight does not exceed.

    It is always a number that some source said. Where two halves weigh the same the lower one
    counts, so of two equal voices it is the lower.
    """
    total = sum(weights[quote.source] for quote in quotes)
    ordered = sorted(quotes, key=of)
    reached = accumulate(weights[quote.source] for quote in ordered)
    return next(of(quote) for quote, weight in zip(ordered, reached, strict=True) if 2 * weight >= total)


def middles(
    quotes: Sequence[Quote], weights: Weights, of: Callable[[Quote], Decimal]
) -> tuple[Decimal, Decimal]:
    """The middle by families, as weighed, and the middle by sources, one vote each; of two it is one."""
    by_family = weighted_median(quotes, weights, of)
    if len(quotes) < 3:
        return by_family, by_family
    return by_family, weighted_median(quotes, {quote.source: 1 for quote in quotes}, of)

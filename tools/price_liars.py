"""Writes the tables of ``docs/prices.md``: how wrong a net worth is when sources of prices lie.

Usage: ``python tools/price_liars.py`` writes them, ``python tools/price_liars.py --check`` exits with 1 if
they are not what the code comes to. Everything is drawn from one seed, and every number is exact.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext
from itertools import combinations
from pathlib import Path

from balance_tracker.core.amounts import decimal_or_none, exact_sum, value_of
from balance_tracker.core.decision import decide
from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import PriceStatus, Quote, SourceFamily

PAGE = Path(__file__).resolve().parent.parent / "docs" / "prices.md"
BEGIN, END = "<!-- liars:begin, written by tools/price_liars.py -->\n", "<!-- liars:end -->\n"

SEED = 20_261_122
ASSETS = 20
NOISE_BASIS_POINTS = 30
NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
SOURCES: tuple[tuple[str, SourceFamily], ...] = (
    ("chainlink", "oracle"),
    ("defillama", "aggregator"),
    ("coingecko", "aggregator"),
    ("uniswap_twap", "pool"),
    ("coinmarketcap", "aggregator"),
)
SIZES = ((3, 1), (5, 1), (5, 2), (2, 1), (3, 2))
"""Sources asked, the first of ``SOURCES``, and how many of them lie."""

_EXACT = Context(prec=400)


@dataclass(frozen=True)
class Item:
    """One holding, what it is really worth per unit, and what honest sources say of it."""

    asset_id: AssetId
    raw_amount: int
    decimals: int
    truth: Decimal
    honest: tuple[Decimal, ...]


@dataclass(frozen=True)
class Answer:
    """What one source said: text as it came, and how old it says it is."""

    source: str
    family: SourceFamily
    text: str
    age: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class Lie:
    """What a liar says in place of the truth."""

    name: str
    says: Callable[[Decimal], str]
    age: timedelta = timedelta(minutes=1)


LIES = (
    Lie("low: half", lambda truth: str(truth / 2)),
    Lie("high: half as much more", lambda truth: str(truth * 3 / 2)),
    Lie("stale: three days old, before the price halved", lambda truth: str(truth * 2), timedelta(days=3)),
    Lie("frozen: the same, and calls it new", lambda truth: str(truth * 2)),
    Lie("rescaled by 10^12", lambda truth: str(truth.scaleb(12))),
    Lie("rescaled by 10^-12", lambda truth: str(truth.scaleb(-12))),
    Lie("zero", lambda truth: "0"),  # noqa: ARG005
    Lie("the text NaN", lambda truth: "NaN"),  # noqa: ARG005
    Lie("negative", lambda truth: str(-truth)),
)

type Method = Callable[[AssetId, Sequence[Answer]], Decimal | None]


def first_answer(asset_id: AssetId, answers: Sequence[Answer]) -> Decimal | None:  # noqa: ARG001
    """The first source that answers is believed: the usual fallback chain."""
    return Decimal(answers[0].text)


def mean(asset_id: AssetId, answers: Sequence[Answer]) -> Decimal | None:  # noqa: ARG001
    """All count the same."""
    return sum(Decimal(answer.text) for answer in answers) / Decimal(len(answers))


def quotes_of(asset_id: AssetId, answers: Sequence[Answer]) -> list[Quote]:
    """What the sources of this package make of the answers: text that is no number is left out."""
    return [
        Quote(
            asset_id=asset_id,
            source=answer.source,
            family=answer.family,
            amount=amount,
            as_of=NOW - answer.age,
            liquidity=Decimal(5_000_000) if answer.family == "pool" else None,
        )
        for answer in answers
        if (amount := decimal_or_none(answer.text)) is not None
    ]


def ours(asset_id: AssetId, answers: Sequence[Answer]) -> Decimal | None:
    """What ``core/decision.py`` makes of it, without a last price."""
    price = decide(quotes_of(asset_id, answers), NOW)
    return price.amount if price else None


def draw_items() -> list[Item]:
    """Holdings of about the same value, with honest quotes within 0.3 % of the truth."""
    rng = random.Random(SEED)
    items = []
    for number in range(ASSETS):
        decimals = rng.choice((6, 8, 9, 18))
        truth = Decimal(rng.randrange(10**8, 10**10)).scaleb(-rng.randrange(4, 13))
        value = rng.randrange(1_000, 100_000)
        raw_amount = int((Decimal(value) / truth).scaleb(decimals))
        noise = (rng.randint(-NOISE_BASIS_POINTS, NOISE_BASIS_POINTS) for _ in SOURCES)
        honest = tuple(truth * (10_000 + points) / 10_000 for points in noise)
        items.append(Item(AssetId(f"eip155:1/slip44:{number}"), raw_amount, decimals, truth, honest))
    return items


def answers_about(item: Item, count: int, liars: tuple[int, ...], lie: Lie | None) -> list[Answer]:
    """What ``count`` sources say of one holding, of which some lie alike."""
    answers = []
    for number, (source, family) in enumerate(SOURCES[:count]):
        if lie and number in liars:
            answers.append(Answer(source, family, lie.says(item.truth), lie.age))
        else:
            answers.append(Answer(source, family, str(item.honest[number])))
    return answers


def error(
    items: Sequence[Item], method: Method, count: int, liars: tuple[int, ...], lie: Lie | None
) -> Decimal:
    """How far the net worth is off, as a part of the true one; not a number if it is none."""
    values, truths = [], []
    for item in items:
        price = method(item.asset_id, answers_about(item, count, liars, lie))
        values.append(value_of(item.raw_amount, item.decimals, price) or Decimal(0))
        truths.append(value_of(item.raw_amount, item.decimals, item.truth) or Decimal(0))
    true = exact_sum(truths)
    return abs(exact_sum(values) - true) / true


def worst(items: Sequence[Item], method: Method, count: int, lying: int, lie: Lie | None) -> Decimal:
    """The largest error, whichever of the sources lie."""
    errors = [error(items, method, count, liars, lie) for liars in combinations(range(count), lying)]
    return next((one for one in errors if one.is_nan()), None) or max(errors)


def marked(
    items: Sequence[Item], count: int, lying: int, lie: Lie | None
) -> tuple[Mapping[str, int], Decimal]:
    """How often our prices have which status, over all choices of liars, and the worst of the agreed."""
    counts: Counter[str] = Counter()
    worst_agreed = Decimal(0)
    for liars in combinations(range(count), lying):
        for item in items:
            price = decide(quotes_of(item.asset_id, answers_about(item, count, liars, lie)), NOW)
            counts[price.status if price else "unknown"] += 1
            if price and price.status is PriceStatus.AGREED:
                worst_agreed = max(worst_agreed, abs(price.amount - item.truth) / item.truth)
    return counts, worst_agreed


def shown(part: Decimal) -> str:
    """A part as people read it: ``0.12 %``, or a power of ten where it is out of all proportion."""
    if part.is_nan():
        return "not a number"
    percent = part * 100
    return f"{percent:.2f} %" if percent < 10_000 else f"10^{percent.adjusted()} %"


def shown_marks(counts: Mapping[str, int]) -> str:
    """Shares of the statuses, the most frequent first."""
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{name} {100 * count // total} %" for name, count in ordered)


def table(items: Sequence[Item], count: int, lying: int) -> str:
    """One size: a row per lie, a column per method."""
    lines = [
        f"**{lying} of {count} sources lie{'s' if lying == 1 else ''}** "
        f"({', '.join(name for name, _ in SOURCES[:count])})\n",
        "| lie | first answer wins | mean | ours | ours are marked | worst price marked agreed |",
        "| --- | ---: | ---: | ---: | --- | ---: |",
    ]
    for lie in (None, *LIES):
        sizes = (count, lying if lie else 0, lie)
        cells = [shown(worst(items, method, *sizes)) for method in (first_answer, mean, ours)]
        name = lie.name if lie else "none: all are honest"
        counts, worst_agreed = marked(items, *sizes)
        off = shown(worst_agreed) if counts[PriceStatus.AGREED] else "-"
        lines.append(f"| {name} | {' | '.join(cells)} | {shown_marks(counts)} | {off} |")
    return "\n".join(lines) + "\n"


def tables() -> str:
    """All sizes, one table each."""
    with localcontext(_EXACT):
        items = draw_items()
        return "\n".join(table(items, count, lying) for count, lying in SIZES)


def page(text: str) -> str:
    """The page with its tables in place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after and END not in rest:
        raise SystemExit(f"{PAGE.name} has no place for the tables")
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def main() -> int:
    """Write the tables, or with ``--check`` compare them."""
    old = PAGE.read_text(encoding="utf-8")
    new = page(old)
    if old == new:
        return 0
    if "--check" in sys.argv[1:]:
        print("docs/prices.md is not up to date: run tools/price_liars.py", file=sys.stderr)
        return 1
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The tables of ``docs/prices.md`` are what the code comes to, and show what the page claims."""

from decimal import Decimal, localcontext

import pytest
from tools.price_liars import (
    LIES,
    PAGE,
    Lie,
    Method,
    draw_items,
    error,
    first_answer,
    marked,
    mean,
    ours,
    page,
    worst,
)

HONEST_SPREAD = Decimal("0.003")


def test_the_tables_in_the_documents_are_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run tools/price_liars.py"


@pytest.mark.parametrize("count", [3, 4, 5])
@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_one_liar_among_three_or_more_moves_no_net_worth_beyond_the_honest_spread(
    lie: Lie, count: int
) -> None:
    with localcontext(prec=100):
        assert worst(draw_items(), ours, count, 1, lie) <= HONEST_SPREAD


@pytest.mark.parametrize("method", [first_answer, mean])
def test_the_usual_ways_are_as_good_as_ours_only_while_nobody_lies(method: Method) -> None:
    with localcontext(prec=100):
        items = draw_items()
        assert error(items, method, 3, (), None) <= HONEST_SPREAD
        for lie in LIES:
            off = worst(items, method, 3, 1, lie)
            assert off.is_nan() or off > Decimal("0.1")


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_two_liars_among_five_mislead_nobody_who_looks_at_the_marks(lie: Lie) -> None:
    with localcontext(prec=100):
        counts, worst_agreed = marked(draw_items(), 5, 2, lie)
        assert worst_agreed <= HONEST_SPREAD
        assert counts["agreed"] > counts["disputed"]

"""Money as people read it: rounded once, and never a minus zero."""

from decimal import Decimal

import pytest

from balance_tracker.cli.money import readable_change, readable_value


@pytest.mark.parametrize(
    ("value", "text"),
    [("-0.004", "-<0.01"), ("-0", "0.00"), ("-0.00", "0.00"), ("-1.005", "-1.00"), ("0.004", "<0.01")],
)
def test_no_value_is_written_as_a_minus_zero(value: str, text: str) -> None:
    assert readable_value(Decimal(value), "usd") == text
    assert "-0.00" not in readable_change(Decimal(value), "usd")

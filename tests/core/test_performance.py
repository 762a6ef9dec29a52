"""Returns and flows against closed forms, a second library, and plain independent arithmetic."""

import math
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
import pyxirr
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.history import DAY, T0, line, snapshot
from tests.fakes.readers import ALICE

from balance_tracker.core.internal_rate import Payment, internal_rate
from balance_tracker.core.performance import (
    FlowKind,
    Period,
    drawdown,
    money_weighted,
    periods_of,
    time_weighted,
)
from balance_tracker.core.snapshots import Line, Side, Snapshot, SnapshotState

YEAR = timedelta(days=365)
SUPPLIED = {"protocol": "aave", "side": Side.SUPPLIED}
BORROWED = {"protocol": "aave", "side": Side.BORROWED}


def one(before: Snapshot, after: Snapshot) -> Period:
    [period] = periods_of([before, after])
    return period


def kinds(period: Period) -> dict[str, str]:
    return {flow.asset: flow.kind.value for flow in period.flows}


def adds_up(period: Period) -> bool:
    """The change of the value is the sum of its parts, to the last digit."""
    assert period.value_before is not None
    assert period.value_after is not None
    parts = period.flow + period.income + period.trade + period.price
    return period.value_after - period.value_before == parts


def test_constant_growth_is_its_rate_linked_and_its_rate_a_year() -> None:
    months = [
        snapshot(T0 + YEAR * n / 4, line("eth", 2, str(Decimal(1000) * Decimal("1.1") ** n)))
        for n in range(5)
    ]
    periods = periods_of(months)
    assert time_weighted(periods) == Decimal("0.4641")
    assert money_weighted(periods) == Decimal("0.4641")
    fall = drawdown(periods)
    assert fall is not None
    assert fall.depth == 0


def test_deposits_and_withdrawals_at_still_prices_do_not_bend_the_return() -> None:
    prices = [1000, 1100, 1100, 880, 880, 968]
    amounts = [1, 1, 3, 3, 2, 2]
    periods = periods_of(
        [
            snapshot(T0 + DAY * n, line("eth", a, p))
            for n, (a, p) in enumerate(zip(amounts, prices, strict=True))
        ]
    )
    # 1.1 x 0.8 x 1.1, whatever was put in and taken out between
    assert time_weighted(periods) == Decimal("-0.032")
    assert [kinds(period) for period in periods] == [{}, {"eth": "deposit"}, {}, {"eth": "withdrawal"}, {}]
    assert [period.flow for period in periods] == [0, 2200, 0, -880, 0]
    assert all(map(adds_up, periods))


def test_a_move_between_own_networks_addresses_and_protocols_is_neutral() -> None:
    lent = line("usdc", 100, **SUPPLIED)
    period = one(
        snapshot(T0, line("eth", 1, 1000), line("usdc", 100)),
        snapshot(T0 + DAY, line("eth", 1, 1000, network="base"), lent),
    )
    assert (period.flows, period.rate) == ((), 0)


def test_a_trade_is_no_flow_and_its_cost_is_its_result() -> None:
    period = one(
        snapshot(T0, line("eth", 2, 1000)),
        snapshot(T0 + DAY, line("eth", 1, 1000), line("usdc", 990)),
    )
    assert kinds(period) == {"eth": "trade", "usdc": "trade"}
    assert (period.flow, period.trade) == (0, -10)
    assert period.rate == Decimal("-0.005")


def test_something_exchanged_for_much_less_is_flows_and_no_trade() -> None:
    period = one(
        snapshot(T0, line("eth", 2, 1000)),
        snapshot(T0 + DAY, line("eth", 1, 1000), line("usdc", 900)),
    )
    assert kinds(period) == {"eth": "withdrawal", "usdc": "deposit"}
    assert period.rate == 0


def test_what_lending_earns_is_income_and_in_the_return() -> None:
    period = one(
        snapshot(T0, line("usdc", 1000, **SUPPLIED)),
        snapshot(T0 + DAY, line("usdc", "1000.1", **SUPPLIED)),
    )
    assert kinds(period) == {"usdc": "income"}
    assert (period.income, period.flow) == (Decimal("0.1"), 0)
    assert period.rate is not None
    assert float(period.rate) == pytest.approx(0.0001)


def test_interest_on_a_debt_is_a_cost_in_the_return() -> None:
    period = one(
        snapshot(T0, line("eth", 1, 2000), line("usdc", 1000, **BORROWED)),
        snapshot(T0 + DAY, line("eth", 1, 2000), line("usdc", "1000.2", **BORROWED)),
    )
    assert (period.income, period.flow) == (Decimal("-0.2"), 0)
    assert float(period.rate or 0) == pytest.approx(-0.0002)


def test_a_debt_repaid_from_outside_is_a_deposit_and_lent_money_taken_out_a_withdrawal() -> None:
    repaid = one(
        snapshot(T0, line("eth", 1, 2000), line("usdc", 1000, **BORROWED)),
        snapshot(T0 + DAY, line("eth", 1, 2000), line("usdc", "999.9", **BORROWED)),
    )
    assert kinds(repaid) == {"usdc": "deposit"}
    taken = one(
        snapshot(T0, line("usdc", 1000, **SUPPLIED)),
        snapshot(T0 + DAY, line("usdc", "999.9", **SUPPLIED)),
    )
    assert kinds(taken) == {"usdc": "withdrawal"}


def test_growth_beyond_what_lending_pays_is_a_deposit() -> None:
    period = one(
        snapshot(T0, line("usdc", 1000, **SUPPLIED)), snapshot(T0 + DAY, line("usdc", 1010, **SUPPLIED))
    )
    assert kinds(period) == {"usdc": "deposit"}


def test_a_token_that_grows_in_the_wallet_itself_is_a_deposit() -> None:
    period = one(snapshot(T0, line("ampl", 1000)), snapshot(T0 + DAY, line("ampl", "1000.1")))
    assert kinds(period) == {"ampl": "deposit"}


def test_borrowing_changes_nothing_until_prices_do() -> None:
    period = one(
        snapshot(T0, line("eth", 1, 2000)),
        snapshot(T0 + DAY, line("eth", 1, 2000), line("usdc", 500), line("usdc", 500, **BORROWED)),
    )
    assert (period.flows, period.rate) == ((), 0)


def test_everything_taken_out_while_the_price_rose_earns_the_rise_up_to_the_middle() -> None:
    period = one(snapshot(T0, line("eth", 1, 100)), snapshot(T0 + DAY, line("usdc", 0)))
    assert period.rate == 0
    held = one(
        snapshot(T0, line("eth", 1, 100), line("sol", 1, 100)),
        snapshot(T0 + DAY, line("sol", 1, 200), line("eth", 0, 200)),
    )
    # Until the middle both rose to 150; ether left at 150, and what stayed rose from 150 to 200.
    assert held.rate == Decimal(300) / 200 * (Decimal(200) / 150) - 1


def test_what_starts_from_nothing_earns_on_what_came() -> None:
    periods = periods_of(
        [snapshot(T0), snapshot(T0 + DAY, line("eth", 1, 100)), snapshot(T0 + 2 * DAY, line("eth", 1, 110))]
    )
    assert time_weighted(periods) == Decimal("0.1")
    assert periods[0].flow == 100


def test_an_empty_wallet_earned_nothing_and_a_debt_alone_has_no_return() -> None:
    assert one(snapshot(T0), snapshot(T0 + DAY)).rate == 0
    owed = line("usdc", 100, **BORROWED)
    period = one(snapshot(T0, owed), snapshot(T0 + DAY, owed))
    assert (period.rate, period.gap) == (None, None)


def test_a_total_loss_is_minus_one_and_what_follows_stays_there() -> None:
    period = one(snapshot(T0, line("luna", 1, 80)), snapshot(T0 + DAY, line("luna", 1, 0)))
    assert period.rate == -1


@pytest.mark.parametrize(
    ("middle", "reason"),
    [
        (snapshot(T0 + DAY, line("eth", 1, 110), state=SnapshotState.INCOMPLETE), "incomplete"),
        (snapshot(T0 + DAY, line("eth", 1, None)), "unpriced"),
        (snapshot(T0 + DAY, line("usdc", 1, 1), line("eth", 1, None)), "unpriced"),
    ],
)
def test_over_a_gap_no_return_is_told(middle: Snapshot, reason: str) -> None:
    periods = periods_of(
        [snapshot(T0, line("eth", 1, 100)), middle, snapshot(T0 + 2 * DAY, line("eth", 1, 120))]
    )
    assert [period.gap for period in periods] == [reason, reason]
    assert time_weighted(periods) is money_weighted(periods) is drawdown(periods) is None


def test_an_estimated_snapshot_is_no_gap() -> None:
    middle = snapshot(T0 + DAY, line("eth", 1, 110), state=SnapshotState.ESTIMATED)
    periods = periods_of([snapshot(T0, line("eth", 1, 100)), middle])
    assert time_weighted(periods) == Decimal("0.1")


def test_an_asset_that_never_had_a_price_is_no_gap() -> None:
    odd = line("odd", 7, None)
    period = one(snapshot(T0, line("eth", 1, 100), odd), snapshot(T0 + DAY, line("eth", 1, 110), odd))
    assert period.rate == Decimal("0.1")


def test_a_network_that_comes_into_view_is_a_flow_at_the_end_that_earned_nothing() -> None:
    before = snapshot(T0, line("eth", 1, 100), networks=["ethereum"])
    after = snapshot(T0 + DAY, line("eth", 1, 110), line("eth", 9, 110, network="base"))
    period = one(before, after)
    assert (period.rate, period.flow, period.entered) == (Decimal("0.1"), 990, 990)
    assert [(flow.kind, flow.amount) for flow in period.flows] == [(FlowKind.SCOPE, 9)]
    assert adds_up(period)
    gone = one(
        snapshot(T0, line("eth", 1, 100), line("eth", 9, 100, network="base")),
        snapshot(T0 + DAY, line("eth", 1, 110), networks=["ethereum"]),
    )
    assert (gone.rate, gone.flow, gone.left) == (Decimal("0.1"), -900, 900)
    assert adds_up(gone)


def test_where_addresses_changed_all_that_came_is_flow() -> None:
    before = snapshot(T0, line("eth", 2, 1000))
    after = snapshot(T0 + DAY, line("eth", 1, 1000), line("usdc", 1000), addresses=[ALICE, "0xb"])
    assert kinds(one(before, after)) == {"eth": "withdrawal", "usdc": "deposit"}


def test_a_drawdown_is_the_deepest_fall_from_a_peak_and_flows_are_none_of_it() -> None:
    prices, amounts = [100, 200, 100, 160, 80, 240], [1, 1, 1, 5, 5, 1]
    taken = [
        snapshot(T0 + DAY * n, line("eth", a, p))
        for n, (a, p) in enumerate(zip(amounts, prices, strict=True))
    ]
    fall = drawdown(periods_of(taken[:3]))
    assert fall is not None
    assert (fall.depth, fall.peak_at, fall.trough_at) == (Decimal("-0.5"), T0 + DAY, T0 + 2 * DAY)


def independent_return(values: list[tuple[float, float, float]]) -> float:
    """Revalued at each flow, in floats: (value before, flow in the middle, value after)."""
    return math.prod(after / (before + flow) for before, flow, after in values) - 1


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50), st.integers(50, 200)), min_size=2, max_size=12)
)
@settings(max_examples=100, deadline=None)
def test_the_time_weighted_return_is_that_of_plain_arithmetic(steps: list[tuple[int, int, int]]) -> None:
    """Amounts change only while prices stand still, so that the true value at each flow is known."""
    taken: list[Snapshot] = []
    expected: list[tuple[float, float, float]] = []
    for n, (eth, sol, price) in enumerate(steps):
        if taken:
            (a, b, p) = steps[n - 1]
            taken.append(snapshot(T0 + DAY * 2 * n - DAY, line("eth", a, price), line("sol", b, 30)))
            expected.append((a * p + b * 30, 0, a * price + b * 30))
        taken.append(snapshot(T0 + DAY * 2 * n, line("eth", eth, price), line("sol", sol, 30)))
        if len(taken) > 1:
            (a, b, _) = steps[n - 1]
            before = a * price + b * 30
            expected.append((before, eth * price + sol * 30 - before, eth * price + sol * 30))
    periods = periods_of(taken)
    assert all(map(adds_up, periods))
    if any(flow.kind is FlowKind.TRADE for period in periods for flow in period.flows):
        return
    told = time_weighted(periods)
    assert told is not None
    assert float(told) == pytest.approx(independent_return(expected), rel=1e-9, abs=1e-9)


@given(
    st.lists(st.tuples(st.integers(-30, 60), st.integers(80, 125)), min_size=1, max_size=15),
)
@settings(max_examples=150, deadline=None)
def test_the_money_weighted_return_is_that_of_pyxirr(steps: list[tuple[int, int]]) -> None:
    """Periods of two days, so that the middle of each, where flows are, is a whole day."""
    amount, price, taken = 100, Decimal(100), [snapshot(T0, line("eth", 100, 100))]
    for n, (more, change) in enumerate(steps, 1):
        amount, price = max(1, amount + more), price * change / 100
        taken.append(snapshot(T0 + 60 * DAY * n, line("eth", amount, str(price))))
    periods = periods_of(taken)
    days = [T0.date(), *(period.start.date() + timedelta(days=30) for period in periods)]
    amounts = [-10000.0, *(-float(period.flow) for period in periods)]
    told = money_weighted(periods)
    theirs = pyxirr.xirr([*days, periods[-1].end.date()], [*amounts, float(taken[-1].total_value or 0)])
    if told is None:
        assert sum(a * b < 0 for a, b in pairwise([x for x in amounts if x] + [1.0])) > 1
        return
    assert theirs is not None
    assert float(told) == pytest.approx(theirs, rel=1e-6, abs=1e-6)


def test_the_rate_of_daily_flows_is_found_and_is_that_of_pyxirr() -> None:
    """Deposits and small fees in turn: signs change all the time, yet one rate only solves it."""
    payments = [Payment(Decimal(1000 if n % 30 == 0 else -1), Decimal(365 - n) / 365) for n in range(365)]
    told = internal_rate(payments, Decimal(14_000))
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(366)]
    theirs = pyxirr.xirr(days, [*(-float(one.amount) for one in payments), 14_000.0])
    assert told is not None
    assert theirs is not None
    assert float(told) == pytest.approx(theirs, rel=1e-7)


def test_where_more_than_one_rate_solves_it_none_is_told() -> None:
    # -100, +230, -132: both 10 % and 20 % solve it
    payments = [Payment(Decimal(100), Decimal(2)), Payment(Decimal(-230), Decimal(1))]
    assert internal_rate(payments, Decimal(-132)) is None


def test_what_was_never_put_in_has_no_rate() -> None:
    assert internal_rate([], Decimal(10)) is None
    assert internal_rate([], Decimal(0)) is None


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["eth", "usdc", "sol"]),
                st.integers(0, 1000),
                st.sampled_from(["wallet", "lent", "owed"]),
            ),
            max_size=6,
        ),
        min_size=2,
        max_size=5,
    ),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_every_change_of_value_is_flow_income_trade_or_price_and_nothing_is_left(
    held: list[list[tuple[str, int, str]]], data: st.DataObject
) -> None:
    where = {"wallet": {}, "lent": SUPPLIED, "owed": BORROWED}
    taken: list[Snapshot] = []
    for n, entries in enumerate(held):
        prices = {key: data.draw(st.integers(1, 50)) for key in ("eth", "usdc", "sol")}
        lines: list[Line] = [line(key, amount, prices[key], **where[place]) for key, amount, place in entries]
        taken.append(snapshot(T0 + DAY * n, *lines))
    assert all(adds_up(period) for period in periods_of(taken))

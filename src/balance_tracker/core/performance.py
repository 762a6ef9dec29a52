"""What a portfolio earned: returns, flows told from price moves, income, trades, drawdown.

Between two snapshots every change of value is one of these (see :mod:`~balance_tracker.core.comparing`
for the split into amounts and prices):

* **price**: what was held became worth more or less;
* **income**: an amount in a protocol grew, or a debt did, by no more than a plausible rate
  (:attr:`Rules.most_income_a_year`) while nothing else of it changed;
* **trade**: some assets went and others of about the same value came
  (:attr:`Rules.trade_tolerance`): the difference is the result of the trade;
* **flow**: the rest, money that came from outside or went there. Moving an asset between one's own
  addresses, networks or protocols changes no sum and is none of these.

The return of a period is Modified Dietz with flows in its middle, and returns are linked to the
time-weighted one, which flows do not bend. The money-weighted one is the rate at which everything
put in grows to what is there (internal rate of return).

Source: CFA Institute, Global Investment Performance Standards, calculation methods (Modified Dietz,
linking of sub-period returns, since-inception internal rate of return).
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum

from balance_tracker.core.amounts import exact_product, exact_sum
from balance_tracker.core.comparing import AssetChange, compare
from balance_tracker.core.ids import AssetId
from balance_tracker.core.snapshots import Snapshot, SnapshotState

_CONTEXT = Context(prec=50)
_RATIO_DIGITS = Decimal("1E-12")
_YEAR = timedelta(days=365)
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Rules:
    """What tells income and trades from flows.

    Attributes:
        most_income_a_year: Growth in a protocol up to this ratio a year is income.
        trade_tolerance: What came and what went may differ by this ratio in a trade.
        middle: When in a period flows are taken to have come, from 0 (start) to 1 (end).
    """

    most_income_a_year: Decimal = Decimal("0.5")
    trade_tolerance: Decimal = Decimal("0.03")
    middle: Decimal = Decimal("0.5")


RULES = Rules()


class FlowKind(StrEnum):
    """What a change of an amount was."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRADE = "trade"
    INCOME = "income"


@dataclass(frozen=True, slots=True)
class Flow:
    """A change of an amount between two snapshots, valued at the average of their prices.

    Attributes:
        amount: Whole units, below zero where it went.
        value: In the currency of the snapshots, below zero where it went.
    """

    start: datetime
    end: datetime
    kind: FlowKind
    asset: AssetId
    symbol: str | None
    amount: Decimal
    value: Decimal


@dataclass(frozen=True, slots=True)
class Period:
    """From one snapshot to the next.

    Attributes:
        gap: Why nothing can be said of it: ``incomplete`` or ``unpriced``; the rest is then zero or
            what is known.
        flow: Net, from outside.
        rate: The return as a ratio; ``None`` where there was nothing that could earn, or a gap.
    """

    start: datetime
    end: datetime
    value_before: Decimal | None
    value_after: Decimal | None
    gap: str | None
    flow: Decimal = Decimal(0)
    income: Decimal = Decimal(0)
    trade: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    rate: Decimal | None = None
    flows: tuple[Flow, ...] = ()
    changes: tuple[AssetChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of the time-weighted index from a peak; ``depth`` is a ratio below or at zero."""

    depth: Decimal
    peak_at: datetime
    trough_at: datetime


def periods_of(snapshots: Sequence[Snapshot], rules: Rules = RULES) -> tuple[Period, ...]:
    """The periods between snapshots of one subject and currency, in the order of time."""
    return tuple(_period(before, after, rules) for before, after in itertools.pairwise(snapshots))


def time_weighted(periods: Iterable[Period]) -> Decimal | None:
    """The linked return over all periods, as a ratio; ``None`` where one of them can't be known.

    A period in which nothing was held earned nothing.
    """
    index = _ONE
    for period in periods:
        if period.rate is None:
            return None
        index = _CONTEXT.multiply(index, _CONTEXT.add(_ONE, period.rate))
    return _ratio(_CONTEXT.subtract(index, _ONE))


def money_weighted(periods: Sequence[Period]) -> Decimal | None:
    """The internal rate of return a year, as a ratio; ``None`` where there is none, or not only one."""
    if not periods or any(period.gap for period in periods):
        return None
    start, end = periods[0].start, periods[-1].end
    payments = [(periods[0].value_before or Decimal(0), _years(end - start))]
    payments += [
        (period.flow, _years(end - period.start - (period.end - period.start) / 2))
        for period in periods
        if period.flow
    ]
    final = periods[-1].value_after or Decimal(0)
    if _sign_changes([amount for amount, _ in payments] + [-final]) != 1:
        return None
    return _root(payments, final)


def drawdown(periods: Sequence[Period]) -> Drawdown | None:
    """The deepest fall of the time-weighted index; ``None`` without a period, or with one not known."""
    if not periods or any(period.rate is None for period in periods):
        return None
    index = peak = _ONE
    peak_at = periods[0].start
    deepest = Drawdown(Decimal(0), peak_at, peak_at)
    for period in periods:
        index = _CONTEXT.multiply(index, _CONTEXT.add(_ONE, period.rate or Decimal(0)))
        if index > peak:
            peak, peak_at = index, period.end
        depth = _ratio(_CONTEXT.subtract(_CONTEXT.divide(index, peak), _ONE)) if peak > 0 else Decimal(0)
        if depth < deepest.depth:
            deepest = Drawdown(depth, peak_at, period.end)
    return deepest


def _period(before: Snapshot, after: Snapshot, rules: Rules) -> Period:
    start, end = before.taken_at, after.taken_at
    values = before.total_value, after.total_value
    if SnapshotState.INCOMPLETE in {before.state, after.state} or None in values:
        return Period(start, end, *values, gap="incomplete")
    changes = compare(before, after).changes
    if any(_half_priced(change) for change in changes):
        return Period(start, end, *values, gap="unpriced", changes=changes)
    known = [change for change in changes if change.effects.total is not None]
    parts = _sort_out(known, before, after, rules)
    value_before, value_after = values[0] or Decimal(0), values[1] or Decimal(0)
    flow = _sum_of(parts, FlowKind.DEPOSIT, FlowKind.WITHDRAWAL)
    return Period(
        start=start,
        end=end,
        value_before=value_before,
        value_after=value_after,
        gap=None,
        flow=flow,
        income=_sum_of(parts, FlowKind.INCOME),
        trade=_sum_of(parts, FlowKind.TRADE),
        price=exact_sum(change.effects.price or Decimal(0) for change in known),
        rate=_rate(value_before, value_after, flow, rules),
        flows=parts,
        changes=changes,
    )


def _half_priced(change: AssetChange) -> bool:
    """Whether something that was held is in the value at one end only, so that the values don't compare."""
    if change.effects.total is not None:
        return False
    return change.price_before is not None or change.price_after is not None


def _sort_out(
    changes: Sequence[AssetChange], before: Snapshot, after: Snapshot, rules: Rules
) -> tuple[Flow, ...]:
    """Every change of an amount, and what it was."""
    moved = [change for change in changes if change.amount_before != change.amount_after]
    lent = _in_protocols(before, after)
    years = _years(after.taken_at - before.taken_at)
    income = {change.asset for change in moved if _is_income(change, lent, years, rules)}
    others = [change for change in moved if change.asset not in income]
    came = exact_sum(value for change in others if (value := _value(change)) > 0)
    went = exact_sum(-value for change in others if (value := _value(change)) < 0)
    matched = min(came, went)
    traded = matched > 0 and abs(came - went) <= exact_product(matched, rules.trade_tolerance)
    return tuple(
        Flow(
            start=before.taken_at,
            end=after.taken_at,
            kind=_kind(change, income=change.asset in income, traded=traded),
            asset=change.asset,
            symbol=change.symbol,
            amount=_moved(change),
            value=_value(change),
        )
        for change in moved
    )


def _kind(change: AssetChange, *, income: bool, traded: bool) -> FlowKind:
    if income:
        return FlowKind.INCOME
    if traded:
        return FlowKind.TRADE
    return FlowKind.DEPOSIT if _moved(change) > 0 else FlowKind.WITHDRAWAL


def _is_income(change: AssetChange, lent: dict[AssetId, Decimal], years: Decimal, rules: Rules) -> bool:
    """Whether an amount grew (or a debt did) by no more than its share in protocols plausibly earns."""
    most = exact_product(exact_product(lent.get(change.asset, Decimal(0)), rules.most_income_a_year), years)
    return 0 < abs(_moved(change)) <= most


def _in_protocols(before: Snapshot, after: Snapshot) -> dict[AssetId, Decimal]:
    """By asset, how much of it lay in protocols, owed or owned, at the end where it was more."""
    most: dict[AssetId, Decimal] = {}
    for snapshot in (before, after):
        here: dict[AssetId, Decimal] = {}
        for line in snapshot.lines:
            if line.place.protocol is not None and line.amount is not None:
                here[line.price_key] = exact_sum((here.get(line.price_key, Decimal(0)), line.amount))
        for asset, amount in here.items():
            most[asset] = max(amount, most.get(asset, Decimal(0)))
    return most


def _moved(change: AssetChange) -> Decimal:
    return exact_sum((change.amount_after or Decimal(0), -(change.amount_before or Decimal(0))))


def _value(change: AssetChange) -> Decimal:
    return change.effects.amount or Decimal(0)


def _sum_of(flows: Iterable[Flow], *kinds: FlowKind) -> Decimal:
    return exact_sum(flow.value for flow in flows if flow.kind in kinds)


def _rate(before: Decimal, after: Decimal, flow: Decimal, rules: Rules) -> Decimal | None:
    """Modified Dietz; what starts from nothing earns on all that came."""
    weight = _ONE if before <= 0 else _CONTEXT.subtract(_ONE, rules.middle)
    base = _CONTEXT.add(before, _CONTEXT.multiply(flow, weight))
    earned = exact_sum((after, -before, -flow))
    if base <= 0:
        return Decimal(0) if before == after == flow == 0 else None
    return _CONTEXT.divide(earned, base)


def _years(span: timedelta) -> Decimal:
    return _CONTEXT.divide(
        Decimal(span // timedelta(microseconds=1)), Decimal(_YEAR // timedelta(microseconds=1))
    )


def _sign_changes(amounts: Sequence[Decimal]) -> int:
    signs = [amount > 0 for amount in amounts if amount]
    return sum(one != other for one, other in itertools.pairwise(signs))


def _root(payments: Sequence[tuple[Decimal, Decimal]], final: Decimal) -> Decimal | None:
    """The growth a year at which payments become the final value, by bisection."""

    def excess(growth: Decimal) -> Decimal:
        grown = [_CONTEXT.multiply(amount, _CONTEXT.power(growth, years)) for amount, years in payments]
        return exact_sum((*grown, -final))

    low, high = Decimal("1E-9"), Decimal("1E+9")
    at_low, at_high = excess(low), excess(high)
    if (at_low > 0) == (at_high > 0):
        return None
    while high / low > _ONE + Decimal("1E-16"):
        middle = _CONTEXT.sqrt(_CONTEXT.multiply(low, high))
        if (excess(middle) > 0) == (at_high > 0):
            high = middle
        else:
            low = middle
    return _ratio(_CONTEXT.subtract(high, _ONE))


def _ratio(value: Decimal) -> Decimal:
    return value.quantize(_RATIO_DIGITS, context=_CONTEXT).normalize(_CONTEXT)

"""What a portfolio earned: returns, flows told from price moves, income, trades, drawdown.

Between two snapshots every change of value is one of these (see :mod:`~balance_tracker.core.comparing`
for the split into amounts and prices):

* **price**: what was held became worth more or less;
* **income**: what was lent or staked grew, or a debt did, by no more than a plausible rate
  (:attr:`Rules.most_income_a_year`);
* **trade**: some assets went and others of about the same value came
  (:attr:`Rules.trade_tolerance`): the difference is the result of the trade;
* **flow**: the rest, money that came from outside or went there; fees of the network are in it.
  Moving an asset between one's own addresses, networks or protocols changes no sum and is none of these;
* **scope**: a network that was asked at one end only: what is there came into view or went out of it.
  It is a flow too, at that end, and earned nothing.

Where the set of addresses changed, all that came or went is flow.

The split into amounts and prices takes it that amounts changed in the middle of a period, at the
average of its prices. The return takes the same: each half is measured on what was held in it, and
the halves are linked, as are the periods, to the time-weighted return, which flows do not bend.
The money-weighted one is the rate at which everything put in grows to what is there (internal rate
of return).

Source: CFA Institute, Global Investment Performance Standards, calculation methods (valuation at the
time of a flow, linking of sub-period returns, internal rate of return).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum

from balance_tracker.core.amounts import exact_product, exact_sum
from balance_tracker.core.comparing import AssetChange, changes_on
from balance_tracker.core.ids import AssetId
from balance_tracker.core.internal_rate import RATIO_DIGITS, Payment, internal_rate
from balance_tracker.core.snapshots import Side, Snapshot, SnapshotState

_CONTEXT = Context(prec=50)
_YEAR = timedelta(days=365)
_ONE = Decimal(1)
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Rules:
    """What tells income and trades from flows.

    Attributes:
        most_income_a_year: Growth in a protocol up to this ratio a year is income.
        trade_tolerance: What came and what went may differ by this ratio in a trade.
    """

    most_income_a_year: Decimal = Decimal("0.5")
    trade_tolerance: Decimal = Decimal("0.03")


RULES = Rules()


class FlowKind(StrEnum):
    """What a change of an amount was."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRADE = "trade"
    INCOME = "income"
    SCOPE = "scope"


@dataclass(frozen=True, slots=True)
class Flow:
    """A change of an amount between two snapshots, valued at the average of their prices.

    What came into view (``scope``) is valued at the price of the end that it is known at.

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
        flow: Net, from outside, with what came into view.
        entered: Of it, what came into view at the end.
        left: Of it, what went out of view at the start, as a number above zero.
        rate: The return as a ratio; ``None`` where there was nothing that could earn, or a gap.
    """

    start: datetime
    end: datetime
    value_before: Decimal | None
    value_after: Decimal | None
    gap: str | None
    flow: Decimal = Decimal(0)
    entered: Decimal = Decimal(0)
    left: Decimal = Decimal(0)
    income: Decimal = Decimal(0)
    trade: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    rate: Decimal | None = None
    flows: tuple[Flow, ...] = ()
    changes: tuple[AssetChange, ...] = ()

    @property
    def told_rate(self) -> Decimal | None:
        """The return as it is told, to twelve digits."""
        return None if self.rate is None else _ratio(self.rate)


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
    end = periods[-1].end
    payments = [Payment(periods[0].value_before or Decimal(0), _years(end - periods[0].start))]
    for period in periods:
        middle = period.start + (period.end - period.start) // 2
        payments += [
            Payment(period.left.copy_negate(), _years(end - period.start)),
            Payment(
                exact_sum((period.flow, period.entered.copy_negate(), period.left)),
                _years(end - middle),
            ),
            Payment(period.entered, _years(end - period.end)),
        ]
    return internal_rate([one for one in payments if one.amount], periods[-1].value_after or Decimal(0))


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
    gap = _gap(before, after)
    changes = () if gap else changes_on(before, after, before.known_networks & after.known_networks)
    if gap is None and any(_half_priced(change) for change in changes):
        gap = "unpriced"
    values = before.total_value, after.total_value
    if gap is not None:
        return Period(before.taken_at, after.taken_at, *values, gap=gap, changes=changes)
    known = [change for change in changes if change.effects.total is not None]
    scope = _came_into_view(before, after)
    parts = (*_sort_out(known, before, after, rules), *scope)
    value_before, value_after = values[0] or Decimal(0), values[1] or Decimal(0)
    entered = exact_sum(flow.value for flow in scope if flow.start == after.taken_at)
    left = exact_sum(flow.value for flow in scope if flow.end == before.taken_at).copy_negate()
    period = Period(
        start=before.taken_at,
        end=after.taken_at,
        value_before=value_before,
        value_after=value_after,
        gap=None,
        flow=_sum_of(parts, FlowKind.DEPOSIT, FlowKind.WITHDRAWAL, FlowKind.SCOPE),
        entered=entered,
        left=left,
        income=_sum_of(parts, FlowKind.INCOME),
        trade=_sum_of(parts, FlowKind.TRADE),
        price=exact_sum(change.effects.price or Decimal(0) for change in known),
        flows=parts,
        changes=changes,
    )
    return replace(period, rate=_rate(period))


def _gap(before: Snapshot, after: Snapshot) -> str | None:
    """Why nothing can be said of the time between."""
    if SnapshotState.INCOMPLETE in {before.state, after.state}:
        return "incomplete"
    return "unpriced" if None in {before.total_value, after.total_value} else None


def _half_priced(change: AssetChange) -> bool:
    """Whether something that was held is in the value at one end only, so that the values don't compare."""
    if change.effects.total is not None:
        return False
    return change.price_before is not None or change.price_after is not None


def _came_into_view(before: Snapshot, after: Snapshot) -> tuple[Flow, ...]:
    """What lies on networks that were asked at one end only, at that end's prices."""
    flows: list[Flow] = []
    for snapshot, other, sign in ((before, after, -_ONE), (after, before, _ONE)):
        known = other.known_networks
        lines = [line for line in snapshot.lines if line.place.network not in known]
        for asset in dict.fromkeys(line.price_key for line in lines):
            own = [line for line in lines if line.price_key == asset and line.value is not None]
            if own:
                flows.append(
                    Flow(
                        start=snapshot.taken_at,
                        end=snapshot.taken_at,
                        kind=FlowKind.SCOPE,
                        asset=asset,
                        symbol=own[0].symbol,
                        amount=exact_product(
                            sign, exact_sum(line.signed_amount or Decimal(0) for line in own)
                        ),
                        value=exact_product(sign, exact_sum(line.value or Decimal(0) for line in own)),
                    )
                )
    return tuple(flows)


def _sort_out(
    changes: Sequence[AssetChange], before: Snapshot, after: Snapshot, rules: Rules
) -> tuple[Flow, ...]:
    """Every change of an amount, and what it was."""
    moved = [change for change in changes if change.amount_before != change.amount_after]
    same = set(before.addresses) == set(after.addresses)
    most = _most_income(before, after, rules) if same else {}
    income = {change.asset for change in moved if _is_income(change, most)}
    others = [change for change in moved if change.asset not in income]
    came = exact_sum(value for change in others if (value := _value(change)) > 0)
    went = exact_sum(value.copy_negate() for change in others if (value := _value(change)) < 0)
    matched = min(came, went)
    traded = (
        same
        and matched > 0
        and exact_sum((came, went.copy_negate())).copy_abs() <= exact_product(matched, rules.trade_tolerance)
    )
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


def _is_income(change: AssetChange, most: Mapping[AssetId, tuple[Decimal, Decimal]]) -> bool:
    """Whether an amount grew by what was lent plausibly earns, or fell by what a debt plausibly costs."""
    earns, costs = most.get(change.asset, (Decimal(0), Decimal(0)))
    return costs.copy_negate() <= _moved(change) <= earns


def _most_income(before: Snapshot, after: Snapshot, rules: Rules) -> dict[AssetId, tuple[Decimal, Decimal]]:
    """By asset, how much it may have earned in protocols and have cost there, by what lay there at most."""
    ratio = exact_product(rules.most_income_a_year, _years(after.taken_at - before.taken_at))
    most: dict[AssetId, tuple[Decimal, Decimal]] = {}
    for snapshot in (before, after):
        here: dict[AssetId, tuple[Decimal, Decimal]] = {}
        for line in snapshot.lines:
            if line.place.protocol is not None and line.amount is not None:
                owned, owed = here.get(line.price_key, (Decimal(0), Decimal(0)))
                amount = exact_product(line.amount, ratio)
                is_owed = line.place.side is Side.BORROWED
                here[line.price_key] = (
                    (owned, exact_sum((owed, amount))) if is_owed else (exact_sum((owned, amount)), owed)
                )
        for asset, (owned, owed) in here.items():
            earns, costs = most.get(asset, (Decimal(0), Decimal(0)))
            most[asset] = (max(owned, earns), max(owed, costs))
    return most


def _moved(change: AssetChange) -> Decimal:
    return exact_sum((change.amount_after or Decimal(0), (change.amount_before or Decimal(0)).copy_negate()))


def _value(change: AssetChange) -> Decimal:
    return change.effects.amount or Decimal(0)


def _sum_of(flows: Iterable[Flow], *kinds: FlowKind) -> Decimal:
    return exact_sum(flow.value for flow in flows if flow.kind in kinds)


def _rate(period: Period) -> Decimal | None:
    """The return of both halves, linked; ``None`` where nothing was there that could earn.

    What went out of view is no part of the first half, nor what came into view of the second. What was
    earned otherwise is in the half in which more was held.
    """
    start = exact_sum((period.value_before or Decimal(0), period.left.copy_negate()))
    end = exact_sum((period.value_after or Decimal(0), period.entered.copy_negate()))
    first, second = _price_effects(period.changes)
    earned = exact_sum((period.income, period.trade))
    before_flow, after_flow = exact_sum((start, first)), exact_sum((end, second.copy_negate()))
    if before_flow >= after_flow:
        before_flow = exact_sum((before_flow, earned))
    else:
        after_flow = exact_sum((after_flow, earned.copy_negate()))
    if start == before_flow == after_flow == end == 0:
        return Decimal(0)
    if min(start, before_flow, after_flow, end) < 0 or start == after_flow == 0:
        return None
    growth = _CONTEXT.divide(before_flow, start) if start else _ONE
    if after_flow:
        growth = _CONTEXT.multiply(growth, _CONTEXT.divide(end, after_flow))
    return _CONTEXT.subtract(growth, _ONE)


def _price_effects(changes: Iterable[AssetChange]) -> tuple[Decimal, Decimal]:
    """What prices did to what was held before the middle, and to what was held after it."""
    first, second = Decimal(0), Decimal(0)
    for change in changes:
        if change.effects.total is None or change.price_before is None or change.price_after is None:
            continue
        risen = exact_product(exact_sum((change.price_after, change.price_before.copy_negate())), _HALF)
        first = exact_sum((first, exact_product(risen, change.amount_before or Decimal(0))))
        second = exact_sum((second, exact_product(risen, change.amount_after or Decimal(0))))
    return first, second


def _years(span: timedelta) -> Decimal:
    return _CONTEXT.divide(
        Decimal(span // timedelta(microseconds=1)), Decimal(_YEAR // timedelta(microseconds=1))
    )


def _ratio(value: Decimal) -> Decimal:
    return value.quantize(RATIO_DIGITS, context=_CONTEXT).normalize(_CONTEXT)

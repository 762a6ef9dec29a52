"""What a snapshot does not know: carried forward by the rule, or incomplete; never booked as zero."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.history import (
    A_DOLLAR,
    BASE_ETHER,
    DAY,
    DOLLAR,
    ETHER,
    HOUR,
    T0,
    coverage,
    failure,
    holding,
    lending,
    portfolio,
    protocol_failure,
    snapshot,
)
from tests.fakes.readers import ALICE, BASE, ETHEREUM

from balance_tracker.core.ids import Address
from balance_tracker.core.nfts import Collection, NftHolding
from balance_tracker.core.positions import ProtocolFailure
from balance_tracker.core.snapshots import CARRY_FOR, LAPSE_FOR, Snapshot, SnapshotState
from balance_tracker.core.whole import OwnedCollection, WholePortfolio
from balance_tracker.services.keeping import collections_of, lines_of, networks_of
from balance_tracker.services.settling import settled

BOB = "0x0000000000000000000000000000000000000B0b"
COMPLETE, ESTIMATED, INCOMPLETE = SnapshotState.COMPLETE, SnapshotState.ESTIMATED, SnapshotState.INCOMPLETE


def taken(found: WholePortfolio, at: datetime, *earlier: Snapshot) -> Snapshot:
    """The snapshot of a portfolio, after earlier ones, the newest first."""
    fresh = replace(
        snapshot(at, addresses=found.addresses),
        lines=lines_of(found),
        networks=networks_of(found),
        collections=collections_of(found),
    )
    return settled(fresh, found.coverage, earlier)


def both(at: datetime = T0, ether: str = "1", more: str = "2", price: str | None = "2000") -> WholePortfolio:
    """Ether on two networks, all answered."""
    return portfolio(
        coverage(ETHEREUM, at=at),
        coverage(BASE, at=at),
        holdings=[holding(ETHER, ether, price, at), holding(BASE_ETHER, more, price, at)],
    )


def without_base(at: datetime, price: str = "2000", ether: str = "1") -> WholePortfolio:
    return portfolio(
        coverage(ETHEREUM, at=at), coverage(BASE, "failed"), holdings=[holding(ETHER, ether, price, at)]
    )


def test_where_everything_answered_it_is_complete() -> None:
    kept = taken(both(), T0)
    assert (kept.state, kept.total_value) == (COMPLETE, 6000)


def test_a_failed_network_without_an_earlier_snapshot_leaves_no_total() -> None:
    kept = taken(without_base(T0), T0)
    assert (kept.state, kept.total_value, kept.known_value) == (INCOMPLETE, None, 2000)
    assert [network.known for network in kept.networks] == [True, False]


def test_a_failed_network_is_carried_forward_with_its_time_and_the_new_price() -> None:
    kept = taken(without_base(T0 + HOUR, price="2100"), T0 + HOUR, taken(both(), T0))
    assert (kept.state, kept.total_value) == (ESTIMATED, 6300)
    [carried] = [line for line in kept.lines if line.read_at is not None]
    assert (carried.place.network, carried.read_at) == ("base", T0)
    assert kept.networks[1].carried_from == T0


def test_after_a_day_and_an_hour_nothing_is_carried_any_more() -> None:
    first = taken(both(), T0)
    assert taken(without_base(T0 + CARRY_FOR), T0 + CARRY_FOR, first).state is ESTIMATED
    late = T0 + CARRY_FOR + timedelta(seconds=1)
    assert taken(without_base(late), late, first).state is INCOMPLETE


def test_a_chain_of_carries_is_no_longer_than_one() -> None:
    last, states = taken(both(), T0), []
    for hours in range(1, 28):
        at = T0 + hours * HOUR
        last = taken(without_base(at), at, last)
        states.append(last.state)
        assert last.total_value == (6000 if hours <= 25 else None)
    assert states == [ESTIMATED] * 25 + [INCOMPLETE] * 2


def test_an_incomplete_snapshot_between_does_not_hide_the_one_that_knew() -> None:
    whole = taken(both(), T0)
    blind = taken(without_base(T0 + HOUR), T0 + HOUR)
    assert blind.state is INCOMPLETE
    kept = taken(without_base(T0 + 2 * HOUR), T0 + 2 * HOUR, blind, whole)
    assert (kept.state, kept.total_value) == (ESTIMATED, 6000)


def test_what_was_really_sold_is_not_resurrected() -> None:
    sold = portfolio(
        coverage(ETHEREUM), coverage(BASE, "failed"), holdings=[holding(DOLLAR, 2000, "1", T0 + HOUR)]
    )
    kept = taken(sold, T0 + HOUR, taken(both(), T0))
    assert sorted((line.place.network, line.symbol) for line in kept.lines) == [
        ("base", "ETH"),
        ("ethereum", "USDC"),
    ]


def test_an_asset_that_failed_is_carried_and_the_others_are_new() -> None:
    first = portfolio(coverage(ETHEREUM), holdings=[holding(ETHER, 1, "2000"), holding(DOLLAR, 50, "1")])
    told = coverage(ETHEREUM, "partial", failures=(failure(DOLLAR),))
    now = portfolio(told, holdings=[holding(ETHER, 3, "2000", T0 + HOUR)])
    kept = taken(now, T0 + HOUR, taken(first, T0))
    assert (kept.state, kept.total_value) == (ESTIMATED, 6050)
    assert taken(now, T0 + HOUR).state is INCOMPLETE


def test_an_asset_that_failed_and_was_not_there_before_adds_nothing_and_is_told() -> None:
    told = coverage(ETHEREUM, "partial", failures=(failure(DOLLAR),))
    first = portfolio(coverage(ETHEREUM), holdings=[holding(ETHER, 1, "2000")])
    kept = taken(portfolio(told, holdings=[holding(ETHER, 1, "2000")]), T0 + HOUR, taken(first, T0))
    assert (kept.state, kept.total_value, kept.networks[0].missing) == (ESTIMATED, 2000, 1)


def test_of_an_asset_that_failed_for_one_of_two_addresses_the_sum_of_before_stands() -> None:
    two = (ALICE, BOB)
    first = portfolio(coverage(ETHEREUM), holdings=[holding(DOLLAR, 50, "1")], addresses=two)
    told = coverage(ETHEREUM, "partial", failures=(failure(DOLLAR),))
    now = portfolio(told, holdings=[holding(DOLLAR, 20, "1")], addresses=two)
    assert taken(now, T0 + HOUR, taken(first, T0)).total_value == 50
    more = portfolio(told, holdings=[holding(DOLLAR, 70, "1")], addresses=two)
    assert taken(more, T0 + HOUR, taken(first, T0)).total_value == 70


def test_where_one_of_two_addresses_was_not_read_the_network_is_taken_from_before() -> None:
    """Such a network is partial and names no asset that failed."""
    two = (ALICE, BOB)
    first = portfolio(
        coverage(ETHEREUM), holdings=[holding(DOLLAR, 50, "1"), holding(ETHER, 2, "2000")], addresses=two
    )
    error = coverage(ETHEREUM, "failed").error
    for status in ("partial", "stale"):
        told = coverage(ETHEREUM, status, error=error)
        now = portfolio(told, holdings=[holding(DOLLAR, 20, "1", T0 + HOUR)], addresses=two)
        kept = taken(now, T0 + HOUR, taken(first, T0))
        assert (kept.state, kept.total_value) == (ESTIMATED, 4050)
        assert taken(now, T0 + HOUR).state is INCOMPLETE


@pytest.mark.parametrize("market", [None, "AaveV3Ethereum", "another name for it"])
def test_a_failed_protocol_or_market_is_carried_with_its_debts(market: str | None) -> None:
    first = portfolio(
        coverage(ETHEREUM), holdings=[holding(ETHER, 1, "2000")], positions=[lending("6000", "1")]
    )
    whole = taken(first, T0)
    assert whole.total_value == 6000
    told = coverage(ETHEREUM, "partial", protocol_failures=(protocol_failure(market=market),))
    now = portfolio(told, holdings=[holding(ETHER, 1, "3000", T0 + HOUR)])
    kept = taken(now, T0 + HOUR, whole)
    assert (kept.state, kept.total_value) == (ESTIMATED, 3000 + 6000 - 3000)
    assert taken(now, T0 + HOUR).total_value is None


def test_a_market_that_failed_does_not_bring_back_what_was_closed_in_another() -> None:
    first = portfolio(coverage(ETHEREUM), positions=[lending("10", market="one"), lending("5", market="two")])
    told = coverage(ETHEREUM, "partial", protocol_failures=(protocol_failure(market="two"),))
    assert taken(portfolio(told), T0 + HOUR, taken(first, T0)).total_value == 5


def test_the_receipt_in_the_wallet_is_not_counted_beside_the_position_that_is_carried() -> None:
    """While the protocol is not read, nothing says that the aToken stands for the position."""
    first = portfolio(coverage(ETHEREUM), positions=[lending("600")])
    told = coverage(ETHEREUM, "partial", protocol_failures=(protocol_failure(),))
    now = portfolio(told, holdings=[holding(A_DOLLAR, 600, "1", T0 + HOUR)])
    kept = taken(now, T0 + HOUR, taken(first, T0))
    assert (kept.total_value, [line.symbol for line in kept.lines]) == (600, ["USDC"])


def test_a_stale_network_is_estimated_while_it_is_near_and_its_time_is_told() -> None:
    at = T0 + DAY
    told = coverage(ETHEREUM, "stale", at=T0)
    kept = taken(portfolio(told, holdings=[holding(ETHER, 1, "2000", at)]), at)
    assert (kept.state, kept.total_value) == (ESTIMATED, 2000)
    assert (kept.networks[0].carried_from, kept.lines[0].read_at) == (T0, T0)
    late = T0 + 2 * DAY
    assert taken(portfolio(told, holdings=[holding(ETHER, 1, "2000", late)]), late).state is INCOMPLETE


def test_what_a_stale_answer_lacks_itself_is_no_zero_either() -> None:
    told = coverage(ETHEREUM, "stale", failures=(failure(DOLLAR),))
    now = portfolio(told, holdings=[holding(ETHER, 1, "2000")])
    assert taken(now, T0 + HOUR).state is INCOMPLETE
    first = portfolio(coverage(ETHEREUM), holdings=[holding(DOLLAR, 50, "1")])
    assert taken(now, T0 + HOUR, taken(first, T0)).total_value == 2050


def test_an_asset_keeps_its_old_price_for_a_day_then_there_is_no_total_until_it_is_long_gone() -> None:
    last = taken(both(), T0)
    unpriced = {"price": None}
    seen: list[tuple[SnapshotState, Decimal | None]] = []
    for days in (1, 2, 3, 8, 9):
        at = T0 + days * DAY
        last = taken(both(at, **unpriced), at, last)
        seen.append((last.state, last.total_value))
    assert seen == [
        (ESTIMATED, 6000),
        (INCOMPLETE, None),
        (INCOMPLETE, None),
        (INCOMPLETE, None),
        (COMPLETE, None),
    ]
    assert LAPSE_FOR < 9 * DAY


def test_an_asset_that_never_had_a_price_is_unpriced_and_the_snapshot_complete() -> None:
    now = portfolio(coverage(ETHEREUM), holdings=[holding(ETHER, 1, "2000"), holding(DOLLAR, 7, None)])
    kept = taken(now, T0 + HOUR, taken(now, T0))
    assert (kept.state, kept.total_value, kept.unpriced) == (COMPLETE, 2000, 1)


def test_a_carried_network_whose_price_is_too_old_has_no_total() -> None:
    first = portfolio(coverage(BASE), holdings=[holding(BASE_ETHER, 2, "2000", T0 - DAY)])
    failed = portfolio(coverage(BASE, "failed"))
    assert taken(failed, T0 + HOUR, taken(first, T0)).total_value == 4000
    assert taken(failed, T0 + 2 * HOUR, taken(first, T0)).total_value is None


def test_an_empty_network_that_failed_is_worth_nothing_and_estimated() -> None:
    kept = taken(portfolio(coverage(BASE, "failed")), T0 + HOUR, taken(portfolio(coverage(BASE)), T0))
    assert (kept.state, kept.total_value) == (ESTIMATED, 0)


def test_a_network_that_an_earlier_snapshot_did_not_ask_is_not_carried() -> None:
    only = portfolio(coverage(ETHEREUM), holdings=[holding(ETHER, 1, "2000")])
    assert taken(without_base(T0 + HOUR), T0 + HOUR, taken(only, T0)).state is INCOMPLETE


def test_a_failed_collection_is_carried_and_takes_no_total_away() -> None:
    contract = Address("0x1111111111111111111111111111111111111111")
    punks = Collection(ETHEREUM.slug, contract, "erc721", "Punks")
    owned = OwnedCollection(Address(ALICE), NftHolding(punks, 2, (), ids_complete=False))
    first = taken(portfolio(coverage(ETHEREUM), collections=[owned]), T0)
    lost = ProtocolFailure("nfts", str(contract), "timed_out", "Nothing came.")
    told = coverage(ETHEREUM, "partial", collection_failures=(lost,))
    now = portfolio(told, holdings=[holding(ETHER, 1, "2000")])
    kept = taken(now, T0 + HOUR, first)
    assert (kept.state, kept.total_value, kept.collections) == (ESTIMATED, 2000, first.collections)
    assert taken(now, T0 + HOUR).total_value == 2000


STEP = st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from(["", "e", "b", "eb", "d", "p"]))


@given(st.lists(STEP, min_size=1, max_size=40), st.sampled_from([1, 6, 13, 26]))
@settings(max_examples=150, deadline=None)
def test_no_total_lacks_a_part_unless_it_is_incomplete(
    steps: Sequence[tuple[int, int, str]], hours: int
) -> None:
    """Whatever fails when: a total is made of what every part was within the last day and an hour."""
    kept: list[Snapshot] = []
    truth: list[tuple[datetime, int, int]] = []
    for n, (ether, based, failing) in enumerate(steps):
        at = T0 + n * hours * HOUR
        truth.append((at, ether, based))
        price = None if failing == "p" else "1"
        eth = coverage(ETHEREUM, "failed" if "e" in failing else "ok", at=at)
        if failing == "d":
            eth = coverage(ETHEREUM, "partial", at=at, failures=(failure(ETHER),))
        base = coverage(BASE, "failed" if "b" in failing else "ok", at=at)
        held = [] if eth.status != "ok" or not ether else [holding(ETHER, ether, price, at)]
        held += [] if base.status != "ok" or not based else [holding(BASE_ETHER, based, price, at)]
        earlier = kept[-1:]
        if earlier and earlier[0].state is INCOMPLETE:
            earlier += [one for one in kept if one.state is not INCOMPLETE][-1:]
        last = taken(portfolio(eth, base, holdings=held), at, *earlier)
        kept.append(last)
        if last.state is COMPLETE and last.total_value is not None:
            assert last.total_value == ether + based
        if last.state is ESTIMATED and last.total_value is not None:
            recent = [(e, b) for moment, e, b in truth if at - moment <= CARRY_FOR]
            assert last.total_value in {e + b for e, _ in recent for _, b in recent}


@pytest.mark.parametrize(("then", "now"), [((ALICE, BOB), (ALICE,)), ((ALICE,), (ALICE, BOB))])
def test_what_other_addresses_had_is_not_carried(then: tuple[Address, ...], now: tuple[Address, ...]) -> None:
    first = taken(replace(both(), addresses=then), T0)
    kept = taken(replace(without_base(T0 + HOUR), addresses=now), T0 + HOUR, first)
    assert (kept.state, kept.total_value) == (INCOMPLETE, None)
    again = taken(replace(without_base(T0 + HOUR), addresses=tuple(reversed(then))), T0 + HOUR, first)
    assert (again.state, again.total_value) == (ESTIMATED, 6000)

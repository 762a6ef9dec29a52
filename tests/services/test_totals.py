"""Totals add up exactly, whatever is held, owed and unpriced: compared with whole numbers counted apart."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.readers import BASE, BLOCK, ETHEREUM, network, token

from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import Balance, Holding, NetworkCoverage, Reading
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.core.prices import Price
from balance_tracker.core.whole import WALLET, StakeTokens, ValuedLeg, ValuedPosition, WholePortfolio
from balance_tracker.services.valuation import Priced, valued
from balance_tracker.services.whole_reading import WholeAnswer
from balance_tracker.services.whole_valuing import Had, put_together, totals_of, valued_position

NETWORKS = (ETHEREUM, BASE, network("gnosis", chain_id=100))
OWNERS = [Address(f"0x{number:040x}") for number in (0xA, 0xB)]
DECIMALS = (0, 6, 18, None)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def contract(number: int) -> Address:
    return Address(f"0x{number:040X}")


def assets_of(net: Network) -> list[Asset]:
    """The coin, tokens of several decimals and one without, and tokens that stand for positions."""
    tokens = [token(net, contract(0x100 + n), f"T{n}", decimals) for n, decimals in enumerate(DECIMALS)]
    return [native_asset(net), *tokens, *(token(net, one, "R", 18) for one in RECEIPTS)]


RECEIPTS = [contract(0x200 + number) for number in range(3)]
ASSETS = {net.slug: assets_of(net) for net in NETWORKS}
PRICEABLE = sorted({asset.price_key for own in ASSETS.values() for asset in own})

amounts = st.integers(0, 10**30)
known_prices = st.one_of(
    st.none(),
    st.decimals("0", "1000000", places=8, allow_nan=False, allow_infinity=False),
)


@st.composite
def legs(draw: st.DrawFn, slug: Slug) -> tuple[Leg, ...]:
    count = draw(st.integers(0, 2))
    return tuple(
        Leg(
            draw(st.sampled_from(ASSETS[slug])),
            draw(amounts),
            receipt=draw(st.sampled_from([None, *RECEIPTS])),
        )
        for _ in range(count)
    )


@st.composite
def positions(draw: st.DrawFn, net: Network, owner: Address) -> Position:
    return Position(
        protocol="any",
        network=net.slug,
        market="Any",
        position_id="1",
        kind=draw(st.sampled_from(list(PositionKind))),
        owner=owner,
        supplied=draw(legs(net.slug)),
        borrowed=draw(legs(net.slug)),
        claimable=draw(legs(net.slug)),
    )


@st.composite
def readings(draw: st.DrawFn, net: Network, owner: Address) -> Reading:
    held = draw(st.lists(st.sampled_from(ASSETS[net.slug]), unique=True, max_size=4))
    return Reading(
        block=BLOCK,
        balances=tuple(Balance(asset, draw(amounts)) for asset in held),
        failures=(),
        endpoint="node.example",
        requests=1,
        asked=len(held),
        positions=tuple(draw(st.lists(positions(net, owner), max_size=2))),
    )


@dataclass
class Case:
    """What networks answered, and the prices of some of it."""

    answers: list[WholeAnswer]
    priced: Priced
    had: Had
    holdings: tuple[Holding, ...]
    positions: tuple[ValuedPosition, ...]

    @property
    def whole(self) -> WholePortfolio:
        networks = [answer.network.slug for answer in self.answers]
        return WholePortfolio(
            addresses=tuple(OWNERS),
            names={},
            currency="usd",
            holdings=self.holdings,
            positions=self.positions,
            collections=(),
            excluded=self.had.excluded,
            totals=totals_of(networks, self.holdings, self.positions),
            coverage=tuple(answer.coverage for answer in self.answers),
            taken_at=NOW,
        )


def covered(net: Network) -> NetworkCoverage:
    return NetworkCoverage(
        network=net.slug,
        chain_id=net.chain_id,
        status="ok",
        block=BLOCK,
        cached=False,
        stale=False,
        endpoint="node.example",
        requests=1,
        elapsed_ms=1,
        asked=1,
        answered=1,
    )


def price(key: AssetId, amount: Decimal) -> Price:
    one = Decimal(1)
    return Price(key, "usd", amount, NOW, ("fixed",), spread=Decimal(0), confidence=one, status="ok")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    nets = draw(st.lists(st.sampled_from(NETWORKS), unique_by=lambda net: net.slug, min_size=1))
    answers = [
        WholeAnswer(net, {owner: draw(readings(net, owner)) for owner in OWNERS}, covered(net))
        for net in nets
    ]
    stake_tokens: StakeTokens = draw(st.sampled_from(["position", "holding"]))
    told = {key: draw(known_prices) for key in PRICEABLE}
    priced = Priced({key: price(key, amount) for key, amount in told.items() if amount is not None})
    had = put_together(answers, stake_tokens)
    return Case(
        answers=answers,
        priced=priced,
        had=had,
        holdings=tuple(valued(balance, priced) for balance in had.balances),
        positions=tuple(valued_position(position, priced) for position in had.positions),
    )


def worth(case: Case, asset: Asset, raw_amount: int) -> Fraction | None:
    """What an amount is worth, as a fraction: counted apart from the code that is tested."""
    found = case.priced.prices.get(asset.price_key)
    if found is None or asset.decimals is None:
        return None
    return Fraction(raw_amount, 10**asset.decimals) * Fraction(found.amount)


def net_worth(case: Case, position: Position) -> Fraction | None:
    """Supplied and claimable less borrowed; unknown with any part of it, but of nothing."""
    total = Fraction(0)
    signed = [(leg, 1) for leg in (*position.supplied, *position.claimable)]
    for leg, sign in [*signed, *((leg, -1) for leg in position.borrowed)]:
        value = worth(case, leg.asset, leg.raw_amount) if leg.raw_amount else Fraction(0)
        if value is None:
            return None
        total += sign * value
    return total


def exact(value: Decimal | None) -> Fraction | None:
    return None if value is None else Fraction(value)


def total_of(values: Iterator[Decimal | None]) -> Fraction:
    return sum((Fraction(value) for value in values if value is not None), Fraction(0))


@settings(max_examples=60, deadline=None)
@given(cases())
def test_totals_by_network_kind_and_asset_add_up_to_the_total_value_exactly(case: Case) -> None:
    whole = case.whole
    total = exact(whole.total_value)
    for part in (whole.totals.by_network, whole.totals.by_kind, whole.totals.by_asset):
        assert total_of(iter(part.values())) == (total or 0)
        assert total is not None or all(value is None for value in part.values())
    assert set(whole.totals.by_network) == {answer.network.slug for answer in case.answers}


@settings(max_examples=60, deadline=None)
@given(cases())
def test_every_value_is_that_of_its_parts_with_debts_subtracted_and_unknown_where_a_part_is(
    case: Case,
) -> None:
    for one in case.positions:
        assert exact(one.net_value) == net_worth(case, one.position)
        assert all(leg.holding.balance.raw_amount == leg.leg.raw_amount for leg in every_leg(one))
    for held in case.holdings:
        assert exact(held.value) == worth(case, held.balance.asset, held.balance.raw_amount)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_the_totals_are_sums_counted_apart_and_leave_out_what_is_unpriced(case: Case) -> None:
    whole = case.whole
    by_network: dict[Slug, list[Fraction]] = defaultdict(list)
    by_kind: dict[str, list[Fraction]] = defaultdict(list)
    unpriced = 0
    entries = [
        (held.balance.asset.network, WALLET, worth(case, held.balance.asset, held.balance.raw_amount))
        for held in case.holdings
    ]
    entries += [
        (one.network, one.kind.value, net_worth(case, one)) for one in (p.position for p in case.positions)
    ]
    for slug, kind, value in entries:
        if value is None:
            unpriced += 1
        else:
            by_network[slug].append(value)
            by_kind[kind].append(value)
    assert whole.unpriced == unpriced
    for slug, told in whole.totals.by_network.items():
        assert exact(told) == (sum(by_network[slug]) if slug in by_network else None)
    for kind, told in whole.totals.by_kind.items():
        assert exact(told) == (sum(by_kind[kind]) if kind in by_kind else None)
    assert set(by_kind) <= set(whole.totals.by_kind)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_every_amount_read_is_held_or_excluded_and_never_both_nor_lost(case: Case) -> None:
    read: dict[AssetId, int] = defaultdict(int)
    for answer in case.answers:
        for reading in answer.readings.values():
            for balance in reading.balances:
                read[balance.asset.asset_id] += balance.raw_amount
    told: dict[AssetId, int] = defaultdict(int)
    for held in case.had.balances:
        told[held.asset.asset_id] += held.raw_amount
    for one in case.had.excluded:
        told[one.asset.asset_id] += one.raw_amount
    assert {key: amount for key, amount in read.items() if amount} == dict(told)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_what_stands_for_a_position_that_is_told_is_never_a_holding_of_the_same_owner(case: Case) -> None:
    for answer in case.answers:
        alone = [replaced(answer, owner) for owner in answer.readings]
        for stake_tokens in ("position", "holding"):
            for own in alone:
                had = put_together([own], stake_tokens)  # type: ignore[arg-type]
                receipts = {leg.receipt for one in had.positions for leg in plain_legs(one)}
                assert not receipts & {one.asset.contract_address for one in had.balances} - {None}


def replaced(answer: WholeAnswer, owner: Address) -> WholeAnswer:
    return WholeAnswer(answer.network, {owner: answer.readings[owner]}, answer.coverage)


def plain_legs(position: Position) -> Iterator[Leg]:
    yield from (*position.supplied, *position.borrowed, *position.claimable)


def every_leg(one: ValuedPosition) -> Iterator[ValuedLeg]:
    yield from (*one.supplied, *one.borrowed, *one.claimable)

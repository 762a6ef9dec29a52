"""What the benchmarks count does not depend on the machine, so it is tested: requests, calls, bytes."""

from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from benchmarks.arena import LIMIT, LIMIT_MULTICALL, OURS, VIEM, WEB3_BATCHES, Reading, Worker
from benchmarks.bench import KEYS, MATRIX_KEYS, chosen
from benchmarks.contenders.whole import differences
from benchmarks.goals import best_peer, fewest_requests, goals
from benchmarks.plot import growth_svg
from benchmarks.portfolio import (
    PORTFOLIO_CASES,
    PortfolioCase,
    PortfolioMeasurement,
    Turns,
    portfolio_node,
)
from benchmarks.report import page
from benchmarks.scene import Scene, bench_node
from benchmarks.simulator import Conditions, Simulator, Traffic
from benchmarks.table import as_table
from benchmarks.truth import TOKEN_COUNT, raw_amount, wrong_cells
from benchmarks.workloads import WORKLOADS, Measurement, Workload

WALLETS = 100
BALANCES = WALLETS * (1 + TOKEN_COUNT)
BY_KEY = {workload.key: workload for workload in WORKLOADS}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with bench_node(WALLETS) as node:
        yield node


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as one:
        yield one


@pytest.fixture(scope="module")
def measurement(scene: Scene, simulator: Simulator) -> Iterator[Measurement]:
    with Measurement(scene, simulator, quick=True) as one:
        yield one


@pytest.fixture(scope="module")
def ours() -> Iterator[Worker]:
    with Worker(OURS) as worker:
        yield worker


@pytest.fixture(scope="module")
def portfolio(simulator: Simulator) -> Iterator[PortfolioMeasurement]:
    with portfolio_node() as node, PortfolioMeasurement(node, simulator, quick=True) as one:
        yield one


def counted(
    scene: Scene,
    simulator: Simulator,
    worker: Worker,
    conditions: Conditions | None = None,
    *,
    wallets: int = WALLETS,
    warm_reads: int = 1,
) -> Traffic:
    """What one read of right numbers costs."""
    endpoint = simulator.open(scene.url, conditions)
    try:
        worker.open([endpoint.url])
        for _ in range(warm_reads):
            assert worker.read(wallets, TOKEN_COUNT).is_right
        endpoint.reset()
        reading = worker.read(wallets, TOKEN_COUNT)
        assert reading.is_right, reading
        return endpoint.traffic()
    finally:
        endpoint.close()


def row(name: str, ms: float, *, right: bool = True) -> dict[str, object]:
    if not right:
        return {"name": name, "right": False, "failure": "1 numbers are wrong"}
    counts = {"requests": 1, "calls": 1, "too_many": 0, "bytes_up": 610, "bytes_down": 610, "refused": 0}
    return {"name": name, "right": True, "ms": ms, "cpu_ms": ms, "growth_mib": None, "reads": 1, **counts}


DOCUMENT = {
    "meta": {
        "program": "balance-tracker",
        "python": "3.12",
        "system": "Linux",
        "cores": 2,
        "date": "2026-11-24",
        "seconds": 1,
    },
    "cases": [
        {
            "key": "W1",
            "title": "one wallet",
            "balances": 61,
            "conditions": None,
            "limit": LIMIT,
            "rows": [
                row(OURS, 2.0),
                row(LIMIT, 1.0),
                row("multicall (pip)", 12.0),
                row(VIEM, 1.0, right=False),
            ],
        }
    ],
    "growth": {
        "wallets": [{"wallets": count, "tokens": 60, "ms": {OURS: float(count)}} for count in (1, 10)],
        "tokens": [{"wallets": 100, "tokens": count, "ms": {OURS: float(count)}} for count in (1, 60)],
    },
}


def test_a_contender_that_answers_wrong_is_shown_as_wrong_and_is_no_peer_to_beat() -> None:
    case = DOCUMENT["cases"][0]
    assert best_peer(case)["name"] == "multicall (pip)"
    assert "wrong: 1 numbers are wrong" in as_table(DOCUMENT)
    assert f"| {VIEM} | wrong: 1 numbers are wrong |" in page(DOCUMENT)


def test_goals_are_met_or_missed_by_the_ratios_of_the_run() -> None:
    found = {goal.name: (goal.measured, goal.met) for goal in goals(DOCUMENT)}
    assert found == {"W1: best peer": ("6.0x", True), "W1: limit": ("2.00x", False)}
    assert "Missed: W1: limit." in page(DOCUMENT)


def test_the_plot_is_well_formed_and_shows_every_point() -> None:
    drawn = ElementTree.fromstring(growth_svg(DOCUMENT["growth"]))
    assert sum(element.tag.endswith("circle") for element in drawn.iter()) == 4


def test_about_half_of_the_balances_are_zero_and_a_wrong_one_is_seen() -> None:
    rows = [[raw_amount(wallet, column) for column in range(1 + TOKEN_COUNT)] for wallet in range(WALLETS)]
    zeros = sum(value == 0 for row in rows for value in row)
    assert 0.45 <= zeros / BALANCES <= 0.55
    assert wrong_cells(rows, WALLETS, TOKEN_COUNT) == 0
    rows[3][5] += 1
    assert wrong_cells(rows, WALLETS, TOKEN_COUNT) == 1
    assert wrong_cells(rows[:-1], WALLETS, TOKEN_COUNT) == 1 + 1 + TOKEN_COUNT


def test_a_part_is_measured_alone_and_needs_only_its_own_node() -> None:
    assert chosen("portfolio, portfolio nothing") == {"portfolio", "portfolio nothing"}
    assert not chosen("portfolio").intersection(MATRIX_KEYS)
    assert chosen("") == frozenset(KEYS)
    with pytest.raises(SystemExit, match="no benchmark W9"):
        chosen("W9")


def test_facts_that_two_portfolios_tell_differently_are_counted_and_so_are_those_of_only_one() -> None:
    mine = {"block": 5, "balances": {"native": 1, "0xa": 2}, "aave": {"supplied": {"0xb": [7, True]}}}
    assert differences(mine, mine) == 0
    assert differences(mine, {**mine, "block": 6}) == 1
    assert differences(mine, {**mine, "balances": {"native": 1, "0xc": 2}}) == 2
    assert differences(mine, {**mine, "aave": {"supplied": {"0xb": [7, False]}}}) == 1
    assert differences(mine, {}) == 4


def test_a_portfolio_that_is_not_what_web3_py_reads_is_wrong() -> None:
    turns = Turns(PORTFOLIO_CASES[0])
    reading, truth = Reading((0.1,), 0.1, 0, 0.0), {"block": 5, "balances": {"native": 1}}
    assert not turns.judged(OURS, reading, truth).is_right  # nothing to compare with yet
    assert turns.judged(WEB3_BATCHES, reading, truth).is_right
    assert turns.judged(OURS, reading, truth).is_right
    assert turns.judged(OURS, reading, {**truth, "balances": {"native": 2}}).wrong == 1
    assert turns.judged(WEB3_BATCHES, reading, {**truth, "block": 6}).wrong == 1


@pytest.mark.integration
def test_one_wallet_and_its_list_is_one_small_request(
    scene: Scene, simulator: Simulator, ours: Worker
) -> None:
    first = counted(scene, simulator, ours, wallets=1, warm_reads=0)
    warm = counted(scene, simulator, ours, wallets=1)
    assert first.requests == warm.requests == warm.connections + 1 == 1
    assert warm.calls <= 2
    assert warm.body_up + warm.body_down < 10_000


@pytest.mark.integration
def test_a_hundred_wallets_are_one_request_of_at_most_twelve_bytes_a_balance(
    scene: Scene, simulator: Simulator, ours: Worker
) -> None:
    traffic = counted(scene, simulator, ours)
    assert traffic.requests == 1
    assert (traffic.bytes_up + traffic.bytes_down) / BALANCES <= 12


@pytest.mark.integration
def test_an_endpoint_of_ten_requests_a_second_sees_one_and_refuses_none(
    scene: Scene, simulator: Simulator, ours: Worker
) -> None:
    traffic = counted(scene, simulator, ours, BY_KEY["W5"].conditions)
    assert (traffic.requests, traffic.too_many, traffic.refused) == (1, 0, 0)


@pytest.mark.integration
@pytest.mark.parametrize("key", ["W2 small", "W2 small multicall"])
def test_a_small_endpoint_gets_the_fewest_requests_that_its_caps_allow(
    scene: Scene, simulator: Simulator, ours: Worker, key: str
) -> None:
    workload = BY_KEY[key]
    traffic = counted(scene, simulator, ours, workload.conditions)
    document = {"conditions": {"gas": 30_000_000, "body_bytes": 1_000_000}, "balances": BALANCES}
    assert traffic.requests == fewest_requests({**document, "limit": workload.form})
    assert traffic.refused == 0


@pytest.mark.integration
def test_where_only_multicall_works_the_scanner_is_not_tried_again_with_each_read(
    scene: Scene, simulator: Simulator, ours: Worker
) -> None:
    traffic = counted(scene, simulator, ours, BY_KEY["W2 multicall"].conditions, warm_reads=2)
    assert traffic.refused == 0
    assert traffic.bytes_up + traffic.bytes_down < 800 * BALANCES


@pytest.mark.integration
def test_ours_and_both_limits_read_the_same_and_are_counted(measurement: Measurement) -> None:
    contenders = (OURS, LIMIT, LIMIT_MULTICALL)
    case = measurement.measure(replace(BY_KEY["W2"], contenders=contenders, rounds=1)).as_document()
    assert [entry["name"] for entry in case["rows"]] == list(contenders)
    assert all(entry["right"] for entry in case["rows"]), case["rows"]
    assert [entry["requests"] for entry in case["rows"][:2]] == [1, 1]
    assert {goal.name for goal in goals({"cases": [case]})} == {"W2: limit"}


@pytest.mark.integration
def test_a_wallet_that_the_node_does_not_have_makes_an_answer_wrong(measurement: Measurement) -> None:
    """The check is real: the scene has 100 wallets, and the formula of the 101st is not what is there."""
    workload = Workload("more", "", WALLETS + 1, (OURS,), rounds=1)
    score = measurement.measure_times(workload).scores[OURS]
    assert not score.is_right
    assert 10 < score.readings[0].wrong <= 1 + TOKEN_COUNT


@pytest.mark.integration
@pytest.mark.parametrize("case", [PORTFOLIO_CASES[0], PORTFOLIO_CASES[-1]], ids=lambda case: case.key)
def test_a_whole_portfolio_takes_the_fewest_requests_and_is_what_web3_py_reads(
    portfolio: PortfolioMeasurement, case: PortfolioCase
) -> None:
    document = portfolio.measure(case, (WEB3_BATCHES, OURS, LIMIT))
    ours, limit, peer = document["rows"]
    assert [entry["name"] for entry in document["rows"]] == [OURS, LIMIT, WEB3_BATCHES]
    assert all(entry["right"] for entry in document["rows"]), document["rows"]
    assert document["balances"] > 120
    assert ours["requests"] == limit["requests"] == document["fewest"] < peer["requests"]
    [goal] = goals({"cases": [document]})
    assert (goal.name, goal.met) == (f"{case.key}: requests", True)

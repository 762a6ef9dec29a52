"""Every way to fail, tried alone and beside a healthy endpoint."""

import asyncio
import json
import logging
import resource
import time
import traceback
from collections.abc import Iterable, Iterator

import pytest
from tests.fakes.bad_endpoint import SECRETS, BadEndpoint
from tests.fakes.faults import BLOCKS_BEHIND, FAULTS
from tests.faults.scene import (
    DEADLINE_SECONDS,
    GRACE_SECONDS,
    OWNER,
    TOKENS,
    Scene,
    ask,
    coverage_of,
    known,
)

from balance_tracker import BalanceReader
from balance_tracker.bootstrap import Tracker
from balance_tracker.core.errors import TrackerError
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.services.serialise import network_json, portfolio_json
from balance_tracker.telemetry.logging import configure
from balance_tracker.telemetry.metrics import METRICS

pytestmark = pytest.mark.integration

every_fault = pytest.mark.parametrize("name", FAULTS)


def bad(name: str, stage: Scene) -> BadEndpoint:
    return BadEndpoint(FAULTS[name], stage.node.url, stage.other.url)


@pytest.fixture(autouse=True)
def _every_line_is_logged() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("balance_tracker", "uvicorn", "uvicorn.error", "asyncio")]
    before = [(logger.handlers[:], logger.level) for logger in loggers]
    configure("json", "debug")
    yield
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = True


def assert_no_secret(texts: Iterable[str]) -> None:
    for text in texts:
        shown = [secret for secret in SECRETS if secret in text]
        assert not shown, f"{shown} in {text[:500]}"


def everything_said(tracker: Tracker, portfolio: Portfolio) -> list[str]:
    """All that leaves the process but the log: the answer, the health of endpoints, the metrics."""
    views = tracker.networks()
    health = [network_json(view.network, view.tokens, list(view.endpoints)) for view in views]
    return [
        json.dumps(portfolio_json(portfolio)),
        json.dumps(health),
        METRICS.exposition().decode(),
        repr(portfolio),
        repr(tracker.settings),
    ]


def assert_honest(portfolio: Portfolio, stage: Scene) -> None:
    """What is shown is right at its block, and what is not shown is listed as failed."""
    coverage = coverage_of(portfolio)
    balances = known(portfolio)
    unknown = {
        address.lower() if (address := failure.asset.contract_address) else None
        for failure in coverage.failures
    }
    assert coverage.answered + len(coverage.failures) == coverage.asked == 1 + len(TOKENS)
    assert balances.keys() | unknown == {None, *TOKENS}
    assert not balances.keys() & unknown
    if coverage.status == "failed":
        assert coverage.block is None
        assert coverage.error is not None
        assert not balances
        return
    assert coverage.block is not None
    truth = stage.truth(coverage.block.number)
    assert balances == {address: truth[address] for address in balances}
    header = stage.node.client.call("eth_getBlockByNumber", hex(coverage.block.number), False)
    assert coverage.block.hash == header["hash"]
    assert coverage.block.timestamp == int(header["timestamp"], 16)


@every_fault
async def test_alone_a_fault_is_told_and_never_a_zero(
    name: str, stage: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    async with bad(name, stage) as endpoint, Tracker(stage.settings(endpoint.url)) as tracker:
        started = time.monotonic()
        portfolio = await ask(tracker)
        elapsed = time.monotonic() - started
        said = everything_said(tracker, portfolio)
    coverage = coverage_of(portfolio)
    assert coverage.status in endpoint.fault.alone, coverage
    assert portfolio.complete == (coverage.status == "ok")
    assert_honest(portfolio, stage)
    assert elapsed < DEADLINE_SECONDS + GRACE_SECONDS
    assert endpoint.counts.requests <= endpoint.fault.most_requests
    assert endpoint.canary.connections == 0
    assert_no_secret([*said, *capfd.readouterr()])


@every_fault
async def test_beside_a_healthy_endpoint_the_answer_is_complete_and_right(
    name: str, stage: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    async with bad(name, stage) as endpoint, Tracker(stage.settings(endpoint.url, stage.node.url)) as tracker:
        started = time.monotonic()
        portfolio = await ask(tracker)
        elapsed = time.monotonic() - started
        said = everything_said(tracker, portfolio)
    coverage = coverage_of(portfolio)
    assert coverage.status == "ok", coverage
    assert portfolio.complete
    assert_honest(portfolio, stage)
    assert elapsed < DEADLINE_SECONDS + GRACE_SECONDS
    assert endpoint.counts.requests <= endpoint.fault.most_requests
    assert endpoint.canary.connections == 0
    assert_no_secret([*said, *capfd.readouterr()])


@every_fault
async def test_a_bad_endpoint_is_not_asked_again_and_again(name: str, stage: Scene) -> None:
    """Ten reads in a row: it is left to rest, and the healthy one answers alone."""
    async with bad(name, stage) as endpoint, Tracker(stage.settings(endpoint.url, stage.node.url)) as tracker:
        portfolios = [await ask(tracker) for _ in range(10)]
        requests = endpoint.counts.requests
    assert all(portfolio.complete for portfolio in portfolios)
    if "ok" not in endpoint.fault.alone:
        assert requests <= endpoint.fault.most_requests + 2


@every_fault
async def test_the_hot_path_raises_or_marks_what_it_does_not_know(name: str, stage: Scene) -> None:
    async with bad(name, stage) as endpoint:
        reader = BalanceReader([endpoint.url], chain_id=8453, deadline_seconds=1.5)
        try:
            async with asyncio.timeout(1.5 + GRACE_SECONDS), reader:
                matrix = await reader.read([OWNER], TOKENS)
        except TrackerError as error:
            assert_no_secret(["".join(traceback.format_exception(error)), repr(error.__dict__)])
            return
    truth = stage.truth(matrix.block.number)
    expected = [truth[address] for address in (None, *TOKENS)]
    failed = {column + 1 for _, column, _ in matrix.failures}
    assert [value is None for value in matrix.rows[0]] == [place in failed for place in range(len(expected))]
    assert all(value in (None, right) for value, right in zip(matrix.rows[0], expected, strict=True))
    assert_no_secret([repr(matrix)])


def test_there_are_at_least_as_many_faults_as_promised() -> None:
    assert len(FAULTS) >= 28


async def test_a_stale_endpoint_is_not_asked_for_the_latest_once_it_is_known(stage: Scene) -> None:
    async with (
        bad("stale_head", stage) as endpoint,
        Tracker(stage.settings(endpoint.url, stage.node.url)) as tracker,
    ):
        await tracker.probe()
        asked = endpoint.counts.requests
        portfolio = await ask(tracker)
        states = {view.name: view.state for view in tracker.network("base").endpoints}
    coverage = coverage_of(portfolio)
    assert coverage.block is not None
    assert coverage.block.number == stage.head()
    assert endpoint.counts.requests == asked
    assert "stale" in states.values()


async def test_a_network_never_goes_back_to_an_older_block(stage: Scene) -> None:
    """The fresh endpoint answers first and then breaks; the stale one is not "latest" in its place."""
    async with (
        bad("stale_head", stage) as stale,
        bad("flapping", stage) as flapping,
        Tracker(stage.settings(flapping.url, stale.url)) as tracker,
    ):
        await tracker.probe()
        portfolios = [await ask(tracker) for _ in range(3)]
    blocks = [entry.block.number for p in portfolios if (entry := coverage_of(p)).block is not None]
    assert blocks == sorted(blocks)
    for portfolio in portfolios:
        assert_honest(portfolio, stage)


async def test_alone_a_stale_endpoint_says_how_old_its_block_is(stage: Scene) -> None:
    async with bad("stale_head", stage) as endpoint, Tracker(stage.settings(endpoint.url)) as tracker:
        coverage = coverage_of(await ask(tracker))
    assert coverage.block is not None
    assert coverage.block.number == stage.head() - BLOCKS_BEHIND


async def test_state_that_an_endpoint_no_longer_has_is_an_error_and_not_zeros(stage: Scene) -> None:
    async with bad("pruned_state", stage) as endpoint, Tracker(stage.settings(endpoint.url)) as tracker:
        portfolio = await ask(tracker, at=stage.head() - 40)
    coverage = coverage_of(portfolio)
    assert coverage.status == "failed"
    assert coverage.error is not None
    assert coverage.error.code == "history_unavailable"
    assert {failure.code for failure in coverage.failures} == {"history_unavailable"}
    assert not portfolio.holdings


async def test_history_is_read_from_the_endpoint_that_has_it(stage: Scene) -> None:
    block = stage.head() - 40
    async with (
        bad("pruned_state", stage) as endpoint,
        Tracker(stage.settings(endpoint.url, stage.node.url)) as tracker,
    ):
        portfolio = await ask(tracker, at=block)
    coverage = coverage_of(portfolio)
    assert coverage.status == "ok"
    assert coverage.block is not None
    assert coverage.block.number == block
    assert_honest(portfolio, stage)


async def test_an_endpoint_of_another_chain_is_named_as_such(stage: Scene) -> None:
    async with bad("wrong_chain", stage) as endpoint, Tracker(stage.settings(endpoint.url)) as tracker:
        coverage = coverage_of(await ask(tracker))
        states = [view.state for view in tracker.network("base").endpoints]
    assert coverage.error is not None
    assert coverage.error.code == "wrong_chain"
    assert states == ["wrong_chain"]


@pytest.mark.parametrize(
    "name",
    ["rate_limited_429_retry_after", "rate_limited_429_http_date", "unavailable_503_retry_after"],
)
async def test_an_endpoint_that_asks_for_a_pause_gets_it(name: str, stage: Scene) -> None:
    async with bad(name, stage) as endpoint, Tracker(stage.settings(endpoint.url)) as tracker:
        await ask(tracker)
        asked = endpoint.counts.requests
        for _ in range(3):
            coverage = coverage_of(await ask(tracker))
        (view,) = tracker.network("base").endpoints
    assert endpoint.counts.requests == asked
    assert coverage.status == "failed"
    assert view.retry_in_seconds is not None
    assert 25 <= view.retry_in_seconds <= 30


async def test_a_limit_of_batches_is_not_even_met(stage: Scene) -> None:
    async with bad("batch_limit_3", stage) as endpoint, Tracker(stage.settings(endpoint.url)) as tracker:
        for asked in (1, 2):
            assert (await ask(tracker)).complete
            assert endpoint.counts.requests == asked


async def test_a_bomb_does_not_fill_the_memory(stage: Scene) -> None:
    async with bad("gzip_bomb", stage) as endpoint, Tracker(stage.settings(endpoint.url)) as tracker:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await ask(tracker)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 100 * 1024


async def test_the_last_good_answer_is_shown_as_stale_when_the_endpoint_breaks(stage: Scene) -> None:
    """Two reads of a flapping endpoint: it is good the second time, bad the third."""
    async with bad("flapping", stage) as flapping:
        settings = stage.settings(flapping.url, ttl_seconds=0.05)
        async with Tracker(settings) as tracker:
            answers = []
            for _ in range(3):
                answers.append(coverage_of(await ask(tracker)))
                await asyncio.sleep(0.06)
    assert [answer.status for answer in answers] == ["failed", "ok", "stale"]
    assert answers[2].stale
    assert answers[2].block == answers[1].block

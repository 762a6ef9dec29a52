"""Endpoints over WebSocket: good ones, and bad ones alone and beside a healthy endpoint."""

import asyncio
import json
import time

import pytest
from tests.fakes.bad_endpoint import SECRETS
from tests.fakes.bad_socket import HARMLESS, SOCKET_FAULTS, BadSocket
from tests.faults.scene import DEADLINE_SECONDS, GRACE_SECONDS, Scene, ask, coverage_of, known

from balance_tracker.bootstrap import Tracker
from balance_tracker.services.serialise import portfolio_json

pytestmark = pytest.mark.integration

FAULTS = [name for name in SOCKET_FAULTS if name not in HARMLESS]
MOST_QUESTIONS = 2


@pytest.mark.parametrize("name", HARMLESS)
async def test_a_socket_answers_as_http_does(name: str, stage: Scene) -> None:
    async with BadSocket(stage.node.url, name) as socket, Tracker(stage.settings(socket.url)) as tracker:
        portfolios = await asyncio.gather(*(ask(tracker) for _ in range(5)))
    for portfolio in portfolios:
        assert portfolio.complete
        assert known(portfolio) == stage.truth(stage.head())
    assert socket.connections == 1


async def test_the_nodes_own_socket_answers(stage: Scene) -> None:
    url = stage.node.url.replace("http://", "ws://")
    async with Tracker(stage.settings(url)) as tracker:
        portfolio = await ask(tracker)
    assert portfolio.complete
    assert known(portfolio) == stage.truth(stage.head())
    assert coverage_of(portfolio).requests == 1


@pytest.mark.parametrize("name", FAULTS)
async def test_a_bad_socket_alone_fails_in_time_and_shows_no_key(
    name: str, stage: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    async with BadSocket(stage.node.url, name) as socket, Tracker(stage.settings(socket.url)) as tracker:
        started = time.monotonic()
        portfolio = await ask(tracker)
        elapsed = time.monotonic() - started
    coverage = coverage_of(portfolio)
    assert coverage.status == "failed"
    assert coverage.block is None
    assert not portfolio.holdings
    assert elapsed < DEADLINE_SECONDS + GRACE_SECONDS
    assert socket.questions <= MOST_QUESTIONS
    assert socket.connections <= MOST_QUESTIONS
    said = json.dumps(portfolio_json(portfolio)) + "".join(capfd.readouterr())
    assert not [secret for secret in SECRETS if secret in said]


@pytest.mark.parametrize("name", FAULTS)
async def test_beside_a_bad_socket_the_healthy_endpoint_answers(name: str, stage: Scene) -> None:
    async with (
        BadSocket(stage.node.url, name) as socket,
        Tracker(stage.settings(socket.url, stage.node.url)) as tracker,
    ):
        portfolio = await ask(tracker)
    assert portfolio.complete
    assert known(portfolio) == stage.truth(stage.head())


async def test_a_socket_that_was_closed_meanwhile_is_opened_again(stage: Scene) -> None:
    async with BadSocket(stage.node.url) as socket, Tracker(stage.settings(socket.url)) as tracker:
        assert (await ask(tracker)).complete
        socket.fault = "hangs_up"
        assert coverage_of(await ask(tracker)).status == "failed"
        socket.fault = None
        assert (await ask(tracker)).complete
    assert socket.connections == 2

"""The demo: complete portfolios from real local nodes, and nothing left behind however it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from balance_tracker.core.errors import ConfigurationError
from balance_tracker.core.portfolio import FailureCode, Portfolio
from balance_tracker.core.whole import WholePortfolio
from balance_tracker.demo.networks import to_raw_amount
from balance_tracker.demo.run import Shown, rpc_variable, run_demo
from balance_tracker.demo.stories import TRAP, TREASURY, TREASURY_NAME, WALLETS, Wallet

pytestmark = pytest.mark.integration

HOST = "127.0.0.1"
DEMO_SLUGS = {"ethereum", "base", "polygon", "arbitrum", "solana"}


async def never_served(host: str, port: int) -> None:
    raise AssertionError("it was asked to serve")


@pytest.fixture(scope="module")
def portfolios() -> dict[str, Shown]:
    shown: dict[str, Shown] = {}

    def show(wallet: Wallet, portfolio: Shown) -> None:
        shown[wallet.title] = portfolio

    before = dict(os.environ)
    run_demo(once=True, host=HOST, port=0, show=show, serve=never_served, say=lambda line: None)
    assert dict(os.environ) == before
    return shown


def amounts(portfolio: Shown, network: str) -> dict[str | None, Decimal | None]:
    return {
        holding.balance.asset.symbol: holding.balance.amount
        for holding in portfolio.holdings
        if holding.balance.asset.network == network
    }


def test_every_wallet_is_shown_and_every_network_answers(portfolios: dict[str, Shown]) -> None:
    assert list(portfolios) == [wallet.title for wallet in WALLETS]
    asked = {entry.network for portfolio in portfolios.values() for entry in portfolio.coverage}
    assert asked == DEMO_SLUGS
    incomplete = [title for title, portfolio in portfolios.items() if not portfolio.complete]
    assert incomplete == ["A spammed wallet"]


def test_the_treasury_has_its_name_and_what_it_did_not_pay_away(portfolios: dict[str, Shown]) -> None:
    treasury = portfolios["A treasury"]
    assert isinstance(treasury, WholePortfolio)
    assert dict(treasury.names) == {TREASURY: TREASURY_NAME}
    ethereum = amounts(treasury, "ethereum")
    assert ethereum["ETH"] == Decimal("1250.5")
    assert ethereum["USDT"] == Decimal(1_100_000 - 25_000)
    assert ethereum["DAI"] == Decimal(900_000 - 50)
    assert amounts(treasury, "polygon")["USDC"] == Decimal("73499.5")


def test_the_trader_has_what_was_paid_and_dust_is_not_zero(portfolios: dict[str, Shown]) -> None:
    trader = portfolios["A trader"]
    assert amounts(trader, "arbitrum")["USDC"] == Decimal(12_000)
    assert amounts(trader, "arbitrum")["ARB"] == Decimal(9_000 - 1_000)
    assert amounts(trader, "ethereum")["LDO"] == Decimal("1E-18")


def test_the_spammed_wallet_shows_no_advert_and_says_what_reverted(portfolios: dict[str, Shown]) -> None:
    spammed = portfolios["A spammed wallet"]
    assert isinstance(spammed, Portfolio)
    assert set(amounts(spammed, "ethereum")) == {"ETH", "USDC", "DAI", "GARDEN"}
    assert [excluded.reason for excluded in spammed.excluded] == ["spam"]
    failures = [failure for entry in spammed.coverage for failure in entry.failures]
    assert [(failure.asset.contract_address, failure.code) for failure in failures] == [
        (TRAP, FailureCode.REVERTED)
    ]


def test_a_network_with_nothing_but_tokens_is_read_in_one_request_and_none_in_more_than_four(
    portfolios: dict[str, Shown],
) -> None:
    requests = {entry.network: entry.requests for entry in portfolios["A trader"].coverage}
    assert requests["base"] == requests["polygon"] == 1
    assert max(requests.values()) <= 4


def test_a_taken_port_is_told_before_anything_starts() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            run_demo(once=False, host=HOST, port=port, show=lambda *_: None, serve=never_served)
    assert str(port) in caught.value.message
    assert caught.value.hint == "Choose another --port."


def test_an_amount_finer_than_its_asset_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 6 decimals"):
        to_raw_amount("0.0000001", 6)


@contextmanager
def served_demo() -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "balance_tracker", "demo", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process, f"http://{HOST}:{port}"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def get(url: str, seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except OSError:
            assert time.monotonic() < end, "the demo did not serve in time"
            time.sleep(0.1)


def listens(endpoint: str) -> bool:
    host, _, port = endpoint.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_served_demo_answers_and_leaves_nothing_when_it_is_stopped(number: signal.Signals) -> None:
    with served_demo() as (process, url):
        answer = get(f"{url}/portfolio?address={TREASURY_NAME}")
        endpoints = [entry["endpoint"] for entry in answer["coverage"]]
        assert answer["complete"]
        assert {one["protocol"] for one in answer["positions"]} == {"aave_v3", "uniswap_v2", "uniswap_v3"}
        assert len(answer["collections"]) == 3
        assert all(listens(endpoint) for endpoint in endpoints)
        process.send_signal(number)
        assert process.wait(20) == 0
        assert not any(listens(endpoint) for endpoint in endpoints)


def test_a_demo_stopped_before_it_is_ready_ends_with_the_signal_s_code() -> None:
    with served_demo() as (process, _):
        time.sleep(1.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in {0, 128 + signal.SIGTERM, -signal.SIGTERM}


def test_endpoints_are_named_like_an_operator_would() -> None:
    assert rpc_variable(WALLETS[-1].networks[0] if WALLETS[-1].networks else "solana") == "TRACKER_RPC_SOLANA"

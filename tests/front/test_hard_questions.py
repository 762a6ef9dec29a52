"""What a user may ask and an endpoint may answer that once brought a whole network down."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.conftest import OpenGateway
from tests.nodes.token_zoo import Zoo

from balance_tracker import Tracker
from balance_tracker.core.errors import InputError
from balance_tracker.core.portfolio import FailureCode, Portfolio
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.settings import Settings

pytestmark = pytest.mark.integration


def settings_for(url: str, data_dir: Path, deadline_seconds: float = 15) -> Settings:
    return Settings(
        networks=("ethereum",),
        rpc={"ethereum": (url,)},
        data_dir=data_dir,
        deadline_seconds=deadline_seconds,
    )


def failed(portfolio: Portfolio) -> dict[str | None, FailureCode]:
    return {failure.asset.contract_address: failure.code for failure in portfolio.coverage[0].failures}


async def test_bad_tokens_asked_first_thing_do_not_end_their_network(
    node: AnvilNode, zoo: Zoo, tmp_path: Path
) -> None:
    names = ("plain", "reverts", "no_decimals", "loops_forever", "eoa", "only_events", "blob_texts")
    async with Tracker(settings_for(node.url, tmp_path)) as tracker:
        portfolio = await tracker.portfolio(zoo.owner, tokens=[zoo[name].address for name in names])
    codes = failed(portfolio)
    assert codes[zoo["loops_forever"].address] is FailureCode.OUT_OF_GAS
    assert codes[zoo["reverts"].address] is FailureCode.REVERTED
    held = {
        holding.balance.asset.contract_address: holding.balance.raw_amount for holding in portfolio.holdings
    }
    assert held[zoo["plain"].address] == zoo["plain"].value
    assert held[zoo["no_decimals"].address] == 99


async def test_a_question_about_the_future_does_not_make_a_healthy_endpoint_rest(
    node: AnvilNode, zoo: Zoo, tmp_path: Path
) -> None:
    async with Tracker(settings_for(node.url, tmp_path)) as tracker:
        for _ in range(3):
            with pytest.raises(InputError) as caught:
                await tracker.portfolio(zoo.owner, at=10**9)
            assert caught.value.code == "invalid_at"
        assert tracker.readiness().ready
        assert tracker.network("ethereum").endpoints[0].failures == 0


async def test_the_only_endpoint_has_all_the_time_there_is(
    node: AnvilNode, zoo: Zoo, tmp_path: Path, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(node.url, delay_seconds=1.2)
    started = time.monotonic()
    async with asyncio.timeout(10), Tracker(settings_for(gateway.url, tmp_path, 2)) as tracker:
        portfolio = await tracker.portfolio(zoo.owner)
    assert time.monotonic() - started < 4
    assert portfolio.coverage[0].status == "partial"
    assert portfolio.coverage[0].block is not None

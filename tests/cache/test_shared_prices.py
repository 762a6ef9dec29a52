"""Prices decided by one process are those of all: over one real Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from tests.cache.conftest import PATIENT_SECONDS, Until
from tests.cache.redis_server import RedisServer, age_all
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import ETHEREUM, USDC, token
from tests.fakes.service import NOW, Clock

from balance_tracker.cache.board import LOCK_SECONDS, Board
from balance_tracker.cache.redis_client import RedisClient
from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.prices import Currency
from balance_tracker.services.price_sharing import Decision
from balance_tracker.services.pricing import PriceService

pytestmark = pytest.mark.integration

ETHER = native_asset(ETHEREUM)
DOLLAR = token(ETHEREUM, USDC, "USDC")
AMOUNTS = {ETHER.price_key: "3000", DOLLAR.price_key: "1.0001", "swift:0/iso4217:EUR": "1.1"}


class Process:
    """The prices of one process."""

    def __init__(self, service: PriceService, source: ScriptedSource, clock: Clock, board: Board) -> None:
        self.service = service
        self.source = source
        self.clock = clock
        self.board = board

    async def ask(self, *assets: Asset, currency: Currency = "usd", seconds: float = 8) -> dict[str, str]:
        deadline = asyncio.get_running_loop().time() + seconds
        prices = await self.service.prices(assets, currency, deadline)
        return {key: str(price.amount) for key, price in prices.items()}


type OpenProcess = Callable[..., Awaitable[Process]]


@pytest.fixture
async def open_process(server: RedisServer) -> AsyncIterator[OpenProcess]:
    async with AsyncExitStack() as stack:

        async def opened(delay_seconds: float = 0.0, ttl_seconds: float = 300) -> Process:
            client = RedisClient(server.url, command_seconds=PATIENT_SECONDS)
            board = Board("prices", await stack.enter_async_context(client), "same")
            source, clock = ScriptedSource(amounts=dict(AMOUNTS), delay_seconds=delay_seconds), Clock()
            service = PriceService(
                [source], ttl_seconds=ttl_seconds, board=board, clock=clock, now=lambda: NOW
            )
            return Process(await stack.enter_async_context(service), source, clock, board)

        yield opened


async def test_what_one_process_decided_the_others_do_not_ask_for(open_process: OpenProcess) -> None:
    one, two = await open_process(), await open_process()
    first = await one.ask(ETHER, DOLLAR)
    assert first == {ETHER.price_key: "3000", DOLLAR.price_key: "1.0001"}
    assert await two.ask(DOLLAR, ETHER) == first
    assert two.source.asked == []
    assert two.service.state == "ok"
    assert await two.ask(ETHER, currency="eur") == await one.ask(ETHER, currency="eur")
    assert [len(process.source.asked) for process in (one, two)] == [1, 1]


async def test_processes_that_ask_at_once_ask_the_sources_once(open_process: OpenProcess) -> None:
    processes = [await open_process(delay_seconds=0.3) for _ in range(4)]
    answers = await asyncio.gather(*(process.ask(ETHER, DOLLAR) for process in processes))
    assert all(answer == answers[0] and len(answer) == 2 for answer in answers)
    assert sum(len(process.source.asked) for process in processes) == 1


async def test_a_price_is_as_old_as_it_is_and_asked_for_again_when_it_is_due(
    open_process: OpenProcess, until: Until
) -> None:
    one, two = await open_process(), await open_process()
    await one.ask(ETHER)
    one.clock.now += 200
    await one.service._sharing.tell([ETHER.price_key])
    await two.ask(ETHER)
    assert 200 <= two.service._shelf.price(ETHER.price_key).age_seconds < 202  # type: ignore[union-attr]
    assert 98 < (two.service.fresh_for([ETHER], "usd") or 0) <= 100
    two.clock.now += 101
    await age_all(two.board._client, 101)
    two.source.amounts[ETHER.price_key] = "3010"
    await two.ask(ETHER)
    await until(lambda: two.service.idle)
    assert await two.ask(ETHER) == {ETHER.price_key: "3010"}
    assert len(two.source.asked) == 1


async def test_that_nobody_knows_a_price_is_shared_too(open_process: OpenProcess) -> None:
    one, two = await open_process(), await open_process()
    one.source.amounts.clear()
    assert await one.ask(ETHER) == {}
    assert await two.ask(ETHER) == {}
    assert two.source.asked == []


async def test_the_last_price_of_another_process_stands_when_sources_fail(open_process: OpenProcess) -> None:
    one, two = await open_process(ttl_seconds=1), await open_process(ttl_seconds=1)
    await one.ask(ETHER)
    one.clock.now += 7200
    await one.service._sharing.tell([ETHER.price_key])
    two.source.error = UpstreamError("away")
    deadline = asyncio.get_running_loop().time() + 8
    (price,) = (await two.service.prices([ETHER], "usd", deadline)).values()
    assert price.stale
    assert price.age_seconds >= 7200


async def test_a_process_that_dies_while_it_asks_holds_others_up_for_seconds_only(
    open_process: OpenProcess,
) -> None:
    dying, other = await open_process(), await open_process()
    started = time.monotonic()
    await dying.board.look([ETHER.price_key], Decision, lambda _name, _value, _age: False)
    assert await other.ask(ETHER) == {ETHER.price_key: "3000"}
    assert time.monotonic() - started < LOCK_SECONDS + 1


async def test_without_redis_each_process_asks_for_itself(
    server: RedisServer, open_process: OpenProcess
) -> None:
    one, two = await open_process(), await open_process()
    server.kill()
    assert await one.ask(ETHER) == await two.ask(ETHER) == {ETHER.price_key: "3000"}
    assert len(one.source.asked) == len(two.source.asked) == 1


async def test_the_prices_in_redis_are_bounded(open_process: OpenProcess) -> None:
    one = await open_process()
    one.board._most_values = 20
    assets = [token(ETHEREUM, f"0x{number:040x}", f"T{number}") for number in range(60)]
    one.source.amounts = {asset.price_key: "1" for asset in assets}
    assert len(await one.ask(*assets)) == 60
    assert len(await one.board._client.run(lambda redis: redis.keys("tracker:1:board:*"))) == 20


async def test_four_hundred_prices_are_shared(open_process: OpenProcess) -> None:
    one, two = await open_process(), await open_process()
    assets = [token(ETHEREUM, f"0x{number:040x}", f"T{number}") for number in range(450)]
    for process in (one, two):
        process.source.amounts = {asset.price_key: f"1.{number}" for number, asset in enumerate(assets)}
    first = await one.ask(*assets)
    assert len(first) == 450
    assert await two.ask(*assets) == first
    assert two.source.asked == []

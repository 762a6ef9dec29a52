"""What is opened by the settings, and what answers look like when processes share a cache."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.cache.conftest import Until
from tests.cache.redis_server import RedisServer, age_all
from tests.fakes.readers import ALICE, DAI, ETHEREUM, USDC, ScriptedReader, token

from balance_tracker.bootstrap import Tracker
from balance_tracker.bootstrap.opening import open_sharing
from balance_tracker.bootstrap.service import Service
from balance_tracker.bootstrap.sharing import Sharing
from balance_tracker.cache.memory import MemoryCache
from balance_tracker.cache.shared import SharedCache
from balance_tracker.core.access import Limit
from balance_tracker.core.errors import ConfigurationError, UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.including import Include
from balance_tracker.services.naming import OwnerNames
from balance_tracker.services.reading import Deadline, NetworkReading
from balance_tracker.services.whole_reading import WholeReading
from balance_tracker.settings import Settings

LISTED = (token(ETHEREUM, USDC, "USDC"), token(ETHEREUM, DAI, "DAI", 18))

type OpenSharing = Callable[[], Awaitable[Sharing]]


@pytest.fixture
async def opened(server: RedisServer) -> AsyncIterator[OpenSharing]:
    """Opens what as many processes share."""
    async with AsyncExitStack() as stack:
        yield lambda: open_sharing(stack, Settings(redis_url=server.url))


def reader(**more: Any) -> ScriptedReader:
    return ScriptedReader(ETHEREUM, {None: 3 * 10**18, USDC: 1_500_000}, **more)


async def test_without_a_url_everything_is_this_processs_own() -> None:
    async with Tracker(Settings(networks=("base",))) as tracker, Service(tracker, does_jobs=False) as service:
        sharing = tracker.sharing
        assert sharing is not None
        assert type(sharing.cache("balances")) is MemoryCache
        assert sharing.board("prices") is None
        assert "redis" not in tracker.readiness().components
        async with service.messages.subscribe("a") as messages:
            await service.messages.publish("a", b"1")
            assert await anext(messages) == b"1"
        verdict = await service.limiter.take("a", Limit(1, 60))
        assert (verdict.allowed, verdict.epoch) == (True, None)
        await service.keys_changed()


async def test_a_wrong_url_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        async with Tracker(Settings(networks=("base",), redis_url="redis://host:port/0")):
            pass


@pytest.mark.integration
async def test_redis_is_a_component_that_is_degraded_and_never_makes_it_unready(
    server: RedisServer, until: Until
) -> None:
    settings = Settings(networks=("base",), redis_url=server.url)
    async with Tracker(settings) as tracker, Service(tracker, does_jobs=False) as service:
        assert tracker.readiness().components["redis"] == "ok"
        first = (await service.limiter.take("a", Limit(10, 60))).epoch
        await service.keys_changed()
        assert (await service.limiter.take("a", Limit(10, 60))).epoch != first
        server.kill()
        await service.limiter.take("a", Limit(10, 60))
        readiness = tracker.readiness()
        assert readiness.ready
        assert readiness.components["redis"] == "degraded"
        server.start()
        await until(lambda: tracker.readiness().components["redis"] == "ok")


@pytest.mark.integration
async def test_a_network_read_by_one_process_answers_in_another_and_its_age_is_told(
    opened: OpenSharing,
) -> None:
    one, two = reader(), reader()
    sharings = [await opened() for _ in range(2)]
    async with sharings[0].cache("balances") as mine, sharings[1].cache("balances") as other:
        first = await answer(NetworkReading(one, LISTED, mine, 60))
        await settled(mine)
        second = await answer(NetworkReading(two, LISTED, other, 60))
        assert (one.reads, two.reads) == (1, 0)
        assert second.balances == first.balances
        assert (first.coverage.cached, second.coverage.cached) == (False, True)
        assert second.coverage.block == first.coverage.block


@pytest.mark.integration
async def test_a_process_that_never_read_it_tells_anothers_last_answer_as_stale(opened: OpenSharing) -> None:
    failing = reader(error=UpstreamError("no endpoint answered"))
    sharings = [await opened() for _ in range(2)]
    async with sharings[0].cache("balances") as mine, sharings[1].cache("balances") as other:
        first = await answer(NetworkReading(reader(), LISTED, mine, 60))
        await settled(mine)
        assert sharings[0].client is not None
        await age_all(sharings[0].client, 3600)
        stale = await answer(NetworkReading(failing, LISTED, other, 60))
        assert stale.coverage.status == "stale"
        assert stale.coverage.age_seconds >= 3600
        assert stale.balances == first.balances


@pytest.mark.integration
async def test_whole_readings_and_names_are_shared_too(opened: OpenSharing) -> None:
    one, two = reader(), reader()
    sharings = [await opened() for _ in range(2)]
    async with sharings[0].cache("balances") as mine, sharings[1].cache("balances") as other:
        owners = (Address(ALICE),)
        first = await WholeReading(one, LISTED, mine, 60).answer(owners, None, Include(), Deadline.after(2))
        await settled(mine)
        second = await WholeReading(two, LISTED, other, 60).answer(owners, None, Include(), Deadline.after(2))
        assert second.readings == first.readings
        assert (len(one.chunks), len(two.chunks)) == (1, 0)
        names = Names()
        for cache in (mine, other):
            assert await OwnerNames(names, cache).name_of(Address(ALICE)) == "vitalik.eth"
            await settled(cache)
        assert names.asked == 1


class Names:
    """Knows one name, and counts how often it is asked."""

    network = ETHEREUM

    def __init__(self) -> None:
        self.asked = 0

    def looks_like(self, text: str) -> bool:
        return text.endswith(".eth")

    def normal(self, name: str) -> str:
        return name

    async def resolve(self, name: str) -> Address:
        return Address(ALICE)

    async def name_of(self, address: Address) -> str | None:
        self.asked += 1
        return "vitalik.eth"


async def answer(reading: NetworkReading) -> Any:
    return await reading.answer(Address(ALICE), (), None, Deadline.after(2))


async def settled(cache: MemoryCache) -> None:
    """Everything that was to be told to Redis is told."""
    assert isinstance(cache, SharedCache)
    await asyncio.gather(*cache._behind)


async def test_versions_that_may_read_by_other_rules_share_nothing(
    opened: OpenSharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def loaded(word: str) -> str:
        cache = (await opened()).cache("test", "same")

        async def load() -> str:
            return word

        value, _ = await cache.get_or_load("key", 60, load, lambda _: True, str)
        await cache.close()
        return value

    assert [await loaded("old"), await loaded("same version")] == ["old", "old"]
    monkeypatch.setattr("balance_tracker.bootstrap.redis_sharing.__version__", "99")
    assert await loaded("new") == "new"

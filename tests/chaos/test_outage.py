"""A minute in which every endpoint of a network is bad: honest failures, few requests, and back at once."""

import asyncio
import random
from collections.abc import Callable

import pytest
from tests.chaos.chains import Chain
from tests.chaos.reads import (
    EVERY_SECONDS,
    Read,
    Told,
    asking,
    assert_bounded,
    assert_right,
    read_for,
    reader_of,
)
from tests.chaos.world import Site, going_on, sites
from tests.fakes.bad_endpoint import Fault
from tests.fakes.faults import FAULTS

from balance_tracker.core.errors import UpstreamError

pytestmark = pytest.mark.integration

GOOD_SECONDS = 20.0
OUTAGE_SECONDS = 60.0
ASKED_PAUSE_SECONDS = 30.0
"""What the faults that name a pause ask for."""

MIXED = "each in another way"
_WAYS = ("silent", "reset", "unavailable_503", "rpc_internal_error", "html_200", "slow_drip", "no_result")

type Record = Callable[[str, object], None]


@pytest.mark.parametrize(
    "way",
    ["silent", "internal_error_500", "reset", "rpc_internal_error", "rate_limited_429", "empty_batch", MIXED],
)
async def test_all_fail_for_a_minute_and_come_back(
    way: str, chains: tuple[Chain, ...], record_property: Record
) -> None:
    async with sites(chains[:1], [5], 7) as (site,):
        before, during, after = await outage(site, way)
    for read in [*before, *after[1:]]:
        assert_right(site, read)
    for read in [*before, *during, *after]:
        assert_bounded(site, read)
    assert_honest(during)
    assert isinstance(after[0].told, Told), after[0]
    assert_right(site, after[0])
    record_property("requests per failed read", sum(read.requests for read in during) / len(during))


@pytest.mark.parametrize("way", ["rate_limited_429_retry_after", "unavailable_503_retry_after"])
async def test_a_pause_that_all_asked_for_is_kept_and_no_longer(way: str, chains: tuple[Chain, ...]) -> None:
    async with sites(chains[:1], [5], 7) as (site,):
        before, during, after = await outage(site, way)
    assert_honest(during)
    # One request to each, and another one when the pause was over.
    rounds = 1 + OUTAGE_SECONDS // ASKED_PAUSE_SECONDS
    assert sum(read.requests for read in during) <= rounds * len(site.endpoints)
    answered = [read for read in after if isinstance(read.told, Told)]
    for read in [*before, *answered]:
        assert_right(site, read)
    assert answered[0].at - after[0].at <= ASKED_PAUSE_SECONDS + EVERY_SECONDS
    assert after[after.index(answered[0]) :] == answered


async def outage(site: Site, way: str) -> tuple[list[Read], list[Read], list[Read]]:
    """Reads before, during and after; the endpoints are well again with the first read after."""
    moving = asyncio.create_task(site.keep_moving())
    async with going_on(moving), reader_of(site) as reader:
        ask = asking(reader, site)
        before = await read_for(GOOD_SECONDS, site, ask)
        for endpoint, fault in zip(site.endpoints, _faults(way, len(site.endpoints)), strict=True):
            endpoint.trouble = fault
        during = await read_for(OUTAGE_SECONDS, site, ask)
        site.trouble(None)
        after = await read_for(OUTAGE_SECONDS, site, ask)
    return before, during, after


def _faults(way: str, count: int) -> list[Fault]:
    names = random.Random(3).sample(_WAYS, count) if way == MIXED else [way] * count
    return [FAULTS[name] for name in names]


def assert_honest(reads: list[Read]) -> None:
    """Nothing is shown that is not known: every read is an error that says why, in time."""
    assert reads
    for read in reads:
        assert isinstance(read.told, UpstreamError), read
        assert read.told.code

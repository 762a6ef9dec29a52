"""Each fault in turn befalls the endpoint that is in use, while three others are well."""

import asyncio
from collections.abc import Callable

import pytest
from tests.chaos.chains import Chain
from tests.chaos.reads import (
    MOST_REQUESTS_PER_ANSWER,
    asking,
    assert_bounded,
    assert_right,
    befall,
    read_for,
    reader_of,
    requests_per_answer,
)
from tests.chaos.world import CHAOS, ROTATION_SECONDS, going_on, sites

pytestmark = pytest.mark.integration

type Record = Callable[[str, object], None]


async def test_a_bad_minute_costs_two_requests_per_read_and_endpoint_whatever_the_fault(
    chains: tuple[Chain, ...], record_property: Record
) -> None:
    async with sites(chains[:2], [4, 0], 7) as (site, _):
        moving = asyncio.create_task(site.keep_moving())
        async with going_on(moving), reader_of(site) as reader:
            ask = asking(reader, site)
            runs = [await read_for(ROTATION_SECONDS, site, ask)]
            for fault in CHAOS:
                befall(site, runs[-1][-1], fault)
                runs.append(await read_for(ROTATION_SECONDS, site, ask))
    for fault, reads in zip(CHAOS, runs[1:], strict=True):
        record_property(fault.name, round(requests_per_answer(reads), 2))
    everything = [read for reads in runs for read in reads]
    record_property("requests per answer", round(requests_per_answer(everything), 3))
    for read in everything:
        assert_right(site, read)
        assert_bounded(site, read)
    assert requests_per_answer(everything) <= MOST_REQUESTS_PER_ANSWER

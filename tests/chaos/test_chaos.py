"""Ten minutes with 30 % of the endpoints of every network bad at any time, each in its own way."""

import asyncio
import gc
import os
from collections.abc import Callable, Sequence

import pytest
from tests.chaos.chains import OWNER, Balances, Chain
from tests.chaos.reads import (
    DEADLINE_SECONDS,
    EVERY_SECONDS,
    MOST_REQUESTS_PER_ANSWER,
    Read,
    Told,
    asking,
    assert_bounded,
    assert_right,
    costs,
    read_for,
    reader_of,
    requests_per_answer,
)
from tests.chaos.virtual_time import virtual_loop
from tests.chaos.world import CHAOS, Site, going_on, sites
from tests.fakes.tracker import ScriptedTracker

from balance_tracker.core.portfolio import Portfolio
from balance_tracker.settings import Settings

pytestmark = pytest.mark.integration

RUN_SECONDS = 600.0
SHARE = 0.3

type Record = Callable[[str, object], None]


def going_wrong(site: Site) -> list["asyncio.Task[None]"]:
    """Bad endpoints in turn, and a chain that moves on."""
    return [
        asyncio.create_task(site.keep_rotating(CHAOS, SHARE)),
        asyncio.create_task(site.keep_moving()),
    ]


async def ten_minutes(site: Site) -> list[Read]:
    """One network, from its first read to its last."""
    async with going_on(*going_wrong(site)), reader_of(site) as reader:
        return await read_for(RUN_SECONDS, site, asking(reader, site))


def assert_all_well(all_sites: Sequence[Site], runs: Sequence[Sequence[Read]], record: Record) -> None:
    for site, reads in zip(all_sites, runs, strict=True):
        slug = site.chain.network.slug
        record(f"{slug}: answers", len(reads))
        record(f"{slug}: requests per answer", round(requests_per_answer(reads), 3))
        record(f"{slug}: slowest answer, seconds", round(max(read.seconds for read in reads), 2))
        record(f"{slug}: requests beyond one per read", dict(costs(reads)))
        for read in reads:
            assert_right(site, read)
            assert_bounded(site, read)
        assert len(reads) >= RUN_SECONDS / EVERY_SECONDS * 0.9
        assert requests_per_answer(reads) <= MOST_REQUESTS_PER_ANSWER, costs(reads)


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, no paths


@pytest.mark.parametrize(("counts", "seed"), [((10, 10, 10), 1), ((10, 10, 10), 3), ((3, 4, 7), 2)])
async def test_every_answer_is_complete_right_in_time_and_costs_little(
    chains: tuple[Chain, ...], counts: tuple[int, ...], seed: int, record_property: Record
) -> None:
    before = open_files()
    async with sites(chains, counts, seed) as all_sites:
        runs = await asyncio.gather(*(ten_minutes(site) for site in all_sites))
    assert_all_well(all_sites, runs, record_property)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert open_files() <= before + len(chains)  # each node's own client


async def test_the_tracker_answers_all_networks_together(
    chains: tuple[Chain, ...], record_property: Record
) -> None:
    loop = virtual_loop()
    settings = Settings(_env_file=None, deadline_seconds=DEADLINE_SECONDS, balance_ttl_seconds=0)
    async with (
        sites(chains, (10, 10, 10), 5) as all_sites,
        going_on(*(work for site in all_sites for work in going_wrong(site))),
        reader_of(all_sites[0]) as first,
        reader_of(all_sites[1]) as second,
        reader_of(all_sites[2]) as third,
        ScriptedTracker(
            [first, second, third],
            [asset for chain in chains for asset in chain.assets],
            settings=settings,
            clock=loop.time,
        ) as tracker,
    ):
        runs = await portfolios_for(RUN_SECONDS, tracker, all_sites)
    assert_all_well(all_sites, runs, record_property)


async def portfolios_for(
    run_seconds: float, tracker: ScriptedTracker, all_sites: Sequence[Site]
) -> list[list[Read]]:
    """A portfolio every two seconds; the reads of each network that they are made of."""
    loop = virtual_loop()
    runs: list[list[Read]] = [[] for _ in all_sites]
    until = loop.time() + run_seconds
    while loop.time() < until:
        heads = [site.chain.head() for site in all_sites]
        before = [site.asked() for site in all_sites]
        started = loop.time()
        portfolio = await tracker.portfolio(OWNER)
        seconds = loop.time() - started
        assert portfolio.complete, portfolio.coverage
        for site, reads, head, earlier in zip(all_sites, runs, heads, before, strict=True):
            asked = [now - then for now, then in zip(site.asked(), earlier, strict=True)]
            reads.append(Read(started, seconds, head, told_by(portfolio, site), asked))
        await asyncio.sleep(max(0.0, EVERY_SECONDS - seconds))
    return runs


def told_by(portfolio: Portfolio, site: Site) -> Told:
    """What a portfolio says of one network."""
    slug = site.chain.network.slug
    (entry,) = [entry for entry in portfolio.coverage if entry.network == slug]
    assert entry.block is not None
    amounts: Balances = {
        holding.balance.asset.contract_address: holding.balance.raw_amount
        for holding in portfolio.holdings
        if holding.balance.asset.network == slug
    }
    return Told(entry.block, amounts, entry.requests, entry.endpoint or "")

"""The scripted price source keeps the rules of the port, so that what is tested over it holds."""

import asyncio
from datetime import timedelta

import pytest
from tests.fakes.prices import ScriptedSource, points
from tests.fakes.readers import BASE, DAI, ETHEREUM, refused, token
from tests.fakes.service import NOW

from balance_tracker.core.assets import native_asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.ports import PriceSource

ETHER = native_asset(BASE)
KEY = ETHER.price_key
UNKNOWN = token(ETHEREUM, DAI, "DAI", 18)


def source() -> ScriptedSource:
    return ScriptedSource(amounts={KEY: "2"}, past={KEY: "1"}, points={KEY: points("coingecko", NOW, 3)})


async def test_quotes_are_of_the_priced_id_and_what_is_unknown_is_left_out() -> None:
    asked: PriceSource = source()
    deadline = asyncio.get_running_loop().time() + 1
    (quote,) = await asked.quotes([ETHER, UNKNOWN], deadline)
    assert (quote.asset_id, quote.source, quote.family) == (KEY, asked.name, asked.family)
    assert quote.asset_id != ETHER.asset_id
    (past,) = await asked.quotes_at([ETHER, UNKNOWN], NOW - timedelta(days=9), deadline)
    assert past.as_of == NOW - timedelta(days=9)


async def test_a_series_is_within_its_time_and_empty_for_what_is_unknown() -> None:
    asked: PriceSource = source()
    hour = timedelta(hours=1)
    assert len(await asked.series(ETHER, NOW + hour, NOW + 2 * hour, "1h", 0)) == 1
    assert not await asked.series(UNKNOWN, NOW, NOW + 2 * hour, "1h", 0)


async def test_answering_nothing_at_all_is_an_error_with_a_code() -> None:
    failing = source()
    failing.error = refused(code="rate_limited")
    with pytest.raises(UpstreamError) as caught:
        await failing.quotes([ETHER], 0)
    assert caught.value.code == "rate_limited"

"""Current prices: each asset asked once, kept for a while, and never a zero when sources fail."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal, InvalidOperation

import pytest
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import BASE, DAI, ETHEREUM, USDC, refused, token
from tests.fakes.service import NOW, Clock

from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.currencies import convert
from balance_tracker.core.ids import Address, AssetId
from balance_tracker.core.prices import Currency, Price, PriceStatus
from balance_tracker.ports import PriceSource
from balance_tracker.services import pricing
from balance_tracker.services.pricing import PriceService
from balance_tracker.telemetry.metrics import METRICS

ETHER = native_asset(ETHEREUM)
DOLLAR = token(ETHEREUM, USDC, "USDC")
SAI = token(ETHEREUM, DAI, "DAI", 18)
ETH = ETHER.asset_id
EUR = AssetId("swift:0/iso4217:EUR")


class Desk:
    """A price service on a standing clock."""

    def __init__(self, service: PriceService, clock: Clock) -> None:
        self.service = service
        self.clock = clock

    async def ask(
        self, *assets: Asset, currency: Currency = "usd", seconds: float = 1.0
    ) -> dict[AssetId, Price]:
        deadline = asyncio.get_running_loop().time() + seconds
        return await self.service.prices(assets, currency, deadline)

    async def quiet(self) -> None:
        """Wait until no source is being asked."""
        for _ in range(1000):
            if self.service.idle:
                return
            await asyncio.sleep(0.001)

    async def amount(self, asset: Asset, currency: Currency = "usd") -> str | None:
        price = (await self.ask(asset, currency=currency)).get(asset.price_key)
        return None if price is None else str(price.amount)


@asynccontextmanager
async def desk(
    *sources: PriceSource,
    last_resort: Sequence[PriceSource] = (),
    ttl_seconds: float = 300,
    source_seconds: float = 0.5,
    most_assets: int = 1000,
) -> AsyncIterator[Desk]:
    clock = Clock()
    service = PriceService(
        sources,
        last_resort=last_resort,
        ttl_seconds=ttl_seconds,
        source_seconds=source_seconds,
        most_assets=most_assets,
        clock=clock,
        now=lambda: NOW,
    )
    async with service:
        yield Desk(service, clock)


async def test_a_price_is_decided_from_all_sources_and_says_which() -> None:
    gecko = ScriptedSource("coingecko", amounts={ETH: "2000"})
    feed = ScriptedSource("chainlink", "oracle", amounts={ETH: "2001"})
    async with desk(gecko, feed) as prices:
        price = (await prices.ask(ETHER))[ETH]
    assert price.sources == ("chainlink", "coingecko")
    assert price.status is PriceStatus.AGREED
    assert price.amount in {Decimal(2000), Decimal(2001)}
    assert (price.age_seconds, price.stale) == (0, False)


async def test_one_price_serves_an_asset_on_every_network_that_shares_it() -> None:
    source = ScriptedSource(amounts={ETH: "2000"})
    async with desk(source) as prices:
        found = await prices.ask(native_asset(BASE), ETHER)
    assert list(found) == [ETH]
    assert source.asked == [(ETH,)]


async def test_what_no_source_knows_is_left_out_and_not_asked_for_again_for_a_while() -> None:
    source = ScriptedSource(amounts={ETH: "2000"})
    async with desk(source) as prices:
        assert list(await prices.ask(ETHER, SAI)) == [ETH]
        prices.clock.now += 299
        await prices.ask(SAI)
        assert len(source.asked) == 1
        for seconds in (1, 600, 1200):
            prices.clock.now += seconds
            await prices.ask(SAI)
        assert len(source.asked) == 4
        prices.clock.now += 2399
        await prices.ask(SAI)
    assert len(source.asked) == 4


async def test_a_second_ask_within_the_time_to_live_costs_nothing_and_tells_the_age() -> None:
    source = ScriptedSource(amounts={ETH: "2000"})
    async with desk(source) as prices:
        await prices.ask(ETHER)
        prices.clock.now += 299
        price = (await prices.ask(ETHER))[ETH]
    assert len(source.asked) == 1
    assert (price.age_seconds, price.stale) == (299, False)


async def test_a_price_past_its_time_is_given_at_once_while_one_refresh_runs() -> None:
    source = ScriptedSource(amounts={ETH: "2000"})
    async with desk(source) as prices:
        await prices.ask(ETHER)
        source.amounts[ETH] = "2010"
        source.delay_seconds = 0.02
        prices.clock.now += 301
        given = [(await prices.ask(ETHER))[ETH] for _ in range(3)]
        assert {(str(price.amount), price.age_seconds) for price in given} == {("2000", 301)}
        await prices.quiet()
        assert await prices.amount(ETHER) == "2010"
    assert len(source.asked) == 2


async def test_a_price_past_the_limit_of_revalidation_is_waited_for() -> None:
    source = ScriptedSource(amounts={ETH: "2000"})
    async with desk(source) as prices:
        await prices.ask(ETHER)
        source.amounts[ETH] = "2010"
        prices.clock.now += 901
        assert await prices.amount(ETHER) == "2010"


async def test_overlapping_questions_ask_each_asset_once() -> None:
    source = ScriptedSource(
        amounts={ETH: "2000", DOLLAR.asset_id: "1", SAI.asset_id: "1"}, delay_seconds=0.02
    )
    async with desk(source) as prices:
        first, second = await asyncio.gather(prices.ask(ETHER, DOLLAR), prices.ask(DOLLAR, SAI))
    assert set(first) == {ETH, DOLLAR.asset_id}
    assert set(second) == {DOLLAR.asset_id, SAI.asset_id}
    assert source.asked == [(ETH, DOLLAR.asset_id), (SAI.asset_id,)]


async def test_a_time_to_live_of_zero_asks_at_every_question_and_still_shares_one() -> None:
    source = ScriptedSource(amounts={ETH: "2000"})
    async with desk(source, ttl_seconds=0) as prices:
        await prices.ask(ETHER)
        source.amounts[ETH] = "2001"
        assert await prices.amount(ETHER) == "2001"
        assert len(source.asked) == 2
        await asyncio.gather(*(prices.ask(ETHER) for _ in range(5)))
        await prices.ask(SAI)
        await prices.ask(SAI)
    assert len(source.asked) == 5


async def test_an_outage_gives_the_last_price_with_its_age_and_never_a_zero() -> None:
    source = ScriptedSource(amounts={ETH: "2000"})
    async with desk(source) as prices:
        await prices.ask(ETHER)
        source.error = refused(code="rate_limited")
        prices.clock.now += 3600
        price = (await prices.ask(ETHER))[ETH]
        assert (price.amount, price.stale, price.age_seconds) == (Decimal(2000), True, 3600)
        assert prices.service.state == "failed"
        assert prices.service.fresh_for([ETHER], "usd") == 0
        await prices.ask(ETHER)
        assert len(source.asked) == 2
        source.error = None
        prices.clock.now += 31
        recovered = (await prices.ask(ETHER))[ETH]
    assert (recovered.stale, recovered.age_seconds) == (False, 0)


async def test_a_last_price_of_yesterday_is_no_price_any_more() -> None:
    source = ScriptedSource(amounts={ETH: "2000"})
    async with desk(source) as prices:
        await prices.ask(ETHER)
        source.error = refused()
        prices.clock.now += 86_401
        assert await prices.ask(ETHER) == {}


async def test_a_failed_source_spares_the_others_and_what_it_may_know_is_asked_for_soon() -> None:
    gecko = ScriptedSource("coingecko", amounts={ETH: "2000"})
    other = ScriptedSource("defillama", error=ZeroDivisionError("oops"))
    async with desk(gecko, other) as prices:
        assert list(await prices.ask(ETHER, SAI)) == [ETH]
        assert prices.service.state == "ok"
        other.error = None
        other.amounts[SAI.asset_id] = "1"
        prices.clock.now += 31
        assert await prices.amount(SAI) == "1"


async def test_a_slow_source_delays_nobody_beyond_its_own_time() -> None:
    quick = ScriptedSource("coingecko", amounts={ETH: "2000"})
    slow = ScriptedSource("defillama", amounts={ETH: "2000"}, delay_seconds=60)
    async with desk(quick, slow, source_seconds=0.05) as prices:
        started = asyncio.get_running_loop().time()
        assert (await prices.ask(ETHER, seconds=10))[ETH].sources == ("coingecko",)
        assert asyncio.get_running_loop().time() - started < 0.6
    assert slow.under_way == 0


async def test_at_the_deadline_it_answers_with_what_sources_said_so_far_and_keeps_the_rest() -> None:
    quick = ScriptedSource("coingecko", amounts={ETH: "2000"})
    slow = ScriptedSource("chainlink", "oracle", amounts={ETH: "2000"}, delay_seconds=0.1)
    async with desk(quick, slow) as prices:
        early = (await prices.ask(ETHER, seconds=0.02))[ETH]
        assert early.sources == ("coingecko",)
        assert prices.service.fresh_for([ETHER], "usd") == 0
        await prices.quiet()
        later = (await prices.ask(ETHER, seconds=0))[ETH]
    assert later.sources == ("chainlink", "coingecko")
    assert len(quick.asked) == 1


async def test_a_question_whose_time_is_over_gets_what_is_known_and_starts_a_refresh() -> None:
    source = ScriptedSource(amounts={ETH: "2000"}, delay_seconds=0.01)
    async with desk(source) as prices:
        assert await prices.ask(ETHER, seconds=-1) == {}
        await prices.quiet()
        assert list(await prices.ask(ETHER, seconds=-1)) == [ETH]
        source.error = refused()
        prices.clock.now += 1000
        assert (await prices.ask(ETHER, seconds=-1))[ETH].stale


async def test_the_last_resort_is_asked_only_for_what_nobody_knows() -> None:
    gecko = ScriptedSource("coingecko", amounts={ETH: "2000"})
    pools = ScriptedSource("uniswap_twap", "pool", amounts={ETH: "1", SAI.asset_id: "1.01"})
    async with desk(gecko, last_resort=[pools]) as prices:
        found = await prices.ask(ETHER, SAI)
    assert {key: price.sources for key, price in found.items()} == {
        ETH: ("coingecko",),
        SAI.asset_id: ("uniswap_twap",),
    }
    assert pools.asked == [(SAI.asset_id,)]


async def test_a_jump_that_nobody_confirms_gives_the_price_from_before_as_suspect() -> None:
    source = ScriptedSource(amounts={ETH: "2000"})
    async with desk(source) as prices:
        await prices.ask(ETHER)
        source.amounts[ETH] = "20000"
        prices.clock.now += 1000
        held = (await prices.ask(ETHER))[ETH]
        assert (held.amount, held.status) == (Decimal(2000), PriceStatus.SUSPECT)
        assert held.age_seconds == 1000
        prices.clock.now += 59
        await prices.ask(ETHER)
        assert len(source.asked) == 2


async def test_prices_come_in_another_currency_by_a_rate_of_the_same_sources() -> None:
    source = ScriptedSource(amounts={ETH: "2000", EUR: "1.25"})
    async with desk(source) as prices:
        price = (await prices.ask(ETHER, currency="eur"))[ETH]
        assert (price.currency, price.amount) == ("eur", Decimal(1600))
        assert await prices.amount(ETHER, "eth") == "1"
        assert await prices.ask(ETHER, currency="jpy") == {}
        assert await prices.amount(ETHER) == "2000"
    assert source.asked[0] == (EUR, ETH)


async def test_without_sources_nothing_is_known_and_nothing_is_asked() -> None:
    async with desk() as prices:
        assert await prices.ask(ETHER) == {}
        assert prices.service.state == "unknown"
        assert prices.service.fresh_for([], "usd") is None


async def test_prices_are_kept_in_bounded_memory() -> None:
    tokens = [token(ETHEREUM, Address(f"0x{number:040x}"), "T") for number in range(30)]
    source = ScriptedSource(amounts={asset.asset_id: "1" for asset in tokens})
    async with desk(source, most_assets=10) as prices:
        assert len(await prices.ask(*tokens)) == 10
        source.asked.clear()
        await prices.ask(*tokens[20:])
    assert source.asked == []


async def test_closing_ends_what_is_under_way() -> None:
    source = ScriptedSource(delay_seconds=60)
    async with desk(source, source_seconds=60) as prices:
        await prices.ask(ETHER, seconds=0)
        await asyncio.sleep(0)
        assert source.under_way == 1
    assert source.under_way == 0


async def test_a_refresh_is_one_line_of_the_log_with_why_sources_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="balance_tracker")
    failing = ScriptedSource("defillama", error=refused(code="rate_limited"))
    async with desk(ScriptedSource(amounts={ETH: "2000"}), failing) as prices:
        await prices.ask(ETHER, SAI)
        await asyncio.sleep(0.001)
    lines = [record for record in caplog.records if "prices_refreshed" in record.getMessage()]
    assert len(lines) == 1
    assert "rate_limited" in lines[0].getMessage()


async def test_what_became_of_quotes_is_counted_by_source() -> None:
    def count(outcome: str) -> float:
        labels = {"source": "counted", "outcome": outcome}
        return METRICS.registry.get_sample_value("tracker_price_quotes_total", labels) or 0

    source = ScriptedSource("counted", amounts={ETH: "2000", SAI.asset_id: "-1"})
    async with desk(source) as prices:
        await prices.ask(ETHER, SAI)
    assert (count("used"), count("unusable")) == (1, 1)


ABSURD = "-0." + "9" * 34


async def test_an_absurd_change_of_a_rate_costs_the_change_and_no_price() -> None:
    amounts = {ETH: "2000", DOLLAR.asset_id: "1"}
    gecko = ScriptedSource("coingecko", amounts=amounts, changes={ETH: ABSURD, DOLLAR.asset_id: "0.001"})
    async with desk(gecko) as prices:
        found = await prices.ask(DOLLAR, ETHER, currency="eth")
    assert (found[DOLLAR.asset_id].amount, found[ETH].amount) == (Decimal("0.0005"), 1)
    assert found[DOLLAR.asset_id].change_24h is None


async def test_one_price_that_can_not_be_converted_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaking(price: Price, rate: Price, currency: Currency) -> Price:
        if price.asset_id == SAI.asset_id:
            raise InvalidOperation
        return convert(price, rate, currency)

    monkeypatch.setattr(pricing, "convert", breaking)
    source = ScriptedSource(amounts={ETH: "2000", SAI.asset_id: "1", EUR: "1.25"})
    async with desk(source) as prices:
        assert list(await prices.ask(ETHER, SAI, currency="eur")) == [ETH]


async def test_a_rate_that_one_of_two_sources_says_too_low_is_disputed_and_overstates_nothing() -> None:
    liar = ScriptedSource("coingecko", amounts={EUR: "0.000001", ETH: "0.000001", DOLLAR.asset_id: "1"})
    feed = ScriptedSource("chainlink", "oracle", amounts={EUR: "1.25", ETH: "2000", DOLLAR.asset_id: "1"})
    async with desk(liar, feed) as prices:
        in_euros = (await prices.ask(DOLLAR, currency="eur"))[DOLLAR.asset_id]
        in_ether = (await prices.ask(DOLLAR, currency="eth"))[DOLLAR.asset_id]
        held = (await prices.ask(ETHER))[ETH]
    assert (in_euros.amount, in_euros.status) == (Decimal("0.8"), PriceStatus.DISPUTED)
    assert (in_ether.amount, in_ether.status) == (Decimal("0.0005"), PriceStatus.DISPUTED)
    assert held.amount == Decimal("0.000001")


async def test_a_lone_liar_s_first_price_is_not_held_against_honest_sources() -> None:
    liar = ScriptedSource("chainlink", "oracle", amounts={ETH: "1000"})
    honest = [ScriptedSource(name, amounts={ETH: "100"}, error=refused()) for name in ("a", "b")]
    async with desk(liar, *honest) as prices:
        assert await prices.amount(ETHER) == "1000"
        for source in honest:
            source.error = None
        prices.clock.now += 1000
        price = (await prices.ask(ETHER))[ETH]
    assert (price.amount, price.status) == (Decimal(100), PriceStatus.DISPUTED)


async def test_a_jump_that_nobody_ever_confirms_says_so_after_the_time_it_was_held_for() -> None:
    gecko = ScriptedSource("coingecko", amounts={ETH: "100"})
    feed = ScriptedSource("chainlink", "oracle", amounts={ETH: "100"})
    seen = []
    async with desk(gecko, feed) as prices:
        await prices.ask(ETHER)
        gecko.amounts, feed.error = {ETH: "1000"}, refused()
        for minutes in (20, 40, 41, 60):
            prices.clock.now += minutes * 60
            price = (await prices.ask(ETHER))[ETH]
            seen.append((int(price.amount), price.status.value))
        feed.error, feed.amounts = None, {ETH: "1000"}
        prices.clock.now += 1000
        seen.append((1000, (await prices.ask(ETHER))[ETH].status.value))
    assert seen == [
        (100, "suspect"),
        (100, "suspect"),
        (100, "suspect"),
        (1000, "disputed"),
        (1000, "agreed"),
    ]


async def test_small_steps_do_not_walk_past_the_last_price_that_was_agreed() -> None:
    gecko = ScriptedSource("coingecko", amounts={ETH: "100"})
    feed = ScriptedSource("chainlink", "oracle", amounts={ETH: "100"})
    amount, statuses = Decimal(100), []
    async with desk(gecko, feed) as prices:
        await prices.ask(ETHER)
        feed.error = refused()
        for _ in range(6):
            amount *= Decimal("1.4")
            gecko.amounts = {ETH: str(amount)}
            prices.clock.now += 1000
            price = (await prices.ask(ETHER))[ETH]
            statuses.append(price.status.value)
    assert statuses == ["single", *["suspect"] * 5]
    assert price.amount == 140


async def test_a_round_that_the_deadline_cuts_is_less_sure() -> None:
    quick = ScriptedSource("coingecko", amounts={ETH: "2000"})
    slow = ScriptedSource("chainlink", "oracle", amounts={ETH: "2000"}, delay_seconds=0.1)
    async with desk(quick, slow) as prices:
        early = (await prices.ask(ETHER, seconds=0.02))[ETH]
    async with desk(quick) as prices:
        whole = (await prices.ask(ETHER))[ETH]
    assert early.confidence == whole.confidence / 2


async def test_the_day_that_a_last_price_is_given_for_begins_at_its_own_time() -> None:
    source = ScriptedSource(family="oracle", amounts={ETH: "2000"}, as_of=NOW - timedelta(hours=20))
    async with desk(source) as prices:
        await prices.ask(ETHER)
        source.error = refused()
        prices.clock.now += 3 * 3600
        assert (await prices.ask(ETHER))[ETH].stale
        prices.clock.now += 3600 + 1
        assert await prices.ask(ETHER) == {}


async def test_contracts_that_nobody_prices_drive_out_no_prices() -> None:
    strange = [token(ETHEREUM, Address(f"0x{number:040x}"), "T") for number in range(1, 60)]
    source = ScriptedSource(amounts={ETH: "2000"})
    async with desk(source, most_assets=20) as prices:
        await prices.ask(ETHER)
        await prices.ask(*strange)
        source.asked.clear()
        assert await prices.amount(ETHER) == "2000"
    assert source.asked == []

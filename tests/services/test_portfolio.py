"""The portfolio use case: everything at once, nothing unknown shown as zero."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.fakes.readers import (
    ALICE,
    BASE,
    DAI,
    ETHEREUM,
    MINT,
    SOLANA,
    SOLANA_ALICE,
    STRANGE,
    USDC,
    ScriptedNames,
    ScriptedReader,
    refused,
    token,
)
from tests.fakes.service import Scene

from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.portfolio import Balance, FailureCode, Portfolio

LISTED = (token(ETHEREUM, USDC, "USDC"), token(ETHEREUM, DAI, "DAI", 18), token(SOLANA, MINT, "USDC"))


def symbols(portfolio: Portfolio) -> list[str | None]:
    return [holding.balance.asset.symbol for holding in portfolio.holdings]


def statuses(portfolio: Portfolio) -> dict[str, str]:
    return {entry.network: entry.status for entry in portfolio.coverage}


async def test_an_address_is_asked_on_every_network_of_its_family() -> None:
    readers = [ScriptedReader(ETHEREUM), ScriptedReader(BASE), ScriptedReader(SOLANA)]
    async with Scene(readers) as scene:
        assert statuses(await scene.service.portfolio(ALICE)) == {"ethereum": "ok", "base": "ok"}
        assert statuses(await scene.service.portfolio(SOLANA_ALICE)) == {"solana": "ok"}


async def test_holdings_come_by_network_native_first_then_by_symbol_without_zeros() -> None:
    ethereum = ScriptedReader(ETHEREUM, {None: 5, USDC: 1_500_000, DAI: 7})
    base = ScriptedReader(BASE, {None: 1})
    async with Scene([ethereum, base], LISTED) as scene:
        portfolio = await scene.service.portfolio(ALICE, ["base", "ethereum", "base"])
    assert [entry.network for entry in portfolio.coverage] == ["base", "ethereum"]
    assert symbols(portfolio) == ["ETH", "ETH", "DAI", "USDC"]
    assert portfolio.holdings[3].balance.amount == Decimal("1.5")
    assert portfolio.complete
    assert portfolio.total_value is None
    assert portfolio.unpriced == 4


async def test_an_empty_wallet_is_worth_zero_and_a_dead_network_is_worth_nothing_known() -> None:
    async with Scene([ScriptedReader(ETHEREUM)]) as scene:
        assert (await scene.service.portfolio(ALICE)).total_value == 0
    async with Scene([ScriptedReader(ETHEREUM, error=refused())]) as scene:
        dead = await scene.service.portfolio(ALICE)
    assert dead.total_value is None
    assert dead.nothing_obtained


async def test_a_failed_network_is_reported_and_not_zero() -> None:
    readers = [ScriptedReader(ETHEREUM, error=refused()), ScriptedReader(BASE, {None: 1})]
    async with Scene(readers, LISTED) as scene:
        portfolio = await scene.service.portfolio(ALICE)
    failed = portfolio.coverage[0]
    assert statuses(portfolio) == {"ethereum": "failed", "base": "ok"}
    assert not portfolio.complete
    assert failed.block is None
    assert (failed.asked, failed.answered, len(failed.failures)) == (3, 0, 3)
    assert failed.error is not None
    assert (failed.error.code, failed.error.retryable) == ("endpoint_failed", True)
    assert "key-1" not in failed.error.detail
    assert all("key-1" not in failure.reason for failure in failed.failures)
    assert {failure.code for failure in failed.failures} == {FailureCode.ENDPOINT_FAILED}


async def test_a_failed_token_makes_its_network_partial_and_spares_the_others() -> None:
    ethereum = ScriptedReader(ETHEREUM, {None: 5, DAI: 7}, {USDC: FailureCode.REVERTED})
    async with Scene([ethereum], LISTED) as scene:
        portfolio = await scene.service.portfolio(ALICE)
    entry = portfolio.coverage[0]
    assert entry.status == "partial"
    assert (entry.asked, entry.answered) == (3, 2)
    assert [failure.code for failure in entry.failures] == [FailureCode.REVERTED]
    assert symbols(portfolio) == ["ETH", "DAI"]
    assert not portfolio.complete


async def test_a_network_where_not_one_asset_answered_is_failed() -> None:
    reader = ScriptedReader(BASE, failing={None: FailureCode.TIMED_OUT})
    async with Scene([reader]) as scene:
        entry = (await scene.service.portfolio(ALICE)).coverage[0]
    assert (entry.status, entry.block, entry.answered) == ("failed", None, 0)
    assert entry.error is not None
    assert entry.error.code == "timed_out"


async def test_networks_answer_in_the_time_of_the_slowest_not_the_sum() -> None:
    readers = [ScriptedReader(ETHEREUM, delay_seconds=0.1), ScriptedReader(BASE, delay_seconds=0.1)]
    async with Scene(readers) as scene:
        started = asyncio.get_running_loop().time()
        assert (await scene.service.portfolio(ALICE)).complete
        assert asyncio.get_running_loop().time() - started < 0.18


async def test_a_network_past_the_deadline_is_failed_and_the_rest_is_there() -> None:
    readers = [ScriptedReader(ETHEREUM, delay_seconds=30), ScriptedReader(BASE, {None: 1})]
    async with Scene(readers, deadline_seconds=0.1) as scene:
        started = asyncio.get_running_loop().time()
        portfolio = await scene.service.portfolio(ALICE)
        assert asyncio.get_running_loop().time() - started < 0.2
    assert statuses(portfolio) == {"ethereum": "failed", "base": "ok"}
    error = portfolio.coverage[0].error
    assert error is not None
    assert error.code == "timed_out"
    assert portfolio.coverage[0].failures[0].code is FailureCode.TIMED_OUT


async def test_what_nobody_foresaw_is_recorded_as_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    readers = [ScriptedReader(ETHEREUM, error=ZeroDivisionError("oops")), ScriptedReader(BASE)]
    async with Scene(readers) as scene:
        portfolio = await scene.service.portfolio(ALICE)
    error = portfolio.coverage[0].error
    assert error is not None
    assert (error.code, error.detail) == ("internal_error", "The network could not be read.")
    assert statuses(portfolio)["base"] == "ok"
    assert "network_read_broke" in caplog.text


async def test_a_block_whose_time_is_no_time_is_malformed() -> None:
    reader = ScriptedReader(BASE, {None: 1})
    reader.block = replace(reader.block, timestamp=2**80)
    async with Scene([reader]) as scene:
        error = (await scene.service.portfolio(ALICE)).coverage[0].error
    assert error is not None
    assert error.code == "malformed"


async def test_a_second_ask_within_the_time_to_live_comes_from_the_cache() -> None:
    reader = ScriptedReader(BASE, {None: 1})
    async with Scene([reader]) as scene:
        first = (await scene.service.portfolio(ALICE)).coverage[0]
        scene.clock.now += 30
        second = (await scene.service.portfolio(ALICE)).coverage[0]
        scene.clock.now += 31
        third = (await scene.service.portfolio(ALICE)).coverage[0]
    assert (first.cached, first.requests, first.age_seconds) == (False, 1, 0)
    assert (second.cached, second.requests, second.age_seconds, second.status) == (True, 0, 30, "ok")
    assert third.cached is False
    assert reader.reads == 2


async def test_many_asking_at_once_share_one_read() -> None:
    reader = ScriptedReader(BASE, {None: 1}, delay_seconds=0.02)
    async with Scene([reader]) as scene:
        answers = await asyncio.gather(*(scene.service.portfolio(ALICE) for _ in range(20)))
    assert reader.reads == 1
    assert all(len(answer.holdings) == 1 for answer in answers)


async def test_other_tokens_or_another_block_are_another_question() -> None:
    reader = ScriptedReader(BASE)
    async with Scene([reader]) as scene:
        await scene.service.portfolio(ALICE)
        await scene.service.portfolio(ALICE, tokens=[STRANGE])
        await scene.service.portfolio(ALICE, at=7)
        await scene.service.portfolio(ALICE, at="7")
    assert reader.reads == 3


async def test_a_partial_answer_does_not_hide_a_recovery_for_long() -> None:
    reader = ScriptedReader(ETHEREUM, {None: 1}, {USDC: FailureCode.ENDPOINT_FAILED})
    async with Scene([reader], LISTED) as scene:
        assert (await scene.service.portfolio(ALICE)).coverage[0].status == "partial"
        scene.clock.now += 3
        assert (await scene.service.portfolio(ALICE)).coverage[0].cached
        reader.failing.clear()
        scene.clock.now += 3
        assert (await scene.service.portfolio(ALICE)).coverage[0].status == "ok"
    assert reader.reads == 2


async def test_the_last_good_answer_is_served_as_stale_with_its_age() -> None:
    reader = ScriptedReader(BASE, {None: 9})
    async with Scene([reader]) as scene:
        await scene.service.portfolio(ALICE)
        reader.error = refused()
        scene.clock.now += 300
        portfolio = await scene.service.portfolio(ALICE)
    entry = portfolio.coverage[0]
    assert (entry.status, entry.stale, entry.cached, entry.age_seconds) == ("stale", True, True, 300)
    assert entry.block is not None
    assert entry.error is not None
    assert portfolio.holdings[0].balance.raw_amount == 9
    assert not portfolio.complete


async def test_a_failed_network_is_never_kept() -> None:
    reader = ScriptedReader(BASE, error=refused())
    async with Scene([reader]) as scene:
        await scene.service.portfolio(ALICE)
        reader.error = None
        assert (await scene.service.portfolio(ALICE)).coverage[0].status == "ok"


async def test_asked_tokens_are_shown_at_zero_and_asked_once() -> None:
    reader = ScriptedReader(ETHEREUM, metadata={STRANGE: ("ODD", "Odd", 4)})
    async with Scene([reader], LISTED) as scene:
        portfolio = await scene.service.portfolio(ALICE, tokens=[f"{STRANGE},{USDC}", STRANGE])
    assert symbols(portfolio) == ["ODD", "USDC"]
    assert [holding.balance.asset.trust for holding in portfolio.holdings] == ["unknown", "verified"]
    contracts = [asset.contract_address for asset in reader.asked[0]]
    assert sorted(map(str, contracts)) == sorted([USDC, DAI, STRANGE])


async def test_an_asked_mint_is_shown_at_zero_with_the_trust_of_its_list() -> None:
    reader = ScriptedReader(SOLANA, nfts=2)
    async with Scene([reader], LISTED) as scene:
        portfolio = await scene.service.portfolio(SOLANA_ALICE, tokens=[MINT])
        without = await scene.service.portfolio(SOLANA_ALICE)
    assert symbols(portfolio) == ["USDC"]
    assert portfolio.holdings[0].balance.asset.trust == "verified"
    assert portfolio.coverage[0].nfts == 2
    assert without.holdings == ()


async def test_a_failed_solana_lists_the_coin_and_the_asked_mints_only() -> None:
    async with Scene([ScriptedReader(SOLANA, error=refused())], LISTED) as scene:
        plain = (await scene.service.portfolio(SOLANA_ALICE)).coverage[0]
        asked = (await scene.service.portfolio(SOLANA_ALICE, tokens=[MINT])).coverage[0]
    assert (plain.asked, asked.asked) == (1, 2)


async def test_unknown_decimals_leave_the_amount_unknown() -> None:
    reader = ScriptedReader(BASE, {STRANGE: 10}, metadata={STRANGE: ("ODD", "Odd", None)})
    async with Scene([reader]) as scene:
        portfolio = await scene.service.portfolio(ALICE, tokens=[STRANGE])
    balance = portfolio.holdings[0].balance
    assert (balance.raw_amount, balance.amount) == (10, None)


async def test_a_token_that_advertises_is_left_out_and_said_so_unless_asked_for() -> None:
    reader = ScriptedReader(
        BASE, {None: 1, STRANGE: 10}, metadata={STRANGE: ("GIFT", "Visit gift-drop.xyz to claim", 18)}
    )
    async with Scene([reader]) as scene:
        hidden = await scene.service.portfolio(ALICE, tokens=[STRANGE])
        shown = await scene.service.portfolio(ALICE, tokens=[STRANGE], spam=True)
    assert symbols(hidden) == ["ETH"]
    assert [(entry.asset.symbol, entry.reason) for entry in hidden.excluded] == [("GIFT", "spam")]
    assert [holding.balance.asset.trust for holding in shown.holdings] == ["verified", "spam"]
    assert shown.excluded == ()


async def test_a_second_view_of_the_native_coin_is_not_counted_twice() -> None:
    mirrored = replace(BASE, mirrors=(STRANGE,))
    reader = ScriptedReader(mirrored, {None: 5, STRANGE: 5}, metadata={STRANGE: ("ETH", "Ether", 18)})
    async with Scene([reader]) as scene:
        portfolio = await scene.service.portfolio(ALICE, tokens=[STRANGE])
    assert symbols(portfolio) == ["ETH"]
    assert portfolio.excluded[0].reason == "mirror"


async def test_past_balances_of_solana_are_declared_unavailable() -> None:
    readers = [ScriptedReader(ETHEREUM), ScriptedReader(SOLANA)]
    async with Scene(readers) as scene:
        entry = (await scene.service.portfolio(SOLANA_ALICE, at="2026-01-01T00:00:00Z")).coverage[0]
    assert entry.status == "failed"
    assert entry.error is not None
    assert (entry.error.code, entry.error.retryable) == ("history_unavailable", False)
    assert readers[1].reads == 0


async def test_a_block_that_does_not_exist_is_the_callers_mistake() -> None:
    reader = ScriptedReader(BASE, error=InputError("No such block.", code="invalid_at"))
    async with Scene([reader]) as scene:
        with pytest.raises(InputError) as caught:
            await scene.service.portfolio(ALICE, at=10**12)
        assert caught.value.code == "invalid_at"
        entry = (await scene.service.portfolio(ALICE, at="2026-01-01T00:00:00Z")).coverage[0]
    assert entry.error is not None
    assert (entry.status, entry.error.code) == ("failed", "invalid_at")


async def test_a_block_that_no_endpoint_knows_is_the_callers_mistake_only_if_they_named_it() -> None:
    reader = ScriptedReader(BASE, error=refused(code="block_missing"))
    async with Scene([reader]) as scene:
        with pytest.raises(InputError, match="Base has no block 7"):
            await scene.service.portfolio(ALICE, at=7)
        entry = (await scene.service.portfolio(ALICE)).coverage[0]
    assert entry.error is not None
    assert (entry.status, entry.error.code) == ("failed", "block_missing")


async def test_a_name_comes_in_and_goes_out() -> None:
    names = ScriptedNames({"alice.eth": ALICE})
    async with Scene([ScriptedReader(ETHEREUM)], names=names) as scene:
        by_name = await scene.service.portfolio("alice.eth")
        by_address = await scene.service.portfolio(ALICE)
        again = await scene.service.portfolio(ALICE)
    assert (by_name.address, by_name.name) == (ALICE, "alice.eth")
    assert (by_address.name, again.name) == ("alice.eth", "alice.eth")
    assert names.lookups == 2


@pytest.mark.parametrize("error", [refused(), ZeroDivisionError("oops")])
async def test_a_failing_name_lookup_never_harms_the_answer(error: Exception) -> None:
    async with Scene([ScriptedReader(ETHEREUM, {None: 1})], names=ScriptedNames(error=error)) as scene:
        portfolio = await scene.service.portfolio(ALICE)
    assert portfolio.complete
    assert portfolio.name is None


async def test_a_slow_name_lookup_does_not_hold_the_answer_past_the_deadline() -> None:
    names = ScriptedNames(delay_seconds=30)
    async with Scene([ScriptedReader(ETHEREUM)], names=names, deadline_seconds=0.1) as scene:
        assert (await asyncio.wait_for(scene.service.portfolio(ALICE), 0.3)).name is None
        with pytest.raises(UpstreamError) as caught:
            await scene.service.portfolio("alice.eth")
    assert caught.value.code == "timed_out"


async def test_a_balance_found_and_not_asked_for_is_shown() -> None:
    found = Balance(token(BASE, DAI, "DAI", 18, trust="unknown"), 10**18)
    async with Scene([ScriptedReader(BASE, extra=(found,))]) as scene:
        assert symbols(await scene.service.portfolio(ALICE)) == ["DAI"]

"""Many addresses: one matrix per network and chunk, in bounded memory, whatever becomes of one of them."""

import asyncio
import gc
import weakref
from collections.abc import Sequence
from contextlib import aclosing

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
from tests.fakes.service import NOW, Scene

from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.blocks import At
from balance_tracker.core.errors import InputError, TrackerError, UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import Balance, FailureCode, Portfolio, Reading
from balance_tracker.services.many import (
    CHUNKS_IN_FLIGHT,
    NAMED_UP_TO,
    SOLANA_OWNERS_PER_CHUNK,
    AddressAnswer,
    Progress,
)

LISTED = (token(ETHEREUM, USDC, "USDC"), token(ETHEREUM, DAI, "DAI", 18), token(SOLANA, MINT, "USDC"))


def wallets(count: int) -> list[str]:
    return [f"0x{number + 1:040x}" for number in range(count)]


def solana_wallets(count: int) -> list[str]:
    return [f"So{number:042d}" for number in range(count)]


async def all_of(scene: Scene, addresses: Sequence[str], **question: object) -> list[AddressAnswer]:
    return [answer async for answer in scene.many.portfolios(addresses, **question)]  # type: ignore[arg-type]


def portfolio_of(answer: AddressAnswer) -> Portfolio:
    assert isinstance(answer.result, Portfolio), answer.result
    return answer.result


def mistake_of(answer: AddressAnswer) -> TrackerError:
    assert isinstance(answer.result, TrackerError)
    return answer.result


def held(portfolio: Portfolio) -> dict[str | None, int]:
    return {one.balance.asset.symbol: one.balance.raw_amount for one in portfolio.holdings}


async def test_many_wallets_get_the_answers_that_each_gets_alone() -> None:
    addresses = wallets(7)
    ethereum = ScriptedReader(ETHEREUM, failing={DAI: FailureCode.REVERTED})
    for number, address in enumerate(addresses):
        ethereum.amounts_of[address] = {None: number, USDC: 1_000 * number}
    question: dict[str, object] = {"tokens": [STRANGE, USDC], "currency": "eur"}
    ethereum.metadata[STRANGE] = ("ODD", "Odd", 4)
    async with Scene([ethereum, ScriptedReader(BASE)], LISTED, owners_per_chunk=3, ttl_seconds=0) as scene:
        together = await all_of(scene, addresses, **question)
        for answer in together:
            alone = await scene.service.portfolio(answer.text, **question)  # type: ignore[arg-type]
            found = portfolio_of(answer)
            assert found.holdings == alone.holdings
            assert (found.address, found.name, found.currency) == (alone.address, alone.name, "eur")
            assert found.taken_at == NOW
            for mine, single in zip(found.coverage, alone.coverage, strict=True):
                assert (mine.network, mine.status, mine.asked) == (
                    single.network,
                    single.status,
                    single.asked,
                )
                assert (mine.answered, mine.failures) == (single.answered, single.failures)
    assert [answer.positions for answer in together] == [(number,) for number in range(7)]


async def test_a_chunk_is_one_matrix_per_network_and_its_requests_add_up() -> None:
    readers = [ScriptedReader(ETHEREUM), ScriptedReader(BASE)]
    async with Scene(readers, LISTED, owners_per_chunk=4) as scene:
        answers = await all_of(scene, wallets(10))
    for reader in readers:
        assert [len(chunk) for chunk in reader.chunks] == [4, 4, 2]
        assert reader.reads == 0
    assert sum(entry.requests for answer in answers for entry in portfolio_of(answer).coverage) == 6
    assert all(portfolio_of(answer).complete for answer in answers)


async def test_the_networks_of_a_chunk_are_read_at_once() -> None:
    readers = [ScriptedReader(ETHEREUM, delay_seconds=0.1), ScriptedReader(BASE, delay_seconds=0.1)]
    async with Scene(readers) as scene:
        started = asyncio.get_running_loop().time()
        await all_of(scene, wallets(3))
        assert asyncio.get_running_loop().time() - started < 0.18


async def test_zeros_are_never_made() -> None:
    listed = [token(ETHEREUM, f"0x{number + 500:040x}", f"T{number}") for number in range(178)]  # type: ignore[arg-type]
    async with Scene([ScriptedReader(ETHEREUM, {None: 1})], listed) as scene:
        [answer] = await all_of(scene, [ALICE])
    portfolio = portfolio_of(answer)
    assert len(portfolio.holdings) == 1
    assert (portfolio.coverage[0].asked, portfolio.coverage[0].answered) == (179, 179)


async def test_a_wallet_that_holds_nothing_is_empty_and_not_unknown() -> None:
    failing: dict[str | None, FailureCode] = {USDC: FailureCode.REVERTED}
    async with Scene([ScriptedReader(ETHEREUM, failing=failing)], LISTED) as scene:
        [answer] = await all_of(scene, [ALICE])
    portfolio = portfolio_of(answer)
    assert portfolio.coverage[0].status == "partial"
    assert portfolio.total_value == 0


async def test_one_where_nothing_is_known_is_failed_and_the_others_are_not() -> None:
    one, other, gone = wallets(3)
    reader = ScriptedReader(ETHEREUM, {None: 4}, lost={gone: refused(code="malformed")})
    async with Scene([reader], LISTED) as scene:
        answers = [portfolio_of(answer) for answer in await all_of(scene, [one, gone, other])]
    assert [answer.coverage[0].status for answer in answers] == ["ok", "failed", "ok"]
    error = answers[1].coverage[0].error
    assert error is not None
    assert (error.code, "key-1" in error.detail) == ("malformed", False)
    assert answers[1].total_value is None


async def test_repeated_addresses_are_read_once_and_answered_for_each_place() -> None:
    reader = ScriptedReader(BASE, {None: 1})
    addresses = [ALICE, STRANGE, f" {ALICE} ", STRANGE, ALICE]
    told: list[Progress] = []
    async with Scene([reader], owners_per_chunk=1) as scene:
        answers = await all_of(scene, addresses, progress=told.append)
    assert [(answer.text, answer.positions) for answer in answers] == [(ALICE, (0, 2, 4)), (STRANGE, (1, 3))]
    assert reader.chunks == [(ALICE,), (STRANGE,)]
    assert [progress.done for progress in told] == [0, 3, 5]


async def test_a_wrong_address_is_an_answer_and_not_the_end() -> None:
    addresses = ["hello", ALICE, "0xbad", "", f"{ALICE},{ALICE}"]
    async with Scene([ScriptedReader(BASE, {None: 1})]) as scene:
        answers = await all_of(scene, addresses)
    assert held(portfolio_of(answers[1])) == {"ETH": 1}
    wrong = [mistake_of(answers[place]) for place in (0, 2, 3, 4)]
    assert {error.code for error in wrong} == {"invalid_address"}
    assert all(isinstance(error, InputError) and error.hint for error in wrong)


async def test_families_may_be_mixed() -> None:
    readers = [ScriptedReader(ETHEREUM, {None: 1}), ScriptedReader(BASE), ScriptedReader(SOLANA, {None: 7})]
    async with Scene(readers, LISTED) as scene:
        question = {"networks": ["ethereum,solana"], "tokens": [MINT, DAI]}
        answers = await all_of(scene, [ALICE, SOLANA_ALICE, STRANGE], **question)
    evm, solana, _ = (portfolio_of(answer) for answer in answers)
    assert [entry.network for entry in evm.coverage] == ["ethereum"]
    assert [entry.network for entry in solana.coverage] == ["solana"]
    assert (held(evm), held(solana)) == ({"ETH": 1, "DAI": 0}, {"SOL": 7, "USDC": 0})
    assert {holding.balance.asset.trust for holding in (*evm.holdings, *solana.holdings)} == {"verified"}
    assert readers[0].chunks == [(ALICE, STRANGE)]


async def test_fewer_owners_of_solana_are_read_together() -> None:
    reader = ScriptedReader(SOLANA)
    async with Scene([reader]) as scene:
        await all_of(scene, solana_wallets(SOLANA_OWNERS_PER_CHUNK + 1))
    assert [len(chunk) for chunk in reader.chunks] == [SOLANA_OWNERS_PER_CHUNK, 1]


async def test_an_address_of_a_family_that_is_not_asked_is_told_so() -> None:
    readers = [ScriptedReader(ETHEREUM), ScriptedReader(SOLANA)]
    async with Scene(readers) as scene:
        answers = await all_of(scene, [ALICE, SOLANA_ALICE], networks=["ethereum"])
    assert portfolio_of(answers[0]).complete
    error = mistake_of(answers[1])
    assert (error.code, SOLANA_ALICE in str(error)) == ("wrong_network_family", True)


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"networks": ["bas"]}, "unknown_network"),
        ({"networks": ["solana"]}, "wrong_network_family"),
        ({"currency": "doge"}, "invalid_currency"),
        ({"at": "soon"}, "invalid_at"),
        ({"at": 7}, "invalid_at"),
        ({"tokens": ["hello"]}, "invalid_address"),
        ({"tokens": [MINT]}, "wrong_network_family"),
        ({"min_value": "much"}, "invalid_parameter"),
    ],
)
async def test_a_mistake_about_all_of_them_is_raised_before_anything_is_read(
    question: dict[str, object], code: str
) -> None:
    readers = [ScriptedReader(ETHEREUM), ScriptedReader(BASE), ScriptedReader(SOLANA)]
    async with Scene(readers) as scene:
        with pytest.raises(InputError) as caught:
            await all_of(scene, [ALICE, STRANGE, "hello"], **question)
    assert caught.value.code == code
    assert not readers[0].chunks


async def test_a_block_that_does_not_exist_is_each_ones_mistake() -> None:
    reader = ScriptedReader(BASE, error=refused(code="block_missing"))
    async with Scene([reader]) as scene:
        answers = await all_of(scene, [*wallets(2), "hello"], at=7)
    assert [mistake_of(answer).code for answer in answers] == ["invalid_at", "invalid_at", "invalid_address"]


async def test_names_are_looked_up_a_few_at_a_time_and_go_out() -> None:
    known = {f"n{number}.eth": address for number, address in enumerate(wallets(30))}
    names = ScriptedNames(known, delay_seconds=0.01)
    async with Scene([ScriptedReader(ETHEREUM)], names=names) as scene:
        answers = await all_of(scene, [*known, "nobody.eth", "n3.eth"])
    found = [portfolio_of(answer) for answer in answers[:30]]
    assert [(one.name, one.address) for one in found] == list(known.items())
    assert mistake_of(answers[30]).code == "unknown_name"
    assert answers[3].positions == (3, 31)
    assert names.lookups == 31


async def test_a_name_that_could_not_be_looked_up_spares_the_addresses() -> None:
    names = ScriptedNames(error=refused("Cut off."))
    async with Scene([ScriptedReader(ETHEREUM, {None: 1})], names=names) as scene:
        answers = await all_of(scene, ["alice.eth", ALICE])
    assert isinstance(answers[0].result, UpstreamError)
    assert answers[0].result.code == "name_unavailable"
    assert held(portfolio_of(answers[1])) == {"ETH": 1}


async def test_a_short_list_shows_names_and_a_long_one_only_what_is_known() -> None:
    names = ScriptedNames({"alice.eth": ALICE})
    async with Scene([ScriptedReader(ETHEREUM)], names=names) as scene:
        short = await all_of(scene, [ALICE, STRANGE])
        assert [portfolio_of(answer).name for answer in short] == ["alice.eth", None]
        lookups = names.lookups
        long = await all_of(scene, [ALICE, *wallets(NAMED_UP_TO)])
    assert (portfolio_of(long[0]).name, portfolio_of(long[1]).name) == ("alice.eth", None)
    assert names.lookups == lookups == 2


async def test_a_name_and_its_address_are_read_once_in_a_chunk() -> None:
    reader = ScriptedReader(ETHEREUM, {None: 1})
    async with Scene([reader], names=ScriptedNames({"alice.eth": ALICE})) as scene:
        answers = await all_of(scene, [ALICE, "alice.eth"])
    assert reader.chunks == [(ALICE,)]
    assert [portfolio_of(answer).address for answer in answers] == [ALICE, ALICE]


async def test_a_failing_network_fails_for_each_and_the_others_go_on() -> None:
    readers = [ScriptedReader(ETHEREUM, error=refused()), ScriptedReader(BASE, {None: 1})]
    async with Scene(readers, LISTED) as scene:
        answers = [portfolio_of(answer) for answer in await all_of(scene, wallets(5))]
    for answer in answers:
        failed, good = answer.coverage
        assert (failed.status, failed.asked, failed.answered, failed.block) == ("failed", 3, 0, None)
        assert (good.status, held(answer)) == ("ok", {"ETH": 1})
        assert failed.error is not None
        assert "key-1" not in failed.error.detail
    assert answers[0].coverage[0].failures is answers[4].coverage[0].failures


async def test_what_nobody_foresaw_is_recorded_and_spares_the_other_networks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    readers = [ScriptedReader(ETHEREUM, error=ZeroDivisionError("oops")), ScriptedReader(BASE)]
    async with Scene(readers) as scene:
        [answer] = await all_of(scene, [ALICE])
    failed, good = portfolio_of(answer).coverage
    assert failed.error is not None
    assert (failed.error.code, good.status) == ("internal_error", "ok")
    assert "network_read_broke" in caplog.text


async def test_requests_of_a_failed_matrix_are_told_once() -> None:
    error = refused()
    error.requests = 6
    async with Scene([ScriptedReader(BASE, error=error)]) as scene:
        answers = await all_of(scene, wallets(4))
    assert [portfolio_of(answer).coverage[0].requests for answer in answers] == [6, 0, 0, 0]


async def test_a_chunk_past_the_deadline_is_failed_and_each_has_a_deadline_of_its_own() -> None:
    readers = [ScriptedReader(ETHEREUM, delay_seconds=30), ScriptedReader(BASE, {None: 1})]
    async with Scene(readers, deadline_seconds=0.1, owners_per_chunk=1) as scene:
        started = asyncio.get_running_loop().time()
        answers = await all_of(scene, wallets(2 * CHUNKS_IN_FLIGHT))
        elapsed = asyncio.get_running_loop().time() - started
    assert 0.15 < elapsed < 0.4
    for answer in answers:
        slow, good = portfolio_of(answer).coverage
        assert slow.error is not None
        assert (slow.status, slow.error.code, good.status) == ("failed", "timed_out", "ok")


async def test_the_cache_answers_what_is_fresh_and_is_not_filled_by_a_batch() -> None:
    reader = ScriptedReader(BASE, {None: 1})
    async with Scene([reader]) as scene:
        await scene.service.portfolio(ALICE)
        kept = len(scene.cache)
        scene.clock.now += 10
        answers = await all_of(scene, [ALICE, *wallets(50)])
        assert len(scene.cache) == kept
        coverage = portfolio_of(answers[0]).coverage[0]
        assert (coverage.cached, coverage.age_seconds, coverage.requests) == (True, 10, 0)
        assert ALICE not in reader.chunks[0]
        scene.clock.now += 60
        later = await all_of(scene, [ALICE])
    assert portfolio_of(later[0]).coverage[0].cached is False


async def test_a_kept_answer_with_gaps_is_soon_read_again() -> None:
    reader = ScriptedReader(ETHEREUM, {None: 1}, {USDC: FailureCode.ENDPOINT_FAILED})
    async with Scene([reader], LISTED) as scene:
        await scene.service.portfolio(ALICE)
        reader.failing.clear()
        scene.clock.now += 6
        [answer] = await all_of(scene, [ALICE])
    assert portfolio_of(answer).complete


async def test_the_last_good_answer_stands_in_for_a_failed_network() -> None:
    reader = ScriptedReader(BASE, {None: 9})
    async with Scene([reader]) as scene:
        await scene.service.portfolio(ALICE)
        reader.error = refused()
        scene.clock.now += 300
        known, unknown = (portfolio_of(answer) for answer in await all_of(scene, [ALICE, STRANGE]))
    assert (known.coverage[0].status, known.coverage[0].age_seconds, held(known)) == (
        "stale",
        300,
        {"ETH": 9},
    )
    assert unknown.coverage[0].status == "failed"


async def test_progress_counts_up_and_estimates_what_is_left() -> None:
    told: list[Progress] = []
    async with Scene([ScriptedReader(BASE, delay_seconds=0.01)], owners_per_chunk=10) as scene:
        await all_of(scene, wallets(40), progress=told.append)
    assert [(one.done, one.total) for one in told] == [(done, 40) for done in (0, 10, 20, 30, 40)]
    assert told[0].left_seconds is None
    middle, last = told[2].left_seconds, told[4].left_seconds
    assert middle is not None
    assert middle == pytest.approx(told[2].elapsed_seconds)
    assert last == 0


async def test_a_slow_reader_of_the_answers_slows_the_reading() -> None:
    reader = ScriptedReader(BASE, {None: 1})
    async with (
        Scene([reader], owners_per_chunk=5) as scene,
        aclosing(scene.many.portfolios(wallets(500))) as answers,
    ):
        taken = 0
        async for _ in answers:
            taken += 1
            await asyncio.sleep(0)
            read = sum(map(len, reader.chunks))
            assert read - taken <= 5 * (CHUNKS_IN_FLIGHT + 1)
            if taken == 100:
                break
        await asyncio.sleep(0.02)
        assert sum(map(len, reader.chunks)) <= 100 + 5 * (CHUNKS_IN_FLIGHT + 1)


class WatchedBalance(Balance):
    """A balance that can be watched."""

    __slots__ = ("__weakref__",)


class CountingReader(ScriptedReader):
    """Counts the balances it made that are still alive."""

    alive = 0
    most_alive = 0

    async def read_many(
        self, owners: Sequence[Address], assets: Sequence[Asset], at: At, deadline: float
    ) -> Sequence[Reading | UpstreamError]:
        balances = [WatchedBalance(native_asset(self.network), 1) for _ in owners]
        for balance in balances:
            weakref.finalize(balance, self.gone)
        self.alive += len(balances)
        self.most_alive = max(self.alive, self.most_alive)
        return [Reading(self.block, (balance,), (), "node.example", 0, asked=1) for balance in balances]

    def gone(self) -> None:
        self.alive -= 1


async def test_no_more_than_a_few_chunks_are_alive_however_long_the_list_is() -> None:
    reader = CountingReader(BASE)
    composed = []
    async with Scene([reader], owners_per_chunk=10) as scene:
        async for answer in scene.many.portfolios(wallets(600)):
            if answer.positions[0] % 100 == 0:
                composed.append(sum(isinstance(one, Portfolio) for one in gc.get_objects()))
        del answer
    gc.collect()
    assert 10 <= reader.most_alive <= 10 * (CHUNKS_IN_FLIGHT + 1)
    assert max(composed) <= 2
    assert reader.alive == 0


async def test_who_stops_asking_stops_the_work() -> None:
    reader = ScriptedReader(BASE, delay_seconds=0.05)
    async with Scene([reader], owners_per_chunk=1) as scene:
        async with aclosing(scene.many.portfolios(wallets(100))) as answers:
            await anext(answers)
            await asyncio.sleep(0.01)
            assert reader.under_way > 0
        assert reader.under_way == 0
        assert len(reader.chunks) <= 1 + CHUNKS_IN_FLIGHT


async def test_a_cancelled_batch_leaves_nothing_under_way() -> None:
    reader = ScriptedReader(BASE, delay_seconds=30)
    async with Scene([reader], owners_per_chunk=1, deadline_seconds=60) as scene:
        task = asyncio.create_task(all_of(scene, wallets(10)))
        await asyncio.sleep(0.02)
        assert reader.under_way == CHUNKS_IN_FLIGHT
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert reader.under_way == 0


async def test_an_empty_list_has_no_answers() -> None:
    told: list[Progress] = []
    async with Scene([ScriptedReader(BASE)]) as scene:
        assert await all_of(scene, [], progress=told.append) == []
    assert [(one.done, one.total) for one in told] == [(0, 0)]

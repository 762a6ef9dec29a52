"""Working on batches: what is there is not read again, one wrong address is one failed result."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile

import pytest
from tests.fakes.readers import ALICE, BASE, ETHEREUM, USDC, ScriptedReader, refused, token
from tests.fakes.service import Scene

from balance_tracker.core.access import Caller
from balance_tracker.core.batches import Batch, BatchQuestion, BatchState
from balance_tracker.core.errors import InputError, NotFoundError, UpstreamError
from balance_tracker.core.jobs import Job
from balance_tracker.core.kept import Owner
from balance_tracker.services import batches
from balance_tracker.services.batch_reading import WholeBatches
from balance_tracker.services.batches import MOST_ADDRESSES, BatchService, result_json
from balance_tracker.storage.batches import SqlBatchStore
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import SqlJobStore

CALLER = Caller(Owner("key_mine"))
LISTED = (token(ETHEREUM, USDC, "USDC"),)


def wallets(count: int) -> tuple[str, ...]:
    return tuple(f"0x{number + 1:040x}" for number in range(count))


class Desk:
    """The service over scripted networks and a real database."""

    def __init__(self, database: Database, *readers: ScriptedReader, per_chunk: int = 250) -> None:
        self.scene = Scene(
            readers or (ScriptedReader(ETHEREUM, {None: 7, USDC: 5}),), LISTED, owners_per_chunk=per_chunk
        )
        self.jobs = SqlJobStore(database)
        self.store = SqlBatchStore(database)
        self.woken: list[str] = []
        self.service = BatchService(
            self.store,
            self.scene.many.portfolios,
            WholeBatches(self.scene.whole.portfolio, self.scene.networks),
            self._wake,
            random_bits=lambda bits: len(self.woken) % 2**bits,
        )

    async def _wake(self, job_ids: Sequence[str]) -> None:
        self.woken += job_ids

    async def create(self, *addresses: str, **more: object) -> Batch:
        return await self.service.create(CALLER, BatchQuestion(addresses, **more))  # type: ignore[arg-type]

    async def job(self) -> Job:
        job = await self.jobs.claim(30, ["batch"])
        assert job is not None
        return job

    async def worked(self, *addresses: str, **more: object) -> tuple[Batch, list[dict[str, object]]]:
        """The batch when it has been worked on, and its results."""
        made = await self.create(*addresses, **more)
        await self.service.work(await self.job())
        results = [result_json(one) async for one in self.service.all_results(made)]
        return await self.service.get(CALLER, made.batch_id), results


@pytest.fixture
async def database(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    copyfile(sqlite_template, tmp_path / "batches.db")
    async with Database(tmp_path / "batches.db") as opened:
        yield opened


async def test_each_address_has_its_portfolio_and_a_wrong_one_its_problem(database: Database) -> None:
    desk = Desk(database)
    batch, results = await desk.worked(ALICE, "0xbad", ALICE, "nobody.eth")

    assert (batch.state, batch.total, batch.done, batch.failed) == (BatchState.PARTIAL, 4, 4, 2)
    assert [(one["position"], one["status"], one["address"]) for one in results] == [
        (0, "ok", ALICE),
        (1, "failed", "0xbad"),
        (2, "ok", ALICE),
        (3, "failed", "nobody.eth"),
    ]
    problem = results[1]["problem"]
    assert isinstance(problem, dict)
    assert problem["code"] == "invalid_address"
    portfolio = results[0]["portfolio"]
    assert isinstance(portfolio, dict)
    assert [one["raw_amount"] for one in portfolio["holdings"]] == ["7", "5"]
    assert desk.woken == [batch.job_id]


async def test_a_network_that_fails_makes_partial_results_and_all_of_them_failed_ones(
    database: Database,
) -> None:
    working, broken = ScriptedReader(ETHEREUM, {None: 7}), ScriptedReader(BASE, error=refused())
    batch, _ = await Desk(database, working, broken).worked(ALICE)
    assert (batch.state, batch.incomplete) == (BatchState.PARTIAL, 1)

    batch, results = await Desk(database, ScriptedReader(BASE, error=refused())).worked(ALICE)
    assert (batch.state, batch.failed, results[0]["status"]) == (BatchState.FAILED, 1, "failed")


async def test_what_is_included_makes_whole_portfolios(database: Database) -> None:
    batch, results = await Desk(database).worked(ALICE, "0xbad", ALICE, include=("balances", "defi"))
    assert [one["status"] for one in results] == ["ok", "failed", "ok"]
    assert (batch.done, batch.failed) == (3, 1)
    portfolio = results[0]["portfolio"]
    assert isinstance(portfolio, dict)
    assert portfolio["addresses"] == [ALICE]
    assert "positions" in portfolio


async def test_another_worker_goes_on_where_one_was_cut_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "RESULTS_PER_WRITE", 2)
    reader = ScriptedReader(ETHEREUM, {None: 7})
    desk = Desk(database, reader, per_chunk=2)
    made = await desk.create(*wallets(6))
    job = await desk.job()
    begun = asyncio.create_task(desk.service.work(job))
    while (await desk.service.get(CALLER, made.batch_id)).done < 2:  # noqa: ASYNC110 - it is in the database
        await asyncio.sleep(0)
    begun.cancel()
    await asyncio.gather(begun, return_exceptions=True)
    done = (await desk.service.get(CALLER, made.batch_id)).done
    before = len(reader.chunks)
    await desk.jobs.give_back(job)

    await desk.service.work(await desk.job())

    batch = await desk.service.get(CALLER, made.batch_id)
    assert (batch.state, batch.done) == (BatchState.DONE, 6)
    again = [owner for chunk in reader.chunks[before:] for owner in chunk]
    assert len(again) == 6 - done


async def test_a_worker_that_lost_the_job_stops(database: Database) -> None:
    desk = Desk(database)
    made = await desk.create(ALICE)
    job = await desk.job()
    await desk.service.cancel(CALLER, made.batch_id)

    await desk.service.work(job)

    batch = await desk.service.get(CALLER, made.batch_id)
    assert (batch.state, batch.done) == (BatchState.CANCELLED, 0)


@pytest.mark.parametrize("error", [InputError("No such network any more."), UpstreamError("Not now.")])
async def test_what_is_wrong_for_good_ends_it_and_what_may_pass_is_tried_again(
    database: Database, error: InputError | UpstreamError
) -> None:
    desk = Desk(database)

    def broken(*_: object, **__: object) -> object:
        raise error

    desk.service._many = broken  # type: ignore[assignment]
    made = await desk.create(ALICE)
    job = await desk.job()
    if isinstance(error, InputError):
        await desk.service.work(job)
    else:
        with pytest.raises(UpstreamError):
            await desk.service.work(job)
        assert not (await desk.service.get(CALLER, made.batch_id)).state.ended
        last = Job(job.job_id, job.kind, job.payload, job.most_attempts, job.most_attempts, job.lease)
        await desk.service.work(last)

    batch = await desk.service.get(CALLER, made.batch_id)
    assert (batch.state, batch.error) == (BatchState.FAILED, error.message)


async def test_slow_results_are_kept_while_others_are_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "WRITE_SECONDS", 0.0)
    desk = Desk(database, per_chunk=1)
    made = await desk.create(*wallets(3))
    job = await desk.job()
    seen: set[int] = set()
    keep = desk.store.keep

    async def kept(*words: object) -> bool:
        outcome = await keep(*words)  # type: ignore[arg-type]
        seen.add((await desk.service.get(CALLER, made.batch_id)).done)
        return outcome

    monkeypatch.setattr(desk.store, "keep", kept)
    await desk.service.work(job)
    assert seen == {1, 2, 3}


@pytest.mark.parametrize(
    ("addresses", "more", "code"),
    [
        ((), {}, "missing_parameter"),
        (wallets(1) * (MOST_ADDRESSES + 1), {}, "too_many_addresses"),
        ((ALICE,), {"networks": ("atlantis",)}, "unknown_network"),
        ((ALICE,), {"include": ("weather",)}, "invalid_include"),
        ((ALICE,), {"include": ()}, "invalid_include"),
        ((ALICE,), {"currency": "xyz"}, "invalid_currency"),
    ],
)
async def test_what_is_wrong_for_every_address_is_refused_at_once(
    database: Database, addresses: tuple[str, ...], more: dict[str, object], code: str
) -> None:
    desk = Desk(database)
    with pytest.raises(InputError) as raised:
        await desk.create(*addresses, **more)
    assert raised.value.code == code
    assert desk.woken == []


async def test_the_estimate_is_what_is_left_at_the_pace_so_far(database: Database) -> None:
    started = datetime(2026, 11, 22, tzinfo=UTC)
    batch = Batch("bat_1", CALLER.owner, "", BatchState.RUNNING, 1000, 250, 0, 0, started, started)
    assert batch.left(started + timedelta(seconds=10)) == timedelta(seconds=30)
    with pytest.raises(NotFoundError):
        await Desk(database).service.get(CALLER, "bat_of_nobody")

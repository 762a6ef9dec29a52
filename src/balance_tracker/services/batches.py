"""Batches: many addresses asked in the background, through the matrix of the fast path."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Protocol

from balance_tracker.core.access import Caller
from balance_tracker.core.batches import Batch, BatchQuestion, BatchState, ResultStatus
from balance_tracker.core.errors import InputError, NotFoundError, TrackerError, UpstreamError
from balance_tracker.core.jobs import Job
from balance_tracker.core.kept import new_id
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.core.whole import WholePortfolio
from balance_tracker.ports.batches import BatchResult, BatchStore, IdempotencyKey
from balance_tracker.services.batch_reading import WholeAnswer, WholeBatches
from balance_tracker.services.many import AddressAnswer
from balance_tracker.services.questions import choose_currency
from balance_tracker.services.serialise import Json, portfolio_json
from balance_tracker.services.serialise_whole import whole_json

MOST_ADDRESSES = 10_000
MOST_STANDING = 100
"""Batches of one key that have not ended."""

INCLUDES = ("balances", "defi", "nfts")
RESULTS_PER_WRITE = 100
"""So many results are kept in one transaction: what a crash costs to read again."""

WRITE_SECONDS = 2.0
"""Results that come slowly are kept this often all the same, and progress is seen."""

_NONE = "There is no such batch."
_HINT = "GET /batch lists them."


class ReadsMany(Protocol):
    """Balances of many addresses; :meth:`balance_tracker.services.many.ManyPortfolios.portfolios` is one."""

    def __call__(
        self, addresses: Sequence[str], networks: Sequence[str] | None = None, *, currency: str = "usd"
    ) -> AsyncGenerator[AddressAnswer, None]:
        """What each address holds, as it is read."""


class BatchService:
    """Takes batches, works on them and hands out their results.

    Args:
        store: Where they are kept.
        many: Reads balances.
        whole: Reads whole portfolios, where positions or collections are included.
        wake: Tells whoever does jobs that some are due.
        random_bits: Gives a number of so many bits that nobody can foretell.
        now: The time, in UTC.
    """

    def __init__(
        self,
        store: BatchStore,
        many: ReadsMany,
        whole: WholeBatches,
        wake: Callable[[Sequence[str]], Awaitable[None]],
        *,
        random_bits: Callable[[int], int],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._many = many
        self._whole = whole
        self._wake = wake
        self._random_bits = random_bits
        self._now = now

    async def create(self, caller: Caller, question: BatchQuestion, key: str | None = None) -> Batch:
        """Keep a batch and let it be worked on.

        Asked again with the same key and the same question, the answer is the same batch.

        Raises:
            InputError: Something is wrong for every address; the hint says what would be right.
            ConflictError: ``idempotency_conflict`` or ``too_many_batches``.
        """
        self._check(question)
        now = self._now()
        batch = Batch(
            batch_id=new_id("bat", now, self._random_bits),
            owner=caller.owner,
            job_id="",
            state=BatchState.QUEUED,
            total=len(question.addresses),
            done=0,
            failed=0,
            incomplete=0,
            created_at=now,
        )
        chosen = None if key is None else IdempotencyKey(key, _fingerprint(question))
        kept = await self._store.add(batch, question, chosen, MOST_STANDING)
        if kept.batch_id == batch.batch_id:
            await self._wake([kept.job_id])
        return kept

    async def get(self, caller: Caller, batch_id: str) -> Batch:
        """One batch.

        Raises:
            NotFoundError: There is none, or it is another key's.
        """
        return _found(await self._store.get(batch_id, caller.owners))

    async def batches(self, caller: Caller, limit: int, before: str | None) -> Sequence[Batch]:
        """The caller's batches, the newest first."""
        return await self._store.batches(caller.owners, limit, before)

    async def cancel(self, caller: Caller, batch_id: str) -> Batch:
        """Work on a batch no more; its results so far stay. One that has ended stays as it is.

        Raises:
            NotFoundError: There is none, or it is another key's.
        """
        return _found(await self._store.cancel(batch_id, caller.owners))

    async def results(self, caller: Caller, batch_id: str, after: int, limit: int) -> Sequence[BatchResult]:
        """Results so far, in the order of the addresses, those behind a place.

        Raises:
            NotFoundError: There is no such batch, or it is another key's.
        """
        batch = await self.get(caller, batch_id)
        return await self._store.results(batch.batch_id, after, limit)

    def all_results(self, batch: Batch) -> AsyncIterator[BatchResult]:
        """All results so far, some at a time."""
        return self._store.all_results(batch.batch_id)

    async def work(self, job: Job) -> None:
        """Read what has no result yet: the handler of jobs of the kind ``batch``.

        It goes on where another worker was cut off. Once the job is another's, or the batch was
        cancelled, it stops.
        """
        batch_id = str(job.payload["batch_id"])
        begun = await self._store.begin(batch_id, job)
        if begun is None:
            return
        question, there = begun
        try:
            if not await self._read(batch_id, job, question, there):
                return
        except InputError as error:
            await self._store.end(batch_id, job, error.message)
            return
        except TrackerError as error:
            if job.attempt >= job.most_attempts:
                await self._store.end(batch_id, job, error.message)
                return
            raise
        await self._store.end(batch_id, job)

    async def end_abandoned(self) -> int:
        """End batches whose job failed for good, as one does that ends its worker each time; how many."""
        return await self._store.end_abandoned()

    async def _read(self, batch_id: str, job: Job, question: BatchQuestion, there: frozenset[int]) -> bool:
        """Read and keep; whether the job was this worker's to the end."""
        left = [place for place in range(len(question.addresses)) if place not in there]
        waiting: list[BatchResult] = []
        clock = asyncio.get_running_loop().time
        written_at = clock()
        answers = self._answers(question, [question.addresses[place] for place in left])
        async with aclosing(answers):
            async for answer in answers:
                waiting += [_result(left[position], answer) for position in answer.positions]
                if len(waiting) >= RESULTS_PER_WRITE or clock() - written_at >= WRITE_SECONDS:
                    if not await self._store.keep(batch_id, job, waiting):
                        return False
                    waiting, written_at = [], clock()
        return await self._store.keep(batch_id, job, waiting) if waiting else True

    def _answers(
        self, question: BatchQuestion, addresses: Sequence[str]
    ) -> AsyncGenerator[AddressAnswer | WholeAnswer, None]:
        if set(question.include) <= {"balances"}:
            return self._many(addresses, question.networks, currency=question.currency)
        return self._whole.portfolios(addresses, question.networks, currency=question.currency)

    def _check(self, question: BatchQuestion) -> None:
        choose_currency(question.currency)
        unknown = [word for word in question.include if word not in INCLUDES]
        if unknown or not question.include:
            raise InputError(
                f"'{unknown[0][:40] if unknown else ''}' can't be included.",
                code="invalid_include",
                hint=f"What can be: {', '.join(INCLUDES)}.",
            )
        if not 1 <= len(question.addresses) <= MOST_ADDRESSES:
            raise InputError(
                f"A batch has 1 to {MOST_ADDRESSES} addresses.",
                code="too_many_addresses" if question.addresses else "missing_parameter",
                hint="Split it into several.",
            )
        self._whole.check_networks(question.networks)


def result_json(result: BatchResult) -> Json:
    """What became of one address."""
    return {"position": result.position, "status": result.status.value, **result.document}


def _result(position: int, answer: AddressAnswer | WholeAnswer) -> BatchResult:
    found = answer.result
    document: dict[str, Any] = {"address": answer.text, "portfolio": None, "problem": None}
    if isinstance(found, InputError | UpstreamError):
        document["problem"] = {"code": found.code, "detail": found.message, "hint": found.hint}
        return BatchResult(position, ResultStatus.FAILED, document)
    document["portfolio"] = portfolio_json(found) if isinstance(found, Portfolio) else whole_json(found)
    return BatchResult(position, _status(found), document)


def _status(found: Portfolio | WholePortfolio) -> ResultStatus:
    if found.nothing_obtained:
        return ResultStatus.FAILED
    return ResultStatus.OK if found.complete else ResultStatus.PARTIAL


def _found(batch: Batch | None) -> Batch:
    if batch is None:
        raise NotFoundError(_NONE, hint=_HINT)
    return batch


def _fingerprint(question: BatchQuestion) -> bytes:
    """The same for the same question, whatever order its JSON came in."""
    asked = [question.addresses, question.networks, sorted(question.include), question.currency]
    return hashlib.sha256(json.dumps(asked).encode()).digest()

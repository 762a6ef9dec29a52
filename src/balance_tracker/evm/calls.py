"""A question at one block, in as few requests as the endpoints allow.

The first request carries a part of it and the block's header together; the call itself
returns its block's number, time and parent hash, which tie it to that header. What fails
beside others is asked again alone: one token that eats all gas says nothing about its
neighbours. What one endpoint can't answer the next is asked, at the same block.
"""

import asyncio

from balance_tracker.core.errors import UpstreamError
from balance_tracker.evm.anchor import BehindError
from balance_tracker.evm.direct import ReorganisedError
from balance_tracker.evm.endpoint_run import EndpointRun
from balance_tracker.evm.ladder import Ladder
from balance_tracker.evm.outcomes import Answer, is_unanswered
from balance_tracker.evm.question import Question
from balance_tracker.evm.rungs import ChainFacts
from balance_tracker.transport.endpoint import Endpoint
from balance_tracker.transport.pool import Pool, Session

_LEAST_SECONDS = 0.2
"""With less time left nobody else is asked."""


class CallReader:
    """Answers questions through a pool."""

    def __init__(self, pool: Pool, facts: ChainFacts) -> None:
        self._pool = pool
        self._ladder = Ladder(facts)

    async def read(self, question: Question, block: int | None, deadline: float) -> Answer:
        """Everything asked, at one block (``None``: the latest).

        Raises:
            UpstreamError: No endpoint gave the block and a first answer.
        """

        async def operation(session: Session) -> tuple[Answer, Endpoint]:
            try:
                answer = await self._on(session, question, block, deadline)
            except BehindError as behind:
                # A little behind what was answered already: ask for that very block, or fail.
                answer = await self._at_floor(session, question, behind.floor, deadline)
            except ReorganisedError:
                answer = await self._on(session, question, block, deadline)
            return answer, session.endpoint

        answer, endpoint = await self._pool.run(operation, deadline, block=block, size=len(question))
        left = [place for place, failure in answer.failures.items() if is_unanswered(failure)]
        time_left = deadline - asyncio.get_running_loop().time()
        if left and time_left > _LEAST_SECONDS:
            await self._ask_elsewhere(question, answer, left, endpoint, deadline)
        return answer

    async def _ask_elsewhere(
        self, question: Question, answer: Answer, left: list[int], first: Endpoint, deadline: float
    ) -> None:
        """Ask the next endpoint, at the same block, what the first one left open."""
        rest, where = question.only(left)

        async def operation(session: Session) -> Answer:
            again = await self._on(session, rest, answer.block.number, deadline)
            if again.block.hash != answer.block.hash:
                raise UpstreamError("The endpoint is on another branch of the chain.", code="stale_head")
            return again

        try:
            again = await self._pool.run(operation, deadline, without=first, block=answer.block.number)
        except UpstreamError as error:
            answer.requests += error.requests
            return
        answer.requests += again.requests
        for place, found in zip(left, where, strict=True):
            answer.take(place, again, found)

    async def _at_floor(self, session: Session, question: Question, floor: int, deadline: float) -> Answer:
        try:
            return await self._on(session, question, floor, deadline)
        except UpstreamError as error:
            if error.code != "block_missing":
                raise
            raise UpstreamError(
                f"The endpoint is behind block {floor}, which was answered already.", code="stale_head"
            ) from error

    async def _on(self, session: Session, question: Question, block: int | None, deadline: float) -> Answer:
        run = EndpointRun(
            self._pool, self._ladder, session, question=question, block=block, deadline=deadline
        )
        return await run.answer()

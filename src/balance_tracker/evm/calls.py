"""Many calls at one block, in as few requests as the endpoint allows.

The first request carries Multicall3 and the block's header together; the call itself
returns its block's number, time and parent hash, which tie it to that header. Where
Multicall3 is missing the calls go as a JSON-RPC batch, or singly where batches are
refused. What fails inside Multicall3 is asked again alone: one token that reverts or
eats all gas says nothing about its neighbours.
"""

from collections.abc import Sequence

from balance_tracker.core.errors import UpstreamError
from balance_tracker.evm.endpoint_run import BehindError, EndpointRun, ReorganisedError
from balance_tracker.evm.learned import ChainFacts, Learned
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import Answer, is_unanswered
from balance_tracker.transport.pool import Pool, Session


class CallReader:
    """Reads sets of calls through a pool."""

    def __init__(self, pool: Pool, facts: ChainFacts) -> None:
        self._pool = pool
        self._learned = Learned(facts)

    async def read(self, calls: Sequence[Call], block: int | None, deadline: float) -> Answer:
        """Ask all calls at one block (``None``: the latest).

        Raises:
            UpstreamError: No endpoint gave the block and a first answer.
        """

        async def operation(session: Session) -> Answer:
            try:
                return await self._on(session, calls, block, deadline)
            except BehindError as behind:
                # A little behind what was answered already: ask for that very block, or fail.
                return await self._at_floor(session, calls, behind.floor, deadline)
            except ReorganisedError:
                return await self._on(session, calls, block, deadline)

        answer = await self._pool.run(operation, deadline)
        if any(is_unanswered(outcome) for outcome in answer.outcomes):
            await self._ask_elsewhere(calls, answer, deadline)
        return answer

    async def _ask_elsewhere(self, calls: Sequence[Call], answer: Answer, deadline: float) -> None:
        """Ask the next endpoint, at the same block, what the first one left open."""
        left = [place for place, outcome in enumerate(answer.outcomes) if is_unanswered(outcome)]

        async def operation(session: Session) -> Answer:
            again = await self._on(session, [calls[place] for place in left], answer.block.number, deadline)
            if again.block.hash != answer.block.hash:
                raise UpstreamError("The endpoint is on another branch of the chain.", code="stale_head")
            return again

        try:
            again = await self._pool.run(operation, deadline, without=answer.endpoint)
        except UpstreamError as error:
            answer.requests += error.requests
            return
        answer.requests += again.requests
        for place, outcome in zip(left, again.outcomes, strict=True):
            answer.outcomes[place] = outcome

    async def _at_floor(self, session: Session, calls: Sequence[Call], floor: int, deadline: float) -> Answer:
        try:
            return await self._on(session, calls, floor, deadline)
        except UpstreamError as error:
            if error.code != "block_missing":
                raise
            raise UpstreamError(
                f"The endpoint is behind block {floor}, which was answered already.", code="stale_head"
            ) from error

    async def _on(
        self, session: Session, calls: Sequence[Call], block: int | None, deadline: float
    ) -> Answer:
        run = EndpointRun(self._pool, self._learned, session, calls=calls, block=block, deadline=deadline)
        return await run.answer()

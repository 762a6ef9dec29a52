"""Which block of a network was the last one at a time."""

from collections import OrderedDict
from datetime import datetime

from balance_tracker.core.blocks import At
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.networks import Network
from balance_tracker.evm.blocks import Header, header_call, last_block_at, read_header
from balance_tracker.transport.pool import Pool, Session

MOST_KEPT = 10_000
"""Times whose blocks are remembered."""


class BlockTimes:
    """Finds the block of a time through a network's pool, and remembers those that can't change."""

    def __init__(self, network: Network, pool: Pool) -> None:
        self._network = network
        self._pool = pool
        self._blocks: OrderedDict[int, int] = OrderedDict()

    async def block_of(self, at: At, deadline: float) -> int | None:
        """The block's number; ``None`` for the latest.

        Raises:
            UpstreamError: ``history_unavailable`` if the network has no block that early.
        """
        if not isinstance(at, datetime):
            return at
        moment = int(at.timestamp())
        if moment in self._blocks:
            return self._blocks[moment]
        number, is_past = await self._find(moment, deadline)
        if is_past:
            self._blocks[moment] = number
            while len(self._blocks) > MOST_KEPT:
                self._blocks.popitem(last=False)
        return number

    async def _find(self, moment: int, deadline: float) -> tuple[int, bool]:
        """The number of the last block by then, and whether no later one can take its place."""

        async def operation(session: Session) -> tuple[Header | None, bool]:
            async def header_at(number: int) -> Header:
                return read_header((await session.ask([header_call(number)]))[0], number)

            head = read_header((await session.ask([header_call(None)]))[0], None)
            self._pool.saw_head(session.endpoint, head.number, head.timestamp)
            return await last_block_at(moment, head, header_at), head.timestamp > moment

        found, is_past = await self._pool.run(operation, deadline)
        if found is None:
            raise UpstreamError(
                f"{self._network.name} has no block that early.", code="history_unavailable", retryable=False
            )
        return found.number, is_past

"""One endpoint during one read: what an operation of a pool asks through."""

import asyncio
from collections.abc import Sequence

from balance_tracker.transport.batches import Asking, Spending, ask_in_parts
from balance_tracker.transport.endpoint import Endpoint
from balance_tracker.transport.jsonrpc import RpcCall, RpcReply
from balance_tracker.transport.standing import Progress

_SHARE_ALONE = 0.8
_SHARE_WITH_OTHERS = 0.25
"""The share of the time left that a request waits for its turn, rather than being asked elsewhere."""
_WAIT_WITHOUT_DEADLINE_SECONDS = 5.0


class Session:
    """One endpoint during one read.

    Args:
        endpoint: Who is asked.
        spending: Where its requests are counted.
        deadline: The loop's time by which the read must end.
        alone: Whether there is nobody else to ask.
    """

    def __init__(
        self, endpoint: Endpoint, spending: Spending, *, deadline: float | None = None, alone: bool = True
    ) -> None:
        self.endpoint = endpoint
        self.progress = Progress(asyncio.get_running_loop().time())
        self._spending = spending
        self._deadline = deadline
        self._share = _SHARE_ALONE if alone else _SHARE_WITH_OTHERS

    @property
    def name(self) -> str:
        """The endpoint's host, without any key."""
        return self.endpoint.name

    @property
    def requests(self) -> int:
        """Requests that this read has cost so far, over all endpoints."""
        return self._spending.requests

    async def ask(self, calls: Sequence[RpcCall]) -> list[RpcReply]:
        """Ask in one request (a batch), or in as few as the endpoint takes.

        Returns:
            A result or an :class:`RpcError` for each call, in order.

        Raises:
            UpstreamError: The endpoint failed as a whole; ``code`` says how.
        """
        asking = Asking(self.endpoint, self._spending, self._longest_wait(), self.progress)
        return await ask_in_parts(asking, calls)

    def _longest_wait(self) -> float:
        if self._deadline is None:
            return _WAIT_WITHOUT_DEADLINE_SECONDS
        return max(0.0, (self._deadline - asyncio.get_running_loop().time()) * self._share)

"""Many calls in as few requests as an endpoint takes, and its limits learnt on the way.

Geth allows 1,000 calls in a batch, public gateways 100, 10 or 3, some none. A refusal that
names the limit is believed. Any other may be a fault that only looks like a refusal: where the
endpoint has answered nothing in this read yet, one call is asked alone before smaller batches
are tried, so that a broken endpoint costs two requests.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport import jsonrpc
from balance_tracker.transport.endpoint import Endpoint
from balance_tracker.transport.jsonrpc import BatchRefusedError, RpcCall, RpcReply
from balance_tracker.transport.standing import Progress

SINGLES_AT_ONCE = 8
"""How many single requests are under way where batches are refused."""
_SMALLEST_SPLIT = 3
"""A batch this small is too large because of one of its calls, not of their number."""
_LONGEST_IDS = jsonrpc.LAST_ID + 1 - jsonrpc.IDS_A_REQUEST
"""The first of the ids with the most digits."""
_SMALLER_LIMITS = (30, 10, 3, 1)
_NAMED_LIMIT = re.compile(
    r"(?:limit|max(?:imum)?|more than|at most|up to|exceeds?|size)[^0-9]{0,30}?(\d{1,4})\b"
)


@dataclass
class Spending:
    """Counts the requests of one read, over all endpoints that it asked."""

    requests: int = 0

    def one(self) -> None:
        """Count one request."""
        self.requests += 1


@dataclass(frozen=True, slots=True)
class Asking:
    """Who is asked, who pays, and how long (seconds) a request may wait for its turn."""

    endpoint: Endpoint
    spending: Spending
    longest_wait: float
    progress: Progress

    async def send(self, calls: Sequence[RpcCall]) -> list[RpcReply]:
        """One request."""
        return await self.endpoint.send(calls, self.longest_wait, self.progress, self.spending.one)


async def ask_in_parts(asking: Asking, calls: Sequence[RpcCall]) -> list[RpcReply]:
    """Ask ``calls`` in as few requests as the endpoint takes.

    Raises:
        UpstreamError: See :meth:`Session.ask`.
    """
    endpoint = asking.endpoint
    replies: list[RpcReply] = []
    while len(replies) < len(calls):
        left = calls[len(replies) :]
        if endpoint.batch_limit == 1 and len(left) > 1:
            return replies + await _ask_singly(asking, left)
        part = _fitting(endpoint, left)
        try:
            replies += await asking.send(part)
        except UpstreamError as error:
            if not _may_be_a_limit(error, len(part)):
                raise
            named = _named_limit(error, len(part))
            if named is None and not asking.progress.answers:
                replies.append(await _ask_one_as_proof(asking, part[0], error))
            if isinstance(error, BatchRefusedError):
                endpoint.batch_limit = named or _next_limit(len(part))
    return replies


async def _ask_one_as_proof(asking: Asking, call: RpcCall, refusal: UpstreamError) -> RpcReply:
    """Ask one call alone, to tell a limit from a fault.

    Raises:
        UpstreamError: It is a fault: the call fails, or is refused in the words in which the batch was.
    """
    (reply,) = await asking.send([call])
    words = reply.message if isinstance(reply, jsonrpc.RpcError) else ""
    if words and refusal.message.endswith(words):
        raise UpstreamError(f"The endpoint refuses every call: {words[:200]}", code="rpc_error")
    return reply


def _may_be_a_limit(error: UpstreamError, count: int) -> bool:
    if error.code == "too_large":
        return count > _SMALLEST_SPLIT
    return count > 1 and isinstance(error, BatchRefusedError)


def _named_limit(error: UpstreamError, refused: int) -> int | None:
    """The limit that the wording of a refusal tells, if it does.

    >>> _named_limit(BatchRefusedError("maximum batch size is 3"), 25)
    3
    >>> _named_limit(BatchRefusedError("Batch requests are disabled"), 25)
    """
    if not isinstance(error, BatchRefusedError):
        return None
    match = _NAMED_LIMIT.search(error.message.lower().partition(": ")[2] or error.message.lower())
    named = int(match.group(1)) if match else 0
    return named if 0 < named < refused else None


def _next_limit(refused: int) -> int:
    return next((limit for limit in _SMALLER_LIMITS if limit < refused), 1)


def _fitting(endpoint: Endpoint, calls: Sequence[RpcCall]) -> Sequence[RpcCall]:
    """As many of the first calls as the endpoint takes in one request, by number and by size."""
    part = calls[: endpoint.batch_limit]
    most_bytes = endpoint.body_bytes
    # Measured with ids of the most digits: what goes out is no longer.
    while most_bytes is not None and len(part) > 1 and len(jsonrpc.encode(part, _LONGEST_IDS)) > most_bytes:
        part = part[: len(part) // 2]
    return part


async def _ask_singly(asking: Asking, calls: Sequence[RpcCall]) -> list[RpcReply]:
    """Ask one by one; the first goes alone, since an endpoint that is down answers none."""
    first = (await asking.send(calls[:1]))[0]
    gate = asyncio.Semaphore(SINGLES_AT_ONCE)
    broken: list[UpstreamError] = []

    async def one(call: RpcCall) -> RpcReply:
        async with gate:
            if broken:
                return jsonrpc.RpcError(None, broken[0].message)
            try:
                return (await asking.send([call]))[0]
            except UpstreamError as error:
                # The first fault ends the rest: an endpoint that limits us is not asked on.
                broken.append(error)
                return jsonrpc.RpcError(None, error.message)

    return [first, *await asyncio.gather(*(one(call) for call in calls[1:]))]

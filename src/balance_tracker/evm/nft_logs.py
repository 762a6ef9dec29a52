"""Ids that a wallet has received, rebuilt from transfer events in ranges that the endpoint takes.

Whatever a wallet holds it has received once, so the receipts name every id that it can hold; who
holds it now is for the contract to say. Nothing here is believed further than that, and nothing is
called complete that is not: what was looked through is told as a range of blocks.

Endpoints limit how many blocks one ``eth_getLogs`` may span, or how many events it may give, and
say so each in its own words. The limit is read from them and kept in the endpoint's memory
(``log_range``). One that has too many events for an answer is asked in less, which says nothing of
other wallets and is not kept. Ranges are asked from the newest back, a bounded number in one read; what was
looked through is remembered, so that the next read goes on where this one ended.

Sources: EIP-721, EIP-1155, EIP-2309 (events); the wordings were seen at geth, erigon, nethermind,
reth and public gateways.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.evm.abi import WORD, address_word
from balance_tracker.evm.blocks import fault_of, header_call, read_header
from balance_tracker.evm.nft_calls import words_of
from balance_tracker.transport.jsonrpc import Meaning, RpcCall, RpcError, RpcReply, meaning
from balance_tracker.transport.memory import DAY_SECONDS, Memory
from balance_tracker.transport.pool import Pool, Session

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_SINGLE = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
TRANSFER_BATCH = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
CONSECUTIVE_TRANSFER = "0xdeaa91b6123d068f5821d0fb0678463d1a8a6079fe8af5de3ce5e896dcf9133d"

_TRANSFER, _TRANSFER_SINGLE = int(TRANSFER, 16), int(TRANSFER_SINGLE, 16)
_TRANSFER_BATCH, _CONSECUTIVE_TRANSFER = int(TRANSFER_BATCH, 16), int(CONSECUTIVE_TRANSFER, 16)

LOG_RANGE = "log_range"
RANGES_PER_REQUEST = 8
MOST_RANGES = 64
"""Ranges that one read looks through; with a limit of 1,000 blocks that is nine days of Ethereum."""

LEAST_RANGE = 10
SMALLER = 4
MOST_LOGS = 50_000
MOST_IDS = 10_000
"""Ids of one collection that are followed up."""

MOST_KEPT = 1_000
REORGANISED_BLOCKS = 64
"""The newest blocks may still change: they are looked through again."""

_SHARE_FOR_LOGS = 0.6
_NUMBER = re.compile(r"(?<![\w.])(\d{1,3}(?:[,_]\d{3})+|\d+)\s*(k\b)?(?!\w)", re.IGNORECASE)
_ABOUT_RANGE = re.compile(
    r"block\s*range|blocks?\s+range|range\b.*\bblock|range (?:is )?(?:too|limit|exceed)|max(?:imum)? range|"
    r"limited to .{0,40}range|"
    r"distance|too many blocks|blocks? (?:at once|per request)",
    re.IGNORECASE,
)
_TOO_MUCH = re.compile(
    r"more than \d+ (?:results|logs)|response size|too many (?:results|logs|events)|max results|"
    r"query (?:timeout|exceeds|returned)|result set|limit the query|large (?:result|response)",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Received:
    """What was found of one wallet in one set of contracts.

    Attributes:
        low: The first block that was looked through; above ``high`` where none was.
        high: The last one.
        ids: By contract in lower case, in the order found.
    """

    low: int
    high: int
    ids: dict[str, dict[int, None]] = field(default_factory=dict)

    def covers(self, since_block: int) -> bool:
        """Whether everything from a block on was looked through."""
        return self.low <= max(since_block, 0)

    def of(self, contract: str) -> list[int]:
        """The ids received of a contract, a bounded number of them."""
        return list(self.ids.get(contract, ()))[:MOST_IDS]

    @property
    def note(self) -> str:
        """Which blocks were looked through, for people."""
        if self.low > self.high:
            return "no events could be looked through"
        return f"events of blocks {self.low} to {self.high} were looked through"


class ReceiptLogs:
    """Finds receipts through a network's pool, and remembers what was looked through."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._kept: OrderedDict[tuple[str, tuple[str, ...]], Received] = OrderedDict()

    async def received(
        self, owner: Address, contracts: Sequence[str], since_block: int, at: BlockRef, deadline: float
    ) -> tuple[Received, int]:
        """Ids that the owner has received by a block, and how many requests it took.

        Args:
            owner: Whose receipts.
            contracts: Collections in lower case.
            since_block: Where their events begin, 0 where that is not known.
            at: The last block that counts.
            deadline: The loop's time by which it answers with the range that it got through.

        Returns:
            What was looked through; an endpoint that gives no events at all gives an empty range.
        """
        block = at.number
        key = (owner.lower(), tuple(sorted(contracts)))
        kept = self._kept.get(key)
        begun = kept if kept is not None and kept.low <= block else Received(low=block + 1, high=block)
        search = _Search(begun, owner, key[1], since_block, at, self._until(deadline))
        requests = 0

        async def operation(session: Session) -> None:
            nonlocal requests
            try:
                await search.on(session)
            finally:
                requests = session.requests

        try:
            await self._pool.run(operation, search.until)
        except UpstreamError as error:
            requests = max(requests, error.requests)
        found = search.result()
        if kept is None or found.high >= kept.high:
            self._keep(key, found)
        return replace(found, high=block), requests

    def _keep(self, key: tuple[str, tuple[str, ...]], found: Received) -> None:
        self._kept[key] = found
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    def _until(self, deadline: float) -> float:
        """Some of the time is for asking who holds what was found."""
        now = asyncio.get_running_loop().time()
        return now + max(0.0, deadline - now) * _SHARE_FOR_LOGS


class _Search:
    """One read's search; it goes on at another endpoint where one fails.

    A range counts only when all of it was given: newer blocks first, then those before ``low``.
    """

    def __init__(  # noqa: PLR0917 - positions as in the question
        self, kept: Received, owner: str, contracts: Sequence[str], since: int, at: BlockRef, until: float
    ) -> None:
        self._ids = {contract: dict(found) for contract, found in kept.ids.items()}
        self._owner = "0x" + address_word(owner)
        self._contracts = list(contracts)
        self._since = max(since, 0)
        self._at = at
        self.until = until
        block = at.number
        self._low, self._high = kept.low, max(kept.high, block)
        # What is newer than the last read comes first: until it is through, the old range has a gap.
        overlap = max(kept.high - REORGANISED_BLOCKS, kept.low - 1)
        self._newer: tuple[int, int] | None = (overlap + 1, block) if kept.low <= kept.high < block else None
        self._left = MOST_RANGES
        self._logs = 0
        self._widest: int | None = None
        """Blocks that this wallet's events may be asked of at once, where there are very many."""

    async def on(self, session: Session) -> None:
        """Look through as much as there is time for.

        Raises:
            UpstreamError: The endpoint gives no events, or has not the block; another may.
        """
        first = [header_call(self._at.number)]
        while self._left > 0 and asyncio.get_running_loop().time() < self.until:
            sizes = (session.endpoint.memory.number(LOG_RANGE), self._widest)
            ranges = self._next_ranges(min((size for size in sizes if size is not None), default=None))
            if not ranges:
                return
            calls = [call for low, high in ranges for call in self._calls(low, high)]
            try:
                replies = await session.ask([*first, *calls])
            except UpstreamError as error:
                if error.code != "response_too_large" or not self._narrow(ranges[0]):
                    raise
                continue
            if first:
                self._check(replies[0])
                replies, first = replies[1:], []
            if not self._take(session, ranges, replies):
                return

    def _check(self, reply: RpcReply) -> None:
        """See that the endpoint is as far as the block: of what it has not seen it gives no events.

        Raises:
            UpstreamError: It is not, or is on another branch.
        """
        seen = read_header(reply, self._at.number)
        if self._at.hash is not None and seen.hash != self._at.hash:
            raise UpstreamError("The endpoint has another block of that number.", code="block_missing")

    def result(self) -> Received:
        """What was looked through without a gap, up to the block."""
        if self._newer is not None:
            return Received(self._newer[1] + 1, self._high, self._ids)
        return Received(self._low, self._high, self._ids)

    def _next_ranges(self, size: int | None) -> list[tuple[int, int]]:
        """The ranges to ask next, the newest first."""
        low, high = self._newer if self._newer is not None else (self._since, self._low - 1)
        if high < low:
            return []
        if size is None:
            return [(low, high)]
        count = min(RANGES_PER_REQUEST, self._left)
        tops = range(high, low - 1, -size)[:count]
        return [(max(low, top - size + 1), top) for top in tops]

    def _calls(self, low: int, high: int) -> list[RpcCall]:
        """Receipts by ERC-721's event, and by those that have the receiver in another place."""
        where = {"address": self._contracts, "fromBlock": hex(low), "toBlock": hex(high)}
        multi = [TRANSFER_SINGLE, TRANSFER_BATCH, CONSECUTIVE_TRANSFER]
        return [
            RpcCall("eth_getLogs", [{**where, "topics": [TRANSFER, None, self._owner]}]),
            RpcCall("eth_getLogs", [{**where, "topics": [multi, None, None, self._owner]}]),
        ]

    def _take(self, session: Session, ranges: Sequence[tuple[int, int]], replies: Sequence[RpcReply]) -> bool:
        """Take what came, newest first, up to the first range that failed; whether to go on.

        Raises:
            UpstreamError: The endpoint gives no events, or what it gave are none.
        """
        for number, (low, high) in enumerate(ranges):
            pair = replies[2 * number : 2 * number + 2]
            error = next((reply for reply in pair if isinstance(reply, RpcError)), None)
            if error is not None:
                return self._refused(session.endpoint.memory, error, high - low + 1)
            self._left -= 1
            for reply in pair:
                self._read(reply, low, high)
            self._done(low)
            if self._logs > MOST_LOGS:
                return False
        return True

    def _done(self, low: int) -> None:
        if self._newer is None:
            # Two endpoints may look side by side: what one is through stays so.
            self._low = min(self._low, low)
            return
        bottom = self._newer[0]
        self._newer = None if low <= bottom else (bottom, low - 1)

    def _refused(self, memory: Memory, error: RpcError, span: int) -> bool:
        """Learn from an error how many blocks the endpoint gives.

        Raises:
            UpstreamError: It is not about the range.
        """
        size = range_limit(error, span)
        if size is not None and span > LEAST_RANGE:
            if _ABOUT_RANGE.search(error.message):
                memory.put(LOG_RANGE, size, DAY_SECONDS)
            else:
                self._widest = size
            return True
        if meaning(error) is Meaning.RATE_LIMITED:
            raise fault_of(error)
        # It may be fine for everything else, so nothing is held against it.
        raise UpstreamError(
            f"The endpoint gives no events: {error.message[:200]}",
            code="history_unavailable",
            retryable=False,
        )

    def _narrow(self, asked: tuple[int, int]) -> bool:
        """Ask of fewer blocks at once from here on; whether that is possible."""
        span = asked[1] - asked[0] + 1
        self._widest = max(span // SMALLER, LEAST_RANGE)
        return span > LEAST_RANGE

    def _read(self, reply: RpcReply, low: int, high: int) -> None:
        if not isinstance(reply, list):
            raise UpstreamError("The endpoint's events are not a list.", code="bad_response")
        self._logs += len(reply)
        for log in reply:
            contract, token_ids = _read_log(log, self._owner, low, high)
            if contract in self._contracts:
                found = self._ids.setdefault(contract, {})
                room = MOST_IDS - len(found)
                found.update(dict.fromkeys(token_ids[: max(room, 0)]))


def range_limit(error: RpcError, span: int) -> int | None:
    """How many blocks an endpoint gives at once, by its refusal of ``span``; ``None``: it is no such refusal.

    >>> range_limit(RpcError(-32000, "eth_getLogs is limited to a 1000 blocks range"), 50_000)
    1000
    >>> range_limit(RpcError(-32005, "query returned more than 10000 results"), 50_000)
    12500
    """
    text = error.message
    if _ABOUT_RANGE.search(text):
        numbers = [_number(match) for match in _NUMBER.finditer(text)]
        named = [number for number in numbers if LEAST_RANGE <= number < span]
        return min(named) if named else max(span // SMALLER, LEAST_RANGE)
    if _TOO_MUCH.search(text) or meaning(error) is Meaning.TOO_LARGE:
        return max(span // SMALLER, LEAST_RANGE)
    return None


def _number(match: re.Match[str]) -> int:
    digits = match[1].replace(",", "").replace("_", "")
    return int(digits[:12]) * (1_000 if match[2] else 1)


def _read_log(log: Any, owner: str, low: int, high: int) -> tuple[str, list[int]]:
    """The contract of a receipt and its ids; none where it is not one that was asked for.

    Raises:
        UpstreamError: It is no event at all.
    """
    try:
        contract = log["address"].lower()
        topics = [_word(topic) for topic in log["topics"]]
        data = bytes.fromhex(log["data"][2:])
        number = int(log["blockNumber"], 16)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UpstreamError("The endpoint's event is not one.", code="bad_response") from error
    if not low <= number <= high or log.get("removed") is True or len(topics) != 4:
        return contract, []
    return contract, _ids_of(topics, data, int(owner, 16))


def _word(topic: str) -> int:
    raw = bytes.fromhex(topic[2:])
    if len(raw) != WORD:
        raise ValueError("not a word")
    return int.from_bytes(raw)


def _ids_of(topics: Sequence[int], data: bytes, owner: int) -> list[int]:
    kind, second, third, fourth = topics
    if kind == _TRANSFER and third == owner:
        return [fourth]
    if fourth != owner:
        return []
    if kind == _TRANSFER_SINGLE and len(data) == 2 * WORD:
        return [int.from_bytes(data[:WORD])]
    if kind == _TRANSFER_BATCH:
        return _batch_ids(data)
    if kind == _CONSECUTIVE_TRANSFER and len(data) == WORD:
        last = int.from_bytes(data)
        return list(range(second, min(last, second + MOST_IDS) + 1))
    return []


def _batch_ids(data: bytes) -> list[int]:
    """The first of the two lists of a ``TransferBatch``; of a very long one as many as are followed up."""
    offset = int.from_bytes(data[:WORD])
    count = min(int.from_bytes(data[offset : offset + WORD]), MOST_IDS)
    start = offset + WORD
    if len(data) < 2 * WORD or start + count * WORD > len(data):
        return []
    return words_of(data[start : start + count * WORD])

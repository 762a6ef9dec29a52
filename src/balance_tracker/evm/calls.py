"""Many calls at one block, in as few requests as the endpoint allows.

The first request carries Multicall3 and the block's header together; the call itself
returns its block's number, time and parent hash, which tie it to that header. Where
Multicall3 is missing the calls go as a JSON-RPC batch, or singly where batches are
refused. What fails inside Multicall3 is asked again alone: one token that reverts or
eats all gas says nothing about its neighbours.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm import multicall
from balance_tracker.evm.abi import WORD, address_word, revert_reason
from balance_tracker.evm.blocks import (
    Evidence,
    Header,
    block_tag,
    fault_of,
    header_call,
    hex_bytes,
    quantity,
    read_header,
)
from balance_tracker.evm.multicall import Call
from balance_tracker.transport.jsonrpc import Meaning, RpcCall, RpcError, RpcReply, meaning
from balance_tracker.transport.pool import Pool, Session

MOST_CALLS = 1_000
"""Calls in one ``aggregate3``: about 8 million gas and 450 kB of body."""
SMALLEST_PART = 16
"""A part of this size that still fails as a whole is asked call by call."""
PARTS_AT_ONCE = 4
MOST_DIRECT = 2_000
ARB_BLOCK_NUMBER = "a3b1b31d"
_SPARE_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class CallFailure:
    """Why one call has no answer."""

    code: FailureCode
    reason: str


type Outcome = bytes | CallFailure


@dataclass(slots=True)
class Answer:
    """Outcomes in the order of their calls, all at ``block``."""

    outcomes: list[Outcome]
    block: BlockRef
    endpoint: str
    requests: int = 0


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What must be known of a network to read it; ``chain_id`` ``None`` takes any."""

    chain_id: int | None = None
    multicall3: str | None = None
    multicall3_since: int = 0
    arbsys: str | None = None


_NOT_ASKED = CallFailure(FailureCode.TIMED_OUT, "not answered in time")


@dataclass
class CallReader:
    """Reads sets of calls through a pool."""

    pool: Pool
    facts: ChainFacts
    _without_multicall: set[str] = field(default_factory=set)
    _part_sizes: dict[str, int] = field(default_factory=dict)

    async def read(self, calls: Sequence[Call], block: int | None, deadline: float) -> Answer:
        """Ask all calls at one block (``None``: the latest).

        Raises:
            UpstreamError: No endpoint gave the block and a first answer.
        """

        async def operation(session: Session) -> Answer:
            try:
                return await _Run(self, session, calls, block, deadline).answer()
            except _BehindError as behind:
                # A little behind what was answered already: ask for that very block, or fail.
                return await _Run(self, session, calls, behind.floor, deadline).answer()
            except ReorganisedError:
                return await _Run(self, session, calls, block, deadline).answer()

        answer = await self.pool.run(operation, deadline)
        if any(is_unanswered(outcome) for outcome in answer.outcomes):
            await self._ask_elsewhere(calls, answer, deadline)
        return answer

    async def _ask_elsewhere(self, calls: Sequence[Call], answer: Answer, deadline: float) -> None:
        """Ask the next endpoint, at the same block, what the first one left open."""
        left = [place for place, outcome in enumerate(answer.outcomes) if is_unanswered(outcome)]

        async def operation(session: Session) -> Answer:
            run = _Run(self, session, [calls[place] for place in left], answer.block.number, deadline)
            again = await run.answer()
            if again.block.hash != answer.block.hash:
                raise UpstreamError("The endpoint is on another branch of the chain.", code="stale_head")
            return again

        try:
            again = await self.pool.run(operation, deadline)
        except UpstreamError:
            return
        answer.requests += again.requests
        for place, outcome in zip(left, again.outcomes, strict=True):
            answer.outcomes[place] = outcome

    def part_size(self, endpoint: str) -> int:
        """How many calls this endpoint takes in one request, as far as known."""
        return self._part_sizes.get(endpoint, MOST_CALLS)

    def shrink(self, session: Session, size: int) -> None:
        """Learn that a request of ``size`` calls was too much."""
        self._part_sizes[session.name] = max(size // 2, 1)
        session.endpoint.learned["calls_per_request"] = str(self._part_sizes[session.name])

    def use_multicall(self, endpoint: str, block: int | None) -> bool:
        """Whether Multicall3 is worth asking there."""
        if self.facts.multicall3 is None or endpoint in self._without_multicall:
            return False
        return block is None or block >= self.facts.multicall3_since

    def has_no_multicall(self, session: Session, block: int | None) -> None:
        """Learn that Multicall3 is not on this chain (a past block may just precede it)."""
        if block is None:
            self._without_multicall.add(session.name)
            session.endpoint.learned["multicall3"] = "missing"


def is_unanswered(outcome: Outcome) -> bool:
    """Whether the endpoint, not the contract, is why there is no answer."""
    return isinstance(outcome, CallFailure) and outcome.code in (
        FailureCode.ENDPOINT_FAILED,
        FailureCode.TIMED_OUT,
    )


class ReorganisedError(UpstreamError):
    """Two requests of one read saw two branches of the chain."""

    code = "reorganised"

    def __init__(self) -> None:
        super().__init__("The chain was reorganised within a read.")


class _BehindError(Exception):
    """The endpoint's head is a little before a block that was answered already."""

    def __init__(self, floor: int) -> None:
        super().__init__(floor)
        self.floor = floor


class _TooMuchError(Exception):
    """A whole ``aggregate3`` ran out of gas or was too large."""


class _NoMulticallError(Exception):
    """There is no code where Multicall3 should be."""


class _Run:
    """One set of calls on one endpoint."""

    def __init__(
        self, reader: CallReader, session: Session, calls: Sequence[Call], block: int | None, deadline: float
    ) -> None:
        self.reader = reader
        self.facts = reader.facts
        self.session = session
        self.calls = calls
        self.asked_block = block
        self.deadline = deadline
        self.outcomes: list[Outcome] = [_NOT_ASKED] * len(calls)
        self.header: Header
        self.hash_is_sure = True

    async def answer(self) -> Answer:
        suspects = await self._first()
        await self._within_time(self._finish(suspects))
        block = self.header.ref if self.hash_is_sure else replace(self.header.ref, hash=None)
        return Answer(self.outcomes, block, self.session.name, self.session.requests)

    async def _first(self) -> list[int]:
        """The first request, and the block; returns the places still to be asked."""
        if self.reader.use_multicall(self.session.name, self.asked_block):
            try:
                return await self._first_multicall()
            except _NoMulticallError:
                self.reader.has_no_multicall(self.session, self.asked_block)
        if not hasattr(self, "header"):
            replies = await self._ask_with_chain([header_call(self.asked_block)])
            self._settle(read_header(replies[0], self.asked_block))
        return list(range(len(self.calls)))

    async def _first_multicall(self) -> list[int]:
        part = range(min(len(self.calls), self.reader.part_size(self.session.name)))
        tag = block_tag(self.asked_block)
        try:
            replies = await self._ask_with_chain([self._aggregate(part, tag), header_call(self.asked_block)])
        except UpstreamError as error:
            if error.code != "too_large" or len(part) <= SMALLEST_PART:
                raise
            self.reader.shrink(self.session, len(part))
            return await self._first_multicall()
        header = read_header(replies[1], self.asked_block)
        rest = list(range(len(part), len(self.calls)))
        try:
            results, evidence = self._unpack(replies[0], part)
        except _TooMuchError:
            self._settle(header)
            if len(self.calls) == len(part) and len(part) <= SMALLEST_PART:
                return list(part)
            self.reader.shrink(self.session, max(len(part), 2 * SMALLEST_PART))
            return [*part, *rest]
        except _NoMulticallError:
            self._settle(header)
            raise
        if not evidence.matches(header):
            header = await self._header_of(evidence, header)
        self._settle(header)
        return self._take(part, results) + rest

    async def _header_of(self, evidence: Evidence, seen: Header) -> Header:
        """The header of the block the call ran in, where the head moved on within the request."""
        number = evidence.number if evidence.number is not None else evidence.evm_number
        if self.asked_block not in (None, number):
            raise UpstreamError("The endpoint answered with another block.", code="bad_response")
        if number != seen.number:
            seen = read_header((await self.session.ask([header_call(number)]))[0], number)
        # A node whose calls see another time or parent than its headers tell: the number is
        # sure, which of its siblings it was is not, so no hash is claimed.
        self.hash_is_sure = evidence.matches(seen)
        return seen

    def _settle(self, header: Header) -> None:
        """Take the block, if it is fresh enough where the latest was asked."""
        if self.asked_block is None:
            self.reader.pool.saw_head(self.session.endpoint, header.number)
            if header.number < self.reader.pool.floor:
                raise _BehindError(self.reader.pool.floor)
            self.reader.pool.floor = header.number
        self.header = header

    async def _finish(self, places: list[int]) -> None:
        """Ask the rest by Multicall3 in parts, and call by call what failed in there."""
        direct = [place for place in places if self.outcomes[place] is not _NOT_ASKED]
        left = [place for place in places if self.outcomes[place] is _NOT_ASKED]
        if left and self.reader.use_multicall(self.session.name, self.asked_block):
            direct += await self._in_parts(left)
        else:
            direct += left
        if direct:
            await self._directly(direct)

    async def _in_parts(self, places: list[int]) -> list[int]:
        size = self.reader.part_size(self.session.name)
        if len(places) <= SMALLEST_PART:
            return places
        gate = asyncio.Semaphore(PARTS_AT_ONCE)

        async def one(part: Sequence[int]) -> list[int]:
            if len(part) <= SMALLEST_PART:
                return list(part)
            async with gate:
                try:
                    reply = (await self.session.ask([self._aggregate(part, block_tag(self.header.number))]))[
                        0
                    ]
                    results, evidence = self._unpack(reply, part)
                except _TooMuchError:
                    results = None
                except UpstreamError as error:
                    if error.code != "too_large":
                        raise
                    results = None
            if results is None:
                middle = len(part) // 2
                halves = await asyncio.gather(one(part[:middle]), one(part[middle:]))
                return halves[0] + halves[1]
            if self.hash_is_sure and not evidence.matches(self.header):
                raise ReorganisedError
            return self._take(part, results)

        parts = [places[at : at + size] for at in range(0, len(places), size)]
        return [place for part in await asyncio.gather(*(one(p) for p in parts)) for place in part]

    def _take(self, part: Sequence[int], results: Sequence[tuple[bool, bytes]]) -> list[int]:
        """Keep what succeeded; returns the places of what failed or came back empty."""
        suspects = []
        for place, (succeeded, data) in zip(part, results, strict=True):
            self.outcomes[place] = data
            if not succeeded:
                self.outcomes[place] = CallFailure(FailureCode.REVERTED, revert_reason(data))
            if not succeeded or not data:
                suspects.append(place)
        return suspects

    def _aggregate(self, places: Iterable[int], tag: str) -> RpcCall:
        target = self.facts.multicall3 or ""
        packed = [(target, multicall.GET_BLOCK_NUMBER), (target, multicall.GET_BLOCK_TIMESTAMP)]
        packed += [(target, multicall.GET_LAST_BLOCK_HASH), (target, multicall.GET_CHAIN_ID)]
        packed.append((self.facts.arbsys or target, ARB_BLOCK_NUMBER))
        for place in places:
            call = self.calls[place]
            if call.native_of is not None:
                packed.append((target, multicall.GET_ETH_BALANCE + address_word(call.native_of)))
            else:
                packed.append((call.to, call.data))
        data = multicall.encode_aggregate3(packed)
        return RpcCall("eth_call", [{"to": target, "data": data}, tag])

    def _unpack(self, reply: RpcReply, part: Sequence[int]) -> tuple[list[tuple[bool, bytes]], Evidence]:
        if isinstance(reply, RpcError):
            if meaning(reply) in (Meaning.OUT_OF_GAS, Meaning.TOO_LARGE, Meaning.REVERTED):
                raise _TooMuchError
            raise fault_of(reply)
        data = hex_bytes(reply)
        if not data:
            raise _NoMulticallError
        try:
            results = multicall.decode_aggregate3(data, len(part) + 5)
        except multicall.UndecodableError as error:
            raise UpstreamError(f"Multicall3's answer is {error}.", code="bad_response") from error
        return results[5:], self._evidence(results[:5])

    def _evidence(self, results: Sequence[tuple[bool, bytes]]) -> Evidence:
        words = [int.from_bytes(data) if ok and len(data) == WORD else None for ok, data in results]
        number, timestamp, _, chain_id, arb_number = words
        if number is None or timestamp is None:
            raise UpstreamError("Multicall3 does not tell its block.", code="bad_response")
        if chain_id is not None:
            self._check_chain(chain_id)
        if self.facts.arbsys is not None:
            return Evidence(arb_number, timestamp, None, number)
        parent = results[2][1]
        comparable = len(parent) == WORD and any(parent)
        return Evidence(number, timestamp, "0x" + parent.hex() if comparable else None, number)

    async def _ask_with_chain(self, calls: list[RpcCall]) -> list[RpcReply]:
        """Ask, and with the first request to an endpoint its chain id."""
        if self.session.endpoint.chain_verified or self.facts.chain_id is None:
            return await self.session.ask(calls)
        *replies, chain = await self.session.ask([*calls, RpcCall("eth_chainId")])
        if not isinstance(chain, RpcError):
            try:
                self._check_chain(quantity(chain))
            except ValueError as error:
                raise UpstreamError("The endpoint's chain id is not one.", code="bad_response") from error
        return replies

    def _check_chain(self, chain_id: int) -> None:
        expected = self.facts.chain_id
        if expected is not None and chain_id != expected:
            raise UpstreamError(
                f"The endpoint serves chain {chain_id}, not {expected}.", code="wrong_chain", retryable=False
            )
        self.session.endpoint.chain_verified = True

    async def _directly(self, places: Sequence[int]) -> None:
        """Ask call by call, and for the code of every contract that is in doubt."""
        tag = block_tag(self.header.number)
        empty = [place for place in places if self.outcomes[place] == b""]
        asked = [place for place in places if self.outcomes[place] != b""][:MOST_DIRECT]
        doubted = empty + [place for place in asked if self.outcomes[place] is not _NOT_ASKED]
        contracts = list(dict.fromkeys(self.calls[p].to for p in doubted if self.calls[p].native_of is None))
        requests = [header_call(self.header.number)]
        requests += [RpcCall("eth_getCode", [contract, tag]) for contract in contracts]
        requests += [self._direct_call(place, tag) for place in asked]
        replies = await self.session.ask(requests)
        if read_header(replies[0], self.header.number).hash != self.header.hash:
            raise ReorganisedError
        codes = dict(zip(contracts, replies[1 : 1 + len(contracts)], strict=True))
        for place, reply in zip(asked, replies[1 + len(contracts) :], strict=True):
            self.outcomes[place] = self._judge(reply, place)
        await self._explain_empty(empty + asked, codes)

    def _direct_call(self, place: int, tag: str) -> RpcCall:
        call = self.calls[place]
        if call.native_of is not None:
            return RpcCall("eth_getBalance", [call.native_of, tag])
        return RpcCall("eth_call", [{"to": call.to, "data": "0x" + call.data}, tag])

    def _judge(self, reply: RpcReply, place: int) -> Outcome:
        if isinstance(reply, RpcError):
            return _failure_of(reply)
        try:
            if self.calls[place].native_of is not None:
                return quantity(reply).to_bytes(WORD)
            return hex_bytes(reply)
        except (ValueError, UpstreamError):
            return CallFailure(FailureCode.ENDPOINT_FAILED, "the endpoint's result is not hexadecimal data")

    async def _explain_empty(self, places: Sequence[int], codes: dict[str, RpcReply]) -> None:
        """Tell a contract that returned nothing from an address without a contract."""
        empty = [place for place in places if self.outcomes[place] == b""]
        unknown = list(dict.fromkeys(self.calls[p].to for p in empty if self.calls[p].to not in codes))
        if unknown:
            tag = block_tag(self.header.number)
            replies = await self.session.ask([RpcCall("eth_getCode", [to, tag]) for to in unknown])
            codes |= dict(zip(unknown, replies, strict=True))
        bare = [place for place in empty if codes[self.calls[place].to] in ("0x", "0x0")]
        later = await self._created_later(bare)
        for place in empty:
            code = codes[self.calls[place].to]
            if isinstance(code, RpcError):
                self.outcomes[place] = CallFailure(FailureCode.ENDPOINT_FAILED, "the code could not be read")
            elif self.calls[place].to in later:
                self.outcomes[place] = bytes(WORD)
            elif place in bare:
                self.outcomes[place] = CallFailure(
                    FailureCode.NO_CONTRACT, "there is no contract at this address"
                )
            else:
                self.outcomes[place] = CallFailure(FailureCode.NO_DATA, "the contract returned no data")

    async def _created_later(self, places: Sequence[int]) -> set[str]:
        """Contracts that a past block does not have but the latest one does: nobody held them then."""
        if self.asked_block is None or not places:
            return set()
        contracts = list(dict.fromkeys(self.calls[place].to for place in places))
        replies = await self.session.ask([RpcCall("eth_getCode", [to, "latest"]) for to in contracts])
        return {
            to
            for to, code in zip(contracts, replies, strict=True)
            if isinstance(code, str) and code not in ("0x", "0x0")
        }

    async def _within_time(self, work: Awaitable[None]) -> None:
        """Finish what can be finished; what is open stays marked as such."""
        try:
            async with asyncio.timeout_at(self.deadline - _SPARE_SECONDS):
                await work
        except TimeoutError:
            self._mark_open(_NOT_ASKED)
        except ReorganisedError:
            raise
        except UpstreamError as error:
            self.session.endpoint.failed(error)
            self._mark_open(CallFailure(FailureCode.ENDPOINT_FAILED, error.message))

    def _mark_open(self, failure: CallFailure) -> None:
        """Everything not yet known for sure; a guess from inside Multicall3 is no certainty."""
        for place, outcome in enumerate(self.outcomes):
            guessed = isinstance(outcome, CallFailure) and outcome.code is FailureCode.REVERTED
            if guessed or outcome is _NOT_ASKED or outcome == b"":
                self.outcomes[place] = failure


def _failure_of(error: RpcError) -> CallFailure:
    data = error.data if isinstance(error.data, str) and error.data.startswith("0x") else "0x"
    match meaning(error):
        case Meaning.REVERTED:
            try:
                raw = bytes.fromhex(data[2:])
            except ValueError:
                raw = b""
            reason = (
                revert_reason(raw) if raw or "invalid" not in error.message.lower() else error.message[:200]
            )
            return CallFailure(FailureCode.REVERTED, reason)
        case Meaning.OUT_OF_GAS:
            return CallFailure(FailureCode.OUT_OF_GAS, "the call ran out of gas")
        case Meaning.HISTORY_UNAVAILABLE:
            return CallFailure(FailureCode.HISTORY_UNAVAILABLE, "the endpoint has no state of that block")
        case _:
            return CallFailure(FailureCode.ENDPOINT_FAILED, error.message[:200])

"""One set of calls on one endpoint: Multicall3 with the header, then what that left open."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import BALANCE_OF, WORD, revert_reason
from balance_tracker.evm.blocks import (
    Evidence,
    Header,
    block_tag,
    header_call,
    hex_bytes,
    no_history,
    quantity,
    read_header,
)
from balance_tracker.evm.learned import Learned
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import (
    NOT_ASKED,
    Answer,
    CallFailure,
    Outcome,
    failure_of,
    is_without_history,
    took_all_gas,
)
from balance_tracker.evm.packing import NoMulticallError, TooMuchError, check_chain, pack, unpack
from balance_tracker.transport.jsonrpc import RpcCall, RpcError, RpcReply
from balance_tracker.transport.pool import Pool, Session

SMALLEST_PART = 16
"""A part of this size that still fails as a whole is asked call by call."""
PARTS_AT_ONCE = 4
MOST_DIRECT = 2_000
_SPARE_SECONDS = 0.15


class ReorganisedError(UpstreamError):
    """Two requests of one read saw two branches of the chain."""

    code = "reorganised"

    def __init__(self) -> None:
        super().__init__("The chain was reorganised within a read.")


class BehindError(Exception):
    """The endpoint's head is a little before a block that was answered already."""

    def __init__(self, floor: int) -> None:
        super().__init__(floor)
        self.floor = floor


class UncertainBlockError(BehindError):
    """Which block the call ran in can't be told; asked by number, it can."""


class EndpointRun:
    """One set of calls on one endpoint."""

    def __init__(
        self,
        pool: Pool,
        learned: Learned,
        session: Session,
        *,
        calls: Sequence[Call],
        block: int | None,
        deadline: float,
    ) -> None:
        self.pool = pool
        self.learned = learned
        self.facts = learned.facts
        self.session = session
        self.calls = calls
        self.asked_block = block
        self.deadline = deadline
        self.outcomes: list[Outcome] = [NOT_ASKED] * len(calls)
        self.header: Header
        self.settled = False
        self.hash_is_sure = True
        self.ran_out = 0

    async def answer(self) -> Answer:
        """Outcomes of all calls at one block; what could not be had in time is marked so.

        Raises:
            UpstreamError: The endpoint gave no block, or no first answer.
            BehindError: Its head is before a block that was answered already.
        """
        suspects = await self._first()
        await self._within_time(self._finish(suspects))
        block = self.header.ref if self.hash_is_sure else replace(self.header.ref, hash=None)
        return Answer(self.outcomes, block, self.session.name, self.session.requests)

    async def _first(self) -> list[int]:
        """The first request, and the block; returns the places still to be asked."""
        if self.learned.use_multicall(self.session.name, self.asked_block):
            try:
                return await self._first_multicall()
            except NoMulticallError:
                if self.settled:
                    await self._confirm_no_multicall()
                    self.learned.has_no_multicall(self.session, self.asked_block)
        if not self.settled:
            replies = await self._ask_with_chain([header_call(self.asked_block)])
            self._settle(read_header(replies[0], self.asked_block))
        return list(range(len(self.calls)))

    async def _confirm_no_multicall(self) -> None:
        """An endpoint that has Multicall3's code but answers its call by nothing answers nothing."""
        call = RpcCall("eth_getCode", [self.facts.multicall3, block_tag(self.header.number)])
        code = (await self.session.ask([call]))[0]
        if isinstance(code, str) and code not in ("0x", "0x0"):
            raise UpstreamError("The endpoint answers calls with nothing.", code="bad_response")

    async def _first_multicall(self) -> list[int]:
        ordinary = [place for place in range(len(self.calls)) if not self._eats_gas(place)]
        part = ordinary[: self.learned.part_size(self.session.name)]
        tag = block_tag(self.asked_block)
        try:
            replies = await self._ask_with_chain([self._pack(part, tag), header_call(self.asked_block)])
        except UpstreamError as error:
            if error.code != "too_large":
                raise
            self.learned.shrink(self.session, len(part))
            if len(part) <= SMALLEST_PART:
                raise NoMulticallError from error
            return await self._first_multicall()
        header = read_header(replies[1], self.asked_block)
        asked = set(part)
        rest = [place for place in range(len(self.calls)) if place not in asked]
        try:
            results, evidence = self._unpack(replies[0], len(part))
        except TooMuchError:
            self._settle(header)
            self.ran_out = len(part)
            return [*part, *rest]
        except NoMulticallError:
            self._settle(header)
            raise
        uncertain = self.asked_block is None and not evidence.tells_the_block(header)
        if uncertain or not evidence.matches(header):
            header = await self._header_of(evidence, header)
        self._settle(header)
        return self._take(part, results) + rest

    async def _header_of(self, evidence: Evidence, seen: Header) -> Header:
        """The header of the block the call ran in, where the head moved on within the request."""
        number = evidence.number if evidence.tells_the_block(seen) else None
        if self.asked_block is not None and self.asked_block != number:
            raise UpstreamError("The endpoint answered with another block.", code="bad_response")
        if number is None:
            raise UncertainBlockError(seen.number)
        if number != seen.number:
            seen = read_header((await self.session.ask([header_call(number)]))[0], number)
        # A node whose calls see another time or parent than its headers tell: the number is
        # sure, which of its siblings it was is not, so no hash is claimed.
        self.hash_is_sure = evidence.matches(seen)
        return seen

    def _settle(self, header: Header) -> None:
        """Take the block, if it is fresh enough where the latest was asked."""
        if self.asked_block is None:
            self.pool.saw_head(self.session.endpoint, header.number)
            if header.number < self.pool.floor:
                raise BehindError(self.pool.floor)
            self.pool.floor = header.number
        self.header = header
        self.settled = True

    async def _finish(self, places: list[int]) -> None:
        """Ask the rest by Multicall3 in parts, and call by call what failed in there."""
        direct = [place for place in places if self.outcomes[place] is not NOT_ASKED]
        left = [place for place in places if self.outcomes[place] is NOT_ASKED]
        if left and self.learned.use_multicall(self.session.name, self.asked_block):
            direct += [place for place in left if self._eats_gas(place)]
            direct += await self._in_parts([place for place in left if not self._eats_gas(place)])
        else:
            direct += left
        if direct:
            await self._directly(direct)
        self._learn_from_gas(direct)

    def _eats_gas(self, place: int) -> bool:
        call = self.calls[place]
        return call.native_of is None and self.learned.eats_gas(call.to)

    def _learn_from_gas(self, direct: Sequence[int]) -> None:
        """Gas that ran out has a cause: a contract that takes all there is, or else too many calls."""
        eaters = {self.calls[place].to for place in direct if took_all_gas(self.outcomes[place])}
        for contract in eaters:
            self.learned.found_gas_eater(contract)
        if self.ran_out > 2 * SMALLEST_PART and not eaters:
            self.learned.shrink(self.session, self.ran_out)

    async def _in_parts(self, places: list[int]) -> list[int]:
        # What has failed as a whole once is not asked as a whole again.
        size = self.learned.part_size(self.session.name)
        if self.ran_out:
            size = min(size, max(self.ran_out // 2, SMALLEST_PART))
        gate = asyncio.Semaphore(PARTS_AT_ONCE)

        async def one(part: Sequence[int]) -> list[int]:
            if len(part) <= SMALLEST_PART:
                return list(part)
            async with gate:
                try:
                    reply = (await self.session.ask([self._pack(part, block_tag(self.header.number))]))[0]
                    results, evidence = self._unpack(reply, len(part))
                except TooMuchError:
                    results = None
                except UpstreamError as error:
                    if error.code != "too_large":
                        raise
                    results = None
            if results is None:
                middle = len(part) // 2
                halves = await _all_or_none([one(part[:middle]), one(part[middle:])])
                return halves[0] + halves[1]
            if self.hash_is_sure and not evidence.matches(self.header):
                raise ReorganisedError
            return self._take(part, results)

        parts = [places[at : at + size] for at in range(0, len(places), size)]
        return [place for part in await _all_or_none([one(p) for p in parts]) for place in part]

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

    def _pack(self, places: Iterable[int], tag: str) -> RpcCall:
        return pack([self.calls[place] for place in places], self.facts, tag)

    def _unpack(self, reply: RpcReply, count: int) -> tuple[list[tuple[bool, bytes]], Evidence]:
        return unpack(reply, count, self.facts)

    async def _ask_with_chain(self, calls: list[RpcCall]) -> list[RpcReply]:
        """Ask, and with the first request to an endpoint its chain id."""
        if self.session.endpoint.chain_verified or self.facts.chain_id is None:
            return await self.session.ask(calls)
        *replies, chain = await self.session.ask([*calls, RpcCall("eth_chainId")])
        if not isinstance(chain, RpcError):
            try:
                check_chain(quantity(chain), self.facts)
                self.session.endpoint.chain_verified = True
            except ValueError as error:
                raise UpstreamError("The endpoint's chain id is not one.", code="bad_response") from error
        return replies

    async def _directly(self, places: Sequence[int]) -> None:
        """Ask call by call, and for the code of every contract that is in doubt."""
        tag = block_tag(self.header.number)
        empty = [place for place in places if self.outcomes[place] == b""]
        asked = [place for place in places if self.outcomes[place] != b""][:MOST_DIRECT]
        doubted = empty + [place for place in asked if self.outcomes[place] is not NOT_ASKED]
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
        if any(is_without_history(self.outcomes[place]) for place in asked):
            raise no_history()
        await self._explain_empty(empty + asked, codes)

    def _direct_call(self, place: int, tag: str) -> RpcCall:
        call = self.calls[place]
        if call.native_of is not None:
            return RpcCall("eth_getBalance", [call.native_of, tag])
        return RpcCall("eth_call", [{"to": call.to, "data": "0x" + call.data}, tag])

    def _judge(self, reply: RpcReply, place: int) -> Outcome:
        if isinstance(reply, RpcError):
            return failure_of(reply)
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
            elif self.calls[place].to in later and self.calls[place].data.startswith(BALANCE_OF):
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
            self._mark_open(NOT_ASKED)
        except UpstreamError as error:
            if error.code in ("reorganised", "history_unavailable"):
                raise
            self.session.endpoint.failed(error)
            self._mark_open(CallFailure(FailureCode.ENDPOINT_FAILED, error.message))

    def _mark_open(self, failure: CallFailure) -> None:
        """Everything not yet known for sure; a guess from inside Multicall3 is no certainty."""
        for place, outcome in enumerate(self.outcomes):
            guessed = isinstance(outcome, CallFailure) and outcome.code is FailureCode.REVERTED
            if guessed or outcome is NOT_ASKED or outcome == b"":
                self.outcomes[place] = failure


async def _all_or_none[T](work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, at once; where one fails, the others end with it."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""One question on one endpoint: the first part with the header, then what that left open."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.blocks import Evidence, Header, block_tag, header_call, quantity, read_header
from balance_tracker.evm.direct import DirectCalls, ReorganisedError
from balance_tracker.evm.findings import Findings
from balance_tracker.evm.ladder import Ladder
from balance_tracker.evm.outcomes import NOT_ASKED, Answer, CallFailure, took_all_gas
from balance_tracker.evm.question import Part, Question, Size, cut, whole
from balance_tracker.evm.rungs import Rung, RungFailedError, Taken, TooMuchError, check_chain
from balance_tracker.transport.jsonrpc import RpcCall, RpcError, RpcReply
from balance_tracker.transport.pool import Pool, Session

SMALLEST_PART = 16
"""A part of this size that still fails as a whole is asked call by call."""
PARTS_AT_ONCE = 4
MOST_DIRECT = 2_000
_SPARE_SECONDS = 0.15


class BehindError(Exception):
    """The endpoint's head is a little before a block that was answered already."""

    def __init__(self, floor: int) -> None:
        super().__init__(floor)
        self.floor = floor


class UncertainBlockError(BehindError):
    """Which block the call ran in can't be told; asked by number, it can."""


class EndpointRun:
    """One question on one endpoint."""

    def __init__(
        self,
        pool: Pool,
        ladder: Ladder,
        session: Session,
        *,
        question: Question,
        block: int | None,
        deadline: float,
    ) -> None:
        self.pool = pool
        self.ladder = ladder
        self.session = session
        self.memory = session.endpoint.memory
        self.question = question
        self.asked_block = block
        self.deadline = deadline
        self.header: Header
        self._size: Size
        self.settled = False
        self.hash_is_sure = True
        self.findings = Findings(question, past=block is not None)
        self._climbs: list[tuple[Rung, bool]] = []
        self._lost: UpstreamError | None = None
        self._misses = 0
        self._gave_up = False
        self._took_any = False

    async def answer(self) -> Answer:
        """Everything asked, at one block; what could not be had in time is marked so.

        Raises:
            UpstreamError: The endpoint gave no block, or no first answer.
            BehindError: Its head is before a block that was answered already.
        """
        left = await self._first(self._part())
        if not (left or self.findings.alone) or await self._within_time(self._finish(left)):
            self._learn_climbs()
        self.findings.mark_open(NOT_ASKED)
        block = self.header.ref if self.hash_is_sure else replace(self.header.ref, hash=None)
        found = self.findings
        return Answer(
            found.cells, found.calls, found.failures, block, self.session.name, self.session.requests
        )

    def _part(self) -> Part:
        """All that is asked, but for tokens that take all gas: these are asked alone."""
        everything = whole(self.question)
        eaters = [1 + place for place in self.ladder.gas_eaters(self.question.tokens)]
        if not eaters:
            return everything
        self.findings.ask_alone(replace(everything, columns=tuple(eaters), calls=range(0)), heavy=eaters)
        columns = tuple(column for column in everything.columns if column not in eaters)
        return replace(everything, columns=columns)

    def _rung(self) -> Rung | None:
        if self._gave_up:
            return None
        left_out = {rung.name for rung, _ in self._climbs}
        fewest = self.ladder.worth(len(self.question), self.session.endpoint.batch_limit)
        while (rung := self.ladder.rung(self.memory, self.asked_block, left_out)) is not None:
            self._size = self._size_on(rung)
            if self._size.cells >= fewest:
                return rung
            left_out.add(rung.name)
        return None

    def _size_on(self, rung: Rung) -> Size:
        return rung.size(self.question, self.ladder.limits(self.memory, rung))

    # The first request, and the block.

    async def _first(self, part: Part) -> list[Part]:
        """The first request with the block's header; returns what is still to be asked."""
        while (rung := self._rung()) is not None:
            try:
                return await self._first_on(rung, part)
            except RungFailedError as failed:
                await self._step_down(rung, failed)
        if not self.settled:
            replies = await self._ask_with_chain([header_call(self.asked_block)])
            self._settle(read_header(replies[0], self.asked_block))
        return [part]

    async def _first_on(self, rung: Rung, part: Part) -> list[Part]:
        size = self._size
        first, *rest = cut(part, size) or [part]
        try:
            call_reply, header = await self._ask_first(rung, first)
        except UpstreamError as error:
            if error.code != "too_large":
                raise
            first, *rest = cut(part, size.divided(16)) or [part]
            call_reply, header = await self._ask_fewer(rung, first, error)
        try:
            taken = rung.unpack(call_reply, first)
        except TooMuchError as too_much:
            self._settle(header)
            return self._after_too_much(rung, first, too_much) + rest
        except RungFailedError:
            self._settle(header)
            raise
        if not self.settled:
            await self._settle_by(taken.evidence, header)
        elif self.hash_is_sure and not taken.evidence.matches(self.header):
            raise ReorganisedError
        done = self._take(rung, first, taken)
        # What is left is cut anew, by what this reply has shown of the endpoint.
        left = [part.after(*done)] if first.columns == part.columns else [first.after(*done), *rest]
        return [one for one in left if len(one)]

    async def _ask_fewer(self, rung: Rung, part: Part, too_large: UpstreamError) -> tuple[RpcReply, Header]:
        """The same for a few calls: where that is too large as well, the rung is of no use."""
        if len(part) <= SMALLEST_PART and len(self.question) <= SMALLEST_PART:
            raise RungFailedError(too_small=True) from too_large
        try:
            return await self._ask_first(rung, part)
        except UpstreamError as error:
            if error.code != "too_large":
                raise
            raise RungFailedError(too_small=True) from error

    async def _ask_first(self, rung: Rung, part: Part) -> tuple[RpcReply, Header]:
        """One part and the header of its block, in one request."""
        block = self.header.number if self.settled else self.asked_block
        calls = [rung.pack(self.question, part, block_tag(block)), header_call(block)]
        replies = await self._ask_with_chain(calls, told_by_call=rung.name != "multicall3")
        return replies[0], read_header(replies[1], block)

    async def _step_down(self, rung: Rung, failed: RungFailedError) -> None:
        """Leave a rung; what an endpoint in trouble says of it is not taken for its nature."""
        if failed.too_small:
            self._gave_up = True
            return
        has_worked = self.memory.get("works") == rung.name
        fault = failed.fault
        if fault is None and has_worked:
            fault = UpstreamError("The endpoint answers calls with nothing.", code="bad_response")
        if self._lost is not None:
            # After the rung that worked the next one failed as well: that is trouble, no change.
            self._climbs.append((rung, True))
            self._learn_climbs()
            raise fault or self._lost
        if has_worked:
            self._lost = fault
        if rung.name == "multicall3":
            await self._confirm_no_multicall()
        self._climbs.append((rung, fault is not None))
        if fault is not None and sum(supported for _, supported in self._climbs) > 1:
            if not has_worked:
                self._learn_climbs()
            raise fault

    async def _confirm_no_multicall(self) -> None:
        """An endpoint that has Multicall3's code but answers its call by nothing answers nothing."""
        call = RpcCall("eth_getCode", [self.ladder.facts.multicall3, block_tag(self.header.number)])
        code = (await self.session.ask([call]))[0]
        if isinstance(code, str) and code not in ("0x", "0x0"):
            raise UpstreamError("The endpoint answers calls with nothing.", code="bad_response")

    def _learn_climbs(self) -> None:
        """Believe which rungs failed (a past block may just precede what they need)."""
        if self._climbs and self.asked_block is None:
            for rung, supported in self._climbs:
                if self.ladder.rung(self.memory, None) is rung:
                    self.ladder.failed(self.memory, rung, supported=supported)

    async def _ask_with_chain(self, calls: list[RpcCall], *, told_by_call: bool = False) -> list[RpcReply]:
        """Ask, and with the first request to an endpoint its chain id, unless the call tells it."""
        facts = self.ladder.facts
        if told_by_call or self.session.endpoint.chain_verified or facts.chain_id is None:
            return await self.session.ask(calls)
        *replies, chain = await self.session.ask([*calls, RpcCall("eth_chainId")])
        if not isinstance(chain, RpcError):
            try:
                check_chain(quantity(chain), facts)
                self.session.endpoint.chain_verified = True
            except ValueError as error:
                raise UpstreamError("The endpoint's chain id is not one.", code="bad_response") from error
        return replies

    async def _settle_by(self, evidence: Evidence, header: Header) -> None:
        uncertain = self.asked_block is None and not evidence.tells_the_block(header)
        if uncertain or not evidence.matches(header):
            header = await self._header_of(evidence, header)
        self._settle(header)

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
        if self.settled:
            return
        if self.asked_block is None:
            self.pool.saw_head(self.session.endpoint, header.number, header.timestamp)
            if header.number < self.pool.floor:
                raise BehindError(self.pool.floor)
            self.pool.floor = header.number
        self.header = header
        self.settled = True

    # What the first request left open.

    async def _finish(self, left: list[Part]) -> None:
        rung = self._rung()
        while left and rung is not None:
            try:
                await self._in_parts(rung, left)
            except RungFailedError as failed:
                await self._step_down(rung, failed)
                left = self.findings.open_parts()
                rung = self._rung()
            else:
                left = []
        for part in left:
            self.findings.ask_alone(part)
        if self.findings.alone:
            samples, others = self.findings.samples()
            await self._directly(samples[:MOST_DIRECT])
            others = self.findings.without_known_eaters(others)
            if others:
                await self._directly(others[:MOST_DIRECT])

    async def _in_parts(self, rung: Rung, left: list[Part]) -> None:
        gate = asyncio.Semaphore(PARTS_AT_ONCE)

        async def one(part: Part) -> None:
            part = self.findings.without_heavy(part)
            if not len(part):
                return
            if self._gave_up:
                self.findings.ask_alone(part)
                return
            pieces = cut(part, self._size_on(rung))
            if len(pieces) > 1:
                await _all_or_none([one(piece) for piece in pieces])
                return
            async with gate:
                if self._gave_up:  # meanwhile, for the others
                    self.findings.ask_alone(part)
                    return
                rest = await self._one_part(rung, part)
            await _all_or_none([one(piece) for piece in rest])

        await _all_or_none([one(part) for part in left])

    async def _one_part(self, rung: Rung, part: Part) -> list[Part]:
        """One request; returns what of its part is still to be asked."""
        try:
            call = rung.pack(self.question, part, block_tag(self.header.number))
            taken = rung.unpack((await self.session.ask([call]))[0], part)
        except TooMuchError as too_much:
            return self._after_too_much(rung, part, too_much)
        except UpstreamError as error:
            if error.code != "too_large" or len(part) <= SMALLEST_PART:
                raise
            return list(part.halves())
        if self.hash_is_sure and not taken.evidence.matches(self.header):
            raise ReorganisedError
        rest = part.after(*self._take(rung, part, taken))
        return [rest] if len(rest) else []

    def _after_too_much(self, rung: Rung, part: Part, too_much: TooMuchError) -> list[Part]:
        """The part in halves; a small one goes call by call: one of its calls is to blame."""
        if len(part) <= SMALLEST_PART:
            self.findings.ask_alone(part)
            return []
        body = None
        if too_much.of_bytes:
            body = len(str(rung.pack(self.question, part, "latest").params))
        self.ladder.too_much(self.memory, rung, len(part), body_bytes=body)
        self._misses += 1
        if self._misses > 1 and not self._took_any:
            self._gave_up = True
            self.findings.ask_alone(part)
            return []
        return list(part.halves())

    def _take(self, rung: Rung, part: Part, taken: Taken) -> tuple[int, int]:
        """Keep what a reply gave and showed; returns how much of the part is done with."""
        self._took_any = True
        self.session.endpoint.chain_verified = True
        self.ladder.worked(self.memory, rung)
        self.ladder.saw(self.memory, part, taken)
        calls, cells = self.findings.take(part, taken)
        if calls + cells < min(self.session.endpoint.batch_limit, len(part)):
            # A batch of plain calls gets on faster, and this might take requests without end.
            self._gave_up = True
            self.ladder.too_much(self.memory, rung, 2 * (calls + cells), body_bytes=None)
        return calls, cells

    async def _directly(self, places: list[int]) -> None:
        """Ask call by call, and for the code of every contract that is in doubt."""
        findings = self.findings
        calls = [self.question.call_at(place) for place in places]
        known = [findings.failures.get(place) for place in places]
        direct = DirectCalls(self.session, self.header, past=self.asked_block is not None)
        outcomes = await direct.outcomes(calls, known)
        for place, call, outcome in zip(places, calls, outcomes, strict=True):
            findings.settle(place, outcome)
            if call.native_of is None and took_all_gas(findings.failures.get(place)):
                news = self.ladder.found_gas_eater(call.to)
                if news and self._misses:
                    self.ladder.not_too_much(self.memory)

    async def _within_time(self, work: Awaitable[None]) -> bool:
        """Finish what can be finished; what is open stays marked as such, and it was not all well."""
        try:
            async with asyncio.timeout_at(self.deadline - _SPARE_SECONDS):
                await work
        except TimeoutError:
            self.findings.mark_open(NOT_ASKED)
        except UpstreamError as error:
            if error.code in ("reorganised", "history_unavailable"):
                raise
            self.session.endpoint.failed(error)
            self.findings.mark_open(CallFailure(FailureCode.ENDPOINT_FAILED, error.message))
        else:
            return True
        return False


async def _all_or_none(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All at once; where one fails, the others end with it."""
    if len(work) == 1:
        await work[0]
        return
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

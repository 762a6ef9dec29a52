"""One question on one endpoint: the first part with the header, then what that left open."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.anchor import Anchor
from balance_tracker.evm.blocks import Header, block_tag, header_call, quantity, read_header
from balance_tracker.evm.direct import DirectCalls, ReorganisedError
from balance_tracker.evm.findings import Findings
from balance_tracker.evm.ladder import Ladder
from balance_tracker.evm.outcomes import NO_CONTRACT, NOT_ASKED, TOO_LONG, Answer, CallFailure, Outcome
from balance_tracker.evm.question import Part, Question, Size, cut, whole
from balance_tracker.evm.rungs import Rung, RungFailedError, Taken, TooMuchError, check_chain
from balance_tracker.transport.jsonrpc import RpcCall, RpcError, RpcReply
from balance_tracker.transport.pool import Pool, Session

SMALLEST_PART = 16
"""A part of this size that still fails as a whole is asked call by call."""
PARTS_AT_ONCE = 4
DIRECT_AT_ONCE = 2_000
_MISSES = 2
"""Parts that may be too much before one is not, and plain calls are made instead."""
_MISSES_WHERE_BATCHES_ARE_SMALL = 8
_MANY_REQUESTS = 16
_SPARE_SECONDS = 0.15
_SPARE_SECONDS_A_PLACE = 5e-6


class HollowError(UpstreamError):
    """No contract at all is there: the endpoint has no state, and its zeros mean nothing."""

    code = "no_state"

    def __init__(self) -> None:
        super().__init__("The endpoint has no contract at all; it seems to have no state.")


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
        self.anchor = Anchor(pool, session, block)
        self.deadline = deadline
        self._size: Size
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
        found = self.findings
        return Answer(
            found.cells,
            found.calls,
            found.failures,
            self.anchor.ref,
            self.session.name,
            self.session.requests,
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
        while (rung := self.ladder.rung(self.memory, self.anchor.asked, left_out)) is not None:
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
        if not self.anchor.settled:
            replies = await self._ask_with_chain([header_call(self.anchor.asked)])
            self.anchor.settle(read_header(replies[0], self.anchor.asked))
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
            self.anchor.settle(header)
            return self._after_too_much(rung, first, too_much) + rest
        except RungFailedError:
            self.anchor.settle(header)
            raise
        if not self.anchor.settled:
            await self.anchor.settle_by(taken.evidence, header)
        elif not self.anchor.holds(taken.evidence):
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
        block = self.anchor.number
        calls = [rung.pack(self.question, part, block_tag(block)), header_call(block)]
        told = rung.name != "multicall3" or self.session.endpoint.chain_verified
        replies = await self._ask_with_chain(calls, told_by_call=told)
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
        call = RpcCall("eth_getCode", [self.ladder.facts.multicall3, block_tag(self.anchor.number)])
        code = (await self.session.ask([call]))[0]
        if isinstance(code, str) and code not in ("0x", "0x0"):
            raise UpstreamError("The endpoint answers calls with nothing.", code="bad_response")

    def _learn_climbs(self) -> None:
        """Believe which rungs failed; not for long at a past block, which may precede what they need."""
        past = self.anchor.past
        for rung, supported in self._climbs:
            if past and rung.name == "multicall3":
                continue
            if self.ladder.rung(self.memory, None) is rung:
                self.ladder.failed(self.memory, rung, supported=supported or past)

    async def _ask_with_chain(self, calls: list[RpcCall], *, told_by_call: bool = False) -> list[RpcReply]:
        """Ask, and with it the chain id, unless the call tells it: an endpoint may change its chain."""
        facts = self.ladder.facts
        if told_by_call or facts.chain_id is None:
            return await self.session.ask(calls)
        *replies, chain = await self.session.ask([*calls, RpcCall("eth_chainId")])
        if not isinstance(chain, RpcError):
            try:
                check_chain(quantity(chain), facts)
                self.session.endpoint.chain_verified = True
            except ValueError as error:
                raise UpstreamError("The endpoint's chain id is not one.", code="bad_response") from error
        return replies

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
            await self._in_turn(samples)
            await self._in_turn(self.findings.without_gas_eaters(others))

    async def _in_turn(self, places: list[int]) -> None:
        """Ask alone so many at a time; what is answered by the deadline is kept."""
        for start in range(0, len(places), DIRECT_AT_ONCE):
            await self._directly_in_less(places[start : start + DIRECT_AT_ONCE])

    async def _directly_in_less(self, places: list[int]) -> None:
        """Ask alone; what is too long together in halves, since one contract may be to blame."""
        try:
            await self._directly(places)
        except UpstreamError as error:
            if error.code != "response_too_large":
                raise
            if len(places) == 1:
                self.findings.settle(places[0], TOO_LONG)
                return
            middle = len(places) // 2
            await self._directly_in_less(places[:middle])
            await self._directly_in_less(places[middle:])

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
            call = rung.pack(self.question, part, block_tag(self.anchor.number))
            taken = rung.unpack((await self.session.ask([call]))[0], part)
        except TooMuchError as too_much:
            return self._after_too_much(rung, part, too_much)
        except UpstreamError as error:
            if error.code != "too_large" or len(part) <= SMALLEST_PART:
                raise
            return list(part.halves())
        if not self.anchor.holds(taken.evidence):
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
        plainly = len(self.question) // self.session.endpoint.batch_limit
        if self._misses >= (_MISSES if plainly < _MANY_REQUESTS else _MISSES_WHERE_BATCHES_ARE_SMALL) and (
            not self._took_any
        ):
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
        if calls == len(part.calls) and calls + cells < min(self.session.endpoint.batch_limit, len(part)):
            # Calls may be of any weight, and say nothing of how many balances are too many; but of these
            # a batch of plain calls gets on faster, and this might take requests without end.
            self._gave_up = True
            self.ladder.too_much(self.memory, rung, 2 * (calls + cells), body_bytes=None)
        return calls, cells

    async def _directly(self, places: list[int]) -> None:
        """Ask call by call, and for the code of every contract that is in doubt."""
        findings = self.findings
        calls = [self.question.call_at(place) for place in places]
        known = [findings.failures.get(place) for place in places]
        direct = DirectCalls(self.session, self.anchor.header, past=self.anchor.past)
        outcomes = await direct.outcomes(calls, known)
        for place, outcome in zip(places, outcomes, strict=True):
            findings.settle(place, outcome)
        self._refuse_hollow(outcomes)
        for column in findings.gas_eaters():
            news = self.ladder.found_gas_eater(self.question.tokens[column - 1])
            if news and self._misses:
                self.ladder.not_too_much(self.memory)

    def _refuse_hollow(self, outcomes: Sequence[Outcome]) -> None:
        """An endpoint without any state answers all calls with nothing, and every balance with zero."""
        asked_rungs_in_vain = self._climbs and not self._took_any
        contracts = [outcome for outcome in outcomes if isinstance(outcome, CallFailure)]
        if asked_rungs_in_vain and contracts and all(outcome is NO_CONTRACT for outcome in contracts):
            known = self.findings.cells
            width = self.question.width
            if all(value is None for column in range(1, width) for value in known[column::width]):
                raise HollowError

    async def _within_time(self, work: Awaitable[None]) -> bool:
        """Finish what can be finished; what is open stays marked as such, and it was not all well."""
        try:
            spare = _SPARE_SECONDS + _SPARE_SECONDS_A_PLACE * len(self.question)
            async with asyncio.timeout_at(self.deadline - spare):
                await work
        except TimeoutError:
            self.findings.mark_open(NOT_ASKED)
        except UpstreamError as error:
            if error.code in ("reorganised", "history_unavailable", HollowError.code):
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

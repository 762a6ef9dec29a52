"""Where a wallet's positions on Solana come from, beside its token accounts.

All protocols of a network ask in one request for each owner: one ``getMultipleAccounts`` with the clock and
the accounts that any of them reads, then the calls of each. What an endpoint refuses or garbles
(``getProgramAccounts`` is often refused) one other endpoint is asked.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address, shorten
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import FailureCode, Reading
from balance_tracker.core.positions import Position, ProtocolFailure
from balance_tracker.solana.binary import LayoutError
from balance_tracker.solana.client import COMMITMENT, SLOT_WAITS_SECONDS, check_genesis
from balance_tracker.solana.layouts import ClockState, decode_clock
from balance_tracker.solana.programs import CLOCK_SYSVAR
from balance_tracker.solana.replies import Item, account_of, item_of, list_of, with_context
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.transport.endpoint import Endpoint
from balance_tracker.transport.jsonrpc import RpcCall, RpcError, RpcReply
from balance_tracker.transport.pool import Pool, Session

OWNERS_AT_ONCE = 4

_SLOT_NOT_REACHED = -32016
_NO_GAPS = (False, 0)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What one endpoint told of an owner.

    Attributes:
        reading: Their balances, which were read before.
        clock: The clock, of the slot ``slot``.
        accounts: Those that the sources named, by address, of the slot ``slot``.
        replies: To the calls of the one source that reads this, in their order.
    """

    owner: Address
    reading: Reading
    clock: ClockState
    slot: int
    accounts: Mapping[str, Item]
    replies: Sequence[RpcReply]

    def listed(self, place: int) -> tuple[int, list[Any]]:
        """The slot and the rows of a listing (``getProgramAccounts`` with its context).

        Raises:
            UpstreamError: It is an error or no list; ``stale_head``: it is of before the balances.
        """
        slot, rows = with_context(self.replies[place])
        if slot < self.reading.block.number:
            raise UpstreamError("The endpoint answered of an earlier slot.", code="stale_head")
        return slot, list_of(rows)


@dataclass(frozen=True, slots=True)
class Found:
    """What a source found, and what of it could not be told."""

    positions: Sequence[Position] = ()
    failures: Sequence[ProtocolFailure] = ()


class PositionSource(Protocol):
    """One protocol on Solana.

    Attributes:
        slug: Its name in ``protocols=``.
        accounts: What it reads of the network whoever the owner is; few, for they are read for everyone.
    """

    slug: str
    accounts: Sequence[str]

    def calls(self, owner: Address, options: Mapping[str, Any]) -> Sequence[RpcCall]:
        """What is asked of an owner, a call or two; ``options`` belong into each (commitment, slot)."""

    def positions(self, told: Told) -> Found:
        """What the protocol holds for an owner.

        Raises:
            UpstreamError: The answers do not tell; another endpoint is asked then.
        """


type _Result = Found | UpstreamError | ProtocolFailure


@dataclass(frozen=True, slots=True)
class _Answer:
    """What each source made of one endpoint's answers, by its slug."""

    endpoint: Endpoint
    results: dict[str, _Result]
    requests: int


async def with_positions(
    network: Network,
    readings: Sequence[tuple[Address, Reading]],
    sources: Sequence[PositionSource],
    pool: Pool,
    deadline: float,
) -> list[Reading]:
    """The readings with what the sources found; a source that fails is told as failed, for that owner."""
    free = asyncio.Semaphore(OWNERS_AT_ONCE)

    async def ask(owner: Address, reading: Reading) -> Reading:
        async with free:
            return await _Asking(network, sources, pool, owner, reading, deadline).joined()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(owner, reading)) for owner, reading in readings]
    return [task.result() for task in tasks]


class _Asking:
    """The questions of all sources about one owner."""

    def __init__(  # noqa: PLR0917 - whom, of what, and until when
        self,
        network: Network,
        sources: Sequence[PositionSource],
        pool: Pool,
        owner: Address,
        reading: Reading,
        deadline: float,
    ) -> None:
        self._genesis = network.id.partition(":")[2]
        self._sources = sources
        self._pool = pool
        self._owner = owner
        self._reading = reading
        self._deadline = deadline
        self._requests = 0

    async def joined(self) -> Reading:
        """The reading with the positions, the failures and the requests."""
        try:
            async with asyncio.timeout_at(self._deadline):
                results = await self._results()
        except TimeoutError:
            late = UpstreamError("not answered in time", code=FailureCode.TIMED_OUT)
            results = {source.slug: late for source in self._sources}
        except UpstreamError as error:
            self._requests += error.requests
            results = {source.slug: error for source in self._sources}
        found = [results[source.slug] for source in self._sources]
        failures = [failure for source in self._sources for failure in _failures(source, results)]
        return replace(
            self._reading,
            requests=self._reading.requests + self._requests,
            positions=tuple(one for each in found if isinstance(each, Found) for one in each.positions),
            protocols_asked=tuple(sorted(source.slug for source in self._sources)),
            protocol_failures=tuple(failures),
        )

    async def _results(self) -> dict[str, _Result]:
        """By slug; what one endpoint did not tell in full another is asked, once.

        Raises:
            UpstreamError: No endpoint told anything.
        """
        first = await self._pool.run(lambda session: self._answer(session, self._sources), self._deadline)
        self._requests += first.requests
        lacking = [source for source in self._sources if _gaps(first.results[source.slug]) > _NO_GAPS]
        if not lacking:
            return first.results
        try:
            second = await self._pool.run(
                lambda session: self._answer(session, lacking), self._deadline, without=first.endpoint
            )
        except UpstreamError as error:
            self._requests += error.requests
            return first.results
        self._requests += second.requests
        better = {
            slug: result
            for slug, result in second.results.items()
            if _gaps(result) < _gaps(first.results[slug])
        }
        return first.results | better

    async def _answer(self, session: Session, sources: Sequence[PositionSource]) -> _Answer:
        """One endpoint's answers. Those that it may well never give do not speak against it.

        Raises:
            UpstreamError: What the endpoint says can't be believed at all.
        """
        keys = list(dict.fromkeys(key for source in sources for key in source.accounts))
        options = self._options()
        questions = [source.calls(self._owner, options) for source in sources]
        calls = [RpcCall("getMultipleAccounts", [[CLOCK_SYSVAR, *keys], options])]
        replies = await self._ask(session, [*calls, *(call for each in questions for call in each)])
        slot, clock, accounts = _accounts(replies[0], keys, self._reading.block.number)
        results: dict[str, _Result] = {}
        at = 1
        for source, asked in zip(sources, questions, strict=True):
            own, at = replies[at : at + len(asked)], at + len(asked)
            told = Told(self._owner, self._reading, clock, slot, accounts, own)
            results[source.slug] = self._understood(source, told)
        faults = [result for result in results.values() if _is_fault(result)]
        if len(faults) == len(results):
            raise next(fault for fault in faults if isinstance(fault, UpstreamError))
        return _Answer(session.endpoint, results, session.requests)

    def _options(self) -> dict[str, Any]:
        """What every call says: how the data comes, and no earlier than the balances."""
        options: dict[str, Any] = {"encoding": "base64", "commitment": COMMITMENT}
        slot = self._reading.block.number
        return {**options, "minContextSlot": slot} if slot else options

    async def _ask(self, session: Session, calls: Sequence[RpcCall]) -> list[RpcReply]:
        """One request, with the genesis hash if it is not known yet; again while the slot is not reached."""
        check = not session.endpoint.chain_verified
        calls = [*calls, *([RpcCall("getGenesisHash")] if check else [])]
        replies = await session.ask(calls)
        for wait in SLOT_WAITS_SECONDS:
            late = any(isinstance(one, RpcError) and one.code == _SLOT_NOT_REACHED for one in replies)
            if not late or wait >= self._deadline - asyncio.get_running_loop().time():
                break
            await asyncio.sleep(wait)
            replies = await session.ask(calls)
        if check:
            check_genesis(session, replies.pop(), self._genesis)
        return replies

    def _understood(self, source: PositionSource, told: Told) -> _Result:
        try:
            return source.positions(told)
        except UpstreamError as error:
            return _RefusedError.of(error) if _refuses(told.replies, error) else error
        except Exception as error:  # noqa: BLE001 - the edge of one source: the others go on
            _log.exception(
                "position_source_broke", protocol=source.slug, owner=shorten(self._owner), exc_info=error
            )
            return ProtocolFailure(
                source.slug, None, "internal_error", "what was answered was not understood"
            )


class _RefusedError(UpstreamError):
    """An endpoint does not tell what it may well never tell, or what none could tell better."""

    @classmethod
    def of(cls, error: UpstreamError) -> "_RefusedError":
        return cls(error.message, code=error.code, retryable=error.retryable)


def _refuses(replies: Sequence[RpcReply], error: UpstreamError) -> bool:
    """Whether it is the question that fails, rather than the endpoint."""
    refused = any(isinstance(reply, RpcError) for reply in replies)
    return refused or isinstance(error, LayoutError) or not error.retryable


def _is_fault(result: _Result) -> bool:
    return isinstance(result, UpstreamError) and not isinstance(result, _RefusedError)


def _gaps(result: _Result) -> tuple[bool, int]:
    """Whether all is missing, and how much; the fewest sort first."""
    return (False, len(result.failures)) if isinstance(result, Found) else (True, 0)


def _failures(source: PositionSource, results: Mapping[str, _Result]) -> Sequence[ProtocolFailure]:
    result = results[source.slug]
    if isinstance(result, Found):
        return result.failures
    if isinstance(result, ProtocolFailure):
        return [result]
    return [failure_of(source.slug, None, result)]


def failure_of(slug: str, market: str | None, error: UpstreamError) -> ProtocolFailure:
    """An error as the failure of a protocol, or of a part of it (``market``)."""
    code = error.code if error.code in set(FailureCode) else FailureCode.ENDPOINT_FAILED
    return ProtocolFailure(slug, market, str(code), error.message)


def _accounts(
    reply: RpcReply, keys: Sequence[str], min_slot: int
) -> tuple[int, ClockState, Mapping[str, Item]]:
    """The slot, the clock and the accounts that were asked for, by address.

    Raises:
        UpstreamError: The endpoint did not tell them, or only of before the balances.
    """
    slot, value = with_context(reply)
    values = list_of(value)
    if len(values) != len(keys) + 1:
        raise UpstreamError(f"The endpoint answered {len(values)} accounts.", code="bad_response")
    clock = account_of(values[0])
    if clock is None:
        raise UpstreamError("The endpoint did not tell the clock.", code="bad_response")
    if slot < min_slot:
        raise UpstreamError("The endpoint answered of an earlier slot.", code="stale_head")
    accounts = {key: item_of(value) for key, value in zip(keys, values[1:], strict=True)}
    return slot, decode_clock(clock.data), accounts

"""The lowest rungs: calls asked one by one, in a batch where the endpoint takes one.

Here a failure is the contract's own: nothing else ran beside it. And here it is told
whether nothing came back because nothing is there.
"""

from collections.abc import Iterable, Sequence

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import BALANCE_OF, WORD
from balance_tracker.evm.blocks import (
    Header,
    block_tag,
    header_call,
    hex_bytes,
    no_history,
    quantity,
    read_header,
)
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import (
    EMPTY,
    NO_CONTRACT,
    NO_DATA,
    NOT_YET,
    CallFailure,
    Outcome,
    failure_of,
)
from balance_tracker.transport.jsonrpc import RpcCall, RpcError, RpcReply
from balance_tracker.transport.pool import Session

_NO_CODE = ("0x", "0x0")
_UNREADABLE = CallFailure(FailureCode.ENDPOINT_FAILED, "the endpoint's result is not hexadecimal data")
_CODE_UNREAD = CallFailure(FailureCode.ENDPOINT_FAILED, "the code could not be read")


class ReorganisedError(UpstreamError):
    """Two requests of one read saw two branches of the chain."""

    code = "reorganised"

    def __init__(self) -> None:
        super().__init__("The chain was reorganised within a read.")


class DirectCalls:
    """Calls at one block on one endpoint.

    Args:
        session: The endpoint.
        header: The block.
        past: Whether the block was asked for, and is not just the latest.
    """

    def __init__(self, session: Session, header: Header, *, past: bool) -> None:
        self._session = session
        self._header = header
        self._tag = block_tag(header.number)
        self._past = past

    async def outcomes(self, calls: Sequence[Call], known: Sequence[CallFailure | None]) -> list[Outcome]:
        """What each call gives when it is asked by itself.

        Args:
            calls: What to ask.
            known: What is known of each already: ``EMPTY`` is not asked again, only explained.
                Contracts that are in doubt have their code read in the same request.

        Raises:
            ReorganisedError: The block is no longer the one that the endpoint showed before.
            UpstreamError: The endpoint failed, or has no state of that block.
        """
        asked = [place for place, failure in enumerate(known) if failure is not EMPTY]
        doubted = [place for place, failure in enumerate(known) if failure is not None]
        contracts = _contracts(calls[place] for place in doubted)
        requests = [header_call(self._header.number)]
        requests += [RpcCall("eth_getCode", [contract, self._tag]) for contract in contracts]
        requests += [self._single(calls[place]) for place in asked]
        replies = await self._session.ask(requests)
        if read_header(replies[0], self._header.number).hash != self._header.hash:
            raise ReorganisedError
        codes = dict(zip(contracts, replies[1 : 1 + len(contracts)], strict=True))
        results: list[Outcome] = [EMPTY] * len(calls)
        for place, reply in zip(asked, replies[1 + len(contracts) :], strict=True):
            results[place] = _judged(reply, calls[place])
        if any(_without_history(results[place]) for place in asked):
            raise no_history()
        await self._explain(calls, results, codes)
        return results

    def _single(self, call: Call) -> RpcCall:
        if call.native_of is not None:
            return RpcCall("eth_getBalance", [call.native_of, self._tag])
        return RpcCall("eth_call", [{"to": call.to, "data": "0x" + call.data}, self._tag])

    async def _explain(
        self, calls: Sequence[Call], results: list[Outcome], codes: dict[str, RpcReply]
    ) -> None:
        """Tell a contract that returned nothing from an address without a contract."""
        empty = [place for place, outcome in enumerate(results) if outcome is EMPTY]
        unknown = [to for to in _contracts(calls[place] for place in empty) if to not in codes]
        if unknown:
            asked = [RpcCall("eth_getCode", [to, self._tag]) for to in unknown]
            codes |= dict(zip(unknown, await self._session.ask(asked), strict=True))
        later = await self._created_later([to for to in codes if codes[to] in _NO_CODE])
        for place in empty:
            contract = calls[place].to
            if isinstance(codes[contract], RpcError):
                results[place] = _CODE_UNREAD
            elif contract in later:
                results[place] = bytes(WORD) if calls[place].data.startswith(BALANCE_OF) else NOT_YET
            else:
                results[place] = NO_CONTRACT if codes[contract] in _NO_CODE else NO_DATA

    async def _created_later(self, contracts: Sequence[str]) -> set[str]:
        """Contracts that a past block does not have but the latest one does: nobody held them then."""
        if not self._past or not contracts:
            return set()
        replies = await self._session.ask([RpcCall("eth_getCode", [to, "latest"]) for to in contracts])
        codes = zip(contracts, replies, strict=True)
        return {to for to, code in codes if isinstance(code, str) and code not in _NO_CODE}


def _contracts(calls: Iterable[Call]) -> list[str]:
    return list(dict.fromkeys(call.to for call in calls if call.native_of is None))


def _judged(reply: RpcReply, call: Call) -> Outcome:
    if isinstance(reply, RpcError):
        return failure_of(reply)
    try:
        if call.native_of is not None:
            return quantity(reply).to_bytes(WORD)
        return hex_bytes(reply) or EMPTY
    except (ValueError, UpstreamError):
        return _UNREADABLE


def _without_history(outcome: Outcome) -> bool:
    return isinstance(outcome, CallFailure) and outcome.code is FailureCode.HISTORY_UNAVAILABLE

"""The rung below the scanner: Multicall3 with the proof of its block, from templates."""

from collections.abc import Sequence

from balance_tracker.core.errors import UpstreamError
from balance_tracker.evm import multicall
from balance_tracker.evm.abi import WORD, address_word
from balance_tracker.evm.blocks import Evidence, fault_of, hex_bytes
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import ASK_ALONE, EMPTY, CallFailure, Outcome, wrong_length
from balance_tracker.evm.question import Part, Question, Size
from balance_tracker.evm.rungs import (
    ChainFacts,
    Limits,
    RungFailedError,
    RungName,
    Taken,
    TooMuchError,
    check_chain,
)
from balance_tracker.transport.jsonrpc import Meaning, RpcCall, RpcError, RpcReply, meaning

ARB_BLOCK_NUMBER = "a3b1b31d"
CALL_GAS = 8_000
"""What a balance costs inside ``aggregate3``."""

_EVIDENCE_CALLS = 5
_BODY_OVERHEAD = 4_000


class MulticallRung:
    """Multicall3's ``aggregate3``, in which each call may fail by itself."""

    name: RungName = "multicall3"
    least_body_bytes = _BODY_OVERHEAD + 10 * multicall.BALANCE_DIGITS

    def __init__(self, facts: ChainFacts) -> None:
        self._facts = facts
        self._address = facts.multicall3 or ""

    def size(self, question: Question, limits: Limits) -> Size:
        """See :meth:`balance_tracker.evm.rungs.Rung.size`."""
        fitting = (limits.body_bytes - _BODY_OVERHEAD) // multicall.BALANCE_DIGITS
        cells = max(min(limits.gas // CALL_GAS, fitting, limits.cells), 1)
        # Calls that are not balances are about as long.
        return Size(cells, min(question.width, cells), cells, max(cells // 2, 1))

    def pack(self, question: Question, part: Part, tag: str) -> RpcCall:
        """See :meth:`balance_tracker.evm.rungs.Rung.pack`."""
        calls = self._evidence_calls()
        calls += [self._plain(question.calls[number]) for number in part.calls]
        targets = [
            multicall.balance_target(question.tokens[column - 1] if column else None, self._address)
            for column in part.columns
        ]
        owners = [question.owners[row] for row in part.rows]
        data = multicall.encode_balances(calls, targets, owners, part.skip)
        return RpcCall("eth_call", [{"to": self._address, "data": data}, tag])

    def _evidence_calls(self) -> list[tuple[str, str]]:
        here = self._address
        return [
            (here, multicall.GET_BLOCK_NUMBER),
            (here, multicall.GET_BLOCK_TIMESTAMP),
            (here, multicall.GET_LAST_BLOCK_HASH),
            (here, multicall.GET_CHAIN_ID),
            (self._facts.arbsys or here, ARB_BLOCK_NUMBER),
        ]

    def _plain(self, call: Call) -> tuple[str, str]:
        if call.native_of is not None:
            return self._address, multicall.GET_ETH_BALANCE + address_word(call.native_of)
        return call.to, call.data

    def unpack(self, reply: RpcReply, part: Part) -> Taken:
        """See :meth:`balance_tracker.evm.rungs.Rung.unpack`."""
        if isinstance(reply, RpcError):
            match meaning(reply):
                case Meaning.OUT_OF_GAS | Meaning.REVERTED:
                    raise TooMuchError
                case Meaning.TOO_LARGE:
                    raise TooMuchError(of_bytes=True)
            raise fault_of(reply)
        if reply == "0x":
            raise RungFailedError
        before = _EVIDENCE_CALLS + len(part.calls)
        words = None
        if isinstance(reply, str) and reply[:2] == "0x":
            words = multicall.decode_words(reply[2:], part.cells, before)
        try:
            if words is not None:
                return self._whole(reply, words, part, before)
            results = multicall.decode_aggregate3(hex_bytes(reply), before + part.cells)
        except ValueError as error:
            detail = error if isinstance(error, multicall.UndecodableError) else "not hexadecimal"
            raise UpstreamError(f"Multicall3's answer is {detail}.", code="bad_response") from error
        return self._sparse(results, before)

    def _whole(self, reply: str, words: Sequence[int], part: Part, before: int) -> Taken:
        """Every balance is there: only what comes before them is decoded one by one."""
        end = 2 + 2 * int(reply[130 + 64 * before : 194 + 64 * before], 16) + 128
        head = f"{WORD:064x}{before:064x}"
        offsets = [int(reply[130 + 64 * at : 194 + 64 * at], 16) for at in range(before)]
        shift = part.cells * WORD
        moved = "".join(f"{offset - shift:064x}" for offset in offsets)
        tails = reply[2 + 128 + 64 * (before + part.cells) : end]
        results = multicall.decode_aggregate3(bytes.fromhex(head + moved + tails), before)
        return Taken(
            self._evidence(results[:_EVIDENCE_CALLS]),
            [_outcome(*result) for result in results[_EVIDENCE_CALLS:]],
            list(words),
            {},
        )

    def _sparse(self, results: Sequence[tuple[bool, bytes]], before: int) -> Taken:
        calls = [_outcome(*result) for result in results[_EVIDENCE_CALLS:before]]
        cells: list[int | None] = []
        failures: dict[int, CallFailure] = {}
        for number, (succeeded, data) in enumerate(results[before:]):
            if succeeded and len(data) == WORD:
                cells.append(int.from_bytes(data))
                continue
            cells.append(None)
            outcome = _outcome(succeeded, data)
            failures[number] = outcome if isinstance(outcome, CallFailure) else wrong_length(len(data))
        return Taken(self._evidence(results[:_EVIDENCE_CALLS]), calls, cells, failures)

    def _evidence(self, results: Sequence[tuple[bool, bytes]]) -> Evidence:
        words = [int.from_bytes(data) if ok and len(data) == WORD else None for ok, data in results]
        number, timestamp, _, chain_id, arb_number = words
        if number is None or timestamp is None:
            raise UpstreamError("Multicall3 does not tell its block.", code="bad_response")
        if chain_id is not None:
            check_chain(chain_id, self._facts)
        if self._facts.arbsys is not None:
            return Evidence(arb_number, timestamp, None, number)
        parent = results[2][1]
        comparable = len(parent) == WORD and any(parent)
        return Evidence(number, timestamp, "0x" + parent.hex() if comparable else None, number)


def _outcome(succeeded: bool, data: bytes) -> Outcome:
    """A failure beside others is no certainty: one that took all the gas harms its neighbours."""
    if not succeeded:
        return ASK_ALONE
    return data or EMPTY

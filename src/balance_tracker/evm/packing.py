"""A set of calls as one ``eth_call`` of Multicall3, and its answer with the proof of its block."""

from collections.abc import Sequence

from balance_tracker.core.errors import UpstreamError
from balance_tracker.evm import multicall
from balance_tracker.evm.abi import WORD, address_word
from balance_tracker.evm.blocks import Evidence, fault_of, hex_bytes
from balance_tracker.evm.learned import ChainFacts
from balance_tracker.evm.multicall import Call
from balance_tracker.transport.jsonrpc import Meaning, RpcCall, RpcError, RpcReply, meaning

ARB_BLOCK_NUMBER = "a3b1b31d"
_EVIDENCE_CALLS = 5


class TooMuchError(Exception):
    """A whole ``aggregate3`` ran out of gas or was too large."""


class NoMulticallError(Exception):
    """There is no code where Multicall3 should be."""


def pack(calls: Sequence[Call], facts: ChainFacts, tag: str) -> RpcCall:
    """The request that asks all ``calls`` and, ahead of them, the block they run in."""
    target = facts.multicall3 or ""
    packed = [(target, multicall.GET_BLOCK_NUMBER), (target, multicall.GET_BLOCK_TIMESTAMP)]
    packed += [(target, multicall.GET_LAST_BLOCK_HASH), (target, multicall.GET_CHAIN_ID)]
    packed.append((facts.arbsys or target, ARB_BLOCK_NUMBER))
    for call in calls:
        if call.native_of is not None:
            packed.append((target, multicall.GET_ETH_BALANCE + address_word(call.native_of)))
        else:
            packed.append((call.to, call.data))
    data = multicall.encode_aggregate3(packed)
    return RpcCall("eth_call", [{"to": target, "data": data}, tag])


def unpack(reply: RpcReply, count: int, facts: ChainFacts) -> tuple[list[tuple[bool, bytes]], Evidence]:
    """Whether each call succeeded and what it returned, and the block they ran in.

    Raises:
        TooMuchError: The whole ran out of gas or was too large.
        NoMulticallError: There is no Multicall3.
        UpstreamError: The endpoint failed, or serves another chain.
    """
    if isinstance(reply, RpcError):
        if meaning(reply) in (Meaning.OUT_OF_GAS, Meaning.TOO_LARGE, Meaning.REVERTED):
            raise TooMuchError
        raise fault_of(reply)
    data = hex_bytes(reply)
    if not data:
        raise NoMulticallError
    try:
        results = multicall.decode_aggregate3(data, count + _EVIDENCE_CALLS)
    except multicall.UndecodableError as error:
        raise UpstreamError(f"Multicall3's answer is {error}.", code="bad_response") from error
    return results[_EVIDENCE_CALLS:], _evidence(results[:_EVIDENCE_CALLS], facts)


def check_chain(chain_id: int, facts: ChainFacts) -> None:
    """Refuse an endpoint of another chain.

    Raises:
        UpstreamError: ``wrong_chain``.
    """
    if facts.chain_id is not None and chain_id != facts.chain_id:
        raise UpstreamError(
            f"The endpoint serves chain {chain_id}, not {facts.chain_id}.",
            code="wrong_chain",
            retryable=False,
        )


def _evidence(results: Sequence[tuple[bool, bytes]], facts: ChainFacts) -> Evidence:
    words = [int.from_bytes(data) if ok and len(data) == WORD else None for ok, data in results]
    number, timestamp, _, chain_id, arb_number = words
    if number is None or timestamp is None:
        raise UpstreamError("Multicall3 does not tell its block.", code="bad_response")
    if chain_id is not None:
        check_chain(chain_id, facts)
    if facts.arbsys is not None:
        return Evidence(arb_number, timestamp, None, number)
    parent = results[2][1]
    comparable = len(parent) == WORD and any(parent)
    return Evidence(number, timestamp, "0x" + parent.hex() if comparable else None, number)

"""Block headers, the proof that a call ran at one, and the block of a time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.jsonrpc import Meaning, RpcCall, RpcError, RpcReply, meaning, rate_limited

_FAULTS = {
    Meaning.BLOCK_MISSING: "block_missing",
    Meaning.METHOD_UNSUPPORTED: "method_unsupported",
    Meaning.OUT_OF_GAS: "out_of_gas",
    Meaning.TOO_LARGE: "too_large",
}


@dataclass(frozen=True, slots=True)
class Header:
    """What we use of a block's header; ``l1_number`` is Arbitrum's."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    l1_number: int | None = None

    @property
    def ref(self) -> BlockRef:
        """The block as an answer names it."""
        return BlockRef(self.number, self.hash, self.timestamp)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a call saw of the block it ran in: enough to tell the block from its siblings.

    ``number`` is ``None`` where the EVM's block number is not the network's own (Arbitrum
    without ArbSys); ``parent_hash`` is ``None`` where it can't be compared.
    """

    number: int | None
    timestamp: int
    parent_hash: str | None
    evm_number: int

    def matches(self, header: Header) -> bool:
        """Whether the call ran in this block (a genesis block has no parent and, on anvil, no true time)."""
        if header.number == 0:
            return self.evm_number == 0
        if self.timestamp != header.timestamp:
            return False
        if self.evm_number == header.l1_number and self.number in (None, self.evm_number):
            return True
        if self.parent_hash is not None and self.parent_hash != header.parent_hash:
            return False
        if self.number is not None:
            return self.number == header.number
        return self.evm_number == header.number

    def tells_the_block(self, header: Header) -> bool:
        """Whether its number is one of this network, and not of the parent chain (Arbitrum)."""
        if self.evm_number == header.number:
            return True
        return self.number is not None and (header.l1_number is None or self.number != self.evm_number)


def block_tag(number: int | None) -> str:
    """A block as a JSON-RPC parameter: ``latest`` or its number."""
    return "latest" if number is None else hex(number)


def header_call(number: int | None) -> RpcCall:
    """Asks a header without its transactions."""
    return RpcCall("eth_getBlockByNumber", [block_tag(number), False])


def read_header(reply: RpcReply, asked: int | None) -> Header:
    """A header from its reply.

    Raises:
        UpstreamError: ``block_missing`` if there is no such block, else what the error says.
    """
    if isinstance(reply, RpcError):
        raise fault_of(reply)
    if reply is None and asked is None:
        raise UpstreamError("The endpoint has no latest block.", code="bad_response")
    if reply is None:
        raise UpstreamError(f"The endpoint has no block {asked}.", code="block_missing")
    try:
        l1_number = reply.get("l1BlockNumber")
        header = Header(
            number=quantity(reply["number"]),
            hash=_hash(reply["hash"]),
            parent_hash=_hash(reply["parentHash"]),
            timestamp=quantity(reply["timestamp"]),
            l1_number=quantity(l1_number) if isinstance(l1_number, str) else None,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UpstreamError("The endpoint's block header is not one.", code="bad_response") from error
    if asked is not None and header.number != asked:
        raise UpstreamError("The endpoint answered with another block.", code="bad_response")
    return header


def quantity(value: Any) -> int:
    """A JSON-RPC quantity (``0x…``) as an integer.

    Raises:
        ValueError: It is not one, or wider than 256 bits.
    """
    if not isinstance(value, str) or value[:2] != "0x" or not 3 <= len(value) <= 66:
        raise ValueError("not a quantity")
    return int(value, 16)


def hex_bytes(value: Any) -> bytes:
    """JSON-RPC data (``0x…``) as bytes.

    Raises:
        UpstreamError: It is not data.
    """
    if not isinstance(value, str) or value[:2] != "0x":
        raise UpstreamError("The endpoint's result is not hexadecimal data.", code="bad_response")
    try:
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise UpstreamError("The endpoint's result is not hexadecimal data.", code="bad_response") from error


def _hash(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 66:
        raise ValueError("not a hash")
    int(value, 16)
    return value.lower()


def fault_of(error: RpcError) -> UpstreamError:
    """A call's error as what it says about the endpoint."""
    kind = meaning(error)
    if kind is Meaning.HISTORY_UNAVAILABLE:
        return no_history()
    if kind is Meaning.RATE_LIMITED:
        return rate_limited(error.message)
    return UpstreamError(
        f"The endpoint answered with an error: {error.message[:300]}",
        code=_FAULTS.get(kind, "rpc_error"),
        retryable=kind is not Meaning.METHOD_UNSUPPORTED,
    )


def no_history() -> UpstreamError:
    """The error of an endpoint that has pruned the state of a block."""
    return UpstreamError(
        "The endpoint no longer has the state of that block.",
        code="history_unavailable",
        retryable=False,
        hint="Give the network an archive endpoint (TRACKER_RPC_…) or ask for a later block.",
    )


async def last_block_at(
    moment: int, head: Header, header_at: Callable[[int], Awaitable[Header]], first_number: int = 0
) -> Header | None:
    """The last block whose time is at or before ``moment`` (Unix seconds).

    Interpolates between the known ends and halves where that does not help, so about
    five to ten headers are asked for tens of millions of blocks.

    Returns:
        Its header, or ``None`` if the network's first block is later than ``moment``.
    """
    if head.timestamp <= moment:
        return head
    low = await header_at(first_number)
    if low.timestamp > moment:
        return None
    high = head
    turn = 0
    while high.number - low.number > 1:
        span = high.number - low.number
        guess = low.number + span * (moment - low.timestamp) // max(high.timestamp - low.timestamp, 1)
        if turn % 3 == 2:
            guess = low.number + span // 2
        middle = await header_at(min(max(guess, low.number + 1), high.number - 1))
        if middle.timestamp <= moment:
            low = middle
        else:
            high = middle
        turn += 1
    return low

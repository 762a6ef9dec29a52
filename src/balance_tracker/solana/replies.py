"""Replies of a Solana endpoint: accounts, slots and errors, checked before they are believed."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.solana.binary import LayoutError
from balance_tracker.transport.jsonrpc import Meaning, RpcError, RpcReply, meaning

_U64 = 2**64


@dataclass(frozen=True, slots=True)
class Account:
    """One account as the bank holds it."""

    lamports: int
    program: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one account could not be read; its state is unknown, not empty."""

    code: FailureCode
    reason: str


type Item = Account | Fault | None
"""An account, why it is not known, or ``None`` where the bank has none."""


def endpoint_error(error: RpcError) -> UpstreamError:
    """A call's JSON-RPC error as the endpoint's failure, in our words and with our code."""
    told = error.message[:200]
    if error.code in (-32005, -32016):
        return UpstreamError(f"The endpoint is behind its network: {told}", code="stale_head")
    if error.code == -32010 or "secondary indexes" in error.message:
        return UpstreamError(
            f"The endpoint keeps no index of this: {told}", code="method_unsupported", retryable=False
        )
    said = meaning(error)
    if said is Meaning.RATE_LIMITED:
        return UpstreamError(f"The endpoint limits our requests: {told}", code="rate_limited")
    if said is Meaning.METHOD_UNSUPPORTED:
        return UpstreamError(
            f"The endpoint does not do this: {told}", code="method_unsupported", retryable=False
        )
    return UpstreamError(f"The endpoint answered with an error: {told}")


def item_of(value: Any) -> Item:
    """One value of ``getMultipleAccounts``; a strange one is a fault and not an end."""
    try:
        return account_of(value)
    except LayoutError as error:
        return Fault(FailureCode.MALFORMED, error.message)


def account_of(value: Any) -> Account | None:
    """An account in the shape that every method gives it, or ``None`` for ``null``.

    Raises:
        LayoutError: The value is no account with base64 data.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise LayoutError("The endpoint's account is not an object.")
    lamports, program, data = value.get("lamports"), value.get("owner"), value.get("data")
    if not isinstance(lamports, int) or isinstance(lamports, bool) or not 0 <= lamports < _U64:
        raise LayoutError("The account's lamports are not an unsigned 64-bit integer.")
    if not isinstance(program, str):
        raise LayoutError("The account names no program.")
    return Account(lamports, program, _decoded(data))


def _decoded(data: Any) -> bytes:
    if isinstance(data, list) and len(data) == 2 and data[1] == "base64" and isinstance(data[0], str):
        try:
            return base64.b64decode(data[0], validate=True)
        except binascii.Error as error:
            raise LayoutError("The account's data is not base64.") from error
    raise LayoutError("The account's data does not come in base64 as asked.")


def with_context(reply: RpcReply) -> tuple[int, Any]:
    """The slot and the value of a reply that has both.

    Raises:
        UpstreamError: The reply is an error or has another shape.
    """
    if isinstance(reply, RpcError):
        raise endpoint_error(reply)
    try:
        slot, value = reply["context"]["slot"], reply["value"]
    except (KeyError, TypeError) as error:
        raise UpstreamError("The endpoint's answer names no slot.", code="bad_response") from error
    if not isinstance(slot, int) or isinstance(slot, bool) or not 0 <= slot < _U64:
        raise UpstreamError("The endpoint's slot is not an unsigned integer.", code="bad_response")
    return slot, value


def list_of(value: Any) -> list[Any]:
    """The value as a list.

    Raises:
        UpstreamError: It is none.
    """
    if not isinstance(value, list):
        raise UpstreamError("The endpoint's answer is not a list of accounts.", code="bad_response")
    return value

"""Accounts of Solana through one endpoint: found by owner, then read together at one slot.

Source: Solana JSON-RPC (``getTokenAccountsByOwner``, ``getMultipleAccounts``, ``getGenesisHash``)
and what its nodes answer when they can't: -32602 for too many keys, -32016 for a slot
not reached yet, -32005 for a node behind, -32010 for an index that it does not keep.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.solana.binary import Bytes, LayoutError
from balance_tracker.solana.layouts import ClockState, decode_clock
from balance_tracker.solana.programs import CLOCK_SYSVAR, TOKEN_PROGRAMS
from balance_tracker.solana.replies import (
    Account,
    Fault,
    Item,
    account_of,
    endpoint_error,
    item_of,
    list_of,
    with_context,
)
from balance_tracker.transport.jsonrpc import Meaning, RpcCall, RpcError, RpcReply, meaning
from balance_tracker.transport.pool import Session

COMMITMENT = "confirmed"
MOST_KEYS = 100
"""What a node takes in one ``getMultipleAccounts``; some providers take 75 or 5."""

SMALLER_LIMITS = (75, 50, 25, 10, 5, 2)
LONGEST_ACCOUNT_BYTES = 16_384
"""No more of an account is asked for: mints and token accounts are far smaller, programs far larger."""

ROUNDS = 3
"""How often the accounts are asked until all balances come from one slot."""

SLOT_WAITS_SECONDS = (0.2, 0.4, 0.8)
"""Pauses for an endpoint to reach a slot; a slot takes 0.4 s."""

_ADDRESS_BYTES = 32
_LIMIT_WORDING = re.compile(
    r"max(?:imum)?\D{0,20}(\d{1,4})|(?:up to|limit(?: is| of)?:?)\s*(\d{1,4})", re.IGNORECASE
)
_TOO_MANY_WORDING = re.compile(r"too many|exceed|maximum|limit", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """A token account that the owner has, its mint and its token program."""

    address: Address
    mint: Address
    program: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The owner's token accounts, and the lowest and the highest slot that told them."""

    oldest_slot: int
    slot: int
    accounts: tuple[FoundAccount, ...]


@dataclass(frozen=True, slots=True)
class AccountsAt:
    """Accounts by address, the slot at which the leading ones were read, and its time."""

    slot: int
    unix_timestamp: int
    items: dict[str, Item]


@dataclass(frozen=True, slots=True)
class _Part:
    """One answered ``getMultipleAccounts``: its slot, its clock and its accounts, or its error."""

    keys: Sequence[str]
    slot: int = 0
    clock: ClockState | None = None
    items: tuple[Item, ...] = ()
    error: RpcError | None = None


class SolanaClient:
    """Reads accounts through one session, waiting for slots within a deadline."""

    def __init__(self, session: Session, deadline: float) -> None:
        self._session = session
        self._deadline = deadline

    async def list_token_accounts(self, owner: Address, genesis: str, min_slot: int) -> Listing:
        """The owner's accounts of both token programs; checks the network in the same request.

        Args:
            owner: Whose accounts.
            genesis: First characters of the network's genesis hash (its CAIP-2 reference).
            min_slot: The endpoint must have reached this slot.

        Raises:
            UpstreamError: The endpoint can't list them, or serves another network.
        """
        [listing] = await self.list_of_each([owner], genesis, min_slot)
        if isinstance(listing, UpstreamError):
            raise listing
        return listing

    async def list_of_each(
        self, owners: Sequence[Address], genesis: str, min_slot: int
    ) -> list[Listing | UpstreamError]:
        """The accounts of each owner, or why they can't be listed; arguments are as for one owner.

        Raises:
            UpstreamError: The endpoint answered nothing, or serves another network.
        """
        check = not self._session.endpoint.chain_verified
        listing = [_list_call(owner, program, min_slot) for owner in owners for program in TOKEN_PROGRAMS]
        calls = [*listing, *([RpcCall("getGenesisHash")] if check else [])]
        replies = await self._ask_at_slot(calls)
        if check:
            check_genesis(self._session, replies[len(listing)], genesis)
        each = len(TOKEN_PROGRAMS)
        return [_listing(replies[at : at + each]) for at in range(0, len(listing), each)]

    async def read_accounts(self, leading: Sequence[str], rest: Sequence[str], min_slot: int) -> AccountsAt:
        """Accounts read together: all of ``leading`` at one slot, ``rest`` at that or a near one.

        One call holds up to 100 keys (fewer where the endpoint says so), and every call
        reads the clock too. Calls that answer from different slots are asked again,
        up to 3 times in all; if they still differ, the slot named is the lowest of them.

        Raises:
            UpstreamError: Nothing could be read, or only at a slot before ``min_slot``.
        """
        keys = list(dict.fromkeys([*leading, *rest]))
        needed = len(dict.fromkeys(leading))
        wanted_slot = min_slot
        parts: list[_Part] = []
        for _ in range(ROUNDS):
            parts = await self._ask_parts(keys, wanted_slot)
            slots = {part.slot for part in _covering(parts, needed)}
            limited = any(part.error and meaning(part.error) is Meaning.RATE_LIMITED for part in parts)
            if (len(slots) == 1 and min(slots) >= min_slot) or limited or self._seconds_left() <= 0:
                break
            wanted_slot = max(slots | {wanted_slot})
        return _merged(parts, needed, min_slot)

    async def _ask_parts(self, keys: Sequence[str], min_slot: int) -> list[_Part]:
        while True:
            limit = self.key_limit
            chunks = [keys[at : at + limit - 1] for at in range(0, len(keys), limit - 1)]
            replies = await self._ask_at_slot([_accounts_call(chunk, min_slot) for chunk in chunks])
            refusals = [reply for reply in replies if _too_many_keys(reply)]
            if not refusals or not self._learn_key_limit(refusals[0].message, limit):
                return [_part(chunk, reply) for chunk, reply in zip(chunks, replies, strict=True)]

    @property
    def key_limit(self) -> int:
        """How many accounts the endpoint takes in one call, the clock among them."""
        return int(self._session.endpoint.learned.get("max_accounts", MOST_KEYS))

    def _learn_key_limit(self, message: str, refused: int) -> bool:
        """Take the limit from the wording, else the next smaller one that is usual."""
        match = _LIMIT_WORDING.search(message)
        named = int(match.group(1) or match.group(2)) if match else 0
        usual = next((limit for limit in SMALLER_LIMITS if limit < refused), 0)
        limit = named if 2 <= named < refused else usual
        if limit:
            self._session.endpoint.learned["max_accounts"] = str(limit)
        return bool(limit)

    async def _ask_at_slot(self, calls: Sequence[RpcCall]) -> list[RpcReply]:
        """Ask, and ask again shortly while the endpoint has not reached the slot.

        Raises:
            UpstreamError: ``stale_head``: it did not reach it in time.
        """
        for wait in (*SLOT_WAITS_SECONDS, None):
            replies = await self._session.ask(calls)
            if not any(_is_code(reply, -32016) for reply in replies):
                return replies
            if wait is None or wait >= self._seconds_left():
                break
            await asyncio.sleep(wait)
        raise UpstreamError("The endpoint has not reached the slot that we have seen.", code="stale_head")

    def _seconds_left(self) -> float:
        return self._deadline - asyncio.get_running_loop().time()


def check_genesis(session: Session, reply: RpcReply, genesis: str) -> None:
    """Compare the endpoint's genesis hash with the network's and note that it was compared.

    An endpoint without the method is taken at its word.

    Raises:
        UpstreamError: ``wrong_chain``: it serves another network; or it could not say now.
    """
    if isinstance(reply, RpcError):
        if meaning(reply) is not Meaning.METHOD_UNSUPPORTED:
            raise endpoint_error(reply)
        session.endpoint.learned["genesis_hash"] = "unsupported"
    elif not isinstance(reply, str):
        raise UpstreamError("The endpoint's genesis hash is not a text.", code="bad_response")
    elif not genesis or not reply.startswith(genesis):
        raise UpstreamError(
            f"The endpoint serves another network: its genesis hash is {reply[:44]}.",
            code="wrong_chain",
            retryable=False,
        )
    session.endpoint.chain_verified = True


def _list_call(owner: Address, program: str, min_slot: int) -> RpcCall:
    """Only the mint of each account is asked for: its state is read later, at the block."""
    options = _options(min_slot, longest_bytes=_ADDRESS_BYTES)
    return RpcCall("getTokenAccountsByOwner", [owner, {"programId": program}, options])


def _listing(replies: Sequence[RpcReply]) -> Listing | UpstreamError:
    """The accounts of one owner, of one reply for each token program."""
    slots, found = [], []
    try:
        for program, reply in zip(TOKEN_PROGRAMS, replies, strict=True):
            slot, value = with_context(reply)
            slots.append(slot)
            found += [_found(item, program) for item in list_of(value)]
    except UpstreamError as error:
        return error
    return Listing(min(slots), max(slots), tuple(found))


def _accounts_call(keys: Sequence[str], min_slot: int) -> RpcCall:
    options = _options(min_slot, longest_bytes=LONGEST_ACCOUNT_BYTES)
    return RpcCall("getMultipleAccounts", [[CLOCK_SYSVAR, *keys], options])


def _options(min_slot: int, longest_bytes: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "encoding": "base64",
        "commitment": COMMITMENT,
        "dataSlice": {"offset": 0, "length": longest_bytes},
    }
    return {**options, "minContextSlot": min_slot} if min_slot else options


def _part(keys: Sequence[str], reply: RpcReply) -> _Part:
    if isinstance(reply, RpcError):
        return _Part(keys, error=reply)
    slot, value = with_context(reply)
    values = list_of(value)
    if len(values) != len(keys) + 1:
        raise UpstreamError(
            f"The endpoint answered {len(values)} accounts of {len(keys) + 1}.", code="bad_response"
        )
    clock = account_of(values[0])
    if not isinstance(clock, Account):
        raise UpstreamError("The endpoint did not tell the clock.", code="bad_response")
    return _Part(keys, slot, decode_clock(clock.data), tuple(item_of(value) for value in values[1:]))


def _covering(parts: Sequence[_Part], needed: int) -> list[_Part]:
    """The first parts that hold the ``needed`` leading keys."""
    covering: list[_Part] = []
    for part in parts:
        if needed <= 0:
            break
        covering.append(part)
        needed -= len(part.keys)
    return covering


def _merged(parts: Sequence[_Part], needed: int, min_slot: int) -> AccountsAt:
    answered = [part for part in _covering(parts, needed) if part.clock is not None]
    if not answered:
        errors = [part.error for part in parts if part.error is not None]
        raise endpoint_error(errors[0])
    lowest = min(answered, key=lambda part: part.slot)
    if lowest.slot < min_slot:
        raise UpstreamError(
            "The endpoint went back to a slot before the one it had shown.", code="stale_head"
        )
    items: dict[str, Item] = {}
    for part in parts:
        if part.error is not None:
            reason = endpoint_error(part.error).message
            items.update(dict.fromkeys(part.keys, Fault(FailureCode.ENDPOINT_FAILED, reason)))
        else:
            items.update(zip(part.keys, part.items, strict=True))
    time = lowest.clock.unix_timestamp if lowest.clock is not None else 0
    return AccountsAt(lowest.slot, time, items)


def _found(item: Any, program: str) -> FoundAccount:
    try:
        address, account = item["pubkey"], account_of(item["account"])
    except (KeyError, TypeError, LayoutError) as error:
        raise UpstreamError(
            "The endpoint's list of token accounts has a strange entry.", code="bad_response"
        ) from error
    if not isinstance(address, str) or account is None or len(account.data) < _ADDRESS_BYTES:
        raise UpstreamError("The endpoint's list of token accounts has a strange entry.", code="bad_response")
    return FoundAccount(Address(address), _mint_of(account.data), program)


def _mint_of(data: bytes) -> Address:
    """The mint of a token account: its first 32 bytes, in both programs."""
    return Bytes(data, "token account").address()


def _is_code(reply: RpcReply, code: int) -> bool:
    return isinstance(reply, RpcError) and reply.code == code


def _too_many_keys(reply: RpcReply) -> bool:
    return _is_code(reply, -32602) and _TOO_MANY_WORDING.search(reply.message) is not None

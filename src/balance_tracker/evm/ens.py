"""ENS: a name's address, and an address's name where both say the same.

Sources: ENSIP-1 (registry, resolvers, namehash), ENSIP-3 (reverse records), ENSIP-10
(wildcards), ENSIP-15 (normalisation, by ``ens-normalize``), https://docs.ens.domains.

Known gaps: names whose resolver answers off-chain (EIP-3668) are refused and not fetched.
"""

import asyncio
import time
from collections import OrderedDict

from ens_normalize import DisallowedSequence, ens_normalize
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import NAME_LIMIT, read_address, read_text
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure, Outcome, is_unanswered
from balance_tracker.evm.question import Question
from balance_tracker.evm.riders import Ride, Trip
from balance_tracker.evm.rungs import ChainFacts
from balance_tracker.transport.pool import Pool

RESOLVER = "0178b8bf"
ADDR = "3b3b57de"
NAME = "691f3431"
RESOLVE = "9061b923"
KEPT_SECONDS = 600.0
MOST_KEPT = 10_000
LOOKUP_SECONDS = 5.0
LONGEST_NAME = 255


class EnsNames:
    """Names by the registry of one network."""

    def __init__(self, network: Network, pool: Pool) -> None:
        self.network = network
        multicall3 = network.contracts.get("multicall3")
        self._registry = network.contracts["ens_registry"].address.lower()
        facts = ChainFacts(
            network.chain_id,
            multicall3.address if multicall3 else None,
            runs_evm_code=network.runs_evm_code,
        )
        self._reader = CallReader(pool, facts)
        self._resolvers: OrderedDict[str, tuple[float, str | None]] = OrderedDict()
        self._names: OrderedDict[str, tuple[float, str | None]] = OrderedDict()

    def looks_like(self, text: str) -> bool:
        """Whether it has a dot, as a name has and an address has not."""
        return "." in text.strip(".")

    def normal(self, name: str) -> str:
        """See :meth:`balance_tracker.ports.NameService.normal`."""
        return normalise(name)

    async def resolve(self, name: str) -> Address:
        """See :meth:`balance_tracker.ports.NameService.resolve`."""
        normal = normalise(name)
        resolver, exact = await self._resolver_of(normal)
        if resolver is None:
            raise _without_address(normal)
        node = namehash(normal)
        call = Call(resolver, ADDR + node) if exact else Call(resolver, _wildcard(normal, ADDR + node))
        outcome = await self._one(call)
        data = outcome if exact or isinstance(outcome, CallFailure) else _unwrapped(outcome)
        if isinstance(data, CallFailure):
            raise _unresolved(normal, data)
        address = read_address(data)
        if address is None:
            raise _without_address(normal)
        return Address(to_checksum_address(address))

    async def name_of(self, address: Address) -> str | None:
        """See :meth:`balance_tracker.ports.NameService.name_of`.

        Costs nothing where :meth:`learn` was told that there is no reverse record.
        """
        kept = _fresh(self._names, address)
        if kept is not None:
            return kept[1]
        known = _fresh(self._resolvers, address)
        if known is not None and known[1] is None:
            return None
        try:
            name = await self._checked_name(address, known[1] if known is not None else None)
        except UpstreamError:
            return None
        _keep(self._names, address, name)
        return name

    def board(self, trip: Trip) -> Ride | None:
        """See :meth:`balance_tracker.evm.riders.Rider.board`: only one owner's name is shown."""
        if trip.at is not None or len(trip.owners) != 1:
            return None
        owner = trip.owners[0]
        call = self.rider(owner)
        if call is None:
            return None
        return Ride([call], lambda outcomes, _block: self.learn(owner, outcomes[0]))

    def rider(self, owner: Address) -> Call | None:
        """A call that tells whether the owner has a reverse record, to ride with its balances."""
        if _fresh(self._resolvers, owner) is not None:
            return None
        return Call(self._registry, RESOLVER + _reverse_node(owner))

    def learn(self, owner: Address, outcome: Outcome) -> None:
        """Take the rider's outcome; a chain without a registry has no names."""
        if isinstance(outcome, CallFailure) and is_unanswered(outcome):
            return
        resolver = read_address(outcome) if isinstance(outcome, bytes) else None
        _keep(self._resolvers, owner, resolver)

    async def _checked_name(self, address: Address, resolver: str | None) -> str | None:
        """The reverse record, only if the name leads back to the address."""
        node = _reverse_node(address)
        if resolver is None:
            outcome = await self._one(Call(self._registry, RESOLVER + node))
            resolver = read_address(outcome) if isinstance(outcome, bytes) else None
        if resolver is None:
            return None
        outcome = await self._one(Call(resolver, NAME + node))
        name = read_text(outcome, NAME_LIMIT) if isinstance(outcome, bytes) else None
        if name is None:
            return None
        try:
            leads_back = normalise(name) == name and await self.resolve(name) == address
        except InputError:
            return None
        return name if leads_back else None

    async def _resolver_of(self, name: str) -> tuple[str | None, bool]:
        """The resolver of a name or of its nearest parent, all asked at once (ENSIP-10)."""
        labels = name.split(".")
        parents = [".".join(labels[at:]) for at in range(len(labels))]
        calls = [Call(self._registry, RESOLVER + namehash(parent)) for parent in parents]
        for place, outcome in enumerate(await self._many(calls)):
            if isinstance(outcome, CallFailure):
                if outcome.code is not FailureCode.NO_CONTRACT:
                    raise _unresolved(name, outcome)
                continue
            resolver = read_address(outcome)
            if resolver is not None:
                return resolver, place == 0
        return None, True

    async def _one(self, call: Call) -> Outcome:
        return (await self._many([call]))[0]

    async def _many(self, calls: list[Call]) -> list[Outcome]:
        deadline = asyncio.get_running_loop().time() + LOOKUP_SECONDS
        return (await self._reader.read(Question(calls=calls), None, deadline)).outcomes


def normalise(name: str) -> str:
    """A name as ENSIP-15 wants it.

    Raises:
        InputError: ``invalid_name``.
    """
    if len(name) > LONGEST_NAME:
        raise InputError("The name is too long.", code="invalid_name")
    try:
        normal: str = ens_normalize(name)
    except DisallowedSequence as error:
        raise InputError(
            f"{name!r} is not a valid name.", code="invalid_name", hint=str(error)[:200]
        ) from error
    if len(normal.encode()) > LONGEST_NAME:
        raise InputError("The name is too long.", code="invalid_name")
    if not all(normal.split(".")):
        raise InputError(f"{name!r} is not a valid name.", code="invalid_name", hint="A part of it is empty.")
    return normal


def namehash(name: str) -> str:
    """The node of a normalised name, as 64 hexadecimal digits (ENSIP-1).

    >>> namehash("eth")
    '93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae'
    """
    node = bytes(32)
    for label in reversed(name.split(".")):
        node = keccak(node + keccak(label.encode()))
    return node.hex()


def _reverse_node(address: str) -> str:
    return namehash(f"{address[2:].lower()}.addr.reverse")


def _wildcard(name: str, data: str) -> str:
    """``resolve(bytes name, bytes data)`` with the name in DNS form."""
    encoded = b"".join(bytes([len(part)]) + part for part in (p.encode() for p in name.split("."))) + b"\0"
    first = _bytes_argument(encoded.hex())
    return RESOLVE + f"{64:064x}{64 + len(first) // 2:064x}" + first + _bytes_argument(data)


def _bytes_argument(digits: str) -> str:
    padded = -(-len(digits) // 64) * 64
    return f"{len(digits) // 2:064x}" + digits.ljust(padded, "0")


def _unwrapped(data: bytes) -> bytes:
    """The bytes inside ``resolve``'s bytes result."""
    if len(data) < 64:
        return b""
    return data[64 : 64 + int.from_bytes(data[32:64])]


def _without_address(name: str) -> InputError:
    return InputError(f"{name!r} has no address.", code="name_not_found", hint="Check its spelling.")


def _unresolved(name: str, failure: CallFailure) -> UpstreamError | InputError:
    if is_unanswered(failure):
        return UpstreamError(f"{name!r} could not be looked up: {failure.reason}.", code="name_unavailable")
    if "556f1830" in failure.reason:
        return InputError(
            f"{name!r} is kept off-chain, which is not followed.",
            code="name_not_found",
            hint="Give the address itself.",
        )
    return InputError(f"{name!r} has no address: {failure.reason}.", code="name_not_found")


def _fresh(kept: OrderedDict[str, tuple[float, str | None]], key: str) -> tuple[float, str | None] | None:
    found = kept.get(key)
    return found if found is not None and found[0] > time.monotonic() else None


def _keep(kept: OrderedDict[str, tuple[float, str | None]], key: str, value: str | None) -> None:
    kept[key] = (time.monotonic() + KEPT_SECONDS, value)
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)

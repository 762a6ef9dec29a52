"""Token ids that contracts do not list: found in events or by asking for owners, then checked.

It comes after the tours of :mod:`balance_tracker.evm.nfts`, at the same block, and only where
something is open: collections whose ``balanceOf`` is more than the ids known, and ERC-1155, which
has no other way. What events name is asked of the contract again (``ownerOf``,
``balanceOfBatch``), so an endpoint's events can leave something out and can't add anything.

An ERC-721 collection is complete when as many ids are found as its ``balanceOf`` says, whatever was
looked through; an ERC-1155 collection when its events were looked through from their beginning.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.nfts import MOST_URI_BYTES, Collection, NftHolding, NftId
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm import nft_calls as calls_of
from balance_tracker.evm.abi import WORD, address_word, text_bytes
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.nft_logs import ReceiptLogs, Received
from balance_tracker.evm.nfts import GUIDE, MOST_IDS, NftGuide, NftTour, Standards, holding_of
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.question import Question
from balance_tracker.evm.reader import chain_facts
from balance_tracker.evm.touring import Touring
from balance_tracker.evm.tours import Guide, Tour, TourError
from balance_tracker.ports import NftsFound
from balance_tracker.transport.pool import Pool

IDS_PER_ROUND = 4_000
MOST_CANDIDATES = 6_000
MOST_SWEPT = 12_000
"""A collection of which there were more tokens is not asked for every owner."""
MOST_SWEEPS = 4
"""Collections that are asked so in one search."""

IDS_PER_BATCH = 100
MOST_AMOUNT = 1 << 128
_BALANCE_OF_ID = "00fdd58e"
_ID = "{id}"


class NftSearch:
    """Completes what tours found on one network; see :class:`balance_tracker.ports.NftReader`.

    Args:
        network: What its data file says.
        pool: Its endpoints.
        standards: What tours have learnt of contracts.
    """

    def __init__(self, network: Network, pool: Pool, standards: Standards) -> None:
        self.network = network
        self._standards = standards
        self._calls = CallReader(pool, chain_facts(network))
        self._logs = ReceiptLogs(pool)

    async def search(
        self,
        owner: Address,
        collections: Sequence[Collection],
        holdings: Sequence[NftHolding],
        block: BlockRef,
        deadline: float,
    ) -> NftsFound:
        """See :meth:`balance_tracker.ports.NftReader.search`."""
        several = [one for one in map(self._standards.of, collections) if one.standard == "erc1155"]
        wanting = [one for one in holdings if _lacks_ids(one)]
        asked = [*several, *(one.collection for one in wanting)]
        if not asked:
            return NftsFound(tuple(holdings))
        contracts = [str(one.contract_address).lower() for one in asked]
        since = min(one.since_block for one in asked)
        received, requests = await self._logs.received(owner, contracts, since, block, deadline)
        guides: list[NftGuide] = [
            _checking(one, received, sweep=number < MOST_SWEEPS) for number, one in enumerate(wanting)
        ]
        guides += [_amounts(one, received) for one in several]
        touring = Touring(self.network.slug)
        party = touring.start(guides, owner)
        requests += await self._lead(touring, block, deadline)
        found = {one.collection.contract_address: one for some in party.found for one in some}
        # A search that failed leaves what was known of the collection.
        merged = [found.pop(one.collection.contract_address, one) for one in holdings]
        failures = [
            failure
            for failure in party.failures
            if all(str(one.collection.contract_address) != failure.market for one in wanting)
        ]
        return NftsFound((*merged, *found.values()), tuple(failures), requests)

    async def uris(
        self, wanted: Sequence[tuple[Collection, str]], block: BlockRef, deadline: float
    ) -> Sequence[str | None]:
        """See :meth:`balance_tracker.ports.NftReader.uris`."""
        places: list[int] = []
        calls: list[Call] = []
        for place, (collection, token_id) in enumerate(wanted):
            selector = _URI_SELECTORS.get(self._standards.of(collection).standard)
            if selector is not None:
                contract = str(collection.contract_address).lower()
                calls.append(calls_of.id_call(contract, selector, int(token_id)))
                places.append(place)
        found: list[str | None] = [None] * len(wanted)
        if not calls:
            return found
        answer = await self._calls.read(Question(calls=calls), block.number, deadline)
        for place, outcome in zip(places, answer.outcomes, strict=True):
            collection, token_id = wanted[place]
            several = self._standards.of(collection).standard == "erc1155"
            found[place] = _with_id(_uri_of(outcome), token_id) if several else _uri_of(outcome)
        return found

    async def _lead(self, touring: Touring, block: BlockRef, deadline: float) -> int:
        """Lead tours to their ends at a block; the requests that it took."""
        requests = 0
        while calls := touring.calls:
            try:
                answer = await self._calls.read(Question(calls=calls), block.number, deadline)
            except UpstreamError as error:
                touring.give_up(FailureCode.ENDPOINT_FAILED, error.message)
                return requests + error.requests
            requests += answer.requests
            if None not in (block.hash, answer.block.hash) and block.hash != answer.block.hash:
                touring.give_up(FailureCode.ENDPOINT_FAILED, "the chain changed while it was read")
                return requests
            touring.take(answer.outcomes)
        return requests


_URI_SELECTORS: Mapping[str, str] = {"erc721": calls_of.ERC721_URI, "erc1155": calls_of.ERC1155_URI}


def _lacks_ids(holding: NftHolding) -> bool:
    """Whether the contract listed fewer ids than it counts, rather than more than are read."""
    if holding.ids_complete or holding.balance is None or holding.collection.standard != "erc721":
        return False
    return len(holding.token_ids) < min(holding.balance, MOST_IDS)


def _checking(holding: NftHolding, received: Received, *, sweep: bool) -> NftGuide:
    """Which of the ids received are still the owner's; then, of small collections, who has the others."""
    collection, balance = holding.collection, holding.balance or 0
    contract = str(collection.contract_address).lower()

    def start(owner: Address) -> NftTour:
        known = [int(one.token_id) for one in holding.token_ids]
        candidates = calls_of.distinct([*known, *received.of(contract)])[:MOST_CANDIDATES]
        asked = received.note
        first = candidates[: calls_of.PROBES] or (list(range(calls_of.PROBES)) if sweep else [])
        supply, found = yield from _probed(contract, owner, first)
        found += yield from _owned_of(contract, owner, candidates[calls_of.PROBES :], balance - len(found))
        small = sweep and supply is not None and supply <= MOST_SWEPT
        if not (candidates or small):
            found = []  # Of ids that nothing names a few would pass for having looked through all.
        if small and len(found) < balance:
            most = min((supply or 0) + (supply or 0) // 4 + 1, MOST_SWEPT)
            left = sorted(set(range(most)).difference(candidates, first))
            found += yield from _owned_of(contract, owner, left, balance - len(found))
            asked += f"; ids 0 to {most - 1} were asked for their owner"
        if len(found) > balance:
            raise TourError("malformed", "the contract names more tokens of this wallet than it counts")
        return (holding_of(collection, balance, found, asked),)

    return Guide(GUIDE, str(collection.contract_address), start)


def _probed(contract: str, owner: Address, token_ids: Sequence[int]) -> Tour[tuple[int | None, list[int]]]:
    """The supply, and those of a few ids that are the owner's.

    Raises:
        TourError: To tell an owner takes all gas; of so many ids that can't be asked.
    """
    outcomes = yield [calls_of.supply_call(contract), *_owner_calls(contract, token_ids)]
    if calls_of.took_all(outcomes):
        raise TourError(FailureCode.OUT_OF_GAS, "the contract takes all gas to tell an owner")
    return calls_of.uint_of(outcomes[0]), _owned(token_ids, outcomes[1:], owner)


def _owned_of(contract: str, owner: Address, token_ids: Sequence[int], missing: int) -> Tour[list[int]]:
    """Those of many ids that are the owner's, until none is missing."""
    found: list[int] = []
    for at in range(0, len(token_ids), IDS_PER_ROUND):
        if len(found) >= missing:
            break
        some = token_ids[at : at + IDS_PER_ROUND]
        outcomes = yield [calls_of.spared(call) for call in _owner_calls(contract, some)]
        found += _owned(some, outcomes, owner)
    return found


def _owner_calls(contract: str, token_ids: Iterable[int]) -> list[Call]:
    return [calls_of.id_call(contract, calls_of.OWNER_OF, token_id) for token_id in token_ids]


def _owned(token_ids: Sequence[int], outcomes: Sequence[Outcome], owner: Address) -> list[int]:
    """The ids whose owner it is; one that was burnt has none and fails."""
    owners = map(calls_of.address_of, outcomes)
    return [one for one, who in zip(token_ids, owners, strict=True) if who == owner.lower()]


def _amounts(collection: Collection, received: Received) -> NftGuide:
    """How much the owner has of every id of an ERC-1155 collection that it has received."""
    contract = str(collection.contract_address).lower()
    candidates = received.of(contract)[:MOST_CANDIDATES]
    complete = received.covers(collection.since_block) and len(candidates) == len(received.of(contract))

    def start(owner: Address) -> NftTour:
        held = yield from _held_amounts(contract, owner, candidates)
        if not held and complete:
            return ()
        holding = NftHolding(
            collection=collection,
            balance=None,
            token_ids=tuple(NftId(str(one), amount) for one, amount in sorted(held.items())),
            ids_complete=complete,
            ids_note=None if complete else received.note,
        )
        return (holding,)

    return Guide(GUIDE, str(collection.contract_address), start)


def _held_amounts(contract: str, owner: Address, token_ids: Sequence[int]) -> Tour[dict[int, int]]:
    """Amounts that are not zero, by id: a hundred at a time, those that fail so one by one."""
    if not token_ids:
        return {}
    parts = [token_ids[at : at + IDS_PER_BATCH] for at in range(0, len(token_ids), IDS_PER_BATCH)]
    first, *rest = [calls_of.batch_call(contract, owner, part) for part in parts]
    outcomes = yield [first, *(replace(call, alone=False) for call in rest)]
    if calls_of.took_all(outcomes[:1]):
        raise TourError(FailureCode.OUT_OF_GAS, "the contract takes all gas to tell amounts")
    amounts: dict[int, int | None] = {}
    again: list[int] = []
    for part, outcome in zip(parts, outcomes, strict=True):
        found = calls_of.uints_of(outcome)
        if found is None or len(found) != len(part):
            again += part
        else:
            amounts |= dict(zip(part, found, strict=True))
    for at in range(0, len(again), IDS_PER_ROUND):
        some = again[at : at + IDS_PER_ROUND]
        singles = yield [_amount_call(contract, owner, one, number) for number, one in enumerate(some)]
        amounts |= dict(zip(some, map(calls_of.uint_of, singles), strict=True))
    return _believed(amounts)


def _amount_call(contract: str, owner: Address, token_id: int, number: int) -> Call:
    call = Call(contract, f"{_BALANCE_OF_ID}{address_word(owner)}{token_id:064x}")
    return call if number < calls_of.PROBES else calls_of.spared(call)


def _believed(amounts: Mapping[int, int | None]) -> dict[int, int]:
    """Amounts that are not zero.

    Raises:
        TourError: One is not known, or can't be.
    """
    if any(amount is None or amount >= MOST_AMOUNT for amount in amounts.values()):
        raise TourError("malformed", "the contract tells no amount that can be of an id it has transferred")
    return {token_id: amount for token_id, amount in amounts.items() if amount}


def _with_id(uri: str | None, token_id: str) -> str | None:
    """ERC-1155, "Metadata": ``{id}`` stands for the id in 64 hexadecimal digits, each time it is there."""
    if uri is None or len(uri.encode()) + uri.count(_ID) * (2 * WORD - len(_ID)) > MOST_URI_BYTES:
        return None
    return uri.replace(_ID, f"{int(token_id):064x}")


def _uri_of(outcome: Outcome) -> str | None:
    """A URI of bounded length; ``None`` where there is none that can be read."""
    raw = None if isinstance(outcome, CallFailure) else text_bytes(outcome)
    if not raw or len(raw) > MOST_URI_BYTES:
        return None
    try:
        uri = raw.decode()
    except UnicodeDecodeError:
        return None
    return uri if uri.isprintable() or uri[:5].lower() == "data:" else None

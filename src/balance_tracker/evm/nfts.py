"""What a wallet holds of the collections of one EVM network, as far as the contracts themselves list it.

One tour per collection. Its first round is one ``balanceOf``, which rides with the balances of
every wallet; the rest is asked only where the wallet has something:

1. ERC-721 Enumerable: ``tokenOfOwnerByIndex``, a few at first, then, where these were answered, the rest.
2. What lists an owner's tokens at once: ``tokensOfOwner``, ``walletOfOwner``, ``tokensOfOwnerIn``
   (ERC721A and many others).
3. CryptoPunks: ``punkIndexToAddress`` of all 10,000.

Ids that no view lists are found by :mod:`balance_tracker.evm.nft_search`, from events and by asking
for owners; the holding says ``ids_complete=False`` until then. ERC-1155 has no view that says
whether a wallet holds anything: its tour asks nothing, and only that search finds it.

Grade: silver. Known gaps: ids that were found are the contract's own word; a collection may lie
about its own tokens and about nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from balance_tracker.core.ids import Address
from balance_tracker.core.including import Include
from balance_tracker.core.nfts import Collection, NftHolding, NftId
from balance_tracker.evm import nft_calls as calls_of
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.tours import Guide, Tour, TourError

GUIDE = "nfts"
MOST_IDS = 10_000
"""Ids that are read of one collection at most; a wallet with more is told with those, as incomplete."""

INDEXES_PER_ROUND = 3_000

MOST_BALANCE = 100_000_000
"""No collection has as many tokens: a contract that claims more for one wallet is not believed."""

STRETCH = 1_000
PUNKS = 10_000
PUNKS_PER_ROUND = 3_400
NOT_LISTED = "the contract does not list the ids"

type NftTour = Tour[Sequence[NftHolding]]
type NftGuide = Guide[Sequence[NftHolding]]


@dataclass(slots=True)
class Standards:
    """What contracts turned out to be, so that each is asked only once.

    Attributes:
        erc1155: Contracts that a list calls ERC-721 and that are ERC-1155.
        neither: Contracts whose ``balanceOf`` fails and that are not ERC-1155 either.
    """

    erc1155: set[Address] = field(default_factory=set)
    neither: set[Address] = field(default_factory=set)

    def of(self, collection: Collection) -> Collection:
        """The collection with the standard that its contract has shown."""
        if collection.contract_address in self.erc1155:
            return replace(collection, standard="erc1155")
        return collection


class NftGuides:
    """The guides of collections on one network; it remembers what their contracts turned out to be.

    Attributes:
        standards: What was learnt of them.
    """

    def __init__(self) -> None:
        self.standards = Standards()

    def unsearched(self, include: Include) -> tuple[Collection, ...]:
        """Those included that no view tells of: ERC-1155 by their list, or by what they have shown."""
        known = map(self.standards.of, include.collections)
        return tuple(one for one in known if one.standard == "erc1155")

    def __call__(self, include: Include) -> Sequence[NftGuide]:
        """A guide for every collection included that a view can be asked of (not ERC-1155)."""
        most = min(include.most_ids, MOST_IDS)
        guides: list[NftGuide] = []
        for listed in include.collections:
            collection = self.standards.of(listed)
            if collection.standard == "cryptopunks":
                start = _punks(collection, most)
            elif collection.standard == "erc721":
                start = _erc721(collection, self.standards, most)
            else:
                continue
            guides.append(Guide(GUIDE, str(collection.contract_address), start))
        return guides


def holding_of(
    collection: Collection, balance: int | None, token_ids: Sequence[int], note: str | None = None
) -> NftHolding:
    """What was found of a collection whose tokens are single: complete if it is as many as ``balance``."""
    complete = balance is not None and len(token_ids) == balance
    return NftHolding(
        collection=collection,
        balance=balance,
        token_ids=tuple(NftId(str(token_id), 1) for token_id in sorted(token_ids)),
        ids_complete=complete,
        ids_note=None if complete else note,
    )


def believable(outcome: Outcome) -> int:
    """The balance that a collection tells.

    Raises:
        TourError: It tells none, or one that can't be.
    """
    if isinstance(outcome, CallFailure):
        raise TourError(outcome.code, outcome.reason)
    balance = calls_of.uint_of(outcome)
    if balance is None:
        raise TourError("malformed", "the balance is not one number")
    if balance > MOST_BALANCE:
        raise TourError("malformed", "the contract claims more tokens for this wallet than there can be")
    return balance


def _erc721(collection: Collection, standards: Standards, most_ids: int) -> Callable[[Address], NftTour]:
    contract = str(collection.contract_address).lower()

    def start(owner: Address) -> NftTour:
        [told] = yield [calls_of.balance_call(contract, owner)]
        if isinstance(told, CallFailure):
            yield from _check_standard(collection, standards, told)
            return ()
        balance = believable(told)
        if balance == 0:
            return ()
        token_ids = yield from _listed_ids(contract, owner, balance, most_ids)
        return (_holding_of_some(collection, balance, token_ids[:most_ids], NOT_LISTED),)

    return start


def _check_standard(collection: Collection, standards: Standards, told: CallFailure) -> Tour[None]:
    """Whether a collection without ``balanceOf(address)`` is ERC-1155, whose ids stand in events.

    Raises:
        TourError: It is not: what its balance failed with is all that is known.
    """
    address = collection.contract_address
    if address not in standards.neither:
        contract = str(address).lower()
        [multi] = yield [calls_of.interface_call(contract, calls_of.ERC1155_INTERFACE)]
        if calls_of.is_true(multi):
            standards.erc1155.add(address)
            return
        standards.neither.add(address)
    raise TourError(told.code, told.reason)


def _listed_ids(contract: str, owner: Address, balance: int, most: int) -> Tour[list[int]]:
    """The ids that the contract lists by one of its views; not more than it says there are."""
    wanted = min(balance, most)
    first = min(wanted, calls_of.PROBES)
    outcomes = yield [
        *(calls_of.index_call(contract, owner, index) for index in range(first)),
        *calls_of.listing_calls(contract, owner),
        calls_of.stretch_call(contract, owner, 0, STRETCH),
        calls_of.supply_call(contract),
    ]
    indexed = calls_of.distinct(map(calls_of.uint_of, outcomes[:first]))
    for outcome in outcomes[first : first + 2]:
        listed = _only(calls_of.uints_of(outcome), balance)
        if len(listed) == balance:
            return listed
    if len(indexed) == first:
        for indexes in _in_rounds(first, wanted, INDEXES_PER_ROUND):
            rest = yield [calls_of.spared(calls_of.index_call(contract, owner, index)) for index in indexes]
            indexed = calls_of.distinct([*indexed, *map(calls_of.uint_of, rest)])
    if len(indexed) == wanted or calls_of.uints_of(outcomes[first + 2]) is None:
        return indexed if len(indexed) <= balance else []
    supply = calls_of.uint_of(outcomes[first + 3])
    return (yield from _stretched(contract, owner, balance, supply or 0))


def _stretched(contract: str, owner: Address, balance: int, supply: int) -> Tour[list[int]]:
    """The ids by ``tokensOfOwnerIn``, a thousand at a time; burnt ones leave gaps, so a little beyond."""
    stop = min(supply + supply // 4 + STRETCH, 2 * MOST_IDS)
    starts = range(0, stop, STRETCH)
    outcomes = yield [calls_of.stretch_call(contract, owner, at, at + STRETCH) for at in starts]
    lists = [calls_of.uints_of(outcome) or [] for outcome in outcomes]
    return _only([one for found in lists for one in found], balance)


def _only(found: list[int] | None, balance: int) -> list[int]:
    """A list that fits what the contract says of the wallet: no id twice and none too many."""
    if found is None or len(found) > balance or len(set(found)) != len(found):
        return []
    return found


def _holding_of_some(
    collection: Collection, balance: int, token_ids: Sequence[int], why_none: str
) -> NftHolding:
    note = f"{len(token_ids)} of {balance} ids were read" if token_ids else why_none
    return holding_of(collection, balance, token_ids, note)


def _punks(collection: Collection, most_ids: int) -> Callable[[Address], NftTour]:
    contract = str(collection.contract_address).lower()

    def start(owner: Address) -> NftTour:
        [told] = yield [calls_of.balance_call(contract, owner)]
        balance = believable(told)
        if balance == 0:
            return ()
        if balance > PUNKS:
            raise TourError("malformed", "the contract claims more punks for this wallet than there are")
        found: list[int] = []
        for numbers in _in_rounds(0, PUNKS, PUNKS_PER_ROUND):
            selector = calls_of.PUNK_INDEX_TO_ADDRESS
            outcomes = yield [calls_of.id_call(contract, selector, number) for number in numbers]
            owners = map(calls_of.address_of, outcomes)
            found += [number for number, who in zip(numbers, owners, strict=True) if who == owner.lower()]
            if len(found) >= balance:
                break
        return (_holding_of_some(collection, balance, found[:most_ids], "no punk told its owner"),)

    return start


def _in_rounds(start: int, stop: int, step: int) -> Iterator[range]:
    return (range(at, min(at + step, stop)) for at in range(start, stop, step))

"""What wallets have besides balances: the tours that a reading leads, and what they add to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.including import Include
from balance_tracker.core.nfts import Collection, NftHolding
from balance_tracker.core.portfolio import FailureCode, Reading
from balance_tracker.core.positions import Position
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import Answer, Outcome
from balance_tracker.evm.question import Question
from balance_tracker.evm.touring import Party, Touring
from balance_tracker.evm.tours import Guide


class CollectionGuides(Protocol):
    """Who leads tours of the collections that are included."""

    def __call__(self, include: Include) -> Sequence[Guide[Sequence[NftHolding]]]:
        """A guide for every one of them that a tour can tell of."""

    def unsearched(self, include: Include) -> tuple[Collection, ...]:
        """The others, as far as it is known by now: a tour may find one out."""


class _NoCollections:
    def __call__(self, include: Include) -> Sequence[Guide[Sequence[NftHolding]]]:  # noqa: ARG002 - no guide
        return ()

    def unsearched(self, include: Include) -> tuple[Collection, ...]:  # noqa: ARG002 - a protocol's method
        return ()


@dataclass(frozen=True, slots=True)
class Leaders:
    """Who leads tours on a network.

    Attributes:
        protocols: The guides of every protocol and market there; a guide's name is the protocol's slug.
        collections: The guides of collections; ``market`` is the contract.
    """

    protocols: Sequence[Guide[Sequence[Position]]] = ()
    collections: CollectionGuides = field(default_factory=_NoCollections)

    @property
    def slugs(self) -> tuple[str, ...]:
        """The protocols there, each once."""
        return tuple(sorted({guide.name for guide in self.protocols}))


class OtherBlockError(Exception):
    """The block that was read is not on the chain any more."""


class WalletTours:
    """The tours of the wallets of one reading.

    Args:
        network: Where they are.
        leaders: Who can lead.
        owners: The wallets.
        include: What of it is wanted.
    """

    def __init__(self, network: Slug, leaders: Leaders, owners: Sequence[Address], include: Include) -> None:
        self._touring = Touring(network)
        protocols = [guide for guide in leaders.protocols if guide.name in include.protocols]
        collections = leaders.collections(include)
        self._asked = tuple(sorted({guide.name for guide in protocols}))
        self._leaders, self._include = leaders, include
        self._parties: list[tuple[Party[Sequence[Position]], Party[Sequence[NftHolding]]]] = [
            (self._touring.start(protocols, owner), self._touring.start(collections, owner))
            for owner in owners
        ]

    @property
    def calls(self) -> Sequence[Call]:
        """What the first round asks, to ride with the balances."""
        return self._touring.calls

    async def go_on(
        self, outcomes: Sequence[Outcome], answer: Answer, reader: CallReader, deadline: float
    ) -> None:
        """Take what became of the first round, and ask the others at the same block.

        Args:
            outcomes: Of :attr:`calls`.
            answer: The one that they came with; its count of requests grows.
            reader: Asks the later rounds.
            deadline: The loop's time by which it has to end.

        Raises:
            OtherBlockError: The chain has another block of that number now.
        """
        touring, block = self._touring, answer.block
        touring.take(outcomes)
        while calls := touring.calls:
            try:
                more = await reader.read(Question(calls=calls), block.number, deadline)
            except UpstreamError as error:
                answer.requests += error.requests
                touring.give_up(_code(error), error.message)
                return
            answer.requests += more.requests
            if None not in (block.hash, more.block.hash) and block.hash != more.block.hash:
                raise OtherBlockError
            touring.take(more.outcomes)

    def give_up(self, reason: str) -> None:
        """End all that are under way."""
        self._touring.give_up(FailureCode.ENDPOINT_FAILED, reason)

    def added_to(self, readings: Sequence[Reading]) -> list[Reading]:
        """The readings of the wallets, in their order, with what the tours found."""
        unsearched = self._leaders.collections.unsearched(self._include)
        return [
            replace(
                reading,
                positions=tuple(position for some in positions.found for position in some),
                protocols_asked=self._asked,
                protocol_failures=tuple(positions.failures),
                collections=tuple(holding for some in collections.found for holding in some),
                collection_failures=tuple(collections.failures),
                unsearched=unsearched,
            )
            for reading, (positions, collections) in zip(readings, self._parties, strict=True)
        ]


def _code(error: UpstreamError) -> str:
    known: set[str] = {FailureCode.TIMED_OUT, FailureCode.HISTORY_UNAVAILABLE}
    return error.code if error.code in known else FailureCode.ENDPOINT_FAILED

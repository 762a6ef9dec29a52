"""The seams: what the use cases need from chains, caches and names, on one page."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At, BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address, AssetId
from balance_tracker.core.including import BALANCES_ONLY, Include
from balance_tracker.core.networks import Network
from balance_tracker.core.nfts import Collection, NftHolding
from balance_tracker.core.portfolio import FailureCode, Reading
from balance_tracker.core.positions import ProtocolFailure
from balance_tracker.core.prices import Interval, PricePoint, PriceSeries, Quote, SourceFamily

EndpointState = Literal["unknown", "healthy", "resting", "stale", "wrong_chain"]


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """What is known of one endpoint; ``name`` has no key, path secret or password in it.

    Attributes:
        latency_ms: The median of its recent times.
        head: The last block that it showed.
        retry_in_seconds: How long it still rests; ``None`` if it does not.
        learned: Limits and gaps that it has shown by use.
        p95_latency_ms: The time that 95 of 100 recent answers did not exceed.
        requests: How many were sent to it.
        errors: How many reads failed on it, by code.
        head_age_seconds: How long ago it showed its head.
        blocks_behind: How far its head was behind the best one of its network.
    """

    name: str
    state: EndpointState
    latency_ms: int | None
    head: int | None
    successes: int
    failures: int
    last_error: str | None
    retry_in_seconds: int | None
    learned: dict[str, str]
    p95_latency_ms: int | None = None
    requests: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    head_age_seconds: int | None = None
    blocks_behind: int | None = None


class AddressFormat(Protocol):
    """How one family writes addresses."""

    family: str

    def looks_like(self, text: str) -> bool:
        """Whether the text is meant as an address of this family, right or wrong."""

    def parse(self, text: str) -> Address:
        """The address in the form it goes out in.

        Raises:
            InputError: Not an address of this family; the hint says what is wrong.
        """


class ChainReader(Protocol):
    """Reads one network.

    Attributes:
        protocols: Slugs of the protocols that can be included there.
    """

    network: Network
    protocols: tuple[str, ...]

    async def read(
        self,
        owner: Address,
        assets: Sequence[Asset],
        at: At,
        deadline: float,
        include: Include = BALANCES_ONLY,
    ) -> Reading:
        """Balances of the native coin and of ``assets``, and what else is included, all at one block.

        Args:
            owner: Whose holdings.
            assets: The tokens to ask; those without decimals are asked for their metadata too.
                On Solana they name what is found, and are shown at zero when ``trust`` is ``unknown``.
            at: The block, see :data:`~balance_tracker.core.blocks.At`.
            deadline: The loop's time (``asyncio`` clock, seconds) by which it answers with what it has.
            include: Protocols and collections to read as well; what of it fails is told in the reading.

        Raises:
            UpstreamError: No endpoint answered; one failed asset is not an error but in ``failures``.
            InputError: ``at`` can't be met by any endpoint because no such block exists.
        """

    async def read_many(
        self,
        owners: Sequence[Address],
        assets: Sequence[Asset],
        at: At,
        deadline: float,
        include: Include = BALANCES_ONLY,
    ) -> Sequence[Reading | UpstreamError]:
        """Balances of many owners as one matrix: a reading for each, in their order, or why it has none.

        What is zero is left out of ``balances`` though it counts as answered (``asked`` holds every
        asset), so that a matrix of mostly zeros costs its holdings only; but assets whose ``trust`` is
        ``unknown`` are in it at zero too, named as :meth:`read` names them. Where several readings
        come of shared requests, one of them carries these in ``requests`` and the others 0: the sum
        is what it took. Failures and assets may be shared between readings.

        Args:
            owners: Whose holdings, each once; an EVM network reads all of them at one block, on
                Solana each reading names its own.
            assets: As for :meth:`read`; one that was asked for by name has the trust ``unknown``.
            at: As for :meth:`read`.
            deadline: As for :meth:`read`; owners that were not reached by then have an error.
            include: As for :meth:`read`, of every owner.

        Raises:
            UpstreamError: Nothing was answered for any owner.
            InputError: As for :meth:`read`.
        """

    async def probe(self) -> None:
        """Ask every endpoint for its chain and head once, to learn its health."""

    def health(self) -> Sequence[EndpointHealth]:
        """What is known of each endpoint, best first."""


class NameService(Protocol):
    """Names for addresses (ENS); ``network`` is where they are kept."""

    network: Network

    def looks_like(self, text: str) -> bool:
        """Whether the text is a name that this service resolves."""

    def normal(self, name: str) -> str:
        """The name in the one form that it is looked up and goes out in.

        Raises:
            InputError: The name is not valid.
        """

    async def resolve(self, name: str) -> Address:
        """The address of a name.

        Raises:
            InputError: The name is not valid or has no address.
            UpstreamError: The name could not be looked up.
        """

    async def name_of(self, address: Address) -> str | None:
        """The checked name of an address for display, or ``None`` if it has none or it is not known."""


@dataclass(frozen=True, slots=True)
class NftsFound:
    """Holdings of collections, completed as far as it went, and collections that are not known."""

    holdings: tuple[NftHolding, ...]
    failures: tuple[ProtocolFailure, ...] = ()
    requests: int = 0


class NftReader(Protocol):
    """Finds what collections of one network do not list themselves."""

    async def search(
        self,
        owner: Address,
        collections: Sequence[Collection],
        holdings: Sequence[NftHolding],
        block: BlockRef,
        deadline: float,
    ) -> NftsFound:
        """The holdings with the ids that no contract listed, at the block of the reading.

        Args:
            owner: Whose holdings.
            collections: Those that the reading asked; ERC-1155 among them are only found here.
            holdings: What the reading found.
            block: The reading's.
            deadline: The loop's time (``asyncio`` clock, seconds) by which it answers with what it has.

        Returns:
            Every holding that came in, more complete or as it was, and others that were found.
        """

    async def uris(
        self, wanted: Sequence[tuple[Collection, str]], block: BlockRef, deadline: float
    ) -> Sequence[str | None]:
        """The metadata URI of each token at a block, ``None`` where the contract tells none.

        Raises:
            UpstreamError: No endpoint answered.
        """


class MetadataSource(Protocol):
    """Reads what metadata URIs hold, and what they point to, within bounds.

    Strangers write them: nothing is fetched from where they must not send us.
    """

    def within(self, uri: str) -> dict[str, Any] | None:
        """The JSON object that stands in the URI itself (``data:``); ``None`` where none does."""

    async def fetch(self, uri: str, deadline: float) -> dict[str, Any] | None:
        """The JSON object that a URI points to; ``None`` where it is not followed or not to be had.

        Args:
            uri: As a contract gave it.
            deadline: The loop's time (``asyncio`` clock, seconds) by which it is given up.
        """


class Cache(Protocol):
    """Keeps values for a while and lets many askers share one load."""

    async def get_or_load[T](
        self,
        key: str,
        ttl_seconds: float,
        load: Callable[[], Awaitable[T]],
        keep: Callable[[T], bool],
        kind: Any = None,
    ) -> tuple[T, float]:
        """The value and its age in seconds (0.0 when it was loaded now).

        However many ask for a key at once, ``load`` runs once; what ``keep`` refuses is
        handed to those who waited and then forgotten. A ttl of 0 shares loads and keeps nothing.

        Args:
            key: What it is called.
            ttl_seconds: How old a value may be.
            load: Gets it from where it is true.
            keep: Whether a value is kept.
            kind: The type of the values, by which other processes of the service can read them where
                they share a cache: a dataclass of plain values, or a union of such. ``None``: they
                stay in this process.
        """

    def last_good[T](self, key: str, kind: type[T]) -> tuple[T, float] | None:
        """The last kept value of a key, however old, and its age in seconds."""

    def fresh[T](self, key: str, ttl_seconds: float, kind: type[T]) -> tuple[T, float] | None:
        """A kept value younger than the ttl, and its age in seconds; loads nothing.

        It does not count as a use: a long batch that looks for its addresses does not
        decide which values stay.
        """


class Board(Protocol):
    """Small values by name that processes of one service show each other; one of them gets each."""

    async def look[T](
        self, names: Sequence[str], kind: type[T], suits: Callable[[str, T, float], bool]
    ) -> Sequence[str]:
        """Look at what others show, and wait a few seconds at most for what one of them is getting.

        Args:
            names: What is looked for, each once.
            kind: The type of the values: a dataclass of plain values.
            suits: Is handed each value that is shown, by its name and with its age in seconds, and says
                whether it will do.

        Returns:
            Names that are this process's to get and then to :meth:`show`; others wait for it meanwhile.
        """

    async def show[T](self, values: Mapping[str, T | None], kind: type[T]) -> None:
        """Show values to the others; ``None``: there is none, and nobody need wait for it."""


@dataclass(frozen=True, slots=True)
class TokenMetadata:
    """What a contract or mint says of itself; ``None`` where it says nothing that can be read."""

    symbol: str | None
    name: str | None
    decimals: int | None


@dataclass(frozen=True, slots=True)
class MetadataFailure:
    """Why one token's metadata is not known: no contract, or an endpoint that did not answer."""

    code: FailureCode
    reason: str


class MetadataReader(Protocol):
    """Asks the tokens of one network what they say of themselves."""

    async def metadata(
        self, assets: Sequence[Asset], deadline: float
    ) -> Mapping[Address, TokenMetadata | MetadataFailure]:
        """What each token says, by its contract address or mint; one that is left out was not asked.

        Args:
            assets: Tokens of this network, none of them native; what is known of them is not used.
            deadline: The loop's time (``asyncio`` clock, seconds) by which it answers with what it has.

        Raises:
            UpstreamError: No endpoint answered; a token without a contract is not an error but a failure.
        """


class PriceSource(Protocol):
    """Asks one source what assets are worth, in US dollars per whole unit.

    It asks in as few requests as the source takes, within its rate; what it does not know it
    leaves out. It never invents: no zero, no guess by symbol.
    """

    name: str
    family: SourceFamily

    async def quotes(self, assets: Sequence[Asset], deadline: float) -> Sequence[Quote]:
        """Current quotes of the assets that it knows; several assets may be of one priced id.

        Args:
            assets: Each ``price_key`` once; quotes name it as their ``asset_id``.
            deadline: The loop's time (``asyncio`` clock, seconds) by which it answers with what it has.

        Raises:
            UpstreamError: It answered nothing at all; ``code`` says why.
        """

    async def quotes_at(self, assets: Sequence[Asset], at: datetime, deadline: float) -> Sequence[Quote]:
        """Quotes of a past time, none where the source keeps no history; ``as_of`` tells how near."""

    async def series(
        self, asset: Asset, start: datetime, end: datetime, interval: Interval, deadline: float
    ) -> Sequence[PricePoint]:
        """Points from ``start`` to ``end`` at about the interval, none where it keeps no history."""


class PriceHistoryStore(Protocol):
    """Keeps past prices once they are fetched: what was true then does not change."""

    async def load(self, asset_id: AssetId, interval: Interval) -> PriceSeries:
        """What is kept of an asset's past; nothing of one that was never kept, or was lost."""

    async def keep(self, asset_id: AssetId, interval: Interval, series: PriceSeries) -> None:
        """Keep this in place of what was kept; where it can't be, the next question asks again."""

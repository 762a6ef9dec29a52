"""What a protocol's file says of itself, and the shapes that it speaks in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Family, Network
from balance_tracker.core.positions import Position
from balance_tracker.evm.tours import Guide, Tour
from balance_tracker.solana.sources import PositionSource

Grade = Literal["bronze", "silver", "gold"]

type AssetOf = Callable[[Address], Asset | None]
"""What the catalog knows of a contract of this network, written in any case; else ``None``."""

type Row = Mapping[str, Any]
"""One ``[[deployments]]`` table of a protocol's data file."""

type Rows = Sequence[Row]
type EvmTour = Tour[Sequence[Position]]
type EvmGuide = Guide[Sequence[Position]]


@dataclass(frozen=True, slots=True)
class ProtocolSpec:
    """A protocol.

    Attributes:
        slug: As in positions and in ``protocols=``; the name of its file.
        name: For people.
        grade: How far it is proven, as CONTRIBUTING.md says.
    """

    slug: str
    name: str
    family: Family
    grade: Grade


class SourcesOf(Protocol):
    """How a protocol's file gives its sources on Solana."""

    def __call__(self, network: Network, asset_of: AssetOf) -> Sequence[PositionSource]:
        """The sources of its positions; their ``slug`` is the protocol's."""


class GuidesOf(Protocol):
    """How a protocol's file gives its guides on one network."""

    def __call__(self, network: Network, asset_of: AssetOf, rows: Rows = ()) -> Sequence[EvmGuide]:
        """A guide per market there, none where the protocol is not on the network."""

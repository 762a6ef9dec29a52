"""A network as its data file states it."""

from dataclasses import dataclass, field
from typing import Literal

from balance_tracker.core.ids import Address, AssetId, NetworkId, Slug

Family = Literal["evm", "solana"]
Lifecycle = Literal["active", "sunset"]


@dataclass(frozen=True, slots=True)
class NativeCoin:
    """What pays a network's fees; ``priced_as`` is one id for the coin on every network."""

    symbol: str
    name: str
    decimals: int
    priced_as: AssetId


@dataclass(frozen=True, slots=True)
class ContractRef:
    """A contract that we rely on, and the block it exists since."""

    address: Address
    since_block: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """One network; ``chain_id`` is the EIP-155 integer and null on Solana.

    ``endpoints`` are the shipped public URLs or the operator's; ``contracts`` has the
    keys ``multicall3``, ``ens_registry`` and ``arbsys`` where the network has them.
    ``mirrors`` are token addresses that show the native balance a second time.
    ``price_platforms`` is what price services call the network, for tokens by their contract.
    ``runs_evm_code`` is false where a call can't bring code of its own (zkSync Era).
    """

    slug: Slug
    name: str
    family: Family
    id: NetworkId
    chain_id: int | None
    native: NativeCoin
    endpoints: tuple[str, ...] = ()
    contracts: dict[str, ContractRef] = field(default_factory=dict)
    lifecycle: Lifecycle = "active"
    lifecycle_note: str | None = None
    block_time_ms: int = 12_000
    explorer_url: str | None = None
    wrapped_native: Address | None = None
    mirrors: tuple[Address, ...] = ()
    notes: tuple[str, ...] = ()
    price_ids: dict[str, str] = field(default_factory=dict)
    price_platforms: dict[str, str] = field(default_factory=dict)
    runs_evm_code: bool = True

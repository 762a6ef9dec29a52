"""Scripted parts behind the ports: a chain that says what it is told to, formats and names."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.blocks import At, BlockRef
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address, AssetId, NetworkId, Slug, token_asset_id
from balance_tracker.core.including import BALANCES_ONLY, Include
from balance_tracker.core.networks import Family, NativeCoin, Network
from balance_tracker.core.nfts import Collection, NftHolding
from balance_tracker.core.portfolio import AssetFailure, Balance, FailureCode, Reading
from balance_tracker.core.positions import Position, ProtocolFailure
from balance_tracker.ports import EndpointHealth

ALICE = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
SOLANA_ALICE = "9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM"
USDC = Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
DAI = Address("0x6B175474E89094C44Da98b954EedeAC495271d0F")
STRANGE = Address("0x1111111111111111111111111111111111111111")
MINT = Address("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
BLOCK = BlockRef(21_000_000, "0x" + "ab" * 32, 1_790_000_000)


def network(slug: str, family: Family = "evm", chain_id: int | None = 1, **more: object) -> Network:
    """A small network of either family."""
    evm = family == "evm"
    coin = (
        NativeCoin("ETH", "Ether", 18, AssetId("eip155:1/slip44:60"))
        if evm
        else NativeCoin("SOL", "Solana", 9, AssetId("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501"))
    )
    own_id = f"eip155:{chain_id}" if evm else "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
    return Network(
        slug=Slug(slug),
        name=slug.title(),
        family=family,
        id=NetworkId(own_id),
        chain_id=chain_id if evm else None,
        native=coin,
        **more,  # type: ignore[arg-type]
    )


ETHEREUM = network("ethereum", chain_id=1)
BASE = network("base", chain_id=8453)
SOLANA = network("solana", "solana", None)


def token(net: Network, address: Address, symbol: str, decimals: int | None = 6, **more: object) -> Asset:
    """A listed token."""
    facts: dict[str, object] = {"trust": "verified", "name": symbol, **more}
    return Asset(
        asset_id=token_asset_id(net.id, net.family, address),
        network=net.slug,
        contract_address=address,
        symbol=symbol,
        decimals=decimals,
        **facts,  # type: ignore[arg-type]
    )


@dataclass
class ScriptedReader:
    """Answers with the amounts and failures it was given, zero for the rest; implements ``ChainReader``.

    ``amounts`` and ``failing`` are keyed by contract address, ``None`` for the native coin;
    ``amounts_of`` has those of single owners, and ``lost`` the owners who end in an error.
    ``metadata`` is what an unlisted token's contract says: symbol, name, decimals.
    """

    network: Network
    amounts: dict[str | None, int] = field(default_factory=dict)
    failing: dict[str | None, FailureCode] = field(default_factory=dict)
    metadata: dict[str, tuple[str, str, int | None]] = field(default_factory=dict)
    extra: tuple[Balance, ...] = ()
    error: Exception | None = None
    delay_seconds: float = 0.0
    block: BlockRef = BLOCK
    nfts: int = 0
    reads: int = 0
    probes: int = 0
    asked: list[tuple[Asset, ...]] = field(default_factory=list)
    amounts_of: dict[str, dict[str | None, int]] = field(default_factory=dict)
    lost: dict[str, UpstreamError] = field(default_factory=dict)
    chunks: list[tuple[Address, ...]] = field(default_factory=list)
    under_way: int = 0
    positions: tuple[Position, ...] = ()
    protocol_failures: tuple[ProtocolFailure, ...] = ()
    collections: tuple[NftHolding, ...] = ()
    included: list[Include] = field(default_factory=list)
    unsearched: tuple[Collection, ...] = ()

    @property
    def protocols(self) -> tuple[str, ...]:
        return tuple(sorted({one.protocol for one in (*self.positions, *self.protocol_failures)}))

    async def read(
        self,
        owner: Address,
        assets: Sequence[Asset],
        at: At,
        deadline: float,
        include: Include = BALANCES_ONLY,
    ) -> Reading:
        self.reads += 1
        self.asked.append(tuple(assets))
        self.included.append(include)
        await self._take_time()
        if owner in self.lost:
            raise self.lost[owner]
        return self._with_more(owner, self._reading(owner, assets, requests=1), include)

    async def read_many(
        self,
        owners: Sequence[Address],
        assets: Sequence[Asset],
        at: At,
        deadline: float,
        include: Include = BALANCES_ONLY,
    ) -> Sequence[Reading | UpstreamError]:
        self.chunks.append(tuple(owners))
        self.asked.append(tuple(assets))
        self.included.append(include)
        await self._take_time()
        return [
            self.lost.get(owner)
            or self._with_more(
                owner, self._without_zeros(self._reading(owner, assets, requests=place == 0)), include
            )
            for place, owner in enumerate(owners)
        ]

    def _with_more(self, owner: Address, reading: Reading, include: Include) -> Reading:
        """The scripted positions of the protocols that are included, and the scripted collections."""
        return replace(
            reading,
            positions=tuple(
                one for one in self.positions if one.owner == owner and one.protocol in include.protocols
            ),
            protocols_asked=tuple(slug for slug in self.protocols if slug in include.protocols),
            protocol_failures=tuple(
                one for one in self.protocol_failures if one.protocol in include.protocols
            ),
            collections=self.collections if include.collections else (),
            unsearched=tuple(one for one in self.unsearched if one in include.collections),
        )

    async def _take_time(self) -> None:
        self.under_way += 1
        try:
            await asyncio.sleep(self.delay_seconds)
        finally:
            self.under_way -= 1
        if self.error:
            raise self.error

    def _reading(self, owner: Address, assets: Sequence[Asset], requests: int) -> Reading:
        balances: list[Balance] = list(self.extra)
        failures: list[AssetFailure] = []
        for asset in (native_asset(self.network), *assets):
            self._outcome(asset, {**self.amounts, **self.amounts_of.get(owner, {})}, balances, failures)
        asked = len(balances) + len(failures)
        return Reading(
            self.block,
            tuple(balances),
            tuple(failures),
            "node.example",
            int(requests),
            asked=asked,
            nfts=self.nfts,
        )

    def _without_zeros(self, reading: Reading) -> Reading:
        kept = [one for one in reading.balances if one.raw_amount or one.asset.trust == "unknown"]
        return replace(reading, balances=tuple(kept))

    def _outcome(
        self,
        asset: Asset,
        amounts: dict[str | None, int],
        balances: list[Balance],
        failures: list[AssetFailure],
    ) -> None:
        contract = asset.contract_address
        if contract in self.failing:
            failures.append(AssetFailure(asset, self.failing[contract], "the contract said no"))
            return
        if self._left_out(asset):
            return
        if contract is not None and contract in self.metadata:
            asset = asset.with_metadata(*self.metadata[contract])
        balances.append(Balance(asset, amounts.get(contract, 0)))

    def _left_out(self, asset: Asset) -> bool:
        """On Solana a listed mint without an account is not found; an asked one is shown at zero."""
        listed = self.network.family == "solana" and not asset.native and asset.trust != "unknown"
        return listed and asset.contract_address not in self.amounts

    async def probe(self) -> None:
        self.probes += 1
        if self.error:
            raise self.error

    def health(self) -> Sequence[EndpointHealth]:
        state = "resting" if self.error else "healthy"
        return [
            EndpointHealth("node.example", state, 12, 21_000_000, self.reads, 0, None, None, {"batch": "100"})
        ]


@dataclass
class ScriptedFormat:
    """Recognises addresses by a rule and parses them as they are; implements ``AddressFormat``."""

    family: str
    recognises: Callable[[str], bool]

    def looks_like(self, text: str) -> bool:
        return self.recognises(text)

    def parse(self, text: str) -> Address:
        if "bad" in text:
            raise InputError("That is no address.", code="invalid_address", hint="Check it.")
        return Address(text)


def formats() -> tuple[ScriptedFormat, ...]:
    return (
        ScriptedFormat("evm", lambda text: text.startswith("0x")),
        ScriptedFormat(
            "solana", lambda text: not text.startswith("0x") and text.isalnum() and len(text) >= 32
        ),
    )


@dataclass
class ScriptedNames:
    """Knows some names; implements ``NameService``."""

    known: dict[str, str] = field(default_factory=dict)
    network: Network = ETHEREUM
    error: Exception | None = None
    delay_seconds: float = 0.0
    lookups: int = 0

    def looks_like(self, text: str) -> bool:
        return text.endswith(".eth")

    def normal(self, name: str) -> str:
        return name.lower()

    async def resolve(self, name: str) -> Address:
        await self._look()
        if name not in self.known:
            raise InputError(f"'{name}' has no address.", code="unknown_name")
        return Address(self.known[name])

    async def name_of(self, address: Address) -> str | None:
        await self._look()
        return next((name for name, owner in self.known.items() if owner == address), None)

    async def _look(self) -> None:
        self.lookups += 1
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        if self.error:
            raise self.error


def refused(message: str = "Refused by https://node.example/key-1.", **more: object) -> UpstreamError:
    """An endpoint's error whose message holds a URL with a key."""
    return UpstreamError(message, **more)  # type: ignore[arg-type]


async def loaded[T](value: T) -> T:
    """The value, as something that was waited for."""
    wait: Awaitable[None] = asyncio.sleep(0)
    await wait
    return value

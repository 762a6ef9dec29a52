"""Reads one EVM network for one owner: native coin, tokens and, where unknown, their metadata."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.blocks import At
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.including import BALANCES_ONLY, Include
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import AssetFailure, Balance, Reading
from balance_tracker.evm.block_times import BlockTimes
from balance_tracker.evm.blocks import header_call, quantity, read_header
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.metadata import CALLS_PER_TOKEN, metadata_calls, read_metadata
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import Answer, Outcome
from balance_tracker.evm.question import Question
from balance_tracker.evm.riders import Rider, Trip, board_all, set_down
from balance_tracker.evm.rungs import ChainFacts, check_chain
from balance_tracker.evm.wallet_tours import Leaders, OtherBlockError, WalletTours
from balance_tracker.ports import EndpointHealth, MetadataFailure, TokenMetadata
from balance_tracker.transport.jsonrpc import RpcCall, RpcError
from balance_tracker.transport.pool import Pool, Session

MOST_KEPT = 10_000
"""Tokens whose metadata is remembered."""


class EvmReader:
    """Reads balances on one EVM network.

    Args:
        network: What its data file says.
        pool: Its endpoints.
        riders: Who asks along in the same request: names, feeds of prices.
        leaders: Who leads tours of what is included besides balances: protocols, collections.
    """

    def __init__(
        self, network: Network, pool: Pool, riders: Sequence[Rider] = (), leaders: Leaders | None = None
    ) -> None:
        self.network = network
        self._pool = pool
        self._riders = riders
        self._leaders = leaders if leaders is not None else Leaders()
        self.protocols = self._leaders.slugs
        self._calls = CallReader(pool, chain_facts(network))
        self._metadata: OrderedDict[Address, TokenMetadata] = OrderedDict()
        self._blocks = BlockTimes(network, pool)

    async def read(
        self,
        owner: Address,
        assets: Sequence[Asset],
        at: At,
        deadline: float,
        include: Include = BALANCES_ONLY,
    ) -> Reading:
        """See :meth:`balance_tracker.ports.ChainReader.read`."""
        tokens = [asset for asset in assets if not asset.native]
        answer, tours = await self._ask([owner], tokens, at, deadline, include)
        named = [self._named(asset) for asset in tokens]
        reading = self._reading([native_asset(self.network), *named], answer)
        return reading if tours is None else tours.added_to([reading])[0]

    async def read_many(
        self,
        owners: Sequence[Address],
        assets: Sequence[Asset],
        at: At,
        deadline: float,
        include: Include = BALANCES_ONLY,
    ) -> Sequence[Reading | UpstreamError]:
        """See :meth:`balance_tracker.ports.ChainReader.read_many`."""
        tokens = [asset for asset in assets if not asset.native]
        answer, tours = await self._ask(owners, tokens, at, deadline, include)
        columns = [native_asset(self.network), *(self._named(asset) for asset in tokens)]
        readings = self._rows(columns, answer, len(owners))
        return readings if tours is None else tours.added_to(readings)

    async def _ask(
        self, owners: Sequence[Address], tokens: Sequence[Asset], at: At, deadline: float, include: Include
    ) -> tuple[Answer, WalletTours | None]:
        """Balances, and tours with what they found if anything more is included.

        Where the block turns out to be gone between two rounds, all is read once more.
        """
        block = await self._blocks.block_of(at, deadline)
        trip = Trip(owners, [native_asset(self.network), *tokens], at)
        spent = 0
        for is_last in (False, True):
            tours = WalletTours(self.network.slug, self._leaders, owners, include) if include else None
            answer, toured = await self._ask_once(trip, block, deadline, tours)
            answer.requests += spent
            if tours is None:
                break
            try:
                await tours.go_on(toured, answer, self._calls, deadline)
                break
            except OtherBlockError:
                spent = answer.requests
                if is_last:
                    tours.give_up("the chain changed twice while it was read")
        return answer, tours

    async def _ask_once(
        self, trip: Trip, block: int | None, deadline: float, tours: WalletTours | None
    ) -> tuple[Answer, Sequence[Outcome]]:
        """Balances, metadata of unnamed tokens, what riders want to know, and tours' first round."""
        tokens = trip.assets[1:]
        contracts = [str(asset.contract_address).lower() for asset in tokens]
        unnamed = [asset for asset in tokens if self._is_unnamed(asset)]
        calls: list[Call] = []
        for asset in unnamed:
            calls += metadata_calls(str(asset.contract_address).lower())
        metadata = len(calls)
        rides = board_all(self._riders, trip)
        for ride in rides:
            calls += ride.calls
        toured = len(calls)
        if tours is not None:
            calls += tours.calls
        answer = await self._calls.read(Question(trip.owners, contracts, calls), block, deadline)
        outcomes = answer.outcomes
        self._learn_metadata(unnamed, outcomes[:metadata])
        set_down(rides, outcomes[metadata:], answer.block)
        return answer, outcomes[toured:]

    async def metadata(
        self, assets: Sequence[Asset], deadline: float
    ) -> Mapping[Address, TokenMetadata | MetadataFailure]:
        """See :meth:`balance_tracker.ports.MetadataReader.metadata`."""
        contracts = [asset.contract_address for asset in assets if asset.contract_address is not None]
        calls: list[Call] = []
        for contract in contracts:
            calls += metadata_calls(contract.lower())
        answer = await self._calls.read(Question(calls=calls), None, deadline)
        return {
            contract: read_metadata(outcomes)
            for contract, outcomes in zip(contracts, _threes(answer.outcomes), strict=True)
        }

    async def probe(self) -> None:
        """Ask every endpoint once for its chain and its head."""
        deadline = asyncio.get_running_loop().time() + 8.0

        async def operation(session: Session) -> None:
            chain, head = await session.ask([RpcCall("eth_chainId"), header_call(None)])
            if isinstance(chain, RpcError):
                raise UpstreamError(f"eth_chainId failed: {chain.message[:200]}", code="rpc_error")
            try:
                check_chain(quantity(chain), chain_facts(self.network))
            except ValueError as error:
                raise UpstreamError("The endpoint's chain id is not one.", code="bad_response") from error
            session.endpoint.chain_verified = True
            seen = read_header(head, None)
            self._pool.saw_head(session.endpoint, seen.number, seen.timestamp)

        await self._pool.probe(operation, deadline)

    def health(self) -> Sequence[EndpointHealth]:
        """What is known of each endpoint, best first."""
        return self._pool.health()

    def _is_unnamed(self, asset: Asset) -> bool:
        return asset.decimals is None and asset.contract_address not in self._metadata

    def _learn_metadata(self, assets: Sequence[Asset], outcomes: Sequence[Outcome]) -> None:
        threes = _threes(outcomes[: CALLS_PER_TOKEN * len(assets)])
        for asset, three in zip(assets, threes, strict=True):
            known = read_metadata(three)
            if isinstance(known, TokenMetadata) and asset.contract_address is not None:
                self._metadata[asset.contract_address] = known
        _bound(self._metadata)

    def _named(self, asset: Asset) -> Asset:
        known = self._metadata.get(asset.contract_address) if asset.contract_address is not None else None
        if asset.decimals is not None or known is None:
            return asset
        return asset.with_metadata(asset.symbol or known.symbol, asset.name or known.name, known.decimals)

    def _reading(self, assets: Sequence[Asset], answer: Answer) -> Reading:
        balances: list[Balance] = []
        failures: list[AssetFailure] = []
        for place, (asset, raw_amount) in enumerate(zip(assets, answer.cells, strict=True)):
            if raw_amount is None:
                failure = answer.failures[place]
                failures.append(AssetFailure(asset, failure.code, failure.reason))
            else:
                balances.append(Balance(asset, raw_amount))
        return Reading(
            block=answer.block,
            balances=tuple(balances),
            failures=tuple(failures),
            endpoint=answer.endpoint,
            requests=answer.requests,
            asked=len(assets),
        )

    def _rows(self, assets: Sequence[Asset], answer: Answer, owners: int) -> list[Reading]:
        """A reading per owner; zeros make no balance but of assets that are to be shown at zero."""
        width = len(assets)
        shown = [place for place, asset in enumerate(assets) if asset.trust == "unknown"]
        readings: list[Reading] = []
        for row in range(owners):
            start = row * width
            cells = answer.cells[start : start + width]
            held = [column for column, raw_amount in enumerate(cells) if raw_amount]
            held += [column for column in shown if cells[column] == 0]
            missing = [column for column, raw_amount in enumerate(cells) if raw_amount is None]
            failures = [(assets[column], answer.failures[start + column]) for column in missing]
            readings.append(
                Reading(
                    block=answer.block,
                    balances=tuple(Balance(assets[column], cells[column] or 0) for column in held),
                    failures=tuple(AssetFailure(asset, why.code, why.reason) for asset, why in failures),
                    endpoint=answer.endpoint,
                    requests=answer.requests if row == 0 else 0,
                    asked=width,
                )
            )
        return readings


def chain_facts(network: Network) -> ChainFacts:
    """What a network's file says that reading it needs."""
    multicall3 = network.contracts.get("multicall3")
    arbsys = network.contracts.get("arbsys")
    return ChainFacts(
        chain_id=network.chain_id,
        multicall3=multicall3.address if multicall3 else None,
        multicall3_since=multicall3.since_block if multicall3 else 0,
        arbsys=arbsys.address if arbsys else None,
        runs_evm_code=network.runs_evm_code,
    )


def _threes(outcomes: Sequence[Outcome]) -> list[Sequence[Outcome]]:
    return [outcomes[at : at + CALLS_PER_TOKEN] for at in range(0, len(outcomes), CALLS_PER_TOKEN)]


def _bound[K, V](kept: OrderedDict[K, V]) -> None:
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)

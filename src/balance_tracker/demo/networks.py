"""The demo's EVM networks: a node each, with a real contract for every listed token."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from balance_tracker.core.assets import Asset
from balance_tracker.core.feeds import OnChainPrices
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.networks import Network
from balance_tracker.demo.arbsys import ARBSYS_ADDRESS, arbsys_runtime
from balance_tracker.demo.contracts import (
    DEPLOYER,
    MULTICALL3_ADDRESS,
    ContractLibrary,
    Transaction,
    multicall3_runtime,
    set_code,
    transact,
)
from balance_tracker.demo.ens import place_ens
from balance_tracker.demo.feeds import PlacedFeed, answer_again, place_feeds
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.demo.tokens import PlacedToken, place_tokens

EVM_NETWORKS = (Slug("ethereum"), Slug("base"), Slug("polygon"), Slug("arbitrum"))
NODE_ARGUMENTS = ("--auto-impersonate",)
"""Every account may act without its key: wallets make their own transfers."""

_RESERVE = "1000000000"
"""Whole units of every token that its issuer keeps to give away."""

_ISSUER_WEI = 10**28
_SHORTEST_BLOCK_SECONDS = 2


@dataclass(frozen=True, slots=True)
class LocalNetwork:
    """One prepared network; amounts are text in whole units."""

    network: Network
    client: NodeClient
    decimals: Mapping[str, int]
    tokens: Mapping[str, PlacedToken]
    feeds: Sequence[PlacedFeed] = ()

    def give_native(self, owner: str, amount: str) -> None:
        """Set how much of the native coin ``owner`` has."""
        raw_amount = to_raw_amount(amount, self.network.native.decimals)
        self.client.call("anvil_setBalance", owner, hex(raw_amount))

    def transfer(self, sender: str, receiver: str, symbol: str, amount: str) -> Transaction:
        """A transfer of a listed token, to be carried out."""
        raw_amount = to_raw_amount(amount, self.decimals[symbol])
        return self.tokens[symbol].transfer(sender, receiver, raw_amount)

    def keep_prices_fresh(self) -> None:
        """Let every price feed answer again, as it would at its heartbeat."""
        if self.feeds:
            answer_again(self.client, self.feeds)
            self.let_time_pass()

    def let_time_pass(self) -> None:
        """From now on blocks come at the network's own pace, at least two seconds apart."""
        seconds = max(_SHORTEST_BLOCK_SECONDS, self.network.block_time_ms // 1_000)
        self.client.call("evm_setIntervalMining", seconds)


def prepare_network(
    client: NodeClient,
    library: ContractLibrary,
    network: Network,
    assets: Sequence[Asset],
    offered: OnChainPrices | None = None,
) -> LocalNetwork:
    """Put everything that the network is known for on an empty node.

    That is Multicall3, ArbSys or ENS where the network has them, every listed token, of which
    its issuer (the deployer) then holds a reserve, and price feeds of what the demo's wallets hold.

    Raises:
        UpstreamError: A constructor or a transaction failed.
    """
    codes = {MULTICALL3_ADDRESS: multicall3_runtime()}
    if "arbsys" in network.contracts:
        codes[ARBSYS_ADDRESS] = arbsys_runtime()
    set_code(client, codes)
    if "ens_registry" in network.contracts:
        place_ens(client, library)
    client.call("anvil_setBalance", DEPLOYER, hex(_ISSUER_WEI))
    tokens = place_tokens(client, library, network, assets)
    transact(client, list(_reserves(assets, tokens)))
    feeds = place_feeds(client, library, offered) if offered is not None else ()
    listed = _first_of_each_symbol(assets)
    return LocalNetwork(
        network,
        client,
        {symbol: asset.decimals or 0 for symbol, asset in listed.items()},
        {symbol: tokens[address] for symbol, asset in listed.items() if (address := asset.contract_address)},
        feeds,
    )


def to_raw_amount(amount: str, decimals: int) -> int:
    """Whole units as the chain's integer, exactly.

    Raises:
        ValueError: The amount has more digits than the asset.

    >>> to_raw_amount("1.5", 6)
    1500000
    """
    scaled = Decimal(amount).scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more than {decimals} decimals")
    return int(scaled)


def _reserves(assets: Iterable[Asset], tokens: Mapping[Address, PlacedToken]) -> Iterable[Transaction]:
    for asset in assets:
        if asset.contract_address is not None:
            raw_amount = to_raw_amount(_RESERVE, asset.decimals or 0)
            yield from tokens[asset.contract_address].given_to(DEPLOYER, raw_amount)


def _first_of_each_symbol(assets: Iterable[Asset]) -> dict[str, Asset]:
    listed: dict[str, Asset] = {}
    for asset in assets:
        if asset.symbol is not None and asset.contract_address is not None:
            listed.setdefault(asset.symbol, asset)
    return listed

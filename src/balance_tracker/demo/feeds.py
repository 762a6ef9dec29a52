"""Chainlink's own contracts as price feeds of the demo, at the addresses that the tracker is shipped with.

A feed is an ``EACAggregatorProxy`` before an ``AccessControlledAggregator`` (what Ethereum's feeds
were before off-chain reporting); the deployer is its only oracle. The prices are invented.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from balance_tracker.core.feeds import Feed, OnChainPrices
from balance_tracker.core.ids import Address
from balance_tracker.demo.contracts import (
    DEPLOYER,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    place,
    transact,
)
from balance_tracker.demo.node_client import NodeClient

PRICES: Mapping[str, str] = {
    "AAVE/USD": "178.2406",
    "AERO/USD": "0.91734",
    "ARB/USD": "0.41275",
    "BTC/USD": "94210.5132",
    "CHF/USD": "1.13402",
    "DAI/USD": "0.99987",
    "DEGEN/USD": "0.0031415",
    "ETH/USD": "3120.55418021",
    "EUR/USD": "1.08614",
    "GBP/USD": "1.29331",
    "GMX/USD": "14.6021",
    "JPY/USD": "0.00668213",
    "LDO/ETH": "0.000412907",
    "LINK/USD": "17.83309",
    "MATIC/USD": "0.21466",
    "MKR/USD": "1504.77",
    "POL/USD": "0.21466",
    "SHIB/ETH": "0.000000004312",
    "SOL/USD": "171.2094",
    "UNI/USD": "8.1127",
    "USDC/USD": "0.99996",
    "USDT/USD": "1.00021",
    "WBTC/BTC": "0.99913",
}
"""What the demo's feeds answer, by pair."""

_USUAL_DECIMALS = {"usd": 8, "btc": 8, "eth": 18}
_ANY_ANSWER = (-(1 << 191), (1 << 191) - 1)
_NOBODY = f"0x{0:040x}"
_UP, _UP_FOR_SECONDS = 0, 2 * 86_400


@dataclass(frozen=True, slots=True)
class PlacedFeed:
    """A feed on a node, to which the deployer may write."""

    feed: Feed
    aggregator: Address
    decimals: int

    def answered(self, round_number: int, answer: Decimal) -> Transaction:
        """The next round's answer; rounds begin at 1."""
        raw_answer = int(answer.scaleb(self.decimals))
        return Transaction(self.aggregator, call_data("submit(uint256,int256)", round_number, raw_answer))


def place_feeds(
    client: NodeClient, library: ContractLibrary, offered: OnChainPrices, prices: Mapping[str, str] = PRICES
) -> list[PlacedFeed]:
    """Put every feed whose pair has a price on a node, with that price as its first round.

    A rollup's sequencer feed is put there too: it tells that all is well, since two days ago.

    Raises:
        UpstreamError: A constructor or a transaction failed.
    """
    feeds = [_placed(feed) for feed in offered.feeds if feed.pair in prices]
    place(client, [_aggregator(library, feed) for feed in feeds])
    place(
        client, [Placement(feed.feed.proxy, library.feed_proxy, (feed.aggregator, _NOBODY)) for feed in feeds]
    )
    transact(client, [step for feed in feeds for step in _first_steps(feed)])
    transact(client, [feed.answered(1, Decimal(prices[feed.feed.pair])) for feed in feeds])
    if offered.sequencer is not None:
        place_sequencer(client, library, offered.sequencer)
    return feeds


def place_sequencer(
    client: NodeClient,
    library: ContractLibrary,
    address: Address,
    *,
    status: int = _UP,
    for_seconds: int = _UP_FOR_SECONDS,
) -> None:
    """Put a feed of a sequencer on a node: ``status`` 0 is up and 1 is down, since so long.

    It is Chainlink's ``MockV3Aggregator``: the feeds of rollups are in no package.
    """
    now = int(client.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    place(client, [Placement(address, library.mock_aggregator, (0, status))])
    update = "updateRoundData(uint80,int256,uint256,uint256)"
    transact(client, [Transaction(address, call_data(update, 1, status, now, now - for_seconds))])


def answer_again(client: NodeClient, feeds: Sequence[PlacedFeed], prices: Mapping[str, str] = PRICES) -> None:
    """Begin a new round on every feed with the same price, so that none grows stale."""
    calls: list[tuple[str, list[Any]]] = [
        ("eth_call", [{"to": feed.aggregator, "data": "0x" + call_data("latestRound()").hex()}, "latest"])
        for feed in feeds
    ]
    rounds = [int(number, 16) for number in client.batch(calls)]
    transact(
        client,
        [
            feed.answered(number + 1, Decimal(prices[feed.feed.pair]))
            for feed, number in zip(feeds, rounds, strict=True)
        ],
    )


def _placed(feed: Feed) -> PlacedFeed:
    seed = keccak(text=f"balance-tracker demo: aggregator behind {feed.proxy}")
    aggregator = Address(to_checksum_address(seed[12:]))
    decimals = feed.decimals if feed.decimals is not None else _USUAL_DECIMALS[feed.unit]
    return PlacedFeed(feed, aggregator, decimals)


def _aggregator(library: ContractLibrary, feed: PlacedFeed) -> Placement:
    words = (_NOBODY, 0, 0, _NOBODY, *_ANY_ANSWER, feed.decimals, feed.feed.pair)
    return Placement(feed.aggregator, library.feed_aggregator, words)


def _first_steps(feed: PlacedFeed) -> tuple[Transaction, ...]:
    """One oracle, no payments, and the proxy as a reader."""
    oracles = "changeOracles(address[],address[],address[],uint32,uint32,uint32)"
    return (
        Transaction(feed.aggregator, call_data(oracles, [], [DEPLOYER], [DEPLOYER], 1, 1, 0)),
        Transaction(feed.aggregator, call_data("addAccess(address)", feed.feed.proxy)),
    )

"""Chainlink's price feeds, read on chain by our own reader, beside the balances where possible.

Source: https://docs.chain.link/data-feeds (``AggregatorV3Interface``, historical data, L2 sequencer feeds).
Proof: tests/prices/test_chainlink*.py, on Chainlink's own contracts.

Known gaps: a round found by walking the rounds (no endpoint keeps the state of that block) is not
checked against the sequencer's feed of that time.
"""

from balance_tracker.prices.chainlink.source import ChainlinkFeeds

__all__ = ["ChainlinkFeeds"]

"""The demo's staker, for tests."""

from balance_tracker.demo.solana_staking import RESERVE, STAKE, VOTE, Staking

__all__ = ["RESERVE", "STAKE", "VOTE", "Staking"]

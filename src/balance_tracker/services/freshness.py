"""How long an answer may be given again before a network has to be read anew."""

from balance_tracker.core.portfolio import NetworkCoverage, Portfolio
from balance_tracker.services.reading import PARTIAL_TTL_SECONDS


def good_for_seconds(portfolio: Portfolio, ttl_seconds: float) -> float:
    """How long the answer stands, from when it was asked: until the first of its networks or prices is due.

    0 if a network failed or is stale: the next question may learn more. One with gaps is due after
    :data:`~balance_tracker.services.reading.PARTIAL_TTL_SECONDS`, and so is an EVM owner without a
    name, because a name that could not be looked up looks the same as none. A price that is due, or
    from before an outage, is 0 as well: what it is now may be known at the next question.

    Args:
        portfolio: The answer.
        ttl_seconds: How long the cache keeps a network; 0 keeps none.
    """
    left = min((_left_seconds(entry, ttl_seconds) for entry in portfolio.coverage), default=0)
    if portfolio.name is None and any(entry.chain_id is not None for entry in portfolio.coverage):
        left = min(left, PARTIAL_TTL_SECONDS)
    if portfolio.priced_for_seconds is not None:
        left = min(left, portfolio.priced_for_seconds)
    return max(left, 0)


def _left_seconds(entry: NetworkCoverage, ttl_seconds: float) -> float:
    if entry.status == "ok":
        return ttl_seconds - entry.age_seconds
    if entry.status == "partial":
        return min(ttl_seconds, PARTIAL_TTL_SECONDS) - entry.age_seconds
    return 0

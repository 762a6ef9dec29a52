"""How long an answer stands: until the first of its networks is due."""

from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.readers import ALICE, BLOCK
from tests.fakes.service import NOW

from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.portfolio import NetworkCoverage, Portfolio, Status
from balance_tracker.services.freshness import good_for_seconds


def covered(status: Status = "ok", age: float = 0, chain_id: int | None = 1) -> NetworkCoverage:
    facts: dict[str, Any] = {"cached": age > 0, "stale": status == "stale", "endpoint": "node.example"}
    return NetworkCoverage(
        Slug("ethereum"),
        chain_id,
        status,
        BLOCK,
        **facts,
        requests=1,
        elapsed_ms=1,
        asked=1,
        answered=1,
        age_seconds=age,
    )


def answered(*coverage: NetworkCoverage, name: str | None = "alice.eth") -> Portfolio:
    return Portfolio(Address(ALICE), name, "usd", (), coverage, NOW)


@pytest.mark.parametrize(
    ("coverage", "seconds"),
    [
        ([covered()], 60),
        ([covered(), covered(age=12.5)], 47.5),
        ([covered(), covered("partial", 2)], 3),
        ([covered("partial", 6)], 0),
        ([covered(), covered("failed")], 0),
        ([covered(), covered("stale", 10)], 0),
        ([covered(age=61)], 0),
    ],
)
def test_the_first_network_that_is_due_decides(coverage: list[NetworkCoverage], seconds: float) -> None:
    assert good_for_seconds(answered(*coverage), 60) == seconds


def test_without_a_cache_an_answer_stands_for_no_time() -> None:
    assert good_for_seconds(answered(covered()), 0) == 0
    assert good_for_seconds(answered(covered("partial")), 0) == 0


def test_a_short_time_to_live_is_not_made_longer_by_gaps() -> None:
    assert good_for_seconds(answered(covered("partial", 0.5)), 2) == 1.5


def test_an_evm_owner_without_a_name_is_asked_about_soon() -> None:
    nameless = answered(covered(), name=None)
    assert good_for_seconds(nameless, 60) == 5
    solana = replace(nameless, coverage=(covered(chain_id=None),))
    assert good_for_seconds(solana, 60) == 60

"""Whether questions can be answered, component by component."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from balance_tracker.services.catalog import NetworkView

ComponentStatus = Literal["ok", "unknown", "degraded", "failed"]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether questions can be answered, and the state of each component by name."""

    ready: bool
    components: dict[str, ComponentStatus]


def readiness_of(
    views: Sequence[NetworkView] | None,
    prices: ComponentStatus | None,
    redis: ComponentStatus | None = None,
) -> Readiness:
    """Ready is what is open, unless every network is known to be down.

    Args:
        views: The tracked networks; ``None`` where nothing is open.
        prices: The state of prices; ``None`` where no source is asked.
        redis: Whether it answers or is done without; ``None`` where none is used.
    """
    if views is None:
        return Readiness(ready=False, components={"catalog": "failed", "cache": "failed"})
    states: dict[str, ComponentStatus] = {view.network.slug: _state(view) for view in views}
    components: dict[str, ComponentStatus] = {"catalog": "ok", "cache": "ok"}
    if prices is not None:
        components["prices"] = prices
    if redis is not None:
        components["redis"] = redis
    components |= states
    return Readiness(any(state != "failed" for state in states.values()), components)


def with_kept(readiness: Readiness, database: ComponentStatus, jobs: ComponentStatus) -> Readiness:
    """The same with the database, without which nothing is ready (keys are checked by it), and jobs.

    Jobs that nobody does make nothing unready: all questions but theirs are answered.
    """
    components = {**readiness.components, "database": database, "jobs": jobs}
    return Readiness(readiness.ready and database != "failed", components)


def _state(view: NetworkView) -> ComponentStatus:
    states = {endpoint.state for endpoint in view.endpoints}
    if "healthy" in states:
        return "ok"
    return "unknown" if "unknown" in states or not states else "failed"

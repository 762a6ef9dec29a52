"""What must be known of a network to read it, and what its endpoints have shown."""

from dataclasses import dataclass, field

from balance_tracker.transport.pool import Session

MOST_CALLS = 1_000
"""Calls in one ``aggregate3``: about 8 million gas and 450 kB of body."""

FEWEST_CALLS = 10
"""An endpoint that takes fewer in one ``aggregate3`` is asked call by call."""

MOST_GAS_EATERS = 1_000


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What must be known of a network to read it; ``chain_id`` ``None`` takes any."""

    chain_id: int | None = None
    multicall3: str | None = None
    multicall3_since: int = 0
    arbsys: str | None = None


@dataclass
class Learned:
    """What the endpoints of one network have shown, by use and not by probing."""

    facts: ChainFacts
    _without_multicall: set[str] = field(default_factory=set)
    _part_sizes: dict[str, int] = field(default_factory=dict)
    _gas_eaters: set[str] = field(default_factory=set)

    def eats_gas(self, contract: str) -> bool:
        """Whether a contract has shown that it uses up all gas given to it, so that it is asked alone."""
        return contract in self._gas_eaters

    def found_gas_eater(self, contract: str) -> None:
        """Learn that a contract uses up all gas given to it."""
        if len(self._gas_eaters) < MOST_GAS_EATERS:
            self._gas_eaters.add(contract)

    def part_size(self, endpoint: str) -> int:
        """How many calls this endpoint takes in one request, as far as known."""
        return self._part_sizes.get(endpoint, MOST_CALLS)

    def shrink(self, session: Session, size: int) -> None:
        """Learn that a request of ``size`` calls was too much."""
        self._part_sizes[session.name] = max(size // 2, 1)
        session.endpoint.learned["calls_per_request"] = str(self._part_sizes[session.name])

    def use_multicall(self, endpoint: str, block: int | None) -> bool:
        """Whether Multicall3 is worth asking there."""
        if self.facts.multicall3 is None or endpoint in self._without_multicall:
            return False
        if self.part_size(endpoint) < FEWEST_CALLS:
            return False
        return block is None or block >= self.facts.multicall3_since

    def has_no_multicall(self, session: Session, block: int | None) -> None:
        """Learn that Multicall3 is not on this chain (a past block may just precede it)."""
        if block is None:
            self._without_multicall.add(session.name)
            session.endpoint.learned["multicall3"] = "missing"

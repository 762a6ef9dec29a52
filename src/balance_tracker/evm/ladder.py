"""Which rung an endpoint is asked on, and how much at once: learnt by use, kept, and forgotten in time."""

import time
from collections import OrderedDict
from collections.abc import Collection, Sequence

from balance_tracker.evm import scanner
from balance_tracker.evm.multicall_rung import MulticallRung
from balance_tracker.evm.question import Part
from balance_tracker.evm.rungs import (
    BODY_BYTES,
    CELL_GAS,
    LEAST_CELL_GAS,
    MOST_CELLS,
    TOKEN_GAS,
    WORK_GAS,
    ChainFacts,
    Limits,
    Rung,
    ScannerRung,
    Taken,
)
from balance_tracker.transport.memory import DAY_SECONDS, Memory

FEWEST_CELLS = 10
"""An endpoint that takes fewer in one call, of more that are asked, is asked call by call."""

FIRST_RETRY_SECONDS = 600.0
"""When a rung that failed is tried again, at first; four times as long after each failure more."""

FIRST_UNSUPPORTED_SECONDS = 3_600.0
"""The same of a rung that the endpoint does not support, by its own words."""

_LITTLE_GAS = 5_000_000
"""So little may be a bad minute, and is not believed for long at first."""

MOST_GAS_EATERS = 1_000
GAS_EATER_SECONDS = 3_600.0
"""For so long a contract that took all gas is asked alone: it may be mended."""

_SMALLEST_SAMPLE = 50
"""Cells of a scan that tell what one costs."""
_GAS_MARGIN = 0.98
"""What a plan spends of the gas that is there: cells cost a little more here or there."""


class Ladder:
    """The rungs of one network, and what its endpoints have shown of them.

    From the best: our scanner by state override, the same deployless, Multicall3. Below
    these are plain calls, in batches or one by one, which every endpoint takes.
    """

    def __init__(self, facts: ChainFacts) -> None:
        self.facts = facts
        self._rungs: list[Rung] = []
        if facts.runs_evm_code:
            self._rungs += [ScannerRung("override", facts), ScannerRung("deployless", facts)]
        if facts.multicall3 is not None:
            self._rungs.append(MulticallRung(facts))
        self._gas_eaters: OrderedDict[str, float] = OrderedDict()
        self._cell_gas: float = CELL_GAS
        self._cell_bytes = 5.0
        self._sampled = False

    def rung(self, memory: Memory, block: int | None, without: Collection[str] = ()) -> Rung | None:
        """The best rung to ask an endpoint on for a block, but for some; ``None``: call by call."""
        for rung in self._rungs:
            if rung.name in without or memory.get(f"rung.{rung.name}") is not None:
                continue
            if rung.name == "multicall3" and block is not None and block < self.facts.multicall3_since:
                continue
            if (memory.number("body_bytes") or BODY_BYTES) < rung.least_body_bytes:
                continue
            return rung
        return None

    def worth(self, places: int, batch_limit: int) -> int:
        """How many of so many places a rung must take at once: more than a batch of plain calls does."""
        return min(places, max(batch_limit, FEWEST_CELLS), MOST_CELLS)

    def limits(self, memory: Memory, rung: Rung) -> Limits:
        """How much an endpoint takes on a rung."""
        gas = memory.number("gas")
        return Limits(
            gas=WORK_GAS if gas is None else min(WORK_GAS, _for_cells(gas)),
            body_bytes=memory.number("body_bytes") or BODY_BYTES,
            cells=min(MOST_CELLS, memory.number(f"cells.{rung.name}") or MOST_CELLS),
            cell_gas=self._cell_gas,
            cell_bytes=self._cell_bytes,
        )

    def failed(self, memory: Memory, rung: Rung, *, supported: bool) -> None:
        """Leave a rung for a while; for a day where it is plainly not supported."""
        times = (memory.number(f"fails.{rung.name}") or 0) + 1
        first = FIRST_RETRY_SECONDS if supported else FIRST_UNSUPPORTED_SECONDS
        wait = min(first * 4 ** min(times - 1, 6), DAY_SECONDS)
        memory.put(f"rung.{rung.name}", "failed" if supported else "unsupported", wait)
        memory.put(f"fails.{rung.name}", times, 7 * DAY_SECONDS)

    def worked(self, memory: Memory, rung: Rung) -> None:
        """Note that a rung did what it should."""
        if memory.get("works") != rung.name:
            memory.put("works", rung.name, DAY_SECONDS)
            memory.forget(f"fails.{rung.name}")

    def too_much(self, memory: Memory, rung: Rung, size: int, *, body_bytes: int | None) -> None:
        """Learn that a request of ``size`` places, or of so many bytes, was too much."""
        if body_bytes is not None:
            memory.put_limit("body_bytes", max(body_bytes // 2, 1_000), DAY_SECONDS)
        else:
            memory.put_limit(f"cells.{rung.name}", max(size // 2, 1), DAY_SECONDS)

    def saw(self, memory: Memory, part: Part, taken: Taken) -> None:
        """Learn from a scan what the endpoint gives, and what a cell costs here."""
        if taken.gas is None:
            return
        # Two digits are enough to plan by, and do not change with every question.
        step = 10 ** max(len(str(taken.gas)) - 2, 0)
        gas = taken.gas // step * step
        if memory.number("gas") != gas:
            if gas < _LITTLE_GAS:
                memory.put_limit("gas", gas, DAY_SECONDS)
            else:
                memory.put("gas", gas, DAY_SECONDS)
        cells = len(taken.cells)
        if cells >= _SMALLEST_SAMPLE and not taken.calls:
            share = 0.5 if self._sampled else 1.0
            own = (taken.gas_used - TOKEN_GAS * len(part.columns)) / cells
            self._cell_gas += share * (max(own, LEAST_CELL_GAS) - self._cell_gas)
            self._cell_bytes += share * (taken.reply_bytes / cells - self._cell_bytes)
            self._sampled = True

    def gas_eaters(self, contracts: Sequence[str]) -> list[int]:
        """Where in a list those stand that have shown that they use up all gas given to them."""
        if not self._gas_eaters:
            return []
        now = time.monotonic()
        while self._gas_eaters and next(iter(self._gas_eaters.values())) < now - GAS_EATER_SECONDS:
            self._gas_eaters.popitem(last=False)
        return [place for place, contract in enumerate(contracts) if contract in self._gas_eaters]

    def not_too_much(self, memory: Memory) -> None:
        """A contract that took all gas was why requests were too much, and not their size."""
        for rung in self._rungs:
            memory.forget(f"cells.{rung.name}")

    def found_gas_eater(self, contract: str) -> bool:
        """Learn that a contract uses up all gas given to it; whether that is news."""
        news = contract not in self._gas_eaters
        if news:
            self._gas_eaters[contract] = time.monotonic()
        while len(self._gas_eaters) > MOST_GAS_EATERS:
            self._gas_eaters.popitem(last=False)
        return news


def _for_cells(gas: int) -> int:
    """What of a call's gas cells may cost: the scanner keeps what its dearest call could need."""
    kept = min(gas // 4, scanner.CELL_GAS) * 33 // 32 + 40_000
    return max(int((gas - kept) * _GAS_MARGIN), 1)

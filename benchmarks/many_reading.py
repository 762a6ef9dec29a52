"""One process that reads many wallets through the library and says what it took.

``python -m benchmarks.many_reading WALLETS`` takes its networks from the environment, as the
command line does, and prints one JSON object. It is a process of its own so that its peak of
memory is the reading's and nobody else's.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from balance_tracker import Tracker
from balance_tracker.core.portfolio import Portfolio
from benchmarks.truth import COLUMNS, raw_amount, token_addresses, wallet_address, wallet_addresses

WARM_UP_WALLETS = 3

_KIB_PER_MIB = 1024
_COLUMN_OF: dict[str | None, int] = {
    None: 0,
    **{token: 1 + number for number, token in enumerate(token_addresses())},
}


class WrongPortfolioError(AssertionError):
    """An answer is not what the chain holds, so its time means nothing."""


async def read(wallets: int) -> dict[str, float]:
    """Read the wallets once, after a few others that open the connections; check every balance."""
    async with Tracker() as tracker:
        warm_up = [wallet_address(wallets + number) for number in range(WARM_UP_WALLETS)]
        async for _ in tracker.portfolios(warm_up):
            pass
        addresses = wallet_addresses(wallets)
        before = _memory_kib("VmRSS")
        started, cpu = time.perf_counter(), time.process_time()
        requests = answered = holdings = 0
        async for answer in tracker.portfolios(addresses):
            portfolio = answer.result
            if not isinstance(portfolio, Portfolio):
                raise portfolio
            _check(portfolio, answer.positions[0])
            requests += sum(entry.requests for entry in portfolio.coverage)
            answered += sum(entry.answered for entry in portfolio.coverage)
            holdings += len(portfolio.holdings)
        return {
            "seconds": time.perf_counter() - started,
            "cpu_seconds": time.process_time() - cpu,
            "peak_mib": (_memory_kib("VmHWM") - before) / _KIB_PER_MIB,
            "requests": requests,
            "balances": answered,
            "holdings": holdings,
        }


def _check(portfolio: Portfolio, number: int) -> None:
    found = dict.fromkeys(range(COLUMNS), 0)
    for holding in portfolio.holdings:
        contract = holding.balance.asset.contract_address
        found[_COLUMN_OF[contract and contract.lower()]] = holding.balance.raw_amount
    if not portfolio.complete or any(found[at] != raw_amount(number, at) for at in range(COLUMNS)):
        raise WrongPortfolioError(f"Wallet {number} is told wrongly")


def _memory_kib(name: str) -> int:
    """``VmRSS``: memory now; ``VmHWM``: its peak since this program began (not its parent's)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(read(int(sys.argv[1])))))

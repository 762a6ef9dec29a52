"""``multicall`` from pip as its documentation has it, in chunks at which it loses no call."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from multicall import Call, Multicall
from multicall.multicall import batcher
from multicall.utils import _state_override_supported as overrides_supported
from multicall.utils import chainids
from web3 import HTTPProvider, Web3

from benchmarks.contenders.reading import Rows

MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
CALLS_AT_ONCE = 6_100
"""As many as 50M gas pay for; with 122,001 calls it would lose the last one."""


class WithMulticall:
    """One blocking client per network; the library makes its own asynchronous one of it."""

    def __init__(self, urls: Sequence[str], *, overrides: bool) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        batcher.step = CALLS_AT_ONCE
        self._clients = [Web3(HTTPProvider(url)) for url in urls]
        if not overrides:
            overrides_supported.update(dict.fromkeys(self._clients, False))

    def read(self, wallets: Sequence[str], tokens: Sequence[str]) -> tuple[float, list[Rows]]:
        """Calls are objects of the library, built within the time as any user has to."""
        started = time.perf_counter()
        found = self._loop.run_until_complete(self._read(wallets, tokens))
        rows: list[Rows] = [
            [[one[wallet, column] for column in range(1 + len(tokens))] for wallet in range(len(wallets))]
            for one in found
        ]
        return time.perf_counter() - started, rows

    async def _read(self, wallets: Sequence[str], tokens: Sequence[str]) -> Sequence[dict[Any, Any]]:
        reads = []
        for client in self._clients:
            calls = [call for number, wallet in enumerate(wallets) for call in _calls(number, wallet, tokens)]
            reads.append(Multicall(calls, _w3=client, require_success=False).coroutine())
        found: list[dict[Any, Any]] = await asyncio.gather(*reads)
        return found

    def close(self) -> None:
        """Forget the clients; the library has no way to close them."""
        for client in self._clients:
            chainids.pop(client, None)
        self._loop.close()


def _calls(number: int, wallet: str, tokens: Sequence[str]) -> list[Call]:
    native, balance_of = "getEthBalance(address)(uint256)", "balanceOf(address)(uint256)"
    asked = [(MULTICALL3, native), *((token, balance_of) for token in tokens)]
    as_it_is: Any = None
    return [
        Call(target, [view, wallet], [((number, column), as_it_is)])
        for column, (target, view) in enumerate(asked)
    ]


def open_contender(urls: Sequence[str], options: dict[str, Any]) -> WithMulticall:
    """Open it; ``overrides: false`` is for endpoints without state overrides."""
    return WithMulticall(urls, overrides=options.get("overrides", True))

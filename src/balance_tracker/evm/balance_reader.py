"""The hot path by itself: balances of many wallets and tokens on one EVM network.

No catalog, no settings: URLs, wallets and tokens in, exact integers out, each
either known or marked with why it is not.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import InputError
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.question import Question
from balance_tracker.evm.rungs import ChainFacts
from balance_tracker.transport.memory import MemoryFile
from balance_tracker.transport.pool import Pool, attempt_seconds, open_pool

CANONICAL_MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
ARBSYS = "0x0000000000000000000000000000000000000064"
ARBITRUM_CHAINS = frozenset({42_161, 42_170, 421_614})
"""Arbitrum One, Nova and Sepolia: there, what the EVM says of its block is the parent chain's."""


MOST_ADDRESSES = 8_192
"""Addresses whose check is remembered."""

_PLAIN = re.compile("0x[0-9a-f]{40}").fullmatch
"""An address in lower case carries no checksum: there is nothing else to check."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Balances of W wallets in the native coin and T tokens, all at ``block``.

    Attributes:
        rows: ``rows[w][0]`` is the native raw amount of wallet w, ``rows[w][1 + t]`` that of
            token t; ``None`` where it is not known.
        failures: ``(w, t, reason)`` of every ``None``; t is -1 for the native coin.
        requests: How many requests it took.
        endpoint: The host that answered.
    """

    block: BlockRef
    rows: list[list[int | None]]
    failures: list[tuple[int, int, str]]
    requests: int
    endpoint: str


class BalanceReader:
    """Reads one EVM network; keeps its connections and what it learnt of its endpoints.

    Args:
        urls: Endpoints of one network, ``http(s)`` or ``ws(s)``.
        chain_id: If given, an endpoint of another chain is refused.
        multicall3: Where Multicall3 is; ``None`` for a network without it.
        runs_evm_code: Whether a call may bring code of its own; not on zkSync Era.
        deadline_seconds: By when :meth:`read` answers with what it has.
        memory_path: A file that keeps what its endpoints have shown, over a restart.

    >>> async def show(url: str, wallet: str, token: str) -> int | None:
    ...     async with BalanceReader([url]) as reader:
    ...         return (await reader.read([wallet], [token])).rows[0][1]
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        chain_id: int | None = None,
        multicall3: str | None = CANONICAL_MULTICALL3,
        runs_evm_code: bool = True,
        deadline_seconds: float = 15.0,
        memory_path: Path | None = None,
    ) -> None:
        if not urls:
            raise InputError("No endpoint is given.", hint="Give the URL of at least one.")
        self._urls = tuple(urls)
        arbsys = ARBSYS if chain_id in ARBITRUM_CHAINS else None
        self._facts = ChainFacts(
            chain_id=chain_id, multicall3=multicall3, arbsys=arbsys, runs_evm_code=runs_evm_code
        )
        self._deadline_seconds = deadline_seconds
        self._memory_path = memory_path
        self._stack = AsyncExitStack()
        self._reader: CallReader | None = None

    async def __aenter__(self) -> Self:
        attempt = attempt_seconds(self._urls, self._deadline_seconds)
        memories = None
        if self._memory_path is not None:
            memories = await self._stack.enter_async_context(MemoryFile(self._memory_path))
        pool: Pool = await self._stack.enter_async_context(
            open_pool("evm", self._urls, attempt_seconds=attempt, memories=memories)
        )
        self._reader = CallReader(pool, self._facts)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader = None
        await self._stack.aclose()

    async def read(self, wallets: Sequence[str], tokens: Sequence[str], block: int | None = None) -> Matrix:
        """Native and token balances of every wallet, all at one block.

        Args:
            wallets: EVM addresses, any case.
            tokens: Token contracts.
            block: A block number, or ``None`` for the latest.

        Raises:
            InputError: An address or the block is not one.
            UpstreamError: No endpoint answered at all.
        """
        if block is not None and (type(block) is not int or not 0 <= block < 1 << 63):
            raise InputError("The block is not a block number.", code="invalid_at", hint="Give 0 or more.")
        if self._reader is None:
            raise RuntimeError("BalanceReader is used outside its 'async with'")
        question = Question([_parsed(wallet) for wallet in wallets], _all_parsed(tuple(tokens)))
        deadline = asyncio.get_running_loop().time() + self._deadline_seconds
        answer = await self._reader.read(question, block, deadline)
        width = question.width
        rows = [answer.cells[at : at + width] for at in range(0, question.cells, width)]
        failures = []
        for place in sorted(answer.failures):
            wallet, column = divmod(place, width)
            failure = answer.failures[place]
            failures.append((wallet, column - 1, f"{failure.code}: {failure.reason}"))
        return Matrix(answer.block, rows, failures, answer.requests, answer.endpoint)


@lru_cache(maxsize=16)
def _all_parsed(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """A list of tokens, checked; it is the same one read after read."""
    return tuple(_parsed(token) for token in tokens)


@lru_cache(maxsize=MOST_ADDRESSES)
def _parsed(address: str) -> str:
    """The address in lower case, checked; the same ones come again and again.

    Raises:
        InputError: It is not one.
    """
    if _PLAIN(address):
        return address
    return EvmAddresses().parse(address).lower()


async def read_balances(
    urls: Sequence[str], wallets: Sequence[str], tokens: Sequence[str], block: int | None = None
) -> Matrix:
    """:meth:`BalanceReader.read` once, without any set-up."""
    async with BalanceReader(urls) as reader:
        return await reader.read(wallets, tokens, block)

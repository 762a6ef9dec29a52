"""The hot path by itself: balances of many wallets and tokens on one EVM network.

No catalog, no settings: URLs, wallets and tokens in, exact integers out, each
either known or marked with why it is not.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import InputError
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import BALANCE_OF, address_word, read_uint
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.learned import ChainFacts
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.transport.pool import Pool, attempt_seconds, open_pool

CANONICAL_MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
ARBSYS = "0x0000000000000000000000000000000000000064"
ARBITRUM_CHAINS = frozenset({42_161, 42_170, 421_614})
"""Arbitrum One, Nova and Sepolia: there, what the EVM says of its block is the parent chain's."""


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
        deadline_seconds: By when :meth:`read` answers with what it has.

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
        deadline_seconds: float = 15.0,
    ) -> None:
        if not urls:
            raise InputError("No endpoint is given.", hint="Give the URL of at least one.")
        self._urls = tuple(urls)
        arbsys = ARBSYS if chain_id in ARBITRUM_CHAINS else None
        self._facts = ChainFacts(chain_id=chain_id, multicall3=multicall3, arbsys=arbsys)
        self._deadline_seconds = deadline_seconds
        self._stack = AsyncExitStack()
        self._reader: CallReader | None = None

    async def __aenter__(self) -> Self:
        attempt = attempt_seconds(self._urls, self._deadline_seconds)
        pool: Pool = await self._stack.enter_async_context(
            open_pool("evm", self._urls, attempt_seconds=attempt)
        )
        self._reader = CallReader(pool, self._facts)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def read(self, wallets: Sequence[str], tokens: Sequence[str], block: int | None = None) -> Matrix:
        """Native and token balances of every wallet, all at one block.

        Args:
            wallets: EVM addresses, any case.
            tokens: Token contracts.
            block: A block number, or ``None`` for the latest.

        Raises:
            InputError: An address is not one.
            UpstreamError: No endpoint answered at all.
        """
        if self._reader is None:
            raise RuntimeError("BalanceReader is used outside its 'async with'")
        formats = EvmAddresses()
        owners = [formats.parse(wallet) for wallet in wallets]
        contracts = [formats.parse(token).lower() for token in tokens]
        calls = [call for owner in owners for call in balance_calls(owner, contracts)]
        deadline = asyncio.get_running_loop().time() + self._deadline_seconds
        answer = await self._reader.read(calls, block, deadline)
        rows: list[list[int | None]] = []
        failures: list[tuple[int, int, str]] = []
        width = 1 + len(contracts)
        for wallet in range(len(owners)):
            row: list[int | None] = []
            for column, outcome in enumerate(answer.outcomes[wallet * width : (wallet + 1) * width]):
                value = read_balance(outcome)
                if isinstance(value, CallFailure):
                    failures.append((wallet, column - 1, f"{value.code}: {value.reason}"))
                    row.append(None)
                else:
                    row.append(value)
            rows.append(row)
        return Matrix(answer.block, rows, failures, answer.requests, answer.endpoint)


def balance_calls(owner: str, contracts: Sequence[str]) -> list[Call]:
    """The native balance of an owner, then its balance in each contract."""
    data = BALANCE_OF + address_word(owner)
    return [Call("", "", native_of=owner), *(Call(contract, data) for contract in contracts)]


def read_balance(outcome: Outcome) -> int | CallFailure:
    """A balance is exactly one word; anything else is no balance."""
    if isinstance(outcome, CallFailure):
        return outcome
    value = read_uint(outcome)
    if value is None:
        return CallFailure(FailureCode.MALFORMED, f"the contract returned {len(outcome)} bytes, not 32")
    return value


async def read_balances(
    urls: Sequence[str], wallets: Sequence[str], tokens: Sequence[str], block: int | None = None
) -> Matrix:
    """:meth:`BalanceReader.read` once, without any set-up."""
    async with BalanceReader(urls) as reader:
        return await reader.read(wallets, tokens, block)

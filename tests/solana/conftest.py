"""A real bank, served, with an owner who has SOL; and readers of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

import pytest
from solders.pubkey import Pubkey

from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At
from balance_tracker.core.ids import Address, AssetId, NetworkId, Slug
from balance_tracker.core.networks import NativeCoin, Network
from balance_tracker.core.portfolio import Balance, Reading
from balance_tracker.demo.solana_bank import SolanaBank
from balance_tracker.demo.solana_tokens import BankTokens
from balance_tracker.solana.reader import STALE_BEHIND_SLOTS, SolanaReader
from balance_tracker.transport.pool import open_pool

MAINNET = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
SOLANA = Network(
    slug=Slug("solana"),
    name="Solana",
    family="solana",
    id=NetworkId(MAINNET),
    chain_id=None,
    native=NativeCoin("SOL", "Solana", 9, AssetId(f"{MAINNET}/slip44:501")),
)


def listed(mint: Pubkey, symbol: str, decimals: int) -> Asset:
    return Asset(
        asset_id=AssetId(f"{MAINNET}/token:{mint}"),
        network=SOLANA.slug,
        contract_address=Address(str(mint)),
        symbol=symbol,
        name=f"{symbol} token",
        decimals=decimals,
        trust="verified",
    )


class Wallet:
    """An owner on a bank, and one reader of it."""

    def __init__(self, bank: SolanaBank, owner: Pubkey, reader: SolanaReader) -> None:
        self.bank = bank
        self.tokens = BankTokens(bank)
        self.owner = owner
        self.reader = reader

    async def read(self, assets: Sequence[Asset] = (), at: At = None, seconds: float = 5.0) -> Reading:
        deadline = asyncio.get_running_loop().time() + seconds
        return await self.reader.read(Address(str(self.owner)), assets, at, deadline)

    async def balance(self, mint: Pubkey, assets: Sequence[Asset] = ()) -> Balance:
        return balance_of(await self.read(assets), mint)


def balance_of(reading: Reading, mint: Pubkey | None) -> Balance:
    address = None if mint is None else str(mint)
    [balance] = [one for one in reading.balances if one.asset.contract_address == address]
    return balance


@pytest.fixture
async def bank() -> AsyncIterator[SolanaBank]:
    async with SolanaBank() as bank:
        yield bank


@pytest.fixture
async def readers() -> AsyncIterator[Callable[..., "asyncio.Future[SolanaReader]"]]:
    async with AsyncExitStack() as stack:

        async def make(*urls: str, network: Network = SOLANA) -> SolanaReader:
            return SolanaReader(
                network,
                await stack.enter_async_context(open_pool("solana", urls, stale_behind=STALE_BEHIND_SLOTS)),
            )

        yield make


@pytest.fixture
async def wallet(bank: SolanaBank, readers) -> Wallet:
    owner = Pubkey.new_unique()
    bank.give_sol(owner, 12_345_678_901)
    return Wallet(bank, owner, await readers(bank.url))

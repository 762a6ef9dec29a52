"""``balance-tracker``: one reader with the guides of what is there, on uvloop where it is to be had."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from typing import Any

from balance_tracker.catalog.networks import load_networks
from balance_tracker.core.assets import Asset, unlisted_token
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.including import Include
from balance_tracker.core.nfts import Collection
from balance_tracker.core.portfolio import Reading
from balance_tracker.core.positions import Leg, Position
from balance_tracker.evm.nfts import NftGuides
from balance_tracker.evm.reader import EvmReader
from balance_tracker.evm.wallet_tours import Leaders
from balance_tracker.protocols import aave_v3, uniswap_v3
from balance_tracker.transport.pool import open_pool
from benchmarks.contenders.ours import DEADLINE_SECONDS, loop_factory
from benchmarks.contenders.whole import Answer, Description

ETHEREUM = Slug("ethereum")


class IncompleteError(AssertionError):
    """Something of the wallet was not read."""


class OurWhole:
    """A reader that stays open."""

    def __init__(self, url: str, description: Description) -> None:
        self._network = load_networks()[ETHEREUM]
        self._tokens = [self._asset(*row) for row in description["tokens"]]
        self._include = Include(
            protocols=frozenset({"aave_v3", "uniswap_v3"}),
            collections=tuple(
                Collection(ETHEREUM, Address(address), "erc721", name)
                for address, name in description["collections"]
            ),
        )
        self._runner = asyncio.Runner(loop_factory=loop_factory())
        self._stack = AsyncExitStack()
        self._reader = self._runner.run(self._open(url, self._leaders(description)))

    def read_whole(self, owner: str) -> tuple[float, Answer]:
        """Only the reading is timed; the answer is put into words afterwards."""
        seconds, reading = self._runner.get_loop().run_until_complete(self._read(Address(owner)))
        if reading.failures or reading.protocol_failures or reading.collection_failures:
            raise IncompleteError("something of the wallet was not read")
        return seconds, as_answer(reading)

    def close(self) -> None:
        """Close the reader and its loop."""
        self._runner.run(self._stack.aclose())
        self._runner.close()

    async def _open(self, url: str, leaders: Leaders) -> EvmReader:
        pool = await self._stack.enter_async_context(open_pool(ETHEREUM, [url]))
        return EvmReader(self._network, pool, leaders=leaders)

    async def _read(self, owner: Address) -> tuple[float, Reading]:
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        started = time.perf_counter()
        reading = await self._reader.read(owner, self._tokens, None, deadline, self._include)
        return time.perf_counter() - started, reading

    def _asset(self, address: str, symbol: str, decimals: int) -> Asset:
        unlisted = unlisted_token(self._network, Address(address))
        return replace(unlisted.with_metadata(symbol, symbol, decimals), trust="verified")

    def _leaders(self, description: Description) -> Leaders:
        known = {str(asset.contract_address).lower(): asset for asset in self._tokens}

        def asset_of(address: Address) -> Asset | None:
            return known.get(address.lower())

        guides = [
            *aave_v3.guides(self._network, asset_of, [description["aave"]]),
            *uniswap_v3.guides(self._network, asset_of, [description["uniswap"]]),
        ]
        return Leaders(guides, NftGuides())


def as_answer(reading: Reading) -> Answer:
    """The reading in the form that all contenders share."""
    return {
        "block": reading.block.number,
        "balances": {_name(one.asset): one.raw_amount for one in reading.balances if one.raw_amount},
        "aave": next((_aave(one) for one in reading.positions if one.protocol == "aave_v3"), {}),
        "uniswap": {
            one.position_id.partition("/")[2]: _uniswap(one)
            for one in reading.positions
            if one.protocol == "uniswap_v3"
        },
        "collections": {
            str(one.collection.contract_address).lower(): [
                one.balance,
                sorted(int(item.token_id) for item in one.token_ids),
            ]
            for one in reading.collections
        },
    }


def _aave(position: Position) -> dict[str, Any]:
    details = dict(position.details)
    return {
        "supplied": {_name(leg.asset): [leg.raw_amount, leg.collateral] for leg in position.supplied},
        "borrowed": {_name(leg.asset): leg.raw_amount for leg in position.borrowed},
        "claimable": {_name(leg.asset): leg.raw_amount for leg in position.claimable},
        "health_factor": None if position.health_factor is None else _scaled(position.health_factor, 18),
        "collateral": _scaled(Decimal(details["collateral_usd"]), 8),
        "debt": _scaled(Decimal(details["debt_usd"]), 8),
    }


def _uniswap(position: Position) -> dict[str, Any]:
    details = dict(position.details)
    return {
        "amounts": _by_token(position.supplied),
        "fees": _by_token(position.claimable),
        "tick": int(details["tick"]),
        "in_range": details["in_range"] == "true",
    }


def _by_token(legs: Sequence[Leg]) -> dict[str, int]:
    return {_name(leg.asset): leg.raw_amount for leg in legs}


def _scaled(amount: Decimal, digits: int) -> int:
    return int(amount.scaleb(digits))


def _name(asset: Asset) -> str:
    return "native" if asset.native else str(asset.contract_address).lower()


def open_contender(urls: Sequence[str], options: dict[str, Any]) -> OurWhole:
    """Open a reader; ``description`` says what is there."""
    return OurWhole(urls[0], options["description"])

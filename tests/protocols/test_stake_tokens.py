"""Tokens that stand for a stake, on real nodes: told as what is staked or as themselves, never as both."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from solders.pubkey import Pubkey
from tests.nodes.protocols.flat import compile_flat
from tests.nodes.token_zoo import zoo_address
from tests.protocols.marinade_state import MSOL, state_bytes, worth
from tests.protocols.test_marinade import bank, give_msol

from balance_tracker.bootstrap import Tracker
from balance_tracker.core.whole import StakeTokens, WholePortfolio
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import Placement, Transaction, call_data, place, transact
from balance_tracker.demo.protocol_tables import write_tables
from balance_tracker.demo.solana_bank import SolanaBank
from balance_tracker.protocols import lido, rocket_pool
from balance_tracker.settings import Settings

__all__ = ["bank"]

pytestmark = pytest.mark.integration

OWNER = zoo_address("holder of rETH")
RETH = rocket_pool.DEPLOYMENTS["ethereum"].token
ETHER = "eip155:1/slip44:60"
SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
SOL, MSOL_ID = f"{SOLANA}/slip44:501", f"{SOLANA}/token:{MSOL}"
LIDO = lido.DEPLOYMENTS["ethereum"]
PRICES = {
    ETHER: "2000",
    f"eip155:1/erc20:{RETH}": "2300",
    f"eip155:1/erc20:{LIDO.steth}": "1990",
    f"eip155:1/erc20:{LIDO.wsteth}": "2480",
    SOL: "150",
    MSOL_ID: "200",
}
CHOICES: tuple[StakeTokens, ...] = ("position", "holding")

type Made = Callable[..., Settings]


@pytest.fixture
def settings(tmp_path: Path) -> Made:
    """Settings for one network, with prices, and the tokens that are listed."""
    lines = [f'"{key}" = "{price}"' for key, price in PRICES.items()]
    prices = tmp_path / "prices.toml"
    prices.write_text("\n".join(["[usd]", *lines, ""]), encoding="utf-8")
    write_tables(tmp_path / "networks", [])

    def made(slug: str, url: str, *tokens: dict[str, object]) -> Settings:
        path = tmp_path / "tokens.json"
        path.write_text(json.dumps({"name": "ours", "tokens": tokens}), encoding="utf-8")
        return Settings(
            networks=(slug,),
            rpc={slug: (url,)},
            shipped_tokens=False,
            token_lists=(str(path),),
            fixed_prices=prices,
            networks_dir=tmp_path / "networks",
        )

    return made


def listed(chain_id: int, address: str, symbol: str, decimals: int) -> dict[str, object]:
    return {"chainId": chain_id, "address": address, "symbol": symbol, "name": symbol, "decimals": decimals}


@pytest.fixture
async def staked(node: AnvilNode) -> AsyncIterator[AnvilNode]:
    """Four rETH of the owner's, which stand for five ether."""
    snapshot = node.client.call("evm_snapshot")
    place(node.client, [Placement(RETH, compile_flat("Staking.sol")["ReceiptModel"])])
    calls = [call_data("give(address,uint256)", OWNER, 4 * 10**18), call_data("setPool(uint256)", 5 * 10**18)]
    transact(node.client, [Transaction(RETH, data) for data in calls])
    yield node
    assert node.client.call("evm_revert", snapshot) is True


def told(
    answer: WholePortfolio,
) -> tuple[dict[str | None, int], dict[str, int], list[tuple[str | None, str]]]:
    """What is held, what positions are worth in smallest units, and what is left out."""
    return (
        {one.balance.asset.symbol: one.balance.raw_amount for one in answer.holdings},
        {one.position.market: one.position.supplied[0].raw_amount for one in answer.positions},
        [(one.asset.symbol, one.reason) for one in answer.excluded],
    )


async def test_reth_is_five_ether_staked_or_four_reth(staked: AnvilNode, settings: Made) -> None:
    chosen = settings("ethereum", staked.url, listed(1, RETH, "rETH", 18))
    async with Tracker(chosen) as tracker:
        position, holding = [await tracker.whole([OWNER], stake_tokens=choice) for choice in CHOICES]
        assert (await tracker.whole([OWNER])).totals == position.totals
    assert told(position) == ({}, {"rETH": 5 * 10**18}, [("rETH", "in_position")])
    assert (position.total_value, position.totals.by_kind["staking"]) == (10_000, 10_000)
    assert told(holding) == ({"rETH": 4 * 10**18}, {}, [])
    assert (holding.total_value, holding.totals.by_kind) == (9_200, {"wallet": 9_200})
    assert position.complete
    assert holding.complete
    assert holding.coverage[0].block == position.coverage[0].block


@pytest.mark.parametrize("stake_tokens", CHOICES)
async def test_reth_that_nobody_listed_is_not_lost_whatever_is_chosen(
    staked: AnvilNode, settings: Made, stake_tokens: StakeTokens
) -> None:
    async with Tracker(settings("ethereum", staked.url)) as tracker:
        answer = await tracker.whole([OWNER], stake_tokens=stake_tokens)
    assert told(answer) == ({}, {"rETH": 5 * 10**18}, [])
    assert answer.total_value == 10_000


@pytest.fixture
async def staked_with_lido(node: AnvilNode) -> AsyncIterator[AnvilNode]:
    """Stakes of the owner's that stand for five ether as stETH, and for ten as eight wstETH."""
    snapshot = node.client.call("evm_snapshot")
    models = compile_flat("Staking.sol")
    wrapped = replace(models["WstEthModel"], constructor=("address",))
    place(
        node.client,
        [
            Placement(LIDO.steth, models["StEthModel"]),
            Placement(LIDO.wsteth, wrapped, (LIDO.steth,)),
            Placement(LIDO.queue, models["QueueModel"]),
        ],
    )
    give, ether = "give(address,uint256)", 10**18
    calls = [
        (LIDO.steth, call_data(give, OWNER, 4 * ether)),
        (LIDO.steth, call_data(give, LIDO.wsteth, 8 * ether)),
        (LIDO.steth, call_data("setPool(uint256)", 15 * ether)),
        (LIDO.wsteth, call_data(give, OWNER, 8 * ether)),
    ]
    transact(node.client, [Transaction(address, data) for address, data in calls])
    yield node
    assert node.client.call("evm_revert", snapshot) is True


async def test_steth_and_wsteth_are_fifteen_ether_staked_or_themselves(
    staked_with_lido: AnvilNode, settings: Made
) -> None:
    steth, wsteth = listed(1, LIDO.steth, "stETH", 18), listed(1, LIDO.wsteth, "wstETH", 18)
    async with Tracker(settings("ethereum", staked_with_lido.url, steth, wsteth)) as tracker:
        position, holding = [await tracker.whole([OWNER], stake_tokens=choice) for choice in CHOICES]
    receipts = [("stETH", "in_position"), ("wstETH", "in_position")]
    assert told(position) == ({}, {"stETH": 5 * 10**18, "wstETH": 10 * 10**18}, receipts)
    assert position.total_value == 30_000
    assert told(holding) == ({"stETH": 5 * 10**18, "wstETH": 8 * 10**18}, {}, [])
    assert holding.total_value == 5 * 1990 + 8 * 2480


async def test_wsteth_that_nobody_listed_stays_a_position(
    staked_with_lido: AnvilNode, settings: Made
) -> None:
    steth = listed(1, LIDO.steth, "stETH", 18)
    async with Tracker(settings("ethereum", staked_with_lido.url, steth)) as tracker:
        holding = await tracker.whole([OWNER], stake_tokens="holding")
    assert told(holding) == ({"stETH": 5 * 10**18}, {"wstETH": 10 * 10**18}, [])


async def test_msol_is_sol_staked_or_msol(bank: SolanaBank, settings: Made) -> None:
    owner, lamports = Pubkey.new_unique(), worth(state_bytes(), 3_000_000_005)
    for amount in (3_000_000_000, 5):
        give_msol(bank, owner, amount)
    chosen = settings("solana", bank.url, listed(101, str(MSOL), "mSOL", 9))
    async with Tracker(chosen) as tracker:
        position, holding = [await tracker.whole([str(owner)], stake_tokens=choice) for choice in CHOICES]
    assert told(position) == ({}, {"mSOL": lamports}, [("mSOL", "in_position")])
    assert position.total_value == Decimal(lamports).scaleb(-9) * 150
    assert told(holding) == ({"mSOL": 3_000_000_005}, {}, [])
    assert holding.total_value == Decimal("3.000000005") * 200

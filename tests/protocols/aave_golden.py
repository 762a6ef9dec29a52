"""Golden conversations with real markets of Aave V3: a tour's calls, their answers, the contracts' own word.

``python -m tests.protocols.aave_golden`` records them again; what changes is to be reviewed as a diff.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.nodes.chains import started
from tests.protocols.aave_market import MOST, STABLE, STABLECOINS, AaveMarket, build_market
from tests.protocols.driving import driver
from tests.protocols.stage import ETHEREUM, answer, catalog

from balance_tracker.core.ids import Address
from balance_tracker.core.positions import Leg, Position
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, multicall3_runtime, set_code
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.tours import Guide
from balance_tracker.protocols.aave_v3 import guides
from balance_tracker.protocols.spec import EvmGuide, EvmTour

FOLDER = Path(__file__).parent / "golden" / "aave_v3"
VERSIONS = ("V3.0", "V3.6")
OWNER = EvmAddresses().parse("0x00000000000000000000000000000000000a11ce")
BANK = "0x000000000000000000000000000000000000ba0c"
LISTED = ("WETH", "USDC", "DAI")
FIRST_SECOND = 1_700_000_000


def golden_guide(case: dict[str, Any]) -> EvmGuide:
    """The guide of a recorded market."""
    tokens = {address: (symbol, decimals) for address, (symbol, decimals) in case["catalog"].items()}
    [guide] = guides(ETHEREUM, catalog(tokens), [case["row"]])
    return guide


def written_call(call: Call) -> dict[str, Any]:
    """A call as the file has it."""
    return {"to": call.to, "data": call.data, "gas_units": call.gas_units}


def written_position(position: Position) -> dict[str, Any]:
    """A position as the file has it."""
    return {
        "market": position.market,
        "supplied": [_leg(leg) for leg in position.supplied],
        "borrowed": [_leg(leg) for leg in position.borrowed],
        "claimable": [_leg(leg) for leg in position.claimable],
        "health_factor": None if position.health_factor is None else str(position.health_factor),
        "liquidation_threshold": str(position.liquidation_threshold),
        "details": dict(position.details),
    }


def _leg(leg: Leg) -> dict[str, Any]:
    return {
        "asset": leg.asset.contract_address,
        "symbol": leg.asset.symbol,
        "raw_amount": str(leg.raw_amount),
        "collateral": leg.collateral,
        "receipt": leg.receipt,
        "label": leg.label,
    }


def _listening(guide: EvmGuide, rounds: list[Any]) -> EvmGuide:
    """The guide, with its calls and their answers written down."""

    def start(owner: Address) -> EvmTour:
        tour = guide.start(owner)
        outcomes: Sequence[Outcome] = ()
        calls = next(tour)
        while True:
            outcomes = yield calls
            rounds.append(
                [
                    {**written_call(call), "gives": _given(outcome)}
                    for call, outcome in zip(calls, outcomes, strict=True)
                ]
            )
            try:
                calls = tour.send(outcomes)
            except StopIteration as end:
                found: Sequence[Position] = end.value
                return found

    return Guide(guide.name, guide.market, start)


def _given(outcome: Outcome) -> str:
    assert not isinstance(outcome, CallFailure), f"a golden case has no failures: {outcome.reason}"
    return outcome.hex()


def _live(market: AaveMarket) -> None:
    """A wallet with something of everything."""
    one = {symbol: reserve.one for symbol, reserve in market.reserves.items()}
    for symbol, unit in one.items():
        market.supply(BANK, symbol, 1_000_000 * unit)
    market.reward("USDC", 10**12, market.reserves["DAI"].underlying)
    market.supply(OWNER, "USDC", 20_000 * one["USDC"])
    market.enter_e_mode(OWNER, STABLECOINS)
    market.supply(OWNER, "WBTC", 123_456_789)
    market.use_as_collateral(OWNER, "WBTC", False)
    market.borrow(OWNER, "DAI", 9_000 * one["DAI"])
    if market.version == "V3.0":
        market.borrow(OWNER, "DAI", 1_000 * one["DAI"], STABLE)
    market.pass_time(200 * 86_400)


def _contracts_say(market: AaveMarket) -> dict[str, Any]:
    """What the position is compared with; read from the tokens and the pool, not by the tour's calls."""
    reserves = market.reserves.values()
    tokens = [
        token for one in reserves for token in (one.a_token, one.stable_debt_token, one.variable_debt_token)
    ]
    balances = {token: str(amount) for token in tokens if (amount := market.balance(token, OWNER))}
    health = market.account(OWNER)[5]
    a_tokens = [one.a_token for one in reserves] + [one.variable_debt_token for one in reserves]
    signature = "getAllUserRewards(address[],address)"
    rewards = answer(
        market.client, market.contracts["rewards"], signature, "address[],uint256[]", a_tokens, OWNER
    )
    return {
        "balances": balances,
        "health_factor": None if health == MOST else str(health),
        "rewards": [str(amount) for amount in rewards[1]],
    }


async def record(version: str) -> dict[str, Any]:
    """A golden case as it is now; the same each time, for the market's clock stands still."""
    with started(1, "--timestamp", str(FIRST_SECOND)) as node:
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3_runtime()})
        market = build_market(node.client, version)
        _live(market)
        known = {
            one.underlying: (symbol, one.listing.decimals)
            for symbol, one in market.reserves.items()
            if symbol in LISTED
        }
        case: dict[str, Any] = {"owner": OWNER, "row": market.row(), "catalog": known}
        rounds: list[Any] = []
        async with driver(ETHEREUM, node.url) as drives:
            driven = await drives.drive(_listening(golden_guide(case), rounds), OWNER)
        [position] = driven.found
        case |= {"contracts_say": _contracts_say(market), "position": written_position(position)}
        return case | {"rounds": rounds}


def main() -> None:
    """Record all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for version in VERSIONS:
        case = asyncio.run(record(version))
        text = json.dumps(case, indent=1, ensure_ascii=True) + "\n"
        (FOLDER / f"{version}.json").write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()

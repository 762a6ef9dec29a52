"""Compound V2's own contracts on a node, at the addresses they have on Ethereum."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.nodes.protocols.flat import compile_flat
from tests.nodes.token_zoo import zoo_address
from tests.protocols.stage import answer

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.demo.artifacts import fetch_packages
from balance_tracker.demo.contracts import (
    DEPLOYER,
    Artifact,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    place,
    transact,
)
from balance_tracker.demo.node_client import NodeClient

MANIFEST = Path(__file__).parent / "npm_compound"
COMPTROLLER = Address("0x3d9819210A31b4961b30EF54bE2aeD79B9c9Cd3B")
CDAI = Address("0x5d3a536E4D6DbD6114cc1Ead35777bAB948E3643")
CUSDC = Address("0x39AA39c021dfbaE8faC545936693aC917d5E7563")
CETH = Address("0x4Ddc2D193948926D02f9B1fE9e1daa0718270ED5")
DAI = Address("0x6B175474E89094C44Da98b954EedeAC495271d0F")
USDC = Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
ORACLE = zoo_address("compound oracle")
RATES = zoo_address("compound rates")
MARKETS = {CDAI: DAI, CUSDC: USDC, CETH: None}
FACTORS = {CDAI: 75 * 10**16, CUSDC: 855 * 10**15, CETH: 825 * 10**15}
PRICES = {CDAI: 10**18, CUSDC: 10**30, CETH: 2_000 * 10**18}
EXP = 10**18
MOST = 2**256 - 1


def _artifact(name: str, *constructor: str) -> Artifact:
    folder = (
        fetch_packages(MANIFEST, lambda line: None) / "@setprotocol/set-protocol-v2/external/abi/compound"
    )
    document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return Artifact(name, bytes.fromhex(document["bytecode"].removeprefix("0x")), constructor)


@dataclass(frozen=True, slots=True)
class CompoundMarket:
    """The pool, and what people do in it."""

    client: NodeClient

    def act(self, to: str, signature: str, *arguments: object, by: str = DEPLOYER, value: int = 0) -> None:
        """One transaction, which has to succeed."""
        transact(self.client, [Transaction(to, call_data(signature, *arguments), by, value)])

    def attempt(self, to: str, signature: str, *arguments: object, by: str, value: int = 0) -> None:
        """One transaction, which the pool may refuse."""
        with suppress(UpstreamError):
            self.act(to, signature, *arguments, by=by, value=value)

    def supply(self, owner: str, market: str, amount: int) -> None:
        if MARKETS[Address(market)] is None:
            self.attempt(market, "mint()", by=owner, value=amount)
        else:
            self.attempt(market, "mint(uint256)", amount, by=owner)

    def repay(self, owner: str, market: str, amount: int) -> None:
        if MARKETS[Address(market)] is None:
            self.attempt(market, "repayBorrow()", by=owner, value=amount)
        else:
            self.attempt(market, "repayBorrow(uint256)", amount, by=owner)

    def price(self, market: str, price: int) -> None:
        self.act(ORACLE, "tell(address,uint256)", market, price)

    def pass_blocks(self, count: int) -> None:
        self.client.call("anvil_mine", hex(count))

    def amounts(self, owner: str) -> dict[str, tuple[int, int]]:
        """Supply and debt by cToken with the interest up to the block, where there is either."""
        found = {}
        for market in MARKETS:
            supply = answer(self.client, market, "balanceOfUnderlying(address)", "uint256", owner)
            debt = answer(self.client, market, "borrowBalanceCurrent(address)", "uint256", owner)
            if supply or debt:
                found[str(market)] = (supply, debt)
        return found

    def liquidity(self, owner: str) -> tuple[int, int]:
        """What is left to borrow, and what is missing."""
        error, left, missing = answer(
            self.client, COMPTROLLER, "getAccountLiquidity(address)", "uint256,uint256,uint256", owner
        )
        assert error == 0
        return left, missing

    def sums(self, owner: str) -> tuple[int, int]:
        """Collateral by its factors and debts, added up as the Comptroller does it."""
        collateral = debts = 0
        for market in answer(self.client, COMPTROLLER, "getAssetsIn(address)", "address[]", owner):
            _, tokens, debt, rate = answer(
                self.client, market, "getAccountSnapshot(address)", "uint256,uint256,uint256,uint256", owner
            )
            price = answer(self.client, ORACLE, "getUnderlyingPrice(address)", "uint256", market)
            _, factor = answer(self.client, COMPTROLLER, "markets(address)", "bool,uint256", market)
            each = _times(_times(factor, rate), price)
            collateral += each * tokens // EXP
            debts += price * debt // EXP
        return collateral, debts


def _times(first: int, second: int) -> int:
    """Two numbers scaled by 10**18, rounded to the nearest as the contract's ``mulExp`` does."""
    return (first * second + EXP // 2) // EXP


def open_market(client: NodeClient, library: ContractLibrary, people: tuple[str, ...]) -> CompoundMarket:
    """A pool of dai, USDC and ether; people have much of each and have allowed the markets to take it."""
    place(
        client,
        [
            Placement(ORACLE, compile_flat("Prices.sol")["ToldPrices"]),
            Placement(
                RATES,
                _artifact("WhitePaperInterestRateModel", "uint256", "uint256"),
                (2 * EXP, 3 * EXP),
            ),
            Placement(COMPTROLLER, _artifact("Comptroller")),
            Placement(DAI, library.erc20, ("Dai", "DAI")),
            Placement(USDC, library.erc20, ("USDC", "USDC")),
        ],
    )
    erc20_market = _artifact(
        "CERc20", "address", "address", "address", "uint256", "string", "string", "uint256"
    )
    ether_market = _artifact("CEther", "address", "address", "uint256", "string", "string", "uint256")
    dai = (DAI, COMPTROLLER, RATES, 2 * 10**26, "Compound Dai", "cDAI", 8)
    usdc = (USDC, COMPTROLLER, RATES, 2 * 10**14, "Compound USDC", "cUSDC", 8)
    ether = (COMPTROLLER, RATES, 2 * 10**26, "Compound Ether", "cETH", 8)
    place(
        client,
        [
            Placement(CDAI, erc20_market, dai),
            Placement(CUSDC, erc20_market, usdc),
            Placement(CETH, ether_market, ether),
        ],
    )
    market = CompoundMarket(client)
    _configure(market)
    for person in people:
        client.call("anvil_setBalance", person, hex(10**24))
        for token, spender in ((DAI, CDAI), (USDC, CUSDC)):
            market.act(token, "mint(address,uint256)", person, 10**30)
            market.act(token, "approve(address,uint256)", spender, MOST, by=person)
    return market


def _configure(market: CompoundMarket) -> None:
    for each in MARKETS:
        market.price(each, PRICES[each])
    market.act(COMPTROLLER, "_setPriceOracle(address)", ORACLE)
    market.act(COMPTROLLER, "_setMaxAssets(uint256)", 20)
    market.act(COMPTROLLER, "_setCloseFactor(uint256)", 5 * 10**17)
    market.act(COMPTROLLER, "_setLiquidationIncentive(uint256)", 108 * 10**16)
    for each in MARKETS:
        market.act(COMPTROLLER, "_supportMarket(address)", each)
        market.act(COMPTROLLER, "_setCollateralFactor(address,uint256)", each, FACTORS[each])
        market.act(each, "_setReserveFactor(uint256)", 10**17)

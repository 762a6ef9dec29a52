"""A whole market of Aave V3 on a local node, of an old version or a late one, and what people do in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak
from tests.protocols.aave_sources import v3_0, v3_6
from tests.protocols.stage import answer

from balance_tracker.demo.aave import Reserves, reserve_rates, reserve_settings
from balance_tracker.demo.aave_code import Code
from balance_tracker.demo.contracts import DEPLOYER, Transaction, call_data, transact
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.protocols.spec import Row

NOBODY = f"0x{0:040x}"
VAULT = "0x00000000000000000000000000000000000A71fe"
MOST = 2**256 - 1
STABLE, VARIABLE = 1, 2
STABLECOINS = 1
"""The number of the e-mode."""


@dataclass(frozen=True)
class Listing:
    """A reserve to be; its price is in dollars of eight digits, its ratios in parts of 10,000."""

    symbol: str
    decimals: int
    price: int
    ltv: int
    threshold: int
    e_mode: int = 0


LISTINGS = (
    Listing("GONE", 18, 1_00000000, 5000, 6000),
    Listing("WETH", 18, 2000_00000000, 8000, 8250),
    Listing("USDC", 6, 1_00000000, 7500, 8000, STABLECOINS),
    Listing("DAI", 18, 99_990000, 7500, 8000, STABLECOINS),
    Listing("WBTC", 8, 60_000_12345678, 7000, 7500),
)
"""The first may be dropped, so that the others' numbers differ from their places in the list."""


@dataclass(frozen=True)
class Reserve:
    """A reserve as it is on the node."""

    listing: Listing
    underlying: str
    a_token: str
    stable_debt_token: str
    variable_debt_token: str
    aggregator: str

    @property
    def one(self) -> int:
        """A whole unit."""
        return int(10**self.listing.decimals)


@dataclass
class AaveMarket:
    """The market's contracts, and what people do with them; each action is one block."""

    client: NodeClient
    version: str
    contracts: dict[str, str] = field(default_factory=dict)
    reserves: dict[str, Reserve] = field(default_factory=dict)

    def row(self, *, known: bool = True) -> Row:
        """The market as the data file would have it, with or without its reserves."""
        row: dict[str, Any] = {
            "network": "ethereum",
            "market": f"Local{self.version}",
            "status": "active",
            "pool_addresses_provider": self.contracts["provider"],
            "pool": self.contracts["pool"],
            "protocol_data_provider": self.contracts["data_provider"],
            "ui_pool_data_provider": self.contracts["user_data"],
            "incentives_controller": self.contracts["rewards"],
        }
        row["reserves"] = [
            {
                "symbol": one.listing.symbol,
                "underlying": one.underlying,
                "a_token": one.a_token,
                "variable_debt_token": one.variable_debt_token,
            }
            for one in (self.reserves.values() if known else ())
        ]
        return row

    def send(self, to: str, signature: str, *arguments: Any, sender: str = DEPLOYER) -> None:
        transact(self.client, [Transaction(to, call_data(signature, *arguments), sender)])

    def tell(self, to: str, signature: str, types: str, *arguments: Any) -> None:
        """As :meth:`send`, for functions that take structures."""
        data = keccak(text=signature)[:4] + encode([types], arguments)
        transact(self.client, [Transaction(to, data)])

    def pool(self, signature: str, *arguments: Any, sender: str) -> None:
        self.send(self.contracts["pool"], signature, *arguments, sender=sender)

    def give(self, who: str, symbol: str, amount: int) -> None:
        """New tokens, which the pool may take."""
        token = self.reserves[symbol].underlying
        transact(
            self.client,
            [
                Transaction(token, call_data("mint(address,uint256)", who, amount)),
                Transaction(token, call_data("approve(address,uint256)", self.contracts["pool"], MOST), who),
            ],
        )

    def supply(self, who: str, symbol: str, amount: int) -> None:
        self.give(who, symbol, amount)
        token = self.reserves[symbol].underlying
        self.pool("supply(address,uint256,address,uint16)", token, amount, who, 0, sender=who)

    def borrow(self, who: str, symbol: str, amount: int, mode: int = VARIABLE) -> None:
        token = self.reserves[symbol].underlying
        self.pool("borrow(address,uint256,uint256,uint16,address)", token, amount, mode, 0, who, sender=who)

    def repay(self, who: str, symbol: str, amount: int, mode: int = VARIABLE) -> None:
        self.give(who, symbol, 2 * amount if amount < MOST else 10**30)
        token = self.reserves[symbol].underlying
        self.pool("repay(address,uint256,uint256,address)", token, amount, mode, who, sender=who)

    def withdraw(self, who: str, symbol: str, amount: int) -> None:
        token = self.reserves[symbol].underlying
        self.pool("withdraw(address,uint256,address)", token, amount, who, sender=who)

    def use_as_collateral(self, who: str, symbol: str, use: bool) -> None:
        token = self.reserves[symbol].underlying
        self.pool("setUserUseReserveAsCollateral(address,bool)", token, use, sender=who)

    def enter_e_mode(self, who: str, category: int) -> None:
        self.pool("setUserEMode(uint8)", category, sender=who)

    def liquidate(self, liquidator: str, who: str, collateral: str, debt: str, amount: int) -> None:
        self.give(liquidator, debt, amount)
        tokens = self.reserves[collateral].underlying, self.reserves[debt].underlying
        signature = "liquidationCall(address,address,address,uint256,bool)"
        self.pool(signature, *tokens, who, amount, False, sender=liquidator)

    def set_price(self, symbol: str, price: int) -> None:
        """In dollars of eight digits; the aggregators have no other way to be told."""
        aggregator = self.reserves[symbol].aggregator
        self.client.call("anvil_setStorageAt", aggregator, f"0x{0:064x}", f"0x{price:064x}")
        self.client.call("evm_mine")

    def price(self, symbol: str) -> int:
        return int(answer(self.client, self.reserves[symbol].aggregator, "latestAnswer()", "int256"))

    @property
    def now(self) -> int:
        """The time of the latest block."""
        return int(self.client.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def pass_time(self, seconds: int) -> None:
        self.client.call("evm_setNextBlockTimestamp", self.now + seconds)
        self.client.call("evm_mine")

    def account(self, who: str) -> tuple[int, ...]:
        """The pool's own word on somebody."""
        returns = ",".join(["uint256"] * 6)
        signature = "getUserAccountData(address)"
        told: tuple[int, ...] = answer(self.client, self.contracts["pool"], signature, returns, who)
        return told

    def balance(self, token: str, who: str) -> int:
        if token == NOBODY:
            return 0
        return int(answer(self.client, token, "balanceOf(address)", "uint256", who))

    def reward(self, symbol: str, per_second: int, token: str) -> None:
        """Pay so much of a token per second to those who supply a reserve, or owe in it."""
        reserve = self.reserves[symbol]
        end, strategy, aggregator = self.now + 10**8, self.contracts["strategy"], reserve.aggregator
        self.send(self.contracts["emission"], "setEmissionAdmin(address,address)", token, DEPLOYER)
        config = "(uint88,uint256,uint32,address,address,address,address)[]"
        rows = [
            (per_second, 0, end, asset, token, strategy, aggregator)
            for asset in (reserve.a_token, reserve.variable_debt_token)
        ]
        self.tell(self.contracts["emission"], f"configureAssets({config})", config, rows)

    def drop(self, symbol: str) -> None:
        """Take a reserve off the pool; the numbers of the others stay as they were."""
        reserve = self.reserves.pop(symbol)
        self.send(self.contracts["configurator"], "dropReserve(address)", reserve.underlying)


def _eip55(address: str) -> str:
    return EvmAddresses().parse(address)


def deploy(client: NodeClient, codes: Sequence[bytes]) -> list[str]:
    """The addresses of new contracts."""
    made = []
    for code in codes:
        transaction = {"from": DEPLOYER, "data": "0x" + code.hex(), "gas": hex(25_000_000), "gasPrice": "0x0"}
        sent = client.call("eth_sendTransaction", transaction)
        client.call("evm_mine")
        receipt = client.call("eth_getTransactionReceipt", sent)
        assert receipt["status"] == "0x1", f"init code of {len(code)} bytes failed"
        made.append(str(receipt["contractAddress"]))
    return made


class Builder:
    """Puts a market together, step by step as its authors' scripts do."""

    def __init__(self, client: NodeClient, version: str, codes: Mapping[str, Code]) -> None:
        self.client, self.codes = client, codes
        self.market = AaveMarket(client, version)
        self.libraries: dict[str, str] = {}
        self.tokens: dict[str, tuple[str, str]] = {}

    @property
    def old(self) -> bool:
        return self.market.version == "V3.0"

    def new(self, name: str, types: str = "", *arguments: Any) -> str:
        code = self.codes[name].linked(self.libraries)
        tail = encode(types.split(",") if types else (), arguments)
        return deploy(self.client, [code + tail])[0]

    def build(self) -> AaveMarket:
        for name in sorted(
            (name for name in self.codes if name.endswith("Logic")), key=lambda n: n == "FlashLoanLogic"
        ):
            self.libraries[name] = self.new(name)
        self._add_roles()
        self._add_tokens()
        self._add_pool()
        self._add_rewards()
        self._add_helpers()
        self._add_reserves()
        return self.market

    def _add_roles(self) -> None:
        market, contracts = self.market, self.market.contracts
        contracts["provider"] = self.new("PoolAddressesProvider", "string,address", market.version, DEPLOYER)
        provider = contracts["provider"]
        market.send(provider, "setACLAdmin(address)", DEPLOYER)
        roles = self.new("ACLManager", "address", provider)
        market.send(provider, "setACLManager(address)", roles)
        market.send(roles, "addPoolAdmin(address)", DEPLOYER)

    def _add_tokens(self) -> None:
        for listing in LISTINGS:
            words = (f"Test {listing.symbol}", listing.symbol, listing.decimals)
            token = self.new("MintableERC20", "string,string,uint8", *words)
            self.tokens[listing.symbol] = token, self.new("MockAggregator", "int256", listing.price)
        tokens, feeds = zip(*self.tokens.values(), strict=True)
        provider = self.market.contracts["provider"]
        types = "address,address[],address[],address,address,uint256"
        oracle = self.new("AaveOracle", types, provider, tokens, feeds, NOBODY, NOBODY, 10**8)
        self.market.send(provider, "setPriceOracle(address)", oracle)

    def _add_pool(self) -> None:
        market, contracts, provider = self.market, self.market.contracts, self.market.contracts["provider"]
        if self.old:
            pool = self.new("Pool", "address", provider)
            configurator = self.new("PoolConfigurator")
        else:
            contracts["rates"] = self.new("DefaultReserveInterestRateStrategyV2", "address", provider)
            pool = self.new("PoolInstance", "address,address", provider, contracts["rates"])
            configurator = self.new("PoolConfiguratorInstance")
        market.send(provider, "setPoolImpl(address)", pool)
        market.send(provider, "setPoolConfiguratorImpl(address)", configurator)
        contracts["pool"] = answer(self.client, provider, "getPool()", "address")
        contracts["configurator"] = answer(self.client, provider, "getPoolConfigurator()", "address")

    def _add_rewards(self) -> None:
        market, contracts = self.market, self.market.contracts
        if self.old:
            contracts["rewards"] = self.new("RewardsController")
            words = (contracts["rewards"], DEPLOYER)
            contracts["emission"] = self.new("EmissionManager", "address,address", *words)
            market.send(contracts["rewards"], "initialize(address)", contracts["emission"])
        else:
            contracts["emission"] = self.new("EmissionManager", "address", DEPLOYER)
            contracts["rewards"] = self.new("RewardsController", "address", contracts["emission"])
            market.send(contracts["emission"], "setRewardsController(address)", contracts["rewards"])
        three = (contracts["rewards"], DEPLOYER, VAULT)
        contracts["strategy"] = self.new("PullRewardsTransferStrategy", "address,address,address", *three)

    def _add_helpers(self) -> None:
        contracts, provider = self.market.contracts, self.market.contracts["provider"]
        contracts["data_provider"] = self.new("AaveProtocolDataProvider", "address", provider)
        self.market.send(provider, "setPoolDataProvider(address)", contracts["data_provider"])
        feed = self.tokens["WETH"][1]
        contracts["user_data"] = self.new("UiPoolDataProviderV3", "address,address", feed, feed)

    def _add_reserves(self) -> None:
        if self.old:
            self._list_old()
        else:
            self._list_new()
        signature = "getReserveTokensAddresses(address)"
        for listing in LISTINGS:
            token, feed = map(_eip55, self.tokens[listing.symbol])
            where = self.market.contracts["data_provider"]
            told = answer(self.client, where, signature, "address,address,address", token)
            a_token, stable, variable = map(_eip55, told)
            self.market.reserves[listing.symbol] = Reserve(listing, token, a_token, stable, variable, feed)
            self._configure(listing, token)
        self._add_e_mode()

    def _list_old(self) -> None:
        pool, provider = self.market.contracts["pool"], self.market.contracts["provider"]
        kinds = [
            self.new(name, "address", pool) for name in ("AToken", "StableDebtToken", "VariableDebtToken")
        ]
        types, words = reserve_rates(provider)
        rates = self.new("DefaultReserveInterestRateStrategy", ",".join(types), *words)
        shared = Reserves((kinds[0], kinds[1], kinds[2]), rates, VAULT, self.market.contracts["rewards"])
        tokens = [(one.symbol, self.tokens[one.symbol][0], one.decimals) for one in LISTINGS]
        place = self.market.contracts["configurator"]
        transact(self.client, [Transaction(place, shared.listing(tokens))])

    def _list_new(self) -> None:
        contracts = self.market.contracts
        words = (contracts["pool"], contracts["rewards"], VAULT)
        a_token = self.new("ATokenInstance", "address,address,address", *words)
        debt = self.new("VariableDebtTokenInstance", "address,address", *words[:2])
        rates = encode(["(uint16,uint32,uint32,uint32)"], [(8000, 100, 400, 7500)])
        row = "(address,address,address,string,string,string,string,bytes,bytes)"
        rows = [
            (
                a_token,
                debt,
                self.tokens[listing.symbol][0],
                *[f"{kind}{listing.symbol}" for kind in ("a", "a", "v", "v")],
                b"",
                rates,
            )
            for listing in LISTINGS
        ]
        self.market.tell(contracts["configurator"], f"initReserves({row}[])", f"{row}[]", rows)

    def _configure(self, listing: Listing, token: str) -> None:
        place = self.market.contracts["configurator"]
        steps = [*reserve_settings(token, listing.ltv, listing.threshold)]
        if self.old:
            steps.append(call_data("setReserveStableRateBorrowing(address,bool)", token, True))
        transact(self.client, [Transaction(place, data) for data in steps])

    def _add_e_mode(self) -> None:
        place = self.market.contracts["configurator"]
        words = (STABLECOINS, 9300, 9500, 10_200)
        if self.old:
            signature = "setEModeCategory(uint8,uint16,uint16,uint16,address,string)"
            self.market.send(place, signature, *words, NOBODY, "Stablecoins")
        else:
            signature = "setEModeCategory(uint8,uint16,uint16,uint16,string)"
            self.market.send(place, signature, *words, "Stablecoins")
        for listing in LISTINGS:
            token = self.tokens[listing.symbol][0]
            if listing.e_mode and self.old:
                self.market.send(place, "setAssetEModeCategory(address,uint8)", token, listing.e_mode)
            elif listing.e_mode:
                for what in ("Collateral", "Borrowable"):
                    signature = f"setAsset{what}InEMode(address,uint8,bool)"
                    self.market.send(place, signature, token, listing.e_mode, True)


def build_market(client: NodeClient, version: str) -> AaveMarket:
    """A market of ``V3.0`` or ``V3.6`` with some reserves and nobody in it; a block takes a second there."""
    client.call("anvil_setBlockTimestampInterval", 1)
    return Builder(client, version, v3_0() if version == "V3.0" else v3_6()).build()

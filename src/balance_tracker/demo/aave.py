"""A market of Aave V3 on a local node, every contract at the address that the tracker is shipped with.

Its addresses provider is put where it is on the network and told what its authors told it. It then makes
the pool, and the pool's configurator makes the tokens, by CREATE: with the nonces that these contracts had
on the network, everything they make is where it is there. Prices are the demo's Chainlink feeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from balance_tracker.core.errors import ConfigurationError
from balance_tracker.demo.aave_code import Code
from balance_tracker.demo.contracts import (
    DEPLOYER,
    Artifact,
    Placement,
    Transaction,
    call_data,
    place,
    transact,
)
from balance_tracker.demo.node_client import NodeClient

VARIABLE = 2
MOST = 2**256 - 1
_NOBODY = f"0x{0:040x}"
_TREASURY = "0x00000000000000000000000000000000000A71fe"
_RAY = 10**27
_RATES = (80, 1, 4, 75, 2, 75, 2, 5, 20)
"""Percents: the best use of a reserve, then variable and stable rates below and above it."""
_POOL_NONCE, _CONFIGURATOR_NONCE = 1, 2
_MOST_NONCES = 250


@dataclass(frozen=True, slots=True)
class Listing:
    """A reserve to be; its ratios are in parts of 10,000, ``feed`` tells its price in dollars."""

    symbol: str
    underlying: str
    decimals: int
    feed: str
    ltv: int
    threshold: int


@dataclass(frozen=True, slots=True)
class Reserves:
    """What all reserves of a market share: the code of their tokens, rates, and who gets what.

    Attributes:
        kinds: Of the aToken, the stable and the variable debt token.
    """

    kinds: tuple[str, str, str]
    rates: str
    treasury: str
    rewards: str

    def listing(self, tokens: Sequence[tuple[str, str, int]]) -> bytes:
        """The configurator's call that lists tokens, each by symbol, address and decimals."""
        fields = ["address"] * 3 + ["uint8"] + ["address"] * 4 + ["string"] * 6 + ["bytes"]
        row = f"({','.join(fields)})"
        rows = [
            (
                *self.kinds,
                decimals,
                self.rates,
                address,
                self.treasury,
                self.rewards,
                *[f"{kind}{symbol}" for kind in ("a", "a", "v", "v", "s", "s")],
                b"",
            )
            for symbol, address, decimals in tokens
        ]
        return keccak(text=f"initReserves({row}[])")[:4] + encode([f"{row}[]"], [rows])


@dataclass(frozen=True, slots=True)
class AavePool:
    """A market that people can use."""

    client: NodeClient
    address: str

    def supplied(self, who: str, token: str, raw_amount: int) -> tuple[Transaction, ...]:
        """What puts tokens that ``who`` has into the market."""
        supply = call_data("supply(address,uint256,address,uint16)", token, raw_amount, who, 0)
        approve = call_data("approve(address,uint256)", self.address, raw_amount)
        return Transaction(token, approve, who), Transaction(self.address, supply, who)

    def borrowed(self, who: str, token: str, raw_amount: int) -> Transaction:
        """What borrows, at the variable rate."""
        signature = "borrow(address,uint256,uint256,uint16,address)"
        return Transaction(self.address, call_data(signature, token, raw_amount, VARIABLE, 0, who), who)


def place_aave(
    client: NodeClient, codes: Mapping[str, Code], row: Mapping[str, Any], listings: Sequence[Listing]
) -> AavePool:
    """Put a market of a shipped table on a node, with some of its reserves.

    Args:
        client: A node with the reserves' tokens and feeds.
        codes: Aave's contracts by name.
        row: The market's table.
        listings: Reserves that the table names.

    Raises:
        UpstreamError: A constructor or a transaction failed.
        ConfigurationError: A token of the table is none that this market made.
    """
    builder = _Builder(client, codes, row)
    builder.add_libraries()
    builder.add_roles()
    builder.add_oracle(listings)
    builder.add_pool()
    builder.add_helpers(listings)
    builder.add_reserves(listings)
    return AavePool(client, str(row["pool"]))


def reserve_rates(provider: str) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Types and values of the constructor of ``DefaultReserveInterestRateStrategy``."""
    return ("address", *["uint256"] * 9), (provider, *[share * _RAY // 100 for share in _RATES])


@dataclass(frozen=True, slots=True)
class _Builder:
    client: NodeClient
    codes: Mapping[str, Code]
    row: Mapping[str, Any]
    libraries: dict[str, str] = field(default_factory=dict)

    @property
    def provider(self) -> str:
        return str(self.row["pool_addresses_provider"])

    @property
    def configurator(self) -> str:
        return created_address(self.provider, _CONFIGURATOR_NONCE)

    def add_libraries(self) -> None:
        names = [name for name in self.codes if name.endswith("Logic")]
        self.libraries.update({name: self._address(name) for name in names})
        place(self.client, [self._placement(name) for name in names])

    def add_roles(self) -> None:
        types, words = ("string", "address"), (self.row["market"], DEPLOYER)
        place(self.client, [self._placement("PoolAddressesProvider", types, words, at=self.provider)])
        self.client.call("anvil_setNonce", self.provider, hex(_POOL_NONCE))
        roles = self._address("ACLManager")
        self._tell(self.provider, call_data("setACLAdmin(address)", DEPLOYER))
        place(self.client, [self._placement("ACLManager", ("address",), (self.provider,))])
        transact(
            self.client,
            [
                Transaction(self.provider, call_data("setACLManager(address)", roles)),
                Transaction(roles, call_data("addPoolAdmin(address)", DEPLOYER)),
            ],
        )

    def add_oracle(self, listings: Sequence[Listing]) -> None:
        types = ("address", "address[]", "address[]", "address", "address", "uint256")
        tokens, feeds = [one.underlying for one in listings], [one.feed for one in listings]
        words = (self.provider, tokens, feeds, _NOBODY, _NOBODY, 10**8)
        place(self.client, [self._placement("AaveOracle", types, words)])
        self._tell(self.provider, call_data("setPriceOracle(address)", self._address("AaveOracle")))

    def add_pool(self) -> None:
        place(
            self.client,
            [
                self._placement("Pool", ("address",), (self.provider,)),
                self._placement("PoolConfigurator"),
            ],
        )
        transact(
            self.client,
            [
                Transaction(self.provider, call_data("setPoolImpl(address)", self._address("Pool"))),
                Transaction(
                    self.provider,
                    call_data("setPoolConfiguratorImpl(address)", self._address("PoolConfigurator")),
                ),
            ],
        )

    def add_helpers(self, listings: Sequence[Listing]) -> None:
        row, feed = self.row, listings[0].feed
        types, words = reserve_rates(self.provider)
        pool = (("address",), (row["pool"],))
        helper = str(row["protocol_data_provider"])
        place(
            self.client,
            [
                self._placement("RewardsController", at=row["incentives_controller"]),
                self._placement("AaveProtocolDataProvider", ("address",), (self.provider,), at=helper),
                self._placement(
                    "UiPoolDataProviderV3", ("address",) * 2, (feed,) * 2, at=row["ui_pool_data_provider"]
                ),
                self._placement("DefaultReserveInterestRateStrategy", types, words),
                *[self._placement(name, *pool) for name in _TOKEN_KINDS],
            ],
        )
        transact(
            self.client,
            [
                Transaction(self.provider, call_data("setPoolDataProvider(address)", helper)),
                Transaction(str(row["incentives_controller"]), call_data("initialize(address)", DEPLOYER)),
            ],
        )

    def add_reserves(self, listings: Sequence[Listing]) -> None:
        first, second, third = (self._address(name) for name in _TOKEN_KINDS)
        shared = Reserves(
            kinds=(first, second, third),
            rates=self._address("DefaultReserveInterestRateStrategy"),
            treasury=_TREASURY,
            rewards=str(self.row["incentives_controller"]),
        )
        a_tokens = {one["symbol"]: str(one["a_token"]).lower() for one in self.row["reserves"]}
        nonces = {created_address(self.configurator, nonce): nonce for nonce in range(1, _MOST_NONCES)}
        for one in listings:
            nonce = nonces.get(a_tokens.get(one.symbol, ""))
            if nonce is None:
                raise ConfigurationError(f"{self.row['market']} has not made a token for {one.symbol}.")
            self.client.call("anvil_setNonce", self.configurator, hex(nonce))
            self._tell(self.configurator, shared.listing([(one.symbol, one.underlying, one.decimals)]))
        transact(
            self.client,
            [
                Transaction(self.configurator, data)
                for one in listings
                for data in reserve_settings(one.underlying, one.ltv, one.threshold)
            ],
        )

    def _tell(self, to: str, data: bytes) -> None:
        transact(self.client, [Transaction(to, data)])

    def _address(self, name: str) -> str:
        return "0x" + keccak(text=f"balance-tracker demo: {name} of {self.row['market']}")[12:].hex()

    def _placement(
        self, name: str, types: tuple[str, ...] = (), words: tuple[Any, ...] = (), at: str | None = None
    ) -> Placement:
        artifact = Artifact(name, self.codes[name].linked(self.libraries), types)
        return Placement(at or self._address(name), artifact, words)


_TOKEN_KINDS = ("AToken", "StableDebtToken", "VariableDebtToken")


def reserve_settings(token: str, ltv: int, threshold: int) -> tuple[bytes, ...]:
    """The configurator's calls that let a reserve be collateral, be borrowed, and earn something."""
    collateral = "configureReserveAsCollateral(address,uint256,uint256,uint256)"
    return (
        call_data(collateral, token, ltv, threshold, 10_500),
        call_data("setReserveBorrowing(address,bool)", token, True),
        call_data("setReserveFactor(address,uint256)", token, 1000),
    )


def created_address(creator: str, nonce: int) -> str:
    """Where a contract is that another one made by CREATE, in lower case.

    Args:
        creator: The one that made it.
        nonce: How many it had made before, plus one; 1 to 250.

    >>> created_address("0x2f39d218133AFaB8F2B819B1066c7E434Ad94E9e", 1)
    '0x87870bca3f3fd6335c3f4ce8392d69350b4fa4e2'
    """
    number = bytes([nonce]) if nonce < 0x80 else bytes([0x81, nonce])
    body = b"\x94" + bytes.fromhex(creator[2:]) + number
    return "0x" + keccak(bytes([0xC0 + len(body)]) + body)[12:].hex()

"""One of everything that is kept in a shared cache."""

from dataclasses import replace
from decimal import Decimal

from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.nfts import Collection, NftHolding, NftId
from balance_tracker.core.portfolio import (
    AssetFailure,
    Balance,
    FailureCode,
    NetworkCoverage,
    NetworkError,
    Reading,
    TokenAccount,
)
from balance_tracker.core.positions import Leg, Position, PositionKind, ProtocolFailure

ETHEREUM = Slug("ethereum")


def asset(number: int) -> Asset:
    contract = f"0x{number:040x}"
    return Asset(
        AssetId(f"eip155:1/erc20:{contract}"),
        ETHEREUM,
        Address(contract),
        f"TOK{number}",
        f"Token número {number} 🪙",
        18,
        "verified",
        f"https://assets.example/{contract}/logo.png",
        {"coingecko": f"token-{number}"},
        ("stablecoin", "bridged"),
        note="what people should know",
        confidence="0.9",
        priced_as=AssetId("eip155:1/slip44:60"),
    )


UNKNOWN = replace(asset(7), symbol=None, name=None, decimals=None, logo_uri=None, trust="unknown", tags=())
ACCOUNT = TokenAccount(Address("9xQe"), 2**64 - 1, "frozen", Address("delegate"), 5, 1)
COLLECTION = Collection(ETHEREUM, Address("0xb47e"), "erc1155", "Punks", "PNK", 12_000_000, "listed")
NFTS = NftHolding(
    COLLECTION,
    None,
    (NftId("1", 1), NftId(str(2**255), 2**200, "ipfs://x", {"name": "é", "list": [1, 2.5, None, True]})),
    ids_complete=False,
    ids_note="blocks 1 to 5",
    extra=(("verified", "yes"),),
)
POSITION = Position(
    "aave_v3",
    ETHEREUM,
    "AaveV3Ethereum",
    "core",
    PositionKind.LENDING,
    Address("0xd8dA"),
    supplied=(Leg(asset(1), 10**30, collateral=True, receipt=Address("0xaToken")),),
    borrowed=(Leg(asset(2), 5, label="variable"),),
    health_factor=Decimal("1.234567890123456789012345678"),
    liquidation_threshold=Decimal("0.83"),
    details=(("e_mode", "1"),),
)
FAILURE = AssetFailure(asset(3), FailureCode.OUT_OF_GAS, "it took all gas")
READING = Reading(
    BlockRef(21_000_000, "0x" + "ab" * 32, 1_760_000_000),
    (
        Balance(asset(1), 2**256 - 1),
        Balance(asset(2), 0),
        Balance(UNKNOWN, 1, (ACCOUNT,), ui_amount="1.50"),
    ),
    (FAILURE,),
    "node.example",
    2,
    4,
    nfts=3,
    positions=(POSITION,),
    protocols_asked=("aave_v3", "lido"),
    protocol_failures=(ProtocolFailure("lido", None, "timed_out", "too slow"),),
    collections=(NFTS,),
    collection_failures=(ProtocolFailure("nfts", "0xb47e", "reverted", "it says no"),),
    unsearched=(COLLECTION,),
)
ERROR = NetworkError("endpoint_failed", "no endpoint answered", retryable=True, requests=3)
COVERAGE = NetworkCoverage(
    ETHEREUM,
    1,
    "partial",
    READING.block,
    cached=False,
    stale=False,
    endpoint="node.example",
    requests=2,
    elapsed_ms=84,
    asked=4,
    answered=3,
    failures=(FAILURE,),
    error=ERROR,
    age_seconds=1.5,
    protocols=("aave_v3",),
    collections=None,
)

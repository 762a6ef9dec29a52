"""What a wallet has in a protocol: plain values, all of one block."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address, Slug


class PositionKind(StrEnum):
    """What a position is."""

    LENDING = "lending"
    LIQUIDITY = "liquidity"
    VAULT = "vault"
    STAKING = "staking"
    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of a position in one asset: always the underlying, never the receipt.

    Attributes:
        raw_amount: Smallest units of ``asset``, never negative; the side says whether it is owed.
        collateral: Whether it secures debts, where that is a choice (Aave); ``None`` elsewhere.
        receipt: The contract that stands for it in the wallet (an aToken, a debt token, an LP
            token), so that it is not counted again beside the position.
        label: More where sides of one asset differ: ``variable``, ``stable``, ``fees``, ``inactive``.
    """

    asset: Asset
    raw_amount: int
    collateral: bool | None = None
    receipt: Address | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """What a protocol holds for an owner.

    Attributes:
        protocol: Its slug, for example ``aave_v3``.
        market: The market or pool by the name its data gives it, for example ``AaveV3Ethereum``.
        position_id: Tells it apart within the protocol and network: a market, a pool, a token id.
        health_factor: Under 1 it can be liquidated; ``None`` without debt.
        liquidation_threshold: A ratio (``0.83``), the average over the collateral.
        details: More facts for people, as plain text (``e_mode``, ``in_range``, ``available_borrows_usd``).
    """

    protocol: str
    network: Slug
    market: str
    position_id: str
    kind: PositionKind
    owner: Address
    supplied: tuple[Leg, ...] = ()
    borrowed: tuple[Leg, ...] = ()
    claimable: tuple[Leg, ...] = ()
    health_factor: Decimal | None = None
    liquidation_threshold: Decimal | None = None
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ProtocolFailure:
    """A protocol (or one market of it) that could not be read: declared, never an empty list."""

    protocol: str
    market: str | None
    code: str
    reason: str

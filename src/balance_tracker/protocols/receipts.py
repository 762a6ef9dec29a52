"""Receipts of stakes: tokens that stand for an amount of one asset, by a function of their own contract.

What protocols of liquid staking share; it is none itself.
"""

from dataclasses import dataclass
from functools import partial

from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.evm.abi import BALANCE_OF, address_word
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.tours import Guide, Tour, TourError
from balance_tracker.evm.views import amount_of, as_amount, is_absent, uint_word
from balance_tracker.protocols.assets import known_assets
from balance_tracker.protocols.spec import AssetOf, EvmGuide, EvmTour

RATE_SCALE = 10**18
MOST_PER_RECEIPT = 10
"""No receipt of a stake stands for more than ten times its number, nor for less than a tenth: what says so
is broken, or not set up yet (then it says zero)."""

_HEAVY = 16
"""Units of 65,536 gas: some ask several contracts behind proxies."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One token and what it stands for.

    Attributes:
        token: The receipt, of 18 decimals as its underlying.
        function: The selector of the function that tells what it stands for.
        of_amount: Whether the function takes the number of receipts; else it gives the rate of one,
            scaled by 10**18.
        told_by: The contract that has the function, where it is not the token.
        underlying: The asset it stands for; ``None``: the network's own coin.
    """

    token: Address
    symbol: str
    function: str
    of_amount: bool = True
    told_by: Address | None = None
    underlying: Address | None = None


def receipt_guide(protocol: str, network: Network, asset_of: AssetOf, receipt: Receipt) -> EvmGuide:
    """A guide to what an owner has staked behind one receipt."""
    return Guide(protocol, receipt.symbol, partial(_tour, protocol, network, asset_of, receipt))


def question(receipt: Receipt, held: int) -> Call:
    """Asks what so many receipts stand for; read by :func:`worth_of`."""
    to = (receipt.told_by or receipt.token).lower()
    argument = uint_word(held) if receipt.of_amount else ""
    return Call(to, receipt.function + argument, gas_units=_HEAVY)


def worth_of(receipt: Receipt, held: int, told: int) -> int:
    """What so many receipts stand for, by what the contract told.

    Raises:
        TourError: It told what can't be.
    """
    worth = told if receipt.of_amount else held * told // RATE_SCALE
    if worth > MOST_PER_RECEIPT * held or held > MOST_PER_RECEIPT * (worth + 1):
        raise TourError("malformed", f"{held} {receipt.symbol} can't stand for {worth}")
    return as_amount(worth, receipt.symbol)


@dataclass(frozen=True, slots=True)
class Stake:
    """So many receipts of an owner, and what they stand for, in smallest units."""

    receipt: Receipt
    owner: Address
    held: int
    worth: int


def staked(protocol: str, network: Network, stake: Stake, asset: Asset) -> Position:
    """The position behind one receipt, in the asset that it stands for."""
    return Position(
        protocol=protocol,
        network=network.slug,
        market=stake.receipt.symbol,
        position_id=stake.receipt.token,
        kind=PositionKind.STAKING,
        owner=stake.owner,
        supplied=(Leg(asset, stake.worth, receipt=stake.receipt.token),),
        details=(("receipts", str(stake.held)),),
    )


def _tour(protocol: str, network: Network, asset_of: AssetOf, receipt: Receipt, owner: Address) -> EvmTour:
    outcomes = yield [Call(receipt.token.lower(), BALANCE_OF + address_word(owner))]
    if is_absent(outcomes[0]):
        return ()
    held = amount_of(outcomes[0], f"the balance of {receipt.symbol}")
    if held == 0:
        return ()
    outcomes = yield [question(receipt, held)]
    worth = worth_of(receipt, held, amount_of(outcomes[0], f"what {receipt.symbol} stands for"))
    asset = yield from _underlying(network, asset_of, receipt)
    return (staked(protocol, network, Stake(receipt, owner, held, worth), asset),)


def _underlying(network: Network, asset_of: AssetOf, receipt: Receipt) -> Tour[Asset]:
    if receipt.underlying is None:
        return native_asset(network)
    known = yield from known_assets(network, asset_of, [receipt.underlying])
    return known[receipt.underlying.lower()]

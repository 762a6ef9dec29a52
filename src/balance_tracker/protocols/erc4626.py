"""ERC-4626 vaults: shares stand for a part of what the vault holds of one asset.

Source: https://eips.ethereum.org/EIPS/eip-4626 (``asset``, ``convertToAssets``, ``previewRedeem``)
Vaults: data/protocols/erc4626.toml
Golden: tests/protocols/golden/erc4626/
Known gaps: only vaults of the data are read; what a vault's exit limits (``maxRedeem``) or a cool-down
hold back is not told; what a vault pays beside its share price (Merkl, Aave) is not read.

The amount is ``convertToAssets``: the vault's own account of its shares, the same for everyone, before
fees and slippage. ``previewRedeem`` is what leaving now would give; it may revert (asynchronous vaults
must) and may be less by a fee, so it is told beside, where it differs, and never the amount.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.evm.abi import BALANCE_OF, address_word, read_uint
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.tours import Guide, TourError
from balance_tracker.evm.views import address_of, amount_of, is_absent, uint_word
from balance_tracker.protocols.assets import eip55, known_assets
from balance_tracker.protocols.spec import AssetOf, EvmGuide, EvmTour, ProtocolSpec, Row, Rows

PROTOCOL = ProtocolSpec(slug="erc4626", name="ERC-4626 vaults", family="evm", grade="silver")

ASSET = "38d52e0f"
CONVERT_TO_ASSETS = "07a2d13a"
PREVIEW_REDEEM = "4cdad506"
TOTAL_ASSETS = "01e1d114"
TOTAL_SUPPLY = "18160ddd"

_NO_SUCH_VIEW = (FailureCode.REVERTED, FailureCode.NO_DATA)
_HEAVY = 16
"""Units of 65,536 gas for views that walk through all that a vault has lent."""


@dataclass(frozen=True, slots=True)
class Vault:
    """One vault.

    Attributes:
        underlying: What its asset has to be, where the data says so.
        sure: Whether it is known to be a vault; a bridged copy of a vault's shares is a plain token.
    """

    contract: Address
    symbol: str
    underlying: str | None
    sure: bool


def guides(network: Network, asset_of: AssetOf, rows: Rows = ()) -> Sequence[EvmGuide]:
    """A guide for each vault of the network."""
    vaults = [_vault(row) for row in rows]
    return [Guide(PROTOCOL.slug, vault.symbol, partial(_tour, network, asset_of, vault)) for vault in vaults]


def _vault(row: Row) -> Vault:
    underlying = row.get("underlying")
    return Vault(
        contract=eip55(row["address"]),
        symbol=row["symbol"],
        underlying=underlying.lower() if underlying else None,
        sure=row.get("sure", True),
    )


def _tour(network: Network, asset_of: AssetOf, vault: Vault, owner: Address) -> EvmTour:
    to = vault.contract.lower()
    outcomes = yield [Call(to, BALANCE_OF + address_word(owner))]
    if is_absent(outcomes[0]):
        return ()
    shares = amount_of(outcomes[0], "the shares")
    if shares == 0:
        return ()
    outcomes = yield _questions(vault, shares)
    if not vault.sure and isinstance(outcomes[0], CallFailure) and outcomes[0].code in _NO_SUCH_VIEW:
        return ()  # A plain token: its balance is a holding, and nothing more is to be told.
    underlying, assets = _judged(vault, shares, outcomes)
    known = yield from known_assets(network, asset_of, [underlying])
    leg = Leg(known[underlying], assets, receipt=vault.contract)
    return (
        Position(
            protocol=PROTOCOL.slug,
            network=network.slug,
            market=vault.symbol,
            position_id=vault.contract,
            kind=PositionKind.VAULT,
            owner=owner,
            supplied=(leg,),
            details=_details(shares, assets, outcomes[2]),
        ),
    )


def _questions(vault: Vault, shares: int) -> list[Call]:
    to = vault.contract.lower()
    calls = [
        Call(to, ASSET),
        Call(to, CONVERT_TO_ASSETS + uint_word(shares), gas_units=_HEAVY),
        Call(to, PREVIEW_REDEEM + uint_word(shares), gas_units=_HEAVY),
        Call(to, TOTAL_ASSETS, gas_units=_HEAVY),
        Call(to, TOTAL_SUPPLY),
    ]
    if vault.underlying is not None:
        calls.append(Call(vault.underlying, TOTAL_SUPPLY))
    return calls


def _judged(vault: Vault, shares: int, outcomes: Sequence[Outcome]) -> tuple[str, int]:
    """The vault's asset and what the shares stand for, if the vault does not contradict itself.

    Raises:
        TourError: A view failed, the asset is another one, or the part is more than the whole.
    """
    asset = address_of(outcomes[0], "the vault's asset")
    if vault.underlying not in (None, asset):
        raise TourError("malformed", f"the vault's asset is {asset}, not {vault.underlying}")
    assets = amount_of(outcomes[1], "the vault's assets for the shares")
    if assets > amount_of(outcomes[3], "the vault's total assets"):
        raise TourError("malformed", "the shares stand for more than all that the vault has")
    if shares > amount_of(outcomes[4], "the vault's total shares"):
        raise TourError("malformed", "the owner has more shares than there are")
    if len(outcomes) > 5 and assets > amount_of(outcomes[5], "the supply of the vault's asset"):
        raise TourError("malformed", "the shares stand for more of the asset than there is")
    return asset, assets


def _details(shares: int, assets: int, preview: Outcome) -> tuple[tuple[str, str], ...]:
    details = [("shares", str(shares))]
    redeemable = read_uint(preview) if isinstance(preview, bytes) else None
    if redeemable is not None and redeemable < assets:
        details.append(("redeemable_now", str(redeemable)))
    return tuple(details)

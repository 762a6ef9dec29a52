"""Aave V3: pools of lending, each of many reserves; and its fork Spark, which is the same code.

Source: https://aave.com/docs/aave-v3/smart-contracts (Pool, PoolAddressesProvider, AaveProtocolDataProvider,
UiPoolDataProviderV3, RewardsController); addresses: ``data/protocols/aave_v3.toml`` (npm
``@aave-dao/aave-address-book``).
Golden: tests/protocols/golden/aave_v3/
Proven on: V3.0.2 as its authors compiled it, and V3.6 compiled from its sources.

How a wallet is read, per market:

1. With the balances, three calls: which debts and collaterals it has (``getUserConfiguration``, a bitmap),
   which data provider the market uses now, and its scaled balance in every reserve that the pool has at
   that block (``getUserReservesData``, one call whatever the number of reserves; a supply that is no
   collateral sets no bit, so the bitmap alone is not enough). A wallet with nothing there ends here.
2. Where it has something: the pool's own word on its account (``getUserAccountData``, the e-mode), and of
   each reserve that it is in, balances to the wei and the tokens that stand for them; rewards along with it.
3. Only where a token is met that nobody listed: what it is, and what rewards it has.

The helper contract behind ``getUserReservesData`` is replaced now and then, and mistakes debts after a
reserve was dropped (it takes the place in the list for the number of the reserve). Where it fails, is
malformed, or does not agree with the bitmap, every reserve of the pool is asked one by one instead, in two
rounds more.

A reward that is paid in an aToken is given as its underlying, for which it stands one to one.

Known gaps: rewards left behind by a wallet that has nothing in the market any more are not seen; delegated
credit and interest that is owed to others are not shown.
"""

from collections.abc import Sequence
from functools import partial

from balance_tracker.core.networks import Network
from balance_tracker.evm.tours import Guide
from balance_tracker.protocols.aave_v3.markets import market_of
from balance_tracker.protocols.aave_v3.tour import Scene, visit
from balance_tracker.protocols.spec import AssetOf, EvmGuide, ProtocolSpec, Rows

PROTOCOL = ProtocolSpec(slug="aave_v3", name="Aave V3", family="evm", grade="silver")


def guides(network: Network, asset_of: AssetOf, rows: Rows = ()) -> Sequence[EvmGuide]:
    """A guide per market of the network.

    Raises:
        ConfigurationError: A market of the data is not as it should be.
    """
    markets = [market_of(row) for row in rows]
    underlyings = {known.a_token: known.underlying for market in markets for known in market.reserves}
    return [
        Guide(PROTOCOL.slug, market.name, partial(visit, Scene(network, asset_of, market, underlyings)))
        for market in markets
    ]

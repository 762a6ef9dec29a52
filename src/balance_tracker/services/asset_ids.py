"""Assets by their CAIP-19 ids: what is tracked, what is listed, money, and any token by its contract."""

import re
from collections.abc import Iterable, Mapping, Sequence

from balance_tracker.core.assets import Asset, native_asset, unlisted_token
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import AssetId, NetworkId, Slug
from balance_tracker.core.money import CURRENCY_ASSETS
from balance_tracker.core.networks import Network
from balance_tracker.services.addresses import AddressBook
from balance_tracker.services.questions import split_words

MOST_ASSETS = 150

_ASSET_ID = re.compile(
    r"(?P<network>[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32})/(?P<kind>[-a-z0-9]{3,8}):(?P<reference>[-.%a-zA-Z0-9]{1,128})"
)
_TOKEN_KINDS = {"evm": "erc20", "solana": "token"}
_HINT = "Give a CAIP-19 id, such as eip155:1/slip44:60 or eip155:1/erc20:0xA0b8…; /tokens lists them."


class AssetIds:
    """Tells assets apart by their ids; never by a symbol, which anybody can take.

    Args:
        networks: What is tracked.
        tokens: The listed tokens.
        book: Parses addresses.
    """

    def __init__(
        self, networks: Mapping[Slug, Network], tokens: Iterable[Sequence[Asset]], book: AddressBook
    ) -> None:
        self._book = book
        self._networks: dict[NetworkId, Network] = {network.id: network for network in networks.values()}
        natives = [native_asset(network) for network in networks.values()]
        listed = [asset for some in tokens for asset in some]
        self._known: dict[AssetId, Asset] = {
            asset.asset_id: asset for asset in (*CURRENCY_ASSETS.values(), *listed, *natives)
        }
        for asset in natives:
            self._known.setdefault(asset.price_key, asset)

    def several(self, ids: Sequence[str]) -> dict[AssetId, Asset | None]:
        """The assets of ids, each once, in their order; ``None`` for one on no tracked network.

        Args:
            ids: CAIP-19, one or several comma-separated in each text.

        Raises:
            InputError: One is no id of an asset, there is none, or there are too many.
        """
        words = split_words(ids)
        if not words:
            raise InputError("No asset is named.", code="invalid_asset", hint=_HINT)
        found = dict(self._one(word) for word in words)
        if len(found) > MOST_ASSETS:
            raise InputError(
                f"{len(found)} assets were asked for, and {MOST_ASSETS} are allowed.",
                code="too_many_assets",
                hint="Split them over several requests.",
            )
        return found

    def one(self, text: str) -> tuple[AssetId, Asset | None]:
        """The asset of one id.

        Raises:
            InputError: It is no id of an asset.
        """
        return self._one(text.strip())

    def _one(self, text: str) -> tuple[AssetId, Asset | None]:
        known = self._known.get(AssetId(text))
        if known is not None:
            return AssetId(text), known
        match = _ASSET_ID.fullmatch(text)
        if match is None:
            shown = text[:60] if text.isprintable() else "?"
            raise InputError(f"'{shown}' is no id of an asset.", code="invalid_asset", hint=_HINT)
        network = self._networks.get(NetworkId(match["network"]))
        if network is None or match["kind"] != _TOKEN_KINDS[network.family]:
            return AssetId(text), None
        address = self._book.parse(match["reference"])
        if address.family != network.family:
            raise InputError(f"'{text[:60]}' is no id of an asset.", code="invalid_asset", hint=_HINT)
        asset = unlisted_token(network, address.address)
        return asset.asset_id, self._known.get(asset.asset_id, asset)

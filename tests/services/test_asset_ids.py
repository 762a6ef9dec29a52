"""Assets by their CAIP-19 ids: listed ones, coins, money, any token by its contract, and never a symbol."""

import pytest
from tests.fakes.readers import BASE, DAI, ETHEREUM, MINT, SOLANA, STRANGE, USDC, token

from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import AssetId
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.services.addresses import AddressBook
from balance_tracker.services.asset_ids import AssetIds
from balance_tracker.solana.address import SolanaAddresses

LISTED = token(ETHEREUM, USDC, "USDC")
NETWORKS = {network.slug: network for network in (ETHEREUM, BASE, SOLANA)}
IDS = AssetIds(NETWORKS, [[LISTED]], AddressBook((EvmAddresses(), SolanaAddresses()), None))


def test_a_listed_token_is_found_in_any_case_of_its_address() -> None:
    for text in (LISTED.asset_id, f"eip155:1/erc20:{USDC.lower()}", f" eip155:1/erc20:{USDC} "):
        assert IDS.several([text]) == {LISTED.asset_id: LISTED}


def test_a_coin_is_found_on_each_network_and_shares_its_price() -> None:
    found = IDS.several(["eip155:8453/slip44:60,eip155:1/slip44:60"])
    assert list(found) == ["eip155:8453/slip44:60", "eip155:1/slip44:60"]
    assert {asset.price_key for asset in found.values() if asset} == {"eip155:1/slip44:60"}


def test_money_and_unlisted_tokens_are_assets_too() -> None:
    mint = f"{SOLANA.id}/token:{MINT}"
    found = IDS.several(["swift:0/iso4217:EUR", f"eip155:8453/erc20:{STRANGE}", mint])
    assert [asset.symbol if asset else "none" for asset in found.values()] == ["EUR", None, None]
    assert found[AssetId(mint)] is not None


@pytest.mark.parametrize("text", ["eip155:999/slip44:60", f"eip155:999/erc20:{DAI}", "cosmos:a-1/slip44:118"])
def test_an_asset_of_no_tracked_network_is_in_the_answer_without_being_known(text: str) -> None:
    assert IDS.several([text]) == {text: None}


def test_an_asset_asked_for_twice_counts_once() -> None:
    assert list(IDS.several([LISTED.asset_id, f"eip155:1/erc20:{USDC.lower()}"])) == [LISTED.asset_id]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("usdc", "invalid_asset"),
        ("", "invalid_asset"),
        (" , ", "invalid_asset"),
        ("eip155:1/erc20:", "invalid_asset"),
        ("eip155:1/erc20:0x12", "invalid_address"),
        (f"eip155:1/erc20:{MINT}", "invalid_asset"),
        ("eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB49", "invalid_checksum"),
        ("a\nb", "invalid_asset"),
    ],
)
def test_what_is_no_id_is_the_callers_mistake(text: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        IDS.several([text])
    assert caught.value.code == code
    with pytest.raises(InputError):
        IDS.one(text)


def test_more_than_150_assets_are_refused() -> None:
    ids = [f"eip155:1/erc20:0x{number:040x}" for number in range(151)]
    with pytest.raises(InputError) as caught:
        IDS.several(ids)
    assert caught.value.code == "too_many_assets"
    assert len(IDS.several(ids[:150])) == 150

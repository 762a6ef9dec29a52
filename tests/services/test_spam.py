"""Advertisements are recognised; listed and honest names are left alone."""

import pytest
from tests.fakes.readers import BASE, STRANGE, token

from balance_tracker.core.assets import native_asset
from balance_tracker.services.spam import judged


@pytest.mark.parametrize(
    "name",
    [
        "Visit usd-gift.com",
        "www.reward",
        "https://x.example",
        "Claim your prize",
        "Free AIRDROP",
        "t.me/giveaway",
        "$ 1000 USDT at drop . xyz",
        "ETHG.app",
        "usdc.gift",
        "get.eth",
        "Сlaim reward",
        "clаim now",
        "visit usdc\u2024gift",
        "usdc。com",
        "ⓦⓦⓦ.x",
        "win at usdc[.]com",
        "$1000 at ethgift dot com",
        "v\u200cisit x",
        "t.ly/abc",
        "uniswap-lp.netlify",
        "ETHG.ORG\u200b",
    ],
)
def test_a_name_that_advertises_is_spam(name: str) -> None:
    assert judged(token(BASE, STRANGE, "ODD", name=name, trust="unknown")).trust == "spam"
    assert judged(token(BASE, STRANGE, name, trust="unknown")).trust == "spam"


@pytest.mark.parametrize(
    "name",
    [
        "USD Coin",
        "USDC.e",
        "Wrapped AVAX",
        "Proclaim",
        "Rocket Pool ETH",
        "St. Kitts",
        "Рубль",
        "A. World",
        "Polka Dot",
        "U.S. Dollar",
    ],
)
def test_an_honest_name_is_not(name: str) -> None:
    assert judged(token(BASE, STRANGE, "ODD", name=name, trust="unknown")).trust == "unknown"


@pytest.mark.parametrize("trust", ["verified", "listed"])
def test_a_listed_token_is_never_judged(trust: str) -> None:
    assert judged(token(BASE, STRANGE, "YFI", name="yearn.finance", trust=trust)).trust == trust


def test_the_native_coin_is_never_judged() -> None:
    assert judged(native_asset(BASE)).trust == "verified"


def test_missing_names_are_not_spam() -> None:
    assert judged(token(BASE, STRANGE, None, name=None, trust="unknown")).trust == "unknown"  # type: ignore[arg-type]

"""The price sources of the settings: opened in their order, and closed with the tracker."""

from pathlib import Path

import pytest

from balance_tracker.bootstrap import Tracker
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.settings import Settings

WETH = "eip155:1/erc20:0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
ETH = "eip155:1/slip44:60"


def settings(**more: object) -> Settings:
    facts: dict[str, object] = {
        "networks": ("ethereum", "base"),
        "rpc": {"ethereum": ("http://127.0.0.1:1",)},
    }
    return Settings(**{**facts, **more})  # type: ignore[arg-type]


def names(tracker: Tracker) -> list[str]:
    assert tracker._pricing is not None
    return [source.name for source in tracker._pricing.sources]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def fixed(tmp_path: Path) -> Path:
    path = tmp_path / "prices.toml"
    return written(path, f'[usd]\n"{ETH}" = "2500.5"\n')


async def test_sources_stand_in_the_order_of_the_settings_and_the_last_resort_last(fixed: Path) -> None:
    named = ("uniswap_twap", "defillama", "chainlink", "coingecko")
    async with Tracker(settings(price_sources=named, fixed_prices=fixed)) as tracker:
        assert names(tracker) == ["fixed", "defillama", "chainlink", "coingecko", "uniswap_twap"]


async def test_a_source_that_needs_a_key_is_asked_only_with_one() -> None:
    async with Tracker(settings(price_sources=("coinmarketcap",))) as tracker:
        assert names(tracker) == []
        assert "prices" not in tracker.readiness().components
    keyed = settings(price_sources=("coinmarketcap",), coinmarketcap_api_key="key-1")
    async with Tracker(keyed) as tracker:
        assert names(tracker) == ["coinmarketcap"]
        assert tracker.readiness().components["prices"] == "unknown"


async def test_a_wrapped_coin_has_the_price_of_its_coin_unless_the_operator_set_one(fixed: Path) -> None:
    async with Tracker(settings(price_sources=(), fixed_prices=fixed)) as tracker:
        answer = await tracker.prices([WETH, ETH, "eip155:8453/slip44:60"])
        assert {str(price.amount) for price in answer.prices.values() if price} == {"2500.5"}
        assert tracker.readiness().components["prices"] == "ok"
    written(fixed, f'[usd]\n"{ETH}" = "2500.5"\n"{WETH}" = "2400"\n')
    async with Tracker(settings(price_sources=(), fixed_prices=fixed)) as tracker:
        answer = await tracker.prices([WETH, ETH])
        assert [str(price.amount) for price in answer.prices.values() if price] == ["2400", "2500.5"]


async def test_a_wrong_file_of_prices_stops_the_start(fixed: Path) -> None:
    written(fixed, '[usd]\n"usdc" = "1"\n')
    with pytest.raises(ConfigurationError, match=r"prices\.toml is wrong"):
        async with Tracker(settings(price_sources=(), fixed_prices=fixed)):
            pass

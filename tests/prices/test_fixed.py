"""The operator's own prices: exact, by id, wrapped and stable only if told so; wrong files are named."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from tests.prices.assets import NETWORKS, native, token

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.prices.fixed import FixedPrices, read_fixed_prices

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
FILE = f"""
[usd]
"eip155:1/slip44:60" = "2500.500000000000000001"
"eip155:1/erc20:{USDC.lower()}" = 1

[same_as]
"eip155:8453/erc20:{USDC}" = "eip155:1/erc20:{USDC}"
"""


def written(tmp_path: Path, text: str, name: str = "prices.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


async def amounts(source: FixedPrices, *assets: Asset) -> list[str]:
    return [str(quote.amount) for quote in await source.quotes(assets, 0.0)]


async def test_prices_are_said_as_they_are_written(tmp_path: Path) -> None:
    source = read_fixed_prices(written(tmp_path, FILE), NETWORKS.values())
    assets = [native("base"), token("ethereum", USDC), token("base", USDC)]
    assert await amounts(source, *assets) == ["2500.500000000000000001", "1", "1"]
    assert await amounts(source, token("ethereum", WETH), token("polygon", USDC)) == []


async def test_a_quote_is_of_now_and_of_the_operators_family() -> None:
    source = FixedPrices({native("base").price_key: Decimal(2)}, now=lambda: NOW)
    [quote] = await source.quotes([native("base")], 0.0)
    assert (quote.asset_id, quote.family, quote.as_of) == ("eip155:1/slip44:60", "fixed", NOW)
    assert await source.quotes_at([native("base")], NOW, 0.0) == ()
    assert await source.series(native("base"), NOW, NOW, "1h", 0.0) == ()


async def test_wrapped_coins_follow_only_if_told_so(tmp_path: Path) -> None:
    told = read_fixed_prices(written(tmp_path, "wrapped_as_native = true\n" + FILE), NETWORKS.values())
    base_weth = token("base", "0x4200000000000000000000000000000000000006")
    assert await amounts(told, token("ethereum", WETH), base_weth) == ["2500.500000000000000001"] * 2
    avax = token("avalanche", "0xB31f66AA3C1e785363F0875A1B74E27b85FD66c7")
    assert await amounts(told, avax) == []


async def test_json_is_read_to_the_digit_too(tmp_path: Path) -> None:
    text = '{"usd": {"eip155:1/slip44:60": 0.1000000000000000055511151231257827}}'
    source = read_fixed_prices(written(tmp_path, text, "prices.json"))
    assert await amounts(source, native("base")) == ["0.1000000000000000055511151231257827"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[usd]\n'eip155:1/slip44:60' = 0", "no number above zero"),
        ("[usd]\n'eip155:1/slip44:60' = nan", "no number above zero"),
        ("[usd]\n'eip155:1/slip44:60' = '-1'", "no number above zero"),
        ("[usd]\n'eip155:1/slip44:60' = 'NaN'", "no number above zero"),
        ("[usd]\nUSDC = 1", "no CAIP-19 id"),
        ("[eur]\n'eip155:1/slip44:60' = 1", "'eur' is no key"),
        ("usd = 1", "'usd' is no table"),
        ("[same_as]\n'eip155:1/slip44:60' = 'eip155:2/slip44:60'", "has none in"),
        ("wrapped_as_native = 'yes'", "neither true nor false"),
        ("[usd", "can't be read"),
        ("[usd]\n'eip155:1/slip44:60' = 1e13", "is not from"),
        ("[usd]\n'eip155:1/slip44:60' = '0.0000000000000000000000000000001'", "is not from"),
        ("[usd]\n'eip155:1/slip44:60' = 1e99999999999999999999", "can't be read"),
    ],
)
def test_a_wrong_file_is_named_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        read_fixed_prices(written(tmp_path, text))
    assert "prices.toml" in caught.value.message


def test_a_missing_file_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_fixed_prices(tmp_path / "none.toml")


def test_an_exponent_that_no_number_has_is_a_wrong_file_in_json_too(tmp_path: Path) -> None:
    text = '{"usd": {"eip155:1/slip44:60": 1e99999999999999999999}}'
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_fixed_prices(written(tmp_path, text, "prices.json"))


@pytest.mark.parametrize("table", ["[usd]\n'{0}' = 5", "[usd]\n'{1}' = 5\n[same_as]\n'{0}' = '{1}'"])
def test_a_price_for_the_ether_of_one_rollup_is_refused_with_the_id_to_use(
    tmp_path: Path, table: str
) -> None:
    text = table.format("eip155:10/slip44:60", "eip155:1/slip44:60")
    with pytest.raises(ConfigurationError, match="eip155:10/slip44:60") as caught:
        read_fixed_prices(written(tmp_path, text), NETWORKS.values())
    assert "eip155:1/slip44:60" in (caught.value.hint or "")

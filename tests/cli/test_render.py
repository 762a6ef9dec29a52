"""Tables for people: aligned, by network, and what is missing in plain words."""

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import (
    ALICE,
    BASE,
    DAI,
    ETHEREUM,
    MINT,
    SOLANA,
    SOLANA_ALICE,
    STRANGE,
    USDC,
    ScriptedReader,
    refused,
    token,
)
from tests.fakes.service import Scene
from tests.fakes.tracker import LISTED, ScriptedTracker, three_networks

from balance_tracker.cli.holdings import readable_amount
from balance_tracker.cli.render import show_networks, show_portfolio
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import Balance, FailureCode, Portfolio, TokenAccount


def printed(portfolio: Portfolio) -> str:
    file = io.StringIO()
    console = Console(file=file, width=110, markup=False, emoji=False, highlight=False)
    show_portfolio(portfolio, console)
    return file.getvalue()


async def test_holdings_stand_by_network_with_amounts_aligned() -> None:
    readers = [
        ScriptedReader(ETHEREUM, {None: 3 * 10**18, USDC: 1_234_567_500_000}),
        ScriptedReader(BASE, {None: 1}),
    ]
    async with Scene(readers, LISTED) as scene:
        text = printed(await scene.service.portfolio(ALICE))
    lines = text.splitlines()
    ether = next(line for line in lines if line.startswith("ethereum"))
    usdc = next(line for line in lines if "USDC" in line)
    assert lines[0] == ALICE
    assert usdc.rstrip().endswith("1,234,567.5")
    assert len(ether.rstrip()) == len(usdc.rstrip())
    assert not usdc.startswith("ethereum")
    assert "Note" not in text
    assert "All 2 networks answered in full (2 requests" in text


async def test_what_is_missing_is_said_in_plain_words() -> None:
    failing = dict.fromkeys([USDC, DAI], FailureCode.REVERTED)
    readers = [ScriptedReader(ETHEREUM, {None: 1}, failing), ScriptedReader(BASE, error=refused())]
    async with Scene(readers, LISTED) as scene:
        text = printed(await scene.service.portfolio(ALICE))
    assert "0 of 2 networks answered in full" in text
    assert "ethereum is missing 2 of 3 assets: USDC (reverted), DAI (reverted)." in text
    assert "base failed, so its balances are not known: Refused by node.example." in text


async def test_many_missing_assets_are_counted_and_not_all_named() -> None:
    listed = [token(BASE, Address(f"0x{number:040x}"), f"T{number}") for number in range(9)]
    failing = {asset.contract_address: FailureCode.NO_CONTRACT for asset in listed}
    async with Scene([ScriptedReader(BASE, {None: 1}, failing)], listed) as scene:  # type: ignore[arg-type]
        text = printed(await scene.service.portfolio(ALICE))
    assert "T3 (no contract there) and 5 more." in " ".join(text.split())


@pytest.mark.parametrize(("seconds", "age"), [(61, "1 minute"), (7200, "2 hours"), (5, "5 seconds")])
async def test_a_stale_answer_tells_its_age(seconds: int, age: str) -> None:
    reader = ScriptedReader(BASE, {None: 1})
    async with Scene([reader], ttl_seconds=1) as scene:
        await scene.service.portfolio(ALICE)
        scene.clock.now += seconds
        reader.error = refused()
        text = printed(await scene.service.portfolio(ALICE))
    assert f"base is shown as it was {age} ago, because now: Refused by node.example." in text


async def test_an_empty_wallet_and_an_unknown_one_are_told_apart() -> None:
    async with Scene([ScriptedReader(BASE)]) as scene:
        assert "Nothing was found" in printed(await scene.service.portfolio(ALICE))
    async with Scene([ScriptedReader(BASE, error=refused())]) as scene:
        text = printed(await scene.service.portfolio(ALICE))
    assert "not known: no network answered" in text
    assert "0 of 1 network answered" in text


async def test_notes_say_what_is_odd_about_a_holding() -> None:
    account = TokenAccount(Address(STRANGE), 5, "frozen", delegate=Address(ALICE))
    held = Balance(token(SOLANA, MINT, "[red]X\n\x1b[31m", None), 5, (account,), ui_amount="6")
    async with Scene([ScriptedReader(SOLANA, extra=(held,), nfts=1)]) as scene:
        text = printed(await scene.service.portfolio(SOLANA_ALICE))
    assert "[red]X" in text
    assert "\x1b" not in text
    assert "5 raw" in text
    assert "decimals unknown, frozen, delegated, shown as 6" in " ".join(text.split())
    assert "1 NFT counted, not listed here." in text


async def test_spam_that_was_left_out_is_counted() -> None:
    metadata = {STRANGE: ("GIFT", "claim now", 0), str(DAI): ("GIFT2", "visit x.xyz", 0)}
    reader = ScriptedReader(replace(BASE, mirrors=(USDC,)), {STRANGE: 1, DAI: 1, USDC: 1}, metadata=metadata)
    async with Scene([reader]) as scene:
        one = printed(await scene.service.portfolio(ALICE, tokens=[STRANGE]))
        two = printed(await scene.service.portfolio(ALICE, tokens=[STRANGE, DAI, USDC]))
        shown = printed(await scene.service.portfolio(ALICE, tokens=[STRANGE], spam=True))
    assert "1 token that looks like spam left out" in one
    assert "2 tokens that look like spam left out" in two
    assert "1 more left out." in two
    assert shown.splitlines()[3].rstrip().endswith("spam")


PRICES = {"eip155:1/slip44:60": "2647.5", f"eip155:1/erc20:{USDC}": "0.99981"}


async def test_a_priced_table_has_price_value_change_and_a_total_that_says_what_it_leaves_out() -> None:
    readers = [
        ScriptedReader(ETHEREUM, {None: 10**15, USDC: 1_234_567_500_000, DAI: 7}),
        ScriptedReader(BASE, {None: 3 * 10**18}),
    ]
    source = ScriptedSource(amounts=PRICES, changes={"eip155:1/slip44:60": "0.25"})
    async with Scene(readers, LISTED, prices=[source]) as scene:
        text = printed(await scene.service.portfolio(ALICE))
    lines = text.splitlines()
    assert lines[1].split()[-6:] == ["Price", "USD", "Value", "USD", "24", "h"]
    rows = [line.split() for line in lines if "2,647.50" in line or "0.9998" in line]
    assert rows[0] == ["ethereum", "USDC", "USD", "Coin", "1,234,567.5", "0.9998", "1,234,332.93", "-"]
    assert rows[1] == ["ETH", "Ether", "0.001", "2,647.50", "2.65", "+0.53"]
    assert rows[2] == ["base", "ETH", "Ether", "3", "2,647.50", "7,942.50", "+1,588.50"]
    assert next(line for line in lines if "DAI" in line).split()[-3:] == ["-", "-", "-"]
    total = "Total 1,242,278.08 USD, +1,589.03 in 24 hours, without 1 holding of unknown value."
    assert total in text


async def test_a_total_tells_dust_and_what_could_not_be_read() -> None:
    readers = [
        ScriptedReader(ETHEREUM, {None: 10**18, USDC: 20_000}),
        ScriptedReader(BASE, error=refused()),
    ]
    async with Scene(readers, LISTED, prices=[ScriptedSource(amounts=PRICES)]) as scene:
        text = printed(await scene.service.portfolio(ALICE, min_value=1))
    assert "Total 2,647.50 USD, and without what could not be read." in text
    assert "1 holding below --min-value left out, worth 0.02 in all." in text
    assert "24 h" not in text


async def test_a_doubtful_price_is_shown_as_such() -> None:
    sources = [
        ScriptedSource("coingecko", amounts={"eip155:1/slip44:60": "2000"}),
        ScriptedSource("chainlink", "oracle", amounts={"eip155:1/slip44:60": "2500"}),
    ]
    async with Scene([ScriptedReader(ETHEREUM, {None: 10**18})], prices=sources) as scene:
        disputed = printed(await scene.service.portfolio(ALICE))
        for source in sources:
            source.error = refused()
        scene.clock.now += 7200
        stale = printed(await scene.service.portfolio(ALICE))
    assert "price disputed" in disputed
    assert "price disputed, price 2 hours old" in " ".join(stale.split())


async def test_without_a_price_the_worth_is_said_to_be_unknown() -> None:
    async with Scene([ScriptedReader(ETHEREUM, {None: 1})], prices=[ScriptedSource()]) as scene:
        text = printed(await scene.service.portfolio(ALICE))
    assert "What it is worth is not known: there is no price." in text


async def test_networks_stand_with_their_endpoints() -> None:
    sunset = replace(BASE, lifecycle="sunset")
    readers = [three_networks()[0], ScriptedReader(sunset, error=refused()), three_networks()[2]]
    file = io.StringIO()
    async with ScriptedTracker(readers) as tracker:
        show_networks(tracker.networks(), Console(file=file, width=110))
    text = file.getvalue()
    assert "base (sunset)" in text
    assert "resting" in text
    assert "12 ms" in text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0"),
        ("-1234.5", "-1,234.5"),
        ("0.000000001", "<0.00000001"),
        ("1E+6", "1,000,000"),
        ("1.10", "1.1"),
    ],
)
def test_amounts_read_well(amount: str, text: str) -> None:
    assert readable_amount(Decimal(amount)) == text

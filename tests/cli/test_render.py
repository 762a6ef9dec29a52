"""Tables for people: aligned, by network, and what is missing in plain words."""

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console
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

from balance_tracker.cli.render import readable_amount, show_networks, show_portfolio
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

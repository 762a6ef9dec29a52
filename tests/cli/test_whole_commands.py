"""``portfolio`` and ``defi``: the API's objects, lines for other programs, tables for people."""

import csv
import io
import json
from datetime import UTC, datetime

from rich.console import Console
from tests.cli.conftest import Run
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import ALICE, BASE, ETHEREUM, ScriptedNames, ScriptedReader, refused
from tests.fakes.service import Scene
from tests.fakes.tracker import ScriptedTracker
from tests.services.test_whole import BOB, LISTED, PRICES, RECEIPT, lender

from balance_tracker.cli.whole_render import show_whole
from balance_tracker.core.nfts import Collection, NftHolding, NftId
from balance_tracker.core.positions import ProtocolFailure


def tracker(*readers: ScriptedReader) -> ScriptedTracker:
    source = ScriptedSource(amounts=PRICES, as_of=datetime.now(UTC))
    return ScriptedTracker(readers or (lender(),), LISTED, prices=[source])


def test_json_of_a_portfolio_is_the_api_s_object_of_all_addresses(run: Run) -> None:
    ran = run("portfolio", ALICE, BOB, "--json", tracker=tracker())
    body = json.loads(ran.out)
    assert (ran.code, body["addresses"], body["complete"]) == (0, [ALICE, BOB], True)


def test_json_of_positions_is_the_api_s_object_and_a_list_for_several(run: Run) -> None:
    one = json.loads(run("defi", ALICE, "--json", tracker=tracker()).out)
    several = json.loads(run("defi", ALICE, BOB, "--json", tracker=tracker()).out)
    assert one["positions"][0]["net_value"] == "400"
    assert [len(entry["positions"]) for entry in several] == [1, 0]


def test_csv_has_one_line_per_holding_and_side(run: Run) -> None:
    ran = run("portfolio", ALICE, "--csv", tracker=tracker())
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [(row["kind"], row["side"], row["symbol"], row["amount"], row["value"]) for row in rows] == [
        ("wallet", "held", "ETH", "1", "2000"),
        ("wallet", "held", "USDC", "50", "50"),
        ("lending", "supplied", "USDC", "600", "600"),
        ("lending", "borrowed", "ETH", "0.1", "200"),
    ]
    assert (rows[2]["collateral"], rows[2]["health_factor"], rows[2]["block_number"]) == (
        "true",
        "2.5",
        "21000000",
    )


def test_a_pipe_gets_tab_separated_text(run: Run) -> None:
    ran = run("defi", ALICE, "--protocol", "aave_v3", tracker=tracker())
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert (ran.code, ran.err) == (0, "")
    assert lines[0][:6] == ["address", "network", "kind", "protocol", "market", "side"]
    assert lines[2][3:8] == ["aave_v3", "AaveV3Ethereum", "borrowed", "ETH", "0.1"]


def test_exit_codes_tell_how_much_was_answered(run: Run) -> None:
    reader = lender()
    reader.protocol_failures = (ProtocolFailure("lido", None, "reverted", "paused"),)
    part = run("defi", ALICE, tracker=tracker(reader))
    assert part.code == 3
    assert "lido (reverted)" in part.err
    nothing = run("portfolio", ALICE, tracker=tracker(ScriptedReader(ETHEREUM, error=refused())))
    assert nothing.code == 4
    wrong = run("defi", ALICE, "--protocol", "aave", tracker=tracker())
    assert (wrong.code, "aave_v3" in wrong.err) == (2, True)
    assert run("portfolio", ALICE, "--json", "--csv", tracker=tracker()).code == 2


def test_a_name_that_is_out_of_reach_spares_the_other_addresses(run: Run) -> None:
    names = ScriptedNames(error=refused())
    scripted = ScriptedTracker((lender(),), LISTED, names=names)
    ran = run("defi", ALICE, "bob.eth", "--json", tracker=scripted)
    assert (ran.code, len(json.loads(ran.out))) == (3, 1)
    assert "bob.eth" in ran.err


async def printed(*readers: ScriptedReader, priced: bool = True, width: int = 140) -> str:
    prices = [ScriptedSource(amounts=PRICES)] if priced else []
    cats = Collection(ETHEREUM.slug, RECEIPT, "erc721", "Cats")
    readers[0].collections = (NftHolding(cats, 3, (NftId("7", 1),), ids_complete=False),)
    console = Console(width=width, record=True, file=io.StringIO(), markup=False, highlight=False)
    async with Scene(readers, LISTED, prices=prices, collections={ETHEREUM.slug: [cats]}) as scene:
        show_whole(await scene.whole.portfolio([ALICE]), console)
    return console.export_text()


async def test_a_terminal_shows_holdings_positions_collections_and_the_total() -> None:
    text = await printed(lender())
    for words in (
        "AaveV3Ethereum ethereum",
        "  supplied  ",
        "health 2.5",
        "variable",
        "Cats",
        "7 …",
        "Total 2,450.00 USD: wallet 2,050.00, lending 400.00.",
        "1 token counted within positions.",
        "The network answered in full",
    ):
        assert words in text, text


async def test_without_prices_no_total_is_made_up() -> None:
    text = await printed(lender(), priced=False)
    assert "Total" not in text
    assert "Value" not in text


async def test_what_is_missing_is_said_in_words() -> None:
    reader = lender()
    reader.positions = ()
    reader.protocol_failures = (
        ProtocolFailure("aave_v3", "AaveV3Ethereum", "reverted", "paused"),
        ProtocolFailure("lido", None, "internal_error", "broken"),
    )
    text = await printed(reader, ScriptedReader(BASE, error=refused()))
    assert "positions in AaveV3Ethereum (reverted), lido (internal_error)" in text
    assert "without what could not be read" in text
    assert "base failed" in text

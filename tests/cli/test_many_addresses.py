"""``balances`` of several addresses: one matrix per network, printed as it comes."""

import csv
import io
import json
import sys

import pytest
from tests.cli.conftest import Run
from tests.fakes.readers import (
    ALICE,
    BASE,
    ETHEREUM,
    SOLANA_ALICE,
    USDC,
    ScriptedNames,
    ScriptedReader,
    refused,
)
from tests.fakes.tracker import ScriptedTracker, three_networks

from balance_tracker.bootstrap import Tracker
from balance_tracker.cli.balances import progress_text
from balance_tracker.cli.session import put, waiting
from balance_tracker.core.portfolio import FailureCode, Portfolio
from balance_tracker.services.many import Progress
from balance_tracker.services.serialise import portfolio_json


def wallets(count: int) -> list[str]:
    return [f"0x{number + 1:040x}" for number in range(count)]


def test_several_addresses_are_one_matrix_per_network(run: Run) -> None:
    readers = three_networks()
    ran = run("balances", *wallets(5), SOLANA_ALICE, "--json", tracker=ScriptedTracker(readers))
    assert ran.code == 0
    assert len(json.loads(ran.out)) == 6
    assert [[len(chunk) for chunk in reader.chunks] for reader in readers] == [[5], [5], [1]]
    assert [reader.reads for reader in readers] == [0, 0, 0]


def test_one_address_is_read_as_one(run: Run) -> None:
    readers = three_networks()
    assert run("balances", ALICE, "--json", tracker=ScriptedTracker(readers)).code == 0
    assert (readers[0].reads, readers[0].chunks) == (1, [])


def test_the_list_is_json_as_it_would_be_in_one_piece(run: Run) -> None:
    ran = run("balances", *wallets(3), "--json")
    assert ran.out == json.dumps(json.loads(ran.out), indent=2, ensure_ascii=False) + "\n"
    alone = json.loads(run("balances", wallets(1)[0], "--json").out)
    first = json.loads(ran.out)[0]
    for answer in (alone, first):
        for entry in answer["coverage"]:
            del entry["elapsed_ms"]
    assert alone == first


def test_csv_and_text_have_their_names_once(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("balances", *wallets(3), "--csv").out)))
    assert len(rows) == 9
    assert len({row["address"] for row in rows}) == 3
    lines = run("balances", *wallets(3)).out.splitlines()
    assert len(lines) == 10
    assert sum(line.startswith("address\t") for line in lines) == 1


def test_empty_wallets_still_leave_the_names_of_the_columns(run: Run) -> None:
    tracker = ScriptedTracker([ScriptedReader(BASE)])
    assert run("balances", *wallets(2), "--csv", tracker=tracker).out.startswith("address,network,")


def test_a_wrong_address_among_others_exits_with_2_and_spares_them(run: Run) -> None:
    ran = run("balances", "hello", ALICE, "0x12", "--json")
    assert ran.code == 2
    assert [entry["address"] for entry in json.loads(ran.out)] == [ALICE]
    assert ran.err.count("Error: ") == ran.err.count("Hint: ") == 2


def test_only_wrong_addresses_print_nothing(run: Run) -> None:
    ran = run("balances", "hello", "0x12", "--json")
    assert (ran.code, ran.out) == (2, "")


def test_wrong_use_of_several_is_told_once(run: Run) -> None:
    ran = run("balances", *wallets(3), "--network", "bas")
    assert (ran.code, ran.out, ran.err.count("Hint: ")) == (2, "", 1)


def test_names_out_of_reach_alone_exit_with_4(run: Run) -> None:
    names = ScriptedNames(error=refused("Cut off."))
    tracker = ScriptedTracker([ScriptedReader(ETHEREUM)], names=names)
    ran = run("balances", "alice.eth", "bob.eth", tracker=tracker)
    assert (ran.code, ran.out, ran.err.count("Error: ")) == (4, "", 2)


def test_what_is_missing_is_told_once_and_for_how_many(run: Run) -> None:
    ethereum = ScriptedReader(ETHEREUM, {None: 1}, {USDC: FailureCode.REVERTED})
    tracker = ScriptedTracker([ethereum, ScriptedReader(BASE, error=refused())])
    ran = run("balances", *wallets(40), tracker=tracker)
    assert ran.code == 3
    assert "0 of 40 addresses answered in full." in ran.err
    assert "ethereum is missing 1 of 3 assets: USDC (reverted). (40 of them)" in ran.err
    assert ran.err.count("base failed, so its balances are not known") == 1
    assert "key-1" not in ran.err


def test_nothing_of_any_exits_with_4(run: Run) -> None:
    tracker = ScriptedTracker([ScriptedReader(BASE, error=refused())])
    assert run("balances", *wallets(2), "--json", tracker=tracker).code == 4


def test_a_terminal_gets_a_table_for_each_after_the_moving_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("balance_tracker.cli.printing.sys", Terminal)
    monkeypatch.setattr("balance_tracker.cli.balances.sys", Terminal)
    ran = run("balances", *wallets(2))
    assert ran.code == 0
    assert ran.out.count("All 2 networks answered in full") == 2
    assert ran.err == ""


def test_the_moving_line_leaves_the_data_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with waiting("Asking all networks…") as tell:
        put("data\n")
        tell("Read 1 of 2 addresses")
    assert capsys.readouterr().out == "data\n"
    assert "Asking all networks…" in screen.getvalue()
    assert "Read 1 of 2 addresses" in screen.getvalue()
    assert "data" not in screen.getvalue()


class Terminal:
    """The process's streams, as if a terminal were there."""

    class stdout:
        @staticmethod
        def isatty() -> bool:
            return True

    stderr = sys.stderr


def test_progress_is_told_in_words() -> None:
    assert progress_text(Progress(0, 10_000, 0.0, None)) == "Asking all networks of 10,000 addresses…"
    assert (
        progress_text(Progress(2_500, 10_000, 3.2, 9.6))
        == "Read 2,500 of 10,000 addresses in 3 s, about 10 s left…"
    )


async def test_the_library_gives_the_same() -> None:
    tracker: Tracker = ScriptedTracker(three_networks())
    told: list[Progress] = []
    async with tracker:
        alone = await tracker.portfolio(ALICE)
        answers = [one async for one in tracker.portfolios([ALICE, SOLANA_ALICE], progress=told.append)]
    assert isinstance(answers[0].result, Portfolio)
    assert portfolio_json(answers[0].result)["holdings"] == portfolio_json(alone)["holdings"]
    assert told[-1].done == 2

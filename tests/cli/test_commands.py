"""The commands: data to stdout, everything else to stderr, and exit codes that scripts can trust."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import (
    ALICE,
    BASE,
    ETHEREUM,
    SOLANA_ALICE,
    STRANGE,
    USDC,
    ScriptedNames,
    ScriptedReader,
    refused,
    token,
)
from tests.fakes.tracker import ScriptedTracker, three_networks

import balance_tracker
from balance_tracker import __version__
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import FailureCode


def test_a_pipe_gets_tab_separated_text(run: Run) -> None:
    ran = run("balances", ALICE)
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert (ran.code, ran.err) == (0, "")
    names = ["address", "network", "symbol", "amount", "raw_amount", "contract_address"]
    assert lines[0] == [*names, "price", "value", "currency"]
    assert lines[1] == [ALICE, "ethereum", "ETH", "3", "3000000000000000000", "-", "-", "-", "usd"]
    assert lines[2] == [ALICE, "ethereum", "USDC", "1.5", "1500000", USDC, "-", "-", "usd"]


def test_json_is_the_api_s_object_and_a_list_for_several(run: Run) -> None:
    one = json.loads(run("balances", ALICE, "--json").out)
    several = json.loads(run("balances", ALICE, SOLANA_ALICE, ALICE, "--json").out)
    assert one["address"] == ALICE
    assert [entry["address"] for entry in several] == [ALICE, SOLANA_ALICE]


def test_csv_has_one_line_per_holding(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("balances", ALICE, "--csv").out)))
    assert [(row["network"], row["symbol"], row["amount"], row["native"]) for row in rows] == [
        ("ethereum", "ETH", "3", "true"),
        ("ethereum", "USDC", "1.5", "false"),
        ("base", "ETH", "0.1", "true"),
    ]
    assert rows[0]["block_number"] == "21000000"
    assert rows[0]["value"] == ""


def test_all_outputs_tell_the_same_prices_and_values(run: Run) -> None:
    def priced() -> ScriptedTracker:
        source = ScriptedSource(amounts={"eip155:1/slip44:60": "2000.5"}, as_of=datetime.now(UTC))
        return ScriptedTracker(three_networks(), prices=[source])

    words = ("balances", ALICE, "--currency", "eth")
    shown = json.loads(run(*words, "--json", tracker=priced()).out)
    rows = list(csv.DictReader(io.StringIO(run(*words, "--csv", tracker=priced()).out)))
    lines = [line.split("\t") for line in run(*words, tracker=priced()).out.splitlines()]
    assert [(one["price"] and one["price"]["amount"], one["value"]) for one in shown["holdings"]] == [
        ("1", "3"),
        ("1", "0.1"),
        (None, None),
    ]
    assert [(row["price"], row["value"], row["price_status"]) for row in rows] == [
        ("1", "3", "single"),
        ("1", "0.1", "single"),
        ("", "", ""),
    ]
    assert [line[-3:] for line in lines[1:]] == [["1", "3", "eth"], ["1", "0.1", "eth"], ["-", "-", "eth"]]
    assert shown["total_value"] == "3.1"


def test_a_symbol_is_never_a_formula_of_a_spreadsheet(run: Run) -> None:
    reader = ScriptedReader(BASE, {STRANGE: 1}, metadata={STRANGE: ("=1+1", "@x", 0)})
    ran = run("balances", ALICE, "--tokens", STRANGE, "--csv", tracker=ScriptedTracker([reader]))
    row = next(csv.DictReader(io.StringIO(ran.out)))
    assert (row["symbol"], row["name"]) == ("'=1+1", "'@x")


def test_a_part_answered_exits_with_3_and_says_what_is_missing(run: Run) -> None:
    readers = [
        ScriptedReader(ETHEREUM, {None: 1}, {USDC: FailureCode.REVERTED}),
        ScriptedReader(BASE, error=refused()),
    ]
    for output in ((), ("--json",), ("--csv",)):
        ran = run("balances", ALICE, *output, tracker=ScriptedTracker(readers))
        assert ran.code == 3
        assert "0 of 2 networks answered in full" in ran.err
        assert "ethereum is missing 1 of 3 assets: USDC (reverted)." in ran.err
        assert "base failed, so its balances are not known: Refused by node.example." in ran.err
        assert "key-1" not in ran.err + ran.out


def test_nothing_answered_exits_with_4(run: Run) -> None:
    ran = run("balances", ALICE, "--json", tracker=ScriptedTracker([ScriptedReader(BASE, error=refused())]))
    assert ran.code == 4
    assert json.loads(ran.out)["coverage"][0]["status"] == "failed"


def test_a_name_that_could_not_be_looked_up_exits_with_4_and_spares_the_others(run: Run) -> None:
    names = ScriptedNames(error=refused("The name could not be looked up."))
    tracker = ScriptedTracker([ScriptedReader(ETHEREUM)], names=names)
    alone = run("balances", "alice.eth", tracker=tracker)
    assert (alone.code, alone.out) == (4, "")
    assert alone.err.startswith("Error: The name 'alice.eth' could not be looked up")
    both = run(
        "balances",
        "alice.eth",
        ALICE,
        "--json",
        tracker=ScriptedTracker([ScriptedReader(ETHEREUM)], names=names),
    )
    assert both.code == 3
    assert len(json.loads(both.out)) == 1


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["balances", "hello"], "Hint: An EVM address"),
        (["balances", ALICE, "--network", "bas"], "Hint: Did you mean 'base'?"),
        (["balances", ALICE, "--at", "soon"], "Hint: Give a block number"),
        (["balances", ALICE, "--currency", "doge"], "Hint: Known are: usd"),
        (["balances", ALICE, "--min-value", "much"], "not below zero"),
        (["balances", ALICE, "--json", "--csv"], "can't be given together"),
        (["balances"], "Missing argument"),
        (["nothing"], "No such command"),
        (["tokens", "list", "-n", "nowhere"], "Known are"),
    ],
)
def test_wrong_use_exits_with_2_and_a_hint(run: Run, words: list[str], part: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert part in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


def test_a_wrong_setting_exits_with_2_and_its_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_DEADLINE_SECONDS", "soon")
    for words in (["balances", ALICE], ["networks"], ["serve"], ["tokens", "list"]):
        ran = run(*words)
        assert ran.code == 2
        assert ran.err.startswith("Error: TRACKER_DEADLINE_SECONDS is wrong")


def test_what_broke_is_one_sentence(run: Run) -> None:
    tracker = ScriptedTracker([ScriptedReader(BASE)])
    tracker._listed = None  # type: ignore[assignment]
    ran = run("networks", tracker=tracker)
    assert ran.code == 1
    assert "Error: something broke here (AttributeError)." in ran.err


def test_networks_are_listed_and_probed(run: Run) -> None:
    plain = run("networks")
    assert plain.code == 0
    assert plain.out.splitlines()[1].split("\t")[:4] == ["ethereum", "1", "2", "node.example"]
    probed = run("networks", "--probe", "--json")
    assert probed.code == 0
    assert [entry["slug"] for entry in json.loads(probed.out)["networks"]] == ["ethereum", "base", "solana"]


def test_a_probe_tells_by_its_code_how_many_networks_answer(run: Run) -> None:
    dead = ScriptedReader(BASE, error=refused())
    assert run("networks", "--probe", tracker=ScriptedTracker([dead])).code == 4
    assert run("networks", "--probe", tracker=ScriptedTracker([dead, ScriptedReader(ETHEREUM)])).code == 3


def test_tokens_are_listed(run: Run) -> None:
    text = run("tokens", "list", "--network", "ethereum", "--query", "usd")
    assert text.code == 0
    assert text.out.splitlines()[1] == f"ethereum\tUSDC\tUSD Coin\t6\tverified\t{USDC}"
    assert len(json.loads(run("tokens", "list", "--json").out)["tokens"]) == 3


def test_the_version_is_shown(run: Run) -> None:
    assert run("--version").out == f"balance-tracker {__version__}\n"


def test_the_module_runs_and_its_help_is_quick() -> None:
    started = time.perf_counter()
    source = str(Path(balance_tracker.__file__).parent.parent)
    words = [sys.executable, "-m", "balance_tracker", "--help"]
    environment = {**os.environ, "PYTHONPATH": source}
    ran = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert "balances" in ran.stdout
    assert time.perf_counter() - started < 2


def a_list(path: Path, *decimals: int) -> str:
    tokens = [
        {
            "chainId": 8453,
            "address": f"0x{number + 1:040x}",
            "symbol": f"T{number}",
            "name": f"Token {number}",
            "decimals": count,
        }
        for number, count in enumerate(decimals)
    ]
    path.write_text(json.dumps({"name": "A list", "tokens": tokens}), encoding="utf-8")
    return str(path)


def on_base(*decimals: int | None) -> ScriptedTracker:
    metadata = {
        f"0x{number + 1:040x}": (f"T{number}", f"Token {number}", count)
        for number, count in enumerate(decimals)
    }
    failing: dict[str | None, FailureCode] = {f"0x{4:040x}": FailureCode.TIMED_OUT}
    return ScriptedTracker([ScriptedReader(BASE, metadata=metadata, failing=failing)])


def test_a_refresh_shows_the_difference_and_keeps_nothing_unless_told_to(run: Run, tmp_path: Path) -> None:
    source = a_list(tmp_path / "list.json", 6, 18)
    shown = run("tokens", "refresh", source, tracker=on_base(6, 8))
    assert shown.code == 0
    assert shown.out.splitlines()[0] == f"+ base T0 0x{1:040x}: Token 0, 6 decimals"
    assert "! base T1" in shown.out
    assert "refused, the list says 18 decimals, the contract 8" in shown.out
    assert shown.out.splitlines()[-1] == (
        "1 added, 0 changed, 0 removed, 1 refused, 0 not checked, 0 unchanged."
    )
    assert "--yes keeps it" in shown.err
    assert not Path("data").exists()
    kept = run("tokens", "refresh", source, "--yes", tracker=on_base(6, 8))
    assert "Kept" in kept.err
    assert Path("data/tokens/refreshed.json").exists()


def test_a_refresh_as_json_says_the_same(run: Run, tmp_path: Path) -> None:
    ran = run("tokens", "refresh", a_list(tmp_path / "list.json", 6, 18), "--json", tracker=on_base(6, 8))
    body = json.loads(ran.out)
    assert [token["symbol"] for token in body["added"]] == ["T0"]
    assert [(token["symbol"], token["code"]) for token in body["refused"]] == [("T1", "decimals_differ")]


def test_a_refresh_tells_what_changed_what_went_and_what_could_not_be_checked(
    run: Run, tmp_path: Path
) -> None:
    run("tokens", "refresh", a_list(tmp_path / "first.json", 6, 6, 6), "--yes", tracker=on_base(6, 6, 6))
    kept = Path("data/tokens/refreshed.json")
    kept.write_text(kept.read_text(encoding="utf-8").replace('"T0"', '"OLD"'), encoding="utf-8")
    tracker = on_base(6, 6, 6)
    source = a_list(tmp_path / "second.json", 6, 6, 6, 6)
    ran = run("tokens", "refresh", source, tracker=tracker)
    assert ran.code == 3
    assert f"~ base T0 0x{1:040x}: symbol 'OLD' to 'T0'" in ran.out
    assert "? base T3" in ran.out
    fewer = run("tokens", "refresh", a_list(tmp_path / "third.json", 6), tracker=on_base(6))
    assert f"- base T1 0x{2:040x}" in fewer.out
    as_json = run("tokens", "refresh", source, "--json", tracker=tracker)
    assert json.loads(as_json.out)["changed"][0]["before"] == {"symbol": "OLD"}


def test_a_list_that_is_tracked_already_is_not_compared_with_itself(run: Run, tmp_path: Path) -> None:
    tracker = on_base(6)
    tracker._listed = {BASE.slug: (token(BASE, Address(f"0x{1:040x}"), "T0", 6, name="Token 0"),)}
    ran = run("tokens", "refresh", a_list(tmp_path / "list.json", 6), tracker=tracker)
    assert ran.out.splitlines()[0] == f"+ base T0 0x{1:040x}: Token 0, 6 decimals"


def test_a_refresh_without_a_list_or_with_a_wrong_one_exits_with_2(run: Run, tmp_path: Path) -> None:
    assert "Give a URL or a file" in run("tokens", "refresh", tracker=on_base()).err
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[]", encoding="utf-8")
    ran = run("tokens", "refresh", str(wrong), tracker=on_base())
    assert (ran.code, "wrong.json" in ran.err) == (2, True)


def test_tokens_that_no_endpoint_could_be_asked_about_are_not_checked(run: Run, tmp_path: Path) -> None:
    tracker = ScriptedTracker([ScriptedReader(BASE, error=refused())])
    ran = run("tokens", "refresh", a_list(tmp_path / "list.json", 6), tracker=tracker)
    assert ran.code == 3
    assert "not checked, Refused by node.example" in ran.out

"""The choices of a portfolio give one answer, whether by the API, the command line or the library."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from rich.console import Console
from tests.cli.conftest import Run
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import ALICE
from tests.fakes.tracker import ScriptedTracker, opened
from tests.services.test_whole import DOLLAR
from tests.services.test_whole_choices import (
    BOTH,
    PRICES,
    STAKED,
    ScriptedSearch,
    collecting,
    collector,
    staker,
)

import balance_tracker.cli.whole as whole_command
from balance_tracker.api import whole_schemas
from balance_tracker.api.app import create_app
from balance_tracker.cli.whole import Request
from balance_tracker.cli.whole_render import show_whole
from balance_tracker.core.whole import StakeTokens
from balance_tracker.services.serialise_whole import whole_json

type Body = dict[str, Any]

NOW = datetime.now(UTC)


def tracker() -> ScriptedTracker:
    source = ScriptedSource(amounts=PRICES, as_of=NOW)
    return ScriptedTracker((staker(),), [DOLLAR, STAKED], prices=[source])


def timeless(body: Body) -> Body:
    """Without how long it took."""
    return json.loads(json.dumps(body), object_hook=lambda one: {**one, "elapsed_ms": 0})  # type: ignore[no-any-return]


def by_command(
    stake_tokens: StakeTokens, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Body:
    monkeypatch.setattr(whole_command, "running", lambda _settings: opened(tracker()))
    asked = Request("portfolio", (ALICE,), (), (), "usd", None, "json", stake_tokens=stake_tokens)
    assert whole_command.run(asked) == 0
    body: Body = json.loads(capsys.readouterr().out)
    return body


def by_api(**params: str) -> tuple[int, Body]:
    app = create_app(open_tracker=lambda: opened(tracker()))
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/portfolio", params={"address": ALICE, **params})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("stake_tokens", BOTH)
async def test_stake_tokens_are_told_the_same_by_library_and_api(stake_tokens: StakeTokens) -> None:
    async with tracker() as library:
        told = whole_json(await library.whole([ALICE], stake_tokens=stake_tokens))
    status, body = by_api(stake_tokens=stake_tokens)
    assert (status, timeless(body)) == (200, timeless(told))
    whole_schemas.Whole.model_validate(body)
    assert body["total_value"] == {"position": "8000", "holding": "7970"}[stake_tokens]


@pytest.mark.parametrize("stake_tokens", BOTH)
def test_and_by_the_command(
    stake_tokens: StakeTokens, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = by_command(stake_tokens, monkeypatch, capsys)
    assert timeless(told) == timeless(by_api(stake_tokens=stake_tokens)[1])


@pytest.mark.parametrize("stake_tokens", BOTH)
def test_and_by_the_command_as_it_is_typed(stake_tokens: StakeTokens, run: Run) -> None:
    words = ("portfolio", ALICE, "--stake-tokens", stake_tokens, "--search-nfts", "--json")
    ran = run(*words, tracker=tracker())
    assert (ran.code, timeless(json.loads(ran.out))) == (0, timeless(by_api(stake_tokens=stake_tokens)[1]))


def test_a_choice_that_can_not_be_typed_is_wrong_use(run: Run) -> None:
    assert run("portfolio", ALICE, "--stake-tokens", "both", tracker=tracker()).code == 2


def test_without_a_choice_they_are_positions() -> None:
    assert timeless(by_api()[1]) == timeless(by_api(stake_tokens="position", nfts="listed")[1])


@pytest.mark.parametrize(("name", "value"), [("stake_tokens", "both"), ("nfts", "all"), ("nfts", "true")])
def test_a_choice_that_there_is_not_is_refused(name: str, value: str) -> None:
    status, body = by_api(**{name: value})
    assert (status, body["code"]) == (400, "invalid_parameter")


@pytest.mark.parametrize("search_nfts", [False, True])
async def test_a_terminal_says_what_was_not_searched(search_nfts: bool) -> None:
    console = Console(width=140, record=True, file=io.StringIO(), markup=False, highlight=False)
    async with collecting(collector(), ScriptedSearch()) as scene:
        show_whole(await scene.whole.portfolio([ALICE], search_nfts=search_nfts), console)
    said = "1 collection of which only events tell (ERC-1155) was not searched" in console.export_text()
    assert said is not search_nfts

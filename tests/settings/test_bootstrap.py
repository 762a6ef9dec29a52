"""Settings become what is tracked, and a wrong one is named before anything is opened."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.fakes.readers import STRANGE

from balance_tracker.bootstrap import Tracker, listed_tokens, load_settings, tracked_networks
from balance_tracker.core.errors import ConfigurationError, InputError
from balance_tracker.settings import Settings

LIST = json.dumps(
    {
        "name": "Operator's",
        "tokens": [{"chainId": 8453, "address": STRANGE, "symbol": "ODD", "name": "Odd", "decimals": 4}],
    }
).encode()


class _Lists(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/key-1/list.json"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(LIST) if found else 0))
        self.end_headers()
        self.wfile.write(LIST if found else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def list_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Lists) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_all_networks_are_tracked_unless_some_are_named() -> None:
    assert len(tracked_networks(Settings())) == 15
    assert list(tracked_networks(Settings(networks=("Base", "ethereum")))) == ["base", "ethereum"]


def test_the_operators_endpoints_take_the_place_of_the_public_ones() -> None:
    settings = Settings(
        networks=("base",), rpc={"base": ("http://127.0.0.1:1",), "bsc": ("http://127.0.0.1:2",)}
    )
    assert tracked_networks(settings)["base"].endpoints == ("http://127.0.0.1:1",)  # type: ignore[index]


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"networks": ("bas",)}, "TRACKER_NETWORKS names 'bas'", "'base'"),
        ({"networks": ("zzzz",)}, "TRACKER_NETWORKS names 'zzzz'", "Known are: "),
        (
            {"rpc": {"etherium": ("http://127.0.0.1:1",)}},
            "TRACKER_RPC_ETHERIUM names no network",
            "TRACKER_RPC_ETHEREUM",
        ),
    ],
)
def test_a_setting_that_names_no_network_is_refused_with_the_nearest(
    settings: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        tracked_networks(Settings(**settings))  # type: ignore[arg-type]
    assert hint in str(caught.value.hint)


def test_a_network_without_an_endpoint_says_which_setting_to_set(tmp_path: Path) -> None:
    (tmp_path / "mynet.toml").write_text(
        'slug = "mynet"\nname = "Mine"\nfamily = "evm"\nid = "eip155:123456"\n'
        '[native]\nsymbol = "M"\nname = "Mine"\ndecimals = 18\npriced_as = "eip155:123456/slip44:60"\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError) as caught:
        tracked_networks(Settings(networks=("mynet",), networks_dir=tmp_path))
    assert (
        "TRACKER_RPC_MYNET" in f"{caught.value.message} {caught.value.hint}"
        or "endpoints" in caught.value.message
    )


async def test_lists_come_from_files_and_urls(list_server: str, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_bytes(LIST.replace(b"ODD", b"FILE"))
    for entry, symbol in ((f"{list_server}/key-1/list.json", "ODD"), ("mine.json", "FILE")):
        settings = Settings(networks=("base",), shipped_tokens=False, token_lists=(entry,))
        found = await listed_tokens(settings, tracked_networks(settings))
        assert [(token.symbol, token.trust) for token in found["base"]] == [(symbol, "listed")]  # type: ignore[index]


async def test_a_list_that_can_not_be_had_is_named_without_its_key(list_server: str) -> None:
    settings = Settings(networks=("base",), token_lists=(f"{list_server}/key-2/other.json",))
    with pytest.raises(ConfigurationError, match="could not be fetched from 127") as caught:
        await listed_tokens(settings, tracked_networks(settings))
    assert "key-2" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"), [("TRACKER_DEADLINE_SECONDS", "never"), ("TRACKER_RPC", "not json")]
)
def test_a_wrong_variable_is_a_configuration_error(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError):
        load_settings()


def test_an_env_file_that_is_no_text_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00TRACKER")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_settings()


async def test_a_tracker_opens_answers_and_closes() -> None:
    tracker = Tracker(Settings(networks=("base",), rpc={"base": ("http://127.0.0.1:9",)}, deadline_seconds=1))
    assert not tracker.readiness().ready
    async with tracker:
        assert tracker.readiness().components["base"] == "unknown"
        portfolio = await tracker.portfolio(STRANGE)
        assert portfolio.nothing_obtained
        assert tracker.readiness().components["base"] == "failed"
        assert (await tracker.probe())[0].endpoints[0].state != "healthy"
        with pytest.raises(InputError, match="no token list"):
            await tracker.refresh_tokens()
    with pytest.raises(RuntimeError, match="outside"):
        tracker.networks()

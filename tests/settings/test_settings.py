"""Settings: typed, frozen, from the environment or ``.env``, and wrong ones are named."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from balance_tracker.settings import Settings, explain, rpc_key


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reason(**variables: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with pytest.raises(ValidationError) as caught:
            Settings()
    return explain(caught.value)


def test_without_any_variable_the_defaults_hold() -> None:
    settings = Settings()
    assert settings.networks == ()
    assert settings.balance_ttl_seconds == 60
    assert settings.deadline_seconds == 15
    assert settings.shipped_tokens is True
    assert settings.rpc == {}
    assert settings.log_format is None


def test_variables_are_read_and_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_NETWORKS", "base, solana,")
    monkeypatch.setenv("TRACKER_BALANCE_TTL_SECONDS", "0")
    monkeypatch.setenv("TRACKER_SHIPPED_TOKENS", "false")
    monkeypatch.setenv("TRACKER_LOG_LEVEL", "WARNING")
    monkeypatch.setenv("TRACKER_TOKEN_LISTS", "a.json,https://lists.example/b.json")
    settings = Settings()
    assert settings.networks == ("base", "solana")
    assert settings.balance_ttl_seconds == 0
    assert settings.shipped_tokens is False
    assert settings.log_level == "warning"
    assert settings.token_lists == ("a.json", "https://lists.example/b.json")


def test_endpoints_are_found_by_the_slug_in_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_RPC_BASE", "https://a.example/key-1, wss://b.example/key-2")
    monkeypatch.setenv("TRACKER_RPC_POLYGON_ZKEVM", "http://c.example")
    settings = Settings()
    assert settings.rpc["base"] == ("https://a.example/key-1", "wss://b.example/key-2")
    assert settings.rpc[rpc_key("polygon-zkevm")] == ("http://c.example",)


def test_endpoints_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_RPC_BASE", "https://a.example/key-1")
    monkeypatch.setenv("TRACKER_TOKEN_LISTS", "https://lists.example/key-2")
    assert "key-" not in repr(Settings())
    assert "key-" not in str(Settings())


def test_the_environment_wins_over_the_file(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "TRACKER_DEADLINE_SECONDS=3",
        "TRACKER_RPC_BASE=https://file.example",
        "TRACKER_RPC_BSC=https://bsc.example",
    ]
    (empty_place / ".env").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("TRACKER_RPC_BASE", "https://environment.example")
    settings = Settings()
    assert settings.deadline_seconds == 3
    assert settings.rpc == {"base": ("https://environment.example",), "bsc": ("https://bsc.example",)}


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_NETWORKS", "")
    monkeypatch.setenv("TRACKER_DEADLINE_SECONDS", "")
    monkeypatch.setenv("TRACKER_RPC_BASE", "")
    settings = Settings()
    assert (settings.networks, settings.deadline_seconds, settings.rpc) == ((), 15, {})


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("TRACKER_DEADLINE_SECONDS", "0", "greater than 0"),
        ("TRACKER_DEADLINE_SECONDS", "soon", "valid number"),
        ("TRACKER_DEADLINE_SECONDS", "nan", "finite number"),
        ("TRACKER_BALANCE_TTL_SECONDS", "-1", "greater than or equal to 0"),
        ("TRACKER_PRICE_TTL_SECONDS", "-1", "greater than or equal to 0"),
        ("TRACKER_PRICE_SOURCES", "coingeko", "'chainlink'"),
        ("TRACKER_PRICE_SOURCES", "none,coingecko", "'chainlink'"),
        ("TRACKER_SHIPPED_TOKENS", "perhaps", "valid boolean"),
        ("TRACKER_LOG_FORMAT", "xml", "'console' or 'json'"),
        ("TRACKER_LOG_LEVEL", "loud", "'debug'"),
        ("TRACKER_NETWORKS_DIR", "nowhere", "directory"),
        ("TRACKER_RPC_BASE", "ftp://a.example", "number 1"),
        ("TRACKER_RPC_BASE", "https://a.example,https://", "number 2"),
        ("TRACKER_RPC_BASE", "http://[broken", "number 1"),
    ],
)
def test_a_wrong_setting_is_named_with_its_reason(name: str, value: str, part: str) -> None:
    text = reason(**{name: value})
    assert text.startswith(name)
    assert part in text
    assert text.endswith(".")


def test_the_reason_never_shows_an_endpoint() -> None:
    assert "key-1" not in reason(TRACKER_RPC_BASE="gopher://a.example/key-1")


def test_price_sources_are_named_once_each_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_PRICE_SOURCES", " CoinGecko, fixed,chainlink,coingecko")
    assert Settings().price_sources == ("coingecko", "chainlink")
    monkeypatch.setenv("TRACKER_PRICE_SOURCES", "none")
    assert Settings().price_sources == ()
    monkeypatch.delenv("TRACKER_PRICE_SOURCES")
    assert Settings().price_sources == ("chainlink", "defillama", "coingecko", "coinmarketcap")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().deadline_seconds = 1  # type: ignore[misc]


def test_every_setting_has_a_sentence() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name

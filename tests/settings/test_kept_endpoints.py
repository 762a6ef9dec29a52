"""What endpoints have shown is kept in the data directory, and each family's pool has its own patience."""

import logging
from pathlib import Path

import pytest
from tests.transport.servers import answers, echo, rpc, serving

from balance_tracker.bootstrap import Tracker
from balance_tracker.settings import Settings
from balance_tracker.solana.reader import SolanaReader


def settings_for(data_dir: Path, **rpc_urls: str) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=data_dir,
        networks=tuple(rpc_urls),
        rpc={slug: (url,) for slug, url in rpc_urls.items()},
        shipped_tokens=False,
    )


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


async def learned(settings: Settings, *, probe: bool) -> dict[str, str]:
    async with Tracker(settings) as tracker:
        views = await tracker.probe() if probe else tracker.networks()
        return views[0].endpoints[0].learned


async def test_what_an_endpoint_has_shown_is_known_after_a_restart(tmp_path: Path) -> None:
    async with serving(answers(b"", 429)) as server:
        settings = settings_for(tmp_path, base=server.url)
        assert await learned(settings, probe=False) == {}
        shown = await learned(settings, probe=True)
        assert shown == {"requests_per_second": "0.70"}
        assert await learned(settings, probe=False) == shown
        other = settings_for(tmp_path, base=f"{server.url}-another-key")
        assert await learned(other, probe=False) == {}
    kept = text_of(tmp_path / "endpoints.json")
    assert "secret" not in kept
    assert "127.0.0.1" not in kept


async def test_a_data_directory_that_can_not_be_written_is_no_reason_to_fail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "data").write_text("a file")
    async with serving(answers(b"", 429)) as server:
        settings = settings_for(tmp_path / "data", base=server.url)
        assert await learned(settings, probe=True) == {"requests_per_second": "0.70"}
    assert any("endpoint_memory_unwritable" in record.getMessage() for record in caplog.records)


async def test_solanas_endpoints_may_be_150_slots_behind(tmp_path: Path) -> None:
    async with serving(rpc(echo)) as server:
        settings = settings_for(tmp_path, solana=server.url)
        async with Tracker(settings) as tracker:
            reader = tracker._readers["solana"]
            assert isinstance(reader, SolanaReader)
            assert reader._pool.stale_behind == 150

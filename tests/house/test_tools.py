"""The scripts that set everything up, on machines of several kinds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.tree import ROOT

REFUSING_SHIM = '#!/bin/sh\necho "pyenv: $0: command not found" >&2\nexit 127\n'
TOO_OLD = "#!/bin/sh\nexit 1\n"
SYSTEM_PATH = "/usr/bin:/bin"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine whose only commands, before the system's, are what a test puts into this folder."""
    return tmp_path


def add(machine: Path, name: str, script: str | None = None) -> Path:
    """A command: a script, or a real Python if none is given."""
    path = machine / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = script if script is not None else f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
    path.write_text(text)
    path.chmod(0o755)
    return path


def find_python(machine: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": f"{machine}:{SYSTEM_PATH}", "HOME": str(machine), **environment}
    command = [ROOT / "tools" / "find-python"]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)


def is_recent(python: str) -> bool:
    script = "import sys; sys.exit(sys.version_info < (3, 12))"
    return subprocess.run([python, "-c", script], timeout=60, check=False).returncode == 0


def test_a_plain_python_is_found(machine: Path) -> None:
    add(machine, "python3.13")
    result = find_python(machine)
    assert result.returncode == 0, result.stderr
    assert is_recent(result.stdout.strip())


def test_a_shim_that_refuses_to_run_is_passed_over(machine: Path) -> None:
    add(machine, "python3.12", REFUSING_SHIM)
    add(machine, "python3.13", REFUSING_SHIM)
    add(machine, "python3")
    result = find_python(machine)
    assert result.returncode == 0, result.stderr
    assert is_recent(result.stdout.strip())


def test_a_version_of_pyenv_is_found_though_it_is_not_chosen(machine: Path) -> None:
    for name in ("python3.12", "python3.13", "python3.14", "python3", "python"):
        add(machine, name, TOO_OLD)
    add(machine, "pyenv/versions/3.13.1/bin/python3")
    result = find_python(machine, PYENV_ROOT=str(machine / "pyenv"))
    assert result.returncode == 0, result.stderr
    assert is_recent(result.stdout.strip())


def test_a_python_of_uv_is_found(machine: Path) -> None:
    for name in ("python3.12", "python3.13", "python3.14", "python3", "python"):
        add(machine, name, TOO_OLD)
    managed = add(machine, "managed/python3")
    add(
        machine,
        "uv",
        f'#!/bin/sh\n[ "$1 $2 $3" = "python find --no-python-downloads" ] && echo "{managed}"\n',
    )
    result = find_python(machine)
    assert result.returncode == 0, result.stderr
    assert is_recent(result.stdout.strip())


def test_a_python_that_was_chosen_is_taken_or_refused(machine: Path) -> None:
    assert find_python(machine, PYTHON=sys.executable).returncode == 0
    refused = find_python(machine, PYTHON=str(add(machine, "old", TOO_OLD)))
    assert refused.returncode == 1
    assert "not a Python 3.12" in refused.stderr


def test_without_a_recent_python_it_says_what_to_do(machine: Path) -> None:
    for name in ("python3.12", "python3.13", "python3.14", "python3", "python"):
        add(machine, name, TOO_OLD)
    add(machine, "uv", TOO_OLD)
    result = find_python(machine)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "make PYTHON=" in result.stderr


def test_make_alone_prints_the_targets_and_does_nothing_else() -> None:
    result = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "MAKEFLAGS"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for target in ("run", "demo", "test", "check", "bench", "dev", "lint", "format", "clean"):
        assert f"make {target} " in result.stdout
    assert result.stderr == ""

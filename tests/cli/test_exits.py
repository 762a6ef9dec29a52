"""What a command raises becomes a sentence and an exit code."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import balance_tracker
from balance_tracker.cli.exits import guarded
from balance_tracker.core.errors import ConfigurationError, InputError, UpstreamError


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (InputError("Wrong.", hint="Do right."), 2, "Error: Wrong.\nHint: Do right.\n"),
        (ConfigurationError("Unset."), 2, "Error: Unset.\n"),
        (UpstreamError("Gone."), 4, "Error: Gone.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_every_kind_of_error_has_its_code(
    error: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(raising(error)) == code
    assert capsys.readouterr() == ("", told)


def test_a_reader_that_goes_away_is_no_error() -> None:
    source = str(Path(balance_tracker.__file__).parent.parent)
    program = (
        "from balance_tracker.cli.exits import guarded\n"
        "import sys\n"
        "def command():\n"
        "    sys.stdout.write('x' * 1_000_000)\n"
        "    sys.stdout.flush()\n"
        "    return 0\n"
        "sys.exit(guarded(command))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(10) == 0
    assert err == b""

"""Puts into the README what the demo prints of its second and its last wallet, between two marks.

Usage: ``python tools/capture_demo.py`` after ``make dev``.
"""

import os
import subprocess
import sys
from pathlib import Path

from balance_tracker.demo.stories import WALLETS

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- demo:begin -->", "<!-- demo:end -->"
COLUMNS = 110


def capture() -> str:
    """What ``balance-tracker demo --once`` prints on a terminal of usual width, without colours."""
    command = [sys.executable, "-m", "balance_tracker", "demo", "--once", "--port", "0"]
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TRACKER_LOG_LEVEL": "error"}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return "\n".join(line.rstrip() for line in result.stdout.strip().splitlines())


def second_and_last(text: str) -> str:
    """The parts of two wallets, told apart by the titles that begin them."""
    second, third, last = (
        text.index(f"\n{wallet.title}\n") for wallet in (WALLETS[1], WALLETS[2], WALLETS[-1])
    )
    return f"{text[second:third].strip()}\n\n[…]\n\n{text[last:].strip()}"


def main() -> None:
    """Write the README anew."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(
        f"{before}{BEGIN}\n\n```text\n{second_and_last(capture())}\n```\n\n{END}{after}", encoding="utf-8"
    )


if __name__ == "__main__":
    main()

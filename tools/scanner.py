"""Compiles ``scanner.yul`` into ``scanner_code.py``, or checks that the one is made of the other.

Usage: ``python -m tools.scanner`` writes it, ``python -m tools.scanner --check`` exits with 1 if it
is not what the source compiles to. The compiler is the one of the tests, from npm.
"""

import sys
from pathlib import Path

from tests.nodes.solidity import compile_scanner

EVM = Path(__file__).resolve().parent.parent / "src" / "balance_tracker" / "evm"
SOURCE = EVM / "scanner.yul"
CODE = EVM / "scanner_code.py"
_DIGITS_A_LINE = 96


def code_file(program: str) -> str:
    """The text of ``scanner_code.py`` for a program in hexadecimal digits."""
    lines = [program[at : at + _DIGITS_A_LINE] for at in range(0, len(program), _DIGITS_A_LINE)]
    quoted = "".join(f'    "{line}"\n' for line in lines)
    return (
        '"""The scanner as the EVM runs it: made of ``scanner.yul`` by ``tools/scanner.py``, '
        'never by hand."""\n\n'
        f'PROGRAM = (\n{quoted})\n"""Hexadecimal digits, without ``0x``."""\n'
    )


def main() -> int:
    """Write or check the file; the exit code."""
    made = code_file(compile_scanner(SOURCE.read_text(encoding="ascii")))
    if "--check" not in sys.argv[1:]:
        CODE.write_text(made, encoding="ascii")
        return 0
    if CODE.read_text(encoding="ascii") == made:
        return 0
    print("scanner_code.py is not what scanner.yul compiles to: run python -m tools.scanner", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""Two old tokens from MakerDAO's test chain: one with bytes32 texts, one that returns nothing.

``@makerdao/testchain`` has no artifact files. It ships a snapshot of a chain on which the
contracts were deployed, so their init codes are the data of the transactions that did it.
"""

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DEPLOYED_AS = {"DSToken": "OLD_MKR", "Tether": "USDT"}
"""Names of the package's address books."""

_PACKAGE = "@makerdao/testchain"
_KEPT = "balance-tracker-makerdao.json"
_WORD_BYTES = 32


def makerdao_initcodes(packages: Path) -> Mapping[str, bytes]:
    """Init codes of ``DSToken(bytes32 symbol)`` and ``Tether(uint256 supply)``, without arguments.

    Unpacking takes a second, so the result is kept beside the package.
    """
    kept = packages / _KEPT
    if not kept.exists():
        found = _read_snapshot(packages / _PACKAGE)
        part = kept.with_suffix(f".{id(found)}.part")
        part.write_text(json.dumps(found), encoding="ascii")
        part.replace(kept)
    document: dict[str, str] = json.loads(kept.read_text(encoding="ascii"))
    return {name: bytes.fromhex(code) for name, code in document.items()}


def _read_snapshot(package: Path) -> dict[str, str]:
    addresses = _addresses(package)
    wanted = {addresses[listed].lower(): name for name, listed in DEPLOYED_AS.items()}
    records = _records(package / "snapshots" / "default.tgz")
    found = {}
    for transaction, receipt in records["transactionReceipts"].items():
        name = wanted.get((receipt["contractAddress"] or "").lower())
        if name is not None:
            data = str(records["transactions"][transaction]["data"]).removeprefix("0x")
            found[name] = data[: -2 * _WORD_BYTES]  # each has one word of arguments at its end
    return found


def _addresses(package: Path) -> dict[str, str]:
    books = [
        json.loads((package / "out" / f"{name}.json").read_text()) for name in ("addresses", "addresses-mcd")
    ]
    return {name: address for book in books for name, address in book.items()}


def _records(snapshot: Path) -> dict[str, dict[str, Any]]:
    """The chain's transactions and receipts; a file each, named ``!KIND!HASH``."""
    records: dict[str, dict[str, Any]] = {"transactions": {}, "transactionReceipts": {}}
    with tarfile.open(snapshot) as archive:
        for member in archive:
            _, _, key = member.name.partition("!")
            kind, _, number = key.partition("!")
            stream = archive.extractfile(member) if kind in records else None
            if stream is not None:
                records[kind][number] = json.load(stream)
    return records

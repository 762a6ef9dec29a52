"""Answers that mainnet endpoints gave, by method and first parameter."""

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

PYUSD = "2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo"
JITOSOL = "J1toso1uCk3RLmjorhTtrVwY9HJ7X8V9yYac6Y7kGCPn"
JITOSOL_METADATA = "8yn5oqFMwYA8SgGqWwKq1Hia8aM5gh1DWmHEL34hMqBX"
JUPITER_LEND_USDC = "9BEcn9aPEmhSPbPQeFGjidRiEKki46fVQDyPpSQXPA2D"
JUPITER_LEND_USDC_METADATA = "8RnR7sf2K7dPcu1MZWBQLY7ZTpDQsYK7XQp62N54KrAY"
AAPLX = "XsbEhLAtcf6HdfpFZ5xEMdqW8nfAvcsP5bdudRLJzJp"
WALLET = "FkzRQKW8Mzip4xXHamibLZB28sjqN9ZLFacQdbuVEYxa"


@cache
def recorded() -> list[dict[str, Any]]:
    return json.loads(Path(__file__).with_name("recorded.json").read_text())["items"]


def account(address: str) -> dict[str, Any]:
    """The ``getAccountInfo`` value of an address."""
    for item in recorded():
        if item["method"] == "getAccountInfo" and item["params"][0] == address:
            return item["result"]["value"]
    raise LookupError(address)


def data_of(value: dict[str, Any]) -> bytes:
    return base64.b64decode(value["data"][0], validate=True)


def token_accounts(owner: str) -> list[dict[str, Any]]:
    """The rows of both token programs for an owner."""
    return [
        row
        for item in recorded()
        if item["method"] == "getTokenAccountsByOwner" and item["params"] and item["params"][0] == owner
        for row in item["result"]["value"]
    ]

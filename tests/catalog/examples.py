"""Files that are right, for the tests to spoil."""

import json
from typing import Any

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
DAI = "0x6B175474E89094C44Da98b954EedeAC495271d0F"
BONK = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"

NETWORK = """\
slug = "mirrornet"
name = "Mirror Net"
family = "evm"
id = "eip155:4242"
chain_id = 4242
lifecycle = "active"
block_time_ms = 2000
explorer_url = "https://explorer.example"
wrapped_native = "0x4200000000000000000000000000000000000006"
mirrors = ["0x0000000000000000000000000000000000001010"]
notes = ["Only for tests."]

[native]
symbol = "MIR"
name = "Mirror"
decimals = 18
priced_as = "eip155:4242/slip44:60"

[price_ids]
coingecko = "mirror"

[contracts]
multicall3 = { address = "0xcA11bde05977b3631167028862bE2a173976CA11", since_block = 5022 }

[endpoints]
public = ["https://node.example", "wss://node.example"]
"""


def token(**changes: Any) -> dict[str, Any]:
    """A token entry; a change to ``None`` takes the key away."""
    entry = {"chainId": 1, "address": USDC, "symbol": "USDC", "name": "USD Coin", "decimals": 6, **changes}
    return {key: value for key, value in entry.items() if value is not None}


def token_list(*tokens: object, **changes: Any) -> bytes:
    """A list of these tokens."""
    head = {
        "name": "Ours",
        "timestamp": "2026-01-31T12:00:00Z",
        "version": {"major": 1, "minor": 0, "patch": 0},
    }
    return json.dumps({**head, "tokens": list(tokens), **changes}).encode()

"""Examples for the specification: shapes as they are answered, checked by the tests."""

from typing import Any

ADDRESS = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"

_ETHER_PRICE: dict[str, Any] = {
    "currency": "usd",
    "amount": "2647.5",
    "as_of": "2024-10-19T23:52:11Z",
    "sources": ["chainlink", "coingecko", "defillama"],
    "spread": "0.00045326",
    "confidence": "0.9701",
    "status": "agreed",
    "stale": False,
}

BALANCES: dict[str, Any] = {
    "address": ADDRESS,
    "name": "vitalik.eth",
    "currency": "usd",
    "holdings": [
        {
            "network": "ethereum",
            "chain_id": 1,
            "asset_id": "eip155:1/slip44:60",
            "contract_address": None,
            "native": True,
            "symbol": "ETH",
            "name": "Ether",
            "decimals": 18,
            "raw_amount": "3250000000000000000",
            "amount": "3.25",
            "price": _ETHER_PRICE,
            "value": "8604.375",
            "value_change_24h": "102.5",
            "trust": "verified",
            "logo_uri": None,
        }
    ],
    "coverage": [
        {
            "network": "ethereum",
            "chain_id": 1,
            "status": "partial",
            "block_number": 21000000,
            "block_hash": "0xf5e1d15a3e380006bd271e73c8eeed75fafc3ae6942b16f63c21361079bba709",
            "as_of": "2024-10-19T23:57:47Z",
            "cached": False,
            "stale": False,
            "age_seconds": 0,
            "endpoint": "ethereum-rpc.publicnode.com",
            "requests": 1,
            "elapsed_ms": 84,
            "assets": {
                "asked": 120,
                "answered": 119,
                "failed": [
                    {
                        "asset_id": "eip155:1/erc20:0x6B175474E89094C44Da98b954EedeAC495271d0F",
                        "contract_address": "0x6B175474E89094C44Da98b954EedeAC495271d0F",
                        "symbol": "DAI",
                        "code": "reverted",
                        "reason": "The call of balanceOf reverted.",
                    }
                ],
            },
            "error": None,
        },
        {
            "network": "base",
            "chain_id": 8453,
            "status": "failed",
            "block_number": None,
            "block_hash": None,
            "as_of": None,
            "cached": False,
            "stale": False,
            "age_seconds": 0,
            "endpoint": None,
            "requests": 0,
            "elapsed_ms": 15000,
            "assets": {
                "asked": 1,
                "answered": 0,
                "failed": [
                    {
                        "asset_id": "eip155:8453/slip44:60",
                        "contract_address": None,
                        "symbol": "ETH",
                        "code": "timed_out",
                        "reason": "The network did not answer within the deadline.",
                    }
                ],
            },
            "error": {
                "code": "timed_out",
                "detail": "The network did not answer within the deadline.",
                "retryable": True,
            },
        },
    ],
    "total_value": "8604.375",
    "unpriced": 0,
    "excluded": [
        {
            "network": "ethereum",
            "asset_id": "eip155:1/erc20:0x6982508145454Ce325dDbE47a25d4ec3d2311933",
            "contract_address": "0x6982508145454Ce325dDbE47a25d4ec3d2311933",
            "symbol": "PEPE",
            "raw_amount": "1500000000000000000",
            "amount": "1.5",
            "value": "0.0000157",
            "reason": "dust",
        }
    ],
    "complete": False,
}

PRICES: dict[str, Any] = {
    "currency": "usd",
    "prices": [
        {"asset_id": "eip155:1/slip44:60", "price": {**_ETHER_PRICE, "age_seconds": 42}},
        {
            "asset_id": "eip155:1/erc20:0x6B175474E89094C44Da98b954EedeAC495271d0F",
            "price": {
                "currency": "usd",
                "amount": "0.95",
                "as_of": "2024-10-19T23:51:30Z",
                "sources": ["coingecko", "defillama"],
                "spread": "0.05263158",
                "confidence": "0.45",
                "status": "disputed",
                "stale": False,
                "age_seconds": 42,
                "quotes": [
                    {
                        "asset_id": "eip155:1/erc20:0x6B175474E89094C44Da98b954EedeAC495271d0F",
                        "source": "coingecko",
                        "currency": "usd",
                        "amount": "0.95",
                        "as_of": "2024-10-19T23:51:30Z",
                    },
                    {
                        "asset_id": "eip155:1/erc20:0x6B175474E89094C44Da98b954EedeAC495271d0F",
                        "source": "defillama",
                        "currency": "usd",
                        "amount": "1",
                        "as_of": "2024-10-19T23:52:02Z",
                    },
                ],
            },
        },
        {"asset_id": "eip155:1/erc20:0x1111111111111111111111111111111111111111", "price": None},
    ],
}

PRICE_HISTORY: dict[str, Any] = {
    "asset_id": "eip155:1/slip44:60",
    "currency": "usd",
    "interval": "1h",
    "from": "2024-10-19T21:00:00Z",
    "to": "2024-10-20T00:00:00Z",
    "points": [
        {"at": "2024-10-19T21:00:04Z", "amount": "2645.1", "source": "defillama"},
        {"at": "2024-10-19T23:00:03Z", "amount": "2647.5", "source": "defillama"},
    ],
    "gaps": [{"from": "2024-10-19T22:00:00Z", "to": "2024-10-19T23:00:00Z"}],
    "failed": [{"source": "coingecko", "code": "rate_limited"}],
}

NETWORK: dict[str, Any] = {
    "slug": "base",
    "name": "Base",
    "family": "evm",
    "network_id": "eip155:8453",
    "chain_id": 8453,
    "native": {"symbol": "ETH", "name": "Ether", "decimals": 18},
    "lifecycle": "active",
    "lifecycle_note": None,
    "explorer_url": "https://basescan.org",
    "tokens": 60,
    "endpoints": [
        {
            "name": "mainnet.base.org",
            "state": "healthy",
            "latency_ms": 72,
            "p95_latency_ms": 140,
            "head": 21300000,
            "head_age_seconds": 4,
            "blocks_behind": 0,
            "requests": 21,
            "successes": 18,
            "failures": 1,
            "errors": {"timed_out": 1},
            "last_error": "The endpoint did not answer within 6.0 s.",
            "retry_in_seconds": None,
            "learned": {"batch_limit": "10", "requests_per_second": "4.90"},
        }
    ],
}

TOKENS: dict[str, Any] = {
    "tokens": [
        {
            "network": "ethereum",
            "chain_id": 1,
            "asset_id": "eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
            "contract_address": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
            "native": False,
            "symbol": "USDC",
            "name": "USD Coin",
            "decimals": 6,
            "trust": "verified",
            "logo_uri": None,
            "tags": ["stablecoin"],
            "price_ids": {"coingecko": "usd-coin"},
            "confidence": "high",
            "note": None,
        }
    ],
    "next_cursor": None,
}

READY: dict[str, Any] = {
    "status": "ready",
    "components": {
        "catalog": "ok",
        "cache": "ok",
        "database": "ok",
        "jobs": "ok",
        "prices": "ok",
        "ethereum": "ok",
        "base": "unknown",
    },
}

"""Examples of ``/defi`` and ``/portfolio`` for the specification, checked by the tests."""

from typing import Any

from balance_tracker.api.examples import ADDRESS, BALANCES

_HOLDING: dict[str, Any] = BALANCES["holdings"][0]
_COVERAGE: dict[str, Any] = {
    **BALANCES["coverage"][0],
    "protocols": {
        "asked": 7,
        "answered": 6,
        "failed": [
            {
                "protocol": "compound_v2",
                "code": "malformed",
                "reason": "the market's exchange rate is not one number",
                "markets": [
                    {
                        "market": "Compound V2",
                        "code": "malformed",
                        "reason": "the market's exchange rate is not one number",
                    }
                ],
            }
        ],
    },
}
_POSITION: dict[str, Any] = {
    "network": "ethereum",
    "chain_id": 1,
    "protocol": "aave_v3",
    "market": "AaveV3Ethereum",
    "position_id": "AaveV3Ethereum",
    "kind": "lending",
    "owner": ADDRESS,
    "supplied": [
        {
            **_HOLDING,
            "collateral": True,
            "receipt": "0x4d5F47FA6A74757f35C14fD3a6Ef8E3C9BC514E8",
            "label": None,
        }
    ],
    "borrowed": [],
    "claimable": [],
    "health_factor": None,
    "liquidation_threshold": "0.83",
    "net_value": "8604.375",
    "details": {"e_mode": "none"},
}

POSITIONS: dict[str, Any] = {
    "address": ADDRESS,
    "name": "vitalik.eth",
    "currency": "usd",
    "positions": [_POSITION],
    "coverage": [_COVERAGE],
    "complete": False,
}

WHOLE: dict[str, Any] = {
    "addresses": [ADDRESS],
    "names": {ADDRESS: "vitalik.eth"},
    "currency": "usd",
    "holdings": [_HOLDING],
    "positions": [_POSITION],
    "collections": [
        {
            "network": "ethereum",
            "contract_address": "0xBC4CA0EdA7647A8aB7C2061c2E118A18a936f13D",
            "standard": "erc721",
            "name": "Bored Ape Yacht Club",
            "symbol": "BAYC",
            "trust": "verified",
            "owner": ADDRESS,
            "balance": 1,
            "token_ids": [
                {
                    "token_id": "2087",
                    "amount": "1",
                    "metadata_uri": "ipfs://QmeSjSinHpPnmXmspMjwiXyN6zS4E9zccariGR3jxcaWtq/2087",
                }
            ],
            "ids_complete": True,
            "ids_note": None,
            "details": {},
        }
    ],
    "totals": {
        "by_network": {"ethereum": "17208.75"},
        "by_asset": {"eip155:1/slip44:60": "17208.75"},
        "by_kind": {"wallet": "8604.375", "lending": "8604.375"},
    },
    "total_value": "17208.75",
    "unpriced": 0,
    "excluded": [
        {
            "network": "ethereum",
            "asset_id": "eip155:1/erc20:0x4d5F47FA6A74757f35C14fD3a6Ef8E3C9BC514E8",
            "contract_address": "0x4d5F47FA6A74757f35C14fD3a6Ef8E3C9BC514E8",
            "symbol": "aEthWETH",
            "raw_amount": "3250000000000000000",
            "amount": "3.25",
            "value": None,
            "reason": "in_position",
        }
    ],
    "coverage": [
        {
            **_COVERAGE,
            "collections": {
                "asked": 40,
                "answered": 40,
                "failed": [],
                "not_searched": [
                    {
                        "contract_address": "0x76BE3b62873462d2142405439777e971754E8E77",
                        "name": "Parallel Alpha",
                        "standard": "erc1155",
                    }
                ],
            },
        }
    ],
    "complete": False,
}

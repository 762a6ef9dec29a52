"""Turns collected facts into ``data/protocols/aave_v3.toml``: the markets of Aave V3 and of its fork Spark.

Usage: ``python -m tools.aave_markets FACTS`` where FACTS holds ``aave_v3.json``, which was made from the
npm packages ``@aave-dao/aave-address-book`` and, for Fantom, ``@bgd-labs/aave-address-book``.

Spark is not in them: its addresses are written here by hand and were found again in public
repositories, not on chain. It needs no list of reserves, for these are read from the chain; a list only
spares a request where rewards are looked for.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address

TARGET = Path(__file__).resolve().parent.parent / "src/balance_tracker/data/protocols/aave_v3.toml"
HEAD = """\
# Aave V3: every market of the address book, and Spark, which is the same code.
# Sources: npm @aave-dao/aave-address-book 4.68.1 (MIT); Fantom: npm @bgd-labs/aave-address-book 2.0.0 (MIT);
# Spark: github.com/sparkdotfi/spark-address-registry (SparkLend.sol, Gnosis.sol), not checked on chain.
# Made by tools/aave_markets.py. Reserves are read from the chain; those known here spare a request.
"""
CONTRACTS = {
    "pool_addresses_provider": "pool_addresses_provider",
    "pool": "pool",
    "protocol_data_provider": "protocol_data_provider",
    "ui_pool_data_provider": "ui_pool_data_provider",
    "default_incentives_controller": "incentives_controller",
}
RESERVE = ("symbol", "underlying", "a_token", "variable_debt_token")
SPARK: tuple[dict[str, Any], ...] = (
    {
        "network": "ethereum",
        "market": "SparkEthereum",
        "status": "active",
        "pool_addresses_provider": "0x02C3eA4e34C0cBd694D2adFa2c690EECbC1793eE",
        "pool": "0xC13e21B648A5Ee794902342038FF3aDAB66BE987",
        "protocol_data_provider": "0xFc21d6d146E6086B8359705C8b28512a983db0cb",
        "ui_pool_data_provider": "0xF028c2F4b19898718fD0F77b9b881CbfdAa5e8Bb",
        "default_incentives_controller": "0x4370D3b6C9588E02ce9D22e684387859c7Ff5b34",
        "reserves": [],
    },
    {
        "network": "gnosis",
        "market": "SparkGnosis",
        "status": "active",
        "pool_addresses_provider": "0xA98DaCB3fC964A6A0d2ce3B77294241585EAbA6d",
        "pool": "0x2Dae5307c5E3FD1CF5A72Cb6F698f915860607e0",
        "protocol_data_provider": "0x2a002054A06546bB5a264D57A81347e23Af91D18",
        "ui_pool_data_provider": "0xF028c2F4b19898718fD0F77b9b881CbfdAa5e8Bb",
        "default_incentives_controller": "0x98e6BcBA7d5daFbfa4a92dAF08d3d7512820c30C",
        "reserves": [],
    },
)


def document(markets: Sequence[Mapping[str, Any]]) -> str:
    """The file, with its lines in the order of the facts."""
    tables = ["\n".join(_table(market)) for market in markets]
    return "\n\n".join([HEAD.rstrip("\n"), *tables]) + "\n"


def _table(market: Mapping[str, Any]) -> Iterator[str]:
    yield "[[deployments]]"
    yield f'network = "{market["network"]}"'
    yield f'market = "{market["market"]}"'
    yield f'status = "{market["status"].partition(":")[0]}"'
    for name, key in CONTRACTS.items():
        if market[name] is not None:
            yield f'{key} = "{to_checksum_address(market[name])}"'
    yield "reserves = ["
    for reserve in market["reserves"]:
        yield f"  {{ {', '.join(_pair(key, reserve[key]) for key in RESERVE)} }},"
    yield "]"


def _pair(key: str, value: str) -> str:
    return f"{key} = {json.dumps(value if key == 'symbol' else to_checksum_address(value))}"


def main() -> None:
    """Write the file from the folder of facts that the command line names."""
    facts = json.loads((Path(sys.argv[1]) / "aave_v3.json").read_text(encoding="utf-8"))
    TARGET.write_text(document([*facts["markets"], *SPARK]), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Aave V3.0.2 as its authors compiled it, with the libraries that its contracts are linked to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CORE, PERIPHERY = "@aave/core-v3/artifacts/contracts", "@aave/periphery-v3/artifacts/contracts"
LOGIC = "protocol/libraries/logic"
CONTRACTS: Mapping[str, tuple[str, ...]] = {
    CORE: (
        *[
            f"{LOGIC}/{one}Logic"
            for one in ("Supply", "Borrow", "Liquidation", "EMode", "Bridge", "FlashLoan")
        ],
        *[f"{LOGIC}/{one}Logic" for one in ("Pool", "Configurator")],
        *[f"protocol/configuration/{one}" for one in ("PoolAddressesProvider", "ACLManager")],
        *[
            f"protocol/pool/{one}"
            for one in ("Pool", "PoolConfigurator", "DefaultReserveInterestRateStrategy")
        ],
        *[f"protocol/tokenization/{one}" for one in ("AToken", "StableDebtToken", "VariableDebtToken")],
        *[f"misc/{one}" for one in ("AaveProtocolDataProvider", "AaveOracle")],
        "mocks/oracle/CLAggregators/MockAggregator",
        "mocks/tokens/MintableERC20",
    ),
    PERIPHERY: (
        *[f"rewards/{one}" for one in ("RewardsController", "EmissionManager")],
        "rewards/transfer-strategies/PullRewardsTransferStrategy",
        "misc/UiPoolDataProviderV3",
    ),
}


@dataclass(frozen=True, slots=True)
class Code:
    """Init code as hexadecimal digits, with gaps where libraries' addresses belong."""

    digits: str
    libraries: Mapping[str, tuple[int, ...]]

    def linked(self, addresses: Mapping[str, str]) -> bytes:
        """The init code with its libraries."""
        digits = self.digits
        for library, places in self.libraries.items():
            for place in places:
                digits = digits[: 2 * place] + addresses[library][2:].lower() + digits[2 * place + 40 :]
        return bytes.fromhex(digits)


def read_code(digits: str, references: Mapping[str, Mapping[str, list[dict[str, int]]]]) -> Code:
    """Code from a compiler's answer: its digits, and where they refer to libraries."""
    places = {
        name: tuple(place["start"] for place in where)
        for libraries in references.values()
        for name, where in libraries.items()
    }
    return Code(digits, places)


def aave_codes(packages: Path) -> dict[str, Code]:
    """The contracts of V3.0.2 by name."""
    found = {}
    for package, names in CONTRACTS.items():
        for name in names:
            short = name.rpartition("/")[2]
            path = packages / package / f"{name}.sol" / f"{short}.json"
            artifact = json.loads(path.read_text(encoding="utf-8"))
            found[short] = read_code(artifact["bytecode"].removeprefix("0x"), artifact["linkReferences"])
    return found

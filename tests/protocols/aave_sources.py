"""Aave's own contracts, ready to be deployed: V3.0.2 as its authors compiled it, V3.6 from its sources."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import Any

from tests.nodes.solidity import MANIFEST as COMPILER

from balance_tracker.demo.aave_code import Code, aave_codes, read_code
from balance_tracker.demo.artifacts import fetch_packages, npm_command

MANIFEST = Path(__file__).parent / "npm_aave"
LOGIC = "protocol/libraries/logic"
ORIGIN = "@aave-dao/aave-v3-origin/src/contracts"
V3_6 = (
    *[
        f"{LOGIC}/{one}Logic"
        for one in ("Supply", "Borrow", "Liquidation", "FlashLoan", "Pool", "Configurator")
    ],
    *[f"protocol/configuration/{one}" for one in ("PoolAddressesProvider", "ACLManager")],
    *[f"instances/{one}Instance" for one in ("Pool", "PoolConfigurator", "AToken", "VariableDebtToken")],
    *[f"misc/{one}" for one in ("DefaultReserveInterestRateStrategyV2", "AaveOracle")],
    *[f"helpers/{one}" for one in ("AaveProtocolDataProvider", "UiPoolDataProviderV3")],
    *[f"rewards/{one}" for one in ("RewardsController", "EmissionManager")],
    "rewards/transfer-strategies/PullRewardsTransferStrategy",
    "mocks/oracle/CLAggregators/MockAggregator",
    "mocks/tokens/MintableERC20",
)
REMAPPED = {
    "openzeppelin-contracts/contracts": "@openzeppelin/contracts",
    "solidity-utils": "@bgd-labs/solidity-utils/src",
}
SETTINGS = {"optimizer": {"enabled": True, "runs": 200}, "evmVersion": "shanghai"}
OUTPUTS = ["evm.bytecode.object", "evm.bytecode.linkReferences"]
IMPORT = re.compile(r"""^\s*import[^;"']*["']([^"']+)["']\s*;""", re.MULTILINE)


@cache
def v3_0() -> dict[str, Code]:
    """The contracts of V3.0.2 by name."""
    return aave_codes(fetch_packages())


@cache
def v3_6() -> dict[str, Code]:
    """The contracts of V3.6 by name, compiled when first asked for and kept beside the sources."""
    packages = fetch_packages(MANIFEST, lambda line: None)
    kept = packages / "balance-tracker-aave-v3-6.json"
    if not kept.exists():
        part = kept.with_suffix(f".{id(packages)}.part")
        part.write_text(json.dumps(_compile(packages)), encoding="ascii")
        part.replace(kept)
    contracts = json.loads(kept.read_text(encoding="ascii"))
    return {name: read_code(one["object"], one["linkReferences"]) for name, one in contracts.items()}


def _compile(packages: Path) -> dict[str, Any]:
    wanted = [f"{ORIGIN}/{name}.sol" for name in V3_6]
    question = {
        "language": "Solidity",
        "sources": _sources(packages, wanted),
        "settings": SETTINGS
        | {
            "remappings": [f"{name}/={place}/" for name, place in REMAPPED.items()],
            "outputSelection": {name: {PurePosixPath(name).stem: OUTPUTS} for name in wanted},
        },
    }
    _, environment = npm_command()
    node = shutil.which("node", path=environment["PATH"])
    assert node is not None
    compiler = fetch_packages(COMPILER, lambda line: None) / "solc" / "solc.js"
    with TemporaryFile("w+") as asked, TemporaryFile("w+") as told:
        # Files, not pipes: the compiler reads all at once, and leaves without waiting for its reader.
        json.dump(question, asked)
        asked.seek(0)
        command = [node, str(compiler), "--standard-json"]
        subprocess.run(command, stdin=asked, stdout=told, env=environment, timeout=300, check=True)
        told.seek(0)
        text = told.read()
    answer = json.loads(text[text.index("{") :])
    errors = [item["formattedMessage"] for item in answer.get("errors", ()) if item["severity"] == "error"]
    assert not errors, "\n".join(errors[:5])
    files = answer["contracts"]
    names = {name: PurePosixPath(name).stem for name in wanted}
    return {short: files[name][short]["evm"]["bytecode"] for name, short in names.items()}


def _sources(packages: Path, wanted: list[str]) -> dict[str, dict[str, str]]:
    """The files and all that they import, by the names that the compiler looks for."""
    found: dict[str, dict[str, str]] = {}
    left = list(wanted)
    while left:
        name = left.pop()
        if name in found:
            continue
        text = (packages / name).read_text(encoding="utf-8")
        found[name] = {"content": text}
        left += [_resolved(name, path) for path in IMPORT.findall(text)]
    return found


def _resolved(importer: str, path: str) -> str:
    if not path.startswith("."):
        place = next(one for one in REMAPPED if path.startswith(f"{one}/")) if path[0] != "@" else None
        return path if place is None else REMAPPED[place] + path.removeprefix(place)
    parts = list(PurePosixPath(importer).parent.parts)
    for part in PurePosixPath(path).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)

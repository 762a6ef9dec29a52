"""Accounts in the encodings of Solana's JSON-RPC: base58, base64 and jsonParsed.

Shapes follow recorded answers of mainnet nodes; amounts come from the token programs.
"""

import base64
from typing import Any, Protocol

from solders.account import Account
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.token.state import Mint, TokenAccount, TokenAccountState

from balance_tracker.demo.solana_programs import TOKEN, TOKEN_2022

RENT_EPOCH = 2**64 - 1
MOST_BASE58_BYTES = 128
TOKEN_PROGRAM_NAMES = {TOKEN: "spl-token", TOKEN_2022: "spl-token-2022"}

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ACCOUNT_BYTES, _MINT_BYTES = 165, 82


class Bank(Protocol):
    """What encoding needs of a bank."""

    svm: LiteSVM

    def ui_amount(self, mint: Pubkey, raw_amount: int) -> str:
        """The text that the token program itself shows for a raw amount now."""


class RpcFailure(Exception):  # noqa: N818 (it is an answer of the bank, not an accident)
    """A JSON-RPC error to answer with."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def base58(data: bytes) -> str:
    """Bytes in base58; leading zero bytes are ones."""
    number = int.from_bytes(data)
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + digits


def encoded_account(bank: Bank, account: Account, options: dict[str, Any]) -> dict[str, Any]:
    """An account as ``getAccountInfo`` has it.

    Raises:
        RpcFailure: The encoding is unknown, or base58 and over 128 bytes.
    """
    return {
        "data": _data(bank, account, options),
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": str(account.owner),
        "rentEpoch": RENT_EPOCH,
        "space": len(account.data),
    }


def token_amount(bank: Bank, mint: Pubkey, decimals: int, raw_amount: int) -> dict[str, Any]:
    """A ``UiTokenAmount``; the text is what the mint's own program shows."""
    shown = bank.ui_amount(mint, raw_amount)
    return {
        "amount": str(raw_amount),
        "decimals": decimals,
        "uiAmount": float(shown),
        "uiAmountString": shown,
    }


def token_account_of(account: Account | None) -> TokenAccount | None:
    """The account as a token account of either program, or ``None`` if it is none."""
    if account is None or account.owner not in TOKEN_PROGRAM_NAMES or len(account.data) < _ACCOUNT_BYTES:
        return None
    if len(account.data) > _ACCOUNT_BYTES and account.data[_ACCOUNT_BYTES] != 2:
        return None
    return TokenAccount.from_bytes(bytes(account.data[:_ACCOUNT_BYTES]))


def mint_of(account: Account | None) -> Mint | None:
    """The account as a mint of either program, or ``None`` if it is none."""
    if account is None or account.owner not in TOKEN_PROGRAM_NAMES:
        return None
    size = len(account.data)
    extended = size > _ACCOUNT_BYTES and account.data[_ACCOUNT_BYTES] == 1
    return Mint.from_bytes(bytes(account.data[:_MINT_BYTES])) if size == _MINT_BYTES or extended else None


def _data(bank: Bank, account: Account, options: dict[str, Any]) -> Any:
    encoding = options.get("encoding") or "binary"
    if encoding == "jsonParsed":
        parsed = _parsed(bank, account)
        if parsed is not None:
            return {
                "program": TOKEN_PROGRAM_NAMES[account.owner],
                "parsed": parsed,
                "space": len(account.data),
            }
    data = _sliced(bytes(account.data), options.get("dataSlice"))
    if encoding in ("base64", "jsonParsed"):
        return [base64.b64encode(data).decode(), "base64"]
    if encoding not in ("base58", "binary"):
        raise RpcFailure(-32602, f"Invalid params: unknown variant `{encoding}`.")
    if len(data) > MOST_BASE58_BYTES:
        raise RpcFailure(
            -32600,
            "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.",
        )
    return base58(data) if encoding == "binary" else [base58(data), "base58"]


def _sliced(data: bytes, part: dict[str, int] | None) -> bytes:
    return data if part is None else data[part["offset"] : part["offset"] + part["length"]]


def _parsed(bank: Bank, account: Account) -> dict[str, Any] | None:
    holding = token_account_of(account)
    if holding is not None:
        mint = mint_of(bank.svm.get_account(holding.mint))
        return None if mint is None else {"info": _holding(bank, holding, mint.decimals), "type": "account"}
    mint = mint_of(account)
    return None if mint is None else {"info": _mint(mint), "type": "mint"}


def _holding(bank: Bank, holding: TokenAccount, decimals: int) -> dict[str, Any]:
    frozen = holding.state == TokenAccountState.Frozen
    info: dict[str, Any] = {
        "isNative": holding.is_native is not None,
        "mint": str(holding.mint),
        "owner": str(holding.owner),
        "state": "frozen" if frozen else "initialized",
        "tokenAmount": token_amount(bank, holding.mint, decimals, holding.amount),
    }
    if holding.delegate is not None:
        info["delegate"] = str(holding.delegate)
        info["delegatedAmount"] = token_amount(bank, holding.mint, decimals, holding.delegated_amount)
    if holding.is_native is not None:
        info["rentExemptReserve"] = token_amount(bank, holding.mint, decimals, holding.is_native)
    return info


def _mint(mint: Mint) -> dict[str, Any]:
    return {
        "decimals": mint.decimals,
        "freezeAuthority": None if mint.freeze_authority is None else str(mint.freeze_authority),
        "isInitialized": mint.is_initialized,
        "mintAuthority": None if mint.mint_authority is None else str(mint.mint_authority),
        "supply": str(mint.supply),
    }

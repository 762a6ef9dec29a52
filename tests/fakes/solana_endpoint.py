"""A bank's endpoint whose replies a test may change on their way out."""

from collections.abc import Callable
from typing import Any

import orjson

from balance_tracker.demo.solana_bank import SolanaBank
from balance_tracker.demo.solana_rpc_server import HttpAnswer, RpcServer

type Edit = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


class EditedEndpoint:
    """Serves a bank and gives every request and its reply to ``edit``, which returns the reply to send."""

    def __init__(self, bank: SolanaBank, edit: Edit) -> None:
        self._bank = bank
        self._edit = edit
        self._server = RpcServer(self, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        return self._server.url

    async def __aenter__(self) -> "EditedEndpoint":
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    def answer(self, body: bytes) -> HttpAnswer:
        answer = self._bank.rpc.answer(body)
        request, reply = orjson.loads(body), orjson.loads(answer.body)
        if isinstance(request, list):
            edited: Any = [self._edit(one, two) for one, two in zip(request, reply, strict=True)]
        else:
            edited = self._edit(request, reply)
        return HttpAnswer(answer.status, orjson.dumps(edited), answer.headers)


def error(reply: dict[str, Any], code: int, message: str) -> dict[str, Any]:
    """The reply as a JSON-RPC error."""
    return {"jsonrpc": "2.0", "id": reply["id"], "error": {"code": code, "message": message}}

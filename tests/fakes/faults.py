"""The faults of :class:`tests.fakes.bad_endpoint.BadEndpoint`, each by its name.

Wording and codes are those that real endpoints use: geth, erigon, nethermind, and public gateways.
"""

import asyncio
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any

from tests.fakes.bad_endpoint import Act, Exchange, Fault
from tests.fakes.http_wire import render, render_head

FAILED = frozenset({"failed"})
DEGRADED = frozenset({"failed", "partial"})
SURVIVABLE = frozenset({"ok"})
ANY = frozenset({"ok", "partial", "failed"})

BODY_LIMIT_BYTES = 2_000
GAS_LIMIT_HEX_DIGITS = 5_000
"""Calldata over this many hex digits is said to run out of gas: about eleven calls of a multicall."""
BATCH_LIMIT = 3
BLOCKS_BEHIND = 50
BOMB_BYTES = 256 * 2**20

FAULTS: dict[str, Fault] = {}

HTML = b"<html><head><title>502</title></head><body>Bad gateway, please retry</body></html>"


def fault(
    alone: frozenset[str] = FAILED, *, name: str | None = None, most_requests: int = 2, listens: bool = True
) -> Callable[[Act], Act]:
    """Register a fault under its function's name."""

    def register(act: Act) -> Act:
        known_as = name or getattr(act, "__name__", "")
        FAULTS[known_as] = Fault(known_as, act, alone, most_requests, listens)
        return act

    return register


# --- connections


@fault(listens=False)
async def refused(exchange: Exchange) -> None:
    exchange.hang_up()


@fault()
async def silent(exchange: Exchange) -> None:
    del exchange
    await asyncio.Event().wait()


@fault()
async def slow_drip(exchange: Exchange) -> None:
    """Everything is right but for the pace: one byte a second."""
    whole = render(200, await exchange.good())
    head = whole.index(b"\r\n\r\n") + 4
    await exchange.send(whole[:head])
    for byte in whole[head:]:
        await exchange.send(bytes([byte]))
        await asyncio.sleep(1)


@fault()
async def cut(exchange: Exchange) -> None:
    whole = render(200, await exchange.good())
    await exchange.send(whole[: len(whole) - 20])
    exchange.hang_up()


@fault()
async def reset(exchange: Exchange) -> None:
    exchange.reset()


@fault()
async def hangs_up(exchange: Exchange) -> None:
    exchange.hang_up()


@fault()
async def garbage_headers(exchange: Exchange) -> None:
    await exchange.send(b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\x00\xff\r\n\r\n")
    exchange.hang_up()


@fault()
async def endless_headers(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await exchange.send(b"X-More: " + b"a" * 1_000 + b"\r\n")


@fault()
async def endless_body(exchange: Exchange) -> None:
    await exchange.send(render_head(200, {"Transfer-Encoding": "chunked"}))
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    while True:
        await exchange.send(chunk)


@cache
def _bomb() -> bytes:
    """Packed piece by piece: the test watches the memory of this very process."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [packer.compress(b" " * 2**20) for _ in range(BOMB_BYTES // 2**20)]
    return b"".join([*pieces, packer.flush()])


@fault()
async def gzip_bomb(exchange: Exchange) -> None:
    """A quarter of a gigabyte in 260 kB."""
    await exchange.reply(_bomb(), Content_Encoding="gzip")


@fault()
async def announces_too_much(exchange: Exchange) -> None:
    await exchange.send(render_head(200, {"Content-Length": str(2**40)}))
    await asyncio.Event().wait()


@fault()
async def redirect_302(exchange: Exchange) -> None:
    await exchange.reply(b"", 302, Location=exchange.endpoint.canary_url)


@fault()
async def redirect_307(exchange: Exchange) -> None:
    """The kind that has clients send the body again, with their keys."""
    await exchange.reply(b"", 307, Location=exchange.endpoint.canary_url)


# --- bodies


def _always(name: str, body: bytes, status: int = 200, most_requests: int = 2, **headers: str) -> None:
    async def act(exchange: Exchange) -> None:
        await exchange.reply(body, status, **headers)

    fault(name=name, most_requests=most_requests)(act)


_always("empty_200", b"")
_always("blank_200", b"\n")
_always("html_200", HTML, Content_Type="text/html")
_always("json_number", b"42")
_always("json_null", b"null")
_always("json_string", b'"Not found"')
_always("empty_object", b"{}")
_always("empty_batch", b"[]")
_always("not_utf8", b'{"jsonrpc":"2.0","id":0,"result":"\xff\xfe"}')


@fault()
async def truncated_json(exchange: Exchange) -> None:
    good = await exchange.good()
    await exchange.reply(good[: len(good) // 2])


# --- statuses

_always("unauthorized_401", b'{"error":"invalid project id"}', 401)
_always("forbidden_403", b"error code: 1010", 403)
_always("not_found_404", HTML, 404, Content_Type="text/html")
_always("method_not_allowed_405", b"", 405)
_always("rate_limited_429", b"Too Many Requests", 429)
_always("rate_limited_429_retry_after", b"Too Many Requests", 429, Retry_After="30")
_always("internal_error_500", HTML, 500, Content_Type="text/html")
_always("bad_gateway_502", HTML, 502, Content_Type="text/html")
_always("unavailable_503", b"upstream connect error or disconnect/reset before headers", 503)
_always("unavailable_503_retry_after", b"", 503, Retry_After="30")
_always("gateway_timeout_504", HTML, 504, Content_Type="text/html")


@fault()
async def rate_limited_429_http_date(exchange: Exchange) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    await exchange.reply(b"", 429, Retry_After=until)


# --- JSON-RPC errors


def _always_error(name: str, error: Any, status: int = 200, alone: frozenset[str] = FAILED) -> None:
    async def act(exchange: Exchange) -> None:
        await exchange.reply_error(error, status)

    fault(alone, name=name)(act)


_always_error("rpc_error_500_body", {"code": -32603, "message": "Internal error"}, 500)
_always_error("rpc_error_400_body", {"code": -32600, "message": "Invalid Request"}, 400)
_always_error("rpc_internal_error", {"code": -32603, "message": "Internal error"}, alone=DEGRADED)
_always_error(
    "rpc_limit_exceeded", {"code": -32005, "message": "daily request count exceeded"}, alone=DEGRADED
)
_always_error("rpc_rate_limited_text", {"code": -32000, "message": "rate limit exceeded"}, alone=DEGRADED)
_always_error("rpc_error_string", "Missed `to` address", alone=DEGRADED)
_always_error("rpc_error_generic", {"code": -32000, "message": "unknown failure"}, alone=DEGRADED)
_always_error("rpc_error_without_message", {"code": -32000}, alone=DEGRADED)
_always_error("rpc_error_odd_types", {"code": "soon", "message": ["x"]}, alone=DEGRADED)
_always_error("eth_method_unknown", {"code": -32601, "message": "the method does not exist"}, alone=DEGRADED)


@fault(DEGRADED)
async def echoes_the_key(exchange: Exchange) -> None:
    """Some gateways quote the request in their errors."""
    message = f"project {exchange.request.target} of {exchange.endpoint.url} has no access"
    await exchange.reply_error({"code": -32002, "message": message})


@fault(SURVIVABLE, most_requests=4)
async def batch_unsupported(exchange: Exchange) -> None:
    """Not one error for each call, but one for all; single calls are fine."""
    if exchange.is_batch:
        await exchange.reply_json(
            {
                "jsonrpc": "2.0",
                "id": None,
                "error": {"code": -32600, "message": "Batch requests are disabled"},
            }
        )
    else:
        await exchange.reply(await exchange.good())


@fault(SURVIVABLE, most_requests=4)
async def batch_refused_400(exchange: Exchange) -> None:
    if exchange.is_batch:
        await exchange.reply(b"batch requests are not allowed", 400)
    else:
        await exchange.reply(await exchange.good())


@fault(SURVIVABLE, most_requests=6)
async def body_too_large(exchange: Exchange) -> None:
    if len(exchange.request.body) > BODY_LIMIT_BYTES:
        await exchange.reply(b"Request Entity Too Large", 413)
    else:
        await exchange.reply(await exchange.good())


def _error_where(call_fits: Callable[[dict[str, Any]], bool], error: Any) -> Act:
    def edit(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": reply["id"], "error": error} if call_fits(call) else reply

    async def act(exchange: Exchange) -> None:
        await exchange.reply_edited(edit)

    return act


def _is_heavy(call: dict[str, Any]) -> bool:
    return call["method"] == "eth_call" and len(_calldata(call)) > GAS_LIMIT_HEX_DIGITS


def _calldata(call: dict[str, Any]) -> str:
    transaction = call["params"][0]
    return str(transaction.get("data") or transaction.get("input") or "")


def _is_call(call: dict[str, Any]) -> bool:
    return call["method"] == "eth_call"


def _is_historic(call: dict[str, Any]) -> bool:
    """Whether it reads state at a numbered block (or by hash)."""
    where = call["params"][1] if len(call["params"]) > 1 else "latest"
    return call["method"] in {"eth_call", "eth_getBalance", "eth_getCode"} and where not in {
        "latest",
        "pending",
        "safe",
        "finalized",
    }


_PRUNED = {
    "code": -32000,
    "message": f"missing trie node {'0' * 64} (path ) state 0x{'0' * 64} is not available",
}

fault(SURVIVABLE, name="gas_cap")(_error_where(_is_heavy, {"code": -32000, "message": "out of gas"}))
fault(SURVIVABLE, name="gas_cap_erigon")(
    _error_where(_is_heavy, {"code": -32000, "message": "err: gas limit reached (supplied gas 50000000)"})
)


@fault(SURVIVABLE, most_requests=20)
async def batch_limit_3(exchange: Exchange) -> None:
    """Small batches only, and no gas for a multicall: everything must go three by three."""
    if len(exchange.calls) > BATCH_LIMIT:
        error = {"code": -32000, "message": f"maximum batch size is {BATCH_LIMIT}"}
        await exchange.reply_json({"jsonrpc": "2.0", "id": None, "error": error}, 400)
    else:
        await FAULTS["gas_cap"].act(exchange)


fault(DEGRADED, name="eth_call_unsupported")(
    _error_where(_is_call, {"code": -32601, "message": "the method eth_call does not exist/is not available"})
)
fault(ANY, name="pruned_state")(_error_where(_is_historic, _PRUNED))


# --- answers that look right


def _edit_all(change: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]) -> Act:
    async def act(exchange: Exchange) -> None:
        await exchange.reply_edited(change)

    return act


def _with_result(value: Any, methods: frozenset[str] | None = None) -> Act:
    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        return {**reply, "result": value} if methods is None or call["method"] in methods else reply

    return _edit_all(change)


_READS = frozenset({"eth_call", "eth_getBalance"})

fault(name="wrong_id")(_edit_all(lambda _call, reply: {**reply, "id": int(reply["id"]) + 7_000}))
fault(name="null_id")(_edit_all(lambda _call, reply: {**reply, "id": None}))
fault(SURVIVABLE, name="ids_as_text")(_edit_all(lambda _call, reply: {**reply, "id": str(reply["id"])}))
fault(DEGRADED, name="result_0x", most_requests=5)(_with_result("0x", _READS))
fault(name="result_null")(_with_result(None))
fault(DEGRADED, name="result_not_hex")(_with_result("0xzz", _READS))
fault(DEGRADED, name="result_is_an_object")(_with_result({"value": "0x1"}, _READS))
fault(DEGRADED, name="result_too_short")(_with_result("0x" + "00" * 32, frozenset({"eth_call"})))
fault(name="no_result")(_edit_all(lambda _call, reply: {"jsonrpc": "2.0", "id": reply["id"]}))
fault(DEGRADED, name="head_is_null")(_with_result(None, frozenset({"eth_getBlockByNumber"})))


@fault()
async def missing_item(exchange: Exchange) -> None:
    """A batch is answered but for its last call; a single call is answered by an empty batch."""
    answer = json.loads(await exchange.good())
    await exchange.reply_json(answer[:-1] if isinstance(answer, list) else [])


@fault()
async def duplicated_ids(exchange: Exchange) -> None:
    """Two replies claim one id, and the other call has none."""
    answer = json.loads(await exchange.good())
    if isinstance(answer, list):
        await exchange.reply_json([{**item, "id": answer[0]["id"]} for item in answer])
    else:
        await exchange.reply_json([answer, answer])


@fault(SURVIVABLE)
async def reordered_batch(exchange: Exchange) -> None:
    """Allowed by the specification, and done by some."""
    answer = json.loads(await exchange.good())
    await exchange.reply_json(answer[::-1] if isinstance(answer, list) else answer)


@fault()
async def wrong_chain(exchange: Exchange) -> None:
    """A good node, but of another network."""
    await exchange.reply(await exchange.good(other=True))


@fault(SURVIVABLE)
async def stale_head(exchange: Exchange) -> None:
    """Stuck 50 blocks ago, and sure that this is the latest."""
    head = json.loads(
        await exchange.good({"jsonrpc": "2.0", "id": 0, "method": "eth_blockNumber", "params": []})
    )
    stuck = hex(int(head["result"], 16) - BLOCKS_BEHIND)
    calls = [
        {**call, "params": [stuck if value == "latest" else value for value in call["params"]]}
        for call in exchange.calls
    ]

    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        return {**reply, "result": stuck} if call["method"] == "eth_blockNumber" else reply

    await exchange.reply_edited(change, calls if exchange.is_batch else calls[0])


@fault(ANY)
async def torn_batch(exchange: Exchange) -> None:
    """A gateway of several nodes: the header that it gives is not of the block that it read at."""

    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_getBlockByNumber" or not reply.get("result"):
            return reply
        header = reply["result"]
        other = {"number": hex(int(header["number"], 16) - 3), "hash": header["parentHash"]}
        return {**reply, "result": {**header, **other}}

    await exchange.reply_edited(change)


@fault(ANY)
async def flapping(exchange: Exchange) -> None:
    """Bad, good, bad, good."""
    if exchange.number % 2:
        await exchange.reply(HTML, 502)
    else:
        await exchange.reply(await exchange.good())

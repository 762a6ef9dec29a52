"""One WebSocket, many questions: answers find their question, and a lost connection is told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from tests.transport.servers import until
from tests.transport.sockets import SocketServer, good, mute, reply_to, socket_serving

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.jsonrpc import RpcCall, decode, encode, new_ids
from balance_tracker.transport.pool import Session, open_pool
from balance_tracker.transport.websocket import MOST_GIVEN_UP, WsChannel


@asynccontextmanager
async def channel_to(url: str) -> AsyncIterator[WsChannel]:
    async with HttpClient() as http:
        channel = WsChannel(url, http)
        try:
            yield channel
        finally:
            await channel.close()


async def ask(channel: WsChannel, *methods: str, timeout_seconds: float = 2.0) -> list[Any]:
    first_id = new_ids()
    body = encode([RpcCall(method) for method in methods], first_id)
    return decode((await channel.exchange(body, first_id, timeout_seconds)).body, len(methods), first_id)


async def failure(channel: WsChannel, timeout_seconds: float = 2.0) -> str:
    with pytest.raises(UpstreamError) as caught:
        await ask(channel, "a", timeout_seconds=timeout_seconds)
    return caught.value.code


async def test_many_questions_share_one_connection() -> None:
    async with socket_serving(good) as server, channel_to(server.url) as channel:
        answers = await asyncio.gather(*(ask(channel, f"m{number}", "x") for number in range(20)))
        assert answers == [[f"m{number}", "x"] for number in range(20)]
        assert await ask(channel, "single") == ["single"]
    assert server.connections == 1


async def test_answers_in_another_order_find_their_questions() -> None:
    held: list[Any] = []

    async def backwards(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
        held.append(document)
        if len(held) == 3:
            for item in reversed(held):
                await socket.send_str(json.dumps(reply_to(item)))

    async with socket_serving(backwards) as server, channel_to(server.url) as channel:
        answers = await asyncio.gather(*(ask(channel, name, name * 2) for name in "abc"))
    assert answers == [["a", "aa"], ["b", "bb"], ["c", "cc"]]


async def test_an_answer_as_bytes_is_an_answer() -> None:
    async def binary(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
        await socket.send_bytes(json.dumps(reply_to(document)).encode())

    async with socket_serving(binary) as server, channel_to(server.url) as channel:
        assert await ask(channel, "a") == ["a"]


async def test_news_and_answers_of_nobody_are_passed_over() -> None:
    async def chatty(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
        await socket.send_str(json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": {}}))
        await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": 99_900_000, "result": "of somebody else"}))
        await socket.send_str(json.dumps(reply_to(document)))
        await socket.send_str(json.dumps(reply_to(document)))

    async with socket_serving(chatty) as server, channel_to(server.url) as channel:
        assert await ask(channel, "a", "b") == ["a", "b"]
        assert await ask(channel, "c") == ["c"]


@pytest.mark.parametrize(
    "text",
    ["<html>", '{"jsonrpc":"2.0","id":null,"error":{"code":429,"message":"too many requests"}}', "[]", "7"],
)
async def test_nonsense_belongs_to_the_oldest_question_and_its_reader_says_what_is_wrong(text: str) -> None:
    async def nonsense(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
        await socket.send_str(text)

    async with socket_serving(nonsense) as server, channel_to(server.url) as channel:
        with pytest.raises(UpstreamError):
            await ask(channel, "a", "b", timeout_seconds=1.0)


async def test_nonsense_that_nobody_waits_for_is_passed_over() -> None:
    async with socket_serving(good) as server, channel_to(server.url) as channel:
        await ask(channel, "a")
        await server.sockets[0].send_str("<html>")
        await server.sockets[0].send_bytes(b"\xff\xfe")
        await asyncio.sleep(0.05)
        assert await ask(channel, "b") == ["b"]


async def test_silence_ends_in_time_and_a_late_answer_harms_nobody() -> None:
    first = True

    async def late(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
        nonlocal first
        if first:
            first = False
            return
        await socket.send_str(json.dumps(reply_to(server.documents[0])))
        await socket.send_str(json.dumps(reply_to(document)))

    async with socket_serving(late) as server, channel_to(server.url) as channel:
        assert await failure(channel, timeout_seconds=0.1) == "timed_out"
        assert await ask(channel, "b") == ["b"]
    assert server.connections == 1


async def test_late_nonsense_is_not_read_as_the_answer_to_the_next_question() -> None:
    late_error = json.dumps({"id": None, "error": {"code": 3, "message": "execution reverted"}})

    async def late(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
        if len(server.documents) == 2:
            await socket.send_str(late_error)
        elif len(server.documents) == 3:
            await good(server, socket, document)

    async with socket_serving(late) as server, channel_to(server.url) as channel:
        assert await failure(channel, timeout_seconds=0.1) == "timed_out"
        assert await failure(channel) == "bad_response"
        assert await ask(channel, "c") == ["c"]
    assert server.connections == 1


async def test_late_nonsense_that_comes_between_two_questions_is_passed_over() -> None:
    async def not_the_first(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
        if len(server.documents) > 1:
            await good(server, socket, document)

    async with socket_serving(not_the_first) as server, channel_to(server.url) as channel:
        assert await failure(channel, timeout_seconds=0.1) == "timed_out"
        await server.sockets[0].send_str("<html>")
        await asyncio.sleep(0.05)
        assert await ask(channel, "b") == ["b"]


async def test_questions_that_are_never_answered_are_forgotten_in_the_end() -> None:
    async def mute_at_first(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
        if len(server.documents) > 2 * MOST_GIVEN_UP:
            await good(server, socket, document)

    async with socket_serving(mute_at_first) as server, channel_to(server.url) as channel:
        for count in (MOST_GIVEN_UP, MOST_GIVEN_UP):
            await asyncio.gather(*(failure(channel, timeout_seconds=0.2) for _ in range(count)))
        assert await ask(channel, "a") == ["a"]


async def test_ids_that_come_back_as_text_find_their_question() -> None:
    async def as_text(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
        await socket.send_str(json.dumps([{**item, "id": str(item["id"])} for item in reply_to(document)]))

    async with socket_serving(as_text) as server, channel_to(server.url) as channel:
        assert await ask(channel, "a", "b") == ["a", "b"]


async def test_a_connection_that_is_closed_fails_its_questions_and_is_opened_again() -> None:
    async def once(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
        if server.connections == 1:
            await socket.close()
        else:
            await good(server, socket, document)

    async with socket_serving(once) as server, channel_to(server.url) as channel:
        assert await failure(channel) == "connection_failed"
        assert await ask(channel, "b") == ["b"]
    assert server.connections == 2


async def test_closing_the_channel_ends_the_questions_that_wait() -> None:
    async with socket_serving(mute) as server, channel_to(server.url) as channel:
        waiting = asyncio.create_task(failure(channel, timeout_seconds=5.0))
        await until(lambda: bool(server.documents))
        started = time.monotonic()
        await channel.close()
        assert await waiting == "connection_failed"
        assert time.monotonic() - started < 2.0


async def test_nobody_there_or_no_socket_there_is_a_failed_connection() -> None:
    async with socket_serving(good) as server, channel_to(server.url + "nothing") as channel:
        assert await failure(channel) == "connection_failed"
    async with channel_to(server.url) as channel:
        assert await failure(channel) == "connection_failed"


async def test_a_channel_that_was_never_used_closes_too() -> None:
    async with channel_to("ws://127.0.0.1:1/"):
        pass


async def test_a_pool_reads_through_a_socket() -> None:
    async def operation(session: Session) -> list[Any]:
        return await session.ask([RpcCall("a"), RpcCall("b")])

    async with socket_serving(good) as server, open_pool("testnet", [server.url]) as pool:
        assert await pool.run(operation, asyncio.get_running_loop().time() + 2) == ["a", "b"]
        (health,) = pool.health()
    assert health.state == "healthy"
    assert len(server.documents) == 1

"""The counting gateway passes everything on and counts it."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from tests.conftest import OpenGateway

from balance_tracker.demo.anvil import AnvilNode

pytestmark = pytest.mark.integration

CHAIN_ID = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
HEAD = {"jsonrpc": "2.0", "id": 2, "method": "eth_blockNumber", "params": []}


async def post(url: str, document: Any) -> Any:
    def send() -> Any:
        request = urllib.request.Request(
            url, json.dumps(document).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    return await asyncio.to_thread(send)


async def test_requests_calls_and_bytes_are_counted(
    shared_node: AnvilNode, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(shared_node.url)
    assert (await post(gateway.url, CHAIN_ID))["result"] == "0x1"
    answers = await post(gateway.url, [CHAIN_ID, HEAD])
    assert len(answers) == 2
    counts = gateway.counts
    assert (counts.requests, counts.calls) == (2, 3)
    assert counts.methods == ["eth_chainId", "eth_chainId", "eth_blockNumber"]
    assert [item.batch for item in counts.passed] == [False, True]
    assert counts.request_bytes == len(json.dumps(CHAIN_ID)) + len(json.dumps([CHAIN_ID, HEAD]))
    assert counts.response_bytes > 0
    gateway.reset()
    assert gateway.counts.requests == 0


async def test_answers_can_be_made_slow(shared_node: AnvilNode, open_gateway: OpenGateway) -> None:
    gateway = await open_gateway(shared_node.url, delay_seconds=0.1)
    begun = time.monotonic()
    await post(gateway.url, CHAIN_ID)
    assert time.monotonic() - begun >= 0.1


async def test_a_gateway_that_is_down_answers_nothing(
    shared_node: AnvilNode, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(shared_node.url)
    gateway.down = True
    with pytest.raises((OSError, urllib.error.URLError)):
        await post(gateway.url, CHAIN_ID)
    assert gateway.counts.requests == 0

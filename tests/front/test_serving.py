"""``serve`` and the terminal's table, as a process of their own."""

import asyncio
import json
import os
import pty
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import pytest
from tests.nodes.token_zoo import Zoo

import balance_tracker
from balance_tracker.demo.anvil import AnvilNode

pytestmark = pytest.mark.integration

SOURCE = str(Path(balance_tracker.__file__).parent.parent)


def environment(node: AnvilNode) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": SOURCE,
        "TRACKER_NETWORKS": "ethereum",
        "TRACKER_RPC_ETHEREUM": f"{node.url}/?apikey=key-12345",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def fetched(url: str) -> str:
    def read() -> str:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()  # type: ignore[no-any-return]

    for _ in range(400):
        try:
            return await asyncio.to_thread(read)
        except OSError:
            await asyncio.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


@pytest.mark.parametrize("workers", [1, 2])
async def test_serve_answers_logs_without_keys_and_stops_when_told_to(
    workers: int, shared_node: AnvilNode, zoo: Zoo, tmp_path: Path
) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "balance_tracker", "serve", "--port", str(port), "--workers", str(workers)),
        cwd=tmp_path,
        env=environment(shared_node),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        assert json.loads(await fetched(f"{base}/health"))["status"] == "ok"
        body = json.loads(await fetched(f"{base}/balances?address={zoo.owner}"))
        metrics = await fetched(f"{base}/metrics")
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    lines = [json.loads(line) for line in err.decode().splitlines()]
    assert body["coverage"][0]["endpoint"].startswith("127.0.0.1:")
    assert out == b""
    assert any(line["event"] == "request_answered" and line["route"] == "/balances" for line in lines)
    assert "key-12345" not in err.decode() + json.dumps(body) + metrics
    assert process.returncode in {0, -signal.SIGTERM}


async def test_a_port_that_is_taken_is_told_in_a_sentence(shared_node: AnvilNode, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "balance_tracker", "serve", "--port", str(taken.getsockname()[1])),
            cwd=tmp_path,
            env=environment(shared_node),
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert "Error: the server could not be started" in err.decode()
    assert "Traceback" not in err.decode()


async def test_a_terminal_gets_a_table(shared_node: AnvilNode, zoo: Zoo, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "balance_tracker", "balances", zoo.owner, "--tokens", zoo["proxy"].address),
        cwd=tmp_path,
        env={**environment(shared_node), "COLUMNS": "120", "TERM": "xterm-256color"},
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        text = await asyncio.to_thread(_everything, master)
        await asyncio.wait_for(process.wait(), 30)
    finally:
        os.close(master)
    assert process.returncode == 3  # the shipped tokens are not on this node
    assert zoo.owner in text
    assert "Asking all networks" in text
    assert "PRX" in text
    assert "42" in text
    assert "no contract there" in text


def _everything(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # the other side was closed
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode(errors="replace")

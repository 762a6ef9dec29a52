"""A local EVM node: one anvil process, started on a free port and never left behind."""

import asyncio
import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from balance_tracker.core.errors import ConfigurationError, UpstreamError
from balance_tracker.demo.artifacts import anvil_binary, fetch_packages
from balance_tracker.demo.node_client import NodeClient

HOST = "127.0.0.1"
READY_SECONDS = 20.0
STOP_SECONDS = 5.0
_TRIES = 5
_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.02
_PROBE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class AnvilNode:
    """A running anvil: where it listens, and a client for setting it up."""

    url: str
    chain_id: int
    client: NodeClient
    process: "subprocess.Popen[bytes]"

    def stop(self) -> None:
        """End the process and wait until it is gone; calling it again does nothing."""
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start_anvil(
    chain_id: int,
    *,
    timestamp: int | None = None,
    block_time_seconds: float | None = None,
    extra_arguments: Sequence[str] = (),
    packages: Path | None = None,
) -> AnvilNode:
    """Start one node and wait until it answers. The caller must call :meth:`AnvilNode.stop`.

    Args:
        chain_id: The EIP-155 integer that it claims to be.
        timestamp: Unix seconds of its first block; now if not given.
        block_time_seconds: Mine at this pace; if not given, mine once per transaction.
        extra_arguments: More words for anvil's command line.
        packages: The ``node_modules`` that has anvil; the demo's (fetched if missing) if not given.

    Raises:
        ConfigurationError: It can't be had or did not start.
    """
    command = [str(anvil_binary(packages or fetch_packages())), "--host", HOST, "--silent"]
    command += ["--chain-id", str(chain_id), "--base-fee", "0", "--gas-price", "0", "--order", "fifo"]
    if timestamp is not None:
        command += ["--timestamp", str(timestamp)]
    if block_time_seconds is not None:
        command += ["--block-time", f"{block_time_seconds:g}"]
    command += extra_arguments
    for _ in range(_TRIES):
        node = _start(command, chain_id)
        if node is not None:
            return node
    raise ConfigurationError(f"The local EVM node of chain {chain_id} did not start in {_TRIES} tries.")


@asynccontextmanager
async def anvil(
    chain_id: int,
    *,
    timestamp: int | None = None,
    block_time_seconds: float | None = None,
    extra_arguments: Sequence[str] = (),
) -> AsyncIterator[AnvilNode]:
    """A node for the length of a block; see :func:`start_anvil`."""
    packages = await asyncio.to_thread(fetch_packages)
    # Started in this thread: the process is tied to the thread that starts it.
    node = start_anvil(
        chain_id,
        timestamp=timestamp,
        block_time_seconds=block_time_seconds,
        extra_arguments=extra_arguments,
        packages=packages,
    )
    try:
        yield node
    finally:
        node.stop()


def _start(command: Sequence[str], chain_id: int) -> AnvilNode | None:
    """Try one port; ``None`` if the process gave up (another one took the port meanwhile)."""
    port = _free_port()
    process = subprocess.Popen(  # noqa: S603 - a binary that we fetched by hash, no shell
        [*command, "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us; we then stop the nodes in order
        preexec_fn=_dies_with_us(),  # noqa: PLW1509 - one system call, prepared before the fork
    )
    node = AnvilNode(f"http://{HOST}:{port}", chain_id, NodeClient(HOST, port), process)
    try:
        ready = _wait_until_ready(node, port)
    except BaseException:
        node.stop()
        raise
    if not ready:
        node.stop()
    return node if ready else None


def _wait_until_ready(node: AnvilNode, port: int) -> bool:
    """Whether our own node answers; a stranger on the port may be silent, or answer too."""
    deadline = time.monotonic() + READY_SECONDS
    probe = NodeClient(HOST, port, _PROBE_SECONDS)
    try:
        while node.process.poll() is None and time.monotonic() < deadline:
            try:
                answer = probe.call("eth_chainId")
            except OSError:
                time.sleep(_POLL_SECONDS)
            except UpstreamError:
                return False  # another server has the port, and does not know the question
            else:
                return int(answer, 16) == node.chain_id and node.process.poll() is None
    finally:
        probe.close()
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _dies_with_us() -> Callable[[], None] | None:
    """What makes Linux end the child when this process is killed without a chance to clean up."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask

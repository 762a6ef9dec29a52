"""Local EVM nodes start, answer, and never stay behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from balance_tracker.core.errors import ConfigurationError, UpstreamError
from balance_tracker.demo import anvil as anvil_module
from balance_tracker.demo.anvil import anvil, start_anvil
from balance_tracker.demo.contracts import DEPLOYER, Transaction, call_data, set_code, transact

pytestmark = pytest.mark.integration

PARENT = """
import sys, time
from balance_tracker.demo.anvil import start_anvil
print(start_anvil(1).process.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


async def test_a_node_has_the_chain_and_the_time_it_was_given() -> None:
    async with anvil(8453, timestamp=1_700_000_000, block_time_seconds=60) as node:
        assert int(node.client.call("eth_chainId"), 16) == 8453
        assert int(node.client.call("eth_getBlockByNumber", "0x0", False)["timestamp"], 16) == 1_700_000_000
    assert node.process.poll() is not None


async def test_a_node_is_stopped_when_the_block_fails() -> None:
    with pytest.raises(ZeroDivisionError):
        async with anvil(1) as node:
            raise ZeroDivisionError
    assert node.process.poll() is not None
    node.stop()


def test_a_node_ends_with_a_parent_that_is_killed() -> None:
    if not sys.platform.startswith("linux"):
        assert anvil_module._dies_with_us() is None  # no other system can tie it to its parent
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone_within(pid, 5)


def test_a_taken_port_is_tried_again_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
        probe.close()
        ports = iter([taken.getsockname()[1], free])
        monkeypatch.setattr(anvil_module, "_free_port", lambda: next(ports))
        monkeypatch.setattr(anvil_module, "READY_SECONDS", 5.0)
        node = start_anvil(1)
        try:
            assert node.url.endswith(f":{free}")
        finally:
            node.stop()


def test_a_node_that_never_starts_is_an_error(packages: Path) -> None:
    with pytest.raises(ConfigurationError, match="did not start"):
        start_anvil(1, extra_arguments=("--no-such-option",), packages=packages)


def test_a_failed_transaction_is_named_and_the_node_goes_on(node: anvil_module.AnvilNode) -> None:
    target = "0x" + "5e" * 20
    set_code(node.client, {target: bytes.fromhex("600080fd")})
    with pytest.raises(UpstreamError, match=f"{target} calling a9059cbb failed"):
        transact(node.client, [Transaction(target, call_data("transfer(address,uint256)", DEPLOYER, 1))])
    before = int(node.client.call("eth_blockNumber"), 16)
    transact(node.client, [Transaction(DEPLOYER)])
    assert int(node.client.call("eth_blockNumber"), 16) == before + 2


def test_a_call_gets_no_more_gas_than_a_usual_block_has_also_after_a_roll_back(
    node: anvil_module.AnvilNode,
) -> None:
    client = node.client
    transact(client, [Transaction(DEPLOYER)])
    snapshot = client.call("evm_snapshot")
    client.call("evm_revert", snapshot)
    assert int(client.call("eth_getBlockByNumber", "latest", False)["gasLimit"], 16) == 30_000_000


def test_what_the_node_refuses_is_an_error_and_no_result(node: anvil_module.AnvilNode) -> None:
    with pytest.raises(UpstreamError, match="refused no_such_method"):
        node.client.call("no_such_method")

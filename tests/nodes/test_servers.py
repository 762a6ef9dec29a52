"""Servers that tests start do not outlive them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis
from tests.nodes.servers import PostgresServer, empty_redis

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.nodes.servers import PostgresServer, postgres_binaries, redis_served
folder = Path(sys.argv[1])
server = PostgresServer(postgres_binaries()["postgresql"], folder).__enter__()
served = redis_served(folder)
port = served.__enter__().rpartition(":")[2].partition("/")[0]
print(server.port, port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def listening(port: int) -> bool:
    entry = f"0100007F:{port:04X}"
    states = (line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(state[0] == entry and state[2] == "0A" for state in states)


@pytest.mark.integration
def test_servers_end_with_tests_that_are_killed(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ports = [int(port) for port in killed.stdout.split()]
    assert len(ports) == 2, killed.stderr

    until = time.monotonic() + 10
    while any(listening(port) for port in ports):
        assert time.monotonic() < until, "a server outlived the tests"
        time.sleep(0.05)


@pytest.mark.integration
def test_a_killed_cluster_starts_again_with_what_it_had(postgres: PostgresServer) -> None:
    name = postgres.fresh()
    postgres.sql("CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)", database=name)
    for _ in range(3):
        postgres.kill()
        postgres.start()
    assert postgres.sql("SELECT id FROM kept", database=name) == "1\n"
    postgres.drop(name)


@pytest.mark.integration
def test_each_test_finds_an_empty_redis(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "over")
        empty_redis(redis_url)
        assert client.dbsize() == 0

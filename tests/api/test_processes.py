"""Keys as several processes of one service see them: a change in one is seen in the others at once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
from tests.fakes.access import ADMIN_KEY
from tests.fakes.guarded import ADMIN

from balance_tracker.api.app import create_app

ROOT = Path(__file__).parents[2]
ROUNDS = 5


@contextmanager
def serving(environment: dict[str, str], processes: int = 1) -> Iterator[list[httpx2.Client]]:
    """Processes that serve, started side by side: importing takes most of their time."""
    with ExitStack() as stack:
        started = [stack.enter_context(_started(environment)) for _ in range(processes)]
        clients = []
        for process in started:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{int(process.stdout.readline())}"
            clients.append(stack.enter_context(httpx2.Client(base_url=url, timeout=20)))
        yield clients


@contextmanager
def _started(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.api.guarded_process"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(20)


@pytest.fixture(params=["sqlite", "postgresql with redis"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    kind = request.param
    database = "sqlite_url" if kind.startswith("sqlite") else "postgres_url"
    chosen = {
        "DATABASE_URL": request.getfixturevalue(database),
        "TRACKER_ADMIN_KEY": ADMIN_KEY,
        "TRACKER_REQUIRE_API_KEY": "true",
        "TRACKER_LOG_LEVEL": "warning",
    }
    if kind.endswith("redis"):
        chosen["REDIS_URL"] = request.getfixturevalue("redis_url")
    return chosen


def command(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "balance_tracker", "keys", *words],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.integration
def test_a_change_of_a_key_is_seen_at_once_in_every_process(environment: dict[str, str]) -> None:
    with serving(environment, 2) as (one, other):
        for number in range(ROUNDS):
            made = one.post("/keys", json={"name": f"script {number}"}, headers=ADMIN).json()
            key = {"X-API-Key": made["key"]}
            for _ in range(3):
                assert other.get("/networks", headers=key).status_code == 200
            one.patch(f"/keys/{made['id']}", json={"scopes": ["read"]}, headers=ADMIN)
            assert other.post("/wallets", json={}, headers=key).status_code in {403, 422}
            wallet = {"name": "x", "addresses": ["vitalik.eth"]}
            assert other.post("/wallets", json=wallet, headers=key).json()["code"] == "scope_missing"
            new = {"X-API-Key": one.post(f"/keys/{made['id']}/rotate", headers=ADMIN).json()["key"]}
            assert other.get("/networks", headers=new).status_code == 200
            assert one.delete(f"/keys/{made['id']}", headers=ADMIN).status_code == 200
            for secret in (key, new):
                assert other.get("/networks", headers=secret).json()["code"] == "key_revoked"
                assert one.get("/networks", headers=secret).json()["code"] == "key_revoked"
        # The same by the command line, whose process is a third one.
        secret = command(environment, "create", "by hand").strip()
        for api in (one, other, one, other):
            assert api.get("/networks", headers={"X-API-Key": secret}).status_code == 200
        command(environment, "revoke", secret[:15])
        for api in (one, other):
            assert api.get("/networks", headers={"X-API-Key": secret}).json()["code"] == "key_revoked"


@pytest.mark.integration
def test_usage_is_kept_when_a_process_ends(sqlite_url: str) -> None:
    chosen = {"DATABASE_URL": sqlite_url, "TRACKER_ADMIN_KEY": ADMIN_KEY, "TRACKER_LOG_LEVEL": "warning"}
    with serving(chosen) as (api,):
        made = api.post("/keys", json={"name": "x"}, headers=ADMIN).json()
        for _ in range(3):
            api.get("/networks", headers={"X-API-Key": made["key"]})
    with serving(chosen) as (api,):
        usage = api.get(f"/keys/{made['id']}/usage", headers=ADMIN).json()["usage"]
    assert [(row["route"], row["requests"]) for row in usage] == [("/networks", 3)]


def test_the_app_that_is_served_has_the_guard() -> None:
    assert "Guard" in {middleware.cls.__name__ for middleware in create_app().user_middleware}

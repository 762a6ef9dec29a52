"""What the service tells of its database."""

import pytest
from fastapi.testclient import TestClient
from tests.fakes.tracker import ScriptedTracker, opened, three_networks
from tests.nodes.servers import PostgresServer

from balance_tracker.api.app import create_app
from balance_tracker.settings import Settings


def client(database_url: str) -> TestClient:
    tracker = ScriptedTracker(three_networks(), settings=Settings(database_url=database_url))
    return TestClient(create_app(open_tracker=lambda: opened(tracker)), raise_server_exceptions=False)


@pytest.mark.integration
def test_it_is_not_ready_while_the_database_is_away_and_again_when_it_is_back(
    postgres: PostgresServer, postgres_url: str
) -> None:
    with client(postgres_url) as api:
        assert api.get("/ready").json()["components"]["database"] == "ok"
        postgres.kill()
        failed = api.get("/ready")
        alive = api.get("/health")
        postgres.start()
        back = api.get("/ready")

    assert (failed.status_code, failed.json()["detail"]) == (503, "The database does not answer.")
    assert failed.json()["components"]["database"] == "failed"
    assert failed.json()["components"]["ethereum"] == "ok"
    assert (alive.status_code, alive.json()["components"]["database"]) == (200, "failed")
    assert (back.status_code, back.json()["components"]["database"]) == (200, "ok")


@pytest.mark.integration
def test_a_database_that_hangs_does_not_keep_readiness_waiting(
    postgres: PostgresServer, postgres_url: str
) -> None:
    with client(postgres_url) as api:
        postgres.freeze()
        try:
            answer = api.get("/ready")
        finally:
            postgres.thaw()
    assert answer.status_code == 503
    assert answer.elapsed.total_seconds() < 4


def test_the_metrics_tell_of_connections_and_transactions(sqlite_url: str) -> None:
    with client(sqlite_url) as api:
        api.get("/ready")
        text = api.get("/metrics").text
    assert "tracker_database_connections_limit 10.0" in text
    assert "\ntracker_database_connections " in text
    assert 'tracker_database_transaction_seconds_count{access="read"}' in text

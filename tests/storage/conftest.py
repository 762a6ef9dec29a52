"""Stores hold on every database: SQLite, the newest PostgreSQL, and the oldest that is supported."""

from collections.abc import Iterator

import pytest
from tests.conftest import migrated_template
from tests.nodes.servers import PostgresServer, postgres_binaries

POSTGRES = sorted(postgres_binaries())

type Templates = dict[str, tuple[PostgresServer, str]]


@pytest.fixture(scope="session")
def older_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """PostgreSQL 15, where its binaries are found."""
    binaries = postgres_binaries()["postgresql-15"]
    with PostgresServer(binaries, tmp_path_factory.mktemp("postgres-15")) as server:
        yield server


@pytest.fixture(scope="session")
def older_template(older_postgres: PostgresServer) -> str:
    return migrated_template(older_postgres)


@pytest.fixture
def older_postgres_url(older_postgres: PostgresServer, older_template: str) -> Iterator[str]:
    name = older_postgres.fresh(older_template)
    yield older_postgres.url(name)
    older_postgres.drop(name)


@pytest.fixture(params=POSTGRES)
def postgres_server(request: pytest.FixtureRequest) -> PostgresServer:
    """A cluster of each version."""
    name = {"postgresql": "postgres", "postgresql-15": "older_postgres"}[request.param]
    server: PostgresServer = request.getfixturevalue(name)
    return server


@pytest.fixture(
    params=["sqlite", *(pytest.param(name, marks=pytest.mark.integration) for name in POSTGRES)],
)
def database_url(request: pytest.FixtureRequest) -> str:
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "postgresql-15": "older_postgres_url"}
    url: str = request.getfixturevalue(name[request.param])
    return url

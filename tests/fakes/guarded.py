"""The whole API with its guard, over scripted networks and a real database."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fastapi.testclient import TestClient
from httpx2 import Response
from tests.fakes.access import ADMIN_KEY
from tests.fakes.readers import ScriptedReader
from tests.fakes.tracker import ScriptedTracker, opened, three_networks

from balance_tracker.api.app import create_app
from balance_tracker.settings import Settings

ADMIN = {"X-API-Key": ADMIN_KEY}


@contextmanager
def guarded(
    readers: Sequence[ScriptedReader] | None = None,
    *,
    client: tuple[str, int] = ("198.51.100.7", 1234),
    admin_key: str | None = ADMIN_KEY,
    **settings: object,
) -> Iterator[TestClient]:
    """An open client of an API.

    Args:
        readers: Of its networks; three that answer, if not given.
        client: Where its requests come from.
        admin_key: The operator's.
        settings: More of them.
    """
    chosen = Settings(deadline_seconds=2, admin_key=admin_key, **settings)  # type: ignore[arg-type]
    tracker = ScriptedTracker(readers or three_networks(), settings=chosen)
    app = create_app(open_tracker=lambda: opened(tracker))
    with TestClient(app, raise_server_exceptions=False, client=client) as api:
        yield api


def new_key(api: TestClient, **body: object) -> tuple[str, dict[str, str]]:
    """The id of a new key, and the headers that send it."""
    made = api.post("/keys", json={"name": "a script", **body}, headers=ADMIN)
    assert made.status_code == 201, made.text
    return made.json()["id"], {"X-API-Key": made.json()["key"]}


def outcome(answer: Response) -> tuple[int, str]:
    """The status and the code of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]

"""The specification holds: what it promises is answered, whatever is asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from tests.fakes.access import ADMIN_KEY
from tests.fakes.guarded import ADMIN
from tests.fakes.prices import ScriptedSource
from tests.fakes.tracker import ScriptedTracker, opened, three_networks

from balance_tracker.api.app import create_app
from balance_tracker.bootstrap import Tracker
from balance_tracker.settings import Settings

SOURCE = ScriptedSource(amounts={"eip155:1/slip44:60": "2000"}, as_of=datetime.now(UTC))


@asynccontextmanager
async def own_tracker() -> AsyncIterator[Tracker]:
    """Over a database of its own, which every question opens again."""
    settings = Settings(deadline_seconds=2, data_dir=FOLDER, admin_key=ADMIN_KEY)
    async with opened(ScriptedTracker(three_networks(), prices=[SOURCE], settings=settings)) as tracker:
        yield tracker


FOLDER = Path(mkdtemp(prefix="specification-"))
schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(open_tracker=own_tracker))


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=timedelta(seconds=5),
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_asked_the_answer_is_as_specified(case: schemathesis.Case) -> None:
    case.call_and_validate(
        headers=ADMIN,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            negative_data_rejection,
            unsupported_method,
        ],
    )

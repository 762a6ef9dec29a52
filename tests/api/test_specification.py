"""The specification holds: what it promises is answered, whatever is asked."""

from datetime import UTC, datetime, timedelta

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
from tests.fakes.prices import ScriptedSource
from tests.fakes.tracker import ScriptedTracker, opened, three_networks

from balance_tracker.api.app import create_app

SOURCE = ScriptedSource(amounts={"eip155:1/slip44:60": "2000"}, as_of=datetime.now(UTC))

app = create_app(open_tracker=lambda: opened(ScriptedTracker(three_networks(), prices=[SOURCE])))
schema = schemathesis.openapi.from_asgi("/openapi.json", app)


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
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            negative_data_rejection,
            unsupported_method,
        ]
    )

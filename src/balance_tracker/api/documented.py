"""What the specification says of a route's answers: the model, an example, and the problems."""

from typing import Any

from balance_tracker.api import schemas
from balance_tracker.api.problems import MEDIA_TYPE
from balance_tracker.services.serialise import Json

type Answers = dict[int | str, dict[str, Any]]


def problems_of(**by_status: tuple[str, str, str]) -> Answers:
    """The documented problems of a route: ``s400=("Bad Request", code, detail)``."""
    documented: Answers = {}
    for key, (title, code, detail) in by_status.items():
        status = int(key[1:])
        documented[status] = {
            "description": title,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": schemas.problem_example(status, title, code, detail),
                }
            },
        }
    return documented


def answers_of(model: type[Any], example: Json, more: Answers) -> Answers:
    """The good answer of a route with an example, the problems of every route, and ``more``."""
    answer = {"model": model, "content": {"application/json": {"example": example}}}
    return {200: answer, **GENERAL, **more}


GENERAL = problems_of(
    s400=("Bad Request", "unknown_parameter", "'netwroks' is not a parameter of this route."),
    s503=("Service Unavailable", "not_ready", "The service is starting or stopping."),
)
"""Problems that every route of the tracker can have."""

ALWAYS: Answers = {400: GENERAL[400]}
"""Problems of a route that needs no tracker."""

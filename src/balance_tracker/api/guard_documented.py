"""What the specification says of keys and limits: the same for every route that is guarded."""

from copy import deepcopy
from typing import Any

from balance_tracker.api.documented import GENERAL, problems_of
from balance_tracker.api.guard import OPEN_PATHS, UNCOUNTED_PATHS
from balance_tracker.services.serialise import Json

SCHEMES: Json = {
    "ApiKeyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key of `POST /keys` or `balance-tracker keys create`, or the operator's admin key.",
    },
    "Bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The same key, as `Authorization: Bearer`.",
    },
}

_WITH_KEY: list[Json] = [{"ApiKeyHeader": []}, {"Bearer": []}]
_WITH_OR_WITHOUT: list[Json] = [{}, *_WITH_KEY]
_LIMIT_HEADERS = {
    "RateLimit-Limit": ("Units of work let through in a period.", "integer"),
    "RateLimit-Remaining": ("Units left right now.", "integer"),
    "RateLimit-Reset": ("Seconds until all units are there again.", "integer"),
    "RateLimit-Policy": ("The limit as `units;w=seconds`.", "string"),
}
_RETRY_AFTER = {"description": "Seconds until this is let through.", "schema": {"type": "integer"}}
_UNAUTHORIZED = problems_of(s401=("Unauthorized", "key_unknown", "This API key is not known here."))
_TOO_MANY = problems_of(s429=("Too Many Requests", "rate_limited", "The rate limit of 60/minute is reached."))
_TOO_LARGE = problems_of(s413=("Content Too Large", "body_too_large", "The body is too large."))


def document(document: dict[str, Any]) -> None:
    """Add keys, limits and what they answer to the document of the routes."""
    components = document["components"]
    components["securitySchemes"] = SCHEMES
    components["headers"] = {
        name: {"description": description, "schema": {"type": kind}}
        for name, (description, kind) in _LIMIT_HEADERS.items()
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            # Of its own: those of the app are shared between its routes.
            operation["responses"] = deepcopy(operation["responses"])
            if "requestBody" in operation:
                _add(operation, 413, _TOO_LARGE[413])
            if path not in OPEN_PATHS:
                _guard(path, operation)


def _guard(path: str, operation: Json) -> None:
    operation["security"] = _WITH_KEY if path.startswith("/keys") else _WITH_OR_WITHOUT
    _add(operation, 401, _UNAUTHORIZED[401])
    _add(operation, 429, _TOO_MANY[429])
    _add(operation, 503, GENERAL[503])
    operation["responses"]["401"].setdefault("headers", {})["WWW-Authenticate"] = {
        "schema": {"type": "string"}
    }
    operation["responses"]["429"].setdefault("headers", {})["Retry-After"] = _RETRY_AFTER
    if path in UNCOUNTED_PATHS:
        return
    for answer in operation["responses"].values():
        headers = answer.setdefault("headers", {})
        for name in _LIMIT_HEADERS:
            headers[name] = {"$ref": f"#/components/headers/{name}"}


def _add(operation: Json, status: int, answer: Json) -> None:
    operation["responses"].setdefault(str(status), deepcopy(answer))

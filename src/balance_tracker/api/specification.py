"""The OpenAPI document: FastAPI's, with our problems in the place of its own errors."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from balance_tracker import __version__
from balance_tracker.api import guard_documented
from balance_tracker.api.schemas import Problem

TITLE = "balance-tracker"
SUMMARY = "What an address holds, on which network, at which block, and what could not be learnt."
_DESCRIPTION = """
Amounts, prices and values are decimal **strings**; times are RFC 3339 in UTC; `null` is "not known" and is
never `"0"`. Errors are RFC 9457 problems with a stable `code`.

A key goes in `X-API-Key` or `Authorization: Bearer`. Without one a client is limited by its address, if the
operator lets it ask at all.

One network failing never fails the answer: it is HTTP 200, the network's `status` in `coverage` says so, and
`complete` is false.
"""
_TAGS = [
    {"name": "balances", "description": "What addresses hold."},
    {"name": "portfolio", "description": "What protocols hold for addresses, and everything they have."},
    {"name": "prices", "description": "What assets are worth, and were."},
    {
        "name": "history",
        "description": "Wallets that are followed, what was kept of them, and what they earned.",
    },
    {"name": "batch", "description": "Thousands of addresses at once."},
    {"name": "keys", "description": "API keys, for the operator."},
    {"name": "catalog", "description": "What is tracked."},
    {"name": "service", "description": "The service itself."},
]


def install(app: FastAPI, plain: Sequence[APIRoute] = ()) -> None:
    """Make this the document that the app serves at ``/openapi.json``.

    Args:
        app: Its own routes are documented.
        plain: What plain routes of it, which FastAPI does not look into, are documented as.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, plain)
        return app.openapi_schema

    # FastAPI documents this very assignment as the way to extend its document.
    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI, plain: Sequence[APIRoute]) -> dict[str, Any]:
    document = get_openapi(
        title=TITLE,
        version=__version__,
        summary=SUMMARY,
        description=_DESCRIPTION,
        routes=[*plain, *app.routes],
        tags=_TAGS,
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    for path in document["paths"].values():
        for operation in path.values():
            if "requestBody" not in operation:
                operation["responses"].pop("422", None)
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _never_null(parameter["schema"])
    guard_documented.document(document)
    return document


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema without ``null``: a query can leave it out, and can't say null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    if len(kinds) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **kinds[0]}

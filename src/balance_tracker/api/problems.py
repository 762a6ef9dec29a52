"""Errors as RFC 9457 problems: a status, a stable code, one sentence and a hint."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from balance_tracker.core.errors import (
    AccessError,
    ConflictError,
    InputError,
    NotFoundError,
    StorageError,
    TrackerError,
    UpstreamError,
)
from balance_tracker.services.access import RateLimitedError
from balance_tracker.telemetry.redact import redact_text

MEDIA_TYPE = "application/problem+json"

_UNAUTHORIZED = frozenset({"key_missing", "key_unknown", "key_expired", "key_revoked"})
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
_HINTS = {404: "The routes are listed at /openapi.json.", 413: "Split what you send."}
_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not a parameter of this route",
    "string_too_long": "is too long",
}


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
    **extensions: Any,
) -> Response:
    """One problem as a response; ``extensions`` are further members, such as ``coverage``."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if hint is not None:
        body["hint"] = hint
    return Response(
        orjson.dumps({**body, **extensions}), status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


def install(app: FastAPI) -> None:
    """Answer every error of the app with a problem."""
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(TrackerError, _on_tracker)


async def _on_tracker(_request: Request, error: Exception) -> Response:
    if isinstance(error, InputError):
        return problem(400, error.code, error.message, hint=error.hint)
    if isinstance(error, UpstreamError):
        return problem(
            502,
            "nothing_obtained",
            redact_text(error.message),
            hint=error.hint or "Ask again later, or give the address itself.",
            coverage=[],
        )
    found = _refused(error)
    if found is None:
        raise error
    return found


def _refused(error: Exception) -> Response | None:
    """What is refused for the caller's or the database's sake; ``None`` for other errors."""
    if isinstance(error, AccessError):
        return refusal(error)
    if isinstance(error, NotFoundError):
        return problem(404, error.code, error.message, hint=error.hint)
    if isinstance(error, ConflictError):
        return problem(409, error.code, error.message, hint=error.hint)
    if isinstance(error, StorageError):
        return problem(503, error.code, error.message, hint=error.hint, headers={"Retry-After": "5"})
    return None


def refusal(error: AccessError) -> Response:
    """Why a caller is not served: 401 not recognised, 403 not allowed, 429 too often."""
    headers: dict[str, str] = {}
    status = 403
    if isinstance(error, RateLimitedError):
        status, headers["Retry-After"] = 429, str(math.ceil(error.verdict.retry_seconds))
    elif error.code in _UNAUTHORIZED:
        status, headers["WWW-Authenticate"] = 401, 'Bearer realm="balance-tracker"'
    return problem(status, error.code, error.message, hint=error.hint, headers=headers)


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    code = _CODES.get(error.status_code, "http_error")
    hint = _HINTS.get(error.status_code)
    return problem(error.status_code, code, f"{error.detail}.", hint=hint, headers=error.headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    """The first thing wrong with a query (400) or a body (422)."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    first = error.errors()[0]
    where, *path = first["loc"]
    name = str(path[0])[:60] if path else str(where)
    message = _MESSAGES.get(first["type"], f"is wrong: {_lowered(first['msg'])}")
    if where == "body":
        return problem(422, "invalid_body", f"'{name}' {message}.")
    if first["type"] == "extra_forbidden":
        return problem(400, "unknown_parameter", f"'{name}' {message}.", hint=_parameter_hint(request, name))
    code = "missing_parameter" if first["type"] == "missing" else "invalid_parameter"
    return problem(400, code, f"'{name}' {message}.")


def _parameter_hint(request: Request, name: str) -> str:
    route = request.scope.get("route")
    known = parameter_names(route)
    if not known:
        return "This route takes no parameters."
    close = get_close_matches(name, known, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"It takes: {', '.join(known)}."


def parameter_names(route: object) -> list[str]:
    """The query parameters of a route, in the order they are documented."""
    names: list[str] = []
    for field in getattr(getattr(route, "dependant", None), "query_params", ()):
        fields = getattr(field.field_info.annotation, "model_fields", None)
        if fields is None:
            names.append(field.alias)
        else:
            names += [one.alias or name for name, one in fields.items()]
    return [name for name in names if not name.startswith("_")]


def _lowered(text: str) -> str:
    text = text.removeprefix("Value error, ").rstrip(".")
    return text[:1].lower() + text[1:]

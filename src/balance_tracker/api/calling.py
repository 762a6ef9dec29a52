"""Who sent a request, as the routes see it."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from balance_tracker.core.access import Caller, Scope
from balance_tracker.core.errors import AccessError

CALLER = "balance_tracker.caller"
"""Where the guard of every request puts the caller into the ASGI scope."""


def caller_of(request: Request) -> Caller:
    """Who sent it; anyone where nothing guards."""
    caller = request.scope.get(CALLER)
    return caller if isinstance(caller, Caller) else Caller()


def requires(scope: Scope) -> Callable[[Request], Caller]:
    """A dependency that lets only callers of a scope through."""

    def checked(request: Request) -> Caller:
        caller = caller_of(request)
        if not caller.may(scope):
            raise AccessError(
                f"This key may not do that: it has no scope '{scope}'.",
                code="scope_missing",
                hint="Ask whoever manages the keys for one that may.",
            )
        return caller

    return checked


type Reading = Annotated[Caller, Depends(requires(Scope.READ))]
type Writing = Annotated[Caller, Depends(requires(Scope.WRITE))]
type Managing = Annotated[Caller, Depends(requires(Scope.ADMIN))]

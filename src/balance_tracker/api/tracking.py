"""The open tracker and service that the routes ask."""

from typing import Annotated

from fastapi import Depends, Request

from balance_tracker.bootstrap import Tracker
from balance_tracker.bootstrap.service import Service


class NotOpenError(Exception):
    """The tracker is not open (yet, or any more)."""


def tracker_of(request: Request) -> Tracker:
    """The tracker that the app opened.

    Raises:
        NotOpenError: It is not open.
    """
    tracker = getattr(request.app.state, "tracker", None)
    if not isinstance(tracker, Tracker):
        raise NotOpenError
    return tracker


type Tracking = Annotated[Tracker, Depends(tracker_of)]


def service_of(request: Request) -> Service:
    """The service that the app opened.

    Raises:
        NotOpenError: It is not open.
    """
    service = getattr(request.app.state, "service", None)
    if not isinstance(service, Service):
        raise NotOpenError
    return service


type Serving = Annotated[Service, Depends(service_of)]

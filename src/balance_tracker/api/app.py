"""The application: opens a tracker at start, closes it at the end."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI, Request, Response

from balance_tracker import __version__
from balance_tracker.api import docs, problems, specification
from balance_tracker.api.balances import BalancesRoute
from balance_tracker.api.batch import router as batch_router
from balance_tracker.api.guard import Guard
from balance_tracker.api.keys import router as keys_router
from balance_tracker.api.middleware import Edge
from balance_tracker.api.nfts import router as nfts_router
from balance_tracker.api.prices import router as prices_router
from balance_tracker.api.routes import router
from balance_tracker.api.snapshots import router as snapshots_router
from balance_tracker.api.stored import StoredAnswers
from balance_tracker.api.tracking import NotOpenError
from balance_tracker.api.wallets import router as wallets_router
from balance_tracker.api.whole import router as whole_router
from balance_tracker.bootstrap import Tracker, load_settings, running
from balance_tracker.bootstrap.service import Service
from balance_tracker.settings import Settings
from balance_tracker.telemetry.logging import configure

type OpenTracker = Callable[[], AbstractAsyncContextManager[Tracker]]


def create_app(
    settings: Settings | None = None,
    *,
    open_tracker: OpenTracker | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The ASGI app; without arguments it is what ``serve`` runs, set up from the environment.

    Args:
        settings: Taken from the environment and ``.env`` if not given; logging is then set up from them.
        open_tracker: Opens the tracker in another way, for example one that is open already.
        clock: Seconds that never go backwards, as those of the tracker's cache.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    if settings is None and open_tracker is None:
        settings = load_settings()
        configure(settings.log_format, settings.log_level)
    app = FastAPI(
        title=specification.TITLE,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        lifespan=_lifespan(open_tracker or _opener(settings), clock),
        # The service has metrics and log lines of its own; FastAPI's would be asked for at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.add_middleware(Guard)
    app.add_middleware(Edge)
    problems.install(app)
    app.add_exception_handler(NotOpenError, _on_not_open)
    balances = BalancesRoute()
    app.router.routes.insert(0, balances)
    app.include_router(whole_router)
    app.include_router(nfts_router)
    app.include_router(prices_router)
    app.include_router(router)
    app.include_router(keys_router)
    app.include_router(wallets_router)
    app.include_router(batch_router)
    app.include_router(snapshots_router)
    docs.install(app)
    specification.install(app, [balances.documented])
    return app


def _opener(settings: Settings | None) -> OpenTracker:
    return lambda: running(settings if settings is not None else load_settings())


def _lifespan(
    open_tracker: OpenTracker, clock: Callable[[], float]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_tracker() as tracker, Service(tracker) as service:
            app.state.tracker, app.state.service = tracker, service
            app.state.answers = StoredAnswers(tracker.settings.balance_ttl_seconds, clock=clock)
            try:
                yield
            finally:
                app.state.tracker = app.state.service = app.state.answers = None

    return lifespan


async def _on_not_open(_request: Request, _error: Exception) -> Response:
    components = {"catalog": "failed", "cache": "failed"}
    return problems.problem(503, "not_ready", "The service is starting or stopping.", components=components)

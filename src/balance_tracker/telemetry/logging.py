"""Structured log lines: a past-tense event and its fields, on stderr, without secrets.

Without :func:`configure` (a library user) the events go to the standard library's logger
``balance_tracker`` and are shown only if the host application asks for them.
"""

import logging
import sys
from collections.abc import Iterable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from balance_tracker.telemetry.redact import redact_text

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

ROOT = "balance_tracker"
_FOREIGN = ("uvicorn", "uvicorn.error", "asyncio")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; give it ``__name__``."""
    own = name if name.startswith(ROOT) else f"{ROOT}.{name}"
    root = logging.getLogger(ROOT)
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    logger = structlog.wrap_logger(
        logging.getLogger(own),
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return cast("structlog.stdlib.BoundLogger", logger)


def configure(format: LogFormat | None = None, level: LogLevel = "info") -> None:  # noqa: A002
    """Send our own lines, uvicorn's and asyncio's to stderr.

    Args:
        format: ``console`` or ``json``; ``None`` decides by whether stderr is a terminal.
        level: The lowest level shown.
    """
    terminal = sys.stderr.isatty()
    chosen = format or ("console" if terminal else "json")
    handler = _StderrHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(_SHARED),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_ending(chosen, colors=terminal),
            ],
        )
    )
    for name in (ROOT, *_FOREIGN):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False


class request_context:  # noqa: N801 - used like a function
    """A context in which every line carries the fields (``request_id``).

    Like structlog's ``bound_contextvars``, without its look through all that is bound already: it is
    entered for every request.
    """

    def __init__(self, **fields: str) -> None:
        self._fields = fields
        self._tokens: Mapping[str, Token[Any]] = {}

    def __enter__(self) -> None:
        self._tokens = structlog.contextvars.bind_contextvars(**self._fields)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        structlog.contextvars.reset_contextvars(**self._tokens)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is now, not to what it was when logging was set up."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    # An attribute there, looked up anew here: the standard library's own last-resort handler does so.
    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Strike URLs and secrets out of every text of a line."""
    return {key: _clean(value) for key, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, BaseException):
        return redact_text(f"{type(value).__name__}: {value}")
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return value


def _as_json(event: EventDict, **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def _ending(format_: str, *, colors: bool) -> Iterable[Processor]:
    if format_ == "json":
        return (structlog.processors.JSONRenderer(serializer=_as_json),)
    return (structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False),)


_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _redact,
)

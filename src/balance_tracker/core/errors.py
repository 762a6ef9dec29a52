"""Every error that the package raises on purpose.

::

    TrackerError
    ├── InputError            the caller's to mend: an address, a network, a parameter
    ├── ConfigurationError    the operator's to mend: a setting, a file
    ├── AccessError           who asks may not: no key, a wrong one, or too often
    ├── NotFoundError         no such thing, or not for this caller
    ├── ConflictError         not as things stand now
    ├── StorageError          the database did not answer or refused
    └── UpstreamError         an endpoint's: retryable or not
        └── CallReverted      a contract said no, which is an answer and not a fault

A message is one sentence, ``hint`` says what to do, and ``code`` is the same word
in the API, the logs and the metrics. HTTP statuses and exit codes are not here.
"""


class TrackerError(Exception):
    """Root of the tree; carries a stable ``code`` and, where one helps, a ``hint``."""

    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class InputError(TrackerError):
    """What the caller gave can't be used; ``hint`` says what would be right."""

    code = "invalid_parameter"


class ConfigurationError(TrackerError):
    """A setting or a data file is wrong; the start stops and names it."""

    code = "invalid_configuration"


class AccessError(TrackerError):
    """Who asks may not: ``code`` says whether no key, a wrong one, one without the scope, or too often."""

    code = "scope_missing"


class NotFoundError(TrackerError):
    """There is no such thing, or it belongs to somebody else, which looks the same."""

    code = "not_found"


class ConflictError(TrackerError):
    """It can't be done as things stand now."""

    code = "conflict"


class StorageError(TrackerError):
    """The database did not answer or refused; nothing of what was asked is kept."""

    code = "storage_failed"


class UpstreamError(TrackerError):
    """An endpoint failed.

    Attributes:
        retryable: Whether the same question may succeed later.
        retry_after_seconds: What the endpoint asked us to wait, if it did.
        requests: How many requests were spent before giving up.
    """

    code = "endpoint_failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        retryable: bool = True,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds
        self.requests = 0


class CallReverted(UpstreamError):
    """A contract reverted; ``data`` is what it reverted with."""

    code = "reverted"

    def __init__(self, message: str, data: bytes = b"") -> None:
        super().__init__(message, retryable=False)
        self.data = data

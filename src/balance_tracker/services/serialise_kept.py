"""What is kept, as JSON; the same from the API and the command line."""

from collections.abc import Iterable

from balance_tracker.core.access import ApiKey, Scope
from balance_tracker.ports.access import Usage
from balance_tracker.services.keys import NewKey
from balance_tracker.services.serialise import Json, time_text


def key_json(key: ApiKey) -> Json:
    """A key as it may be seen; the secret is not in it."""
    return {
        "id": key.key_id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": [scope.value for scope in Scope if scope in key.scopes],
        "rate_limit": None if key.limit is None else str(key.limit),
        "created_at": time_text(key.created_at),
        "expires_at": None if key.expires_at is None else time_text(key.expires_at),
        "revoked_at": None if key.revoked_at is None else time_text(key.revoked_at),
        "last_used_at": None if key.last_used_at is None else time_text(key.last_used_at),
    }


def new_key_json(made: NewKey) -> Json:
    """A key just made, with the secret that is shown this once."""
    return {**key_json(made.key), "key": made.secret}


def usage_json(usage: Iterable[Usage]) -> list[Json]:
    """Usage by day and route."""
    return [
        {
            "day": one.day.isoformat(),
            "route": one.route,
            "requests": one.requests,
            "units": one.units,
            "refused": one.refused,
            "errors": one.errors,
        }
        for one in usage
    ]

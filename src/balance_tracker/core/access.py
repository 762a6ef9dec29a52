"""Who asks: API keys, what they may do, and how often."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from balance_tracker.core.errors import InputError
from balance_tracker.core.kept import ANYONE, Owner

_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_LIMIT = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")


class Scope(StrEnum):
    """What a key may do: ask; make and change what belongs to it; manage keys and see everything."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Limit:
    """How many units of work are let through in a period of so many seconds."""

    units: int
    period_seconds: int

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """A limit as people write it.

        Raises:
            InputError: ``invalid_limit``.

        >>> Limit.parse("60/minute")
        Limit(units=60, period_seconds=60)
        """
        match = _LIMIT.fullmatch(text.strip().lower())
        if match is None:
            raise InputError(
                f"'{text[:40]}' is no rate limit.",
                code="invalid_rate_limit",
                hint="Write it like 600/minute; a period is second, minute, hour or day.",
            )
        return cls(int(match[1]), _PERIODS[match[2]])

    def __str__(self) -> str:
        names = {seconds: name for name, seconds in _PERIODS.items()}
        return f"{self.units}/{names[self.period_seconds]}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        owner: The id of its key; :data:`~balance_tracker.core.kept.ANYONE` without one.
        scopes: What it may do.
        name: Of its key, for people; ``None`` without one.
    """

    owner: Owner = ANYONE
    scopes: frozenset[Scope] = frozenset({Scope.READ, Scope.WRITE})
    name: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it sees what belongs to others."""
        return Scope.ADMIN in self.scopes

    def may(self, scope: Scope) -> bool:
        """Whether it may do this; who manages keys may do everything, who may change may ask."""
        return scope in self.scopes or self.is_admin or (scope is Scope.READ and Scope.WRITE in self.scopes)

    def sees(self, owner: Owner) -> bool:
        """Whether something of this owner is shown to it."""
        return self.is_admin or owner == self.owner

    @property
    def owners(self) -> Collection[Owner] | None:
        """Whose things are shown to it; ``None``: everybody's."""
        return None if self.is_admin else (self.owner,)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself was shown once and is not here.

    Attributes:
        key_id: Its public id, ``key_…``.
        prefix: The first characters of the newest secret, to find it by.
        limit: Its own rate limit; ``None``: the operator's default.
        expires_at: From then on it is refused; ``None``: never.
        revoked_at: Since then it is refused.
    """

    key_id: Owner
    name: str
    prefix: str
    scopes: frozenset[Scope]
    limit: Limit | None
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

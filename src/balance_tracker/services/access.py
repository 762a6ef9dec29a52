"""Who asks and how often: keys are recognised, limits are counted, usage is noted.

A key is ``bt_`` + 12 characters that may be seen + ``_`` + 43 that are the secret (256 bits). Only
its SHA-256 is kept: a secret of full strength needs no slow hash, since nobody can try them all.
It is found by the part that may be seen and compared in constant time, so that the time of an
answer tells nothing about the secret.
"""

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from balance_tracker.core.access import Caller, Limit, Scope
from balance_tracker.core.errors import AccessError
from balance_tracker.core.kept import Owner
from balance_tracker.ports.access import KeptSecret, KeyEpoch, KeyStore
from balance_tracker.ports.keeping import RateLimiter, Verdict

ADMIN = Owner("admin")
"""Whose things are those that the operator made with the admin key."""

PREFIX_LENGTH = 15
MOST_REMEMBERED = 10_000
REMEMBERED_SECONDS = 30.0
"""Even where every change is noticed at once, a key is read again after so long."""

_KEY = re.compile(r"bt_[A-Za-z0-9]{12}_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Admission:
    """A caller and what its limit has left.

    Attributes:
        subject: Whose work is counted: the key, or the client's address.
        limit: ``None``: not limited.
    """

    caller: Caller
    subject: str
    limit: Limit | None


class RateLimitedError(AccessError):
    """Too much work asked for by a caller; ``verdict`` says when more is let through."""

    code = "rate_limited"

    def __init__(self, admission: Admission, verdict: Verdict) -> None:
        super().__init__(
            f"The rate limit of {verdict.limit} is reached.",
            hint="Wait for the seconds of Retry-After; more fit into the limit of an API key of your own.",
        )
        self.admission = admission
        self.verdict = verdict


class KeyRefusedError(AccessError):
    """A key that does not open anything; ``verdict`` is of the client, that may not guess without end."""

    def __init__(self, message: str, *, code: str, hint: str) -> None:
        super().__init__(message, code=code, hint=hint)
        self.verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class _Remembered:
    secret: KeptSecret
    epoch: str
    until: float


class AccessService:
    """Recognises callers and counts their work.

    Args:
        store: Where keys are kept.
        limiter: Counts work.
        epoch: Tells whether keys changed, where that costs nothing.
        admin_key: Opens everything; ``None`` if the operator set none.
        key_limit: Of keys that have no limit of their own; ``None``: none.
        anonymous_limit: Of clients without a key; ``None``: none.
        require_key: Whether a caller without a key is refused.
        clock: Seconds that never go backwards.
        now: The time, in UTC.
    """

    def __init__(
        self,
        store: KeyStore,
        limiter: RateLimiter,
        epoch: KeyEpoch,
        *,
        admin_key: str | None,
        key_limit: Limit | None,
        anonymous_limit: Limit | None,
        require_key: bool,
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._limiter = limiter
        self._epoch = epoch
        self._admin_digest = None if admin_key is None else digest_of(admin_key)
        self._key_limit = key_limit
        self._anonymous_limit = anonymous_limit
        self._require_key = require_key
        self._clock = clock
        self._now = now
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    @property
    def counts_nobody(self) -> bool:
        """Whether callers without a key are let in and not counted."""
        return self._anonymous_limit is None and not self._require_key

    @property
    def has_admin_key(self) -> bool:
        """Whether the operator set one."""
        return self._admin_digest is not None

    async def admit(
        self, text: str | None, client: str, *, cost: int = 1
    ) -> tuple[Admission, Verdict | None]:
        """Recognise a caller and count its work.

        Args:
            text: The key as it was sent, if one was.
            client: The client's address, as :func:`client_subject` writes it.
            cost: Units of work; 0 counts nothing.

        Raises:
            AccessError: ``key_missing``.
            KeyRefusedError: ``key_unknown``, ``key_expired`` or ``key_revoked``.
            RateLimitedError: Too much work, or too many keys tried.
            StorageError: Keys can't be read now.
        """
        if text is None:
            if self._require_key:
                raise AccessError(
                    "This service needs an API key.",
                    code="key_missing",
                    hint="Send it in the header X-API-Key; whoever runs the service can make one.",
                )
            admission = Admission(Caller(), f"ip:{client}", self._anonymous_limit)
            return admission, await self.charge(admission, cost)
        if self._admin_digest is not None and hmac.compare_digest(digest_of(text), self._admin_digest):
            return Admission(Caller(ADMIN, frozenset(Scope), "admin key"), "admin", None), None
        return await self._admit_key(text, client, cost)

    async def charge(self, admission: Admission, cost: int, counted: int = 0) -> Verdict | None:
        """Count more work of a caller that was let in.

        Args:
            admission: The caller.
            cost: Units of work.
            counted: What the same request has cost before.

        Raises:
            RateLimitedError: Too much work.
        """
        if admission.limit is None or cost <= 0:
            return None
        verdict = await self._limiter.take(admission.subject, admission.limit, cost, counted)
        if not verdict.allowed:
            raise RateLimitedError(admission, verdict)
        return verdict

    async def _admit_key(self, text: str, client: str, cost: int) -> tuple[Admission, Verdict | None]:
        digest = digest_of(text)
        remembered = self._recall(digest)
        epoch = self._epoch.current()
        fresh = remembered is None or (epoch is not None and epoch != remembered.epoch)
        if remembered is None or fresh:
            secret = await self._known(text, digest, client)
            self._remember(digest, secret, epoch)
        else:
            secret = remembered.secret
        admission = await self._let_in(secret, client)
        verdict = await self.charge(admission, cost)
        if epoch is None:
            confirmed = await self._confirmed(text, client, None if fresh else remembered, verdict)
            if confirmed is not None:
                admission = await self._let_in(confirmed, client)
        return admission, verdict

    async def _confirmed(
        self, text: str, client: str, remembered: "_Remembered | None", verdict: Verdict | None
    ) -> KeptSecret | None:
        """Where only the limiter tells of changes: the secret read again, unless nothing changed."""
        epoch = None if verdict is None else verdict.epoch
        if remembered is not None and epoch is not None and remembered.epoch == epoch:
            return None
        if remembered is None and epoch is None:
            return None  # it was read for this very request
        digest = digest_of(text)
        secret = await self._known(text, digest, client)
        self._remember(digest, secret, epoch)
        return secret

    async def _let_in(self, secret: KeptSecret, client: str) -> Admission:
        ended = _ended(secret, self._now())
        if ended is not None:
            raise await self._counted(ended, client)
        key = secret.key
        caller = Caller(key.key_id, key.scopes, key.name)
        return Admission(caller, f"key:{key.key_id}", key.limit or self._key_limit)

    def _recall(self, digest: bytes) -> "_Remembered | None":
        """What is remembered of a key and not too long ago."""
        found = self._remembered.get(digest)
        return None if found is None or self._clock() >= found.until else found

    def _remember(self, digest: bytes, secret: KeptSecret, epoch: str | None) -> None:
        """``epoch`` was learnt before the key was read: a change in between makes it another one."""
        if epoch is None:
            self._remembered.pop(digest, None)
            return
        self._remembered[digest] = _Remembered(secret, epoch, self._clock() + REMEMBERED_SECONDS)
        self._remembered.move_to_end(digest)
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)

    async def _known(self, text: str, digest: bytes, client: str) -> KeptSecret:
        """The kept secret of a key."""
        secret = await self._store.by_prefix(text[:PREFIX_LENGTH]) if _KEY.fullmatch(text) else None
        if not hmac.compare_digest(digest, b"\0" * 32 if secret is None else secret.digest):
            secret = None
        if secret is None:
            unknown = KeyRefusedError(
                "This API key is not known here.",
                code="key_unknown",
                hint="Look whether it is whole: bt_, 12 characters, _ and 43 characters.",
            )
            raise await self._counted(unknown, client)
        return secret

    async def _counted(self, refused: KeyRefusedError, client: str) -> KeyRefusedError:
        """Whoever tries keys that open nothing is counted like a client without one.

        Raises:
            RateLimitedError: It has tried too many.
        """
        trying = Admission(Caller(), f"ip:{client}", self._anonymous_limit)
        refused.verdict = await self.charge(trying, 1)
        return refused


def _ended(secret: KeptSecret, now: datetime) -> KeyRefusedError | None:
    key = secret.key
    if key.revoked_at is not None:
        return KeyRefusedError("This API key was revoked.", code="key_revoked", hint="Ask for a new one.")
    if secret.expires_at is not None and secret.expires_at <= now:
        message = "This API key was rotated and its overlap has ended."
        return KeyRefusedError(message, code="key_expired", hint="Use the new one.")
    if key.expires_at is not None and key.expires_at <= now:
        return KeyRefusedError("This API key has expired.", code="key_expired", hint="Ask for a new one.")
    return None


def digest_of(secret: str) -> bytes:
    """SHA-256 of a secret: all that is ever kept of it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def client_subject(address: IPv4Address | IPv6Address | None) -> str:
    """What a client without a key is counted by: its address, of IPv6 the /64 that one site has.

    >>> from ipaddress import ip_address
    >>> client_subject(ip_address("2001:db8::1234:5678")), client_subject(ip_address("::ffff:10.0.0.1"))
    ('2001:db8::/64', '10.0.0.1')
    """
    if address is None:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)

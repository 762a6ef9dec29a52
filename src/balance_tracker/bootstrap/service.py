"""The service: the tracker, and all that is kept and guarded around it."""

from contextlib import AsyncExitStack
from ipaddress import IPv4Network, IPv6Network
from types import TracebackType
from typing import Self

from balance_tracker.bootstrap.batching import batching
from balance_tracker.bootstrap.databases import asked, last_known, open_database, ready_schema
from balance_tracker.bootstrap.following import following
from balance_tracker.bootstrap.guarding import open_guarding
from balance_tracker.bootstrap.opening import open_sharing
from balance_tracker.bootstrap.readiness import ComponentStatus, Readiness, with_kept
from balance_tracker.bootstrap.tracker import Tracker
from balance_tracker.bootstrap.working import Working


class Service:
    """What the API and the workers serve from; opened in order, closed in reverse.

    Args:
        tracker: Open already; whoever opened it closes it.
        does_jobs: Whether this process does jobs, where no worker of Celery does.

    Raises:
        ConfigurationError: On entry, if the database's schema is not the one that this version knows.
        StorageError: On entry, if the database does not answer.
    """

    def __init__(self, tracker: Tracker, *, does_jobs: bool = True) -> None:
        self.tracker = tracker
        self.settings = tracker.settings
        self._does_jobs = does_jobs
        self._stack = AsyncExitStack()

    @property
    def trusted_proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks of proxies whose ``X-Forwarded-For`` is believed."""
        return self.settings.trusted_proxies

    async def readiness(self) -> Readiness:
        """Whether questions can be answered; the database is asked."""
        database = await asked(self.database)
        jobs = await self.working.asked() if database == "ok" else "unknown"
        return with_kept(self.tracker.readiness(), database, jobs)

    def components(self) -> dict[str, ComponentStatus]:
        """The state of each component by name, as it was last seen; nobody is asked."""
        database = last_known(self.database)
        return with_kept(self.tracker.readiness(), database, self.working.last_known).components

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.database = await stack.enter_async_context(open_database(self.settings))
            await ready_schema(self.database)
            sharing = self.tracker.sharing or await open_sharing(stack, self.settings)
            self.messages, self.limiter, self.keys_changed = (
                sharing.messages,
                sharing.limiter,
                sharing.keys_changed,
            )
            guarding = await open_guarding(
                stack, self.settings, self.database, sharing.limiter, sharing.keys_changed
            )
            self.access, self.keys, self.usage = guarding.access, guarding.keys, guarding.usage
            history = following(self.tracker, self.database)
            self.wallets, self.snapshots, self.performance = (
                history.wallets,
                history.snapshots,
                history.performance,
            )
            self.working = Working(self.settings, self.database)
            self.batches = batching(self.tracker, self.database, self.working.queue.wake)
            self.working.take_up(self.snapshots, self.batches)
            await self.working.start(stack, does_jobs=self._does_jobs)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

"""Which block a read is of: found once, by header and call together, and held for all that follows."""

from dataclasses import replace

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.evm.blocks import Evidence, Header, header_call, read_header
from balance_tracker.transport.pool import Pool, Session


class BehindError(Exception):
    """The endpoint's head is a little before a block that was answered already."""

    def __init__(self, floor: int) -> None:
        super().__init__(floor)
        self.floor = floor


class UncertainBlockError(BehindError):
    """Which block the call ran in can't be told; asked by number, it can."""


class Anchor:
    """The block of one read on one endpoint.

    Args:
        pool: Knows the network's best head, and what was answered already.
        session: The endpoint.
        asked: The block that was asked for, ``None`` for the latest.

    Attributes:
        header: The block's header, once it is settled.
        settled: Whether the block is known.
    """

    def __init__(self, pool: Pool, session: Session, asked: int | None) -> None:
        self._pool = pool
        self._session = session
        self.asked = asked
        self.header: Header
        self.settled = False
        self._hash_is_sure = True
        self._evidence: Evidence | None = None

    @property
    def number(self) -> int | None:
        """The block to ask for: the settled one, else what was asked for."""
        return self.header.number if self.settled else self.asked

    @property
    def past(self) -> bool:
        """Whether a block was asked for, and not just the latest."""
        return self.asked is not None

    @property
    def ref(self) -> BlockRef:
        """The block as an answer names it; its hash only where that is sure."""
        return self.header.ref if self._hash_is_sure else replace(self.header.ref, hash=None)

    def settle(self, header: Header) -> None:
        """Take the block, if it is fresh enough where the latest was asked.

        Raises:
            UpstreamError: ``stale_head``: it is too far behind the best head.
            BehindError: It is before a block that was answered already.
        """
        if self.settled:
            return
        if self.asked is None:
            self._check_head(header)
        self.header = header
        self.settled = True

    async def settle_by(self, evidence: Evidence, header: Header) -> None:
        """Take the block that a call ran in, which is mostly that of the header beside it.

        Raises:
            UpstreamError: It is another block than was asked for.
            BehindError: See :meth:`settle`; or the block can't be told but by asking for it.
        """
        uncertain = self.asked is None and not evidence.tells_the_block(header)
        if uncertain or not evidence.matches(header):
            header = await self._header_of(evidence, header)
        self.settle(header)
        self._evidence = evidence

    def holds(self, evidence: Evidence) -> bool:
        """Whether a call ran in the block of the read, as its header or the first call tells it."""
        if self._hash_is_sure or self._evidence is None:
            return evidence.matches(self.header)
        return evidence == self._evidence

    async def _header_of(self, evidence: Evidence, seen: Header) -> Header:
        """The header of the block the call ran in, where the head moved on within the request."""
        number = evidence.number if evidence.tells_the_block(seen) else None
        if self.asked is not None and self.asked != number:
            raise UpstreamError("The endpoint answered with another block.", code="bad_response")
        if number is None:
            self._check_head(seen)
            raise UncertainBlockError(seen.number)
        if number != seen.number:
            seen = read_header((await self._session.ask([header_call(number)]))[0], number)
        # A node whose calls see another time or parent than its headers tell: the number is
        # sure, which of its siblings it was is not, so no hash is claimed.
        self._hash_is_sure = evidence.matches(seen)
        return seen

    def _check_head(self, header: Header) -> None:
        """The latest block of this endpoint is the network's, and no step back."""
        self._pool.saw_head(self._session.endpoint, header.number, header.timestamp)
        if header.number < self._pool.floor:
            raise BehindError(self._pool.floor)
        self._pool.floor = header.number

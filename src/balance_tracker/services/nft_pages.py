"""Non-fungible tokens page by page: what one page shows, and the cursor of the next."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.nfts import NftHolding
from balance_tracker.core.portfolio import NetworkCoverage

DEFAULT_LIMIT = 100
MOST_PER_PAGE = 1_000
_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class NftPage:
    """What an address holds of collections: one page of its token ids, and what was asked.

    Attributes:
        holdings: Collections that have ids on this page; each tells its whole balance.
        next_cursor: Of the page after it; ``None`` on the last one.
    """

    address: Address
    name: str | None
    holdings: tuple[NftHolding, ...]
    coverage: tuple[NetworkCoverage, ...]
    next_cursor: str | None
    taken_at: datetime

    @property
    def complete(self) -> bool:
        """Whether every network asked is ``ok``."""
        return all(network.status == "ok" for network in self.coverage)

    @property
    def nothing_obtained(self) -> bool:
        """Whether not one network answered."""
        return all(network.status == "failed" for network in self.coverage)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins, of which question, at which blocks."""

    question: str
    offset: int
    blocks: Mapping[Slug, int]

    def text(self) -> str:
        """As it goes out: nothing that anybody should read into."""
        body = json.dumps([self.question, self.offset, dict(self.blocks)], separators=(",", ":"))
        return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")

    @classmethod
    def of(cls, text: str, question: str) -> "Cursor":
        """Read one back.

        Raises:
            InputError: ``invalid_cursor``: it is none, or of another question.
        """
        try:
            body = json.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
            found, offset, blocks = body
            good = found == question and _is_number(offset) and all(map(_is_number, blocks.values()))
            cursor = cls(question, offset, {Slug(slug): number for slug, number in blocks.items()})
        except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError):
            good = False
        if not good:
            raise no_such_cursor("The cursor does not belong to this question.")
        return cursor


def no_such_cursor(message: str) -> InputError:
    """The error of a cursor that leads nowhere."""
    return InputError(message, code="invalid_cursor", hint="Begin again without a cursor.")


def check_limit(limit: int) -> int:
    """The most ids of one page.

    Raises:
        InputError: ``invalid_limit``.
    """
    if not 1 <= limit <= MOST_PER_PAGE:
        raise InputError(
            f"limit must be 1 to {MOST_PER_PAGE}, not {limit}.",
            code="invalid_limit",
            hint="Go on with next_cursor where there is more.",
        )
    return limit


def cut_page(holdings: Sequence[NftHolding], offset: int, limit: int) -> tuple[list[NftHolding], int | None]:
    """The holdings with the ids of one page, and where the next one begins.

    A holding whose ids are not known takes the place of one id.
    """
    page: list[NftHolding] = []
    at = 0
    for holding in holdings:
        size = max(len(holding.token_ids), 1)
        first, last = max(offset - at, 0), min(offset + limit - at, size)
        if first < last:
            page.append(replace(holding, token_ids=holding.token_ids[first:last]))
        at += size
    return page, offset + limit if offset + limit < at else None


def in_order(holdings: Sequence[NftHolding]) -> tuple[NftHolding, ...]:
    """Holdings of one network in an order that pages agree on: those with ids first, then by address."""
    return tuple(sorted(holdings, key=lambda one: (not one.token_ids, one.collection.contract_address)))


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST

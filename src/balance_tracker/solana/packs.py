"""Many owners in few calls: whose accounts are read together, and who tells what it took."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import Reading
from balance_tracker.solana.client import Listing


@dataclass(frozen=True, slots=True)
class Wanted:
    """One owner's token accounts, and what is read to tell their balances."""

    owner: Address
    listing: Listing
    unheld: tuple[Address, ...]
    leading: tuple[str, ...]
    rest: tuple[str, ...]


def packs(wanted: Sequence[Wanted], most_keys: int) -> Iterator[list[Wanted]]:
    """Owners whose accounts fit one call together; one with more than fit is by itself."""
    pack: list[Wanted] = []
    keys: set[str] = set()
    for one in wanted:
        own = {*one.leading, *one.rest}
        if pack and len(keys | own) > most_keys:
            yield pack
            pack, keys = [], set()
        pack.append(one)
        keys |= own
    if pack:
        yield pack


def with_requests(results: list[Reading | UpstreamError], requests: int) -> list[Reading | UpstreamError]:
    """The first reading tells what all of them took."""
    for place, result in enumerate(results):
        if isinstance(result, Reading):
            results[place] = replace(result, requests=requests)
            break
    return results


def shared(error: UpstreamError) -> UpstreamError:
    """The same error for another owner, without the requests that it took."""
    return UpstreamError(
        error.message,
        code=error.code,
        hint=error.hint,
        retryable=error.retryable,
        retry_after_seconds=error.retry_after_seconds,
    )

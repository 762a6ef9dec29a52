"""Wallets: named sets of addresses that people follow."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from balance_tracker.core.access import Caller
from balance_tracker.core.errors import ConflictError, InputError, NotFoundError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.kept import new_id
from balance_tracker.core.networks import Network
from balance_tracker.core.snapshots import Wallet
from balance_tracker.ports.snapshots import WalletChange, WalletStore
from balance_tracker.services.addresses import AddressBook
from balance_tracker.services.labels import checked_name
from balance_tracker.services.questions import choose_currency, choose_networks, find_network, split_words
from balance_tracker.services.whole import MOST_ADDRESSES

MOST_WALLETS = 1000
"""Of one key."""

SHORTEST_EVERY = timedelta(minutes=5)
LONGEST_EVERY = timedelta(days=30)

_EVERY = re.compile(r"([1-9][0-9]{0,5})(m|h|d)")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_NONE = "There is no such wallet."
_HINT = "GET /wallets lists them."


@dataclass(frozen=True, slots=True)
class WalletRequest:
    """What a new wallet is to be, as people write it."""

    name: str
    addresses: tuple[str, ...]
    networks: tuple[str, ...] | None = None
    currency: str = "usd"
    snapshot_every: str | None = None


@dataclass(frozen=True, slots=True)
class WalletEdit:
    """What is to be another way, as people write it; ``None``: as it is."""

    name: str | None = None
    addresses: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    all_networks: bool = False
    currency: str | None = None
    snapshot_every: str | None = None
    never_snapshot: bool = False


class WalletService:
    """Manages wallets.

    Args:
        store: Where they are kept.
        networks: What is tracked.
        book: Tells addresses apart.
        random_bits: Gives a number of so many bits that nobody can foretell.
        now: The time, in UTC.
    """

    def __init__(
        self,
        store: WalletStore,
        networks: Mapping[Slug, Network],
        book: AddressBook,
        random_bits: Callable[[int], int],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._networks = networks
        self._book = book
        self._random_bits = random_bits
        self._now = now

    async def create(self, caller: Caller, request: WalletRequest) -> Wallet:
        """Keep a new wallet; its first snapshot, if it is to have some, is due at once.

        Raises:
            InputError: Something is wrong; the hint says what would be right.
            UpstreamError: A name could not be looked up.
            ConflictError: ``too_many_wallets``.
        """
        now = self._now()
        addresses = await self._addresses(request.addresses)
        every = None if request.snapshot_every is None else every_of(request.snapshot_every)
        wallet = Wallet(
            wallet_id=new_id("wal", now, self._random_bits),
            owner=caller.owner,
            name=checked_name(request.name),
            addresses=addresses,
            networks=self._slugs(request.networks, addresses),
            currency=choose_currency(request.currency),
            snapshot_every=every,
            next_snapshot_at=None if every is None else now,
            created_at=now,
            updated_at=now,
        )
        if not await self._store.add(wallet, MOST_WALLETS):
            raise ConflictError(
                f"There are {MOST_WALLETS} wallets already.",
                code="too_many_wallets",
                hint="Delete one that is not followed any more.",
            )
        return wallet

    async def get(self, caller: Caller, wallet_id: str) -> Wallet:
        """One wallet.

        Raises:
            NotFoundError: There is none, or it is another key's.
        """
        return _found(await self._store.get(wallet_id, caller.owners))

    async def wallets(self, caller: Caller, limit: int, before: str | None) -> Sequence[Wallet]:
        """The caller's wallets, the newest first."""
        return await self._store.wallets(caller.owners, limit, before)

    async def change(self, caller: Caller, wallet_id: str, edit: WalletEdit) -> Wallet:
        """Change a wallet.

        Raises:
            InputError: As for :meth:`create`.
            UpstreamError: A name could not be looked up.
            NotFoundError: There is none, or it is another key's.
        """
        wallet = await self.get(caller, wallet_id)
        addresses = None if edit.addresses is None else await self._addresses(edit.addresses)
        networks = wallet.networks if edit.networks is None else edit.networks
        slugs = None if edit.all_networks else self._slugs(networks, addresses or wallet.addresses)
        change = WalletChange(
            name=None if edit.name is None else checked_name(edit.name),
            addresses=addresses,
            networks=slugs if edit.networks is not None else None,
            all_networks=edit.all_networks,
            currency=None if edit.currency is None else choose_currency(edit.currency),
            snapshot_every=_another_every(wallet, edit),
            never_snapshot=edit.never_snapshot,
        )
        return _found(await self._store.change(wallet_id, caller.owners, change, self._now()))

    async def delete(self, caller: Caller, wallet_id: str) -> None:
        """Forget a wallet; its snapshots stay.

        Raises:
            NotFoundError: There is none, or it is another key's.
        """
        if not await self._store.delete(wallet_id, caller.owners):
            raise NotFoundError(_NONE, hint=_HINT)

    async def _addresses(self, texts: Sequence[str]) -> tuple[Address, ...]:
        """The addresses meant, each once; a name is the address that it has now."""
        if not 1 <= len(texts) <= MOST_ADDRESSES:
            raise InputError(
                f"A wallet has 1 to {MOST_ADDRESSES} addresses.",
                code="too_many_addresses" if texts else "missing_parameter",
                hint="Follow more of them as several wallets.",
            )
        return tuple(dict.fromkeys([(await self._book.resolve(text)).address for text in texts]))

    def _slugs(self, networks: Sequence[str] | None, addresses: Sequence[Address]) -> tuple[Slug, ...] | None:
        if networks is None:
            return None
        words = split_words(networks)
        slugs = tuple(dict.fromkeys(find_network(word, self._networks).slug for word in words))
        for address in addresses:
            choose_networks(self._book.parse(address), slugs, self._networks)
        return slugs


def _another_every(wallet: Wallet, edit: WalletEdit) -> timedelta | None:
    """How often from now on; ``None`` where that is as it was: saying it again makes nothing due."""
    if edit.snapshot_every is None:
        return None
    every = every_of(edit.snapshot_every)
    return None if every == wallet.snapshot_every else every


def every_of(text: str) -> timedelta:
    """How often, as people write it.

    Raises:
        InputError: ``invalid_interval``.

    >>> every_of("90m")
    datetime.timedelta(seconds=5400)
    """
    match = _EVERY.fullmatch(text.strip().lower())
    every = int(match[1]) * _UNITS[match[2]] if match else timedelta(0)
    if not SHORTEST_EVERY <= every <= LONGEST_EVERY:
        raise InputError(
            f"'{text[:20]}' is no time between snapshots.",
            code="invalid_interval",
            hint="Write it like 30m, 1h or 1d, from 5m to 30d.",
        )
    return every


def every_text(every: timedelta) -> str:
    """How often, in the largest unit that fits.

    >>> every_text(timedelta(minutes=90)), every_text(timedelta(days=2))
    ('90m', '2d')
    """
    for unit in ("d", "h", "m"):
        if every % _UNITS[unit] == timedelta(0):
            return f"{every // _UNITS[unit]}{unit}"
    return f"{every // timedelta(seconds=1)}s"


def _found(wallet: Wallet | None) -> Wallet:
    if wallet is None:
        raise NotFoundError(_NONE, hint=_HINT)
    return wallet

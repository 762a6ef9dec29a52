"""Many addresses as one question: told apart, each once, and cut into chunks that are read together."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from balance_tracker.core.blocks import At
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.networks import Network
from balance_tracker.services import questions
from balance_tracker.services.addresses import AddressBook, Owner
from balance_tracker.services.questions import Question

_PARSED_AT_ONCE = 250
"""Addresses told apart before others get their turn: checksums of thousands take a while."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One address and where it stands in the list; several places where it is repeated.

    ``owner`` is ``None`` for a name that has to be looked up, or why the text is no address.
    """

    text: str
    positions: tuple[int, ...]
    owner: Owner | InputError | None

    @property
    def family(self) -> str | None:
        """The family it is asked on; names are of EVM addresses, a mistake is of none."""
        if self.owner is None:
            return "evm"
        return self.owner.family if isinstance(self.owner, Owner) else None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every address, as it was given."""

    networks: Sequence[str] | None
    tokens: Sequence[str]
    currency: str
    at: At | str
    spam: bool
    min_value: Decimal | str | int | None


async def told_apart(addresses: Sequence[str], book: AddressBook) -> list[Entry]:
    """Every address once, in the order of its first place; no name is looked up yet."""
    owners: dict[str, Owner | InputError | None] = {}
    positions: dict[str, list[int]] = {}
    for position, text in enumerate(addresses):
        if position % _PARSED_AT_ONCE == _PARSED_AT_ONCE - 1:
            await asyncio.sleep(0)
        try:
            owner: Owner | InputError | None = book.told(text)
        except InputError as error:
            owner = error
        key = owner.address if isinstance(owner, Owner) else text.strip()
        owners.setdefault(key, owner)
        positions.setdefault(key, []).append(position)
    return [
        Entry(addresses[places[0]], tuple(places), owner)
        for owner, places in zip(owners.values(), positions.values(), strict=True)
    ]


def chunks(entries: Sequence[Entry], most_owners: int, most_on_solana: int) -> Iterator[list[Entry]]:
    """Consecutive entries that are read together: at most so many owners, fewer of those on Solana.

    An owner on Solana takes requests of its own, on an EVM network a line of the matrix.
    """
    chunk: list[Entry] = []
    filled = 0.0
    for entry in entries:
        size = 1 / (most_on_solana if entry.family == "solana" else most_owners)
        if chunk and filled + size > 1 + 1e-9:
            yield chunk
            chunk, filled = [], 0.0
        chunk.append(entry)
        filled += size
    if chunk:
        yield chunk


class ManyQuestions:
    """The question of each owner; what is the same for a family is checked once.

    Args:
        asked: What is asked of every address.
        entries: The addresses.
        networks: What is tracked.
        book: Tells the families of tokens.
        now: The time, in UTC.

    Raises:
        InputError: What is asked is wrong for every address that is one.
    """

    def __init__(
        self,
        asked: Asked,
        entries: Sequence[Entry],
        networks: Mapping[Slug, Network],
        book: AddressBook,
        now: datetime,
    ) -> None:
        self._networks = networks
        self._book = book
        self._now = now
        self._currency = questions.choose_currency(asked.currency)
        self._min_value = questions.choose_min_value(asked.min_value)
        self._slugs = [
            questions.find_network(slug, networks).slug for slug in questions.split_words(asked.networks)
        ]
        self._at = asked.at
        self._spam = asked.spam
        first = _first_of_each_family(entries)
        self._tokens = self._by_family(asked.tokens, first)
        self._shared: dict[str, Question | InputError] = {}
        mistakes = [self._of_family(owner) for owner in first.values()]
        if mistakes and all(isinstance(mistake, InputError) for mistake in mistakes):
            self.question(next(iter(first.values())))

    def question(self, owner: Owner) -> Question:
        """What is asked of one owner.

        Raises:
            InputError: It can't be asked of this one: no network asked is of its family.
        """
        shared = self._of_family(owner)
        if isinstance(shared, InputError):
            # Chosen again for this owner, whom the sentence names.
            questions.choose_networks(owner, self._slugs, self._networks)
            raise shared
        return Question(
            owner=owner,
            networks=shared.networks,
            tokens=shared.tokens,
            currency=shared.currency,
            at=shared.at,
            spam=shared.spam,
            min_value=shared.min_value,
        )

    def _of_family(self, owner: Owner) -> Question | InputError:
        if owner.family not in self._shared:
            try:
                self._shared[owner.family] = self._chosen(owner)
            except InputError as error:
                self._shared[owner.family] = error
        return self._shared[owner.family]

    def _chosen(self, owner: Owner) -> Question:
        networks = questions.choose_networks(owner, self._slugs, self._networks)
        return Question(
            owner=owner,
            networks=networks,
            tokens=questions.choose_tokens(owner, self._tokens.get(owner.family, ()), self._book),
            currency=self._currency,
            at=questions.choose_at(self._at, networks, self._now),
            spam=self._spam,
            min_value=self._min_value,
        )

    def _by_family(self, tokens: Sequence[str], first: Mapping[str, Owner]) -> dict[str, list[str]]:
        """Tokens for the addresses of their own family.

        Raises:
            InputError: One is no address, or of a family that no address has.
        """
        found: dict[str, list[str]] = {}
        for text in questions.split_words(tokens):
            family = self._book.parse(text).family
            if first and family not in first:
                questions.choose_tokens(next(iter(first.values())), [text], self._book)
            found.setdefault(family, []).append(text)
        return found


def _first_of_each_family(entries: Sequence[Entry]) -> dict[str, Owner]:
    """An owner of each family, in whose name its questions are checked."""
    first: dict[str, Owner] = {}
    for entry in entries:
        family = entry.family
        if family is not None and family not in first:
            owner = entry.owner
            first[family] = owner if isinstance(owner, Owner) else Owner(Address(entry.text), family)
    return first

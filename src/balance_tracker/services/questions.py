"""A question as people write it, checked and typed: networks, tokens, block or time, currency."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches

from balance_tracker.core.blocks import At
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.networks import Family, Network
from balance_tracker.core.prices import CURRENCIES, Currency
from balance_tracker.services.addresses import AddressBook, Owner

MOST_TOKENS = 100

_LARGEST_BLOCK = 2**63 - 1
_AT_HINT = "Give a block number, or a time such as 2026-01-31T12:00:00Z."
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[Tt ](?P<clock>\d\d:\d\d:\d\d)(?P<fraction>\.\d+)?(?P<zone>[Zz]|[+ -]\d\d:\d\d)"
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of whom: everything checked, nothing left to interpret."""

    owner: Owner
    networks: tuple[Network, ...]
    tokens: tuple[Address, ...]
    currency: Currency
    at: At
    spam: bool
    min_value: Decimal | None


def find_network(slug: str, tracked: Mapping[Slug, Network]) -> Network:
    """The tracked network of a slug, in any case.

    Raises:
        InputError: ``unknown_network``, with the nearest slug.
    """
    wanted = slug.strip().lower()
    network = tracked.get(Slug(wanted))
    if network is None:
        shown = wanted[:60] if wanted.isprintable() else "?"
        raise InputError(
            f"There is no network '{shown}' here.", code="unknown_network", hint=nearest(wanted, tracked)
        )
    return network


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word most like the one given, or all of them.

    >>> nearest("arbitrm", ["arbitrum", "base"])
    "Did you mean 'arbitrum'?"
    """
    words = list(known)
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else f"Known are: {', '.join(words)}."


def choose_networks(
    owner: Owner, slugs: Sequence[str] | None, tracked: Mapping[Slug, Network]
) -> tuple[Network, ...]:
    """The networks to ask: those named, or every tracked one of the owner's family.

    Raises:
        InputError: ``unknown_network``, or ``wrong_network_family`` if none fits the address.
    """
    named = split_words(slugs)
    asked = [find_network(slug, tracked) for slug in named] if named else list(tracked.values())
    fitting = dict.fromkeys(network.slug for network in asked if network.family == owner.family)
    if fitting:
        return tuple(tracked[slug] for slug in fitting)
    raise _wrong_family(owner, [network.slug for network in asked] if named else [], tracked)


def choose_tokens(owner: Owner, tokens: Sequence[str] | None, book: AddressBook) -> tuple[Address, ...]:
    """The contract addresses (Solana: mints) to ask besides the listed ones.

    Raises:
        InputError: One is no address, is of another family than the owner, or there are too many.
    """
    found: dict[Address, None] = {}
    for text in split_words(tokens):
        token = book.parse(text)
        if token.family != owner.family:
            raise InputError(
                f"The token {token.address} is {_article(token.family)} address, but the owner is not.",
                code="wrong_network_family",
                hint=f"Ask {_article(owner.family)} owner for {_article(owner.family)} token.",
            )
        found[token.address] = None
    if len(found) > MOST_TOKENS:
        raise InputError(
            f"{len(found)} tokens were asked for, and {MOST_TOKENS} are allowed.",
            code="too_many_tokens",
            hint="Split them over several requests.",
        )
    return tuple(found)


def choose_currency(text: str) -> Currency:
    """A known currency in lower case.

    Raises:
        InputError: ``invalid_currency``, with those that are known.
    """
    wanted = text.strip().lower()
    for currency in CURRENCIES:
        if currency == wanted:
            return currency
    raise InputError(
        f"Values can't be given in '{wanted[:20]}'.",
        code="invalid_currency",
        hint=f"Known are: {', '.join(CURRENCIES)}.",
    )


def choose_min_value(value: Decimal | str | int | None) -> Decimal | None:
    """The least value of a holding that is shown, in the question's currency.

    Raises:
        InputError: It is not a number, or below zero.
    """
    if value is None:
        return None
    try:
        amount = Decimal(value)
    except (InvalidOperation, ValueError):
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise InputError(
            "min_value must be a number that is not below zero.",
            code="invalid_parameter",
            hint="For example min_value=1.5.",
        )
    return amount


def choose_at(at: At | str, networks: Sequence[Network], now: datetime) -> At:
    """The block or the time to read at; ``None`` for the latest block.

    Raises:
        InputError: ``invalid_at``: neither, in the future, or a block number for several networks.
    """
    chosen = _parse_at(at) if isinstance(at, str) else at
    if isinstance(chosen, datetime):
        return _past(chosen, now)
    if isinstance(chosen, int):
        _check_block(chosen, networks)
    return chosen


def split_words(words: Sequence[str] | None) -> list[str]:
    """The words of one or several comma-separated texts, without the empty ones."""
    texts = [words] if isinstance(words, str) else list(words or ())
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _parse_at(text: str) -> At:
    text = text.strip()
    if not text or text.lower() == "latest":
        return None
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= 19 else _LARGEST_BLOCK + 1
    moment = _parsed_time(text)
    if moment is None:
        raise InputError("'at' is neither a block number nor a time.", code="invalid_at", hint=_AT_HINT)
    return moment


def _parsed_time(text: str) -> datetime | None:
    """A time of RFC 3339; ``None`` where the text is none, or not one that exists."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    zone = match["zone"].upper().replace("Z", "+00:00").replace(" ", "+")
    fraction = (match["fraction"] or "")[:7]
    try:
        return datetime.fromisoformat(f"{match['day']}T{match['clock']}{fraction}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def choose_time(name: str, at: datetime | str) -> datetime:
    """A time, in UTC.

    Args:
        name: The parameter's, for what is said of a wrong one.
        at: RFC 3339 text, or a time with a zone.

    Raises:
        InputError: ``invalid_time``: it is none.
    """
    moment = _parsed_time(at) if isinstance(at, str) else at
    if moment is None or moment.tzinfo is None or moment.timestamp() < 0:
        raise InputError(
            f"'{name}' is no time.", code="invalid_time", hint="Give one such as 2026-01-31T12:00:00Z."
        )
    return moment.astimezone(UTC)


def _past(at: datetime, now: datetime) -> datetime:
    if at.tzinfo is None:
        raise InputError("'at' is a time without a zone.", code="invalid_at", hint=_AT_HINT)
    at = at.astimezone(UTC)
    if at > now:
        raise InputError(
            "'at' is in the future.", code="invalid_at", hint=f"It is {now:%Y-%m-%dT%H:%M:%SZ} now."
        )
    if at.timestamp() < 0:
        raise InputError("'at' is before every network.", code="invalid_at", hint=_AT_HINT)
    return at


def _check_block(number: int, networks: Sequence[Network]) -> None:
    if not 0 <= number <= _LARGEST_BLOCK:
        raise InputError("'at' is not a block number.", code="invalid_at", hint=_AT_HINT)
    if len(networks) != 1 or networks[0].family != "evm":
        raise InputError(
            "A block number is one network's, so 'at' needs exactly one EVM network.",
            code="invalid_at",
            hint="Name it with networks=, or give a time instead.",
        )


def _wrong_family(owner: Owner, asked: list[str], tracked: Mapping[Slug, Network]) -> InputError:
    fitting = [slug for slug, network in tracked.items() if network.family == owner.family]
    hint = f"Ask it on {', '.join(fitting)}." if fitting else "No network for it is tracked here."
    where = f"can't be asked on {', '.join(asked)}" if asked else "fits no tracked network"
    return InputError(
        f"{owner.address} is {_article(owner.family)} address and {where}.",
        code="wrong_network_family",
        hint=hint,
    )


def _article(family: Family | str) -> str:
    return "an EVM" if family == "evm" else f"a {family.capitalize()}"

"""What the user gave, turned into one address: EVM, Solana, or a name."""

from collections.abc import Sequence
from dataclasses import dataclass

from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.ports import AddressFormat, NameService

_LONGEST_TEXT = 300
_ACCEPTED = "An EVM address (0x and 40 hex digits), a Solana address (base58), or a name such as vitalik.eth."


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose holdings are asked; ``name`` is the name they were asked by, if any."""

    address: Address
    family: str
    name: str | None = None


class AddressBook:
    """Tells the families of addresses apart and resolves names.

    Args:
        formats: One per family; the first that recognises a text judges it.
        names: Where names are looked up; ``None`` if no network for it is tracked.
    """

    def __init__(self, formats: Sequence[AddressFormat], names: NameService | None) -> None:
        self._formats = tuple(formats)
        self._names = names

    async def resolve(self, text: str) -> Owner:
        """The owner that a text means.

        Raises:
            InputError: It is no address and no name; the hint says what would be.
            UpstreamError: A name could not be looked up.
        """
        return self.told(text) or await self._resolve_name(text.strip())

    def told(self, text: str) -> Owner | None:
        """The owner, as far as the text alone tells; ``None`` for a name, which must be looked up.

        Raises:
            InputError: It is no address and no name; the hint says what would be.
        """
        text = text.strip()
        _refuse_odd(text)
        return None if self._is_name(text) else self.parse(text)

    def parse(self, text: str) -> Owner:
        """The owner of an address, without names.

        Raises:
            InputError: It is no address of a known family.
        """
        text = text.strip()
        for form in self._formats:
            if form.looks_like(text):
                return Owner(form.parse(text), form.family)
        raise InputError(f"'{_shown(text)}' is not an address.", code="invalid_address", hint=_ACCEPTED)

    def _is_name(self, text: str) -> bool:
        if self._names is not None:
            return self._names.looks_like(text)
        return "." in text and not any(form.looks_like(text) for form in self._formats)

    async def _resolve_name(self, name: str) -> Owner:
        if self._names is None:
            raise InputError(
                f"'{_shown(name)}' is a name, and names are looked up on Ethereum, which is not tracked.",
                code="names_not_tracked",
                hint="Give the address itself, or add ethereum to TRACKER_NETWORKS.",
            )
        name = self._names.normal(name)
        try:
            address = await self._names.resolve(name)
        except UpstreamError as error:
            raise _not_looked_up(name, error) from error
        return Owner(address, self.parse(address).family, name)


def _refuse_odd(text: str) -> None:
    """Refuse what no family could mean: nothing, a list, or a book."""
    if not text:
        raise InputError("No address was given.", code="invalid_address", hint=_ACCEPTED)
    if "," in text:
        raise InputError(
            "Several addresses were given where one is expected.",
            code="invalid_address",
            hint="Ask for one address at a time.",
        )
    if len(text) > _LONGEST_TEXT:
        raise InputError("The address is too long.", code="invalid_address", hint=_ACCEPTED)


def _not_looked_up(name: str, error: UpstreamError) -> UpstreamError:
    """The error of a look-up, told as what it means to the one who asked."""
    if error.code == "name_unavailable":
        return error
    return UpstreamError(
        f"The name '{_shown(name)}' could not be looked up: {error.message}",
        code="name_unavailable",
        hint="Ask again later, or give the address itself.",
        retryable=error.retryable,
    )


def _shown(text: str) -> str:
    """The user's own text in a message: printable, and not endless."""
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= 80 else f"{printable[:77]}…"

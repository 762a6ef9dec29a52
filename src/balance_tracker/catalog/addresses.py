"""Addresses in data files, by the family of their network."""

from balance_tracker.catalog.sections import Section
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Family
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.ports import AddressFormat
from balance_tracker.solana.address import SolanaAddresses

_FORMATS: dict[Family, AddressFormat] = {"evm": EvmAddresses(), "solana": SolanaAddresses()}


def address_of(section: Section, key: str, text: str, family: Family) -> Address:
    """An address that a file gives, in the form it goes out in.

    Args:
        section: Where in the file it stands.
        key: Its key there.
        text: What the file says.
        family: How its network writes addresses.

    Raises:
        ConfigurationError: Not an address of the family, or a wrong mixed-case checksum; the
            hint says what would be right.
    """
    try:
        return _FORMATS[family].parse(text)
    except InputError as error:
        reason = error.message.rstrip(".")
        raise section.refused(key, f"is wrong: {reason[:1].lower()}{reason[1:]}", error.hint) from None

"""An address, a name, or a mistake with a hint."""

import pytest
from tests.fakes.readers import ALICE, SOLANA_ALICE, ScriptedNames, formats, refused

from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.services.addresses import AddressBook, Owner


async def mistake(text: str, names: ScriptedNames | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        await AddressBook(formats(), names).resolve(text)
    return caught.value


async def test_families_are_told_apart() -> None:
    book = AddressBook(formats(), None)
    assert await book.resolve(f" {ALICE} ") == Owner(ALICE, "evm")  # type: ignore[arg-type]
    assert (await book.resolve(SOLANA_ALICE)).family == "solana"


async def test_a_name_is_resolved_and_remembered() -> None:
    book = AddressBook(formats(), ScriptedNames({"alice.eth": ALICE}))
    owner = await book.resolve("alice.eth")
    assert (owner.address, owner.family, owner.name) == (ALICE, "evm", "alice.eth")


async def test_a_name_that_could_not_be_looked_up_is_told_as_that() -> None:
    for error in (refused("Cut off."), refused("The name 'a.eth' is out of reach.", code="name_unavailable")):
        with pytest.raises(UpstreamError, match="The name") as caught:
            await AddressBook(formats(), ScriptedNames(error=error)).resolve("a.eth")
        assert caught.value.code == "name_unavailable"


async def test_a_name_without_its_network_says_what_to_do() -> None:
    error = await mistake("alice.eth")
    assert error.code == "names_not_tracked"
    assert "TRACKER_NETWORKS" in str(error.hint)


@pytest.mark.parametrize("text", ["", "   ", "hello", "x" * 1000, f"{ALICE},{ALICE}", "0xbad", "\x00\x01"])
async def test_what_is_no_address_is_refused(text: str) -> None:
    error = await mistake(text, ScriptedNames())
    assert error.code == "invalid_address"
    assert error.hint


async def test_several_addresses_are_told_to_come_alone() -> None:
    assert "one address at a time" in str((await mistake(f"{ALICE},{ALICE}")).hint)

"""Non-fungible tokens on a real Solana bank: by collection, with what only claims to be of one apart."""

import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from solders.pubkey import Pubkey
from tests.nfts.conftest import soon
from tests.solana.conftest import SOLANA

from balance_tracker.core.ids import Address
from balance_tracker.core.including import Include
from balance_tracker.core.nfts import Collection, NftHolding
from balance_tracker.core.portfolio import Reading
from balance_tracker.demo import solana_programs as programs
from balance_tracker.demo.solana_bank import SolanaBank
from balance_tracker.demo.solana_tokens import BankTokens, Extras
from balance_tracker.solana.binary import LayoutError
from balance_tracker.solana.metadata import decode_whole_metaplex
from balance_tracker.solana.reader import SolanaReader
from balance_tracker.transport.pool import open_pool

URI = "https://example.org/1.json"


def tail(collection: Pubkey | None, *, verified: bool, standard: int | None, creators: int = 2) -> bytes:
    """What stands behind the URI, by the layout of ``mpl_token_metadata`` 1.2 and later."""
    parts = [
        struct.pack("<H", 500),
        b"\x01" + struct.pack("<I", creators) + bytes(34 * creators) if creators else b"\x00",
        b"\x01\x01\x01\xfd",
        b"\x00" if standard is None else bytes([1, standard]),
        b"\x00" if collection is None else bytes([1, verified]) + bytes(collection),
        b"\x00\x00",
    ]
    return b"".join(parts)


def metadata(mint: Pubkey, name: str, more: bytes, size: int = 679, uri: str = URI) -> bytes:
    head = programs.metaplex_metadata(mint, Pubkey.default(), name, "ART", uri)[:319]
    return (head + more).ljust(size, b"\0")


class Gallery:
    """A wallet on a bank, and a reader of what it has."""

    def __init__(self, bank: SolanaBank, reader: SolanaReader) -> None:
        self.bank = bank
        self.tokens = BankTokens(bank)
        self.reader = reader
        self.owner = Pubkey.new_unique()
        bank.give_sol(self.owner, 10**9)

    def mint(self, name: str, more: bytes, size: int = 679, uri: str = URI) -> Pubkey:
        mint = self.tokens.create_mint(0)
        self.tokens.give(mint, self.owner, 1)
        self.describe(mint, name, more, size, uri)
        return mint

    def describe(self, mint: Pubkey, name: str, more: bytes, size: int = 679, uri: str = URI) -> None:
        data = metadata(mint, name, more, size, uri)
        self.bank.set_bytes(programs.metaplex_address(mint), data, programs.METAPLEX_METADATA)

    async def read(self, include: Include | None = None) -> Reading:
        wanted = Include(nfts=True) if include is None else include
        return await self.reader.read(Address(str(self.owner)), [], None, soon(), wanted)

    async def holdings(self, include: Include | None = None) -> dict[str, NftHolding]:
        reading = await self.read(include)
        return {one.collection.contract_address: one for one in reading.collections}


@pytest.fixture
async def gallery() -> AsyncIterator[Gallery]:
    async with AsyncExitStack() as stack:
        bank = await stack.enter_async_context(SolanaBank())
        pool = await stack.enter_async_context(open_pool("solana", [bank.url], stale_behind=150))
        yield Gallery(bank, SolanaReader(SOLANA, pool))


async def test_tokens_of_a_signed_collection_stand_together_under_its_name(gallery: Gallery):
    art = Pubkey.new_unique()
    gallery.describe(art, "Art of ours", tail(None, verified=False, standard=0))
    signed = tail(art, verified=True, standard=0)
    mints = sorted(str(gallery.mint(f"Ours {number}", signed)) for number in range(3))
    holdings = await gallery.holdings()
    [found] = holdings.values()
    assert (found.collection.contract_address, found.collection.name) == (str(art), "Art of ours")
    assert (found.collection.standard, found.balance, found.ids_complete) == ("metaplex", 3, True)
    assert [(one.token_id, one.amount, one.metadata_uri) for one in found.token_ids] == [
        (mint, 1, URI) for mint in mints
    ]
    assert dict(found.extra) == {
        "collection": str(art),
        "verified": "true",
        "token_standard": "non_fungible",
    }


async def test_a_claim_without_a_signature_groups_nothing_and_is_told(gallery: Gallery):
    art = Pubkey.new_unique()
    forged = gallery.mint("Forged", tail(art, verified=False, standard=None))
    holdings = await gallery.holdings()
    found = holdings[str(forged)]
    assert (found.collection.name, found.balance) == ("Forged", 1)
    assert dict(found.extra) == {"collection": str(art), "verified": "false"}


async def test_a_programmable_token_is_seen_though_its_account_is_frozen(gallery: Gallery):
    mint = gallery.mint("Programmable", tail(None, verified=False, standard=4, creators=0), size=607)
    gallery.tokens.freeze(mint, gallery.tokens.open_account(mint, gallery.owner))
    found = (await gallery.holdings())[str(mint)]
    assert dict(found.extra) == {"token_standard": "programmable_non_fungible"}


async def test_a_token_2022_mint_is_known_by_its_own_metadata(gallery: Gallery):
    mint = gallery.tokens.create_mint(0, extras=Extras(name="Inside", symbol="IN"))
    gallery.tokens.give(mint, gallery.owner, 1)
    found = (await gallery.holdings())[str(mint)]
    assert (found.collection.standard, found.collection.name) == ("token2022", "Inside")


async def test_what_is_divisible_or_many_is_no_such_token_and_balances_have_no_collections(gallery: Gallery):
    gallery.tokens.give(gallery.tokens.create_mint(0), gallery.owner, 2)
    gallery.tokens.give(gallery.tokens.create_mint(6), gallery.owner, 1)
    mint = gallery.mint("One", tail(None, verified=False, standard=0))
    reading = await gallery.read()
    assert [one.collection.contract_address for one in reading.collections] == [str(mint)]
    assert len(reading.balances) == 3
    plain = await gallery.read(Include())
    assert (plain.collections, plain.nfts) == ((), 1)


async def test_a_listed_collection_has_the_lists_name_and_no_request_is_spent_on_it(gallery: Gallery):
    art = Pubkey.new_unique()
    gallery.mint("Ours", tail(art, verified=True, standard=0))
    listed = Collection(SOLANA.slug, Address(str(art)), "metaplex", "By the list")
    [found] = (await gallery.holdings(Include(nfts=True, collections=(listed,)))).values()
    assert (found.collection.name, found.collection.trust) == ("By the list", "verified")
    assert gallery.bank.requests == 2


async def test_names_that_are_known_cost_no_further_request(gallery: Gallery):
    art = Pubkey.new_unique()
    gallery.describe(art, "Art", tail(None, verified=False, standard=0))
    gallery.mint("Ours", tail(art, verified=True, standard=0))
    assert (await gallery.read()).requests == 3
    again = await gallery.read()
    assert (again.requests, again.collections[0].collection.name) == (2, "Art")


async def test_metadata_that_is_nonsense_leaves_the_token_without_a_name(gallery: Gallery):
    mint = gallery.tokens.create_mint(0)
    gallery.tokens.give(mint, gallery.owner, 1)
    gallery.bank.set_bytes(programs.metaplex_address(mint), bytes(679), programs.METAPLEX_METADATA)
    found = (await gallery.holdings())[str(mint)]
    assert (found.collection.name, found.token_ids[0].metadata_uri) == (None, None)


def test_an_account_of_the_first_version_has_names_and_no_collection():
    mint = Pubkey.new_unique()
    found = decode_whole_metaplex(metadata(mint, "Old", b"", size=325))
    assert (found.names.name, found.collection, found.verified) == ("Old", None, False)


def test_bytes_behind_the_names_that_are_nonsense_are_no_collection():
    data = metadata(Pubkey.new_unique(), "Odd", b"\x00\x00\x01\xff\xff\xff\xff")
    assert decode_whole_metaplex(data).collection is None
    with pytest.raises(LayoutError):
        decode_whole_metaplex(bytes([3]) + data[1:])

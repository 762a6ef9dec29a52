"""NFT collections on local nodes: a real contract at every listed address, and who holds what of them.

ERC-721 and ERC-1155 are OpenZeppelin's presets. CryptoPunks is a model of its public interface, as
its own contract is in no package; its source is ``Punks`` in ``tests/nfts/Collections.sol``.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from balance_tracker.core.ids import Slug
from balance_tracker.core.nfts import Collection
from balance_tracker.demo.contracts import (
    Artifact,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    place,
    transact,
)
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.demo.stories import TRADER, TREASURY

_PUNKS_FILE = Path(__file__).parent / "punks.hex"
_MINT_721 = "mint(address)"
_MINT_1155 = "mint(address,uint256,uint256,bytes)"
_ASSIGN = "setInitialOwner(address,uint256)"

HOLDINGS: Mapping[Slug, Sequence[tuple[str, str, int]]] = {
    Slug("ethereum"): (
        ("Bored Ape Yacht Club", TREASURY, 2),
        ("Azuki", TRADER, 3),
        ("CryptoPunks", TREASURY, 2),
        ("Parallel Alpha", TRADER, 2),
        ("Pudgy Penguins", TRADER, 1),
    ),
    Slug("arbitrum"): (("Smol Brain", TRADER, 2),),
}
"""By network: a collection's name, the owner, and how many tokens; all invented."""

_FIRST_PUNK = 7_804


def place_collections(
    client: NodeClient, library: ContractLibrary, collections: Iterable[Collection]
) -> None:
    """Put a contract at the address of every collection.

    Raises:
        UpstreamError: A constructor failed.
    """
    place(client, [_placement(library, collection) for collection in collections])


def give_collections(client: NodeClient, slug: Slug, collections: Iterable[Collection]) -> None:
    """Let the sample wallets have their tokens.

    Raises:
        UpstreamError: A transaction failed.
    """
    by_name = {collection.name: collection for collection in collections}
    gifts = [
        gift
        for name, owner, count in HOLDINGS.get(slug, ())
        if name in by_name
        for gift in _gifts(by_name[name], owner, count)
    ]
    if gifts:
        transact(client, gifts)


def _placement(library: ContractLibrary, collection: Collection) -> Placement:
    address = str(collection.contract_address)
    folder = f"ipfs://{(collection.name or 'collection').lower().replace(' ', '-')}.example/"
    if collection.standard == "cryptopunks":
        code = bytes.fromhex("".join(_PUNKS_FILE.read_text(encoding="ascii").split()))
        return Placement(address, Artifact("Punks", code))
    if collection.standard == "erc1155":
        return Placement(address, library.erc1155, (f"{folder}{{id}}",))
    return Placement(address, library.erc721, (collection.name, collection.symbol or "NFT", folder))


def _gifts(collection: Collection, owner: str, count: int) -> list[Transaction]:
    address = str(collection.contract_address)
    if collection.standard == "cryptopunks":
        datas = [call_data(_ASSIGN, owner, _FIRST_PUNK + number) for number in range(count)]
    elif collection.standard == "erc1155":
        datas = [call_data(_MINT_1155, owner, 10 + number, 1 + number, b"") for number in range(count)]
    else:
        datas = [call_data(_MINT_721, owner) for _ in range(count)]
    return [Transaction(address, data) for data in datas]

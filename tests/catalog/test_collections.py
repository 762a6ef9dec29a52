"""Lists of collections: the shipped ones load, the operator's are merged, what is wrong is named."""

import json
from importlib.resources import files
from typing import Any

import pytest
from eth_utils import is_checksum_address

from balance_tracker.catalog.collections import load_collections, read_collections
from balance_tracker.catalog.networks import load_networks
from balance_tracker.core.errors import ConfigurationError

NETWORKS = load_networks()
PUNKS = "0xb47e3cd837dDF8e4c57F05d70Ab865de6e193BBB"
KITTIES = "0x06012c8cf97BEaD5deAe237070F9587f8E7A266d"
MINT = "So11111111111111111111111111111111111111112"


def entry(**changes: Any) -> dict[str, Any]:
    return {"chainId": 1, "address": KITTIES, "name": "Ours", "standard": "erc721"} | changes


def document(*entries: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"name": "ours", "collections": list(entries), **more}).encode()


def test_every_shipped_list_loads_and_is_of_a_network():
    shipped = {path.name for path in (files("balance_tracker") / "data" / "collections").iterdir()}
    collections = load_collections(NETWORKS)
    assert shipped == {f"{slug}.json" for slug, listed in collections.items() if listed}
    assert len(collections["ethereum"]) == 52
    assert collections["solana"] == ()
    assert all(
        is_checksum_address(one.contract_address) and one.trust == "verified" and one.network == slug
        for slug, listed in collections.items()
        for one in listed
    )


def test_cryptopunks_have_a_standard_of_their_own():
    standards = {one.contract_address: one.standard for one in load_collections(NETWORKS)["ethereum"]}
    assert standards[PUNKS] == "cryptopunks"
    assert sorted(set(standards.values())) == ["cryptopunks", "erc1155", "erc721"]


def test_an_operators_list_adds_and_corrects():
    punks = entry(address=PUNKS, name="Punks", standard="cryptopunks", symbol="Ͼ", sinceBlock=3_914_495)
    extra = ("ours.json", document(entry(), punks, entry(chainId=999_999_999)))
    found = {one.contract_address: one for one in load_collections(NETWORKS, extra_lists=[extra])["ethereum"]}
    assert found[PUNKS].name == "Punks"
    assert found[PUNKS].since_block == 3_914_495
    assert found[PUNKS].trust == "verified"
    assert found[KITTIES].name == "Ours"


def test_without_the_shipped_lists_only_the_operators_are_tracked():
    extra = ("ours.json", document(entry(chainId=101, address=MINT, standard="metaplex")))
    collections = load_collections(NETWORKS, shipped=False, extra_lists=[extra])
    assert [one.trust for one in collections["solana"]] == ["listed"]
    assert sum(map(len, collections.values())) == 1


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (document(entry(standard="erc20")), "standard must be one of erc721"),
        (document(entry(standard="metaplex")), "standard must be one of erc721"),
        (document(entry(address="0x12")), "address is wrong"),
        (document(entry(address=KITTIES.replace("d", "D"))), "address is wrong"),
        (document(entry(), entry()), "stands twice"),
        (document(entry(standart="erc721")), "standart is not a known key"),
        (document(entry(name="")), "name is empty"),
        (document(entry(verified="no")), "verified must be true or false"),
        (document(entry(sinceBlock=-1)), "sinceBlock must be"),
        (b'{"collections": 5}', "collections must be a list"),
        (b"[", "collections"),
    ],
)
def test_what_is_wrong_is_named(bad: bytes, told: str):
    with pytest.raises(ConfigurationError) as raised:
        read_collections(bad, "collections.json", NETWORKS)
    assert told in raised.value.message

"""Lists in the Token Lists schema: what is read from them, and that wrong ones are refused."""

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from tests.catalog.examples import BONK, DAI, USDC, token, token_list

from balance_tracker.catalog.list_document import render_token_list
from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.token_list import MAX_LIST_BYTES, read_token_list
from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.core.ids import token_asset_id

NETWORKS = load_networks()


def _refusal(document: bytes, origin: str = "mine.json") -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        read_token_list(document, origin, NETWORKS)
    return caught.value


def test_a_token_is_read_with_all_that_the_list_says_of_it():
    entry = token(
        logoURI="https://logos.example/usdc.png",
        tags=["stablecoin"],
        extensions={
            "coingeckoId": "usd-coin",
            "coingeckoIdFrom": "platform",
            "coinpaprikaId": "usdc",
            "note": "Ours",
            "vendor": {"a": 1},
        },
    )
    (asset,) = read_token_list(token_list(entry), "mine.json", NETWORKS).tokens
    assert asset.asset_id == f"eip155:1/erc20:{USDC}"
    assert (asset.network, asset.symbol, asset.decimals, asset.trust) == ("ethereum", "USDC", 6, "listed")
    assert asset.price_ids == {"coingecko": "usd-coin", "coinpaprika": "usdc"}
    assert (asset.logo_uri, asset.tags, asset.note) == (entry["logoURI"], ("stablecoin",), "Ours")


def test_solana_tokens_are_listed_under_101():
    entry = token(chainId=101, address=BONK, symbol="Bonk", decimals=5)
    (asset,) = read_token_list(token_list(entry), "mine.json", NETWORKS).tokens
    assert asset.asset_id == f"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/token:{BONK}"


@pytest.mark.parametrize("written", [USDC.lower(), "0x" + USDC[2:].upper()])
def test_one_case_is_an_address_without_a_checksum_and_goes_out_with_one(written):
    (asset,) = read_token_list(token_list(token(address=written)), "mine.json", NETWORKS).tokens
    assert asset.contract_address == USDC


@pytest.mark.parametrize("told", [{"coingeckoIdFrom": "logo"}, {}])
def test_a_coingecko_id_that_is_not_of_this_address_is_only_a_hint(told):
    extensions = {"coingeckoId": "tether", **told}
    (asset,) = read_token_list(token_list(token(extensions=extensions)), "mine.json", NETWORKS).tokens
    assert asset.price_ids == {"coingecko_hint": "tether"}


def test_tokens_of_networks_that_are_not_tracked_are_skipped_and_counted():
    foreign = [token(chainId=999_999, address="anything", odd=True) for _ in range(3)]
    parsed = read_token_list(token_list(*foreign, token()), "mine.json", NETWORKS)
    assert (len(parsed.tokens), parsed.untracked) == (1, 3)


def test_what_stands_for_the_native_coin_is_skipped_and_counted():
    mirror = token(chainId=137, address="0x0000000000000000000000000000000000001010")
    stand_in = token(address="0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE")
    parsed = read_token_list(token_list(mirror, stand_in, token()), "mine.json", NETWORKS)
    assert ([asset.symbol for asset in parsed.tokens], parsed.mirrors) == (["USDC"], 2)


def test_a_list_without_version_and_time_and_with_an_empty_logo_is_read():
    document = json.dumps({"tokens": [token(logoURI="")]}).encode()
    parsed = read_token_list(document, "mine.json", NETWORKS)
    assert parsed.name == "mine.json"
    assert parsed.tokens[0].logo_uri is None


def test_a_byte_order_mark_does_no_harm():
    assert read_token_list(b"\xef\xbb\xbf" + token_list(token()), "mine.json", NETWORKS).tokens


WRONG_DOCUMENTS = [
    (b'{\n"name": oops}', "is not valid JSON at line 2 column 9"),
    (b'{"tokens": [', "is not valid JSON at line 1 column 13"),
    (b"", "is not valid JSON at line 1 column 1"),
    (b"<html>", "is not valid JSON at line 1 column 1"),
    (b"[]", "must hold one JSON object"),
    (b"{\n\n\xff}", "is not UTF-8 text at line 3"),
    (b'{"a": NaN}', "NaN is not a number in JSON"),
    (b'{"name": "a", "name": "b"}', "the key 'name' stands twice in one object"),
    (b"[" * 200_000, "nests too deeply"),
    (b'{"tokens": ' + b"9" * 5_000 + b"}", "is not valid JSON"),
    (b'{"name": "a"}', "tokens is missing"),
    (token_list(tokens={}), "tokens must be a list, not a list or a table"),
    (token_list("0x00"), "tokens[0] must be a table, not text"),
    (token_list(extra=1), "extra is not a known key"),
    (token_list(version={"major": -1}), "version.major must be 0 to 2147483647, not -1"),
    (token_list(version={"major": True}), "version.major must be a whole number, not true or false"),
    (token_list(version={"build": 1}), "version.build is not a known key"),
    (token_list(timestamp=5), "timestamp must be text, not a whole number"),
    (token_list(name=""), "name is empty"),
]


@pytest.mark.parametrize(("document", "told"), WRONG_DOCUMENTS, ids=[told for _, told in WRONG_DOCUMENTS])
def test_a_wrong_document_is_refused_with_its_origin_and_line_or_key(document, told):
    error = _refusal(document)
    assert error.message.startswith("mine.json: ")
    assert told in error.message
    assert error.code == "invalid_configuration"


WRONG_TOKENS = [
    ({"chainId": None}, "chainId is missing"),
    ({"chainId": "1"}, "chainId must be a whole number, not text"),
    ({"chainId": True}, "chainId must be a whole number, not true or false"),
    ({"chainId": 0}, "chainId must be 1 to"),
    ({"chainId": -1}, "chainId must be 1 to"),
    ({"address": None}, "address is missing"),
    ({"address": 5}, "address must be text, not a whole number"),
    ({"address": USDC[:-1]}, "address is wrong"),
    ({"address": USDC.replace("A0b8", "a0b8")}, "address is wrong"),
    ({"address": BONK}, "address is wrong"),
    ({"chainId": 101, "address": USDC}, "address is wrong"),
    ({"chainId": 101, "address": BONK[:-4]}, "address is wrong"),
    ({"chainId": 101, "address": BONK[:-1] + "0"}, "address is wrong"),
    ({"symbol": None}, "symbol is missing"),
    ({"symbol": "  "}, "symbol is empty"),
    ({"symbol": "US\u202eDC"}, "symbol holds control characters"),
    ({"symbol": "x" * 4_096}, "symbol has 4,096 characters, more than 80"),
    ({"name": None}, "name is missing"),
    ({"name": ["USD Coin"]}, "name must be text, not a list or a table"),
    ({"decimals": None}, "decimals is missing"),
    ({"decimals": -1}, "decimals must be 0 to 255, not -1"),
    ({"decimals": 256}, "decimals must be 0 to 255, not 256"),
    ({"decimals": False}, "decimals must be a whole number, not true or false"),
    ({"decimals": 6.0}, "decimals must be a whole number, not a number with a point"),
    ({"decimals": "6"}, "decimals must be a whole number, not text"),
    ({"decimal": 6}, "decimal is not a known key"),
    ({"logoURI": "javascript:alert(1)"}, "logoURI must begin with one of https://"),
    ({"logoURI": 5}, "logoURI must be text"),
    ({"tags": "stablecoin"}, "tags must be a list of texts, not text"),
    ({"tags": [1]}, "tags[0] must be text, not a whole number"),
    ({"extensions": []}, "extensions must be a table, not a list or a table"),
    ({"extensions": {"coingeckoId": 7}}, "extensions.coingeckoId must be text, not a whole number"),
    ({"extensions": {"coinpaprikaId": ""}}, "extensions.coinpaprikaId is empty"),
]


@pytest.mark.parametrize(
    ("changes", "told"), WRONG_TOKENS, ids=[str(changes)[:60] for changes, _ in WRONG_TOKENS]
)
def test_a_wrong_token_is_refused_with_its_place_and_the_reason(changes, told):
    error = _refusal(token_list(token(address=DAI), token(**changes)))
    assert error.message.startswith(f"mine.json: tokens[1].{told}")


def test_a_wrong_checksum_is_shown_the_right_one():
    error = _refusal(token_list(token(address=USDC.replace("A0b8", "a0b8"))))
    assert USDC in (error.hint or "")


def test_a_token_that_stands_twice_is_refused_whatever_its_case():
    error = _refusal(token_list(token(), token(address=DAI), token(address=USDC.lower())))
    assert error.message == "mine.json: tokens[2].address repeats tokens[0].address."


def test_a_list_over_its_bounds_is_refused():
    assert "is larger than 16,777,216 bytes" in _refusal(b" " * (MAX_LIST_BYTES + 1)).message
    crowd = b'{"tokens": [' + b"{}," * 100_000 + b"{}]}"
    assert "tokens has 100,001 entries, more than 100,000" in _refusal(crowd).message


def test_of_a_lists_url_only_the_host_is_shown():
    error = _refusal(b"{}", "https://lists.example/v1/s3cr3t-k3y/list.json?key=0123456789")
    assert error.message == "lists.example: tokens is missing."


ADDRESSES = st.binary(min_size=20, max_size=20).filter(lambda raw: len(set(raw)) > 2)
TEXTS = st.text('abcXYZ019.$-_/"\\€₮漢é⚔', min_size=1, max_size=20)


@st.composite
def evm_assets(draw: st.DrawFn) -> Asset:
    network = NETWORKS[draw(st.sampled_from(["ethereum", "base", "zksync"]))]
    address = to_checksum_address(draw(ADDRESSES))
    ids = draw(st.sampled_from([{}, {"coingecko": "a"}, {"coingecko_hint": "b", "coinpaprika": "c"}]))
    return Asset(
        asset_id=token_asset_id(network.id, "evm", address),
        network=network.slug,
        contract_address=address,
        symbol=draw(TEXTS),
        name=draw(TEXTS),
        decimals=draw(st.integers(0, 255)),
        trust="listed",
        price_ids=ids,
        tags=tuple(draw(st.lists(TEXTS, max_size=2))),
        note=draw(st.none() | TEXTS),
    )


@given(st.lists(evm_assets(), max_size=5, unique_by=lambda asset: asset.asset_id))
def test_a_list_that_we_write_is_read_as_what_was_written(assets):
    document = render_token_list("Round trip", assets, NETWORKS, datetime(2026, 1, 31, tzinfo=UTC))
    parsed = read_token_list(document, "ours.json", NETWORKS)
    assert parsed.tokens == tuple(assets)
    assert [token.price_ids for token in parsed.tokens] == [asset.price_ids for asset in assets]
    assert parsed.name == "Round trip"


@given(st.binary(min_size=32, max_size=32))
def test_every_32_bytes_are_a_solana_address(raw):
    mint = str(Pubkey.from_bytes(raw))
    document = token_list(token(chainId=101, address=mint))
    assert read_token_list(document, "mine.json", NETWORKS).tokens[0].contract_address == mint


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    ).map(lambda value: json.dumps({"tokens": value}).encode())
)
def test_no_document_whatever_ends_in_anything_but_tokens_or_a_refusal(document):
    with suppress(ConfigurationError):
        assert isinstance(read_token_list(document, "mine.json", NETWORKS).tokens, tuple)

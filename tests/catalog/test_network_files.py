"""Network files of the operator: what is read from them, and that wrong ones are refused."""

import re

import pytest
from tests.catalog.examples import NETWORK

from balance_tracker.catalog.network_file import read_network
from balance_tracker.catalog.networks import load_networks
from balance_tracker.core.errors import ConfigurationError


def _refusal(text: str | bytes, stem: str = "mirrornet") -> ConfigurationError:
    document = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ConfigurationError) as caught:
        read_network(document, "nets/mirrornet.toml", stem)
    return caught.value


def test_a_network_file_says_everything_about_a_network():
    network = read_network(NETWORK.encode(), "mirrornet.toml", "mirrornet")
    assert (network.slug, network.id, network.chain_id) == ("mirrornet", "eip155:4242", 4242)
    assert network.native.priced_as == "eip155:4242/slip44:60"
    assert network.contracts["multicall3"].since_block == 5022
    assert network.endpoints == ("https://node.example", "wss://node.example")
    assert network.mirrors == ("0x0000000000000000000000000000000000001010",)
    assert network.price_ids == {"coingecko": "mirror"}


def test_the_shortest_file_is_enough_and_the_chain_id_follows_from_the_id():
    network = read_network(
        b'slug = "tiny"\nname = "Tiny"\nfamily = "evm"\nid = "eip155:77"\n'
        b'[native]\nsymbol = "TNY"\ndecimals = 0\npriced_as = "eip155:77/slip44:1"\n',
        "tiny.toml",
        "tiny",
    )
    assert (network.chain_id, network.native.name, network.lifecycle) == (77, "TNY", "active")
    assert network.endpoints == ()


def test_small_letters_are_an_address_and_go_out_with_their_checksum():
    text = NETWORK.replace(
        "0xcA11bde05977b3631167028862bE2a173976CA11", "0xca11bde05977b3631167028862be2a173976ca11"
    )
    network = read_network(text.encode(), "mirrornet.toml", "mirrornet")
    assert network.contracts["multicall3"].address == "0xcA11bde05977b3631167028862bE2a173976CA11"


WRONG = [
    ('name = "Mirror Net"', "name = Mirror", "line 2, column 8"),
    ("[native]", "[native", "line 13, column 8"),
    ('name = "Mirror Net"', 'name = "Mirror Net"\nname = "Twice"', "line 3"),
    ('slug = "mirrornet"', "", "slug is missing"),
    ('slug = "mirrornet"', 'slug = "Mirror Net"', "slug must be small letters"),
    ('slug = "mirrornet"', 'slug = "other"', "slug is 'other' but the file is mirrornet.toml"),
    ('name = "Mirror Net"', 'name = ""', "name is empty"),
    ('name = "Mirror Net"', "name = 7", "name must be text, not a whole number"),
    ('name = "Mirror Net"', 'name = "a\\u0007b"', "name holds control characters"),
    ('name = "Mirror Net"', f'name = "{"a" * 61}"', "name has 61 characters, more than 60"),
    ('family = "evm"', 'family = "cosmos"', "family must be one of evm, solana, not 'cosmos'"),
    ('id = "eip155:4242"', 'id = "4242"', "id is not a CAIP-2 id of the evm family"),
    ('id = "eip155:4242"', 'id = "eip155:0"', "id is not a CAIP-2 id"),
    ("chain_id = 4242", "chain_id = 1", "chain_id does not agree with id eip155:4242"),
    ("chain_id = 4242", "chain_id = true", "chain_id must be a whole number, not true or false"),
    ("chain_id = 4242", "chain_id = -1", "chain_id must be 1 to "),
    ("chain_id = 4242", 'chain_id = "4242"', "chain_id must be a whole number, not text"),
    ("chain_id = 4242", "chain_id = 4242.0", "chain_id must be a whole number, not a number with a point"),
    ("block_time_ms = 2000", "block_time_ms = 0", "block_time_ms must be 1 to 3600000, not 0"),
    ("block_time_ms = 2000", "block_time_ms = -5", "block_time_ms must be 1 to 3600000, not -5"),
    ("block_time_ms = 2000", "block_time = 2000", "block_time is not a known key"),
    ('lifecycle = "active"', 'lifecycle = "gone"', "lifecycle must be one of active, sunset"),
    ('lifecycle = "active"', 'lifecycle = "sunset"', "lifecycle_note is missing"),
    ('"https://explorer.example"', '"javascript:alert(1)"', "explorer_url is not a URL"),
    ('"0x4200000000000000000000000000000000000006"', '"0x42"', "wrapped_native is wrong"),
    ('["0x0000000000000000000000000000000000001010"]', '["nothing"]', "mirrors[0] is wrong"),
    ('["0x0000000000000000000000000000000000001010"]', '"0x00"', "mirrors must be a list of texts, not text"),
    ('["Only for tests."]', '["fine", 3]', "notes[1] must be text, not a whole number"),
    ('symbol = "MIR"', "", "native.symbol is missing"),
    ("decimals = 18", "decimals = 256", "native.decimals must be 0 to 255, not 256"),
    ("decimals = 18", "decimals = -1", "native.decimals must be 0 to 255, not -1"),
    ("decimals = 18", "decimals = true", "native.decimals must be a whole number, not true or false"),
    ("decimals = 18", "decimals = 18\ndigits = 18", "native.digits is not a known key"),
    ('"eip155:4242/slip44:60"', '"ETH"', "native.priced_as is not a CAIP-19 id of a coin"),
    ("coingecko =", "coingeko =", "price_ids.coingeko is not a known key"),
    ("multicall3 =", "multicall2 =", "contracts.multicall2 is not a known key"),
    ("cA11bde0", "Ca11bde0", "contracts.multicall3.address is wrong"),
    ("since_block = 5022", "since_block = -1", "contracts.multicall3.since_block must be 0 to"),
    ("since_block = 5022", "since = 5022", "contracts.multicall3.since is not a known key"),
    ('"wss://node.example"', '"ftp://node.example"', "endpoints.public[1] is not a URL"),
    ('"wss://node.example"', '"https://"', "endpoints.public[1] is not a URL"),
    ('"wss://node.example"', '"https://a b.example"', "endpoints.public[1] is not a URL"),
    ('"wss://node.example"', '"https://node.example:99999"', "endpoints.public[1] is not a URL"),
    ('"wss://node.example"', '"https://node.example"', "endpoints.public[1] repeats public[0]"),
    ("public =", "private =", "endpoints.private is not a known key"),
]


@pytest.mark.parametrize(("right", "wrong", "told"), WRONG, ids=[told for *_, told in WRONG])
def test_a_wrong_network_file_is_refused_with_file_key_and_reason(right, wrong, told):
    assert right in NETWORK
    error = _refusal(NETWORK.replace(right, wrong, 1))
    assert error.message.startswith("nets/mirrornet.toml: ")
    assert told in error.message
    assert error.message.endswith(".")


def test_a_misspelt_key_gets_the_right_one_as_a_hint():
    assert _refusal(NETWORK.replace("block_time_ms", "blocktime_ms")).hint == "Did you mean 'block_time_ms'?"


def test_a_wrong_checksum_gets_the_right_one_as_a_hint():
    error = _refusal(NETWORK.replace("cA11bde0", "Ca11bde0"))
    assert "0xcA11bde05977b3631167028862bE2a173976CA11" in (error.hint or "")


def test_a_refused_endpoint_is_not_shown_for_it_may_hold_a_key():
    error = _refusal(NETWORK.replace("wss://node.example", "htps://node.example/v3/s3cr3t-k3y-of-mine"))
    assert "s3cr3t" not in f"{error.message} {error.hint}"


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ("chain_id = 101", "chain_id is for EVM networks only"),
        (
            "[contracts]\narbsys = { address = '0x0000000000000000000000000000000000000064' }",
            "contracts is for EVM",
        ),
        ("wrapped_native = '0x4200000000000000000000000000000000000006'", "wrapped_native is wrong"),
    ],
)
def test_a_solana_network_has_nothing_of_an_evm_one(added, told):
    text = (
        'slug = "sol"\nname = "Sol"\nfamily = "solana"\n'
        f'id = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"\n{added}\n'
        '[native]\nsymbol = "SOL"\ndecimals = 9\n'
        'priced_as = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501"\n'
    )
    assert told in _refusal(text, "sol").message


def test_a_file_that_is_not_text_is_refused_with_its_line():
    assert "not UTF-8 text at line 2" in _refusal(b'slug = "a"\n\xff\xfe').message


def test_what_nests_without_end_is_refused():
    assert re.search(r"nests too deeply|not valid TOML", _refusal(f"a = {'[' * 100_000}").message)


def test_the_operators_directory_adds_a_network_and_replaces_a_shipped_one(tmp_path):
    (tmp_path / "mirrornet.toml").write_text(NETWORK)
    ours = NETWORK.replace("mirrornet", "base").replace("4242", "8453").replace("Mirror Net", "Our Base")
    (tmp_path / "base.toml").write_text(ours)
    (tmp_path / "notes.txt").write_text("not a network")
    networks = load_networks(tmp_path)
    assert networks["mirrornet"].name == "Mirror Net"
    assert networks["base"].name == "Our Base"
    assert networks["base"].endpoints == ("https://node.example", "wss://node.example")
    assert len(networks) == 16


def test_two_networks_can_not_have_one_id(tmp_path):
    (tmp_path / "mirrornet.toml").write_text(NETWORK.replace("4242", "8453"))
    with pytest.raises(
        ConfigurationError, match=r"mirrornet\.toml: id eip155:8453 is already that of 'base'"
    ):
        load_networks(tmp_path)


def test_a_wrong_file_of_the_operator_is_named_with_its_path(tmp_path):
    path = tmp_path / "mirrornet.toml"
    path.write_text(NETWORK.replace("decimals = 18", "decimals = 300"))
    with pytest.raises(ConfigurationError, match=re.escape(str(path)) + r": native\.decimals"):
        load_networks(tmp_path)


def test_a_directory_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="can't be read as a directory of networks"):
        load_networks(tmp_path / "nowhere")


def test_a_network_file_of_a_megabyte_is_refused_unread(tmp_path):
    (tmp_path / "big.toml").write_bytes(b"#" * 1_000_000)
    with pytest.raises(ConfigurationError, match="is larger than 262,144 bytes"):
        load_networks(tmp_path)

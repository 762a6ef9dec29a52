"""The room of protocols: found by being there, whole, and led on every network without a mistake."""

import ast
import inspect
import pkgutil
from pathlib import Path

import pytest
from tests.fakes.readers import ETHEREUM, USDC, token
from tests.house.tree import SOURCE

import balance_tracker.protocols as room
from balance_tracker.bootstrap.configuration import tracked_networks
from balance_tracker.bootstrap.leading import protocol_guides
from balance_tracker.catalog.protocols import load_deployments, read_deployments
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.evm.touring import Touring
from balance_tracker.evm.tours import TourError
from balance_tracker.protocols.assets import MOST_UNKNOWN, eip55, known_assets
from balance_tracker.protocols.found import found_protocols
from balance_tracker.settings import Settings

MOST_FIRST_CALLS = 400
"""Of all protocols of a network together: this rides with every wallet's balances."""

NETWORKS = {
    slug: network for slug, network in tracked_networks(Settings()).items() if network.family == "evm"
}
OWNER = Address("0x00000000000000000000000000000000000A11cE")


def names_in(path: Path) -> set[str]:
    """What a module has at its top, by its own text."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def files_of_the_room() -> dict[str, Path]:
    folder = SOURCE / "protocols"
    return {
        one.name: folder / one.name / "__init__.py" if one.ispkg else folder / f"{one.name}.py"
        for one in pkgutil.iter_modules([str(folder)])
    }


def test_a_protocol_s_file_has_both_a_protocol_and_what_reads_it_or_neither() -> None:
    half = [
        name
        for name, path in files_of_the_room().items()
        if ("PROTOCOL" in names_in(path)) != bool({"guides", "sources"} & names_in(path))
    ]
    assert not half


def test_every_protocol_is_found_and_says_where_it_is_from_and_how_far_it_is_proven() -> None:
    found = {one.spec.slug: one for one in found_protocols()}
    files = {name for name, path in files_of_the_room().items() if "PROTOCOL" in names_in(path)}
    assert set(found) == files
    for slug in found:
        told = inspect.getdoc(__import__(f"{room.__name__}.{slug}", fromlist=["PROTOCOL"])) or ""
        for word in ("Source", "Golden", "Known gaps"):
            assert word in told, f"{slug} does not tell '{word}'"


def test_a_table_of_deployments_belongs_to_a_protocol_and_names_tracked_networks() -> None:
    slugs = {one.spec.slug for one in found_protocols()}
    tables = sorted((SOURCE / "data" / "protocols").glob("*.toml"))
    assert {path.stem for path in tables} <= slugs
    for path in tables:
        by_network = read_deployments(path.read_bytes(), path.name, NETWORKS)
        assert path.read_text().count("[[deployments]]") == sum(map(len, by_network.values())), path.name


@pytest.mark.parametrize("slug", sorted(NETWORKS))
def test_every_protocol_of_a_network_starts_with_a_few_well_formed_calls(slug: Slug) -> None:
    guides = protocol_guides({slug: NETWORKS[slug]}, {})[slug]
    assert all(guide.name in {one.spec.slug for one in found_protocols()} for guide in guides)
    markets = [(guide.name, guide.market) for guide in guides]
    assert len(set(markets)) == len(markets), "two markets of one protocol have one name"
    touring = Touring(slug)
    party = touring.start(guides, OWNER)
    assert party.failures == []
    assert len(touring.calls) <= MOST_FIRST_CALLS
    for call in touring.calls:
        assert call.to == eip55(call.to).lower()
        assert bytes.fromhex(call.data)[:4]


def test_a_table_of_the_operator_replaces_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "protocols").mkdir()
    own = tmp_path / "protocols" / "aave_v3.toml"
    own.write_text(
        '[[deployments]]\nnetwork = "ethereum"\nmarket = "Own"\n\n[[deployments]]\nnetwork = "other"\n'
    )
    found = load_deployments(["aave_v3", "unheard_of"], NETWORKS, tmp_path)
    assert {slug: [row["market"] for row in rows] for slug, rows in found["aave_v3"].items()} == {
        "ethereum": ["Own"]
    }
    assert "unheard_of" not in found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("deployments = 5", "must be a list of tables"),
        ('[[deployments]]\nmarket = "x"', "deployments[0] has no 'network'"),
        ("[[deployments", "is not valid TOML"),
    ],
)
def test_a_wrong_table_is_refused_with_its_name_and_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read_deployments(text.encode(), "protocols/aave_v3.toml", NETWORKS)
    assert "protocols/aave_v3.toml" in refusal.value.message
    assert reason in refusal.value.message


def test_a_deployment_that_can_not_be_used_stops_the_start_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "uniswap_v3.toml").write_text('[[deployments]]\nnetwork = "ethereum"\n')
    with pytest.raises(ConfigurationError, match=r"protocols/uniswap_v3.toml: .* on ethereum"):
        protocol_guides(NETWORKS, {}, tmp_path)


def test_assets_that_the_catalog_knows_cost_no_round() -> None:
    dollar = token(ETHEREUM, USDC, "USDC")
    tour = known_assets(ETHEREUM, {USDC.lower(): dollar}.get, [USDC])
    with pytest.raises(StopIteration) as end:
        next(tour)
    assert end.value.value == {USDC.lower(): dollar}


def test_assets_that_nobody_knows_are_asked_what_they_are() -> None:
    tour = known_assets(ETHEREUM, lambda _: None, [USDC, USDC.lower()])
    assert len(next(tour)) == 3
    word = b"USDC".ljust(32, b"\0")
    with pytest.raises(StopIteration) as end:
        tour.send([word, word, (6).to_bytes(32)])
    asset = end.value.value[USDC.lower()]
    assert (asset.symbol, asset.decimals, asset.contract_address, asset.trust) == ("USDC", 6, USDC, "unknown")


def test_a_market_full_of_unknown_tokens_is_not_asked_without_end() -> None:
    addresses = [f"0x{number:040x}" for number in range(1, MOST_UNKNOWN + 2)]
    with pytest.raises(TourError, match="unknown tokens"):
        next(known_assets(ETHEREUM, lambda _: None, addresses))
    with pytest.raises(TourError, match="not an EVM address"):
        eip55("0x12")

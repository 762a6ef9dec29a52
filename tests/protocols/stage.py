"""What tests of protocols share: networks, assets, the data's rows, a node's own word, tours by hand."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from eth_abi.abi import decode

from balance_tracker.catalog.networks import load_networks
from balance_tracker.core.assets import Asset, unlisted_token
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.core.positions import Position
from balance_tracker.demo.contracts import call_data
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.protocols.spec import AssetOf, EvmGuide, Row

NETWORKS = load_networks()
ETHEREUM = NETWORKS[Slug("ethereum")]
REVERTED = CallFailure(FailureCode.REVERTED, "without a reason")
ABSENT = CallFailure(FailureCode.NO_CONTRACT, "there is no contract at this address")


def rows_of(slug: str) -> list[Row]:
    """All deployments of a protocol's data file."""
    text = files("balance_tracker.data").joinpath("protocols", f"{slug}.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)["deployments"])


def rows_on(slug: str, network: Network) -> list[Row]:
    """The deployments of one network."""
    return [row for row in rows_of(slug) if row["network"] == network.slug]


def catalog(tokens: Mapping[str, tuple[str, int]], network: Network = ETHEREUM) -> AssetOf:
    """A catalog of a few tokens: symbol and decimals by address, written in any case."""
    known = {
        address.lower(): unlisted_token(network, Address(address)).with_metadata(symbol, symbol, decimals)
        for address, (symbol, decimals) in tokens.items()
    }

    def asset_of(address: Address) -> Asset | None:
        return known.get(address.lower())

    return asset_of


def answer(client: NodeClient, to: str, signature: str, returns: str, *arguments: Any) -> Any:
    """What a contract says at the latest block: the one value, or the tuple of them.

    Args:
        returns: Types, for example ``"uint256,address"``.
    """
    data = "0x" + call_data(signature, *arguments).hex()
    raw = client.call("eth_call", {"to": to, "data": data}, "latest")
    values = decode(returns.split(","), bytes.fromhex(raw[2:]))
    return values[0] if len(values) == 1 else values


def words(*values: int | str) -> bytes:
    """Static values one after the other: numbers, addresses."""
    numbers = [int(value, 16) if isinstance(value, str) else value for value in values]
    return b"".join(number.to_bytes(32) for number in numbers)


def listed(*values: int | str) -> bytes:
    """One list of static values."""
    return words(32, len(values), *values)


def replay(guide: EvmGuide, owner: str, *rounds: Sequence[Outcome]) -> Sequence[Position]:
    """What a tour finds when its rounds are answered so; what it raises is raised."""
    tour = guide.start(Address(owner))
    asked: Sequence[Call] = next(tour)
    for number, outcomes in enumerate(rounds):
        assert len(outcomes) == len(asked), f"round {number} has {len(asked)} calls"
        try:
            asked = tour.send(outcomes)
        except StopIteration as end:
            assert number == len(rounds) - 1, "the tour ended early"
            found: Sequence[Position] = end.value
            return found
    raise AssertionError(f"the tour goes on with {len(asked)} calls")

"""Liars in a wallet that has a bit of everything: they change nothing, and reach nothing.

The wallet is read twice through the API, over lists without liars and with them: a token that says it is an
aToken of the real pool, a collection of which everybody has 2**255, and tokens whose URIs lead to a server on
this machine, which must not see a connection.
"""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.nfts.collections import Chain, address_named
from tests.nodes.solidity import compile_contracts
from tests.protocols.uniswap_scenes import USDC, WETH
from tests.protocols.whole_scene import NOBODY, OWNER, Whole, whole_wallet

from balance_tracker.api.app import create_app
from balance_tracker.core.ids import Address
from balance_tracker.demo.contracts import (
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    place,
    transact,
)
from balance_tracker.demo.protocol_tables import write_tables
from balance_tracker.settings import Settings

pytestmark = pytest.mark.integration

PRETENDER = address_named("pretender")
BOUNDLESS = address_named("Boundless")
DOORS = address_named("Bare721")
LIARS = Path(__file__).parent / "Liars.sol"

type Body = dict[str, Any]


class Lair:
    """Listens on this machine, and knows who came: the kernel keeps connections that nobody takes."""

    def __init__(self, stack: ExitStack) -> None:
        self._socket = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    @property
    def visited(self) -> bool:
        try:
            self._socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    @property
    def addresses(self) -> list[str]:
        """Ways to write where it is, and other places that are not of the public internet."""
        port = self.port
        here = [f"127.0.0.1:{port}", f"localhost:{port}", f"2130706433:{port}", f"0x7f000001:{port}"]
        mapped = [f"[::ffff:127.0.0.1]:{port}", f"[::ffff:7f00:1]:{port}", f"[::1]:{port}", f"0.0.0.0:{port}"]
        other = [f"public.example@127.0.0.1:{port}", "169.254.169.254", "10.0.0.1", "192.168.0.1"]
        return [f"http://{host}/{place}" for place, host in enumerate([*here, *mapped, *other])]


@dataclass
class Scene:
    """The wallet, where the liars are, and lists with and without them."""

    whole: Whole
    lair: Lair
    folder: Path

    def settings(self, *, liars: bool) -> Settings:
        return Settings(
            networks=("ethereum",),
            rpc={"ethereum": (self.whole.node.url,)},
            shipped_tokens=False,
            token_lists=(self._tokens(liars),),
            collection_lists=(self._collections(liars),),
            networks_dir=self.folder / "networks",
            fixed_prices=self.folder / "prices.toml",
        )

    def _tokens(self, liars: bool) -> str:
        entries = [
            _entry(one.contract_address, name=one.symbol, symbol=one.symbol, decimals=one.decimals)
            for one in self.whole.tokens
        ]
        if liars:
            entries.append(_entry(PRETENDER, name="Aave Ethereum WETH", symbol="aEthWETH", decimals=18))
        return self._written(f"tokens-{liars}", {"name": "t", "tokens": entries})

    def _collections(self, liars: bool) -> str:
        entries = [
            _entry(one.contract_address, name=one.name, standard="erc721") for one in self.whole.collections
        ]
        if liars:
            named = {BOUNDLESS: "Boundless", DOORS: "Doors"}
            entries += [_entry(one, name=name, standard="erc721") for one, name in named.items()]
        return self._written(f"collections-{liars}", {"name": "c", "collections": entries})

    def _written(self, name: str, content: Body) -> str:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)


def _entry(address: Address | None, **more: object) -> Body:
    return {"chainId": 1, "address": str(address), **more}


@pytest.fixture(scope="module")
def scene(
    library: ContractLibrary, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    with ExitStack() as stack:
        whole = stack.enter_context(whole_wallet(library))
        made = Scene(whole, Lair(stack), tmp_path_factory.mktemp("lists"))
        write_tables(made.folder / "networks", [("aave_v3", whole.aave), ("uniswap_v3", whole.uniswap)])
        prices = {WETH: "2000", USDC: "1"} | {one.contract_address: "3" for one in whole.tokens[:50]}
        lines = [f'"eip155:1/erc20:{address}" = "{price}"' for address, price in prices.items()]
        lines.append('"eip155:1/slip44:60" = "2000"')
        (made.folder / "prices.toml").write_text("\n".join(["[usd]", *lines, ""]), encoding="utf-8")
        _place_liars(made, Chain(whole.node.client, packages))
        yield made


def _place_liars(scene: Scene, chain: Chain) -> None:
    client, aave = scene.whole.node.client, scene.whole.aave
    place(client, [Placement(PRETENDER, compile_contracts(LIARS)["Pretender"])])
    underlying = aave["reserves"][1]["underlying"]
    transact(client, [Transaction(PRETENDER, call_data("pose(address,address)", underlying, aave["pool"]))])
    chain.place("Boundless", "Bare721")
    uris = scene.lair.addresses
    chain.give("Bare721", OWNER, *range(len(uris)))
    write = "write(uint256,string)"
    chain.send(*(("Bare721", write, (token_id, uri)) for token_id, uri in enumerate(uris)))


@contextmanager
def api(scene: Scene, *, liars: bool) -> Iterator[TestClient]:
    with TestClient(create_app(scene.settings(liars=liars))) as client:
        yield client


def asked(scene: Scene, route: str, *, liars: bool, **params: str) -> Body:
    with api(scene, liars=liars) as client:
        answer = client.get(route, params={"address": OWNER, **params})
    assert answer.status_code == 200, answer.text
    body: Body = json.loads(answer.text, object_hook=_timeless)
    return body


def _timeless(one: Body) -> Body:
    """Without the time of prices, which are of now."""
    return {key: value for key, value in one.items() if not (key == "as_of" and "sources" in one)}


def without(entries: Sequence[Body], *contracts: str) -> list[Body]:
    return [one for one in entries if one["contract_address"] not in contracts]


@pytest.mark.parametrize("nfts", ["listed", "search"])
def test_a_portfolio_with_liars_is_the_one_without_them_and_they_are_told(scene: Scene, nfts: str) -> None:
    honest = asked(scene, "/portfolio", liars=False, nfts=nfts)
    lied = asked(scene, "/portfolio", liars=True, nfts=nfts)
    assert honest["complete"], honest["coverage"]
    assert sorted(one["protocol"] for one in honest["positions"]) == ["aave_v3", "uniswap_v3"]
    assert honest["total_value"] is not None
    for part in ("positions", "totals", "total_value", "excluded", "names"):
        assert lied[part] == honest[part], part
    assert without(lied["holdings"], PRETENDER) == honest["holdings"]
    assert without(lied["collections"], DOORS) == honest["collections"]
    [pretender] = [one for one in lied["holdings"] if one["contract_address"] == PRETENDER]
    assert (pretender["raw_amount"], pretender["value"]) == (str(2**255), None)
    assert lied["unpriced"] == honest["unpriced"] + 1
    [coverage] = lied["coverage"]
    assert (coverage["status"], lied["complete"]) == ("partial", False)
    assert coverage["block_number"] == honest["coverage"][0]["block_number"]
    assert coverage["protocols"] == honest["coverage"][0]["protocols"]
    failed = coverage["collections"]["failed"]
    assert [(one["contract_address"], one["code"]) for one in failed] == [(BOUNDLESS, "malformed")]
    assert not scene.lair.visited


def test_a_liar_costs_a_wallet_with_nothing_no_request(scene: Scene) -> None:
    with api(scene, liars=True) as client:
        answer = client.get("/portfolio", params={"address": NOBODY}).json()
    [coverage] = answer["coverage"]
    assert (answer["positions"], answer["collections"], coverage["requests"]) == ([], [], 1)
    assert [one["contract_address"] for one in answer["holdings"]] == [PRETENDER]
    assert (answer["total_value"], answer["unpriced"]) == (None, 1)


def test_metadata_is_fetched_from_nowhere_on_this_machine_or_its_networks(scene: Scene) -> None:
    honest = asked(scene, "/nfts", liars=False)
    lied = asked(scene, "/nfts", liars=True, metadata="true")
    assert without(lied["collections"], DOORS) == honest["collections"]
    [doors] = [one for one in lied["collections"] if one["contract_address"] == DOORS]
    told = [one["metadata_uri"] for one in doors["token_ids"]]
    assert told == scene.lair.addresses
    assert all("metadata" not in one for one in doors["token_ids"])
    assert [one["contract_address"] for one in lied["coverage"][0]["collections"]["failed"]] == [BOUNDLESS]
    assert not scene.lair.visited


def test_the_lair_does_see_who_comes(scene: Scene) -> None:
    with socket.create_connection(("127.0.0.1", scene.lair.port)):
        assert scene.lair.visited
    assert not scene.lair.visited

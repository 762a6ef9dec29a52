"""ENS: names forward, and reverse only where they lead back."""

import asyncio
from typing import Any

import pytest
from ens_normalize import ens_normalize
from eth_abi import encode
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import OpenGateway
from tests.evm.scenes import (
    BARE_BUT_HOPEFUL,
    CONTRACTS,
    LOCAL,
    assets_of,
    changed,
    naming,
    reading,
    soon,
)
from tests.fakes.readers import network
from tests.nodes.chains import EnsNamesOnNode
from tests.nodes.token_zoo import Zoo, zoo_address

from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import Transaction, call_data, set_code, transact
from balance_tracker.demo.ens import ENS_REGISTRY, ENS_RESOLVER
from balance_tracker.demo.ens import namehash as demo_namehash
from balance_tracker.evm import ens as ens_module
from balance_tracker.evm.ens import EnsNames, namehash, normalise
from balance_tracker.evm.outcomes import NOT_ASKED, CallFailure
from balance_tracker.evm.reader import EvmReader
from balance_tracker.transport.pool import open_pool


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("eth", "93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae"),
        ("foo.eth", "de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"),
        ("addr.reverse", "91d1777781884d03a6757a803996e38de2a42967fb37eeaca72729271025a9e2"),
    ],
)
def test_the_vectors_of_the_standard(name: str, node: str) -> None:
    assert namehash(name) == node


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("Vitalik.ETH", "vitalik.eth"),
        ("Nick.ETH", "nick.eth"),
        ("RaFFY🚴‍♂️.eTh", "raffy🚴‍♂.eth"),
        ("ΞTHEREUM.eth", "ξthereum.eth"),
        ("_ab.eth", "_ab.eth"),
        ("vita\u200blik.eth", "vitalik.eth"),
    ],
)
def test_names_are_normalised(name: str, normal: str) -> None:
    assert normalise(name) == normal == ens_normalize(name)
    assert normalise(normal) == normal


@pytest.mark.parametrize(
    "name", ["", ".", "a..eth", ".eth", "a b.eth", "vitаlik.eth", "a_b.eth", "x" * 300, "🚴" * 90]
)
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        normalise(name)
    assert caught.value.code == "invalid_name"


@given(st.text(max_size=40) | st.text(st.characters(min_codepoint=0xD000), max_size=300))
def test_no_text_raises_anything_but_an_input_error(text: str) -> None:
    try:
        normal = normalise(text)
    except InputError:
        return
    assert all(0 < len(label.encode()) <= 255 for label in normal.split("."))


def test_a_name_has_a_dot_inside() -> None:
    names = EnsNames(LOCAL, None)  # type: ignore[arg-type]
    assert names.looks_like("vitalik.eth")
    assert not any(names.looks_like(text) for text in ("", "vitalik", ".eth.", "0x" + "a" * 40))


def test_what_rides_along_is_learnt_for_a_while_and_not_without_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ens_module, "MOST_KEPT", 2)
    names = EnsNames(LOCAL, None)  # type: ignore[arg-type]
    owners = [zoo_address(f"owner {number}") for number in range(3)]
    names.learn(owners[0], NOT_ASKED)
    names.learn(owners[0], CallFailure(FailureCode.ENDPOINT_FAILED, "why"))
    assert names.rider(owners[0]) is not None
    for owner in owners:
        names.learn(owner, CallFailure(FailureCode.NO_CONTRACT, "no registry"))
    assert [names.rider(owner) is None for owner in owners] == [False, True, True]
    monkeypatch.setattr(ens_module.time, "monotonic", lambda: 1e12)
    assert names.rider(owners[2]) is not None


@pytest.mark.integration
class TestOnANode:
    async def test_a_name_resolves_in_any_case(self, shared_node: AnvilNode, ens: EnsNamesOnNode) -> None:
        async with naming(LOCAL, shared_node.url) as names:
            assert await names.resolve(ens.named) == ens.owner
            assert await names.resolve(ens.named.upper()) == ens.owner

    async def test_names_without_an_address_are_told(
        self, shared_node: AnvilNode, ens: EnsNamesOnNode
    ) -> None:
        async with naming(LOCAL, shared_node.url) as names:
            for name in (ens.empty, ens.unregistered, "deep.under.nothing"):
                with pytest.raises(InputError) as caught:
                    await names.resolve(name)
                assert caught.value.code == "name_not_found"

    async def test_a_name_shows_only_where_it_leads_back(
        self, shared_node: AnvilNode, ens: EnsNamesOnNode, zoo: Zoo
    ) -> None:
        async with naming(LOCAL, shared_node.url) as names:
            assert await names.name_of(ens.owner) == ens.named
            assert await names.name_of(ens.silent) is None
            assert await names.name_of(ens.impostor) is None
            assert await names.name_of(zoo.owner) is None

    async def test_a_name_is_remembered(
        self, shared_node: AnvilNode, ens: EnsNamesOnNode, open_gateway: OpenGateway
    ) -> None:
        gateway = await open_gateway(shared_node.url)
        async with naming(LOCAL, gateway.url) as names:
            assert await names.name_of(ens.owner) == ens.named
            asked = gateway.counts.requests
            assert await names.name_of(ens.owner) == ens.named
        assert gateway.counts.requests == asked <= 4

    async def test_an_owner_without_a_name_costs_nothing_more(
        self, shared_node: AnvilNode, ens: EnsNamesOnNode, zoo: Zoo, open_gateway: OpenGateway
    ) -> None:
        gateway = await open_gateway(shared_node.url)
        async with open_pool("ethereum", [gateway.url]) as pool:
            names = EnsNames(LOCAL, pool)
            reader = EvmReader(LOCAL, pool, [names])
            answer = await reader.read(zoo.owner, assets_of(LOCAL, [zoo["plain"]]), None, soon())
            assert await names.name_of(zoo.owner) is None
            assert gateway.counts.requests == answer.requests == 1
            assert (answer.asked, len(answer.balances)) == (2, 2)
            await reader.read(ens.owner, (), None, soon())
            assert await names.name_of(ens.owner) == ens.named
        assert gateway.counts.requests <= 5

    async def test_no_name_rides_along_with_a_past_block(
        self, shared_node: AnvilNode, ens: EnsNamesOnNode, zoo: Zoo
    ) -> None:
        async with reading(LOCAL, shared_node.url, ens=True) as reader:
            past = await reader.read(ens.owner, (), 3, soon())
            again = await reader.read(ens.owner, (), None, soon())
        assert (len(past.balances), len(again.balances)) == (1, 1)

    async def test_a_chain_without_a_registry_has_no_names(self, bare_node: AnvilNode) -> None:
        net = network("fantom", chain_id=250, contracts={"ens_registry": CONTRACTS["ens_registry"]})
        async with naming(net, bare_node.url) as names:
            assert await names.name_of(zoo_address("anybody")) is None
            with pytest.raises(InputError):
                await names.resolve("vitalik.eth")

    async def test_an_endpoint_that_fails_is_no_answer(self, bare_node: AnvilNode) -> None:
        async with naming(LOCAL, "http://127.0.0.1:1/") as names:
            assert await names.name_of(zoo_address("anybody")) is None
            with pytest.raises(UpstreamError):
                await names.resolve("vitalik.eth")

    @pytest.mark.parametrize(
        ("runs_evm_code", "code"), [(False, "name_unavailable"), (True, "rpc_error")], ids=["plain", "code"]
    )
    async def test_calls_that_are_not_answered_are_no_answer(
        self, shared_node: AnvilNode, ens: EnsNamesOnNode, runs_evm_code: bool, code: str
    ) -> None:
        def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
            if call["method"] != "eth_call":
                return reply
            return {
                "jsonrpc": "2.0",
                "id": reply["id"],
                "error": {"code": -32603, "message": "Internal error"},
            }

        registry = {"ens_registry": CONTRACTS["ens_registry"]}
        net = network("ethereum", chain_id=1, contracts=registry, runs_evm_code=runs_evm_code)
        async with changed(shared_node.url, change) as endpoint, naming(net, endpoint.url) as names:
            with pytest.raises(UpstreamError) as caught:
                await names.resolve(ens.named)
            assert await names.name_of(ens.owner) is None
        assert caught.value.code == code


def returns(data: bytes) -> bytes:
    """A contract that returns the same bytes whatever it is asked."""
    size = len(data).to_bytes(2).hex()
    # PUSH2 size, PUSH1 14, PUSH1 0, CODECOPY, PUSH2 size, PUSH1 0, RETURN
    return bytes.fromhex(f"61{size}600e60003961{size}6000f3") + data


def reverts(data: bytes) -> bytes:
    return returns(data).replace(bytes.fromhex("6000f3"), bytes.fromhex("6000fd"), 1)


def give_resolver(node: AnvilNode, name: str, resolver: str) -> None:
    registry = call_data("setResolver(bytes32,address)", demo_namehash(name), resolver)
    transact(node.client, [Transaction(ENS_REGISTRY, registry)])


@pytest.mark.integration
class TestResolversOfAllKinds:
    TARGET = Address(to_checksum_address("0x" + "12" * 20))

    async def resolve(self, node: AnvilNode, code: bytes, name: str) -> Address:
        resolver = zoo_address("odd resolver")
        set_code(node.client, {resolver: code})
        give_resolver(node, "treasury.eth", resolver)
        async with naming(LOCAL, node.url) as names:
            return await names.resolve(name)

    async def test_a_parents_resolver_answers_for_names_below(self, node: AnvilNode) -> None:
        answer = encode(["bytes"], [encode(["address"], [self.TARGET])])
        assert await self.resolve(node, returns(answer), "anyone.treasury.eth") == self.TARGET

    @pytest.mark.parametrize(
        "answer", [b"", b"\0" * 32, encode(["bytes"], [b""]), encode(["bytes"], [bytes(32)]), b"\xff" * 96]
    )
    async def test_a_parents_resolver_that_has_no_answer_has_none(
        self, node: AnvilNode, answer: bytes
    ) -> None:
        with pytest.raises(InputError) as caught:
            await self.resolve(node, returns(answer), "anyone.treasury.eth")
        assert caught.value.code == "name_not_found"

    async def test_names_that_are_kept_off_chain_are_told(self, node: AnvilNode) -> None:
        lookup = bytes.fromhex("556f1830") + bytes(160)
        with pytest.raises(InputError, match="off-chain") as caught:
            await self.resolve(node, reverts(lookup), "anyone.treasury.eth")
        assert caught.value.hint == "Give the address itself."

    async def test_a_resolver_that_reverts_has_no_address(self, node: AnvilNode) -> None:
        with pytest.raises(InputError) as caught:
            await self.resolve(node, reverts(b""), "treasury.eth")
        assert caught.value.code == "name_not_found"

    async def test_a_resolver_without_code_has_no_address(self, node: AnvilNode) -> None:
        with pytest.raises(InputError) as caught:
            await self.resolve(node, b"", "treasury.eth")
        assert caught.value.code == "name_not_found"

    async def test_a_reverse_record_that_is_no_name_is_none(
        self, node: AnvilNode, ens: EnsNamesOnNode
    ) -> None:
        for name in ("not a name", "TREASURY.eth", "nobody-has-this.eth", ""):
            code = returns(encode(["string"], [name]))
            set_code(node.client, {ENS_RESOLVER: code})
            async with naming(LOCAL, node.url) as names:
                assert await names.name_of(ens.owner) is None
        set_code(node.client, {ENS_RESOLVER: reverts(b"")})
        async with naming(LOCAL, node.url) as names:
            assert await names.name_of(ens.owner) is None

    async def test_many_lookups_at_once_agree(self, node: AnvilNode, ens: EnsNamesOnNode) -> None:
        async with naming(LOCAL, node.url) as names:
            found = await asyncio.gather(*(names.resolve(ens.named) for _ in range(5)))
        assert set(found) == {ens.owner}


def test_the_bare_network_has_no_registry() -> None:
    assert "ens_registry" not in BARE_BUT_HOPEFUL.contracts

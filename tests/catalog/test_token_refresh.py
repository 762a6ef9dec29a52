"""Refreshing lists: what is shown, what is refused, and what is kept only when told."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest
from tests.catalog.examples import DAI, USDC, token, token_list

from balance_tracker.catalog.list_document import render_token_list
from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.token_list import read_token_list
from balance_tracker.catalog.tokens import load_tokens, read_local_list
from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import ConfigurationError, UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.ports import MetadataFailure, TokenMetadata
from balance_tracker.services.token_refresh import REFRESHED_LIST, TokenRefresh

NETWORKS = load_networks()
NEW = "0x00000000000000000000000000000000DeaDBeef"
OTHER = "0x1111111111111111111111111111111111111111"


class Contracts:
    """A network whose contracts say what the test wrote down."""

    def __init__(self, said: Mapping[str, TokenMetadata | MetadataFailure]) -> None:
        self._said = said

    async def metadata(
        self, assets: Sequence[Asset], deadline: float
    ) -> Mapping[Address, TokenMetadata | MetadataFailure]:
        asked = {asset.contract_address for asset in assets}
        return {Address(address): answer for address, answer in self._said.items() if address in asked}


class Silent:
    """A network that never answers."""

    async def metadata(self, assets: Sequence[Asset], deadline: float) -> Mapping[Address, TokenMetadata]:
        await asyncio.Event().wait()
        return {}


class Failing:
    """A network that ends in an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def metadata(self, assets: Sequence[Asset], deadline: float) -> Mapping[Address, TokenMetadata]:
        raise self._error


def _said(symbol: str | None = "USDC", decimals: int | None = 6) -> TokenMetadata:
    return TokenMetadata(symbol, "Some name", decimals)


def _listed(*entries: dict) -> tuple[Asset, ...]:
    return read_token_list(token_list(*entries), "fetched.json", NETWORKS).tokens


def _render(tokens: Sequence[Asset]) -> bytes:
    return render_token_list("Refreshed", tokens, NETWORKS, datetime(2026, 1, 31, tzinfo=UTC))


async def _compare(tmp_path, reader, fetched, current=(), kept=(), seconds=5.0):
    refresh = TokenRefresh({"ethereum": reader}, _render, tmp_path)
    deadline = asyncio.get_running_loop().time() + seconds
    return refresh, await refresh.compare(fetched, {"ethereum": current}, kept, deadline)


async def test_a_token_that_its_contract_confirms_is_added(tmp_path):
    fetched = _listed(token(address=NEW))
    _, diff = await _compare(tmp_path, Contracts({NEW: _said()}), fetched)
    assert diff.added == diff.keeping == fetched
    assert not diff.empty


async def test_a_known_token_with_other_facts_is_changed_and_the_fields_are_named(tmp_path):
    before = _listed(token(name="Old"))
    fetched = _listed(token(name="New", logoURI="https://logos.example/a.png"))
    _, diff = await _compare(tmp_path, Contracts({USDC: _said()}), fetched, before)
    (change,) = diff.changed
    assert change.fields == ("name", "logo_uri")
    assert (change.before, change.after) == (before[0], fetched[0])
    assert diff.keeping == fetched


async def test_a_known_token_with_the_same_facts_is_unchanged_and_not_written_again(tmp_path):
    fetched = _listed(token())
    _, diff = await _compare(tmp_path, Contracts({USDC: _said()}), fetched, fetched)
    assert (diff.unchanged, diff.keeping, diff.empty) == (1, (), True)


async def test_a_logo_that_the_list_leaves_out_is_no_change(tmp_path):
    before = _listed(token(logoURI="https://logos.example/a.png"))
    _, diff = await _compare(tmp_path, Contracts({USDC: _said()}), _listed(token()), before)
    assert diff.empty


async def test_a_kept_token_that_no_list_has_any_more_is_removed(tmp_path):
    kept = _listed(token(address=NEW), token(address=OTHER))
    fetched = _listed(token(address=NEW))
    _, diff = await _compare(tmp_path, Contracts({NEW: _said()}), fetched, kept, kept)
    assert [asset.contract_address for asset in diff.removed] == [OTHER]
    assert [asset.contract_address for asset in diff.keeping] == [NEW]


async def test_a_shipped_token_is_never_removed_by_a_list_without_it(tmp_path):
    shipped = _listed(token(), token(address=DAI))
    _, diff = await _compare(tmp_path, Contracts({USDC: _said()}), _listed(token()), shipped)
    assert diff.removed == ()


async def test_the_last_list_that_names_a_token_wins(tmp_path):
    fetched = _listed(token(address=NEW, name="First")) + _listed(token(address=NEW, name="Last"))
    _, diff = await _compare(tmp_path, Contracts({NEW: _said()}), fetched)
    assert [asset.name for asset in diff.added] == ["Last"]


CONTRADICTIONS = [
    (_said(decimals=18), "decimals_differ", "the list says 6 decimals, the contract 18"),
    (_said(decimals=None), "no_decimals", "the contract does not say its decimals"),
    (_said(symbol="FAKE"), "symbol_differs", "the list says 'USDC', the contract 'FAKE'"),
    (_said(symbol="\x1b[31m" + "A" * 4_096), "symbol_differs", "the contract '\\x1b[31m"),
    (MetadataFailure(FailureCode.NO_CONTRACT, "no code at the block"), "no_contract", "no code at the block"),
    (MetadataFailure(FailureCode.OUT_OF_GAS, "it used all gas"), "unreadable", "it used all gas"),
    (MetadataFailure(FailureCode.MALFORMED, "odd bytes"), "unreadable", "odd bytes"),
]


@pytest.mark.parametrize(("answer", "code", "told"), CONTRADICTIONS)
async def test_a_token_that_its_contract_contradicts_is_refused(tmp_path, answer, code, told):
    _, diff = await _compare(tmp_path, Contracts({NEW: answer}), _listed(token(address=NEW)))
    (refused,) = diff.refused
    assert refused.code == code
    assert told in refused.reason
    assert len(refused.reason) < 200
    assert (diff.added, diff.keeping, diff.unchecked) == ((), (), ())


@pytest.mark.parametrize("symbol", ["usdc", " USDC ", None])
async def test_case_blanks_and_a_contract_without_a_symbol_do_not_contradict(tmp_path, symbol):
    _, diff = await _compare(tmp_path, Contracts({NEW: _said(symbol=symbol)}), _listed(token(address=NEW)))
    assert len(diff.added) == 1


UNKNOWN = [
    (Contracts({}), "did not say anything"),
    (
        Contracts({NEW: MetadataFailure(FailureCode.ENDPOINT_FAILED, "refused by node.example")}),
        "node.example",
    ),
    (Contracts({NEW: MetadataFailure(FailureCode.TIMED_OUT, "out of time")}), "out of time"),
    (Failing(UpstreamError("No endpoint of https://node.example/v3/s3cr3t-k3y answered.")), "node.example"),
    (Failing(RuntimeError("a bug")), "the log says why"),
    (Silent(), "did not answer in time"),
]


@pytest.mark.parametrize(("reader", "told"), UNKNOWN)
async def test_a_token_that_could_not_be_asked_is_unchecked_and_not_kept(tmp_path, reader, told):
    _, diff = await _compare(tmp_path, reader, _listed(token(address=NEW)), seconds=0.05)
    (unchecked,) = diff.unchecked
    assert unchecked.code == "unchecked"
    assert told in unchecked.reason
    assert "s3cr3t" not in unchecked.reason
    assert (diff.added, diff.refused, diff.keeping) == ((), (), ())


async def test_a_network_without_a_reader_is_unchecked_and_the_others_are_checked(tmp_path):
    fetched = _listed(token(address=NEW), token(chainId=8453, address=OTHER))
    _, diff = await _compare(tmp_path, Contracts({NEW: _said()}), fetched)
    assert [asset.contract_address for asset in diff.added] == [NEW]
    assert [found.asset.network for found in diff.unchecked] == ["base"]


async def test_a_kept_token_that_could_not_be_asked_stays_as_it_was(tmp_path):
    kept = _listed(token(address=NEW, name="As it was"))
    _, diff = await _compare(tmp_path, Silent(), _listed(token(address=NEW)), kept, kept, seconds=0.05)
    assert [asset.name for asset in diff.keeping] == ["As it was"]
    assert diff.removed == ()


async def test_comparing_writes_nothing(tmp_path):
    await _compare(tmp_path, Contracts({NEW: _said()}), _listed(token(address=NEW)))
    assert list(tmp_path.iterdir()) == []


async def test_what_is_kept_is_merged_over_the_shipped_lists_from_then_on(tmp_path):
    fetched = _listed(
        token(address=NEW, symbol="USDC"), token(chainId=1, address=DAI, symbol="DAI", decimals=18)
    )
    reader = Contracts({NEW: _said(), DAI: _said("DAI", 18)})
    refresh, diff = await _compare(tmp_path, reader, fetched)
    path = refresh.keep(diff)
    assert path == tmp_path / REFRESHED_LIST
    tokens = load_tokens(NETWORKS, shipped=True, extra_lists=[read_local_list(path)])["ethereum"]
    trusts = {asset.contract_address: asset.trust for asset in tokens}
    assert (trusts[NEW], trusts[DAI]) == ("listed", "verified")


async def test_keeping_replaces_the_old_list_and_leaves_nothing_beside_it(tmp_path):
    for address in (NEW, OTHER):
        refresh, diff = await _compare(
            tmp_path, Contracts({address: _said()}), _listed(token(address=address))
        )
        path = refresh.keep(diff)
    assert [entry.name for entry in path.parent.iterdir()] == ["refreshed.json"]
    assert OTHER in path.read_text()
    assert NEW not in path.read_text()


async def test_a_write_that_breaks_leaves_the_old_list_whole(tmp_path, monkeypatch):
    refresh, diff = await _compare(tmp_path, Contracts({NEW: _said()}), _listed(token(address=NEW)))
    path = refresh.keep(diff)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigurationError, match="No space left on device"):
        refresh.keep(diff)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["refreshed.json"]


async def test_a_data_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "data").write_text("")
    refresh, diff = await _compare(tmp_path / "data", Contracts({NEW: _said()}), _listed(token(address=NEW)))
    with pytest.raises(ConfigurationError, match="can't be written"):
        refresh.keep(diff)

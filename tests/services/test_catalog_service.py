"""Networks with their health, and pages of tokens."""

import pytest
from tests.fakes.readers import BASE, DAI, ETHEREUM, USDC, ScriptedReader, refused, token

from balance_tracker.core.errors import InputError
from balance_tracker.services.catalog import CatalogService

TOKENS = {
    ETHEREUM.slug: (token(ETHEREUM, USDC, "USDC"), token(ETHEREUM, DAI, "DAI", name="Dai Stablecoin")),
    BASE.slug: tuple(token(BASE, f"0x{number:040x}", f"T{number}") for number in range(5)),  # type: ignore[arg-type]
}


def catalog(*, error: Exception | None = None) -> tuple[CatalogService, dict[str, ScriptedReader]]:
    readers = {net.slug: ScriptedReader(net, error=error) for net in (ETHEREUM, BASE)}
    networks = {net.slug: net for net in (ETHEREUM, BASE)}
    return CatalogService(networks, TOKENS, readers), readers  # type: ignore[arg-type, return-value]


def test_networks_come_with_their_tokens_counted_and_their_endpoints() -> None:
    service, _ = catalog()
    views = service.networks()
    assert [(view.network.slug, view.tokens) for view in views] == [("ethereum", 2), ("base", 5)]
    assert views[0].endpoints[0].state == "healthy"
    assert service.network("BASE").network is BASE


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(InputError, match="no network"):
        catalog()[0].network("nowhere")


async def test_a_probe_asks_every_network_or_those_named() -> None:
    service, readers = catalog()
    await service.probe(deadline_seconds=1)
    await service.probe(["base"], deadline_seconds=1)
    assert [reader.probes for reader in readers.values()] == [1, 2]


@pytest.mark.parametrize("error", [refused(), ZeroDivisionError("oops")])
async def test_a_failing_probe_is_not_an_error(error: Exception) -> None:
    service, readers = catalog(error=error)
    await service.probe(deadline_seconds=1)
    assert [reader.probes for reader in readers.values()] == [1, 1]


def test_tokens_are_found_by_symbol_name_and_address() -> None:
    service, _ = catalog()
    assert [token.symbol for token in service.tokens(query="usd").tokens] == ["USDC"]
    assert [token.symbol for token in service.tokens(query="stable").tokens] == ["DAI"]
    assert [token.symbol for token in service.tokens(query=DAI.lower()).tokens] == ["DAI"]
    assert len(service.tokens(["base"]).tokens) == 5


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    service, _ = catalog()
    seen: list[str] = []
    cursor = None
    while True:
        page = service.tokens(limit=3, cursor=cursor)
        seen.extend(asset.asset_id for asset in page.tokens)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [asset.asset_id for slug in ("ethereum", "base") for asset in TOKENS[slug]]  # type: ignore[index]


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(InputError) as caught:
        catalog()[0].tokens(limit=limit)
    assert caught.value.code == "invalid_limit"


def test_a_cursor_of_another_question_or_of_nobody_is_refused() -> None:
    service, _ = catalog()
    cursor = service.tokens(limit=1).next_cursor
    for networks, text in ((["base"], cursor), (None, "!!!"), (None, "AAAA"), (None, ""), (None, "é")):
        with pytest.raises(InputError) as caught:
            service.tokens(networks, cursor=text)
        assert caught.value.code == "invalid_cursor"

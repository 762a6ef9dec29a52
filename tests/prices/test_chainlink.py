"""Chainlink's feeds beside balances and by themselves, on Chainlink's own contracts."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from tests.conftest import OpenGateway
from tests.evm.scenes import LOCAL, PLAIN_MULTICALL, soon
from tests.fakes.readers import network, token
from tests.nodes.chains import started
from tests.prices.feed_scenes import (
    BITCOIN,
    ENDLESS,
    ETHER,
    ETHEREUM,
    EURO,
    FEEDS,
    OFFERED,
    PRICES,
    REVERTS,
    SHIB,
    USDC,
    WBTC,
    Clock,
    FeedsOnNode,
    answering,
    asset,
    chainlink,
)

from balance_tracker.core.assets import native_asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.feeds import Feed, OnChainPrices
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.networks import ContractRef, Network
from balance_tracker.core.prices import Quote
from balance_tracker.demo.contracts import (
    MULTICALL3_ADDRESS,
    ContractLibrary,
    Placement,
    place,
    set_code,
    transact,
)
from balance_tracker.demo.feeds import answer_again, place_sequencer
from balance_tracker.evm.reader import EvmReader
from balance_tracker.prices.chainlink import readings as readings_module
from balance_tracker.prices.chainlink.readings import NetworkFeeds
from balance_tracker.prices.chainlink.rounds import Fault, Worth
from balance_tracker.transport.pool import open_pool

pytestmark = pytest.mark.integration

OWNER = Address("0x00000000000000000000000000000000000A11cE")
SEQUENCER = Address("0xFdB631F5EE196F0ed6FAa767959853A9F217697D")
BASE = Slug("base")
HOUR = 3_600


def listed(net: Network, *asset_ids: AssetId) -> list:
    return [token(net, Address(one.rpartition(":")[2]), "T", 18) for one in asset_ids]


def amounts(quotes: list[Quote] | object) -> dict[AssetId, Decimal]:
    return {quote.asset_id: quote.amount for quote in quotes}  # type: ignore[attr-defined]


async def found(
    feeds: FeedsOnNode, *pairs: str, offered: OnChainPrices = OFFERED, net: Network = LOCAL
) -> dict[str, Worth | Fault]:
    """What each feed is found to say when it is asked by itself."""
    async with open_pool("ethereum", [feeds.node.url]) as pool:
        reader = NetworkFeeds(net, pool, offered, 60)
        wanted = [feed for feed in offered.feeds if feed.pair in pairs]
        readings = await reader.read(wanted, soon())
    return {reading.feed.pair: reading.found for reading in readings.values()}


# Beside balances.


@pytest.mark.parametrize("net", [LOCAL, PLAIN_MULTICALL], ids=["scanner", "multicall3"])
async def test_prices_are_read_with_the_balances_in_one_request_at_one_block(
    feeds: FeedsOnNode, open_gateway: OpenGateway, net: Network
) -> None:
    gateway = await open_gateway(feeds.node.url)
    async with chainlink({ETHEREUM: gateway.url}, networks={ETHEREUM: net}) as (source, pools):
        reader = EvmReader(net, pools[ETHEREUM], [source.rider(ETHEREUM)])
        tokens = listed(net, USDC, SHIB, WBTC)
        place(
            feeds.client,
            [Placement(one.contract_address, feeds.library.erc20, ("T", "T")) for one in tokens],
        )
        reading = await reader.read(OWNER, tokens, None, soon())
        assert gateway.counts.requests == reading.requests == 1
        assert not reading.failures
        quotes = await source.quotes([native_asset(net), *tokens], soon())
        assert gateway.counts.requests == 1
    told = {pair: feeds.latest_round(FEEDS[pair], reading.block.number) for pair in PRICES}
    ether, bitcoin = Fraction(told["ETH/USD"][1], 10**8), Fraction(told["BTC/USD"][1], 10**8)
    assert {one: Fraction(amount) for one, amount in amounts(quotes).items()} == {
        ETHER: ether,
        USDC: Fraction(told["USDC/USD"][1], 10**8),
        SHIB: Fraction(told["SHIB/ETH"][1], 10**18) * ether,
        WBTC: Fraction(told["WBTC/BTC"][1], 10**8) * bitcoin,
    }
    assert {quote.block_number for quote in quotes} == {reading.block.number}
    by_id = {quote.asset_id: quote for quote in quotes}
    assert by_id[ETHER].as_of == datetime.fromtimestamp(told["ETH/USD"][3], UTC)
    assert (by_id[ETHER].source, by_id[ETHER].family) == ("chainlink", "oracle")
    assert by_id[SHIB].confidence < by_id[ETHER].confidence


async def test_feeds_ride_again_when_what_they_said_is_old(
    feeds: FeedsOnNode, open_gateway: OpenGateway
) -> None:
    clock = Clock()
    gateway = await open_gateway(feeds.node.url)
    async with chainlink({ETHEREUM: gateway.url}, ttl_seconds=60, clock=clock) as (source, pools):
        reader = EvmReader(LOCAL, pools[ETHEREUM], [source.rider(ETHEREUM)])
        first = await reader.read(OWNER, [], None, soon())
        bare = gateway.counts.passed[-1].request_bytes
        transact(feeds.client, [feeds.placed["ETH/USD"].answered(2, Decimal("4000.5"))])
        await reader.read(OWNER, [], None, soon())
        assert gateway.counts.passed[-1].request_bytes < bare
        (quote,) = await source.quotes([asset(ETHER)], soon())
        assert (str(quote.amount), quote.block_number) == ("3120.55418021", first.block.number)
        clock.seconds += 60
        last = await reader.read(OWNER, [], None, soon())
        (quote,) = await source.quotes([asset(ETHER)], soon())
        assert (str(quote.amount), quote.block_number) == ("4000.50000000", last.block.number)
        assert gateway.counts.requests == 3


async def test_feeds_ride_with_many_owners_and_not_into_the_past(
    feeds: FeedsOnNode, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(feeds.node.url)
    async with chainlink({ETHEREUM: gateway.url}) as (source, pools):
        reader = EvmReader(LOCAL, pools[ETHEREUM], [source.rider(ETHEREUM)])
        await reader.read(OWNER, [], 1, soon())
        assert source.rider(ETHEREUM).kept(FEEDS["ETH/USD"]) is None
        gateway.reset()
        await reader.read_many([OWNER, Address(SEQUENCER)], [], None, soon())
        assert amounts(await source.quotes([asset(ETHER)], soon()))
        assert gateway.counts.requests == 1


async def test_what_was_asked_for_once_rides_from_then_on(
    feeds: FeedsOnNode, open_gateway: OpenGateway
) -> None:
    clock = Clock()
    gateway = await open_gateway(feeds.node.url)
    async with chainlink({ETHEREUM: gateway.url}, clock=clock) as (source, pools):
        reader = EvmReader(LOCAL, pools[ETHEREUM], [source.rider(ETHEREUM)])
        assert amounts(await source.quotes([asset(EURO)], soon())) == {EURO: Decimal("1.08614")}
        clock.seconds += 100
        await reader.read(OWNER, [], None, soon())
        assert gateway.counts.requests == 2
        assert set(amounts(await source.quotes([asset(EURO), asset(ETHER)], soon()))) == {EURO, ETHER}
        assert gateway.counts.requests == 2


async def test_a_ride_is_bounded(feeds: FeedsOnNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_module, "MOST_RIDING", 2)
    async with chainlink({ETHEREUM: feeds.node.url}) as (source, pools):
        reader = EvmReader(LOCAL, pools[ETHEREUM], [source.rider(ETHEREUM)])
        await reader.read(OWNER, listed(LOCAL, USDC, SHIB, WBTC), None, soon())
        rider = source.rider(ETHEREUM)
        kept = {pair for pair in PRICES if rider.kept(FEEDS[pair])}
        assert kept == {"ETH/USD", "USDC/USD"}


# By themselves.


async def test_many_assets_cost_one_request_and_strangers_none(
    feeds: FeedsOnNode, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(feeds.node.url)
    stranger = AssetId("eip155:1/erc20:0x1111111111111111111111111111111111111111")
    async with chainlink({ETHEREUM: gateway.url}) as (source, _):
        assert await source.quotes([asset(stranger)], soon()) == []
        assert gateway.counts.requests == 0
        wanted = [asset(one) for one in (ETHER, BITCOIN, EURO, USDC, SHIB, WBTC, stranger)]
        quotes = await source.quotes(wanted, soon())
        assert len(quotes) == 6
        assert gateway.counts.requests == 1
        assert len(await source.quotes(wanted, soon())) == 6
        assert gateway.counts.requests == 1


async def test_an_endpoint_that_is_down_is_an_error_and_no_empty_answer() -> None:
    async with chainlink({ETHEREUM: "http://127.0.0.1:1/"}) as (source, _):
        with pytest.raises(UpstreamError):
            await source.quotes([asset(ETHER)], soon(2))
        with pytest.raises(UpstreamError):
            await source.quotes_at([asset(ETHER)], datetime(2026, 1, 1, tzinfo=UTC), soon(2))


def bad_rounds(now: int) -> dict[str, tuple[bytes, Fault]]:
    good = (5, 3_000 * 10**8, now, now, 5)

    def with_(place: int, word: int) -> bytes:
        return answering(*good[:place], word % 2**256, *good[place + 1 :])

    return {
        "zero": (with_(1, 0), Fault.NOT_POSITIVE),
        "negative": (with_(1, -5), Fault.NOT_POSITIVE),
        "not finished": (with_(3, 0), Fault.INCOMPLETE),
        "an answer of an earlier round": (with_(4, 4), Fault.INCOMPLETE),
        "stale": (with_(3, now - 2 * HOUR), Fault.STALE),
        "from the future": (with_(3, now + HOUR), Fault.FROM_FUTURE),
        "an absurd time": (with_(3, 1 << 200), Fault.MALFORMED),
        "an absurd round": (with_(0, 1 << 90), Fault.MALFORMED),
        "too short": (answering(*good[:4]), Fault.MALFORMED),
        "too long": (answering(*good, 1), Fault.MALFORMED),
        "reverting": (REVERTS, Fault.REVERTED),
        "eating all gas": (ENDLESS, Fault.REVERTED),
        "missing": (b"", Fault.NO_CONTRACT),
        "of other decimals than stated": (answering(*good, decimals=18), Fault.WRONG_DECIMALS),
        "of absurd decimals": (answering(*good, decimals=255), Fault.WRONG_DECIMALS),
    }


@pytest.mark.parametrize("name", bad_rounds(0))
async def test_a_bad_round_is_no_price_and_harms_no_other_feed(feeds: FeedsOnNode, name: str) -> None:
    code, fault = bad_rounds(feeds.now)[name]
    set_code(feeds.client, {FEEDS["ETH/USD"].proxy: code})
    told = await found(feeds, "ETH/USD", "USDC/USD", "SHIB/ETH")
    assert told["ETH/USD"] is fault
    assert told["SHIB/ETH"] is Fault.NO_RATE
    assert told["USDC/USD"] == Worth(Decimal("0.99996000"), feeds.latest_round(FEEDS["USDC/USD"])[3])
    async with chainlink({ETHEREUM: feeds.node.url}) as (source, _):
        assert set(amounts(await source.quotes([asset(ETHER), asset(USDC), asset(SHIB)], soon()))) == {USDC}


async def test_a_good_round_of_the_same_shape_is_a_price(feeds: FeedsOnNode) -> None:
    now = feeds.now
    set_code(feeds.client, {FEEDS["ETH/USD"].proxy: answering(5, 7, now, now, 5)})
    assert (await found(feeds, "ETH/USD"))["ETH/USD"] == Worth(Decimal("0.00000007"), now)


async def test_a_feed_is_stale_by_its_own_heartbeat(feeds: FeedsOnNode) -> None:
    feeds.pass_time(HOUR + 500)
    assert isinstance((await found(feeds, "ETH/USD"))["ETH/USD"], Worth)
    feeds.pass_time(200)
    told = await found(feeds, "ETH/USD", "USDC/USD")
    assert told["ETH/USD"] is Fault.STALE
    assert isinstance(told["USDC/USD"], Worth)
    feeds.pass_time(24 * HOUR)
    assert (await found(feeds, "USDC/USD"))["USDC/USD"] is Fault.STALE


async def test_decimals_are_the_contracts_where_none_are_stated(feeds: FeedsOnNode) -> None:
    now = feeds.now
    unstated = replace(FEEDS["ETH/USD"], decimals=None)
    offered = replace(OFFERED, feeds=(unstated,))
    for decimals, shown in ((0, "7"), (18, "0.000000000000000007")):
        code = answering(5, 7, now, now, 5, decimals=decimals)
        set_code(feeds.client, {unstated.proxy: code})
        told = await found(feeds, "ETH/USD", offered=offered)
        assert told["ETH/USD"] == Worth(Decimal(shown), now)


async def test_a_feed_without_contract_is_not_asked_again_soon(
    feeds: FeedsOnNode, open_gateway: OpenGateway
) -> None:
    clock = Clock()
    set_code(feeds.client, {FEEDS["USDC/USD"].proxy: b""})
    gateway = await open_gateway(feeds.node.url)
    async with chainlink({ETHEREUM: gateway.url}, clock=clock) as (source, _):
        assert await source.quotes([asset(USDC)], soon()) == []
        asked = gateway.counts.requests
        clock.seconds += 600
        assert await source.quotes([asset(USDC)], soon()) == []
        assert gateway.counts.requests == asked


# Rollups.


@pytest.mark.parametrize(
    ("status", "for_seconds", "fault"),
    [
        (0, 2 * HOUR, None),
        (0, HOUR - 60, Fault.SEQUENCER_DOWN),
        (1, 2 * HOUR, Fault.SEQUENCER_DOWN),
        (2, 2 * HOUR, Fault.SEQUENCER_DOWN),
    ],
    ids=["up", "just back", "down", "in no known state"],
)
async def test_a_rollup_has_prices_only_while_its_sequencer_is_up(
    feeds: FeedsOnNode, status: int, for_seconds: int, fault: Fault | None
) -> None:
    place_sequencer(feeds.client, feeds.library, SEQUENCER, status=status, for_seconds=for_seconds)
    told = await found(feeds, "ETH/USD", offered=replace(OFFERED, sequencer=SEQUENCER))
    assert told["ETH/USD"] is fault if fault else isinstance(told["ETH/USD"], Worth)


@pytest.mark.parametrize("code", [b"", REVERTS], ids=["missing", "reverting"])
async def test_a_sequencer_that_tells_nothing_is_not_taken_to_be_up(feeds: FeedsOnNode, code: bytes) -> None:
    set_code(feeds.client, {SEQUENCER: code})
    told = await found(feeds, "ETH/USD", offered=replace(OFFERED, sequencer=SEQUENCER))
    assert told["ETH/USD"] is Fault.SEQUENCER_DOWN


async def test_another_network_answers_where_the_own_one_has_no_good_round(
    feeds: FeedsOnNode, library: ContractLibrary, open_gateway: OpenGateway
) -> None:
    base = network("base", chain_id=8453, contracts={"multicall3": ContractRef(Address(MULTICALL3_ADDRESS))})
    own = Feed("ETH/USD", FEEDS["ETH/USD"].proxy, "usd", HOUR, (ETHER,))
    with started(8453) as other:
        now = int(other.client.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        set_code(other.client, {own.proxy: answering(1, 29 * 10**8, now, now, 1)})
        first, second = await open_gateway(feeds.node.url), await open_gateway(other.url)
        async with chainlink(
            {BASE: second.url, ETHEREUM: first.url},
            {BASE: OnChainPrices(BASE, (own,)), ETHEREUM: OFFERED},
            {BASE: base, ETHEREUM: LOCAL},
            ttl_seconds=0,
        ) as (source, _):
            assert amounts(await source.quotes([asset(ETHER)], soon())) == {ETHER: Decimal("3120.55418021")}
            assert (first.counts.requests, second.counts.requests) == (1, 0)
            set_code(feeds.client, {own.proxy: REVERTS})
            assert amounts(await source.quotes([asset(ETHER)], soon())) == {ETHER: Decimal("29.00000000")}
            first.down = True
        async with chainlink(
            {BASE: second.url, ETHEREUM: "http://127.0.0.1:1/"},
            {BASE: OnChainPrices(BASE, (own,)), ETHEREUM: OFFERED},
            {BASE: base, ETHEREUM: LOCAL},
        ) as (source, _):
            assert amounts(await source.quotes([asset(ETHER)], soon(6))) == {ETHER: Decimal("29.00000000")}


async def test_feeds_of_the_demo_answer_again_before_they_are_stale(feeds: FeedsOnNode) -> None:
    before = feeds.latest_round(FEEDS["ETH/USD"])
    feeds.pass_time(2 * HOUR)
    assert (await found(feeds, "ETH/USD"))["ETH/USD"] is Fault.STALE
    answer_again(feeds.client, list(feeds.placed.values()), PRICES)
    after = feeds.latest_round(FEEDS["ETH/USD"])
    assert (after[0], after[1]) == (before[0] + 1, before[1])
    assert isinstance((await found(feeds, "ETH/USD"))["ETH/USD"], Worth)

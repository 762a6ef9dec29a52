"""Aave V3 without a node: golden conversations, the shipped markets, and answers that make no sense."""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from eth_utils.crypto import keccak
from tests.protocols.aave_golden import (
    FOLDER,
    VERSIONS,
    golden_guide,
    written_call,
    written_position,
)
from tests.protocols.stage import (
    ABSENT,
    ETHEREUM,
    NETWORKS,
    REVERTED,
    catalog,
    listed,
    replay,
    rows_of,
    rows_on,
    words,
)
from tools.aave_markets import CONTRACTS, SPARK, TARGET, document

from balance_tracker.core.errors import ConfigurationError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.positions import Position
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import NOT_YET, Outcome
from balance_tracker.evm.tours import TourError
from balance_tracker.protocols.aave_v3 import guides, tour
from balance_tracker.protocols.aave_v3.answers import (
    NO_DEBT,
    read_account,
    read_addresses,
    read_holding,
    read_label,
    read_rewards,
    read_tokens,
    read_user_reserves,
    read_word,
)

HUGE = 2**255
TOKEN, OTHER = f"0x{7:040x}", f"0x{8:040x}"


@pytest.fixture(params=VERSIONS)
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((FOLDER / f"{request.param}.json").read_text(encoding="ascii"))
    return told


def recorded(case: dict[str, Any]) -> list[list[Outcome]]:
    return [[bytes.fromhex(call["gives"]) for call in calls] for calls in case["rounds"]]


def test_the_golden_conversation_gives_the_golden_position(case: dict[str, Any]) -> None:
    guide, outcomes = golden_guide(case), iter(recorded(case))
    steps = guide.start(Address(case["owner"]))
    calls: Sequence[Call] = next(steps)
    for asked in case["rounds"]:
        assert [written_call(call) for call in calls] == [
            {key: value for key, value in call.items() if key != "gives"} for call in asked
        ]
        try:
            calls = steps.send(next(outcomes))
        except StopIteration as end:
            [position] = end.value
    assert written_position(position) == case["position"]


def test_the_golden_position_is_what_the_contracts_said(case: dict[str, Any]) -> None:
    position, said = case["position"], case["contracts_say"]
    legs = position["supplied"] + position["borrowed"]
    assert {leg["receipt"]: leg["raw_amount"] for leg in legs} == said["balances"]
    assert position["health_factor"].replace(".", "") == said["health_factor"]
    assert [leg["raw_amount"] for leg in position["claimable"]] == said["rewards"]


def test_a_broken_answer_at_any_place_is_a_declared_failure_or_no_more_than_another_number(
    case: dict[str, Any],
) -> None:
    """Whatever comes back: a tour ends with positions, goes on, or says why it can't."""
    chance = random.Random("aave liars")
    guide, rounds = golden_guide(case), recorded(case)
    ends = {"found": 0, "failed": 0, "went on": 0, "nonsense": 0}
    for number, outcomes in enumerate(rounds):
        for place, outcome in enumerate(outcomes):
            for lie in lies(chance, outcome):
                changed = [*rounds[:number], [*outcomes[:place], lie, *outcomes[place + 1 :]]]
                changed += rounds[number + 1 :]
                ends[ending(guide.start(Address(case["owner"])), changed)] += 1
    assert min(ends["found"], ends["failed"]) > 20
    assert not ends["nonsense"]


def lies(chance: random.Random, outcome: Outcome) -> Iterator[Outcome]:
    assert isinstance(outcome, bytes)
    yield from (REVERTED, ABSENT, b"\x00", outcome[:-1], outcome[:-32] or b"\x01", outcome + bytes(32))
    yield from (bytes(len(outcome)), b"\xff" * len(outcome), b"\x80" + bytes(31), words(32, HUGE), bytes(64))
    for _ in range(12):
        at = 32 * chance.randrange(len(outcome) // 32 + 1)
        yield outcome[:at] + chance.choice((HUGE, 0, 1, NO_DEBT)).to_bytes(32) + outcome[at + 32 :]


def ending(steps: Any, rounds: Sequence[Sequence[Outcome]]) -> str:
    """How a tour ends; anything but positions and a declared failure is raised."""
    calls = next(steps)
    for outcomes in rounds:
        try:
            calls = steps.send((list(outcomes) * 9)[: len(calls)])
        except StopIteration as end:
            return "found" if all(isinstance(position, Position) for position in end.value) else "nonsense"
        except TourError as error:
            return "failed" if error.code and error.reason else "nonsense"
    return "went on"


def test_selectors_are_those_of_the_functions() -> None:
    for signature, selector in {
        "getUserAccountData(address)": tour.GET_USER_ACCOUNT_DATA,
        "getUserConfiguration(address)": tour.GET_USER_CONFIGURATION,
        "getUserEMode(address)": tour.GET_USER_E_MODE,
        "getEModeCategoryData(uint8)": tour.GET_E_MODE_CATEGORY_DATA,
        "getReservesList()": tour.GET_RESERVES_LIST,
        "getPoolDataProvider()": tour.GET_POOL_DATA_PROVIDER,
        "getUserReservesData(address,address)": tour.GET_USER_RESERVES_DATA,
        "getUserReserveData(address,address)": tour.GET_USER_RESERVE_DATA,
        "getReserveTokensAddresses(address)": tour.GET_RESERVE_TOKENS_ADDRESSES,
        "getAllUserRewards(address[],address)": tour.GET_ALL_USER_REWARDS,
    }.items():
        assert keccak(text=signature)[:4].hex() == selector, signature


def test_fifteen_markets_on_twelve_networks_and_spark_are_shipped() -> None:
    rows = rows_of("aave_v3")
    ours = [row for row in rows if row["market"].startswith("AaveV3")]
    assert (len(ours), len({row["network"] for row in ours})) == (15, 12)
    assert [row["market"] for row in rows if row not in ours] == ["SparkEthereum", "SparkGnosis"]
    assert [row["market"] for row in rows if row["status"] != "active"] == ["AaveV3Fantom"]
    assert len({row["market"] for row in rows}) == len(rows)


def test_the_shipped_table_is_what_its_tool_writes() -> None:
    rows = rows_of("aave_v3")
    facts = [row | {name: row.get(key) for name, key in CONTRACTS.items()} for row in map(dict, rows)]
    assert document(facts) == TARGET.read_text(encoding="utf-8")
    assert [row["market"] for row in SPARK] == [row["market"] for row in rows[-2:]]


@pytest.mark.parametrize("slug", sorted({row["network"] for row in rows_of("aave_v3")}))
def test_a_wallet_with_nothing_takes_three_calls_in_every_market(slug: Slug) -> None:
    network = NETWORKS[slug]
    for guide in guides(network, catalog({}, network), rows_on("aave_v3", network)):
        assert replay(guide, OTHER, [words(0), words(OTHER), words(64, 0, 0)]) == ()


def test_at_a_block_before_the_market_nobody_has_anything_though_its_helper_was_there() -> None:
    """Markets of a network share the helper: of one that is not there yet it can't speak, and reverts."""
    [guide, *_] = guides(ETHEREUM, catalog({}), rows_on("aave_v3", ETHEREUM))
    assert replay(guide, OTHER, [NOT_YET, NOT_YET, REVERTED]) == ()
    assert replay(guide, OTHER, [NOT_YET, words(OTHER), REVERTED]) == ()
    with pytest.raises(TourError):
        replay(guide, OTHER, [ABSENT, words(OTHER), REVERTED])


def test_a_network_without_markets_has_no_guides() -> None:
    assert guides(ETHEREUM, catalog({}), ()) == []


def test_a_deprecated_market_is_read_and_says_so() -> None:
    [row] = [row for row in rows_of("aave_v3") if row["status"] == "deprecated"]
    known = {row["reserves"][0]["underlying"]: ("DAI", 18)}
    [guide] = guides(ETHEREUM, catalog(known), [{**row, "incentives_controller": OTHER, "reserves": []}])
    underlying = row["reserves"][0]["underlying"]
    [position] = replay(
        guide,
        OTHER,
        [words(0), REVERTED, words(64, 0, 1, underlying, 5, 0, 0)],
        [words(0, 0, 0, 0, 0, NO_DEBT), words(0), words(6, 0, 0, 0, 0, 0, 0, 0, 0), words(TOKEN, 0, 0)],
        [words(64, 96, 0, 0)],
    )
    assert (position.market, dict(position.details)["status"]) == ("AaveV3Fantom", "deprecated")
    assert (position.supplied[0].raw_amount, position.supplied[0].collateral) == (6, False)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("pool", "0x12", "pool"),
        ("status", "sleeping", "status"),
        ("market", None, "market"),
        ("reserves", [{"underlying": TOKEN}], "a_token"),
    ],
)
def test_a_wrong_row_is_refused_by_its_key(key: str, value: object, named: str) -> None:
    row = {**rows_of("aave_v3")[0], key: value}
    with pytest.raises(ConfigurationError, match=named):
        guides(ETHEREUM, catalog({}), [row])


@pytest.mark.parametrize(
    "told",
    [
        REVERTED,
        b"",
        b"\x01" * 31,
        words(64, 0),
        words(64, 0, 1),
        words(64, 0, HUGE),
        words(64, 0, 1, TOKEN, 1, 0, 0, 0),
        words(64, 0, 1, HUGE, 1, 0, 0),
        words(64, 0, 1, 0, 1, 0, 0),
        words(64, 0, 1, TOKEN, 1, 2, 0),
        words(64, 256, 0),
        words(32, 0, 0),
        words(64, 0, 0, 7),
        words(64, 0, 129, *[7, 1, 0, 0] * 129),
    ],
)
def test_a_helper_that_makes_no_sense_is_of_no_use(told: Outcome) -> None:
    assert read_user_reserves(told) is None


def test_the_helper_is_read_in_both_of_its_shapes() -> None:
    late = read_user_reserves(words(64, 3, 2, TOKEN, 5, 1, 0, OTHER, 0, 0, 9))
    early = read_user_reserves(words(64, 3, 2, TOKEN, 5, 1, 0, 0, 0, 0, OTHER, 0, 0, 0, 0, 9, 0))
    assert late == early
    assert late is not None
    assert [(row.supplied, row.borrowed) for row in late[0]] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    ("read", "told", "code"),
    [
        (read_account, REVERTED, "reverted"),
        (read_account, words(1, 2, 3, 4, 5), "malformed"),
        (read_account, words(1, 2, 3, 10_001, 5, 6), "malformed"),
        (read_account, words(1, 2, 3, 4, HUGE, 6), "malformed"),
        (read_holding, words(1, 2, 3), "malformed"),
        (read_holding, words(1, 2, 3, 4, 5, 6, 7, 8, 2), "malformed"),
        (read_tokens, words(TOKEN, 0, HUGE), "malformed"),
        (read_addresses, REVERTED, "reverted"),
        (read_addresses, b"", "malformed"),
        (read_addresses, words(32, HUGE), "malformed"),
        (read_addresses, words(32, 2, TOKEN), "malformed"),
        (read_addresses, listed(HUGE), "malformed"),
        (read_addresses, listed(*[TOKEN] * 129), "malformed"),
    ],
)
def test_what_makes_no_sense_is_a_declared_failure(read: Any, told: Outcome, code: str) -> None:
    with pytest.raises(TourError) as caught:
        read(told)
    assert caught.value.code == code


def test_one_word_is_one_word() -> None:
    assert read_word(words(9), "it") == 9
    with pytest.raises(TourError, match="it is 64 bytes"):
        read_word(words(9, 9), "it")


@pytest.mark.parametrize(
    "told",
    [
        b"",
        words(64, 96, HUGE, 0),
        words(64, 96, 0, 1),
        words(64, 128, 1, TOKEN, 2, 5),
        words(0, 128, 1, TOKEN, 1, 5),
        words(64, 128, 1, HUGE, 1, 5),
    ],
)
def test_rewards_that_make_no_sense_are_unknown(told: bytes) -> None:
    assert isinstance(read_rewards(told), str)


def test_rewards_are_summed_by_token_without_zeros() -> None:
    assert read_rewards(words(64, 192, 3, TOKEN, OTHER, TOKEN, 3, 5, 0, 6)) == {TOKEN: 11}


def test_the_name_of_an_e_mode_is_cleaned_and_may_be_missing() -> None:
    head = words(32, 9300, 9500, 10_100, 0, 160)
    label = head + words(8) + b"E\x00TH\xe2\x80\xae u".ljust(32, b"\0")
    assert read_label(label) == "ETH"
    assert [read_label(one) for one in (REVERTED, b"", head + words(HUGE), head + words(0))] == [None] * 4

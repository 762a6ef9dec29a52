"""Tours in step: each told its own outcomes, each failing alone, none without end."""

import logging
from collections.abc import Callable, Sequence

import pytest

from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm import touring as driver
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import NOT_YET, CallFailure, Outcome
from balance_tracker.evm.touring import Party, Touring
from balance_tracker.evm.tours import MOST_ROUNDS, Guide, Tour, TourError

OWNER = Address("0x00000000000000000000000000000000000A11cE")
HERE = Slug("ethereum")
REVERTED = CallFailure(FailureCode.REVERTED, "without a reason")


def asking(*words: str) -> list[Call]:
    return [Call("0x" + "11" * 20, word) for word in words]


def echo(call: Call) -> Outcome:
    """What a contract would answer that gives back what it is asked."""
    return bytes.fromhex(call.data)


def started(
    *tours: Callable[[Address], Tour[list[str]]], answer: Callable[[Call], Outcome] = echo
) -> tuple[Party[list[str]], list[int]]:
    """Lead tours to their end; the party, and how many calls each round had."""
    touring = Touring(HERE)
    party = touring.start([Guide(tour.__name__, "market", tour) for tour in tours], OWNER)
    rounds = []
    while calls := touring.calls:
        rounds.append(len(calls))
        touring.take([answer(call) for call in calls])
    return party, rounds


def hexes(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.hex() if isinstance(outcome, bytes) else outcome.code for outcome in outcomes]


def short(owner: Address) -> Tour[list[str]]:
    return hexes((yield asking("aa", "ab")))


def long(owner: Address) -> Tour[list[str]]:
    first = yield asking("ba")
    second = yield asking("bb", "bc")
    return hexes([*first, *second])


def test_tours_go_in_step_and_each_is_told_its_own() -> None:
    party, rounds = started(short, long)
    assert (party.found, party.failures) == ([["aa", "ab"], ["ba", "bb", "bc"]], [])
    assert rounds == [3, 2]


def test_what_several_ask_is_asked_once_and_told_to_each() -> None:
    def same(owner: Address) -> Tour[list[str]]:
        return hexes((yield asking("ab", "cc", "ab")))

    party, rounds = started(short, same)
    assert party.found == [["aa", "ab"], ["ab", "cc", "ab"]]
    assert rounds == [3]


def test_a_tour_that_asks_nothing_takes_no_round() -> None:
    def nothing(owner: Address) -> Tour[list[str]]:
        outcomes = yield []
        assert list(outcomes) == []
        return ["done"]

    party, rounds = started(nothing)
    assert (party.found, rounds) == ([["done"]], [])


def test_a_tour_that_refuses_fails_alone() -> None:
    def refuses(owner: Address) -> Tour[list[str]]:
        yield asking("dd")
        raise TourError("malformed", "the market names 2 reserves and lists 3")

    party, rounds = started(refuses, long)
    assert party.found == [["ba", "bb", "bc"]]
    [failure] = party.failures
    assert (failure.protocol, failure.market, failure.code) == ("refuses", "market", "malformed")
    assert failure.reason == "the market names 2 reserves and lists 3"
    assert rounds == [2, 2]


@pytest.mark.parametrize("at", ["start", "first", "later"])
def test_a_tour_that_breaks_fails_alone_and_is_logged(at: str, caplog: pytest.LogCaptureFixture) -> None:
    def breaks(owner: Address) -> Tour[list[str]]:
        if at == "first":
            raise ZeroDivisionError(owner)
        yield asking("dd")
        raise KeyError("0x")

    def unstartable(owner: Address) -> Tour[list[str]]:
        raise RuntimeError("no generator")

    with caplog.at_level(logging.WARNING):
        party, _ = started(unstartable if at == "start" else breaks, short)
    assert party.found == [["aa", "ab"]]
    [failure] = party.failures
    assert failure.code == "internal_error"
    assert OWNER not in failure.reason


def test_a_contracts_own_no_is_told_to_the_tour() -> None:
    party, _ = started(short, answer=lambda call: REVERTED if call.data == "aa" else echo(call))
    assert party.found == [["reverted", "ab"]]


@pytest.mark.parametrize(
    "code", [FailureCode.ENDPOINT_FAILED, FailureCode.TIMED_OUT, FailureCode.HISTORY_UNAVAILABLE]
)
def test_a_call_that_nobody_answered_ends_the_tour_that_asked_it(code: FailureCode) -> None:
    lost = CallFailure(code, "nothing came")
    party, rounds = started(short, long, answer=lambda call: lost if call.data == "ab" else echo(call))
    assert party.found == [["ba", "bb", "bc"]]
    assert [(one.protocol, one.code, one.reason) for one in party.failures] == [
        ("short", code.value, "nothing came")
    ]
    assert rounds == [3, 2]


def test_a_tour_of_contracts_that_a_past_block_does_not_have_ends_with_nothing() -> None:
    nothing = {"aa": NOT_YET, "ab": bytes(32), "ba": NOT_YET}
    party, rounds = started(short, long, answer=lambda call: nothing.get(call.data, b"x"))
    assert (party.found, party.failures, rounds) == ([], [], [3])
    # Where one of them was there, the tour itself decides.
    party, _ = started(short, answer=lambda call: NOT_YET if call.data == "aa" else b"x")
    assert party.found == [["no_contract", "78"]]


def test_what_a_past_block_does_not_have_ends_no_tour_that_has_found_something() -> None:
    """A token may be older than the contract that tells its rate: what is held is then not nothing."""

    def held_before_its_oracle(owner: Address) -> Tour[list[str]]:
        [held] = yield asking("05")
        [rate] = yield asking("0f")
        if isinstance(rate, CallFailure):
            raise TourError(rate.code, rate.reason)
        return hexes([held, rate])

    party, rounds = started(
        held_before_its_oracle, answer=lambda call: NOT_YET if call.data == "0f" else echo(call)
    )
    assert (rounds, party.found) == ([1, 1], [])
    assert [(one.code, one.reason) for one in party.failures] == [("no_contract", NOT_YET.reason)]


def test_a_tour_has_so_many_rounds_and_no_more() -> None:
    def endless(owner: Address) -> Tour[list[str]]:
        while True:
            yield asking("ee")

    def idle(owner: Address) -> Tour[list[str]]:
        while True:
            yield []

    party, rounds = started(endless, idle, short)
    assert party.found == [["aa", "ab"]]
    assert {failure.code for failure in party.failures} == {"too_large"}
    assert len(rounds) == MOST_ROUNDS


def test_a_tour_that_asks_too_much_at_once_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MOST_CALLS", 3)
    monkeypatch.setattr(driver, "MOST_DIGITS", 8)

    def many(owner: Address) -> Tour[list[str]]:
        return hexes((yield asking("01", "02", "03", "04")))

    def big(owner: Address) -> Tour[list[str]]:
        return hexes((yield asking("01" * 5)))

    party, rounds = started(many, big, short)
    assert [failure.code for failure in party.failures] == ["too_large", "too_large"]
    assert rounds == [2]


def test_tours_that_are_given_up_close_what_they_hold() -> None:
    closed: list[str] = []

    def holding(owner: Address) -> Tour[list[str]]:
        try:
            yield asking("aa")
        finally:
            closed.append("yes")
        return []

    touring = Touring(HERE)
    party = touring.start([Guide("holding", None, holding)], OWNER)
    touring.give_up("timed_out", "no time is left")
    assert (touring.calls, closed) == ([], ["yes"])
    assert [(one.market, one.code) for one in party.failures] == [(None, "timed_out")]


def test_wallets_that_travel_together_are_told_apart() -> None:
    def whose(owner: Address) -> Tour[list[str]]:
        return hexes((yield asking("aa", owner[2:4])))

    touring = Touring(HERE)
    guides = [Guide("whose", None, whose)]
    parties = [touring.start(guides, Address(f"0x{one}{'0' * 38}")) for one in ("01", "02")]
    assert len(touring.calls) == 3
    touring.take([echo(call) for call in touring.calls])
    assert [party.found for party in parties] == [[["aa", "01"]], [["aa", "02"]]]

"""How a question is cut: whatever is done with its parts, every place is asked once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from balance_tracker.evm import rungs
from balance_tracker.evm.abi import BALANCE_OF
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.multicall_rung import MulticallRung
from balance_tracker.evm.question import Part, Question, Size, cut, whole
from balance_tracker.evm.rungs import ChainFacts, Limits, Rung, ScannerRung
from balance_tracker.transport.jsonrpc import encode


def address(number: int) -> str:
    return f"0x{number:040x}"


def question_of(owners: int, tokens: int, calls: int, digits: int = 8) -> Question:
    return Question(
        [address(0xA0000 + number) for number in range(owners)],
        [address(0x70000 + number) for number in range(tokens)],
        [Call(address(0xCA000 + number), "ab" * (digits // 2)) for number in range(calls)],
    )


def places_of(question: Question, parts: Sequence[Part]) -> Counter[int]:
    """Every place that the parts ask, with how often."""
    counted: Counter[int] = Counter()
    for part in parts:
        places = list(part.cell_places(question.width))
        assert len(places) == part.cells, "it asks as many cells as it says"
        assert len(part) == part.cells + len(part.calls)
        counted.update(places)
        counted.update(question.cells + number for number in part.calls)
    return counted


QUESTIONS = st.builds(question_of, st.integers(0, 9), st.integers(0, 9), st.integers(0, 6))
SIZES = st.builds(Size, st.integers(1, 40), st.integers(1, 12), st.integers(1, 12), st.integers(1, 8))


@st.composite
def questions_and_parts(draw: st.DrawFn) -> tuple[Question, Part]:
    """A question and a part of it as a read may meet it: without some columns, from some place on."""
    question = draw(QUESTIONS)
    without = draw(st.frozensets(st.integers(0, question.width), max_size=3))
    part = whole(question)
    part = replace(part, columns=tuple(column for column in part.columns if column not in without))
    calls = draw(st.integers(0, len(part.calls)))
    cells = draw(st.integers(0, part.cells)) if calls == len(part.calls) else 0
    return question, part.after(calls, cells)


# A whole question.


@given(QUESTIONS)
def test_a_whole_question_asks_every_place_once(question: Question) -> None:
    assert places_of(question, [whole(question)]) == Counter(range(len(question)))


@given(QUESTIONS)
def test_a_place_is_one_call(question: Question) -> None:
    asked = [question.call_at(place) for place in range(len(question))]
    expected: list[Call] = []
    for owner in question.owners:
        expected.append(Call("", "", native_of=owner))
        expected += [Call(token, BALANCE_OF + "0" * 24 + owner[2:]) for token in question.tokens]
    assert asked == expected + list(question.calls)


# Cutting.


@given(questions_and_parts(), SIZES)
@example((question_of(4, 5, 0), Part(range(4), tuple(range(6)), 3, range(0))), Size(4, 4, 4, 1))
@example((question_of(1, 9, 3), Part(range(1), tuple(range(10)), 9, range(3))), Size(1, 1, 1, 1))
def test_cutting_loses_and_doubles_nothing(asked: tuple[Question, Part], size: Size) -> None:
    question, part = asked
    pieces = cut(part, size)
    assert places_of(question, pieces) == places_of(question, [part])
    assert all(len(piece) for piece in pieces)
    for piece in pieces:
        assert piece.cells <= size.cells
        assert (
            not piece.cells or len(piece.columns) <= size.columns or len(piece.columns) == len(part.columns)
        )
        assert not piece.cells or len(piece.rows) <= size.rows
        assert len(piece.calls) <= size.calls
        assert not piece.calls or not piece.cells or len(piece) <= 2 * size.cells


@given(questions_and_parts(), SIZES)
def test_what_is_cut_is_not_cut_again(asked: tuple[Question, Part], size: Size) -> None:
    _, part = asked
    for piece in cut(part, size):
        assert len(cut(piece, size)) == 1


@given(QUESTIONS, SIZES)
def test_the_first_pieces_are_full(question: Question, size: Size) -> None:
    """Whole wallets as many as fit, so that a question takes no more pieces than it must."""
    pieces = [piece for piece in cut(whole(question), size) if piece.cells]
    columns = min(size.columns, size.cells, question.width)
    bands = -(-question.width // columns)
    rows = max(1, min(size.rows, size.cells // columns))
    assert len(pieces) <= bands * -(-len(question.owners) // rows) if question.owners else not pieces


def test_a_question_that_fits_is_one_piece_with_its_calls() -> None:
    question = question_of(3, 4, 2)
    assert cut(whole(question), Size(15, 5, 3, 2)) == [whole(question)]


# Halves and rests.


@given(questions_and_parts())
def test_halves_lose_and_double_nothing(asked: tuple[Question, Part]) -> None:
    question, part = asked
    if len(part) < 2:
        return
    halves = part.halves()
    assert places_of(question, halves) == places_of(question, [part])
    assert all(len(half) for half in halves)


@given(questions_and_parts())
def test_halving_ends_at_single_places(asked: tuple[Question, Part]) -> None:
    question, part = asked
    parts, done = [part] if len(part) else [], []
    for _ in range(2_000):
        if not parts:
            break
        one = parts.pop()
        if len(one) == 1:
            done.append(one)
        else:
            parts += one.halves()
    assert not parts
    assert places_of(question, done) == places_of(question, [part])


@given(questions_and_parts(), st.data())
def test_a_rest_is_what_an_answer_did_not_reach(asked: tuple[Question, Part], data: st.DataObject) -> None:
    question, part = asked
    calls = data.draw(st.integers(0, len(part.calls)))
    cells = data.draw(st.integers(0, part.cells)) if calls == len(part.calls) else 0
    rest = part.after(calls, cells)
    answered = [question.cells + number for number in part.calls[:calls]]
    answered += list(part.cell_places(question.width))[:cells]
    assert Counter(answered) + places_of(question, [rest]) == places_of(question, [part])


@given(questions_and_parts(), st.lists(st.tuples(SIZES, st.integers(0, 10)), min_size=1, max_size=5))
def test_a_read_in_turns_asks_every_place_once(
    asked: tuple[Question, Part], turns: list[tuple[Size, int]]
) -> None:
    """Cut, answered in part, and cut anew, by other limits each time."""
    question, part = asked
    done: list[int] = []
    left = [part] if len(part) else []
    for size, most in turns:
        again: list[Part] = []
        for piece in [piece for one in left for piece in cut(one, size)]:
            calls = min(len(piece.calls), most)
            cells = min(piece.cells, most) if calls == len(piece.calls) else 0
            done += [question.cells + number for number in piece.calls[:calls]]
            done += list(piece.cell_places(question.width))[:cells]
            again.append(piece.after(calls, cells))
        left = [one for one in again if len(one)]
    assert Counter(done) + places_of(question, left) == places_of(question, [part])


# A smaller question.


@given(QUESTIONS, st.data())
def test_a_smaller_question_asks_the_same_at_other_places(question: Question, data: st.DataObject) -> None:
    places = data.draw(
        st.lists(st.sampled_from(range(len(question))), unique=True) if len(question) else st.just([])
    )
    small, where = question.only(places)
    assert [small.call_at(at) for at in where] == [question.call_at(place) for place in places]
    assert len(set(where)) == len(places)
    assert len(small) <= len(question)


# Sizes around every limit of each rung.


RUNGS: list[Rung] = [
    ScannerRung("override", ChainFacts()),
    ScannerRung("deployless", ChainFacts()),
    MulticallRung(ChainFacts(multicall3=address(0xCA11))),
]


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
@given(
    st.integers(0, 300),
    st.integers(0, 40),
    st.integers(0, 30),
    st.sampled_from([8, 72, 4_000]),
    st.integers(9_000, 40_000),
    st.integers(1, 20_000),
    st.integers(100_000, 35_000_000),
)
def test_every_rung_asks_all_in_bodies_that_an_endpoint_takes(
    rung: Rung, owners: int, tokens: int, calls: int, digits: int, body_bytes: int, cells: int, gas: int
) -> None:
    question = question_of(owners, tokens, calls, digits)
    limits = Limits(gas=gas, body_bytes=body_bytes, cells=cells)
    pieces = cut(whole(question), rung.size(question, limits))
    assert places_of(question, pieces) == Counter(range(len(question)))
    if rung.name == "multicall3":
        return  # what its calls measure is guessed, and learnt when it is too much
    for piece in pieces:
        if len(piece) > 1:
            assert len(encode([rung.pack(question, piece, hex(2**40))])) <= body_bytes


def test_a_hundred_wallets_of_sixty_tokens_are_one_request_on_the_scanner() -> None:
    question = question_of(100, 60, 0)
    pieces = [len(cut(whole(question), rung.size(question, Limits()))) for rung in RUNGS]
    # A deployless answer may be 24,576 bytes long, and what a cell measures is not known yet;
    # Multicall3 takes 448 bytes of a body for each.
    assert pieces == [1, 2, 3]
    assert rungs.WORK_GAS // rungs.CELL_GAS > 6_100

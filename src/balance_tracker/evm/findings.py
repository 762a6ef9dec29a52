"""What a run has found of its question so far: amounts, data, reasons, and what is to be asked alone."""

from collections.abc import Iterable
from dataclasses import replace

from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import WORD
from balance_tracker.evm.outcomes import (
    ASK_ALONE,
    EMPTY,
    CallFailure,
    Outcome,
    wrong_length,
)
from balance_tracker.evm.question import Part, Question
from balance_tracker.evm.rungs import Taken

SAMPLES = 8
"""Wallets, spread over all, for which a heavy token is asked alone before the others are."""

NOT_SAMPLED = CallFailure(
    FailureCode.OUT_OF_GAS, f"the token takes all gas: it did for {SAMPLES} wallets, and was not asked on"
)


GIVEN_UP = CallFailure(
    FailureCode.OUT_OF_GAS, "the call failed beside others, or returned too much, and was given up"
)


class Findings:
    """What is known of every place of a question.

    Args:
        question: What is asked.
        past: Whether a block was asked for: what has no code there may have some now.

    Attributes:
        cells: Raw amounts by place.
        calls: Data of the other calls.
        failures: Why a place has neither.
        alone: Places to be asked by themselves, in the order they were met.
    """

    def __init__(self, question: Question, *, past: bool) -> None:
        self.question = question
        self.cells: list[int | None] = [None] * question.cells
        self.calls: list[bytes | None] = [None] * len(question.calls)
        self.failures: dict[int, CallFailure] = {}
        self.alone: dict[int, None] = {}
        self._past = past
        self._heavy: set[int] = set()
        self._took_all: dict[int, bool] = {}

    def take(self, part: Part, taken: Taken) -> tuple[int, int]:
        """Keep what a reply gave; returns how many of the part's calls and cells are done with."""
        first = self.question.cells
        for number, outcome in zip(part.calls, taken.calls, strict=False):
            self.keep(first + number, outcome)
        self._take_cells(part, taken)
        if taken.calls or taken.cells or not len(part):
            return len(taken.calls), len(taken.cells)
        # Not even the first one fitted: it goes alone.
        by_call = bool(part.calls)
        place = first + part.calls[0] if by_call else next(part.cell_places(self.question.width))
        if not self._give_up(place):
            self.alone[place] = None
        return int(by_call), int(not by_call)

    def _give_up(self, place: int) -> bool:
        """Whether what stands there is not to be asked alone; it has then failed."""
        number = place - len(self.cells)
        if number < 0 or self.question.calls[number].alone:
            return False
        self.failures[place] = GIVEN_UP
        return True

    def _take_cells(self, part: Part, taken: Taken) -> None:
        width = self.question.width
        if len(part.columns) == width and part.cells:
            start = part.rows[0] * width + part.skip
            self.cells[start : start + len(taken.cells)] = taken.cells
            for number, failure in taken.failures.items():
                self._fail(start + number, failure)
            return
        for number, (place, value) in enumerate(zip(part.cell_places(width), taken.cells, strict=False)):
            self.cells[place] = value
            if value is None:
                self._fail(place, taken.failures[number])

    def keep(self, place: int, outcome: Outcome) -> None:
        """Keep what one call gave."""
        if isinstance(outcome, CallFailure):
            self._fail(place, outcome)
        else:
            self.settle(place, outcome)

    def settle(self, place: int, outcome: Outcome) -> None:
        """Keep what a call that was asked alone gave: the last word."""
        self.failures.pop(place, None)
        if isinstance(outcome, CallFailure):
            self.failures[place] = outcome
            self._judge_token(place, outcome)
        elif place >= len(self.cells):
            self.calls[place - len(self.cells)] = outcome
        elif len(outcome) == WORD:
            self.cells[place] = int.from_bytes(outcome)
        else:
            self.failures[place] = wrong_length(len(outcome))

    def _judge_token(self, place: int, failure: CallFailure) -> None:
        column = place % self.question.width if place < len(self.cells) else 0
        if column:
            self._took_all[column] = failure.took_all_gas and self._took_all.get(column, True)

    def _fail(self, place: int, failure: CallFailure) -> None:
        """Keep why there is nothing, or, where that is not the last word, ask alone."""
        if self._past and failure.code is FailureCode.NO_CONTRACT:
            failure = EMPTY
        self.failures[place] = failure
        if failure is ASK_ALONE and self._give_up(place):
            return
        if failure is ASK_ALONE or failure is EMPTY:
            self.alone[place] = None
        if failure is ASK_ALONE and place < len(self.cells):
            self._heavy.add(place % self.question.width)

    def ask_alone(self, part: Part, heavy: Iterable[int] = ()) -> None:
        """All of a part is to be asked call by call; ``heavy`` are columns that take much gas."""
        self._heavy.update(heavy)
        self.alone.update(dict.fromkeys(part.cell_places(self.question.width)))
        self.alone.update(dict.fromkeys(self.question.cells + number for number in part.calls))

    def samples(self) -> tuple[list[int], list[int]]:
        """What is to be asked alone: all of it but heavy tokens of many wallets, and these others.

        Of a token that took all its gas wherever it was asked so far some wallets are samples.
        """
        columns: dict[int, list[int]] = {}
        samples = []
        for place in self.alone:
            column = place % self.question.width if place < len(self.cells) else -1
            if column in self._heavy and self.failures.get(place) is not EMPTY:
                columns.setdefault(column, []).append(place)
            else:
                samples.append(place)
        others: list[int] = []
        for column, places in columns.items():
            if len(places) <= SAMPLES or self._knows_some(column):
                samples += places
                continue
            step = len(places) / SAMPLES
            chosen = {places[int(number * step)] for number in range(SAMPLES)}
            samples += sorted(chosen)
            others += [place for place in places if place not in chosen]
        return samples, others

    def _knows_some(self, column: int) -> bool:
        return any(value is not None for value in self.cells[column :: self.question.width])

    def without_gas_eaters(self, places: list[int]) -> list[int]:
        """The places but those of tokens that took all gas for every wallet that was sampled.

        Each such call costs the endpoint a whole block's gas: the others of the token are not asked
        and fail, which says so.
        """
        eaters = self.gas_eaters()
        width = self.question.width
        for place in places:
            if place % width in eaters:
                self.failures[place] = NOT_SAMPLED
        return [place for place in places if place % width not in eaters]

    def gas_eaters(self) -> set[int]:
        """Columns of tokens that took all gas whenever they were asked alone, and gave nobody a value."""
        return {
            column for column, took_all in self._took_all.items() if took_all and not self._knows_some(column)
        }

    def without_heavy(self, part: Part) -> Part:
        """The part without tokens that took all their gas before: these go alone."""
        columns = tuple(column for column in part.columns if column not in self._heavy)
        if part.skip or len(columns) == len(part.columns):
            return part
        heavy = tuple(column for column in part.columns if column in self._heavy)
        self.ask_alone(replace(part, columns=heavy, calls=part.calls[:0]))
        return replace(part, columns=columns)

    def open_parts(self) -> list[Part]:
        """All that has neither an amount nor a reason, as parts; for when a rung broke midway."""
        width, first = self.question.width, self.question.cells
        parts = []
        for row in range(len(self.question.owners)):
            start = row * width
            columns = tuple(column for column in range(width) if self._is_open(start + column))
            if columns:
                parts.append(Part(range(row, row + 1), columns, 0, range(0)))
        calls = [number for number in range(len(self.calls)) if self._is_open(first + number)]
        return parts + [Part(range(0), (), 0, range(number, number + 1)) for number in calls]

    def _is_open(self, place: int) -> bool:
        known = self.cells[place] if place < len(self.cells) else self.calls[place - len(self.cells)]
        return known is None and place not in self.failures and place not in self.alone

    def mark_open(self, failure: CallFailure) -> None:
        """Everything not known for sure fails so; what happened beside others is no certainty."""
        for place, known in self.failures.items():
            if known is ASK_ALONE or known is EMPTY:
                self.failures[place] = failure
        for values, start in ((self.cells, 0), (self.calls, len(self.cells))):
            if None in values:
                for place, value in enumerate(values, start):
                    if value is None:
                        self.failures.setdefault(place, failure)

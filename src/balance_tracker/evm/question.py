"""What is asked of one network: a matrix of balances and other calls, and how it is cut into parts.

Every single thing asked has a place: first the cells of the matrix, wallet by wallet (the
native coin, then each token), then the calls. A part is a rectangle of cells, perhaps
without the first ones, and a run of calls: what goes into one ``eth_call``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from balance_tracker.evm.abi import BALANCE_OF, address_word
from balance_tracker.evm.multicall import Call


@dataclass(frozen=True, slots=True)
class Question:
    """Balances of every owner in the native coin and every token, and any other calls.

    Attributes:
        owners: EVM addresses (``0x…``), any case.
        tokens: Token contracts in lower case.
        calls: Views other than balances, to be read at the same block.
    """

    owners: Sequence[str] = ()
    tokens: Sequence[str] = ()
    calls: Sequence[Call] = ()

    @property
    def width(self) -> int:
        """Cells of one wallet."""
        return 1 + len(self.tokens)

    @property
    def cells(self) -> int:
        """Cells of all wallets; the places of calls come after them."""
        return len(self.owners) * self.width

    def __len__(self) -> int:
        """Places in all."""
        return self.cells + len(self.calls)

    def tokens_of(self, columns: Sequence[int]) -> Sequence[str]:
        """The tokens of some columns; the native coin's is none."""
        if len(columns) == self.width:
            return self.tokens
        return [self.tokens[column - 1] for column in columns if column]

    def call_at(self, place: int) -> Call:
        """What is asked at a place, as one call."""
        if place >= self.cells:
            return self.calls[place - self.cells]
        row, column = divmod(place, self.width)
        owner = self.owners[row]
        if column == 0:
            return Call("", "", native_of=owner)
        return Call(self.tokens[column - 1], BALANCE_OF + address_word(owner))

    def only(self, places: Sequence[int]) -> tuple["Question", list[int]]:
        """A smaller question with at least these places, and where they are in it."""
        cells = [divmod(place, self.width) for place in places if place < self.cells]
        rows = {row: at for at, row in enumerate(dict.fromkeys(row for row, _ in cells))}
        columns = [column for column in dict.fromkeys(column for _, column in cells) if column]
        column_at = {0: 0} | {column: 1 + at for at, column in enumerate(columns)}
        small = Question(
            [self.owners[row] for row in rows],
            [self.tokens[column - 1] for column in columns],
            [self.calls[place - self.cells] for place in places if place >= self.cells],
        )
        calls = iter(range(small.cells, len(small)))
        where = []
        for place in places:
            row, column = divmod(place, self.width)
            where.append(rows[row] * small.width + column_at[column] if place < self.cells else next(calls))
        return small, where


@dataclass(frozen=True, slots=True)
class Part:
    """Rows × columns of a question's matrix without the first ``skip`` cells, and some of its calls."""

    rows: range
    columns: tuple[int, ...]
    skip: int
    calls: range

    @property
    def cells(self) -> int:
        """How many cells it asks."""
        return len(self.rows) * len(self.columns) - self.skip

    def __len__(self) -> int:
        """How many places it asks."""
        return self.cells + len(self.calls)

    def after(self, calls: int, cells: int) -> "Part":
        """What is left when so many calls, and then so many cells, are done."""
        if not self.columns:
            return replace(self, calls=self.calls[calls:])
        rows, skip = divmod(self.skip + cells, len(self.columns))
        return replace(self, rows=self.rows[rows:], skip=skip, calls=self.calls[calls:])

    def cell_places(self, width: int) -> Iterator[int]:
        """The places of its cells, in the order in which they are answered."""
        skip = self.skip
        for row in self.rows:
            start = row * width
            for column in self.columns[skip:]:
                yield start + column
            skip = 0

    def halves(self) -> tuple["Part", "Part"]:
        """The same in two parts, neither empty; it must ask two places or more."""
        if self.calls and self.cells:
            return replace(self, rows=self.rows[:0], skip=0), replace(self, calls=self.calls[:0])
        if len(self.calls) > 1:
            middle = len(self.calls) // 2
            return replace(self, calls=self.calls[:middle]), replace(self, calls=self.calls[middle:])
        if len(self.rows) > 1:
            middle = (len(self.rows) + 1) // 2
            return replace(self, rows=self.rows[:middle]), replace(self, rows=self.rows[middle:], skip=0)
        columns = self.columns[self.skip :]
        middle = len(columns) // 2
        first = replace(self, columns=columns[:middle], skip=0)
        return first, replace(self, columns=columns[middle:], skip=0)


@dataclass(frozen=True, slots=True)
class Size:
    """How much goes into one part."""

    cells: int
    columns: int
    rows: int
    calls: int

    def divided(self, by: int) -> "Size":
        """A part of it."""
        cells = max(self.cells // by, 1)
        return Size(cells, min(self.columns, cells), max(self.rows // by, 1), max(self.calls // by, 1))


def cut(part: Part, size: Size) -> list[Part]:
    """A part as parts of at most that size, each about as full as the others."""
    parts: list[Part] = []
    none = part.rows[:0]
    bands = [
        part.columns[at : at + min(size.columns, size.cells)]
        for at in range(0, len(part.columns), min(size.columns, size.cells))
    ]
    if part.skip and len(bands) > 1 and part.cells:
        # A rest in the middle of a wallet: that wallet's other cells first, then whole wallets.
        first = replace(part, rows=part.rows[:1], columns=part.columns[part.skip :], skip=0)
        rest = replace(part, rows=part.rows[1:], skip=0, calls=part.calls[:0])
        return cut(first, size) + (cut(rest, size) if rest.cells else [])
    for band in bands:
        spared = part.skip if part.cells <= size.cells else 0
        most = max(1, min(size.rows, (size.cells + spared) // len(band)))
        # Evenly: a last part of a few rows would be a request as well.
        most = -(-len(part.rows) // -(-len(part.rows) // most)) if part.rows else most
        for at in range(0, len(part.rows), most):
            skip = part.skip if at == 0 else 0
            parts.append(Part(part.rows[at : at + most], band, skip, part.calls[:0]))
    parts = [one for one in parts if one.cells]
    calls = part.calls
    if calls and parts and len(calls) <= size.calls and len(calls) + parts[0].cells <= 2 * size.cells:
        parts[0] = replace(parts[0], calls=calls)
        return parts
    return [
        replace(part, rows=none, skip=0, calls=calls[at : at + size.calls])
        for at in range(0, len(calls), size.calls)
    ] + parts


def whole(question: Question) -> Part:
    """All of a question as one part."""
    rows = range(len(question.owners))
    return Part(rows, tuple(range(question.width)), 0, range(len(question.calls)))

"""The rungs of the ladder: ways to ask a part of a question in one ``eth_call``, best first.

Each packs a part into a call and reads its reply; they give the same amounts and the same
failures, and differ in cost, in what an endpoint must support and in how much fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from balance_tracker.core.errors import UpstreamError
from balance_tracker.evm import scanner
from balance_tracker.evm.blocks import Evidence, fault_of, hex_bytes
from balance_tracker.evm.multicall import UndecodableError
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.question import Part, Question, Size
from balance_tracker.evm.scanner_code import PROGRAM
from balance_tracker.transport.jsonrpc import Meaning, RpcCall, RpcError, RpcReply, meaning

type RungName = Literal["override", "deployless", "multicall3"]

WORK_GAS = 35_000_000
"""What one request may cost an endpoint: under geth's 50 million, and under its five seconds."""

BODY_BYTES = 1_000_000
"""What a body may measure until an endpoint shows less."""

MOST_CELLS = 50_000
"""Cells in one request, however much it would take."""

CELL_GAS = 3_100
"""What a balance costs inside the scanner; learnt by use."""

LEAST_CELL_GAS = 700
"""No balance costs less: a call and a read of storage."""

TOKEN_GAS = 2_600
"""What the first call to a token costs more than the others (EIP-2929)."""


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What must be known of a network to read it; ``chain_id`` ``None`` takes any.

    Attributes:
        multicall3: Where it is; ``None`` for a network without it.
        multicall3_since: The block it was deployed in.
        arbsys: Where the network tells its own block numbers (Arbitrum).
        runs_evm_code: Whether code that we bring runs there; not on zkSync Era.
    """

    chain_id: int | None = None
    multicall3: str | None = None
    multicall3_since: int = 0
    arbsys: str | None = None
    runs_evm_code: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an endpoint takes in one request, as far as it has shown.

    Attributes:
        gas: Gas of one call.
        body_bytes: Size of a request's body.
        cells: Cells and calls, after a request of more was too much.
        cell_gas: What a cell costs on this network, inside the scanner.
        cell_bytes: What a cell measures in the scanner's reply.
    """

    gas: int = WORK_GAS
    body_bytes: int = BODY_BYTES
    cells: int = MOST_CELLS
    cell_gas: float = CELL_GAS
    cell_bytes: float = 5.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What one reply gave of a part: the first of its calls, then the first of its cells.

    ``failures`` are by the cell's number in the part; ``gas`` and ``gas_used`` are known
    where the rung tells them.
    """

    evidence: Evidence
    calls: Sequence[Outcome]
    cells: list[int | None]
    failures: Mapping[int, CallFailure]
    gas: int | None = None
    gas_used: int = 0
    reply_bytes: int = 0


class TooMuchError(Exception):
    """A part was too much for one request: of gas, or of bytes."""

    def __init__(self, *, of_bytes: bool = False) -> None:
        super().__init__(of_bytes)
        self.of_bytes = of_bytes


class RungFailedError(Exception):
    """The endpoint does not do what the rung needs.

    ``fault`` is what was wrong where it may as well be a fault of the moment; without one
    the endpoint does not support it. ``too_small``: it supports it, for less than is of use.
    """

    def __init__(self, fault: UpstreamError | None = None, *, too_small: bool = False) -> None:
        super().__init__(fault)
        self.fault = fault
        self.too_small = too_small


class Rung(Protocol):
    """One way to ask a part.

    Attributes:
        least_body_bytes: What a body may measure at least for the rung to be of use.
    """

    name: RungName
    least_body_bytes: int

    def size(self, question: Question, limits: Limits) -> Size:
        """How much of a question goes into one request."""

    def pack(self, question: Question, part: Part, tag: str) -> RpcCall:
        """The call that asks a part at a block."""

    def unpack(self, reply: RpcReply, part: Part) -> Taken:
        """What a reply says of the part.

        Raises:
            TooMuchError: It was too much for one request.
            RungFailedError: The endpoint does not support the rung.
            UpstreamError: The endpoint failed, or serves another chain.
        """


class ScannerRung:
    """Our own program, by state override or deployless."""

    least_body_bytes = len(PROGRAM) + 2_500

    def __init__(self, name: scanner.ScannerForm, facts: ChainFacts) -> None:
        self.name: RungName = name
        self._form: scanner.ScannerForm = name
        self._facts = facts

    def size(self, question: Question, limits: Limits) -> Size:
        """See :meth:`Rung.size`; what is a little too much comes back in part, at no loss."""
        deployless = self._form == "deployless"
        cell_gas = limits.cell_gas + (200 * limits.cell_bytes if deployless else 0)
        cells = int((limits.gas - TOKEN_GAS * min(question.width, limits.gas // 10_000)) / cell_gas)
        body = limits.body_bytes // 2 - len(PROGRAM) // 2 - 500
        if deployless:
            cells = min(cells, int(scanner.DEPLOYLESS_ROOM / limits.cell_bytes))
            body = min(body, scanner.DEPLOYLESS_QUESTION)
        data = sum(len(call.data) // 2 + scanner.CALL_BYTES for call in question.calls)
        calls = len(question.calls)
        if calls and data > body // 2:
            calls = max(1, calls * (body // 2) // data)
        cells = max(min(cells, limits.cells), 1)
        addresses = max((body - min(data, body // 2) - scanner.HEAD_BYTES) // 20, 2)
        columns = max(min(question.width, max(addresses // 2, addresses - len(question.owners)), cells), 1)
        rows = min(max(addresses - columns, 1), scanner.MOST_ROWS)
        return Size(min(cells, columns * rows), columns, rows, max(1, min(calls, limits.cells)))

    def pack(self, question: Question, part: Part, tag: str) -> RpcCall:
        """See :meth:`Rung.pack`."""
        tokens = question.tokens_of(part.columns)
        owners = [question.owners[row] for row in part.rows]
        room = scanner.DEPLOYLESS_ROOM if self._form == "deployless" else scanner.OVERRIDE_ROOM
        encoded = scanner.encode_question(
            tokens,
            owners,
            [question.calls[number] for number in part.calls],
            native=bool(part.columns) and part.columns[0] == 0,
            skip=part.skip,
            arbsys=self._facts.arbsys is not None,
            work_gas=WORK_GAS,
            room=room,
        )
        return scanner.scan_call(self._form, encoded, tag)

    def unpack(self, reply: RpcReply, part: Part) -> Taken:
        """See :meth:`Rung.unpack`."""
        data = hex_bytes(self._result(reply))
        try:
            scan = scanner.decode_answer(data, part.cells, len(part.calls))
        except UndecodableError as error:
            if not data:
                raise RungFailedError from error
            fault = UpstreamError(f"The scanner's answer is {error}.", code="bad_response")
            raise RungFailedError(fault) from error
        check_chain(scan.chain_id, self._facts)
        return Taken(
            self._evidence(scan),
            scan.calls,
            scan.cells,
            scan.failures,
            scan.gas,
            scan.gas_used,
            len(data),
        )

    def _result(self, reply: RpcReply) -> RpcReply:
        if not isinstance(reply, RpcError):
            return reply
        if reply.code == _NO_SUCH_METHOD and "override" not in reply.message.lower():
            raise fault_of(reply)
        match meaning(reply):
            case Meaning.OUT_OF_GAS:
                raise TooMuchError
            case Meaning.TOO_LARGE:
                raise TooMuchError(of_bytes=True)
            case Meaning.RATE_LIMITED | Meaning.HISTORY_UNAVAILABLE | Meaning.BLOCK_MISSING:
                raise fault_of(reply)
            case Meaning.METHOD_UNSUPPORTED | Meaning.REVERTED:
                raise RungFailedError
        raise RungFailedError(None if reply.code == _INVALID_PARAMS else fault_of(reply))

    def _evidence(self, scan: scanner.Scan) -> Evidence:
        if self._facts.arbsys is not None:
            return Evidence(scan.arb_number or None, scan.timestamp, None, scan.number)
        parent = scan.parent_hash if int(scan.parent_hash, 16) else None
        return Evidence(scan.number, scan.timestamp, parent, scan.number)


_INVALID_PARAMS = -32602
_NO_SUCH_METHOD = -32601


def check_chain(chain_id: int, facts: ChainFacts) -> None:
    """Refuse an endpoint of another chain.

    Raises:
        UpstreamError: ``wrong_chain``.
    """
    if facts.chain_id is not None and chain_id != facts.chain_id:
        raise UpstreamError(
            f"The endpoint serves chain {chain_id}, not {facts.chain_id}.",
            code="wrong_chain",
            retryable=False,
        )

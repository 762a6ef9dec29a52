"""The scanner as a real EVM runs it: both its forms, its limits, and every way to fail."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.evm.scan_model import ALONE, MALFORMED, NO_CONTRACT, NO_DATA, REVERTED, outcomes
from tests.evm.scenes import block_of
from tests.nodes.token_zoo import Zoo, zoo_address

from balance_tracker.core.portfolio import FailureCode
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.evm import scanner
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure
from balance_tracker.evm.question import Part
from balance_tracker.evm.scanner import Scan, ScannerForm

pytestmark = pytest.mark.integration

FORMS: tuple[ScannerForm, ...] = ("override", "deployless")
both_forms = pytest.mark.parametrize("form", FORMS)

ECHO = "60043560005260206000f3"
"""A token whose balance is the owner's address as a number."""
WRITES = "600160005560076000526020" + "6000f3"
"""A token that writes to its storage before it returns 7."""


def constant(value: int) -> str:
    """A token of which everybody holds so much."""
    return f"7f{value:064x}60005260206000f3"


def reverting(size: int) -> str:
    """A token that reverts with so many bytes."""
    return f"61{size:04x}6000fd"


def returning(size: int) -> str:
    """A contract that returns so many bytes."""
    return f"62{size:06x}6000f3"


def put(node: AnvilNode, name: str, code: str) -> str:
    address = zoo_address(name).lower()
    node.client.call("anvil_setCode", address, "0x" + code)
    return address


def scan(
    node: AnvilNode,
    form: ScannerForm,
    tokens: Sequence[str] = (),
    owners: Sequence[str] = (),
    calls: Sequence[Call] = (),
    *,
    native: bool = True,
    skip: int = 0,
    work_gas: int = 0,
    room: int | None = None,
    gas: int | None = None,
    block: str = "latest",
) -> Scan:
    """One question and what it gave."""
    if room is None:
        room = scanner.DEPLOYLESS_ROOM if form == "deployless" else scanner.OVERRIDE_ROOM
    digits = scanner.encode_question(
        tokens, owners, calls, native=native, skip=skip, arbsys=False, work_gas=work_gas, room=room
    )
    params = list(scanner.scan_call(form, digits, block).params)
    if gas is not None:
        params[0] = {**params[0], "gas": hex(gas)}
    data = bytes.fromhex(node.client.call("eth_call", *params)[2:])
    assert len(data) <= room
    cells = len(owners) * (len(tokens) + native) - skip
    return scanner.decode_answer(data, cells, len(calls))


def in_turns(
    node: AnvilNode, form: ScannerForm, tokens: Sequence[str], owners: Sequence[str], **more: Any
) -> tuple[list[Any], int]:
    """All cells, asked on from where each answer ended, and in how many turns."""
    columns = tuple(range(1 + len(tokens)))
    part = Part(range(len(owners)), columns, 0, range(0))
    cells: list[Any] = []
    for turn in range(1, 300):
        rows = [owners[row] for row in part.rows]
        found = scan(node, form, tokens, rows, skip=part.skip, **more)
        assert found.cells, "no turn is for nothing"
        cells += outcomes(found.cells, found.failures)
        part = part.after(0, len(found.cells))
        if not len(part):
            return cells, turn
    raise AssertionError("it does not end")


def owners_of_all_lengths() -> list[str]:
    """Addresses that are numbers of 1 to 20 bytes, and zero."""
    return [f"0x{value:040x}" for size in range(20) for value in (256**size, 256 ** (size + 1) - 1)] + [
        f"0x{0:040x}"
    ]


@both_forms
def test_it_tells_its_block_and_its_gas(node: AnvilNode, form: ScannerForm) -> None:
    node.client.call("anvil_mine", "0x2")
    found = scan(node, form)
    head = block_of(node.client, "latest")
    assert (found.number, found.timestamp) == (int(head["number"], 16), int(head["timestamp"], 16))
    assert (found.parent_hash, found.chain_id) == (head["parentHash"], 1)
    assert 0 < found.gas_used < 20_000
    assert 28_000_000 < found.gas < 30_000_000
    past = scan(node, form, block=hex(found.number - 1))
    assert past.number == found.number - 1


@both_forms
def test_values_of_every_length_come_back(node: AnvilNode, form: ScannerForm) -> None:
    echo = put(node, "echo", ECHO)
    values = [value for size in range(32) for value in (256**size, 256 ** (size + 1) - 1)]
    tokens = [put(node, f"constant {at}", constant(value)) for at, value in enumerate(values)]
    owners = owners_of_all_lengths()
    found = scan(node, form, [echo, *tokens], owners[-3:], native=False)
    assert found.cells == [cell for owner in owners[-3:] for cell in (int(owner, 16), *values)]
    assert scan(node, form, [echo], owners, native=False).cells == [int(owner, 16) for owner in owners]


@both_forms
@pytest.mark.parametrize("zeros", [0, 1, 63, 64, 65, 127, 128, 129, 192, 300])
def test_zeros_in_a_row_are_counted(node: AnvilNode, form: ScannerForm, zeros: int) -> None:
    echo, reverts = put(node, "echo", ECHO), put(node, "reverting", reverting(0))
    nobody = f"0x{0:040x}"
    found = scan(node, form, [echo], [nobody] * zeros, native=False)
    assert found.cells == [0] * zeros
    found = scan(node, form, [echo], [nobody] * zeros + [f"0x{5:040x}"] + [nobody] * zeros, native=False)
    assert found.cells == [0] * zeros + [5] + [0] * zeros
    found = scan(node, form, [echo, reverts], [nobody] * zeros, native=False)
    assert outcomes(found.cells, found.failures) == [0, REVERTED] * zeros


@both_forms
def test_native_balances_are_read(node: AnvilNode, form: ScannerForm) -> None:
    echo = put(node, "echo", ECHO)
    owners = owners_of_all_lengths()[:8]
    for at, owner in enumerate(owners):
        node.client.call("anvil_setBalance", owner, hex(10**18 * at))
    found = scan(node, form, [echo], owners)
    assert found.cells == [cell for at, owner in enumerate(owners) for cell in (10**18 * at, int(owner, 16))]
    assert scan(node, form, [], owners).cells == [10**18 * at for at in range(len(owners))]


@both_forms
def test_nothing_asked_is_nothing_answered(node: AnvilNode, form: ScannerForm) -> None:
    echo = put(node, "echo", ECHO)
    owner = zoo_address("somebody")
    for found in (
        scan(node, form),
        scan(node, form, [echo], []),
        scan(node, form, [], [owner], native=False),
    ):
        assert (found.cells, found.calls) == ([], [])


@both_forms
@pytest.mark.parametrize("native", [True, False])
def test_a_wallet_is_begun_in_its_middle(node: AnvilNode, form: ScannerForm, native: bool) -> None:
    tokens = [put(node, f"constant {value}", constant(value)) for value in (11, 22, 33)]
    owners = [zoo_address("one"), zoo_address("two"), zoo_address("three")]
    for at, owner in enumerate(owners):
        node.client.call("anvil_setBalance", owner, hex(at))
    whole = scan(node, form, tokens, owners, native=native).cells
    for skip in range(len(tokens) + native):
        assert scan(node, form, tokens, owners, native=native, skip=skip).cells == whole[skip:]


@both_forms
def test_calls_come_first_and_have_the_gas_they_ask(node: AnvilNode, zoo: Zoo, form: ScannerForm) -> None:
    echo = put(node, "echo", ECHO)
    # Hashes a megabyte: about 300,000 gas for it, and 2.2 million for the memory.
    hungry = put(node, "hungry", "6210000060002060005260206000f3")
    long = put(node, "long", returning(5_000))
    too_long = put(node, "too long", returning(70_000))
    calls = [
        Call(echo, "70a08231" + f"{77:064x}"),
        Call(hungry, "00"),
        Call(hungry, "00", gas_units=60),
        Call(long, ""),
        Call(too_long, "", gas_units=40),
        Call(zoo["eoa"].address, "06fdde03"),
        Call(zoo["returns_nothing"].address, "70a08231" + f"{0:064x}"),
        Call(zoo["reverts_with_reason"].address, "70a08231" + f"{0:064x}"),
    ]
    found = scan(node, form, [echo], [f"0x{9:040x}"], calls, native=False)
    data = found.calls
    assert data[0] == (77).to_bytes(32)
    assert isinstance(data[2], bytes)
    assert len(data[2]) == 32
    assert data[3] == bytes(5_000)
    codes = [one.code if isinstance(one, CallFailure) else None for one in data]
    assert codes == [None, ALONE, None, None, ALONE, NO_CONTRACT, NO_DATA, REVERTED]
    assert found.cells == [9]


@both_forms
def test_every_member_of_the_zoo_is_told_apart(node: AnvilNode, zoo: Zoo, form: ScannerForm) -> None:
    found = scan(node, form, zoo.addresses, [zoo.owner])
    told = dict(zip(zoo.members, outcomes(found.cells, found.failures)[1:], strict=True))
    expected: dict[str, Any] = {member.name: member.expected for member in zoo.members.values()}
    # What it can't tell for sure goes to be asked alone.
    expected |= dict.fromkeys(("loops_forever", "invalid_opcode"), ALONE)
    assert told == expected
    assert told["eoa"] is NO_CONTRACT
    assert (told["returns_31_bytes"], told["returns_blob"]) == (MALFORMED, MALFORMED)


@both_forms
@pytest.mark.parametrize(("size", "code"), [(0, REVERTED), (255, REVERTED), (256, ALONE), (9_000, ALONE)])
def test_what_a_token_reverts_with_is_told_up_to_255_bytes(
    node: AnvilNode, form: ScannerForm, size: int, code: FailureCode
) -> None:
    tokens = [put(node, "constant", constant(5)), put(node, f"reverting {size}", reverting(size))]
    found = scan(node, form, tokens, [zoo_address("one"), zoo_address("two")], native=False)
    assert outcomes(found.cells, found.failures) == [5, code] * 2
    if code is REVERTED and size:
        assert found.failures[1].reason == "with error 0x00000000"


@both_forms
def test_a_balance_that_is_written_down_is_asked_alone(node: AnvilNode, form: ScannerForm) -> None:
    """In a static call it uses up its gas; as a call of its own it gives a value."""
    tokens = [put(node, "writes", WRITES), put(node, "constant", constant(5))]
    found = scan(node, form, tokens, [zoo_address("one")], native=False)
    assert outcomes(found.cells, found.failures) == [ALONE, 5]


def test_the_code_of_a_contract_bounds_a_deployless_answer(node: AnvilNode) -> None:
    """33 bytes a cell, and 24,576 in all: the rest is asked next."""
    most = put(node, "most", constant(2**256 - 1))
    owners = [f"0x{number:040x}" for number in range(1, 1_001)]
    first = scan(node, "deployless", [most], owners, native=False)
    assert 730 < len(first.cells) <= 744
    assert set(first.cells) == {2**256 - 1}
    cells, turns = in_turns(node, "deployless", [most], owners)
    assert cells == [0, 2**256 - 1] * 1_000
    assert turns == 2


@pytest.mark.parametrize("room", [400, 700, 5_000])
@both_forms
def test_any_room_ends_an_answer_and_loses_nothing(node: AnvilNode, form: ScannerForm, room: int) -> None:
    tokens = [
        put(node, "echo", ECHO),
        put(node, "reverting", reverting(255)),
        put(node, "most", constant(2**255)),
    ]
    owners = owners_of_all_lengths()
    cells, turns = in_turns(node, form, tokens, owners, room=room)
    natives = [int(node.client.call("eth_getBalance", owner, "latest"), 16) for owner in owners]
    assert cells == [
        cell
        for owner, native in zip(owners, natives, strict=True)
        for cell in (native, int(owner, 16), REVERTED, 2**255)
    ]
    assert turns > 1


@both_forms
@pytest.mark.parametrize("work_gas", [60_000, 200_000, 300_000])
def test_it_stops_when_it_has_spent_what_it_may(node: AnvilNode, form: ScannerForm, work_gas: int) -> None:
    echo = put(node, "echo", ECHO)
    owners = [f"0x{number:040x}" for number in range(1, 401)]
    found = scan(node, form, [echo], owners, native=False, work_gas=work_gas)
    assert 0 < len(found.cells) < 400
    assert found.gas_used < work_gas + 15_000
    assert found.cells == list(range(1, len(found.cells) + 1))


@pytest.mark.parametrize(
    ("form", "gas"),
    # To create a contract costs about 200,000 before it begins.
    [("override", 300_000), *((form, gas) for form in FORMS for gas in (500_000, 1_000_000, 3_000_000))],
)
def test_little_gas_gives_the_first_cells_and_no_error(node: AnvilNode, form: ScannerForm, gas: int) -> None:
    tokens = [
        put(node, "echo", ECHO),
        put(node, "reverting", reverting(100)),
        put(node, "constant", constant(3)),
    ]
    owners = [f"0x{number:040x}" for number in range(0x10000, 0x10050)]
    cells, turns = in_turns(node, form, tokens, owners, gas=gas)
    assert cells == [cell for owner in owners for cell in (0, int(owner, 16), REVERTED, 3)]
    assert turns < 30


@both_forms
@pytest.mark.parametrize("gas", [1_000_000, 30_000_000])
def test_a_gas_eater_costs_its_cap_and_no_neighbour(
    node: AnvilNode, zoo: Zoo, form: ScannerForm, gas: int
) -> None:
    tokens = [put(node, "constant", constant(3)), zoo["loops_forever"].address, put(node, "echo", ECHO)]
    owners = [f"0x{number:040x}" for number in range(1, 5)]
    cells, _ = in_turns(node, form, tokens, owners, gas=gas)
    values = [cell for owner in owners for cell in (3, ALONE, int(owner, 16))]
    assert [cell for at, cell in enumerate(cells) if at % 4] == values


def test_what_is_no_question_is_refused(node: AnvilNode) -> None:
    for digits in ("02" + "00" * 20, "00", "ff"):
        call = scanner.scan_call("override", digits, "latest")
        with pytest.raises(Exception, match="revert"):
            node.client.call("eth_call", *call.params)

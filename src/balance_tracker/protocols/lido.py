"""Lido: ether staked (stETH, and wstETH, which wraps it), and ether on its way out of the queue.

Source: https://docs.lido.fi/contracts/lido (a balance of stETH is ether held in the pool),
https://docs.lido.fi/contracts/wsteth (``getStETHByWstETH``),
https://docs.lido.fi/contracts/withdrawal-queue-erc721 (``getWithdrawalRequests``, ``getWithdrawalStatus``,
``findCheckpointHints``, ``getClaimableEther``)
Golden: tests/protocols/test_lido.py
Known gaps: proven on models of the documented views, for the contracts are not to be had. wstETH on other
networks is a bridged copy without the rate, and stays a holding there.

All sides are in ether, which is what the protocol owes: a stETH is one by its own account, whatever the
market pays for it. A request that waits is given with the stETH that was put into it: it can't become more,
and less only after a great loss. One that is final is given with the ether that it would pay now.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from balance_tracker.core.assets import native_asset
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.evm.abi import BALANCE_OF, address_word
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.tours import Guide, TourError
from balance_tracker.evm.views import amount_of, as_amount, is_absent, list_of, uint_word, uints_of, word_of
from balance_tracker.protocols.receipts import Receipt, Stake, question, staked, worth_of
from balance_tracker.protocols.spec import AssetOf, EvmGuide, EvmTour, ProtocolSpec, Rows

PROTOCOL = ProtocolSpec(slug="lido", name="Lido", family="evm", grade="bronze")

GET_STETH_BY_WSTETH = "bb2952fc"
GET_WITHDRAWAL_REQUESTS = "7d031b65"
GET_WITHDRAWAL_STATUS = "b8c4b85a"
GET_LAST_CHECKPOINT_INDEX = "526eae3e"
FIND_CHECKPOINT_HINTS = "62abe3fa"
GET_CLAIMABLE_ETHER = "c97912d8"

MOST_REQUESTS = 1_000
"""Requests of one owner: with more of them the queue is declared failed rather than cut."""

_AT_ONCE = 50
"""Requests asked about in one call."""
_HEAVY = 46
"""Units of 65,536 gas, 3,000,000 in all: each hint is found by bisection of all checkpoints."""
_QUEUE = "Withdrawal queue"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Lido's contracts on one network."""

    steth: Address
    wsteth: Address
    queue: Address


DEPLOYMENTS: Mapping[str, Deployment] = {
    "ethereum": Deployment(
        steth=Address("0xae7ab96520DE3A18E5e111B5EaAb095312D7fE84"),
        wsteth=Address("0x7f39C581F595B53c5cb19bD0b3f8dA6c935E2Ca0"),
        queue=Address("0x889edC2eDab5f40e902b864aD4d7AdE8E412F9B1"),
    ),
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the queue: ``amount`` is ether, of a final one what it pays now."""

    number: int
    amount: int
    final: bool


def guides(
    network: Network,
    asset_of: AssetOf,  # noqa: ARG001 - all of it is ether
    rows: Rows = (),  # noqa: ARG001 - the contracts stand above
) -> Sequence[EvmGuide]:
    """Two guides where Lido is: to what is staked, and to what is on its way out."""
    lido = DEPLOYMENTS.get(network.slug)
    if lido is None:
        return []
    return [
        Guide(PROTOCOL.slug, "Staked ether", partial(_staked, network, lido)),
        Guide(PROTOCOL.slug, _QUEUE, partial(_queued, network, lido)),
    ]


def _staked(network: Network, lido: Deployment, owner: Address) -> EvmTour:
    tokens = (lido.steth, lido.wsteth)
    outcomes = yield [Call(token.lower(), BALANCE_OF + address_word(owner)) for token in tokens]
    if all(is_absent(outcome) for outcome in outcomes):
        return ()
    steth, wsteth = (amount_of(outcome, "the balance") for outcome in outcomes)
    ether = native_asset(network)
    positions = []
    if steth:
        receipt = Receipt(lido.steth, "stETH", "")
        positions.append(staked(PROTOCOL.slug, network, Stake(receipt, owner, steth, steth), ether))
    if wsteth:
        receipt = Receipt(lido.wsteth, "wstETH", GET_STETH_BY_WSTETH)
        outcomes = yield [question(receipt, wsteth)]
        worth = worth_of(receipt, wsteth, amount_of(outcomes[0], "the stETH in wstETH"))
        positions.append(staked(PROTOCOL.slug, network, Stake(receipt, owner, wsteth, worth), ether))
    return tuple(positions)


def _queued(network: Network, lido: Deployment, owner: Address) -> EvmTour:
    queue = lido.queue.lower()
    outcomes = yield [Call(queue, GET_WITHDRAWAL_REQUESTS + address_word(owner), gas_units=_HEAVY)]
    if is_absent(outcomes[0]):
        return ()
    numbers = sorted(uints_of(outcomes[0], MOST_REQUESTS, "the owner's withdrawal requests"))
    if not numbers:
        return ()
    outcomes = yield [*_about(queue, GET_WITHDRAWAL_STATUS, numbers), Call(queue, GET_LAST_CHECKPOINT_INDEX)]
    requests = _requests(numbers, outcomes, owner)
    final = [request.number for request in requests if request.final]
    if final:
        last = word_of(outcomes[-1], "the last checkpoint")
        claimable = yield from _claimable(queue, final, last)
        requests = [_with_ether(request, claimable) for request in requests]
    return tuple(_position(network, lido, owner, request) for request in requests)


def _claimable(
    queue: str, final: Sequence[int], last: int
) -> Generator[Sequence[Call], Sequence[Outcome], dict[int, int]]:
    """The ether that each final request would pay now; requests in rising order."""
    hinted = yield [
        Call(queue, FIND_CHECKPOINT_HINTS + _lists(part, [1, last]), gas_units=_HEAVY)
        for part in _parts(final)
    ]
    hints = _matched(final, hinted, "the checkpoint of each request")
    paid = yield [
        Call(
            queue,
            GET_CLAIMABLE_ETHER + _two_lists(part, [hints[number] for number in part]),
            gas_units=_HEAVY,
        )
        for part in _parts(final)
    ]
    return _matched(final, paid, "the ether of each request")


def _requests(numbers: Sequence[int], outcomes: Sequence[Outcome], owner: Address) -> list[Request]:
    """What the queue says of the owner's requests; those paid already are left out."""
    found = []
    for part, outcome in zip(_parts(numbers), outcomes, strict=False):
        statuses = list_of(outcome, len(part), "the state of each request", width=6)
        if len(statuses) != len(part):
            raise TourError("malformed", "the queue does not speak of every request")
        for number, (amount, _shares, who, _since, final, claimed) in zip(part, statuses, strict=True):
            if who != int(owner, 16) or final > 1 or claimed > 1:
                raise TourError("malformed", f"request {number} is not what it should be")
            if not claimed:
                found.append(Request(number, as_amount(amount, f"request {number}"), bool(final)))
    return found


def _with_ether(request: Request, claimable: Mapping[int, int]) -> Request:
    if not request.final:
        return request
    ether = claimable[request.number]
    if ether > request.amount:
        raise TourError("malformed", f"request {request.number} can't pay more than was put into it")
    return Request(request.number, ether, final=True)


def _position(network: Network, lido: Deployment, owner: Address, request: Request) -> Position:
    state = "claimable" if request.final else "waiting"
    legs = (Leg(native_asset(network), request.amount, label=state),)
    return Position(
        protocol=PROTOCOL.slug,
        network=network.slug,
        market=_QUEUE,
        position_id=f"{lido.queue}/{request.number}",
        kind=PositionKind.WITHDRAWAL,
        owner=owner,
        supplied=() if request.final else legs,
        claimable=legs if request.final else (),
        details=(("state", state),),
    )


def _matched(numbers: Sequence[int], outcomes: Sequence[Outcome], what: str) -> dict[int, int]:
    """One value per request, by its number."""
    found: dict[int, int] = {}
    for part, outcome in zip(_parts(numbers), outcomes, strict=True):
        values = uints_of(outcome, len(part), what)
        if len(values) != len(part):
            raise TourError("malformed", f"{what}: {len(values)} for {len(part)}")
        found |= zip(part, values, strict=True)
    return found


def _about(queue: str, selector: str, numbers: Sequence[int]) -> list[Call]:
    return [Call(queue, selector + _lists(part, []), gas_units=_HEAVY) for part in _parts(numbers)]


def _parts(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE))


def _lists(values: Sequence[int], then: Sequence[int]) -> str:
    """The arguments of a function that takes a list and then some numbers."""
    head = [32 * (1 + len(then)), *then]
    return "".join(map(uint_word, [*head, len(values), *values]))


def _two_lists(first: Sequence[int], second: Sequence[int]) -> str:
    """The arguments of a function that takes two lists."""
    return "".join(map(uint_word, [64, 96 + 32 * len(first), len(first), *first, len(second), *second]))

"""Riders: who comes along with a reading, and who is told what."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from tests.conftest import OpenGateway
from tests.evm.scenes import CONTRACTS, LOCAL, soon
from tests.nodes.chains import EnsNamesOnNode

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.ids import Address
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.evm.ens import EnsNames
from balance_tracker.evm.multicall import GET_CHAIN_ID, Call
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.reader import EvmReader
from balance_tracker.evm.riders import Ride, Trip, board_all, set_down
from balance_tracker.transport.pool import open_pool

OWNER = Address("0x00000000000000000000000000000000000A11cE")
MULTICALL3 = CONTRACTS["multicall3"].address.lower()
HERE = BlockRef(7, None, 1)


@dataclass
class Passenger:
    """Asks so many calls and writes down what it is told."""

    calls: int
    trips: list[Trip] = field(default_factory=list)
    told: list[tuple[list[Outcome], BlockRef]] = field(default_factory=list)

    def board(self, trip: Trip) -> Ride | None:
        self.trips.append(trip)
        if self.calls == 0:
            return None
        return Ride([Call(MULTICALL3, GET_CHAIN_ID)] * self.calls, self.learn)

    def learn(self, outcomes: Sequence[Outcome], block: BlockRef) -> None:
        self.told.append((list(outcomes), block))


def test_each_ride_is_told_its_own_outcomes() -> None:
    passengers = [Passenger(2), Passenger(0), Passenger(1)]
    rides = board_all(passengers, Trip([OWNER], [], None))
    set_down(rides, [b"1", b"2", b"3"], HERE)
    assert [one.told for one in passengers] == [[([b"1", b"2"], HERE)], [], [([b"3"], HERE)]]


@pytest.mark.integration
async def test_riders_share_the_request_and_the_block(
    shared_node: AnvilNode, ens: EnsNamesOnNode, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(shared_node.url)
    async with open_pool("ethereum", [gateway.url]) as pool:
        names, passenger = EnsNames(LOCAL, pool), Passenger(3)
        reader = EvmReader(LOCAL, pool, [names, passenger])
        reading = await reader.read(ens.owner, [], None, soon())
        assert gateway.counts.requests == reading.requests == 1
        ((outcomes, block),) = passenger.told
        assert (outcomes, block) == ([(1).to_bytes(32)] * 3, reading.block)
        assert names.rider(ens.owner) is None
        assert [asset.native for asset in passenger.trips[0].assets] == [True]
        await reader.read_many([ens.owner, ens.silent], [], None, soon())
        assert (gateway.counts.requests, len(passenger.told)) == (2, 2)
        assert names.rider(ens.silent) is not None

"""Records the golden conversations with Uniswap's contracts: ``python -m tests.protocols.uniswap_golden``.

What changes is to be reviewed as a diff.
"""

import asyncio

from tests.nodes.chains import started
from tests.protocols.conversation import FOLDER, Conversation, record
from tests.protocols.uniswap_scenes import (
    HIGH,
    LOW,
    MANAGER,
    NETWORK,
    OWNERS,
    USDC,
    V2_FACTORY,
    WETH,
    Uniswap,
    asset_of,
    collect_call,
    create_pair,
    create_pool,
    decrease_call,
    ids_of,
    kept,
    place_uniswap,
    rows_of,
)

from balance_tracker.core.ids import Address
from balance_tracker.demo.artifacts import fetch_packages
from balance_tracker.demo.contracts import (
    DEPLOYER,
    MULTICALL3_ADDRESS,
    ContractLibrary,
    call_data,
    multicall3_runtime,
    set_code,
)
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.reader import chain_facts
from balance_tracker.evm.ticks import root_at
from balance_tracker.protocols import uniswap_v2, uniswap_v3
from balance_tracker.protocols.spec import EvmGuide
from balance_tracker.transport.pool import open_pool

OWNER = Address(OWNERS[0])
V2 = "uniswap_v2/USDC-WETH.json"
V3 = "uniswap_v3/four-positions.json"
FIRST_SECOND = "1700000000"
E18 = 10**18
_TICK = 195_300


def guide_v2() -> EvmGuide:
    """The guide of the pair of USDC and ether."""
    made = uniswap_v2.guides(NETWORK, asset_of, rows_of("uniswap_v2", "ethereum"))
    return next(one for one in made if one.market == "Uniswap V2 USDC/WETH")


def guide_v3() -> EvmGuide:
    """The guide of Uniswap's own manager."""
    return uniswap_v3.guides(NETWORK, asset_of, rows_of("uniswap_v3", "ethereum"))[0]


def provide_v2(uniswap: Uniswap) -> list[list[int]]:
    """A share of a pair that has grown, and whose exchange takes a part of that."""
    uniswap.send(V2_FACTORY, call_data("setFeeTo(address)", OWNERS[1]))
    pair = create_pair(uniswap, (USDC, WETH))
    pair.add(DEPLOYER, (3_300_000 * 10**6, 1_000 * E18))
    pair.add(OWNER, (123_456 * 10**6, 40 * E18))
    pair.swap(250_000 * 10**6, first=True)
    pair.swap(70 * E18, first=False)
    return [list(pair.removal(OWNER))]


def provide_v3(uniswap: Uniswap) -> list[list[int]]:
    """One position in range, one beside it, one in tokens of no list, and a closed one."""
    pool = create_pool(uniswap, (USDC, WETH), 3_000, 60, root_at(_TICK))
    pool.mint(DEPLOYER, (-887_220, 887_220), (3_300_000 * 10**6, 1_000 * E18))
    pool.mint(OWNER, (_TICK - 600, _TICK + 600), (30_000 * 10**6, 10 * E18))
    pool.mint(OWNER, (_TICK + 600, _TICK + 1_200), (5_000 * 10**6, 0))
    other = create_pool(uniswap, (LOW, HIGH), 500, 10, root_at(-7))
    other.mint(OWNER, (-100, 100), (5 * E18, 7 * E18))
    pool.mint(OWNER, (_TICK - 1_200, _TICK - 600), (0, 3 * E18))
    closed = ids_of(uniswap, OWNER)[-1]
    uniswap.send(MANAGER, decrease_call(closed, kept(uniswap, closed)[7]), OWNER)
    uniswap.send(MANAGER, collect_call(closed, OWNER), OWNER)
    pool.swap(5_000 * 10**6, first=True)
    pool.swap(2 * E18, first=False)
    other.swap(E18 // 10, first=False)
    return [_paid(uniswap, token_id) for token_id in ids_of(uniswap, OWNER)[:-1]]


def _paid(uniswap: Uniswap, token_id: int) -> list[int]:
    liquidity, two = kept(uniswap, token_id)[7], ["uint256", "uint256"]
    principal = uniswap.view(MANAGER, decrease_call(token_id, liquidity), two, OWNER)
    return [*principal, *uniswap.view(MANAGER, collect_call(token_id, OWNER), two, OWNER)]


async def _record(url: str, guide: EvmGuide, paid: list[list[int]]) -> Conversation:
    async with open_pool(NETWORK.slug, [url]) as pool:
        deadline = asyncio.get_running_loop().time() + 20
        return await record(CallReader(pool, chain_facts(NETWORK)), guide, OWNER, paid, deadline)


def main() -> None:
    """Record both."""
    with started(1, "--timestamp", FIRST_SECOND) as node:
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3_runtime()})
        uniswap = place_uniswap(node.client, ContractLibrary(fetch_packages()))
        for name, guide, paid in (
            (V2, guide_v2(), provide_v2(uniswap)),
            (V3, guide_v3(), provide_v3(uniswap)),
        ):
            asyncio.run(_record(node.url, guide, paid)).save(FOLDER / name)


if __name__ == "__main__":
    main()

"""Records the golden conversations with Compound V2 and a vault: ``python -m tests.protocols.pools_golden``.

What changes is to be reviewed as a diff.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.nodes.chains import started
from tests.nodes.protocols.flat import compile_flat
from tests.protocols.compound_market import CDAI, CETH, COMPTROLLER, CUSDC, DAI, MARKETS, USDC, open_market
from tests.protocols.conversation import FOLDER, Conversation, record, written
from tests.protocols.stage import ETHEREUM, answer, catalog, rows_on

from balance_tracker.core.ids import Address
from balance_tracker.core.positions import Position
from balance_tracker.demo.artifacts import fetch_packages
from balance_tracker.demo.contracts import (
    DEPLOYER,
    MULTICALL3_ADDRESS,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    multicall3_runtime,
    place,
    set_code,
    transact,
)
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.reader import chain_facts
from balance_tracker.protocols import compound_v2, erc4626
from balance_tracker.protocols.spec import EvmGuide
from balance_tracker.transport.pool import open_pool

OWNER = Address("0x00000000000000000000000000000000000A11cE")
BANK = "0x000000000000000000000000000000000000bA0C"
SDAI = "0x83F20F44975D03b1b09e64809B757c47f942BEeA"
POOL = "compound_v2/two-supplied-one-owed.json"
VAULT = "erc4626/grown-with-a-fee.json"
KNOWN = catalog({DAI: ("DAI", 18), USDC: ("USDC", 6)})
FIRST_SECOND = "1700000000"
ETHER = 10**18


def guide_of_pool() -> EvmGuide:
    """Compound's pool, of three markets."""
    [row] = rows_on("compound_v2", ETHEREUM)
    [guide] = compound_v2.guides(ETHEREUM, KNOWN, [dict(row) | {"markets": list(MARKETS)}])
    return guide


def guide_of_vault() -> EvmGuide:
    """The vault at sDAI's address."""
    [row] = [row for row in rows_on("erc4626", ETHEREUM) if row["address"] == SDAI]
    [guide] = erc4626.guides(ETHEREUM, KNOWN, [row])
    return guide


def retold(guide: EvmGuide, golden: Conversation) -> Sequence[Position]:
    """What the tour comes to by what was written down; it must ask exactly what it asked then."""
    tour = guide.start(golden.owner)
    calls = list(next(tour))
    for one in golden.rounds:
        assert [(call.to, call.data) for call in calls] == [(to, data) for to, data, _ in one]
        try:
            calls = list(tour.send([bytes.fromhex(data) for _, _, data in one]))
        except StopIteration as end:
            found: Sequence[Position] = end.value
            assert written(found) == golden.positions
            return found
    raise AssertionError("the tour asks more than it did")


def fill_pool(client: NodeClient, library: ContractLibrary) -> list[list[int]]:
    """Ether and USDC against dai, with interest that nobody has added yet.

    Returns supply and debt by market, and then the collateral by its factors and the debts.
    """
    pool = open_market(client, library, (OWNER, BANK))
    pool.supply(BANK, CDAI, 1_000_000 * ETHER)
    pool.supply(BANK, CUSDC, 10**12)
    pool.act(COMPTROLLER, "enterMarkets(address[])", [CETH, CUSDC], by=OWNER)
    pool.supply(OWNER, CETH, 12 * ETHER + 345)
    pool.supply(OWNER, CUSDC, 5_000_000_001)
    pool.act(CDAI, "borrow(uint256)", 20_000 * ETHER + 7, by=OWNER)
    pool.price(CETH, 1_912 * ETHER + 1)
    pool.pass_blocks(500)
    said = pool.amounts(OWNER)
    return [*(list(said.get(str(market), (0, 0))) for market in MARKETS), list(pool.sums(OWNER))]


def fill_vault(client: NodeClient, library: ContractLibrary) -> list[list[int]]:
    """A share of a vault that has grown; what it stands for, and what leaving would pay."""
    fee_vault = replace(compile_flat("Vaults.sol")["FeeVault"], constructor=("address",))
    place(client, [Placement(DAI, library.erc20, ("Dai", "DAI"))])
    place(client, [Placement(SDAI, fee_vault, (DAI,))])
    for who, amount in ((BANK, 7 * ETHER), (OWNER, 3 * ETHER + 1)):
        transact(client, [Transaction(DAI, call_data("mint(address,uint256)", who, amount), DEPLOYER)])
        approved = Transaction(DAI, call_data("approve(address,uint256)", SDAI, amount), who)
        transact(
            client, [approved, Transaction(SDAI, call_data("deposit(uint256,address)", amount, who), who)]
        )
    transact(client, [Transaction(DAI, call_data("mint(address,uint256)", SDAI, ETHER + 3), DEPLOYER)])
    shares = answer(client, SDAI, "balanceOf(address)", "uint256", OWNER)
    views = ("convertToAssets(uint256)", "previewRedeem(uint256)")
    return [[answer(client, SDAI, view, "uint256", shares) for view in views]]


async def _record(url: str, guide: EvmGuide, paid: list[list[int]]) -> Conversation:
    async with open_pool(ETHEREUM.slug, [url]) as pool:
        deadline = asyncio.get_running_loop().time() + 20
        return await record(CallReader(pool, chain_facts(ETHEREUM)), guide, OWNER, paid, deadline)


def main() -> None:
    """Record both, each on a node of its own."""
    library = ContractLibrary(fetch_packages())
    scenes: dict[str, tuple[EvmGuide, Callable[[NodeClient, ContractLibrary], list[list[int]]]]] = {
        POOL: (guide_of_pool(), fill_pool),
        VAULT: (guide_of_vault(), fill_vault),
    }
    for name, (guide, fill) in scenes.items():
        with started(ETHEREUM.chain_id or 1, "--timestamp", FIRST_SECOND) as node:
            set_code(node.client, {MULTICALL3_ADDRESS: multicall3_runtime()})
            paid = fill(node.client, library)
            asyncio.run(_record(node.url, guide, paid)).save(FOLDER / name)


if __name__ == "__main__":
    main()

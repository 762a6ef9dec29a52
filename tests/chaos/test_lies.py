"""One endpoint of three tells heads that are not, far ahead or far behind; answers stay right and fresh.

The liar is always the endpoint that is in use, so that it is the first that is asked.
"""

import asyncio
import json
from typing import Any

import pytest
from tests.chaos.chains import Chain
from tests.chaos.reads import asking, assert_bounded, assert_right, befall, read_for, reader_of
from tests.chaos.virtual_time import virtual_loop
from tests.chaos.world import ROTATION_SECONDS, going_on, sites
from tests.fakes.bad_endpoint import Act, Exchange, Fault
from tests.fakes.faults import FAULTS

pytestmark = pytest.mark.integration

AHEAD_BLOCKS = 1_000
FAR_AHEAD_BLOCKS = 1_000_000
DAY_SECONDS = 86_400


def _header_said(blocks: int, seconds: int) -> Act:
    """Only the header lies: its number and time are so far from the true ones."""

    def edit(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        header = reply.get("result")
        if call["method"] != "eth_getBlockByNumber" or not isinstance(header, dict):
            return reply
        number = hex(int(header["number"], 16) + blocks)
        timestamp = hex(int(header["timestamp"], 16) + seconds)
        return {**reply, "result": {**header, "number": number, "timestamp": timestamp}}

    async def act(exchange: Exchange) -> None:
        await exchange.reply_edited(edit)

    return act


async def _on_another_branch(exchange: Exchange) -> None:
    """All of it is of a branch of its own: header, calls and balances fit each other."""
    await exchange.reply(await exchange.good(other=True))


async def _just_begun(exchange: Exchange) -> None:
    """It has synchronised the first blocks only, and takes the third for the latest."""
    text = json.dumps(exchange.document).replace('"latest"', '"0x3"')
    await exchange.reply(await exchange.good(json.loads(text)))


LIES = [
    Fault(name, act, frozenset())
    for name, act in {
        "header far ahead": _header_said(FAR_AHEAD_BLOCKS, 0),
        "header far ahead, of tomorrow": _header_said(FAR_AHEAD_BLOCKS, DAY_SECONDS),
        "header a little ahead": _header_said(30, 0),
        "header far behind": _header_said(-50, -600),
        "branch ahead": _on_another_branch,
        "stuck": FAULTS["stale_head"].act,
        "just begun": _just_begun,
    }.items()
]


@pytest.mark.parametrize("seconds_ahead", [0, DAY_SECONDS], ids=["honest clock", "tomorrow's clock"])
async def test_answers_stay_right_and_fresh(two_branches: tuple[Chain, ...], seconds_ahead: int) -> None:
    _, branch = two_branches
    branch.node.client.call("anvil_mine", hex(AHEAD_BLOCKS))
    async with sites(two_branches, [3, 0], 11) as (site, _):
        moving = [
            asyncio.create_task(site.keep_moving()),
            asyncio.create_task(_keep_ahead(branch, seconds_ahead)),
        ]
        async with going_on(*moving), reader_of(site) as reader:
            ask = asking(reader, site)
            reads = await read_for(ROTATION_SECONDS, site, ask)
            for lie in LIES * 2:
                befall(site, reads[-1], lie)
                some = await read_for(ROTATION_SECONDS, site, ask)
                print(
                    lie.name,
                    [
                        (
                            r.requests,
                            round(r.seconds, 2),
                            r.told if isinstance(r.told, Exception) else r.told.block.number - r.head,
                        )
                        for r in some
                    ],
                )
                reads += some
    for read in reads:
        assert_right(site, read)
        assert_bounded(site, read)


async def _keep_ahead(branch: Chain, seconds: int) -> None:
    """A block now and then, with a time that is so far ahead."""
    while True:
        at = int(virtual_loop().wall_time()) + seconds
        branch.node.client.call("evm_setNextBlockTimestamp", at)
        branch.node.client.call("evm_mine")
        await asyncio.sleep(5)

"""Many owners on a real bank: what each has alone, in a fraction of the requests."""

import asyncio
from collections.abc import Sequence

import pytest
from solders.pubkey import Pubkey
from tests.fakes.solana_endpoint import EditedEndpoint, error
from tests.solana.conftest import Wallet, listed

from balance_tracker.core.assets import unlisted_token
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import Reading
from balance_tracker.solana.reader import OWNERS_PER_REQUEST

pytestmark = pytest.mark.integration


def fill(wallet: Wallet, owners: int, tokens: int = 3) -> list[Address]:
    """Owners with SOL and some of a few mints, each another amount; every fifth has nothing."""
    mints = [wallet.tokens.create_mint(6) for _ in range(tokens)]
    addresses = []
    for number in range(owners):
        owner = Pubkey.new_unique()
        addresses.append(Address(str(owner)))
        if number % 5 == 4:
            continue
        wallet.bank.give_sol(owner, 1_000_000 + number)
        for place, mint in enumerate(mints[: 1 + number % tokens]):
            wallet.tokens.give(mint, owner, 100 * number + place + 1)
    return addresses


async def read_many(
    wallet: Wallet, owners: Sequence[Address], seconds: float = 5.0, assets=(), at=None
) -> list[Reading | UpstreamError]:
    deadline = asyncio.get_running_loop().time() + seconds
    return list(await wallet.reader.read_many(owners, assets, at, deadline))


def holdings(reading: Reading | UpstreamError) -> dict[str | None, int]:
    assert isinstance(reading, Reading), reading
    return {one.asset.contract_address: one.raw_amount for one in reading.balances}


async def alone(wallet: Wallet, owner: Address, assets=()) -> Reading:
    return await wallet.reader.read(owner, assets, None, asyncio.get_running_loop().time() + 5)


async def test_each_has_what_it_has_alone_in_far_fewer_requests(wallet) -> None:
    owners = fill(wallet, 23)
    before = wallet.bank.requests
    readings = await read_many(wallet, owners)
    spent = wallet.bank.requests - before
    assert sum(reading.requests for reading in readings) == spent
    assert spent <= 2 * 3
    for owner, reading in zip(owners, readings, strict=True):
        single = await alone(wallet, owner)
        assert holdings(reading) == holdings(single)
        assert (reading.asked, reading.failures, reading.nfts) == (single.asked, (), single.nfts)
        assert reading.block == single.block


async def test_owners_whose_accounts_do_not_fit_together_are_read_apart(wallet) -> None:
    owners = fill(wallet, 4)
    crowded = Pubkey.new_unique()
    for raw_amount in range(1, 61):
        wallet.tokens.give(wallet.tokens.create_mint(6), crowded, raw_amount)
    owners.insert(2, Address(str(crowded)))
    readings = await read_many(wallet, owners)
    assert len(holdings(readings[2])) == 61
    for owner, reading in zip(owners, readings, strict=True):
        assert holdings(reading) == holdings(await alone(wallet, owner))


@pytest.mark.parametrize("most_keys", [75, 5])
async def test_a_small_limit_of_keys_and_no_batches_change_nothing(wallet, most_keys: int) -> None:
    wallet.bank.limits.most_keys = most_keys
    wallet.bank.limits.batches = False
    owners = fill(wallet, 6)
    readings = await read_many(wallet, owners)
    for owner, reading in zip(owners, readings, strict=True):
        assert holdings(reading) == holdings(await alone(wallet, owner))


async def test_listed_and_asked_mints_are_told_as_for_one(wallet) -> None:
    held, asked, gone = (wallet.tokens.create_mint(6) for _ in range(3))
    owner = Pubkey.new_unique()
    wallet.tokens.give(held, owner, 5)
    assets = [
        listed(held, "HELD", 6),
        listed(gone, "GONE", 6),
        unlisted_token(wallet.reader.network, Address(str(asked))),
    ]
    owners = [Address(str(owner)), Address(str(Pubkey.new_unique()))]
    first, second = await read_many(wallet, owners, assets=assets)
    assert holdings(first) == {None: 0, str(held): 5, str(asked): 0}
    assert holdings(second) == {None: 0, str(asked): 0}
    assert [one.asset.symbol for one in first.balances] == ["SOL", "HELD", None]


async def test_one_owner_s_failure_does_not_end_the_others(wallet, readers) -> None:
    owners = fill(wallet, 7)

    def edit(request, reply):
        if request["method"] == "getTokenAccountsByOwner" and request["params"][0] == owners[3]:
            return error(reply, -32603, "Internal error")
        return reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        readings = await read_many(wallet, owners)
    assert [isinstance(one, UpstreamError) for one in readings] == [place == 3 for place in range(7)]
    assert holdings(readings[6])[None] == 1_000_006


async def test_an_owner_who_only_fails_in_company_is_read_alone(wallet, readers) -> None:
    owners = fill(wallet, 4)
    in_company = True

    def edit(request, reply):
        nonlocal in_company
        if (
            in_company
            and request["method"] == "getTokenAccountsByOwner"
            and request["params"][0] == owners[1]
        ):
            in_company = False
            return error(reply, -32603, "Internal error")
        return reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        readings = await read_many(wallet, owners)
    assert all(isinstance(one, Reading) for one in readings)
    assert holdings(readings[1])[None] == 1_000_001


async def test_a_dead_endpoint_costs_a_group_no_more_than_two_tries(wallet, readers) -> None:
    owners = fill(wallet, OWNERS_PER_REQUEST)
    calls = 0

    def edit(request, reply):
        nonlocal calls
        calls += 1
        return error(reply, -32603, "Internal error")

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        readings = await read_many(wallet, owners, seconds=2)
    assert all(isinstance(one, UpstreamError) for one in readings)
    assert calls <= 2 * OWNERS_PER_REQUEST + 1 + 3


async def test_owners_that_were_not_reached_by_the_deadline_have_an_error(wallet) -> None:
    owners = fill(wallet, 12)
    started = asyncio.get_running_loop().time()
    readings = await read_many(wallet, owners, seconds=0.0)
    assert asyncio.get_running_loop().time() - started < 1
    assert {one.code for one in readings} == {"timed_out"}


async def test_the_past_of_many_is_not_to_be_had_either(wallet) -> None:
    with pytest.raises(UpstreamError) as caught:
        await read_many(wallet, [Address(str(wallet.owner))], at=7)
    assert (caught.value.code, caught.value.retryable) == ("history_unavailable", False)

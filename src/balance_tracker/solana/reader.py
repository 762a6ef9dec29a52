"""What an address holds on Solana: SOL and every token account, read at one slot.

Two requests a read: the owner's token accounts of both token programs (and, once for
each endpoint, its genesis hash), then one batch that reads the owner, those accounts,
their mints and unknown mints' metadata together, no earlier than the first answers.

The block is that of the balances. With more accounts than one ``getMultipleAccounts``
takes, the calls are asked again (3 times at most) until they agree on a slot; should
they never agree, the block named is the lowest slot of them.

Of many owners, ten are listed in one request, and those whose accounts together fit one
``getMultipleAccounts`` are read with one: empty wallets by the hundred, common ones a few at
a time. An owner who fails in company is read alone before it is given up.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import batched

from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At, BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.including import BALANCES_ONLY, Include
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import Reading
from balance_tracker.ports import EndpointHealth
from balance_tracker.solana.client import (
    COMMITMENT,
    AccountsAt,
    FoundAccount,
    Listing,
    SolanaClient,
    check_genesis,
)
from balance_tracker.solana.holdings import HoldingsOf
from balance_tracker.solana.names import Names
from balance_tracker.solana.nfts import NftBook, grouped, unnamed, with_listed, with_names
from balance_tracker.solana.packs import Wanted, packs, shared, with_requests
from balance_tracker.solana.programs import metaplex_metadata_address
from balance_tracker.solana.replies import endpoint_error
from balance_tracker.solana.sources import PositionSource, with_positions
from balance_tracker.transport.jsonrpc import RpcCall, RpcError
from balance_tracker.transport.pool import Pool, Session

STALE_BEHIND_SLOTS = 150
MOST_METADATA_KEYS = 400
"""Most names asked in one read; a wallet with more unknown mints learns the rest in later reads."""

MOST_GROUP_NAMES = 99
"""Most collections whose own name one read asks: what fits one call beside the clock."""

OWNERS_PER_REQUEST = 10
"""Owners listed together: 20 calls, which endpoints take in one batch."""

GROUPS_AT_ONCE = 4
PROBE_SECONDS = 10.0


class SolanaReader:
    """Reads Solana through a pool of endpoints.

    Args:
        network: What its data file says.
        pool: Its endpoints.
        sources: Where positions come from, where they are included.
    """

    def __init__(self, network: Network, pool: Pool, sources: Sequence[PositionSource] = ()) -> None:
        self.network = network
        self._pool = pool
        self._sources = tuple(sources)
        self.protocols = tuple(sorted(source.slug for source in sources))
        self._names = Names()
        self._book = NftBook()
        self._genesis = network.id.partition(":")[2]

    async def read(
        self,
        owner: Address,
        assets: Sequence[Asset],
        at: At,
        deadline: float,
        include: Include = BALANCES_ONLY,
    ) -> Reading:
        """See :meth:`balance_tracker.ports.ChainReader.read`.

        ``asked`` counts SOL, the token accounts found, and the mints asked for by name that are not held.

        Raises:
            UpstreamError: No endpoint answered; ``history_unavailable`` for any ``at`` but the latest.
        """
        _refuse_past(at)
        by_mint = _by_mint(assets)

        async def operation(session: Session) -> Reading:
            [reading] = await self._read_group(session, [owner], by_mint, deadline)
            if isinstance(reading, UpstreamError):
                raise reading
            return reading

        reading = await self._pool.run(operation, deadline)
        [own] = await self._with_collections([reading], deadline, include)
        [whole] = await self._with_positions([owner], [own], deadline, include)
        if isinstance(whole, UpstreamError):
            raise whole
        return whole

    async def read_many(
        self,
        owners: Sequence[Address],
        assets: Sequence[Asset],
        at: At,
        deadline: float,
        include: Include = BALANCES_ONLY,
    ) -> Sequence[Reading | UpstreamError]:
        """See :meth:`balance_tracker.ports.ChainReader.read_many`; zeros that were found stay in it.

        Raises:
            UpstreamError: ``history_unavailable`` for any ``at`` but the latest.
        """
        _refuse_past(at)
        by_mint = _by_mint(assets)
        free = asyncio.Semaphore(GROUPS_AT_ONCE)

        async def read(group: tuple[Address, ...]) -> list[Reading | UpstreamError]:
            async with free:
                return await self._read_together(group, by_mint, deadline)

        async with asyncio.TaskGroup() as running:
            tasks = [running.create_task(read(group)) for group in batched(owners, OWNERS_PER_REQUEST)]
        results = [result for task in tasks for result in task.result()]
        results = await self._with_collections(results, deadline, include)
        return await self._with_positions(owners, results, deadline, include)

    async def _with_collections(
        self, results: Sequence[Reading | UpstreamError], deadline: float, include: Include
    ) -> list[Reading | UpstreamError]:
        """The results with names of collections where those are included, else without collections."""
        readings = [result for result in results if isinstance(result, Reading)]
        if not include.nfts:
            return [_without_collections(result) for result in results]
        listed = {one.contract_address: one for one in include.collections}
        found = [with_listed(reading.collections, listed) for reading in readings]
        nameless = [mint for holdings in found for mint in unnamed(holdings)]
        names, requests = await self._group_names(list(dict.fromkeys(nameless)), deadline)
        whole = iter(found)
        read: list[Reading | UpstreamError] = []
        for result in results:
            if isinstance(result, Reading):
                collections = with_names(next(whole), names)
                read.append(replace(result, collections=collections, requests=result.requests + requests))
                requests = 0
            else:
                read.append(result)
        return read

    async def _group_names(
        self, mints: Sequence[Address], deadline: float
    ) -> tuple[dict[Address, str | None], int]:
        """What the mints of collections are called, as far as it can be learnt, and the requests it took."""
        asked = [mint for mint in mints if not self._names.knows(mint)][:MOST_GROUP_NAMES]
        requests = 0

        async def operation(session: Session) -> None:
            nonlocal requests
            keys = {mint: metaplex_metadata_address(mint) for mint in asked}
            client = SolanaClient(session, deadline)
            accounts = await client.read_accounts([*keys.values()], [], 0)
            for mint, key in keys.items():
                self._names.of(mint, None, accounts.items.get(key))
            requests = session.requests

        if asked:
            try:
                await self._pool.run(operation, deadline)
            except UpstreamError as error:
                requests = error.requests
        return {mint: self._names.of(mint, None, None).name for mint in mints}, requests

    async def _with_positions(
        self,
        owners: Sequence[Address],
        results: list[Reading | UpstreamError],
        deadline: float,
        include: Include,
    ) -> list[Reading | UpstreamError]:
        """The results, with the positions of all owners who were read."""
        sources = [source for source in self._sources if source.slug in include.protocols]
        if not sources:
            return results
        read = [
            (owner, result)
            for owner, result in zip(owners, results, strict=True)
            if isinstance(result, Reading)
        ]
        whole = iter(await with_positions(self.network, read, sources, self._pool, deadline))
        return [next(whole) if isinstance(result, Reading) else result for result in results]

    async def probe(self) -> None:
        """Ask every endpoint for its genesis hash and slot."""

        async def operation(session: Session) -> None:
            calls = [RpcCall("getGenesisHash"), RpcCall("getSlot", [{"commitment": COMMITMENT}])]
            genesis, slot = await session.ask(calls)
            check_genesis(session, genesis, self._genesis)
            if isinstance(slot, RpcError):
                raise endpoint_error(slot)
            if not isinstance(slot, int) or isinstance(slot, bool):
                raise UpstreamError("The endpoint's slot is not an integer.", code="bad_response")
            self._saw_slot(session, slot)

        await self._pool.probe(operation, asyncio.get_running_loop().time() + PROBE_SECONDS)

    def health(self) -> Sequence[EndpointHealth]:
        """What is known of each endpoint, best first."""
        return self._pool.health()

    async def _read_together(
        self, owners: Sequence[Address], assets: Mapping[Address, Asset], deadline: float
    ) -> list[Reading | UpstreamError]:
        """A group of owners in common requests; then alone those who failed, unless none is answered."""

        async def operation(session: Session) -> list[Reading | UpstreamError]:
            results = await self._read_group(session, owners, assets, deadline)
            errors = [result for result in results if isinstance(result, UpstreamError)]
            if len(errors) == len(results):
                raise errors[0]
            return results

        try:
            results = await self._pool.run(operation, deadline)
        except UpstreamError as error:
            results = [error, *(shared(error) for _ in owners[1:])]
        for place, result in enumerate(results):
            if isinstance(result, Reading) or len(owners) == 1 or not result.retryable:
                continue
            results[place] = await self._read_alone(owners[place], assets, deadline, result)
            if not any(isinstance(one, Reading) for one in results):
                break  # the endpoints fail, not the owner
        return results

    async def _read_alone(
        self, owner: Address, assets: Mapping[Address, Asset], deadline: float, before: UpstreamError
    ) -> Reading | UpstreamError:
        try:
            reading = await self.read(owner, tuple(assets.values()), None, deadline)
        except UpstreamError as error:
            error.requests += before.requests
            return error
        return replace(reading, requests=reading.requests + before.requests)

    async def _read_group(
        self,
        session: Session,
        owners: Sequence[Address],
        assets: Mapping[Address, Asset],
        deadline: float,
    ) -> list[Reading | UpstreamError]:
        """Owners through one endpoint; the first who is answered tells the requests.

        Raises:
            UpstreamError: The endpoint answered nothing, or serves another network.
        """
        client = SolanaClient(session, deadline)
        listings = await client.list_of_each(owners, self._genesis, min_slot=self._pool.floor)
        results: dict[Address, Reading | UpstreamError] = {}
        wanted: list[Wanted] = []
        for owner, listing in zip(owners, listings, strict=True):
            if isinstance(listing, UpstreamError):
                results[owner] = listing
            else:
                wanted.append(self._wanted(owner, listing, assets))
        for pack in packs(wanted, client.key_limit - 1):
            results |= await self._read_pack(session, client, pack, assets)
        return with_requests([results[owner] for owner in owners], session.requests)

    async def _read_pack(
        self,
        session: Session,
        client: SolanaClient,
        pack: Sequence[Wanted],
        assets: Mapping[Address, Asset],
    ) -> dict[Address, Reading | UpstreamError]:
        """Owners whose accounts are read at one slot."""
        try:
            newest = max(one.listing.slot for one in pack)
            self._saw_slot(session, newest)
            accounts = await client.read_accounts(
                leading=[key for one in pack for key in one.leading],
                rest=[key for one in pack for key in one.rest],
                min_slot=max(newest, self._pool.floor),
            )
            self._saw_slot(session, accounts.slot)
            for one in pack:
                _refuse_old_list(one.listing, accounts.slot)
        except UpstreamError as error:
            return {one.owner: error if one is pack[0] else shared(error) for one in pack}
        self._pool.floor = max(self._pool.floor, accounts.slot)
        return {one.owner: self._reading(session, one, accounts, assets) for one in pack}

    def _reading(
        self, session: Session, wanted: Wanted, accounts: AccountsAt, assets: Mapping[Address, Asset]
    ) -> Reading:
        found, unheld = wanted.listing.accounts, wanted.unheld
        holdings = HoldingsOf(self.network, wanted.owner, assets, self._names, accounts, self._book).holdings(
            found, unheld
        )
        return Reading(
            block=BlockRef(accounts.slot, None, accounts.unix_timestamp),
            balances=tuple(holdings.balances),
            failures=tuple(holdings.failures),
            endpoint=session.name,
            requests=0,
            asked=1 + len(found) + len(unheld),
            nfts=len(holdings.nfts),
            collections=grouped(self.network, holdings.nfts),
        )

    def _wanted(self, owner: Address, listing: Listing, assets: Mapping[Address, Asset]) -> Wanted:
        unheld = _asked_by_name(assets, listing.accounts)
        # Accounts of one mint side by side, so that they mostly come with one call.
        by_mint = sorted(listing.accounts, key=lambda found: found.mint)
        return Wanted(
            owner,
            listing,
            unheld,
            leading=(owner, *(found.address for found in by_mint)),
            rest=tuple(self._facts(assets, listing.accounts, unheld)),
        )

    def _facts(
        self, assets: Mapping[Address, Asset], found: Sequence[FoundAccount], unheld: Sequence[Address]
    ) -> list[str]:
        """The mints, and the metadata accounts of those whose names are not known yet."""
        mints = list(dict.fromkeys([*(account.mint for account in found), *unheld]))
        nameless = [
            mint
            for mint in mints
            if (mint not in assets or assets[mint].symbol is None)
            and not (self._names.knows(mint) or self._book.knows(mint))
        ]
        return [*mints, *(metaplex_metadata_address(mint) for mint in nameless[:MOST_METADATA_KEYS])]

    def _saw_slot(self, session: Session, slot: int) -> None:
        """Note the endpoint's slot.

        Raises:
            UpstreamError: ``stale_head``: more than 150 slots behind the best one seen.
        """
        self._pool.saw_head(session.endpoint, slot)


def _without_collections(result: Reading | UpstreamError) -> Reading | UpstreamError:
    if isinstance(result, Reading) and result.collections:
        return replace(result, collections=())
    return result


def _refuse_old_list(listing: Listing, slot: int) -> None:
    """A list from long before the block may lack accounts that the owner has at it.

    Raises:
        UpstreamError: ``stale_head``: a list is more than 150 slots (a minute) older.
    """
    behind = slot - listing.oldest_slot
    if behind > STALE_BEHIND_SLOTS:
        raise UpstreamError(
            f"The endpoint's list of token accounts is {behind} slots older than its accounts.",
            code="stale_head",
        )


def _refuse_past(at: At) -> None:
    """Only the latest state of accounts is to be had.

    Raises:
        UpstreamError: ``history_unavailable``.
    """
    if at is not None:
        raise UpstreamError(
            "Solana's endpoints keep no past state of accounts.",
            code="history_unavailable",
            hint="Ask Solana without a block or time.",
            retryable=False,
        )


def _by_mint(assets: Sequence[Asset]) -> dict[Address, Asset]:
    return {asset.contract_address: asset for asset in assets if asset.contract_address is not None}


def _asked_by_name(assets: Mapping[Address, Asset], found: Sequence[FoundAccount]) -> tuple[Address, ...]:
    held = {account.mint for account in found}
    return tuple(mint for mint, asset in assets.items() if asset.trust == "unknown" and mint not in held)

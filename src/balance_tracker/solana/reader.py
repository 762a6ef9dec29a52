"""What an address holds on Solana: SOL and every token account, read at one slot.

Two requests a read: the owner's token accounts of both token programs (and, once for
each endpoint, its genesis hash), then one batch that reads the owner, those accounts,
their mints and unknown mints' metadata together, no earlier than the first answers.

The block is that of the balances. With more accounts than one ``getMultipleAccounts``
takes, the calls are asked again (3 times at most) until they agree on a slot; should
they never agree, the block named is the lowest slot of them.
"""

import asyncio
from collections.abc import Sequence

from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At, BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import Reading
from balance_tracker.ports import EndpointHealth
from balance_tracker.solana.client import COMMITMENT, FoundAccount, Listing, SolanaClient, check_genesis
from balance_tracker.solana.holdings import HoldingsOf
from balance_tracker.solana.names import Names
from balance_tracker.solana.programs import metaplex_metadata_address
from balance_tracker.solana.replies import endpoint_error
from balance_tracker.transport.jsonrpc import RpcCall, RpcError
from balance_tracker.transport.pool import Pool, Session

STALE_BEHIND_SLOTS = 150
MOST_METADATA_KEYS = 400
"""Most names asked in one read; a wallet with more unknown mints learns the rest in later reads."""

PROBE_SECONDS = 10.0


class SolanaReader:
    """Reads Solana through a pool of endpoints."""

    def __init__(self, network: Network, pool: Pool) -> None:
        self.network = network
        self._pool = pool
        self._names = Names()
        self._genesis = network.id.partition(":")[2]

    async def read(self, owner: Address, assets: Sequence[Asset], at: At, deadline: float) -> Reading:
        """See :meth:`balance_tracker.ports.ChainReader.read`.

        ``asked`` counts SOL, the token accounts found, and the mints asked for by name that are not held.

        Raises:
            UpstreamError: No endpoint answered; ``history_unavailable`` for any ``at`` but the latest.
        """
        if at is not None:
            raise UpstreamError(
                "Solana's endpoints keep no past state of accounts.",
                code="history_unavailable",
                hint="Ask Solana without a block or time.",
                retryable=False,
            )
        by_mint = {asset.contract_address: asset for asset in assets if asset.contract_address is not None}

        async def operation(session: Session) -> Reading:
            return await self._read_once(session, owner, by_mint, deadline)

        return await self._pool.run(operation, deadline)

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

    async def _read_once(
        self, session: Session, owner: Address, assets: dict[Address, Asset], deadline: float
    ) -> Reading:
        client = SolanaClient(session, deadline)
        listing = await client.list_token_accounts(owner, self._genesis, min_slot=self._pool.floor)
        self._saw_slot(session, listing.slot)
        unheld = self._asked_by_name(assets, listing.accounts)
        # Accounts of one mint side by side, so that they mostly come with one call.
        by_mint = sorted(listing.accounts, key=lambda found: found.mint)
        accounts = await client.read_accounts(
            leading=[owner, *(found.address for found in by_mint)],
            rest=self._facts(assets, listing.accounts, unheld),
            min_slot=max(listing.slot, self._pool.floor),
        )
        self._saw_slot(session, accounts.slot)
        _refuse_old_list(listing, accounts.slot)
        self._pool.floor = max(self._pool.floor, accounts.slot)
        holdings = HoldingsOf(self.network, owner, assets, self._names, accounts).holdings(
            listing.accounts, unheld
        )
        return Reading(
            block=BlockRef(accounts.slot, None, accounts.unix_timestamp),
            balances=tuple(holdings.balances),
            failures=tuple(holdings.failures),
            endpoint=session.name,
            requests=session.requests,
            asked=1 + len(listing.accounts) + len(unheld),
            nfts=holdings.nfts,
        )

    def _facts(
        self, assets: dict[Address, Asset], found: Sequence[FoundAccount], unheld: Sequence[Address]
    ) -> list[str]:
        """The mints, and the metadata accounts of those whose names are not known yet."""
        mints = list(dict.fromkeys([*(account.mint for account in found), *unheld]))
        nameless = [
            mint
            for mint in mints
            if (mint not in assets or assets[mint].symbol is None) and not self._names.knows(mint)
        ]
        return [*mints, *(metaplex_metadata_address(mint) for mint in nameless[:MOST_METADATA_KEYS])]

    def _asked_by_name(
        self, assets: dict[Address, Asset], found: Sequence[FoundAccount]
    ) -> tuple[Address, ...]:
        held = {account.mint for account in found}
        return tuple(mint for mint, asset in assets.items() if asset.trust == "unknown" and mint not in held)

    def _saw_slot(self, session: Session, slot: int) -> None:
        """Note the endpoint's slot.

        Raises:
            UpstreamError: ``stale_head``: more than 150 slots behind the best one seen.
        """
        session.endpoint.standing.head = slot
        behind = self._pool.best_head - slot
        self._pool.best_head = max(self._pool.best_head, slot)
        if behind > STALE_BEHIND_SLOTS:
            raise UpstreamError(
                f"The endpoint is {behind} slots behind the best one seen.", code="stale_head"
            )


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

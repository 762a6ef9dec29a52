"""From accounts to balances: token accounts summed by mint, and what could not be learnt.

Known gap: an account that was opened between the listing and the block (usually the
same second) is seen at the next read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from balance_tracker.core.assets import Asset, native_asset, unlisted_token
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import AssetFailure, Balance, FailureCode, TokenAccount
from balance_tracker.solana.binary import LayoutError
from balance_tracker.solana.client import AccountsAt, FoundAccount
from balance_tracker.solana.layouts import MintState, decode_mint, decode_token_account
from balance_tracker.solana.names import Names
from balance_tracker.solana.nfts import HeldNft, NftBook
from balance_tracker.solana.programs import TOKEN_PROGRAMS, metaplex_metadata_address
from balance_tracker.solana.replies import Account, Fault, Item
from balance_tracker.solana.ui_amount import ui_amount


@dataclass
class Holdings:
    """What the accounts say; ``nfts`` are the mints kept out of ``balances``."""

    balances: list[Balance] = field(default_factory=list)
    failures: list[AssetFailure] = field(default_factory=list)
    nfts: list[HeldNft] = field(default_factory=list)


class HoldingsOf:
    """Turns the accounts of one owner at one slot into holdings."""

    def __init__(  # noqa: PLR0917 - what a holding is made of
        self,
        network: Network,
        owner: Address,
        assets: Mapping[Address, Asset],
        names: Names,
        accounts: AccountsAt,
        book: NftBook | None = None,
    ) -> None:
        self._network = network
        self._owner = owner
        self._assets = assets
        self._names = names
        self._at = accounts
        self._book = NftBook() if book is None else book
        self._result = Holdings()

    def holdings(self, found: Sequence[FoundAccount], shown_at_zero: Sequence[Address]) -> Holdings:
        """SOL, the mints found (listed ones first), then those asked for by name."""
        self._add_native()
        by_mint: dict[Address, list[FoundAccount]] = {}
        for account in found:
            by_mint.setdefault(account.mint, []).append(account)
        for mint in self._ordered(by_mint):
            self._add_mint(mint, by_mint[mint])
        for mint in shown_at_zero:
            if mint not in by_mint:
                self._add_unheld(mint)
        return self._result

    def _ordered(self, mints: Mapping[Address, object]) -> list[Address]:
        listed = [mint for mint in self._assets if mint in mints]
        return listed + sorted(mints.keys() - set(listed))

    def _add_native(self) -> None:
        asset = native_asset(self._network)
        item = self._at.items[self._owner]
        if isinstance(item, Fault):
            self._fail(asset, item)
        else:
            # The bank holds no account without lamports, so a missing one is a true zero.
            self._result.balances.append(Balance(asset, 0 if item is None else item.lamports))

    def _add_mint(self, mint: Address, found: Sequence[FoundAccount]) -> None:
        asset = self._asset(mint)
        program = found[0].program
        item = self._at.items.get(mint)
        try:
            state = _mint_state(item, program)
            accounts = [self._token_account(account) for account in found]
        except _UnknownError as unknown:
            self._fail(asset, unknown.fault)
            return
        held = tuple(account for account in accounts if account is not None)
        raw_amount = sum(account.raw_amount for account in held)
        if state is not None and state.looks_like_nft:
            if raw_amount > 0:
                metaplex = self._at.items.get(metaplex_metadata_address(mint))
                self._result.nfts.append(HeldNft(mint, self._book.facts(mint, state, metaplex)))
            return
        self._result.balances.append(self._balance(asset, state, raw_amount, held))

    def _add_unheld(self, mint: Address) -> None:
        """A mint asked for by name and not held: zero if it is one, a failure if there is none."""
        asset = self._asset(mint)
        item = self._at.items.get(mint)
        if item is None or (isinstance(item, Account) and item.program not in TOKEN_PROGRAMS):
            self._fail(asset, Fault(FailureCode.NO_CONTRACT, "There is no mint at this address."))
            return
        try:
            state = _mint_state(item, item.program if isinstance(item, Account) else "")
        except _UnknownError as unknown:
            self._fail(asset, unknown.fault)
            return
        self._result.balances.append(self._balance(asset, state, 0, ()))

    def _balance(
        self, asset: Asset, state: MintState | None, raw_amount: int, accounts: tuple[TokenAccount, ...]
    ) -> Balance:
        """The mint itself says how many decimals it has; a closed one can't say any more."""
        decimals = None if state is None else state.decimals
        shown = None if state is None else ui_amount(state, raw_amount, self._at.unix_timestamp)
        return Balance(self._named(replace(asset, decimals=decimals), state), raw_amount, accounts, shown)

    def _named(self, asset: Asset, state: MintState | None) -> Asset:
        if asset.symbol is not None or asset.contract_address is None:
            return asset
        mint = asset.contract_address
        name = self._names.of(mint, state, self._at.items.get(metaplex_metadata_address(mint)))
        return replace(asset, symbol=name.symbol, name=name.name)

    def _token_account(self, found: FoundAccount) -> TokenAccount | None:
        """The account as it is at the slot, or ``None`` if it is gone or another's by now."""
        item = self._at.items[found.address]
        if isinstance(item, Fault):
            raise _UnknownError(item)
        if item is None or item.program != found.program:
            return None
        try:
            state = decode_token_account(item.data)
        except LayoutError as error:
            raise _UnknownError(Fault(FailureCode.MALFORMED, error.message)) from error
        if state.owner != self._owner:
            return None
        if state.mint != found.mint:
            raise _UnknownError(
                Fault(FailureCode.MALFORMED, "The token account changed its mint while it was read.")
            )
        return TokenAccount(
            address=found.address,
            raw_amount=state.raw_amount,
            state=state.state,
            delegate=state.delegate,
            delegated_raw_amount=state.delegated_raw_amount,
            withheld_raw_amount=state.withheld_raw_amount,
        )

    def _asset(self, mint: Address) -> Asset:
        return self._assets.get(mint) or unlisted_token(self._network, mint)

    def _fail(self, asset: Asset, fault: Fault) -> None:
        self._result.failures.append(AssetFailure(self._named(asset, None), fault.code, fault.reason))


class _UnknownError(Exception):
    """A balance can't be told; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def _mint_state(item: Item, program: str) -> MintState | None:
    """The mint, or ``None`` where it was closed: Token-2022 allows that while accounts remain."""
    if isinstance(item, Fault):
        raise _UnknownError(item)
    if item is None:
        return None
    if item.program != program:
        raise _UnknownError(
            Fault(FailureCode.MALFORMED, "The mint's address holds another program's account.")
        )
    try:
        return decode_mint(item.data)
    except LayoutError as error:
        raise _UnknownError(Fault(FailureCode.MALFORMED, error.message)) from error

"""The reader on a real bank: what a wallet holds and how it is told."""

import pytest
from solders.pubkey import Pubkey
from tests.solana.conftest import MAINNET, SOLANA, balance_of, listed

from balance_tracker.core.assets import unlisted_token
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.demo import solana_programs as programs
from balance_tracker.demo.solana_programs import TOKEN, TOKEN_2022, WRAPPED_SOL
from balance_tracker.demo.solana_tokens import Extras

pytestmark = pytest.mark.integration


async def test_a_wallet_is_read_in_two_requests_at_the_banks_slot_and_time(wallet) -> None:
    mint = wallet.tokens.create_mint(6)
    wallet.tokens.give(mint, wallet.owner, 1_500_000)
    reading = await wallet.read()
    assert reading.requests == wallet.bank.requests == 2
    assert (reading.block.number, reading.block.hash) == (wallet.bank.slot, None)
    assert reading.block.timestamp == wallet.bank.unix_timestamp
    assert reading.endpoint == wallet.bank.url.removeprefix("http://")
    assert balance_of(reading, None).raw_amount == 12_345_678_901
    assert balance_of(reading, None).asset.asset_id == f"{MAINNET}/slip44:501"
    assert balance_of(reading, mint).raw_amount == 1_500_000
    assert reading.asked == len(reading.balances) + len(reading.failures) == 2
    assert wallet.bank.rpc.calls[:3] == ["getTokenAccountsByOwner"] * 2 + ["getGenesisHash"]


async def test_the_genesis_hash_is_asked_once_for_an_endpoint(wallet) -> None:
    for _ in range(3):
        await wallet.read()
    assert wallet.bank.rpc.calls.count("getGenesisHash") == 1


async def test_an_owner_without_account_has_zero_sol_which_is_true(wallet) -> None:
    wallet.owner = Pubkey.new_unique()
    reading = await wallet.read()
    assert [balance.raw_amount for balance in reading.balances] == [0]
    assert (reading.failures, reading.asked, reading.nfts) == ((), 1, 0)


async def test_accounts_of_one_mint_are_summed_and_listed(wallet) -> None:
    mint = wallet.tokens.create_mint(6)
    first = wallet.tokens.give(mint, wallet.owner, 40)
    second = wallet.tokens.open_extra_account(mint, wallet.owner)
    wallet.tokens.mint_to(mint, second, 2)
    reading = await wallet.read()
    balance = balance_of(reading, mint)
    assert balance.raw_amount == 42
    assert {account.address: account.raw_amount for account in balance.accounts} == {
        str(first): 40,
        str(second): 2,
    }
    assert reading.asked == 3


async def test_frozen_and_delegated_accounts_are_shown_as_such(wallet) -> None:
    mint, delegate = wallet.tokens.create_mint(6), Pubkey.new_unique()
    account = wallet.tokens.give(mint, wallet.owner, 1_000)
    wallet.bank.send(programs.approve(TOKEN, account, delegate, wallet.owner, 250))
    wallet.tokens.freeze(mint, account)
    [shown] = (await wallet.balance(mint)).accounts
    assert (shown.state, shown.delegate, shown.delegated_raw_amount) == ("frozen", str(delegate), 250)


async def test_wrapped_sol_is_a_token_beside_sol(wallet) -> None:
    wallet.tokens.wrap_sol(wallet.owner, 777)
    reading = await wallet.read()
    wrapped = balance_of(reading, WRAPPED_SOL)
    assert (wrapped.raw_amount, wrapped.asset.decimals) == (777, 9)
    assert wrapped.asset.asset_id == f"{MAINNET}/token:{WRAPPED_SOL}"
    assert balance_of(reading, None).raw_amount == 12_345_678_901


async def test_withheld_fees_are_not_the_owners_and_are_shown(wallet) -> None:
    mint = wallet.tokens.create_mint(6, extras=Extras(fee_bps=100))
    payer = Pubkey.new_unique()
    source = wallet.tokens.give(mint, payer, 10_000)
    target = wallet.tokens.open_account(mint, wallet.owner)
    wallet.bank.send(
        programs.transfer_checked(TOKEN_2022, source, mint, target, payer, raw=10_000, decimals=6)
    )
    balance = await wallet.balance(mint)
    assert balance.raw_amount == 9_900
    assert [account.withheld_raw_amount for account in balance.accounts] == [100]


async def test_mints_that_display_another_amount_show_both(wallet) -> None:
    note = wallet.tokens.create_mint(6, extras=Extras(interest_bps=500))
    share = wallet.tokens.create_mint(8, extras=Extras(multiplier=1.0026642075893797))
    wallet.tokens.give(note, wallet.owner, 2_000_000_001)
    wallet.tokens.give(share, wallet.owner, 250_000_007)
    wallet.bank.advance(5, 20_000_000)
    reading = await wallet.read()
    for mint, raw_amount in ((note, 2_000_000_001), (share, 250_000_007)):
        balance = balance_of(reading, mint)
        assert balance.raw_amount == raw_amount
        assert balance.ui_amount == wallet.bank.ui_amount(mint, raw_amount)
        assert balance.ui_amount != str(balance.amount)


async def test_decimals_come_from_the_mint_and_names_from_the_list(wallet) -> None:
    mint = wallet.tokens.create_mint(6)
    wallet.tokens.give(mint, wallet.owner, 5)
    wallet.tokens.set_metaplex(mint, "Not Asked", "NA")
    balance = await wallet.balance(mint, [listed(mint, "USDC", 9)])
    assert (balance.asset.decimals, balance.asset.symbol, balance.asset.trust) == (6, "USDC", "verified")


async def test_unlisted_tokens_are_named_by_the_mint_or_by_metaplex_cleaned(wallet) -> None:
    own = wallet.tokens.create_mint(6, extras=Extras(name="Own\u202e  Name" + "x" * 300, symbol="O\0WN"))
    metaplex = wallet.tokens.create_mint(6)
    wallet.tokens.set_metaplex(metaplex, "Meta\nPlex", "MX")
    nameless = wallet.tokens.create_mint(6)
    for mint in (own, metaplex, nameless):
        wallet.tokens.give(mint, wallet.owner, 1)
    reading = await wallet.read()
    asset = balance_of(reading, own).asset
    assert asset.symbol == "OWN"
    assert asset.name is not None
    assert asset.name.startswith("Own Namexxx")
    assert len(asset.name) == 128
    assert balance_of(reading, metaplex).asset.name == "Meta Plex"
    assert balance_of(reading, nameless).asset.symbol is None
    assert {balance.asset.trust for balance in reading.balances[1:]} == {"unknown"}
    again = balance_of(await wallet.read(), metaplex).asset
    assert (again.symbol, again.name) == ("MX", "Meta Plex")


async def test_a_wrong_metadata_account_names_nothing_and_fails_nothing(wallet) -> None:
    mint = wallet.tokens.create_mint(6)
    wallet.tokens.give(mint, wallet.owner, 1)
    address = programs.metaplex_address(mint)
    foreign = programs.metaplex_metadata(Pubkey.new_unique(), wallet.owner, "Fake", "FK", "")
    for data, program in ((b"nonsense", programs.METAPLEX_METADATA), (foreign, programs.METAPLEX_METADATA)):
        wallet.bank.set_bytes(address, data, program)
        assert (await wallet.balance(mint)).asset.name is None
    wallet.bank.set_bytes(address, programs.metaplex_metadata(mint, wallet.owner, "Fake", "FK", ""), TOKEN)
    assert (await wallet.balance(mint)).asset.name is None


async def test_what_looks_like_an_nft_is_counted_and_kept_out(wallet) -> None:
    wallet.tokens.create_nft(wallet.owner, "Otter", "OTTER")
    frozen = wallet.tokens.create_nft(wallet.owner, "Otter 2", "OTTER")
    wallet.tokens.freeze(frozen, programs.associated_address(TOKEN, frozen, wallet.owner))
    sold = wallet.tokens.create_nft(Pubkey.new_unique(), "Otter 3", "OTTER")
    wallet.tokens.open_account(sold, wallet.owner)
    points = wallet.tokens.create_mint(0)
    wallet.tokens.give(points, wallet.owner, 1)
    wallet.tokens.give(points, Pubkey.new_unique(), 1)
    reading = await wallet.read()
    assert reading.nfts == 2
    assert [balance.asset.contract_address for balance in reading.balances] == [None, str(points)]


async def test_an_account_of_a_closed_mint_stands_without_decimals(wallet) -> None:
    mint = wallet.tokens.create_mint(4, extras=Extras(closable=True))
    wallet.tokens.open_account(mint, wallet.owner)
    wallet.tokens.close_mint(mint)
    balance = await wallet.balance(mint, [listed(mint, "OLD", 4)])
    assert (balance.raw_amount, balance.asset.decimals, balance.amount) == (0, None, None)


async def test_a_mint_of_nonsense_fails_alone(wallet) -> None:
    good, bad, odd = (wallet.tokens.create_mint(6) for _ in range(3))
    for mint in (good, bad, odd):
        wallet.tokens.give(mint, wallet.owner, 9)
    wallet.bank.set_bytes(bad, b"\x09" * 82, TOKEN)
    wallet.bank.set_bytes(odd, bytes(82), TOKEN_2022)
    reading = await wallet.read([listed(bad, "BAD", 6)])
    assert balance_of(reading, good).raw_amount == 9
    assert {(f.asset.contract_address, f.code) for f in reading.failures} == {
        (str(bad), FailureCode.MALFORMED),
        (str(odd), FailureCode.MALFORMED),
    }
    assert reading.asked == 4


async def test_tokens_asked_by_name_are_shown_at_zero_and_only_where_there_is_a_mint(wallet) -> None:
    unheld = wallet.tokens.create_mint(3, extras=Extras(name="Unheld", symbol="UNH"))
    held = wallet.tokens.create_mint(2)
    account = wallet.tokens.give(held, wallet.owner, 8)
    nowhere = Pubkey.new_unique()
    asked = [
        unlisted_token(SOLANA, Address(str(one))) for one in (unheld, held, nowhere, wallet.owner, account)
    ]
    reading = await wallet.read(asked)
    shown = balance_of(reading, unheld)
    assert (shown.raw_amount, shown.asset.decimals, shown.asset.symbol) == (0, 3, "UNH")
    assert balance_of(reading, held).raw_amount == 8
    assert {(f.asset.contract_address, f.code) for f in reading.failures} == {
        (str(nowhere), FailureCode.NO_CONTRACT),
        (str(wallet.owner), FailureCode.NO_CONTRACT),
        (str(account), FailureCode.MALFORMED),
    }
    assert reading.asked == len(reading.balances) + len(reading.failures) == 6


async def test_a_listed_token_that_is_not_held_costs_nothing(wallet) -> None:
    unheld = wallet.tokens.create_mint(3)
    reading = await wallet.read([listed(unheld, "UNH", 3)])
    assert [balance.asset.native for balance in reading.balances] == [True]


@pytest.mark.parametrize("at", [0, 435_000_000])
async def test_the_past_is_an_error_and_not_the_present(wallet, at: int) -> None:
    with pytest.raises(UpstreamError) as caught:
        await wallet.read(at=at)
    assert (caught.value.code, caught.value.retryable) == ("history_unavailable", False)
    assert wallet.bank.requests == 0

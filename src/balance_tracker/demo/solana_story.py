"""The demo's Solana user: one wallet with everything that makes Solana balances hard to read.

Listed mints stand at their mainnet addresses, made by the real programs; amounts are invented.
"""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from solders.pubkey import Pubkey

from balance_tracker.core.ids import Address
from balance_tracker.demo import solana_programs as programs
from balance_tracker.demo.solana_bank import LAMPORTS_PER_SOL, SECONDS_PER_SLOT, SolanaBank
from balance_tracker.demo.solana_staking import Staking
from balance_tracker.demo.solana_tokens import BankTokens, Extras

USDC = Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
USDT = Pubkey.from_string("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
PYUSD = Pubkey.from_string("2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo")
BONK = Pubkey.from_string("DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263")
JUP = Pubkey.from_string("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
MSOL = Pubkey.from_string("mSoLzYCxHdYgdzU16g5QSh3i5K3z3KZK7ytfqcJm7So")
JITOSOL = Pubkey.from_string("J1toso1uCk3RLmjorhTtrVwY9HJ7X8V9yYac6Y7kGCPn")
AAPLX = Pubkey.from_string("XsbEhLAtcf6HdfpFZ5xEMdqW8nfAvcsP5bdudRLJzJp")

_YEAR_SECONDS = 31_556_736
_SLOTS_PER_EPOCH = 432_000
_MSOL_HELD, _MSOL_BACKED_BY = 12_750_000_000, 17_085_000_000
"""All mSOL that there is in the bank, and the lamports behind it."""


def named_address(label: str) -> Pubkey:
    """An address that is the same in every run: the SHA-256 of a label."""
    return Pubkey.from_bytes(hashlib.sha256(f"balance-tracker demo: {label}".encode()).digest())


SOLANA_USER = Address(str(named_address("solana user")))
"""Whose story it is."""

TREASURY_NOTE = named_address("treasury note")
RETIRED_POINTS = named_address("retired points")


@asynccontextmanager
async def running_demo_bank(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[SolanaBank]:
    """A served bank in which the story has happened and whose clock goes with ours; ``bank.url`` asks it."""
    async with build_demo_bank(host, port) as bank:
        yield bank


def build_demo_bank(host: str = "127.0.0.1", port: int = 0) -> SolanaBank:
    """A bank in which the story has happened, not served yet: ``async with`` does that.

    The interest-bearing note was made a year ago, everything else now.
    """
    now = int(time.time())
    bank = SolanaBank(unix_timestamp=now - _YEAR_SECONDS, host=host, port=port)
    tokens = BankTokens(bank)
    extras = Extras(interest_bps=475, name="Demo Treasury Note", symbol="DTN")
    tokens.create_mint(6, address=TREASURY_NOTE, extras=extras)
    bank.set_time(bank.slot + round(_YEAR_SECONDS / SECONDS_PER_SLOT), now)
    tell_story(bank, tokens)
    bank.follow_the_clock()
    return bank


def tell_story(bank: SolanaBank, tokens: BankTokens) -> None:
    """Give the Solana user what the wallet holds."""
    owner = Pubkey.from_string(SOLANA_USER)
    bank.give_sol(owner, 42 * LAMPORTS_PER_SOL + 195_000_000)
    tokens.wrap_sol(owner, 3 * LAMPORTS_PER_SOL)
    _payments(bank, tokens, owner)
    _savings(bank, tokens, owner)
    _collection(tokens, owner)
    _stake(bank, owner)


def _payments(bank: SolanaBank, tokens: BankTokens, owner: Pubkey) -> None:
    """Two accounts of USDC, one with a delegate; a frozen account of USDT; PYUSD with a withheld fee."""
    tokens.create_mint(6, address=USDC)
    main = tokens.give(USDC, owner, 1_520_250_000)
    bank.send(programs.approve(programs.TOKEN, main, named_address("exchange"), owner, 250_000_000))
    extra = tokens.open_extra_account(USDC, owner, address=named_address("second USDC account"))
    tokens.mint_to(USDC, extra, 80_000_000)
    tokens.create_mint(6, address=USDT)
    tokens.freeze(USDT, tokens.give(USDT, owner, 310_000_000))
    extras = Extras(fee_bps=10, permanent_delegate=True, name="PayPal USD", symbol="PYUSD")
    tokens.create_mint(6, address=PYUSD, extras=extras)
    payer = named_address("payer")
    source, target = tokens.give(PYUSD, payer, 500_000_000), tokens.open_account(PYUSD, owner)
    bank.send(
        programs.transfer_checked(
            programs.TOKEN_2022, source, PYUSD, target, payer, raw=500_000_000, decimals=6
        )
    )


def _savings(bank: SolanaBank, tokens: BankTokens, owner: Pubkey) -> None:
    """Liquid stake, a share that displays a factor, a note that displays interest, a memecoin."""
    for mint, decimals, raw_amount in (
        (MSOL, 9, _MSOL_HELD),
        (JITOSOL, 9, 8_000_000_001),
        (JUP, 6, 4_200_000_000),
        (BONK, 5, 98_765_432_100_000),
    ):
        tokens.create_mint(decimals, address=mint)
        tokens.give(mint, owner, raw_amount)
    state = programs.marinade_state(MSOL, active=_MSOL_BACKED_BY, supply=_MSOL_HELD)
    bank.set_bytes(programs.MARINADE_STATE, state, programs.MARINADE)
    tokens.set_metaplex(JITOSOL, "Jito Staked SOL", "JitoSOL")
    extras = Extras(multiplier=1.0026642075893797, name="Apple xStock", symbol="AAPLx")
    tokens.create_mint(8, address=AAPLX, extras=extras)
    tokens.give(AAPLX, owner, 250_000_000)
    bank.send(
        programs.update_multiplier(AAPLX, bank.authority, 1.0032690125398187, bank.unix_timestamp + 86_400)
    )
    tokens.give(TREASURY_NOTE, owner, 2_000_000_000)


def _collection(tokens: BankTokens, owner: Pubkey) -> None:
    """Two NFTs, one of them frozen as programmable ones are; an empty account whose mint was closed."""
    tokens.create_nft(owner, "Demo Otter #7", "OTTER", address=named_address("otter 7"))
    otter = named_address("otter 8")
    tokens.create_nft(owner, "Demo Otter #8", "OTTER", address=otter)
    tokens.freeze(otter, programs.associated_address(programs.TOKEN, otter, owner))
    tokens.create_mint(0, address=RETIRED_POINTS, extras=Extras(closable=True))
    tokens.open_account(RETIRED_POINTS, owner)
    tokens.close_mint(RETIRED_POINTS)


def _stake(bank: SolanaBank, owner: Pubkey) -> None:
    """Stake with a validator, and a little more that begins with the next epoch."""
    staking, now = Staking(bank), bank.slot // _SLOTS_PER_EPOCH
    vote = staking.validator(named_address("validator"))
    for name, lamports, epoch in (
        ("stake", 250 * LAMPORTS_PER_SOL, now - 1),
        ("new stake", 25 * LAMPORTS_PER_SOL, now),
    ):
        staking.set_epoch(epoch)
        stake = staking.account(owner, owner, lamports, address=named_address(name))
        staking.delegate(stake, vote, owner)

"""Turns collected facts into ``data/feeds/SLUG.toml``: which feed speaks for which asset, by id.

Usage: ``python -m tools.feeds FACTS ADDRESS_BOOK`` where FACTS holds ``chainlink_feeds.json``,
``aave_v3.json``, ``defi.json`` and ``tokens/SLUG.json``, and ADDRESS_BOOK is the ``src`` of the npm package
``@aave-dao/aave-address-book``. It prints what it left out.

A symbol is matched here, once, for people to review, and never while the tracker runs. The base of a pair
means an asset only

1. if ``COINS`` or ``FIAT`` says so, which are written by hand (a network's wrapped coin goes with its coin:
   its contract gives one for the other at any time);
2. or if Aave's governance prices that very token by that very feed (not on a market that is shut down, and
   not a token that only stands for gold, euros or bitcoin, whose issuer may fail);
3. or if one token of the network alone has that symbol, with confidence ``high`` and a CoinGecko id taken
   from the address, and that id is the one that the symbol has everywhere.

On a network that is no rollup a bridged copy is worth what its bridge still holds, whatever the original's
feed says: there a feed speaks for coins, and for tokens in ``ISSUED_THERE``. On a rollup it may speak for a
copy by the rule ``rollup_bridge`` of ``core/following.py``.

Of several feeds for an asset the one in dollars is kept.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address

from balance_tracker.catalog.networks import load_networks
from balance_tracker.core.ids import Address, token_asset_id
from balance_tracker.core.networks import Network

TARGET = Path(__file__).resolve().parent.parent / "src" / "balance_tracker" / "data" / "feeds"

ETHER = "eip155:1/slip44:60"
BITCOIN = "bip122:000000000019d6689c085ae165831e93/slip44:0"
COINS = {
    "ETH": ETHER,
    "BTC": BITCOIN,
    "BNB": "eip155:56/slip44:714",
    "POL": "eip155:137/slip44:966",
    "AVAX": "eip155:43114/slip44:9000",
    "SOL": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501",
    "CRO": "eip155:25/slip44:394",
}
COINS_ON = {
    ("polygon", "MATIC"): COINS["POL"],  # one MATIC became one POL, and Aave prices WPOL by this feed
    ("fantom", "WFTM"): "eip155:250/slip44:1007",
    ("sonic", "S"): "eip155:146/slip44:10007",
    ("gnosis", "DAI"): "eip155:100/slip44:700",  # xDai is bridged DAI, and Aave prices WXDAI by this feed
}
FIAT = {code: f"swift:0/iso4217:{code}" for code in ("EUR", "GBP", "JPY", "CHF")}
AMBIGUOUS = frozenset({"MUSD"})
"""Symbols of two currencies of note: their feed may be of either."""
STANDS_FOR = frozenset({"EUR", "GBP", "JPY", "CHF", "XAU", "XAG", "BTC"})
"""Bases that a token only promises to follow."""
SHUT_DOWN = frozenset({"fantom"})

ISSUED_THERE = {
    "avalanche": frozenset({"AUSD", "BEAM", "EURC", "JOE", "QI", "SOLVBTC", "TUSD", "USDC", "USDT", "XAVA"}),
    "bsc": frozenset({"BSW", "C98", "CAKE", "FDUSD", "GMT", "TUSD", "USD1", "VAI", "XVS"}),
    "fantom": frozenset(),
    "gnosis": frozenset(),
    "polygon": frozenset({"MIMATIC", "USDC"}),
    "sonic": frozenset(),
}
"""Bases of pairs whose token its own issuer gives out on a network that is no rollup."""

HOUR, DAY = 3_600, 86_400
QUICK_NETWORKS = frozenset({"ethereum", "optimism", "base", "polygon", "bsc"})
QUICK_PAIRS = frozenset({"ETH/USD", "BTC/USD"})
"""Known to be written every hour or oftener on those networks; all others are given a day."""

SEQUENCER = re.compile(r"L2_Sequencer_Uptime_Status_Feed\s*=\s*(0x[0-9a-fA-F]{40})")
CONSTANT = re.compile(r"constant ([A-Za-z0-9]+)__(USD|ETH|BTC)\s*=\s*(0x[0-9a-fA-F]{40})")
BOOKS = {"zksync": "ZkSync", "bsc": "BNB"}
QUOTE_IDS = {"usd-coin", "tether"}


@dataclass
class Facts:
    """What was collected, and what was left out of it."""

    pairs: dict[str, list[tuple[str, str, int | None]]]
    tokens: dict[str, list[dict[str, Any]]]
    priced_by_aave: dict[tuple[str, str], list[str]]
    factories: dict[str, str]
    sequencers: dict[str, str]
    left_out: list[str] = field(default_factory=list)


def read_facts(facts: Path, book: Path, networks: Mapping[str, Network]) -> Facts:
    """Everything by slug; feeds of a network that the facts lack are taken from the address book."""
    pairs: dict[str, list[tuple[str, str, int | None]]] = {}
    listed = json.loads((facts / "chainlink_feeds.json").read_text())["feeds"]
    tokens, sequencers = {}, {}
    for slug in networks:
        sure = listed.get(slug, [])
        pairs[slug] = [
            (item["pair"], item["proxy"], None if item["decimals_from"] == "convention" else item["decimals"])
            for item in sure
        ]
        path = book / f"Chainlink{BOOKS.get(slug, slug.title())}.sol"
        text = path.read_text() if path.exists() else ""
        if not sure:
            pairs[slug] = [(f"{base}/{unit}", proxy, None) for base, unit, proxy in CONSTANT.findall(text)]
        for found in SEQUENCER.findall(text):
            sequencers[slug] = to_checksum_address(found)
        file = facts / "tokens" / f"{slug}.json"
        tokens[slug] = json.loads(file.read_text())["tokens"] if file.exists() else []
    return Facts(pairs, tokens, _aave(facts), _factories(facts), sequencers)


def _aave(facts: Path) -> dict[tuple[str, str], list[str]]:
    priced: dict[tuple[str, str], list[str]] = defaultdict(list)
    for market in json.loads((facts / "aave_v3.json").read_text())["markets"]:
        if market["network"] not in SHUT_DOWN and market["status"] == "active":
            for reserve in market["reserves"]:
                priced[market["network"], (reserve["oracle"] or "").lower()].append(reserve["underlying"])
    return priced


def _factories(facts: Path) -> dict[str, str]:
    deployments = json.loads((facts / "defi.json").read_text())["uniswap"]
    return {item["network"]: item["v3_factory"] for item in deployments if item["v3_factory"]}


def usual_ids(facts: Facts) -> dict[str, str]:
    """The CoinGecko id that a symbol has wherever it is sure, Ethereum's where it differs."""
    found: dict[str, set[str]] = defaultdict(set)
    on_ethereum: dict[str, set[str]] = defaultdict(set)
    for slug, tokens in facts.tokens.items():
        for token in tokens:
            if is_sure(token):
                found[token["symbol"].upper()].add(token["coingecko_id"])
                if slug == "ethereum":
                    on_ethereum[token["symbol"].upper()].add(token["coingecko_id"])
    chosen = {symbol: on_ethereum.get(symbol) or ids for symbol, ids in found.items()}
    return {symbol: next(iter(ids)) for symbol, ids in chosen.items() if len(ids) == 1}


def is_sure(token: Mapping[str, Any]) -> bool:
    """Whether who it is can be told from its address."""
    known = token.get("coingecko_id") and token.get("coingecko_id_from") == "platform"
    return bool(known) and token.get("confidence") == "high"


def assets_of(
    slug: str, pair: str, proxy: str, network: Network, facts: Facts, ids: dict[str, str]
) -> list[str]:
    """The ids that a feed speaks for, by the rules at the top."""
    base = pair.split("/", maxsplit=1)[0]
    speaks_for_tokens = slug not in ISSUED_THERE or base.upper() in ISSUED_THERE[slug]
    found: list[str] = []
    coin = COINS_ON.get((slug, base)) or COINS.get(base) or FIAT.get(base)
    if coin:
        found.append(coin)
        if coin == network.native.priced_as and network.wrapped_native:
            found.append(_token_id(network, network.wrapped_native))
    if base not in STANDS_FOR and speaks_for_tokens:
        found += [_token_id(network, token) for token in facts.priced_by_aave.get((slug, proxy.lower()), ())]
    if base not in AMBIGUOUS and not coin and speaks_for_tokens:
        same = [token for token in facts.tokens[slug] if token["symbol"].upper() == base.upper()]
        if len(same) == 1 and is_sure(same[0]) and same[0]["coingecko_id"] == ids.get(base.upper()):
            found.append(_token_id(network, same[0]["address"]))
    return list(dict.fromkeys(found))


def _token_id(network: Network, address: str) -> str:
    return token_asset_id(network.id, network.family, Address(to_checksum_address(address)))


def feeds_of(slug: str, network: Network, facts: Facts, ids: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The feeds of a network that speak for something, each asset once."""
    taken: set[str] = set()
    units = {"USD": 0, "ETH": 1, "BTC": 2}
    wanted = [item for item in facts.pairs[slug] if item[0].rpartition("/")[2] in units]
    for pair, proxy, decimals in sorted(
        wanted, key=lambda item: (units[item[0].rpartition("/")[2]], item[0])
    ):
        assets = [one for one in assets_of(slug, pair, proxy, network, facts, ids) if one not in taken]
        if not assets:
            facts.left_out.append(f"{slug} {pair}")
            continue
        taken.update(assets)
        quick = pair in QUICK_PAIRS and slug in QUICK_NETWORKS
        yield {
            "pair": pair,
            "proxy": to_checksum_address(proxy),
            "unit": pair.rpartition("/")[2].lower(),
            "decimals": decimals,
            "heartbeat_seconds": HOUR if quick else DAY,
            "assets": assets,
        }


def quotes_of(slug: str, network: Network, facts: Facts) -> list[dict[str, Any]]:
    """The tokens whose pools are looked at: the wrapped coin, USDC and USDT."""
    quotes = []
    if network.wrapped_native:
        quotes.append(
            {"address": network.wrapped_native, "decimals": 18, "priced_as": network.native.priced_as}
        )
    for token in facts.tokens[slug]:
        if is_sure(token) and token["coingecko_id"] in QUOTE_IDS:
            address = to_checksum_address(token["address"])
            priced_as = _token_id(network, address)
            quotes.append({"address": address, "decimals": token["decimals"], "priced_as": priced_as})
    return quotes


def document(slug: str, network: Network, facts: Facts, ids: dict[str, str]) -> str:
    """One network's file; empty where it has nothing."""
    feeds = list(feeds_of(slug, network, facts, ids))
    parts = [f'slug = "{slug}"\n']
    if slug in facts.sequencers:
        parts.append(f'sequencer = "{facts.sequencers[slug]}"\n')
    if feeds:
        parts.append("\nfeeds = [\n" + "".join(f"  {inline(feed)},\n" for feed in feeds) + "]\n")
    if slug in facts.factories:
        quotes = "".join(f"  {inline(quote)},\n" for quote in quotes_of(slug, network, facts))
        parts.append(f'\n[uniswap_v3]\nfactory = "{facts.factories[slug]}"\nquotes = [\n{quotes}]\n')
    return "".join(parts) if len(parts) > 1 else ""


def inline(values: Mapping[str, Any]) -> str:
    """A table on one line."""
    pairs = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    return "{ " + ", ".join(pairs) + " }"


def main() -> int:
    """Write the files; the exit code."""
    networks = {str(slug): net for slug, net in load_networks().items() if net.family == "evm"}
    facts = read_facts(Path(sys.argv[1]), Path(sys.argv[2]), networks)
    ids = usual_ids(facts)
    TARGET.mkdir(exist_ok=True)
    for slug, network in networks.items():
        text = document(slug, network, facts, ids)
        if text:
            (TARGET / f"{slug}.toml").write_text(text, encoding="ascii")
    print(f"Left out, {len(facts.left_out)}: {', '.join(facts.left_out)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

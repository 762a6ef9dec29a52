"""Tokens that were sent to be noticed: their name is an advertisement."""

import re
from dataclasses import replace

from balance_tracker.core.assets import Asset

_URL = re.compile(
    r"https?:|www\.|t\.me/|\b[a-z0-9-]{2,}\s?\.\s?"
    r"(com|net|org|io|xyz|app|site|online|top|pro|info|gg|vip|club|live|cc|link|finance|fi|me|ru|cash|events?)\b",
    re.IGNORECASE,
)
_LURE = re.compile(r"\b(claim(ed|s)?|visit|airdrops?|voucher|reward at|redeem)\b", re.IGNORECASE)


def judged(asset: Asset) -> Asset:
    """The asset, with ``spam`` as its trust if it is in no list and advertises itself.

    A listed token is never judged: some honest ones have a dot in their name.
    """
    if asset.trust != "unknown" or asset.native:
        return asset
    texts = (asset.symbol or "", asset.name or "")
    if any(_URL.search(text) or _LURE.search(text) for text in texts):
        return replace(asset, trust="spam")
    return asset

"""Tokens that were sent to be noticed: their name is an advertisement."""

import re
import unicodedata
from dataclasses import replace

from balance_tracker.core.assets import Asset

_LOOK_ALIKES = str.maketrans(
    # Cyrillic and Greek letters that are drawn like Latin ones, and what is drawn like a dot.
    "авекмнорстухіјѕԁԛԝһүɡαβεικνορτυχρς․。｡．·•∙⋅",
    "abekmhopctyxijsdqwhygabeiknoptuxpc........",
)
_DOT = r"\s?(?:\.|\[\.\]|\(\.\)|\[dot\]|\(dot\)|\sdot\s)\s?"
_ENDINGS = (
    "com|net|org|io|xyz|app|site|online|top|pro|info|gg|vip|club|live|cc|link|finance|fi|me|ru|cash|events?"
    "|gifts?"
)
_MORE_ENDINGS = (
    "claims?|rewards?|eth|sol|lol|fun|win|bet|bond|buzz|biz|us|co|ly|ws|tk|ml|cf|gq|ga|cn|dev|page|pages|web"
    "|website|space|store|shop|tech|world|money|network|exchange|trade|cloud|click|zone|netlify|vercel|ai"
    "|today|icu|cyou|quest|homes|monster|rocks"
)
"""Endings that are words too, or short: only where no blank is about the dot."""
_URL = re.compile(
    rf"https?:|www\.|t\.me/|\b[a-z0-9-]{{2,}}(?:{_DOT}(?:{_ENDINGS})|\.(?:{_MORE_ENDINGS}))\b"
    r"|\b[a-z0-9-]+\.[a-z]{2,}/"
)
_LURE = re.compile(r"\b(claim(ed|s)?|visit|airdrops?|voucher|reward at|redeem)\b")


def judged(asset: Asset) -> Asset:
    """The asset, with ``spam`` as its trust if it is in no list and advertises itself.

    A listed token is never judged: some honest ones have a dot in their name.
    """
    if asset.trust != "unknown" or asset.native:
        return asset
    texts = [_plain(text) for text in (asset.symbol, asset.name) if text]
    if any(_URL.search(text) or _LURE.search(text) for text in texts):
        return replace(asset, trust="spam")
    return asset


def _plain(text: str) -> str:
    """A text as it is read: without what is not seen, and look-alikes as what they look like."""
    seen = (
        sign
        for sign in unicodedata.normalize("NFKD", text)
        if unicodedata.category(sign) not in {"Cf", "Mn", "Cc"}
    )
    return "".join(seen).casefold().translate(_LOOK_ALIKES)

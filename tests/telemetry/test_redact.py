"""Keys in URLs never reach a log, a metric or an answer."""

import base64
from collections.abc import Callable

import pytest

from balance_tracker.telemetry.redact import HIDDEN, protect, protect_keys, redact_text, redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://node.example/v3/abcdef0123456789", "node.example"),
        ("wss://user:pass@node.example:8546/ws?token=x", "node.example:8546"),
        ("http://[::1]:8545/key", "[::1]:8545"),
        ("https://NODE.example", "node.example"),
        ("http://user:p@ss@node.example/", "node.example"),
        ("not a url", HIDDEN),
        ("http://[broken", HIDDEN),
        ("", HIDDEN),
    ],
)
def test_a_url_is_shown_by_its_host_only(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_every_url_inside_a_text_shrinks_to_its_host() -> None:
    text = "tried (https://a.example/key1), URL('wss://u:p@b.example:1/key2') and http://c.example?k=3."
    assert redact_text(text) == "tried (a.example), URL('b.example:1') and c.example."


def test_a_key_that_an_endpoint_echoes_outside_of_a_url_is_struck_out() -> None:
    protect(["https://me:Passw0rd-1@node.example/rpc/Zx81-secret-key?apikey=Qu3ryS3cret"])
    text = redact_text("unknown key Zx81-secret-key or Qu3ryS3cret of Passw0rd-1")
    assert text == f"unknown key {HIDDEN} or {HIDDEN} of {HIDDEN}"


def test_ordinary_words_of_a_path_are_not_taken_for_secrets() -> None:
    protect(["https://node.example/ethereum/mainnet"])
    assert redact_text("ethereum mainnet answered") == "ethereum mainnet answered"


def test_a_broken_url_protects_nothing_and_raises_nothing() -> None:
    protect(["http://[broken"])
    assert redact_text("broken") == "broken"


def test_a_url_that_is_only_a_host_has_nothing_to_hide() -> None:
    assert redact_text("running on http://127.0.0.1:8000.") == "running on http://127.0.0.1:8000."
    assert redact_text("http://user@node.example") == "node.example"


@pytest.mark.parametrize("change", [str.upper, str.lower])
def test_a_key_that_comes_back_in_another_case_is_struck_out(change: Callable[[str], str]) -> None:
    protect(["https://me:OnlyLettersHere@node.example/rpc/Ab12-Cased-Key?apikey=Qu99yS3cret"])
    protect_keys(["Header-Key-77"])
    text = redact_text(change("no Ab12-Cased-Key, no Qu99yS3cret, no OnlyLettersHere, no Header-Key-77"))
    assert text == change("no {0}, no {0}, no {0}, no {0}").format(HIDDEN)


@pytest.mark.parametrize(
    ("url", "pair"),
    [
        ("https://operator-7:hunter2-secret@node.example/", "operator-7:hunter2-secret"),
        ("https://me:pw@node.example/", "me:pw"),
        ("https://a%40b:p%3Fq%C3%A9%7E%7E@node.example/", "a@b:p?q\u00e9~~"),
        ("https://only-a-key@node.example/", "only-a-key:"),
    ],
)
def test_the_authorization_header_is_struck_out(url: str, pair: str) -> None:
    protect([url])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        token = encode(pair.encode()).decode()
        for form in (token, token.rstrip("="), token.lower(), token.upper()):
            shown = redact_text(f"bad header Authorization: Basic {form}")
            assert shown.rstrip("=") == f"bad header Authorization: Basic {HIDDEN}"


def test_a_secret_inside_of_another_does_not_leave_the_rest_behind() -> None:
    protect(["https://node.example/12345678-inner", "https://node.example/12345678-inner-0uter"])
    assert redact_text("no 12345678-inner-0uter") == f"no {HIDDEN}"


def test_words_of_a_path_in_capitals_keep_their_small_form() -> None:
    protect(["https://node.example/Polygonzk"])
    assert redact_text("polygonzk answered") == "polygonzk answered"

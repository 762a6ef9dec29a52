"""Keys in URLs never reach a log, a metric or an answer."""

import pytest

from balance_tracker.telemetry.redact import HIDDEN, protect, redact_text, redact_url


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

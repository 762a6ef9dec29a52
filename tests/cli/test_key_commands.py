"""``balance-tracker keys``: made, listed, rotated and revoked where the database is."""

import json
import re
import sqlite3
from contextlib import closing

import pytest
import uvicorn
from tests.cli.conftest import Run

KEY = re.compile(r"bt_[A-Za-z0-9]{12}_[A-Za-z0-9_-]{43}\n")


def test_a_key_is_shown_once_and_alone_on_the_output(run: Run) -> None:
    made = run("keys", "create", "my script")
    assert made.code == 0
    assert KEY.fullmatch(made.out)
    assert "shown this once" in made.err

    listed = run("keys", "list")
    assert (listed.code, listed.err) == (0, "")
    assert "my script" in listed.out
    assert made.out[:15] in listed.out
    for secret in (made.out[16:].strip(),):
        assert secret not in listed.out + run("keys", "list", "--json").out
        with closing(sqlite3.connect("data/tracker.db")) as database:
            assert secret not in "\n".join(database.iterdump())


def test_all_of_a_key_can_be_said(run: Run) -> None:
    words = ("--scope", "read", "--scope", "ADMIN", "--rate-limit", "5/second", "--expires-in-days", "3")
    made = json.loads(run("keys", "create", "x", *words, "--json").out)
    assert (made["scopes"], made["rate_limit"]) == (["read", "admin"], "5/second")
    assert made["expires_at"] > made["created_at"]
    listed = json.loads(run("keys", "list", "--json").out)
    del made["key"]
    assert listed == [made]


def test_a_key_is_found_by_its_id_or_by_its_first_characters(run: Run) -> None:
    one, other = (json.loads(run("keys", "create", name, "--json").out) for name in ("one", "other"))
    assert run("keys", "revoke", one["id"]).code == 0
    by_prefix = run("keys", "revoke", f"{other['prefix']}…")
    assert (by_prefix.code, by_prefix.out) == (0, "")
    assert "Revoked: other" in by_prefix.err
    assert all(key["revoked_at"] for key in json.loads(run("keys", "list", "--json").out))


def test_a_rotated_key_is_shown_once_too(run: Run) -> None:
    made = json.loads(run("keys", "create", "one", "--json").out)
    rotated = run("keys", "rotate", made["prefix"], "--overlap-seconds", "60")
    assert KEY.fullmatch(rotated.out)
    assert "works on for 60 seconds" in rotated.err
    assert json.loads(run("keys", "list", "--json").out)[0]["prefix"] == rotated.out[:15]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("create", " "), "The name is empty"),
        (("create", "x", "--scope", "root"), "There is no such scope."),
        (("create", "x", "--rate-limit", "much"), "'much' is no rate limit."),
        (("create", "x", "--expires-in-days", "0"), ""),
        (("revoke", "bt_nothing"), "No key begins with 'bt_nothing'."),
        (("revoke", "bt_"), "Several keys begin with 'bt_'."),
        (("revoke", ""), "No key begins with ''."),
        (("revoke", "key_nothing"), "There is no such key."),
        (("rotate", "bt_nothing"), "No key begins with 'bt_nothing'."),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(run: Run, words: tuple[str, ...], error: str) -> None:
    for name in ("one", "other"):
        run("keys", "create", name)
    refused = run("keys", *words)
    assert (refused.code, refused.out) == (2, "")
    assert f"Error: {error}" in refused.err or not error
    assert "Traceback" not in refused.err


def test_without_keys_the_list_says_how_to_make_one(run: Run) -> None:
    shown = run("keys", "list")
    assert (shown.code, shown.out) == (0, "")
    assert "balance-tracker keys create" in shown.err


@pytest.mark.parametrize(
    ("workers", "redis", "told"), [(2, "", True), (1, "", False), (2, "redis://x", False)]
)
def test_workers_that_count_each_for_itself_are_told_of(
    run: Run, monkeypatch: pytest.MonkeyPatch, workers: int, redis: str, *, told: bool
) -> None:
    monkeypatch.setattr(uvicorn, "run", lambda *_, **__: None)
    if redis:
        monkeypatch.setenv("REDIS_URL", redis)
    served = run("serve", "--workers", str(workers))
    assert served.code == 0, served.err
    assert ("limits_counted_by_each_worker" in served.err) == told

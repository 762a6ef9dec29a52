"""Keys are made, changed and ended; what they hold is checked."""

import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from tests.fakes.access import Gate

from balance_tracker.core.access import Limit, Scope
from balance_tracker.core.errors import InputError, NotFoundError
from balance_tracker.ports.access import KeyChange
from balance_tracker.services.keys import LONGEST_OVERLAP, KeyService
from balance_tracker.storage.database import Database

NO_KEY = "key_" + "0" * 26


@pytest.fixture
def gate(database: Database) -> Gate:
    return Gate(database)


async def test_a_key_is_shown_once_and_kept_as_its_digest(gate: Gate) -> None:
    made = await gate.keys.create("  a script ")

    assert re.fullmatch(r"bt_[A-Za-z0-9]{12}_[A-Za-z0-9_-]{43}", made.secret)
    assert re.fullmatch(r"key_[0-9a-z]{26}", made.key.key_id)
    assert made.key.prefix == made.secret[:15]
    assert (made.key.name, made.key.scopes) == ("a script", {Scope.READ, Scope.WRITE})
    assert made.secret not in repr(await gate.keys.get(made.key.key_id))


async def test_no_secret_is_in_the_database(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        gate = Gate(database)
        made = await gate.keys.create("one")
        newer = await gate.keys.rotate(made.key.key_id)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        everything = "\n".join(connection.iterdump())
    for secret in (made.secret, newer.secret):
        assert secret[:15] in everything
        assert secret[16:] not in everything
        assert secret[16:].encode().hex().upper() not in everything.upper()


async def test_two_keys_are_never_alike(gate: Gate) -> None:
    made = [await gate.keys.create("same") for _ in range(20)]
    assert len({one.secret[16:] for one in made}) == 20
    assert len({one.key.prefix for one in made}) == 20


async def test_every_change_is_told(gate: Gate) -> None:
    made = await gate.keys.create("one")
    await gate.keys.change(made.key.key_id, KeyChange(name="two"))
    await gate.keys.rotate(made.key.key_id)
    await gate.keys.revoke(made.key.key_id)
    assert gate.told == 4


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\nb", "a\0b", "a\x9bb", "a\u202eb", "\ud800"])
async def test_a_name_that_can_not_be_shown_is_refused(gate: Gate, name: str) -> None:
    made = await gate.keys.create("one")
    with pytest.raises(InputError) as created:
        await gate.keys.create(name)
    with pytest.raises(InputError) as changed:
        await gate.keys.change(made.key.key_id, KeyChange(name=name))
    assert created.value.code == changed.value.code == "invalid_name"


async def test_names_of_all_scripts_are_kept(gate: Gate) -> None:
    for name in ("казна", "财务 🏦", "می‌خواهم"):
        assert (await gate.keys.create(name)).key.name == name


async def test_a_changed_name_is_trimmed_like_a_new_one(gate: Gate) -> None:
    made = await gate.keys.create("one")
    assert (await gate.keys.change(made.key.key_id, KeyChange(name=" two "))).name == "two"


async def test_an_expiry_is_in_the_future_and_in_range(gate: Gate) -> None:
    far_west = timezone(-timedelta(hours=14))
    for wrong in (gate.now, gate.now - timedelta(days=1), datetime(9999, 12, 31, 23, tzinfo=far_west)):
        with pytest.raises(InputError) as caught:
            await gate.keys.create("one", expires_at=wrong)
        assert caught.value.code == "invalid_expiry"
    made = await gate.keys.create(
        "one", expires_at=datetime(2027, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    )
    assert made.key.expires_at == datetime(2027, 1, 1, tzinfo=UTC)


async def test_a_key_needs_a_scope(gate: Gate) -> None:
    with pytest.raises(InputError) as caught:
        await gate.keys.create("one", scopes=[])
    assert caught.value.code == "invalid_scopes"


async def test_a_limit_and_an_expiry_can_be_set_and_taken_away(gate: Gate) -> None:
    made = await gate.keys.create("one", limit=Limit(5, 60), expires_at=gate.now + timedelta(days=1))

    kept = await gate.keys.change(made.key.key_id, KeyChange(name="two"))
    bare = await gate.keys.change(made.key.key_id, KeyChange(limit="", never_expires=True))

    assert (kept.limit, kept.expires_at) == (Limit(5, 60), made.key.expires_at)
    assert (bare.limit, bare.expires_at) == (None, None)
    with pytest.raises(InputError) as caught:
        await gate.keys.change(made.key.key_id, KeyChange(limit="lots"))
    assert caught.value.code == "invalid_rate_limit"


@pytest.mark.parametrize(
    "act",
    [
        lambda keys, key: keys.get(key),
        lambda keys, key: keys.change(key, KeyChange(name="x")),
        lambda keys, key: keys.rotate(key),
        lambda keys, key: keys.revoke(key),
        lambda keys, key: keys.usage(key, None, None),
    ],
)
async def test_a_key_that_is_not_there_is_not_found(
    gate: Gate, act: Callable[[KeyService, str], Awaitable[object]]
) -> None:
    for key in (NO_KEY, "", "key_'; --", "key_\0", "x" * 1000):
        with pytest.raises(NotFoundError):
            await act(gate.keys, key)


async def test_a_revoked_key_is_seen_and_changed_no_more(gate: Gate) -> None:
    made = await gate.keys.create("one")
    first = await gate.keys.revoke(made.key.key_id)
    gate.pass_time(5)
    again = await gate.keys.revoke(made.key.key_id)

    assert first.revoked_at == again.revoked_at == gate.now - timedelta(seconds=5)
    assert [key.key_id for key in await gate.keys.keys(10)] == [made.key.key_id]
    for act in (gate.keys.rotate(made.key.key_id), gate.keys.change(made.key.key_id, KeyChange(name="x"))):
        with pytest.raises(NotFoundError):
            await act


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), LONGEST_OVERLAP + timedelta(seconds=1)])
async def test_an_overlap_has_bounds(gate: Gate, overlap: timedelta) -> None:
    made = await gate.keys.create("one")
    with pytest.raises(InputError) as caught:
        await gate.keys.rotate(made.key.key_id, overlap)
    assert caught.value.code == "invalid_overlap"


@pytest.mark.parametrize(
    ("since", "until", "code"),
    [
        (date(2026, 2, 1), date(2026, 1, 1), "invalid_period"),
        (date(2020, 1, 1), date(2026, 1, 1), "invalid_period"),
        (date.max, None, "invalid_period"),
        (None, date.min, None),
        (date.max, date.max, None),
    ],
)
async def test_a_period_of_usage_has_bounds(
    gate: Gate, since: date | None, until: date | None, code: str | None
) -> None:
    made = await gate.keys.create("one")
    if code is None:
        assert await gate.keys.usage(made.key.key_id, since, until) == []
        return
    with pytest.raises(InputError) as caught:
        await gate.keys.usage(made.key.key_id, since, until)
    assert caught.value.code == code

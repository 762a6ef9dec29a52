"""Keys and their usage, on both databases."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from balance_tracker.core.access import ApiKey, Limit, Scope
from balance_tracker.core.kept import Owner
from balance_tracker.ports.access import KeyChange, Usage
from balance_tracker.storage.database import Database
from balance_tracker.storage.epochs import FileEpoch
from balance_tracker.storage.keys import SqlKeyStore

NOW = datetime(2026, 11, 22, 5, 0, 0, 123456, tzinfo=UTC)
DIGEST = bytes(range(32))
OTHER = bytes(range(1, 33))


def a_key(number: int = 1, **more: object) -> ApiKey:
    key = ApiKey(
        key_id=Owner(f"key_{number:026}"),
        name=f"script {number}",
        prefix=f"bt_{number:012}",
        scopes=frozenset({Scope.READ, Scope.ADMIN}),
        limit=Limit(5, 60),
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    return replace(key, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(database: Database) -> SqlKeyStore:
    return SqlKeyStore(database)


async def test_a_key_comes_back_as_it_was_kept(store: SqlKeyStore) -> None:
    key = a_key()
    await store.add(key, DIGEST)

    kept = await store.by_prefix(key.prefix)

    assert kept is not None
    assert (kept.digest, kept.expires_at) == (DIGEST, None)
    assert kept.key == key
    assert await store.get(key.key_id) == key


async def test_what_was_never_made_is_not_found(store: SqlKeyStore) -> None:
    nobody = Owner("key_none")

    assert await store.by_prefix("bt_nothing") is None
    assert await store.get(nobody) is None
    assert await store.change(nobody, KeyChange(name="x")) is None
    assert await store.rotate(nobody, "bt_x", DIGEST, NOW, NOW) is None
    assert await store.revoke(nobody, NOW) is None


async def test_keys_are_listed_the_newest_first_and_go_on(store: SqlKeyStore) -> None:
    for number in (1, 3, 2):
        await store.add(a_key(number), number.to_bytes(32))

    first = await store.keys(2, None)
    rest = await store.keys(2, first[-1].key_id)

    assert [key.name for key in first] == ["script 3", "script 2"]
    assert [key.name for key in rest] == ["script 1"]


async def test_a_change_changes_only_what_it_names(store: SqlKeyStore) -> None:
    key = a_key()
    await store.add(key, DIGEST)

    renamed = await store.change(key.key_id, KeyChange(name="other"))
    assert renamed == replace(key, name="other")
    limited = await store.change(key.key_id, KeyChange(limit="", never_expires=True))
    assert limited == replace(key, name="other", limit=None, expires_at=None)
    untouched = await store.change(key.key_id, KeyChange())
    assert untouched == limited


async def test_a_rotated_secret_works_on_until_its_overlap_ends(store: SqlKeyStore) -> None:
    key = a_key()
    await store.add(key, DIGEST)

    rotated = await store.rotate(
        key.key_id, "bt_next", OTHER, NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    )

    assert rotated == replace(key, prefix="bt_next")
    old, new = await store.by_prefix(key.prefix), await store.by_prefix("bt_next")
    assert old is not None
    assert old.expires_at == NOW + timedelta(hours=2)
    assert new is not None
    assert new.expires_at is None


async def test_a_second_rotation_does_not_lengthen_the_life_of_the_oldest_secret(store: SqlKeyStore) -> None:
    key = a_key()
    await store.add(key, DIGEST)
    await store.rotate(key.key_id, "bt_2", OTHER, NOW, NOW + timedelta(hours=1))
    await store.rotate(key.key_id, "bt_3", bytes(32), NOW, NOW + timedelta(hours=9))

    ends = [kept.expires_at for p in (key.prefix, "bt_2", "bt_3") if (kept := await store.by_prefix(p))]

    assert ends == [NOW + timedelta(hours=1), NOW + timedelta(hours=9), None]


async def test_a_revoked_key_stays_so_since_the_first_time_and_changes_no_more(store: SqlKeyStore) -> None:
    key = a_key()
    await store.add(key, DIGEST)

    await store.revoke(key.key_id, NOW)
    again = await store.revoke(key.key_id, NOW + timedelta(days=1))

    assert again is not None
    assert again.revoked_at == NOW
    assert await store.change(key.key_id, KeyChange(name="x")) is None
    assert await store.rotate(key.key_id, "bt_x", OTHER, NOW, NOW) is None


async def test_usage_adds_up_from_several_processes_at_once(database: Database) -> None:
    stores = [SqlKeyStore(database) for _ in range(4)]
    key = a_key()
    await stores[0].add(key, DIGEST)
    day = NOW.date()
    rows = [
        Usage(key.key_id, day, "/balances", requests=2, units=3, refused=1, errors=1),
        Usage(key.key_id, day, "/prices", requests=1, units=1),
        Usage(Owner("key_gone"), day, "/prices", requests=1, units=1),
    ]

    await asyncio.gather(*(store.add_usage(rows[:: (-1) ** n], NOW) for n, store in enumerate(stores)))

    kept = await stores[0].usage(key.key_id, day, day)
    assert kept == [
        Usage(key.key_id, day, "/balances", requests=8, units=12, refused=4, errors=4),
        Usage(key.key_id, day, "/prices", requests=4, units=4),
    ]
    assert await stores[0].usage(key.key_id, date(2026, 1, 1), date(2026, 1, 2)) == []


async def test_the_time_of_last_use_never_goes_back(store: SqlKeyStore) -> None:
    key = a_key()
    await store.add(key, DIGEST)
    used = [Usage(key.key_id, NOW.date(), "/balances", requests=1)]

    await store.add_usage(used, NOW + timedelta(minutes=2))
    await store.add_usage(used, NOW)

    kept = await store.get(key.key_id)
    assert kept is not None
    assert kept.last_used_at == NOW + timedelta(minutes=2)


async def test_every_change_is_seen_by_another_process_at_once(database: Database) -> None:
    """Only where the database is a file: another machine's is asked at every request."""
    store, key = SqlKeyStore(database), a_key()
    with FileEpoch(database) as epoch:
        if not database.is_sqlite:
            assert epoch.current() is None
            return
        seen = [epoch.current()]
        await store.add(key, DIGEST)
        seen.append(epoch.current())
        await store.change(key.key_id, KeyChange(name="other"))
        seen.append(epoch.current())
        await store.rotate(key.key_id, "bt_2", OTHER, NOW, NOW)
        seen.append(epoch.current())
        await store.revoke(key.key_id, NOW)
        seen.append(epoch.current())
        await store.add_usage([Usage(key.key_id, NOW.date(), "/", requests=1)], NOW)
        seen.append(epoch.current())

    assert seen == ["0", "1", "2", "3", "4", "4"]
    assert epoch.current() is None

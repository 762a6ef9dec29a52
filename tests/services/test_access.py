"""Who is let in, what its limit has left, and how soon a change of keys is noticed."""

from dataclasses import replace
from datetime import timedelta
from hmac import compare_digest
from ipaddress import ip_address

import pytest
from tests.fakes.access import ADMIN_KEY, CLIENT, Gate

from balance_tracker.cache.limiter import MemoryLimiter
from balance_tracker.core.access import Limit, Scope
from balance_tracker.core.errors import AccessError
from balance_tracker.core.kept import ANYONE
from balance_tracker.ports.access import KeyChange
from balance_tracker.ports.keeping import Verdict
from balance_tracker.services import access as access_module
from balance_tracker.services.access import (
    ADMIN,
    REMEMBERED_SECONDS,
    KeyRefusedError,
    RateLimitedError,
    client_subject,
    digest_of,
)
from balance_tracker.storage.database import Database
from balance_tracker.storage.epochs import FileEpoch

STRANGER = f"bt_{'a' * 12}_{'b' * 43}"


class EpochLimiter(MemoryLimiter):
    """Tells of changes with each decision, as Redis does."""

    epoch: str | None = "1"

    async def take(self, subject: str, limit: Limit, cost: int = 1, counted: int = 0) -> Verdict:
        return replace(await super().take(subject, limit, cost, counted), epoch=self.epoch)


async def refused(gate: Gate, key: str | None, client: str = CLIENT) -> AccessError:
    with pytest.raises(AccessError) as caught:
        await gate.access.admit(key, client)
    return caught.value


async def test_without_a_key_a_client_is_anyone_and_limited_by_its_address(database: Database) -> None:
    gate = Gate(database, anonymous_limit=Limit(2, 60))

    admission, verdict = await gate.access.admit(None, CLIENT)

    assert (admission.caller.owner, admission.subject) == (ANYONE, f"ip:{CLIENT}")
    assert verdict is not None
    assert verdict.remaining == 1
    await gate.access.admit(None, CLIENT)
    assert (await refused(gate, None)).code == "rate_limited"
    await gate.access.admit(None, "198.51.100.8")


async def test_where_a_key_is_needed_none_is_refused(database: Database) -> None:
    assert (await refused(Gate(database, require_key=True), None)).code == "key_missing"


async def test_a_key_is_recognised_with_its_scopes_and_limits(database: Database) -> None:
    gate = Gate(database, key_limit=Limit(9, 60), require_key=True)
    own = await gate.keys.create("own", scopes=[Scope.READ], limit=Limit(3, 1))
    other = await gate.keys.create("other")

    admission, verdict = await gate.access.admit(own.secret, CLIENT)
    by_default, _ = await gate.access.admit(other.secret, CLIENT)

    assert admission.caller.owner == own.key.key_id
    assert (admission.caller.name, admission.caller.scopes) == ("own", {Scope.READ})
    assert verdict is not None
    assert (verdict.limit, verdict.remaining) == (Limit(3, 1), 2)
    assert by_default.limit == Limit(9, 60)


async def test_the_admin_key_opens_everything_without_a_limit(database: Database) -> None:
    gate = Gate(database, key_limit=Limit(1, 60), anonymous_limit=Limit(1, 60), require_key=True)
    for _ in range(5):
        admission, verdict = await gate.access.admit(ADMIN_KEY, CLIENT)
    assert (admission.caller.owner, admission.caller.is_admin, verdict) == (ADMIN, True, None)
    assert gate.store.reads == 0


async def test_without_an_admin_key_nothing_is_one(database: Database) -> None:
    gate = Gate(database, admin_key=None)
    for guess in ("", "None", ADMIN_KEY):
        assert (await refused(gate, guess)).code == "key_unknown"


@pytest.mark.parametrize(
    "guess",
    ["", " ", STRANGER, STRANGER[:-1], STRANGER + "x", ADMIN_KEY[:-1], "\0", "ÿþ", "\ud800", "x" * 10_000],
)
async def test_what_is_no_key_is_not_known(database: Database, guess: str) -> None:
    assert (await refused(Gate(database), guess)).code == "key_unknown"


async def test_only_what_looks_like_a_key_asks_the_database(database: Database) -> None:
    gate = Gate(database)
    await refused(gate, "x" * 59)
    assert gate.store.reads == 0
    await refused(gate, STRANGER)
    assert gate.store.reads == 1


async def test_the_part_that_may_be_seen_opens_nothing(database: Database) -> None:
    gate = Gate(database)
    made = await gate.keys.create("one")
    for guess in (made.key.prefix, f"{made.key.prefix}_{'A' * 43}", digest_of(made.secret).hex()):
        assert (await refused(gate, guess)).code == "key_unknown"


async def test_whoever_tries_keys_is_limited_like_one_without(database: Database) -> None:
    gate = Gate(database, anonymous_limit=Limit(2, 60))
    made = await gate.keys.create("one")

    first = await refused(gate, STRANGER)
    assert isinstance(first, KeyRefusedError)
    assert first.verdict is not None
    assert first.verdict.remaining == 1
    await refused(gate, "nonsense")
    assert (await refused(gate, STRANGER)).code == "rate_limited"
    reads = gate.store.reads

    await gate.access.admit(made.secret, CLIENT)
    assert gate.store.reads == reads + 1


async def test_a_key_that_has_ended_is_not_asked_for_without_end_either(database: Database) -> None:
    gate = Gate(database, anonymous_limit=Limit(1, 60))
    made = await gate.keys.create("one")
    await gate.keys.revoke(made.key.key_id)

    assert (await refused(gate, made.secret)).code == "key_revoked"
    assert (await refused(gate, made.secret)).code == "rate_limited"


async def test_secrets_are_compared_in_constant_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare_digest(one, other)

    gate = Gate(database)
    made = await gate.keys.create("one")
    monkeypatch.setattr(access_module.hmac, "compare_digest", noted)

    await gate.access.admit(made.secret, CLIENT)
    await refused(gate, STRANGER)

    own = digest_of(made.secret)
    assert compared == [
        (own, digest_of(ADMIN_KEY)),
        (own, own),
        (digest_of(STRANGER), digest_of(ADMIN_KEY)),
        (digest_of(STRANGER), b"\0" * 32),  # a key that is not there takes the same comparison
    ]


async def test_a_key_expires_at_its_time(database: Database) -> None:
    gate = Gate(database, anonymous_limit=None)
    made = await gate.keys.create("one", expires_at=gate.now + timedelta(seconds=10))

    gate.pass_time(9.5)
    await gate.access.admit(made.secret, CLIENT)
    gate.pass_time(0.5)
    assert (await refused(gate, made.secret)).code == "key_expired"


async def test_a_rotated_secret_works_on_for_the_overlap(database: Database) -> None:
    gate = Gate(database)
    old = await gate.keys.create("one", limit=Limit(3, 60))
    new = await gate.keys.rotate(old.key.key_id, timedelta(seconds=60))

    was, _ = await gate.access.admit(old.secret, CLIENT)
    now, verdict = await gate.access.admit(new.secret, CLIENT)
    assert was.caller.owner == now.caller.owner
    assert verdict is not None
    assert verdict.remaining == 1  # both secrets are one key with one limit

    gate.pass_time(60)
    ended = await refused(gate, old.secret)
    assert (ended.code, ended.hint) == ("key_expired", "Use the new one.")
    await gate.access.admit(new.secret, CLIENT)


async def test_without_an_overlap_the_old_secret_ends_at_once(database: Database) -> None:
    gate = Gate(database)
    old = await gate.keys.create("one")
    await gate.access.admit(old.secret, CLIENT)
    await gate.keys.rotate(old.key.key_id, timedelta(0))
    assert (await refused(gate, old.secret)).code == "key_expired"


async def test_without_any_epoch_the_database_is_asked_each_time(database: Database) -> None:
    gate = Gate(database)
    made = await gate.keys.create("one")
    for _ in range(3):
        await gate.access.admit(made.secret, CLIENT)
    assert gate.store.reads == 3
    await gate.keys.revoke(made.key.key_id)
    assert (await refused(gate, made.secret)).code == "key_revoked"


async def test_the_counter_of_the_file_spares_reads_and_shows_changes_of_others(sqlite_url: str) -> None:
    async with Database(sqlite_url) as one, Database(sqlite_url) as other:
        with FileEpoch(one) as epoch:
            here, there = Gate(one, epoch=epoch), Gate(other)
            made = await there.keys.create("one")
            for _ in range(5):
                await here.access.admit(made.secret, CLIENT)
            assert here.store.reads == 1

            await there.keys.change(made.key.key_id, KeyChange(scopes=frozenset({Scope.READ})))
            admission, _ = await here.access.admit(made.secret, CLIENT)
            assert admission.caller.scopes == {Scope.READ}

            await there.keys.revoke(made.key.key_id)
            assert (await refused(here, made.secret)).code == "key_revoked"


async def test_the_epoch_of_the_limiter_spares_reads_and_shows_changes(database: Database) -> None:
    limiter = EpochLimiter()
    gate = Gate(database, limiter=limiter, key_limit=Limit(1000, 60))
    made = await gate.keys.create("one")
    for _ in range(5):
        await gate.access.admit(made.secret, CLIENT)
    assert gate.store.reads == 2  # the second one because the epoch was not known before the first

    await gate.keys.revoke(made.key.key_id)
    limiter.epoch = "2"
    assert (await refused(gate, made.secret)).code == "key_revoked"


async def test_where_the_epoch_goes_away_the_database_is_asked_again(database: Database) -> None:
    limiter = EpochLimiter()
    gate = Gate(database, limiter=limiter, key_limit=Limit(1000, 60))
    made = await gate.keys.create("one")
    for _ in range(2):
        await gate.access.admit(made.secret, CLIENT)
    limiter.epoch = None
    await gate.keys.revoke(made.key.key_id)
    assert (await refused(gate, made.secret)).code == "key_revoked"


async def test_a_key_without_a_limit_is_read_each_time_where_only_the_limiter_tells(
    database: Database,
) -> None:
    gate = Gate(database, limiter=EpochLimiter(), key_limit=None)
    made = await gate.keys.create("one")
    await gate.access.admit(made.secret, CLIENT)
    await gate.keys.revoke(made.key.key_id)
    assert (await refused(gate, made.secret)).code == "key_revoked"


async def test_what_is_remembered_is_read_again_after_a_while(database: Database) -> None:
    limiter = EpochLimiter()
    gate = Gate(database, limiter=limiter, key_limit=Limit(1000, 60))
    made = await gate.keys.create("one")
    await gate.access.admit(made.secret, CLIENT)
    await gate.keys.revoke(made.key.key_id)  # and the epoch stays: nobody could be told
    await gate.access.admit(made.secret, CLIENT)
    gate.pass_time(REMEMBERED_SECONDS)
    assert (await refused(gate, made.secret)).code == "key_revoked"


async def test_only_so_many_keys_are_remembered(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "MOST_REMEMBERED", 2)
    gate = Gate(database, limiter=EpochLimiter(), key_limit=Limit(1000, 60))
    made = [await gate.keys.create(str(number)) for number in range(3)]
    for one in made:
        await gate.access.admit(one.secret, CLIENT)
    reads = gate.store.reads
    await gate.access.admit(made[2].secret, CLIENT)
    assert gate.store.reads == reads
    await gate.access.admit(made[0].secret, CLIENT)
    assert gate.store.reads > reads


async def test_more_work_is_charged_and_refused_work_costs_nothing(database: Database) -> None:
    gate = Gate(database, key_limit=Limit(10, 60))
    made = await gate.keys.create("one")
    admission, _ = await gate.access.admit(made.secret, CLIENT)

    verdict = await gate.access.charge(admission, 6)
    assert verdict is not None
    assert verdict.remaining == 3
    with pytest.raises(RateLimitedError) as caught:
        await gate.access.charge(admission, 4)
    assert (caught.value.verdict.remaining, caught.value.verdict.retry_seconds) == (3, 6)
    assert await gate.access.charge(admission, 0) is None


async def test_a_change_of_a_limit_counts_at_the_next_request(database: Database) -> None:
    gate = Gate(database, key_limit=Limit(1, 60))
    made = await gate.keys.create("one")
    await gate.access.admit(made.secret, CLIENT)
    assert (await refused(gate, made.secret)).code == "rate_limited"
    await gate.keys.change(made.key.key_id, KeyChange(limit="100/minute"))
    await gate.access.admit(made.secret, CLIENT)


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
    ],
)
def test_a_client_is_its_address_or_the_network_of_its_site(address: str, subject: str) -> None:
    assert client_subject(ip_address(address)) == subject


def test_a_client_without_an_address_is_one_of_its_own() -> None:
    assert client_subject(None) == "unknown"

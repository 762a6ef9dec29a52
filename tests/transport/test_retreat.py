"""A best head that nobody shows any more: a lie that was believed, a reorganisation, a new test chain."""

import pytest
from tests.transport.test_heads import Scene

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.pool import Session
from balance_tracker.transport.retreat import GONE_SECONDS, SURE_SECONDS

BLOCK_SECONDS = 2


def answered(scene: Scene, place: int, number: int, age: float | None = None) -> str | None:
    """A read of the latest block, as a reader makes it; what became of it."""
    code = scene.sees(place, number, age)
    if code is not None:
        return code
    if number < scene.pool.floor:
        return "behind"
    scene.pool.floor = number
    return None


@pytest.mark.parametrize("endpoints", [1, 2])
def test_a_lie_of_once_is_given_up_when_later_blocks_are_lower(endpoints: int) -> None:
    scene = Scene(endpoints)
    assert answered(scene, 0, 10**12, age=0) is None
    scene.pass_time(BLOCK_SECONDS)
    honest = endpoints - 1
    assert answered(scene, honest, 1_000, age=0) == "stale_head"
    scene.pass_time(SURE_SECONDS - 1)
    assert answered(scene, honest, 1_004, age=0) == "stale_head"
    scene.pass_time(1)
    assert answered(scene, honest, 1_005, age=1) is None
    assert (scene.pool.best_head, scene.pool.floor) == (1_005, 1_005)
    assert answered(scene, 0, 1_005, age=1) is None


def test_a_single_endpoint_that_was_in_the_future_is_taken_for_what_it_keeps_saying() -> None:
    scene = Scene(1)
    assert answered(scene, 0, 10**12, age=-(10**6)) is None
    codes = []
    for step in range(8):
        scene.pass_time(10)
        codes.append(answered(scene, 0, 1_000 + 5 * step, age=0))
    assert codes == ["stale_head"] * 6 + [None] * 2
    assert scene.pool.floor == 1_035


@pytest.mark.parametrize("age", [None, 5_000.0])
def test_a_test_chain_that_went_back_and_stands_still_is_taken_after_a_minute(age: float | None) -> None:
    scene = Scene(1)
    assert answered(scene, 0, 1_000, age=0) is None
    for number in (900, 998):
        scene.pool.floor = 1_000
        scene.sees(0, 1_000, age=0)
        assert answered(scene, 0, number, age) in {"stale_head", "behind"}
        scene.pass_time(GONE_SECONDS - 1)
        assert answered(scene, 0, number, age) in {"stale_head", "behind"}
        scene.pass_time(1)
        assert answered(scene, 0, number, age) is None
        assert (scene.pool.best_head, scene.pool.floor) == (number, number)


def test_a_restarted_test_chain_is_taken_soon() -> None:
    scene = Scene(1)
    assert answered(scene, 0, 1_000, age=3) is None
    scene.pass_time(5)
    assert answered(scene, 0, 2, age=0) == "stale_head"
    scene.pass_time(SURE_SECONDS)
    assert answered(scene, 0, 2, age=SURE_SECONDS) is None
    assert answered(scene, 0, 3, age=0) is None


def test_a_node_behind_its_neighbours_is_never_believed_however_long_it_is_asked_alone() -> None:
    """One URL of many nodes: the one that answers now is some blocks behind the one before."""
    scene = Scene(1)
    assert answered(scene, 0, 1_000, age=0) is None
    for second in range(0, 600, 30):
        scene.pass_time(30)
        number = 900 + second // 12
        assert answered(scene, 0, number, age=(1_000 - number) * 12.0 + second) == "stale_head"
    assert (scene.pool.best_head, scene.pool.floor) == (1_000, 1_000)


def test_heads_that_come_and_go_never_make_a_network_go_backwards() -> None:
    scene = Scene(1)
    floors = []
    for step in range(100):
        number = 1_000 + 5 * step
        answered(scene, 0, number - (40 if step % 3 else 0), age=80.0 if step % 3 else 0.0)
        floors.append(scene.pool.floor)
        scene.pass_time(10)
    assert floors == sorted(floors)


@pytest.mark.parametrize("age", [0.0, None])
def test_a_frozen_endpoint_is_not_believed_while_the_good_one_is_silent(age: float | None) -> None:
    scene = Scene(2)
    frozen_age = None if age is None else 200.0
    assert answered(scene, 0, 1_000, age) is None
    for step in range(30):
        scene.pass_time(20)
        still = None if frozen_age is None else frozen_age + 20 * step
        assert answered(scene, 1, 900, still) == "stale_head"
    assert scene.pool.floor == 1_000


def test_without_times_an_endpoint_that_moves_on_is_believed_when_the_liar_is_silent() -> None:
    scene = Scene(2, stale_behind=150)
    assert answered(scene, 0, 10**12) is None
    codes = []
    for step in range(8):
        scene.pass_time(10)
        codes.append(answered(scene, 1, 5_000 + 25 * step))
    assert codes == ["stale_head"] * 6 + [None] * 2
    assert scene.pool.best_head == 5_175


def test_what_the_others_just_showed_is_the_best_head_then() -> None:
    scene = Scene(2)
    answered(scene, 0, 10**12, age=0)
    scene.pass_time(BLOCK_SECONDS)
    answered(scene, 0, 1_000, age=0)
    scene.pass_time(SURE_SECONDS - 1)
    assert answered(scene, 0, 1_007, age=0) == "stale_head"
    scene.pass_time(1)
    assert answered(scene, 1, 1_003, age=2) == "behind"
    assert scene.pool.best_head == 1_007
    assert scene.pool.floor == 1_007
    assert scene.pool.health()[0].state == "healthy"


async def test_where_all_refuse_the_floor_it_is_asked_without_it_after_a_minute() -> None:
    """Solana: with a slot to be reached, an endpoint before it shows no head at all."""
    scene = Scene(1, stale_behind=150)
    assert answered(scene, 0, 10**12) is None

    async def operation(session: Session) -> int:
        slot = 5_000 + int(scene.clock())
        least = scene.pool.floor
        if slot < least:
            raise UpstreamError("It has not reached the slot.", code="stale_head")
        scene.pool.saw_head(session.endpoint, slot)
        scene.pool.floor = max(scene.pool.floor, slot)
        return slot

    async def read() -> int | str:
        try:
            return await scene.pool.run(operation, deadline=float("inf"))
        except UpstreamError as error:
            return error.code

    codes = []
    for _ in range(9):
        scene.pass_time(10)
        codes.append(await read())
    assert codes[:7] == ["stale_head"] * 7
    assert codes[7:] == [6_080, 6_090]
    assert scene.pool.floor == 6_090


def test_an_endpoint_asked_without_the_floor_must_still_have_reached_it() -> None:
    scene = Scene(2, stale_behind=150)
    assert answered(scene, 0, 1_000) is None
    scene.pool._heads.missed()
    scene.pass_time(GONE_SECONDS)
    scene.pool._heads.missed()
    assert scene.pool.floor == 0
    assert answered(scene, 1, 950) == "stale_head"
    assert answered(scene, 1, 1_000) is None
    assert scene.pool.floor == 1_000

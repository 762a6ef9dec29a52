"""A head that the chain can't have grown to, by the times of the blocks."""

from tests.transport.test_heads import Scene


def test_the_endpoint_in_use_is_not_believed_when_it_leaps() -> None:
    scene = Scene(3)
    scene.sees(0, 100, age=2)
    scene.pass_time(5)
    assert scene.sees(0, 1_000, age=0) == "bad_response"
    assert scene.sees(1, 101, age=1) is None
    assert scene.pool.best_head == 101


def test_a_leap_that_a_second_one_shows_too_is_believed() -> None:
    scene = Scene(3)
    scene.sees(0, 100, age=2)
    scene.pass_time(5)
    assert scene.sees(1, 1_000, age=1) == "bad_response"
    assert scene.sees(2, 1_001, age=0) is None
    assert scene.pool.best_head == 1_001
    assert scene.sees(0, 101, age=1) == "stale_head"
    assert scene.sees(1, 1_002, age=0) is None


def test_the_same_one_again_is_no_second_one() -> None:
    scene = Scene(3)
    scene.sees(0, 100, age=2)
    assert scene.sees(1, 1_000, age=1) == "bad_response"
    assert scene.sees(1, 1_001, age=0) == "bad_response"


def test_two_that_leapt_at_different_times_do_not_agree() -> None:
    scene = Scene(3)
    scene.sees(0, 100, age=2)
    assert scene.sees(1, 1_000, age=1) == "bad_response"
    scene.pass_time(30)
    scene.sees(0, 102, age=2)
    assert scene.sees(2, 1_001, age=0) == "bad_response"


def test_a_head_after_an_old_one_may_be_far_above_it() -> None:
    scene = Scene(3)
    scene.sees(0, 100, age=1_200)
    assert scene.sees(1, 700, age=1) is None
    assert scene.pool.best_head == 700


def test_growth_in_a_quiet_time_is_no_leap() -> None:
    scene = Scene(3)
    scene.sees(0, 100, age=1)
    scene.pass_time(3_600)
    assert scene.sees(0, 100 + 3_600 * 10, age=1) is None

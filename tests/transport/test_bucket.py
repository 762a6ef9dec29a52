"""The bucket: no limit until one is shown, then below what was refused, and slowly up again."""

import pytest
from tests.transport.clock import Clock

from balance_tracker.transport.bucket import GROW_EVERY_SECONDS, RATE, RATE_SECONDS, Bucket
from balance_tracker.transport.memory import Memory


class Scene:
    def __init__(self) -> None:
        self.clock = Clock()
        self.memory = Memory(self.clock)
        self.bucket = Bucket(self.memory, self.clock)

    def send(self, count: int, within_seconds: float = 0.0) -> None:
        for _ in range(count):
            assert self.bucket.take(60.0) is not None
            self.clock.move(within_seconds / count)

    def paced(self, seconds: float) -> int:
        """How many requests go out in so many seconds when each waits its turn."""
        end = self.clock() + seconds
        sent = 0
        while (wait := self.bucket.take(60.0)) is not None and self.clock() + wait < end:
            self.clock.move(wait)
            sent += 1
        return sent


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_nothing_waits_where_no_limit_was_shown(scene: Scene) -> None:
    waits = [scene.bucket.take(0.0) for _ in range(500)]
    assert waits == [0.0] * 500
    assert scene.bucket.rate is None
    assert scene.memory.shown() == {}


def test_a_refusal_sets_the_rate_below_what_was_refused(scene: Scene) -> None:
    scene.send(10, within_seconds=0.9)
    scene.bucket.refused(scene.clock())
    assert scene.bucket.rate == pytest.approx(7.0)
    assert scene.memory.shown() == {RATE: "7.00"}
    assert 60 <= scene.paced(10.0) <= 75


def test_requests_that_were_refused_together_are_one_refusal(scene: Scene) -> None:
    scene.send(10)
    sent_at = scene.clock()
    scene.clock.move(0.1)
    for _ in range(10):
        scene.bucket.refused(sent_at)
    assert scene.bucket.rate == pytest.approx(7.0)


def test_each_further_refusal_halves_the_rate(scene: Scene) -> None:
    scene.send(10)
    rates = []
    for _ in range(3):
        scene.bucket.refused(scene.clock())
        rates.append(scene.bucket.rate)
        scene.clock.move(1.0)
    assert rates == pytest.approx([7.0, 3.5, 1.75])


def test_a_turn_that_comes_too_late_is_not_taken(scene: Scene) -> None:
    scene.send(1)
    scene.bucket.refused(scene.clock())
    assert scene.bucket.take(0.5) is None
    wait = scene.bucket.take(5.0)
    assert wait == pytest.approx(1 / 0.7)
    assert scene.bucket.take(5.0) == pytest.approx(2 / 0.7)


@pytest.mark.parametrize("pause", [0.0, 1.0, 30.0, 86_400.0])
def test_a_pause_that_was_asked_for_is_obeyed_exactly(scene: Scene, pause: float) -> None:
    scene.bucket.pause(pause)
    assert scene.bucket.paused_seconds == pause
    if pause:
        assert scene.bucket.take(pause - 0.001) is None
    assert scene.bucket.take(pause) == pause
    scene.clock.move(pause)
    assert scene.bucket.paused_seconds == 0.0
    assert scene.bucket.take(0.0) == 0.0


def test_a_shorter_pause_does_not_cut_a_longer_one(scene: Scene) -> None:
    scene.bucket.pause(30.0)
    scene.bucket.pause(1.0)
    assert scene.bucket.paused_seconds == 30.0


def test_the_rate_grows_slowly_when_all_goes_well_and_is_forgotten_when_it_is_no_limit(scene: Scene) -> None:
    scene.send(10)
    scene.bucket.refused(scene.clock())
    scene.bucket.went_well()
    assert scene.bucket.rate == pytest.approx(7.0)
    scene.clock.move(GROW_EVERY_SECONDS)
    for _ in range(20):
        scene.bucket.went_well()
    assert scene.bucket.rate == pytest.approx(7.5)
    for _ in range(100):
        scene.clock.move(GROW_EVERY_SECONDS)
        scene.bucket.went_well()
    assert scene.bucket.rate is None
    assert scene.memory.shown() == {}


def test_a_learnt_rate_survives_and_expires(scene: Scene) -> None:
    scene.send(10)
    scene.bucket.refused(scene.clock())
    again = Bucket(scene.memory, scene.clock)
    assert again.rate == pytest.approx(7.0)
    scene.clock.move(RATE_SECONDS)
    again.went_well()
    assert again.rate is None
    assert Bucket(scene.memory, scene.clock).rate is None


@pytest.mark.parametrize("kept", ["nonsense", "-3", "nan", "inf", 0])
def test_a_kept_rate_that_is_none_is_not_used(scene: Scene, kept: str | int) -> None:
    scene.memory.put(RATE, kept, 60.0)
    assert Bucket(scene.memory, scene.clock).rate is None


def test_no_endpoint_is_slowed_to_a_standstill(scene: Scene) -> None:
    for _ in range(50):
        scene.bucket.refused(scene.clock())
        scene.clock.move(1.0)
    assert scene.bucket.rate == pytest.approx(0.1)


def test_as_many_as_a_minute_allows_go_at_once_and_no_more_within_it() -> None:
    clock = Clock()
    bucket = Bucket(Memory(clock), clock)
    bucket.per_minute = 3
    assert [bucket.take(1.0) for _ in range(4)] == [0.0, 0.0, 0.0, None]
    clock.move(20)
    assert bucket.wait_seconds == 40
    assert bucket.take(50.0) == 40
    clock.move(45)
    assert [bucket.take(1.0) for _ in range(3)] == [0.0, 0.0, None]

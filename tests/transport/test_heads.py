"""Heads: who is behind, and who is not believed."""

from collections.abc import Callable

import pytest
from tests.transport.clock import Clock

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.endpoint import Endpoint
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.pool import Pool

TIME = 1_780_000_000


class Scene:
    """A pool whose endpoints never answer: a test says what heads they show."""

    def __init__(self, endpoints: int, stale_behind: int = 5) -> None:
        self.clock = Clock()
        self.wall = Clock(TIME)
        http = HttpClient()
        self.endpoints = [
            Endpoint("base", f"https://{number}.example", http, 1.0, clock=self.clock)
            for number in range(endpoints)
        ]
        self.pool = Pool("base", self.endpoints, stale_behind, clock=self.clock, now=self.wall)

    def pass_time(self, seconds: float) -> None:
        self.clock.move(seconds)
        self.wall.move(seconds)

    def sees(self, place: int, number: int, age: float | None = None) -> str | None:
        """An endpoint shows a head so many seconds old; the code of the error, if it is refused."""
        timestamp = None if age is None else int(self.wall() - age)
        endpoint = self.endpoints[place]
        try:
            self.pool.saw_head(endpoint, number, timestamp)
        except UpstreamError as error:
            endpoint.failed(error)
            return error.code
        endpoint.succeeded()
        return None


def test_the_highest_head_is_the_best() -> None:
    scene = Scene(2)
    assert scene.sees(0, 100) is None
    assert scene.sees(1, 103) is None
    assert scene.pool.best_head == 103


@pytest.mark.parametrize(("stale_behind", "behind"), [(5, 5), (150, 150)])
def test_an_endpoint_may_be_so_far_behind_and_no_further(stale_behind: int, behind: int) -> None:
    scene = Scene(2, stale_behind)
    scene.sees(0, 1_000)
    assert scene.sees(1, 1_000 - behind) is None
    assert scene.sees(1, 999 - behind) == "stale_head"
    assert scene.pool.health()[1].state == "stale"
    assert scene.pool.health()[1].blocks_behind == behind + 1


def test_an_endpoint_that_was_not_asked_for_long_is_not_behind() -> None:
    scene = Scene(2)
    scene.sees(1, 100)
    for number in range(100, 400, 10):
        scene.pass_time(20)
        scene.sees(0, number)
    assert scene.endpoints[1].standing.behind == 0


def test_a_frozen_endpoint_is_stale_while_the_others_go_on() -> None:
    scene = Scene(2)
    codes = []
    for step in range(4):
        scene.sees(0, 100 + 3 * step)
        codes.append(scene.sees(1, 100))
        scene.pass_time(6)
    assert codes == [None, None, "stale_head", "stale_head"]


@pytest.mark.parametrize("age", [None, -10_000.0])
def test_a_single_endpoint_is_taken_at_its_word(age: float | None) -> None:
    scene = Scene(1)
    assert scene.sees(0, 10**9, age) is None
    assert scene.pool.best_head == 10**9
    scene.pool.floor = 10**9
    assert scene.pool.floor == 10**9


def test_a_head_from_the_future_does_not_count() -> None:
    scene = Scene(3)
    assert scene.sees(0, 10**9, age=-61) is None
    scene.pool.floor = 10**9
    assert (scene.pool.best_head, scene.pool.floor) == (0, 0)
    assert scene.sees(1, 100, age=2) is None
    scene.pool.floor = 100
    assert (scene.pool.best_head, scene.pool.floor) == (100, 100)
    assert scene.sees(0, 10**9, age=-61) == "bad_response"
    [liar] = [health for health in scene.pool.health() if health.name == "0.example"]
    assert liar.state == "resting"
    assert liar.last_error == "Its head's time lies in the future."
    assert scene.pool.best_head == 100


def test_a_little_ahead_of_our_clock_is_no_future() -> None:
    scene = Scene(3)
    scene.sees(0, 100, age=0)
    assert scene.sees(1, 101, age=-59) is None
    assert scene.pool.best_head == 101


def test_a_network_whose_clock_runs_ahead_is_believed_when_two_say_so() -> None:
    scene = Scene(2)
    assert scene.sees(0, 100, age=-120) is None
    assert scene.sees(1, 101, age=-122) is None
    assert scene.sees(0, 101, age=-122) is None
    scene.pool.floor = 101
    assert (scene.pool.best_head, scene.pool.floor) == (101, 101)


def test_a_head_that_two_others_do_not_see_is_refused() -> None:
    scene = Scene(3)
    scene.sees(0, 100, age=2)
    scene.sees(1, 101, age=1)
    assert scene.sees(2, 1_000, age=0) == "bad_response"
    assert scene.pool.best_head == 101
    assert scene.sees(0, 101, age=2) is None


def test_one_other_is_not_enough_to_refuse_a_head() -> None:
    scene = Scene(3)
    scene.sees(0, 100)
    assert scene.sees(1, 1_000) is None
    assert scene.pool.best_head == 1_000


def test_growth_since_the_others_were_seen_is_no_lie() -> None:
    scene = Scene(3)
    scene.sees(0, 100)
    scene.sees(1, 100)
    scene.pass_time(8)
    assert scene.sees(2, 130) is None
    assert scene.pool.best_head == 130


def test_two_old_ones_do_not_outvote_one_that_is_up_to_date() -> None:
    scene = Scene(3)
    scene.sees(0, 100, age=1_200)
    scene.sees(1, 100, age=1_200)
    assert scene.sees(2, 700, age=1) is None
    assert scene.pool.best_head == 700
    assert scene.sees(0, 100, age=1_200) == "stale_head"
    assert scene.sees(1, 100, age=1_200) == "stale_head"
    assert scene.pool.best_head == 700


@pytest.mark.parametrize("order", [lambda codes: codes, lambda codes: codes[::-1]])
def test_a_liar_that_came_first_is_unmasked_by_two_that_agree(
    order: Callable[[list[int]], list[int]],
) -> None:
    scene = Scene(3)
    assert scene.sees(0, 10**6, age=0) is None
    scene.pool.floor = 10**6
    second, third = order([1, 2])
    assert scene.sees(second, 100, age=2) == "stale_head"
    assert scene.sees(third, 101, age=1) is None
    assert (scene.pool.best_head, scene.pool.floor) == (101, 101)
    states = {health.name: health.state for health in scene.pool.health()}
    assert states["0.example"] == "resting"
    assert states[f"{third}.example"] == "healthy"
    assert scene.sees(second, 102, age=1) is None
    assert scene.sees(0, 10**6, age=0) == "bad_response"
    assert scene.pool.best_head == 102


def test_who_was_called_stale_because_of_a_liar_is_asked_again_at_once() -> None:
    scene = Scene(3)
    scene.sees(0, 10**6)
    scene.sees(1, 100)
    scene.sees(2, 100)
    assert [endpoint.breaker.state for endpoint in scene.endpoints] == ["open", "closed", "closed"]

"""The simulator of endpoints does what its conditions say, in front of a real node."""

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from benchmarks.scene import Scene, bench_node
from benchmarks.simulator import ONLY_MULTICALL, Conditions, SimulatedEndpoint, Simulator
from benchmarks.truth import NATIVE, raw_amount, token_address, wallet_address

pytestmark = pytest.mark.integration

ENDLESS = "0x5b600056"
BALANCE = {"to": token_address(0), "data": "0x70a08231" + wallet_address(0)[2:].rjust(64, "0")}
HELD = raw_amount(0, 1)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with bench_node(wallets=10) as node:
        yield node


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as one:
        yield one


def call(*params: Any, method: str = "eth_call", number: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


ASKED = call(BALANCE, "latest")
OVERRIDDEN = call(BALANCE, "latest", {token_address(0): {"code": ENDLESS}}, number=2)
DEPLOYLESS = call({"data": "0x60206000f3"}, "latest", number=3)


class Client:
    """One connection, kept open."""

    def __init__(self, endpoint: SimulatedEndpoint) -> None:
        self._connection = HTTPConnection(endpoint.url.removeprefix("http://"))

    def post(self, body: Any) -> tuple[int, str | None, Any]:
        """The status, how long to wait, and the answer."""
        self._connection.request("POST", "/", json.dumps(body))
        response = self._connection.getresponse()
        text = response.read()
        is_json = response.headers["content-type"] == "application/json"
        return response.status, response.headers["retry-after"], json.loads(text) if is_json else text

    def timed(self, body: Any) -> float:
        """Seconds of one request."""
        started = time.perf_counter()
        assert self.post(body)[0] == 200
        return time.perf_counter() - started

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def opened(scene: Scene, simulator: Simulator) -> Iterator[Any]:
    things: list[Any] = []

    def open_one(conditions: Conditions | None = None) -> tuple[SimulatedEndpoint, Client]:
        endpoint = simulator.open(scene.url, conditions)
        client = Client(endpoint)
        things.extend((client, endpoint))
        return endpoint, client

    yield open_one
    for thing in things:
        thing.close()


def test_without_conditions_all_passes_and_is_counted(opened: Any) -> None:
    endpoint, client = opened()
    asked = call(wallet_address(0), "latest", method="eth_getBalance")
    status, _, answer = client.post([ASKED, asked])
    assert status == 200
    assert [int(item["result"], 16) for item in answer] == [HELD, raw_amount(0, NATIVE)]
    traffic = endpoint.traffic()
    assert (traffic.connections, traffic.requests, traffic.calls) == (1, 1, 2)
    assert traffic.body_up == len(json.dumps([ASKED, asked]))
    assert traffic.bytes_up > traffic.body_up
    assert traffic.bytes_down > traffic.body_down > 2 * 64
    endpoint.reset()
    assert endpoint.traffic().requests == 0


def test_a_round_trip_delays_each_request_and_a_new_connection_costs_two_more(opened: Any) -> None:
    _, client = opened(Conditions(round_trip_seconds=0.04))
    assert 0.12 <= client.timed(ASKED) < 0.5
    assert 0.04 <= client.timed(ASKED) < 0.3


def test_bandwidth_is_capped_in_both_directions(opened: Any) -> None:
    endpoint, client = opened(Conditions(bits_per_second=50_000))
    seconds = client.timed(ASKED)
    traffic = endpoint.traffic()
    assert seconds >= 8 * (traffic.bytes_up + traffic.bytes_down) / 50_000


def test_an_empty_bucket_answers_429_and_says_how_long_to_wait(opened: Any) -> None:
    endpoint, client = opened(Conditions(requests_per_second=2))
    assert [client.post(ASKED)[:2] for _ in range(3)] == [(200, None), (200, None), (429, "1")]
    assert endpoint.traffic().too_many == 1
    endpoint.reset()
    assert client.post(ASKED)[0] == 200


def test_gas_is_capped_whatever_a_call_asks_for(opened: Any) -> None:
    _, client = opened(Conditions(gas=1_000_000))
    asked = call({**BALANCE, "gas": hex(40_000_000)}, "latest", {token_address(0): {"code": ENDLESS}})
    assert client.post(asked)[2]["error"]["message"] == "out of gas (supplied gas 1000000)"
    assert int(client.post(ASKED)[2]["result"], 16) == HELD


def test_bodies_and_batches_are_capped(opened: Any) -> None:
    endpoint, client = opened(Conditions(body_bytes=1_000, batch=3))
    assert client.post([ASKED] * 2)[0] == 200
    assert client.post([call()] * 4)[2]["error"]["message"] == "batch too large"
    assert client.post([ASKED] * 9)[0] == 413
    assert endpoint.traffic().refused == 2


def test_overrides_and_code_of_ours_are_refused_beside_calls_that_pass(opened: Any) -> None:
    _, client = opened(ONLY_MULTICALL)
    answers = {item["id"]: item for item in client.post([DEPLOYLESS, OVERRIDDEN, ASKED])[2]}
    assert int(answers[1]["result"], 16) == HELD
    assert "too many arguments" in answers[2]["error"]["message"]
    assert "argument" in answers[3]["error"]["message"]


def test_overrides_can_be_dropped_without_a_word(opened: Any) -> None:
    _, client = opened(Conditions(overrides="ignored"))
    assert int(client.post(OVERRIDDEN)[2]["result"], 16) == HELD


def test_bodies_are_kept_where_that_is_asked_for(opened: Any) -> None:
    endpoint, client = opened(Conditions(record=True))
    client.post(ASKED)
    assert endpoint.bodies() == [json.dumps(ASKED)]

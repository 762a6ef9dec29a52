"""Log lines: structured, on stderr, without secrets."""

import json
import logging
from collections.abc import Iterator

import pytest

from balance_tracker.telemetry.logging import configure, get_logger, request_context


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    names = ("balance_tracker", "uvicorn", "uvicorn.error", "asyncio")
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).level) for name in names}
    yield
    for name, (handlers, level) in before.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = True


def test_a_json_line_has_event_level_time_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    get_logger("balance_tracker.sample").info("endpoint_failed", network="base", elapsed_seconds=4.1)
    captured = capsys.readouterr()
    line = json.loads(captured.err)
    assert captured.out == ""
    assert (line["event"], line["network"], line["level"]) == ("endpoint_failed", "base", "info")
    assert line["timestamp"].endswith("Z")


def test_secrets_are_struck_out_of_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    get_logger("sample").warning(
        "endpoint_failed",
        url="https://node.example/v3/key-1",
        tried=["wss://b.example/key-2"],
        details={"why": "http://c.example/key-3"},
        error=ValueError("https://d.example/key-4"),
    )
    text = capsys.readouterr().err
    assert "key-" not in text
    assert "node.example" in text


def test_a_traceback_is_redacted_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    try:
        raise ValueError("https://node.example/v3/key-1")
    except ValueError:
        get_logger("sample").exception("read_failed")
    text = capsys.readouterr().err
    assert "ValueError" in text
    assert "key-1" not in text


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure("console", "warning")
    logger = get_logger("sample")
    logger.info("request_answered")
    logger.warning("endpoint_failed")
    text = capsys.readouterr().err
    assert "endpoint_failed" in text
    assert "request_answered" not in text


def test_every_line_of_a_request_carries_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    with request_context(request_id="r-1"):
        get_logger("sample").info("network_read")
    assert json.loads(capsys.readouterr().err)["request_id"] == "r-1"


def test_lines_of_other_libraries_have_the_same_shape(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    logging.getLogger("uvicorn.error").info("Started at %s", "https://node.example/key-1")
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "Started at node.example"


def test_a_library_user_who_configured_nothing_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    get_logger("sample").info("network_read")
    get_logger("sample").warning("network_read", status="failed")
    assert capsys.readouterr() == ("", "")

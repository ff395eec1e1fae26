"""Logs: one line for an event, for people or machines, and no secret in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from wheelmark.server.logs import REDACTED, configure_logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, handlers = logging.getLogger(), list(logging.getLogger().handlers)
    level = root.level
    stream = io.StringIO()
    configure_logs("json", process="test", stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(stream: io.StringIO) -> dict[str, object]:
    [line] = stream.getvalue().splitlines()
    event: dict[str, object] = json.loads(line)
    return event


def test_event_is_one_json_line_that_names_its_process(stream: io.StringIO) -> None:
    structlog.get_logger("x").info("published", snapshot=7, text="two\nlines")
    event = logged(stream)
    assert (event["event"], event["snapshot"], event["process"], event["level"]) == ("published", 7, "test", "info")


def test_library_that_uses_the_standard_module_comes_out_the_same_way(stream: io.StringIO) -> None:
    logging.getLogger("django.request").warning("Not Found: %s", "/x", extra={"status_code": 404})
    event = logged(stream)
    assert (event["event"], event["status_code"], event["process"]) == ("Not Found: /x", 404, "test")


def test_threshold_that_is_met_without_everybody_is_no_news(stream: io.StringIO) -> None:
    logging.getLogger("tuf.api._payload").info("No signature for keyid %s", "ab" * 32)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", "hunter2-hunter2"),
        ("Authorization", "hunter2-hunter2"),
        ("api_key", "hunter2-hunter2"),
        ("form", {"otp": "hunter2-hunter2", "user": "ada"}),
        ("header", "Basic aHVudGVyMi1odW50ZXIy"),
        ("text", "uploading with pypi-hunter2hunter2hunter2hunter2 failed"),
        ("address", "postgresql://ada:hunter2-hunter2@db.invalid/index"),
        ("items", ["Bearer hunter2-hunter2"]),
    ],
)
def test_no_secret_gets_in(stream: io.StringIO, name: str, value: object) -> None:
    structlog.get_logger("x").info("event", **{name: value})
    assert REDACTED in stream.getvalue()
    for secret in ("hunter2", "aHVudGVyMi1"):
        assert secret not in stream.getvalue()


def test_secret_in_the_message_of_an_exception_does_not_get_in(stream: io.StringIO) -> None:
    try:
        raise ValueError("cannot log in with pypi-hunter2hunter2hunter2hunter2")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    assert "ValueError" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_control_characters_do_not_reach_the_terminal(stream: io.StringIO) -> None:
    stream_console = io.StringIO()
    configure_logs("console", process="test", stream=stream_console)
    structlog.get_logger("y").warning("refused", path="/\x1b[2Jdemo")
    assert "\x1b[2J" not in stream_console.getvalue()
    assert "refused" in stream_console.getvalue()

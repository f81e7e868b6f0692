"""Log lines, on a stream and in a file."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from devteam.mesh.logs import _formatter, _Seldom, configure_logs, log_to_file, set_level
from tests.fakes.clock import FakeClock


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What is logged; afterwards everything is as it was."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    configure_logs("test", level="WARNING", stream=stream)
    yield stream
    for handler in root.handlers:
        with suppress(OSError):  # the disk that is full still is
            handler.close()
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_level_that_changes_counts_for_loggers_that_are_in_use(said: io.StringIO) -> None:
    log = structlog.get_logger()
    for level in ("WARNING", "INFO", "ERROR"):
        set_level(level)
        log.info("info", at=level)
        log.warning("warning", at=level)
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [(line["event"], line["at"]) for line in lines] == [
        ("warning", "WARNING"),
        ("info", "INFO"),
        ("warning", "INFO"),
    ]


def test_a_file_has_every_line_from_then_on_and_is_put_aside_when_it_is_full(said: io.StringIO, tmp_path: Path) -> None:
    log = structlog.get_logger()
    log.warning("before")
    log_to_file("test", tmp_path / "w.log", file_bytes=1000)
    for number in range(100):
        log.warning("told", number=number)
    parts = [tmp_path / name for name in ("w.log.2", "w.log.1", "w.log")]
    assert sorted(tmp_path.iterdir()) == sorted(parts)
    lines = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    numbers = [line["number"] for line in lines]
    assert numbers == list(range(numbers[0], 100))
    assert all(part.stat().st_size <= 1000 for part in parts)
    assert len(said.getvalue().splitlines()) == 101


def test_a_full_disk_costs_the_file_its_lines_and_nothing_else(
    said: io.StringIO, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "w.log").symlink_to("/dev/full")
    log_to_file("test", tmp_path / "w.log")
    structlog.get_logger().warning("told")
    assert '"event": "told"' in said.getvalue()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_variable(*, as_json: bool) -> None:
    """They may hold keys and prompts."""

    def fail(key: str) -> None:
        raise ValueError(len(key))

    try:
        fail("sk-canary-" + "4711")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "broke", None, (type(error), error, error.__traceback__))
    line = _formatter("test", as_json=as_json).format(record)
    assert "ValueError" in line
    assert "canary-4711" not in line


@pytest.mark.parametrize("sdk", ["anthropic._base_client", "openai._base_client", "ollama", "httpx"])
def test_what_sdks_say_of_their_requests_is_not_written_at_any_level(said: io.StringIO, sdk: str) -> None:
    set_level("DEBUG")
    logging.getLogger(sdk).debug("Request options: %s", {"messages": ["the prompt"]})
    logging.getLogger(sdk).info("HTTP Request: %s", "POST")
    logging.getLogger(sdk).warning("Retrying")
    assert [json.loads(line)["event"] for line in said.getvalue().splitlines()] == ["Retrying"]


def test_a_collector_that_is_away_is_told_of_once_for_spans_and_once_for_metrics(said: io.StringIO) -> None:
    log = logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter")
    for _ in range(10):
        log.warning("Transient error %s encountered while exporting %s", "UNAVAILABLE", "traces")
        log.error("Failed to export %s to %s", "traces", "nowhere")
        log.error("Failed to export %s to %s", "metrics", "nowhere")
    events = [json.loads(line)["event"] for line in said.getvalue().splitlines()]
    assert events == ["Failed to export traces to nowhere", "Failed to export metrics to nowhere"]


def test_a_collector_that_stays_away_is_told_of_again_after_a_while() -> None:
    clock = FakeClock()
    seldom = _Seldom(clock.monotonic)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "Failed to export %s", ("traces",), None)
    told = []
    for _ in range(3):
        told.append(seldom.filter(record))
        clock.advance(200)
    assert told == [True, False, True]

"""Data on stdout."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from devteam_cli import output
from devteam_cli.output import Output

from devteam.events import AttemptStarted, Interrupted, TextToken, ThinkingToken, Tokens, ToolCall
from devteam.models import QueueInfo, WorkerInfo, WorkerStatus


def test_values_become_what_json_has() -> None:
    """States as text, moments in ISO 8601, lengths of time in seconds."""
    worker = WorkerInfo(
        id="w",
        status=WorkerStatus.LOST,
        queues=("a", "b"),
        last_heartbeat=datetime(2026, 11, 22, 12, tzinfo=UTC),
        uptime=timedelta(minutes=1),
    )
    shown = output.members(worker)
    assert shown["status"] == "lost"
    assert shown["queues"] == ["a", "b"]
    assert shown["last_heartbeat"] == "2026-11-22T12:00:00Z"
    assert shown["uptime"] == 60.0
    assert shown["registered_at"] is None


def test_an_event_is_one_line_that_names_itself(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_event(AttemptStarted("t", "a", 2, "lost"))
    output.write_event(Interrupted("gone"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"event": "attempt_started", "task_id": "t", "step_id": "a", "attempt": 2, "reason": "lost"},
        {"event": "interrupted", "reason": "gone"},
    ]


def test_tokens_say_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_event(Tokens("t", "a", 1, 1, (ThinkingToken("hm"), TextToken("yes"), ToolCall("1", "web", "{}"))))
    assert json.loads(capsys.readouterr().out)["tokens"] == [
        {"type": "thinking", "text": "hm"},
        {"type": "text", "text": "yes"},
        {"type": "tool_call", "call_id": "1", "name": "web", "arguments": "{}"},
    ]


def test_many_things_are_an_array_or_lines(capsys: pytest.CaptureFixture[str]) -> None:
    queues = [QueueInfo(name="a"), QueueInfo(name="b")]
    output.write_items(Output.JSON, queues)
    assert [queue["name"] for queue in json.loads(capsys.readouterr().out)] == ["a", "b"]
    output.write_items(Output.JSONL, queues)
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == ["a", "b"]


def test_json_holds_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    """And still says exactly what was said."""
    output.write_line({"text": "\x1b[31m \x9b31m ä"})
    written = capsys.readouterr().out
    assert written == '{"text": "\\u001b[31m \\u009b31m ä"}\n'
    assert json.loads(written) == {"text": "\x1b[31m \x9b31m ä"}

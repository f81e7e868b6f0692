"""What goes over the wire can be said there, whatever a model server made of it."""

import math
from typing import Any

import pytest
from devteam_worker.convert.reports import report_to_proto
from devteam_worker.convert.router import word_to_proto
from devteam_worker.domain import AttemptId, Cancelled, Completed, Failed, HandBackReason, HandedBack, Outcome
from devteam_worker.providers.base import FailureReason, Progress, Text, Thinking, Token, ToolCall, ToolResult, Usage
from devteam_worker.speech import speakable, tellable
from devteam_worker.words import Report, Spoken

T1 = AttemptId("t1", 1)
ODD: Any = 7


@pytest.mark.parametrize(
    ("token", "spoken"),
    [
        (Text("plain"), Text("plain")),
        (Text("é 🎈"), Text("é 🎈")),
        (Text("half \ud83d"), Text("half ?")),
        (Thinking("\udc00"), Thinking("?")),
        (Progress("\udc00"), Progress("?")),
        (ToolCall("c\ud83d", "n", '{"a": "\udc00"}'), ToolCall("c?", "n", '{"a": "?"}')),
        (ToolResult("c", "\udc00", is_error=True, source="s"), ToolResult("c", "?", is_error=True, source="s")),
    ],
)
def test_half_a_character_becomes_a_question_mark(token: Token, spoken: Token) -> None:
    assert speakable(token) == spoken
    word_to_proto(Spoken(T1, 1, [speakable(token)])).SerializeToString()


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Completed("sim", "m", "end", Usage(1, 2, 3, 4, 0.5)), Completed("sim", "m", "end", Usage(1, 2, 3, 4, 0.5))),
        (Completed("openai", "m\ud83d", ODD), Completed("openai", "m?", "7")),
        (Completed("openai", "m", "s", Usage(2**70, -1, ODD, 0)), Completed("openai", "m", "s", Usage(2**53, 0, 7, 0))),
        (Completed("openai", "m", "s", Usage(cost_usd=math.inf)), Completed("openai", "m", "s", Usage())),
        (
            Failed(FailureReason.REFUSED, "\udc00" * 10_000, retry_after=math.nan),
            Failed(FailureReason.REFUSED, "?" * 4_000),
        ),
        (
            HandedBack(HandBackReason.RATE_LIMITED, "wait", 1e30),
            HandedBack(HandBackReason.RATE_LIMITED, "wait", 86_400.0),
        ),
        (Cancelled(0.5), Cancelled(0.5)),
        (Cancelled(0.5, Usage(2**70, -1, ODD, 0)), Cancelled(0.5, Usage(2**53, 0, 7, 0))),
        (
            HandedBack(HandBackReason.DRAINING, "bye", usage=Usage(-1, 2, cost_usd=math.nan)),
            HandedBack(HandBackReason.DRAINING, "bye", usage=Usage(0, 2)),
        ),
    ],
)
def test_an_outcome_is_told_in_words_and_numbers_that_a_report_can_hold(outcome: Outcome, told: Outcome) -> None:
    assert tellable(outcome) == told
    report_to_proto(Report(T1, 1, tellable(outcome))).SerializeToString()

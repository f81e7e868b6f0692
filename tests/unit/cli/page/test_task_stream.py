"""One task as a browser is told of it."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from devteam_cli.page.task_stream import joined, task_messages

from devteam.errors import Unavailable
from devteam.events import (
    AttemptStarted,
    Event,
    Interrupted,
    TextToken,
    ThinkingToken,
    Token,
    Tokens,
    ToolCall,
    ToolResult,
)


def test_text_that_follows_text_is_one_and_what_differs_stays_apart() -> None:
    call, result = ToolCall("c", "search", "{}"), ToolResult("c", "found")
    tokens: list[Token] = [
        ThinkingToken("a"),
        ThinkingToken("b"),
        TextToken("c"),
        TextToken("d"),
        call,
        result,
        TextToken("e"),
    ]
    assert joined(tokens) == [ThinkingToken("ab"), TextToken("cd"), call, result, TextToken("e")]


async def test_a_stream_begins_tells_and_ends() -> None:
    told = await messages(
        AttemptStarted("t", "", 2, "worker w1 was lost"),
        Tokens("t", "", 2, 1, (TextToken("line\n"), TextToken("two"))),
        Interrupted("connection refused"),
    )
    assert told == [
        ("begin", {}),
        ("attempt", {"task_id": "t", "step_id": "", "attempt": 2, "reason": "worker w1 was lost"}),
        ("tokens", {"attempt": 2, "tokens": [{"type": "text", "text": "line\ntwo"}]}),
        ("interrupted", {"reason": "connection refused"}),
        ("end", {}),
    ]


async def test_a_task_that_cannot_be_watched_any_more_says_why_and_has_not_ended() -> None:
    first = AttemptStarted("t", "", 1, "first attempt")
    told = await messages(first, error=Unavailable("cannot reach the mesh", reason="UNREACHABLE"))
    name, words = told[-1]
    assert (name, words["error"]) == ("failed", "cannot reach the mesh")
    assert "devteam up" in words["advice"]


async def messages(first: Event, *others: Event, error: Exception | None = None) -> list[tuple[str, Any]]:
    """What is sent, in order: the name of each event and its data."""

    async def events() -> AsyncGenerator[Event, None]:
        for event in others:
            yield event
        if error is not None:
            raise error

    return [parsed(sent) async for sent in task_messages(first, events())]


def parsed(sent: bytes) -> tuple[str, Any]:
    event, data, *rest = sent.decode().split("\n")
    assert rest == ["", ""]
    return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))

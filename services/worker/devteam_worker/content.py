"""What was asked and said, for spans: kept out of them unless whoever runs the worker wants it there.

The form is that of OpenTelemetry's conventions for generative AI. Everything is bounded: a span is no archive, and what
its store would cut is no JSON any more.
"""

import json
from collections.abc import Mapping

from devteam_worker.providers.base import Prompt, Text, Thinking, Token, ToolCall, ToolResult

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
# The conventions know events too; of those there are none here.
_WANTED = frozenset({"true", "span_only", "span_and_event"})

# Characters of one text, and how many texts of one kind there are in a span: the newest.
_LONGEST_TEXT = 4_000
_MOST_PARTS = 16
# Of all of them together: texts get shorter until they fit. The store of spans takes so much.
MAX_BYTES = 32 * 1024

_Part = dict[str, object]


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether spans shall hold what was asked and said."""
    return environ.get(VARIABLE, "").strip().lower() in _WANTED


def cut(text: str, longest: int = _LONGEST_TEXT) -> str:
    """As much of a text as a span may hold."""
    return text if len(text) <= longest else f"{text[:longest]}..."


def called_with(arguments: str) -> str:
    """The arguments of a tool as the model wrote them; as a JSON string their beginning, if they are long."""
    return arguments if len(arguments) <= _LONGEST_TEXT else _json(arguments)


def instructions(prompt: Prompt) -> str:
    """The system prompt, as JSON."""
    return _json([_text(prompt.system_prompt)])


def asked(prompt: Prompt) -> str:
    """The prompt, and what tools have answered since, as JSON. What the model said is in the spans of its turns."""
    results = [_result(result) for turn in prompt.turns for result in turn.results]
    told = [{"role": "tool", "parts": [result]} for result in results[-_MOST_PARTS:]]
    return _json([{"role": "user", "parts": [_text(prompt.prompt)]}, *told])


class Saying:
    """What a model says in one turn."""

    def __init__(self) -> None:
        self._parts = list[_Part]()

    def add(self, token: Token) -> None:
        """It goes on."""
        match token:
            case Text(text):
                self._go_on("text", text)
            case Thinking(text):
                self._go_on("reasoning", text)
            case ToolCall(call_id, name, arguments):
                self._parts.append({"type": "tool_call", "id": call_id, "name": name, "arguments": cut(arguments)})
            case ToolResult():
                self._parts.append(_result(token))

    def told(self, stop_reason: str) -> str:
        """All of it, as JSON."""
        return _json([{"role": "assistant", "parts": self._parts[-_MOST_PARTS:], "finish_reason": stop_reason}])

    def _go_on(self, kind: str, text: str) -> None:
        if self._parts and self._parts[-1]["type"] == kind:
            text = f"{self._parts.pop()['content']}{text}"
        self._parts.append({"type": kind, "content": cut(text)})


def _text(text: str) -> _Part:
    return {"type": "text", "content": cut(text)}


def _result(result: ToolResult) -> _Part:
    return {"type": "tool_call_response", "id": result.call_id, "response": cut(result.content)}


def _json(value: object) -> str:
    """The value in at most MAX_BYTES, with texts that are as long as that allows."""
    longest = _LONGEST_TEXT
    while True:
        told = json.dumps(_shortened(value, longest), ensure_ascii=False)
        if not longest or len(told.encode(errors="replace")) <= MAX_BYTES:
            return told
        longest = longest * 3 // 4


def _shortened(value: object, longest: int) -> object:
    match value:
        case str():
            return cut(value, longest)
        case list():
            return [_shortened(part, longest) for part in value]
        case dict():
            return {key: _shortened(part, longest) for key, part in value.items()}
    return value

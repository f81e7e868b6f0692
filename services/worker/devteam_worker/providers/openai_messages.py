"""A prompt as OpenAI's chat API wants it, and what the model said as it wants that back."""

import json
from typing import Any, cast

from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

from devteam_worker.providers.base import Prompt, Text, Thinking, Token, ToolCall, ToolResult, Turn
from devteam_worker.providers.chat_prompt import content_of, messages_of, tool_of
from devteam_worker.providers.options import plain

# Handed on as they are; the rest of a task's options is meant for other providers.
_PASSED_ON = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "seed",
    "stop",
    "response_format",
    "parallel_tool_calls",
    "tool_choice",
    "service_tier",
    "verbosity",
    "max_completion_tokens",
)
# What vLLM, llama.cpp and LM Studio know besides. OpenAI itself refuses it.
_OPEN_SERVERS = ("top_k", "min_p", "repetition_penalty", "repeat_penalty", "chat_template_kwargs")
# Thinking is no part of OpenAI's own API; these are the names that servers have for it.
_THINKING = ("reasoning_content", "reasoning")


def request_of(prompt: Prompt, model: str, *, openai_itself: bool) -> dict[str, Any]:
    """What `chat.completions.create` is called with."""
    options = plain(prompt.options)
    request: dict[str, Any] = {
        "model": model,
        "messages": messages_of(prompt, _said),
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: options[name] for name in _PASSED_ON if name in options},
    }
    if prompt.offered:
        request["tools"] = [tool_of(spec) for spec in prompt.offered]
    if prompt.max_tokens:
        # OpenAI's newer models refuse the old name, and many other servers do not know the new one.
        request["max_completion_tokens" if openai_itself else "max_tokens"] = prompt.max_tokens
    if prompt.effort:
        request["reasoning_effort"] = prompt.effort
    beside = {name: options[name] for name in _OPEN_SERVERS if name in options}
    if beside and not openai_itself:
        request["extra_body"] = beside
    return request


class Reply:
    """What the model says in one turn, delta by delta; `turn` is its number, counted from 0."""

    def __init__(self, turn: int) -> None:
        self._turn = turn
        self._content: list[str] = []
        self._thinking: list[str] = []
        self._thinking_name = ""
        self._calls: list[_Call] = []
        self._at: dict[int, _Call] = {}
        # What the model said instead of answering.
        self.refused = False

    def tokens(self, delta: ChoiceDelta) -> list[Token]:
        """The tokens of the next delta; calls come with `calls`, once they are whole."""
        found: list[Token] = []
        for name in _THINKING:
            if isinstance(thought := (delta.model_extra or {}).get(name), str) and thought:
                self._thinking_name = name
                self._thinking.append(thought)
                found.append(Thinking(thought))
                break  # some servers say it twice, under either name
        if delta.content:
            if not isinstance(delta.content, str):
                raise TypeError  # the SDK passes on whatever came
            self._content.append(delta.content)
            found.append(Text(delta.content))
        self.refused = self.refused or bool(delta.refusal)
        for piece in delta.tool_calls or ():
            self._piece(piece)
        return found

    @property
    def calls(self) -> list[ToolCall]:
        """The calls so far."""
        return [ToolCall(call.call_id, call.name, call.arguments) for call in self._calls]

    @property
    def message(self) -> dict[str, Any] | None:
        """All of it, as it goes back with the results of its calls; None without calls."""
        if not self._calls:
            return None
        # Who thinks between calls wants to see it again, under the name that it came with.
        thinking = {self._thinking_name: "".join(self._thinking)} if self._thinking else {}
        calls = [_call(call) for call in self._calls]
        return {"role": "assistant", "content": "".join(self._content) or None, **thinking, "tool_calls": calls}

    def drop_cut_call(self) -> None:
        """Forget a last call that the end of the answer came in the middle of."""
        if self._calls and not _is_json(self._calls[-1].arguments):
            self._calls.pop()

    def _piece(self, piece: ChoiceDeltaToolCall) -> None:
        """A new call has an index of its own; with servers that give all the same, an id of its own."""
        index = piece.index or 0
        call = self._at.get(index)
        if call is None or (piece.id and piece.id != call.call_id):
            call = self._at[index] = _Call(piece.id or f"call-{self._turn}-{len(self._calls)}")
            self._calls.append(call)
        if piece.function is not None:
            call.name = call.name or piece.function.name or ""
            call.arguments += piece.function.arguments or ""


class _Call:
    __slots__ = ("arguments", "call_id", "name")

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.name = ""
        self.arguments = ""


def _call(call: _Call) -> dict[str, Any]:
    """Without arguments that are no JSON: servers read them, and would refuse all that follows."""
    arguments = call.arguments if _is_json(call.arguments) else "{}"
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _said(turn: Turn) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", turn.reply), *(_result(result) for result in turn.results)]


def _result(result: ToolResult) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": result.call_id, "content": content_of(result)}

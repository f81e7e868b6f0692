"""A prompt as Ollama wants it, and what its model said as it wants that back."""

import json
from typing import Any, cast

import ollama

from devteam_worker.providers.base import Prompt, Text, Thinking, Token, ToolCall, ToolResult, Turn
from devteam_worker.providers.chat_prompt import content_of, messages_of, tool_of
from devteam_worker.providers.options import plain

# Options that the API takes beside the model's own.
_BESIDE = ("format", "keep_alive")
_EFFORTS = ("low", "medium", "high")


def body_of(prompt: Prompt, model: str, keep_alive: str | int | None) -> dict[str, Any]:
    """What is asked of /api/chat, but for the size of the window.

    Neither the prompt (`truncate`) nor, once the window is full, what was read first (`shift`) is to be dropped in
    silence. Ollama knows both since 0.12.6.
    """
    options = plain(prompt.options)
    thinking = options.pop("thinking", None)
    beside = {name: options.pop(name) for name in _BESIDE if name in options}
    if prompt.max_tokens:
        options["num_predict"] = prompt.max_tokens
    body = {
        "model": model,
        "messages": messages_of(prompt, _said),
        "tools": [tool_of(spec) for spec in prompt.offered],
        "think": _think(thinking, prompt.effort),
        "keep_alive": keep_alive,
        **beside,
    }
    said = {name: value for name, value in body.items() if value is not None and value != []}
    return {**said, "stream": True, "truncate": False, "shift": False, "options": options}


class Reply:
    """What the model says in one turn, token by token; `turn` is its number, counted from 0."""

    def __init__(self, turn: int) -> None:
        self._turn = turn
        self._thinking: list[str] = []
        self._content: list[str] = []
        self._calls: list[dict[str, Any]] = []

    def tokens(self, message: ollama.Message) -> list[Token]:
        """The tokens of the next part of the answer."""
        found: list[Token] = []
        if message.thinking:
            self._thinking.append(message.thinking)
            found.append(Thinking(message.thinking))
        if message.content:
            self._content.append(message.content)
            found.append(Text(message.content))
        return [*found, *(self._call(call.function) for call in message.tool_calls or ())]

    @property
    def message(self) -> dict[str, Any] | None:
        """All of it, as it goes back with the results of its calls; None without calls."""
        if not self._calls:
            return None
        thinking = {"thinking": "".join(self._thinking)} if self._thinking else {}
        return {"role": "assistant", "content": "".join(self._content), **thinking, "tool_calls": self._calls}

    def _call(self, function: ollama.Message.ToolCall.Function) -> ToolCall:
        # Of our own making: the client passes no ids on, and servers before 0.12.10 have none.
        call_id = f"call-{self._turn}-{len(self._calls)}"
        arguments = dict(function.arguments)
        self._calls.append({"id": call_id, "function": {"name": function.name, "arguments": arguments}})
        return ToolCall(call_id, function.name, json.dumps(arguments, ensure_ascii=False))


def _said(turn: Turn) -> list[dict[str, Any]]:
    reply = cast("dict[str, Any]", turn.reply)
    names = {call["id"]: call["function"]["name"] for call in reply["tool_calls"]}
    return [reply, *(_result(result, names[result.call_id]) for result in turn.results)]


def _result(result: ToolResult, name: str) -> dict[str, Any]:
    """By name and by id: templates of models know one or the other."""
    return {"role": "tool", "tool_name": name, "tool_call_id": result.call_id, "content": content_of(result)}


def _think(thinking: object, effort: str) -> Any:
    """Only on request, since a model that cannot think refuses to be told how hard."""
    return effort if thinking is True and effort in _EFFORTS else thinking

"""Anthropic's Messages API as it looks on the wire."""

import json
from collections.abc import Mapping

from tests.fakes.http_server import Act, HttpServer, Reply, Request, json_reply

MODEL = "claude-opus-5-5"
_SSE = {"content-type": "text/event-stream", "request-id": "req_fake"}


def event(kind: str, **fields: object) -> bytes:
    """One server-sent event."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


PING = event("ping")
START = event(
    "message_start",
    message={
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 11,
            "output_tokens": 1,
            "cache_read_input_tokens": 300,
            "cache_creation_input_tokens": 20,
        },
    },
)


def text(index: int, *pieces: str) -> list[bytes]:
    """A block of text, delta by delta."""
    return _block(index, {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces])


def thinking(index: int, *pieces: str) -> list[bytes]:
    """A block of thinking, delta by delta."""
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    signature = {"type": "signature_delta", "signature": "c2lnbmVk"}
    return _block(index, {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signature])


def tool_use(index: int, call_id: str, name: str, *pieces: str, kind: str = "tool_use") -> list[bytes]:
    """A wish to call a tool, its arguments as pieces of JSON; `kind` "server_tool_use": a tool of the API's own."""
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return _block(index, {"type": kind, "id": call_id, "name": name, "input": {}}, deltas)


def block(index: int, content: Mapping[str, object]) -> list[bytes]:
    """A block that comes as a whole."""
    return _block(index, content, [])


def end(stop_reason: str = "end_turn", output_tokens: int = 7, **delta: object) -> list[bytes]:
    """How a message ends."""
    usage = {"output_tokens": output_tokens}
    return [
        event("message_delta", delta={"stop_reason": stop_reason, "stop_sequence": None, **delta}, usage=usage),
        event("message_stop"),
    ]


def error(kind: str, message: str = "Something happened") -> bytes:
    """An error in the middle of a stream."""
    return event("error", error={"type": kind, "message": message})


def stream(*pieces: bytes | Act) -> Reply:
    return Reply(pieces, headers=_SSE)


def model_list(*models: Mapping[str, object]) -> Reply:
    """A page of models."""
    data = [
        {
            "type": "model",
            "display_name": "A model",
            "created_at": "2026-06-01T00:00:00Z",
            "lifecycle": "active",
            **model,
        }
        for model in models
    ]
    return json_reply({"data": data, "has_more": False, "first_id": None, "last_id": None})


def refusal(status: int, kind: str, message: str = "No", headers: Mapping[str, str] | None = None) -> Reply:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}
    return json_reply(body, status, headers)


class AnthropicServer(HttpServer):
    """Answers POST /v1/messages."""

    def answer(self, *replies: Reply) -> None:
        self.reply("/v1/messages", *replies)

    def know(self, *models: Mapping[str, object]) -> None:
        """Have these models."""
        self.reply("/v1/models?limit=1000", model_list(*models))

    @property
    def asked(self) -> Request:
        """The last request."""
        return self.requests[-1]


def _block(index: int, start: object, deltas: list[dict[str, str]]) -> list[bytes]:
    return [
        event("content_block_start", index=index, content_block=start),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]

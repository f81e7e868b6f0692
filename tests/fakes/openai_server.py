"""OpenAI's chat API as it looks on the wire, the way vLLM and llama.cpp speak it, too."""

import json
from collections.abc import Mapping

from tests.fakes.http_server import Act, HttpServer, Reply, Request, json_reply

MODEL = "qwen3-8b"
_SSE = {"content-type": "text/event-stream", "x-request-id": "req_fake"}


def data(content: object) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(content)}\n\n".encode()


def chunk(finish_reason: str | None = None, **delta: object) -> bytes:
    """A piece of the answer, or its end."""
    return _chunk(choices=[{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}])


def text(*pieces: str) -> list[bytes]:
    """Text, delta by delta; the first one names the role."""
    return [chunk(role="assistant", content=""), *(chunk(content=piece) for piece in pieces)]


def call(index: int, call_id: str | None, name: str | None, *arguments: str) -> list[bytes]:
    """A call whose arguments come piece by piece; only the first one says which call it is."""
    first = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": index, "function": {"arguments": piece}} for piece in arguments]
    return [chunk(tool_calls=[piece]) for piece in (first, *rest)]


def end(finish_reason: str = "stop", cached: int = 8) -> list[bytes]:
    """How an answer ends: the reason, then the usage in a chunk of its own, then the mark."""
    usage = {
        "prompt_tokens": 26,
        "completion_tokens": 3,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return [chunk(finish_reason), _chunk(choices=[], usage=usage), DONE]


DONE = b"data: [DONE]\n\n"


def error(message: str, **fields: object) -> bytes:
    """An error in the middle of a stream."""
    return data({"error": {"message": message, **fields}})


def stream(*pieces: bytes | Act) -> Reply:
    return Reply(pieces, headers=_SSE)


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None, **fields: object) -> Reply:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}}
    return json_reply(body, status, headers)


class OpenAIServer(HttpServer):
    """Answers POST /v1/chat/completions and GET /v1/models."""

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def answer(self, *replies: Reply) -> None:
        self.reply("/v1/chat/completions", *replies)

    def serve(self, *names: str) -> None:
        """The models that it has."""
        models = [{"id": name, "object": "model", "created": 1, "owned_by": "vllm"} for name in names]
        self.reply("/v1/models", json_reply({"object": "list", "data": models}))

    @property
    def asked(self) -> Request:
        """The last request."""
        return self.requests[-1]


def _chunk(**fields: object) -> bytes:
    return data({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": MODEL, **fields})

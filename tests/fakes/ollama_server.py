"""Ollama's API as it looks on the wire."""

from collections.abc import Mapping

from tests.fakes.http_server import Act, HttpServer, Reply, Request, json_reply, lines

_NDJSON = {"content-type": "application/x-ndjson"}


def part(content: str = "", thinking: str = "", model: str = "llama3.3") -> bytes:
    """A piece of the answer."""
    message = {"role": "assistant", "content": content, **({"thinking": thinking} if thinking else {})}
    return lines([{"model": model, "created_at": "2026-11-22T12:00:00Z", "message": message, "done": False}])[0]


def call(name: str, arguments: Mapping[str, object], content: str = "", thinking: str = "") -> bytes:
    """A piece with a call; some models say something beside it."""
    called = {"id": "call_of_theirs", "function": {"index": 0, "name": name, "arguments": arguments}}
    message = {"role": "assistant", "content": content, "thinking": thinking, "tool_calls": [called]}
    return lines([{"model": "llama3.3", "created_at": "2026-11-22T12:00:00Z", "message": message, "done": False}])[0]


def pulling(completed: int, total: int, digest: str = "sha256:aa") -> bytes:
    """A report of a pull."""
    return status(f"pulling {digest[7:19]}", digest=digest, total=total, completed=completed)


def status(text: str, **fields: object) -> bytes:
    """A step of a pull."""
    return lines([{"status": text, **fields}])[0]


PULLED = status("success")


def error(message: str) -> bytes:
    """What goes wrong in the middle of an answer."""
    return lines([{"error": message}])[0]


def done(reason: str = "stop", model: str = "llama3.3") -> bytes:
    """How an answer ends."""
    return lines(
        [
            {
                "model": model,
                "created_at": "2026-11-22T12:00:01Z",
                "message": {"role": "assistant", "content": ""},
                "done": True,
                "done_reason": reason,
                "total_duration": 5_000_000,
                "prompt_eval_count": 26,
                "eval_count": 3,
            }
        ]
    )[0]


def stream(*pieces: bytes | Act) -> Reply:
    return Reply(pieces, headers=_NDJSON)


def refusal(status: int, message: str) -> Reply:
    return json_reply({"error": message}, status)


class OllamaServer(HttpServer):
    """Answers POST /api/chat, /api/show and /api/pull, GET /api/tags and /api/ps."""

    def __init__(self) -> None:
        super().__init__()
        self.show(context=131_072)

    def show(self, *replies: Reply, context: int = 0) -> None:
        """What it says of any model: these replies, then the context that the model can read."""
        info = {"general.architecture": "llama", "llama.context_length": context, "llama.block_count": 80}
        self._replies["/api/show"] = [*replies, json_reply({"model_info": info, "details": {}})]

    def pull(self, *pieces: bytes | Act) -> None:
        """How the next pull goes."""
        self.reply("/api/pull", stream(*pieces))

    def load(self, context: int, name: str = "llama3.3:latest") -> None:
        """A model in memory, with a window of so many tokens."""
        self._replies["/api/ps"] = [json_reply({"models": [{**_model(name, 42), "context_length": context}]})]

    def answer(self, *replies: Reply) -> None:
        self.reply("/api/chat", *replies)

    def install(self, sizes: Mapping[str, int], loaded: tuple[str, ...] = ()) -> None:
        """Models that lie on the disk, and those of them that are in memory."""
        self.reply("/api/tags", json_reply({"models": [_model(name, size) for name, size in sizes.items()]}))
        self.reply("/api/ps", json_reply({"models": [_model(name, sizes[name]) for name in loaded]}))

    @property
    def asked(self) -> Request:
        """The last request."""
        return self.requests[-1]


def _model(name: str, size: int) -> dict[str, object]:
    return {"model": name, "name": name, "size": size, "digest": "0" * 64}

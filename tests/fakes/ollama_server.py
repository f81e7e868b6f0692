"""Ollama's API as it looks on the wire."""

from collections.abc import Mapping

from tests.fakes.http_server import Act, HttpServer, Reply, Request, json_reply, lines

_NDJSON = {"content-type": "application/x-ndjson"}


def part(content: str = "", thinking: str = "", model: str = "llama3.3") -> bytes:
    """A piece of the answer."""
    message = {"role": "assistant", "content": content, **({"thinking": thinking} if thinking else {})}
    return lines([{"model": model, "created_at": "2026-11-22T12:00:00Z", "message": message, "done": False}])[0]


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
    """Answers POST /api/chat, GET /api/tags and GET /api/ps."""

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

"""A scripted HTTP server on loopback, for clients that must see real bytes on a real socket."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

from tests.fakes.listener import Listener


class Act(Enum):
    """What a server does between two pieces of its answer."""

    # Wait until the client is gone, and note that it is.
    HOLD = "hold"
    # Wait until the test says `go`.
    PAUSE = "pause"
    # Drop the connection on the spot.
    CUT = "cut"


@dataclass(frozen=True)
class Reply:
    """One answer, its pieces written one by one."""

    pieces: tuple[bytes | Act, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


def json_reply(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply((json.dumps(content).encode(),), status, {"content-type": "application/json", **(headers or {})})


class HttpServer:
    """Answers each path with its scripted replies in order, the last one again and again. One request a connection."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.client_left = asyncio.Event()
        self.holding = asyncio.Event()
        self.go = asyncio.Event()
        self._replies: defaultdict[str, list[Reply]] = defaultdict(list)
        self._listener = Listener(self._serve)
        self.url = ""

    def reply(self, path: str, *replies: Reply) -> None:
        self._replies[path].extend(replies)

    def bodies(self, path: str) -> list[Any]:
        """What was asked of a path, in order."""
        return [request.body for request in self.requests if request.path == path]

    async def __aenter__(self) -> Self:
        self.url = f"http://127.0.0.1:{self._listener.open()}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read_request(reader)
            self.requests.append(request)
            await self._answer(self._next_reply(request.path), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.client_left.set()

    def _next_reply(self, path: str) -> Reply:
        replies = self._replies[path]
        if not replies:
            return json_reply({"error": f"nothing scripted for {path}"}, 599)
        return replies.pop(0) if len(replies) > 1 else replies[0]

    async def _answer(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = {"connection": "close", "transfer-encoding": "chunked", **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for piece in reply.pieces:
            if piece is Act.CUT:
                await writer.drain()
                writer.transport.abort()
                return
            if piece is Act.PAUSE:
                await writer.drain()
                self.holding.set()
                await self.go.wait()
                continue
            if piece is Act.HOLD:
                await writer.drain()
                self.holding.set()
                await reader.read()
                self.client_left.set()
                return
            assert isinstance(piece, bytes)
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = dict(_header(line) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, json.loads(body) if body else None)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def lines(parts: Iterable[object]) -> tuple[bytes, ...]:
    """JSON, one line a part."""
    return tuple(json.dumps(part).encode() + b"\n" for part in parts)

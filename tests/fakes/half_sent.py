"""A client of HTTP/2 that begins to send messages and never ends them. gRPC's own clients cannot."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _WINDOW = 0, 1, 3, 4, 6, 8
_END, _ACK, _WHOLE_HEADERS = 1, 1, 4
_INITIAL_WINDOW = 4
_LARGEST_FRAME = 16_384
# What each message says that it has, in bytes.
_SAID = 4_000_000


class HalfSent:
    """One connection.

    `taken`: the bytes of messages that the server had room for before it ended a call; `ended`: the calls it has ended.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken = 0
        self.ended: set[int] = set()
        self._reader = reader
        self._writer = writer
        self._window = self._initial = 65_535
        self._windows: dict[int, int] = {}
        self._left: dict[int, bytes] = {}
        writer.write(_GREETING + _frame(_SETTINGS, 0, 0))

    def begin(self, path: str, size: int, key: str = "") -> int:
        """Begin a call, and send so many bytes of its message as soon as the server has room. Returns its number."""
        call = 2 * len(self._windows) + 1
        self._windows[call] = self._initial
        self._left[call] = b"\0" + struct.pack(">I", _SAID) + bytes(size - 5)
        names = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "mesh", "te": "trailers"}
        names["content-type"] = "application/grpc"
        names |= {"x-api-key": key} if key else {}
        self._writer.write(_frame(_HEADERS, _WHOLE_HEADERS, call, b"".join(map(_field, names, names.values()))))
        self._send(call)
        return call

    async def run(self) -> None:
        """Send what there is room for, until the connection ends."""
        while True:
            head = await self._reader.readexactly(9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            self._hear(kind, flags, int.from_bytes(head[5:], "big"), await self._reader.readexactly(length))

    def _hear(self, kind: int, flags: int, call: int, content: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            self._writer.write(_frame(_SETTINGS, _ACK, 0))
            for at in range(0, len(content), 6):
                name, value = struct.unpack(">HI", content[at : at + 6])
                if name == _INITIAL_WINDOW:
                    self._widen(value)
        elif kind == _PING and not flags & _ACK:
            self._writer.write(_frame(_PING, _ACK, 0, content))
        elif kind == _WINDOW and call:
            self._windows[call] += int.from_bytes(content, "big")
        elif kind == _WINDOW:
            self._window += int.from_bytes(content, "big")
        elif kind == _RESET or (kind == _HEADERS and flags & _END):
            self.ended.add(call)
            self._left.pop(call, None)
        for waiting in list(self._left):
            self._send(waiting)

    def _widen(self, initial: int) -> None:
        for call in self._windows:
            self._windows[call] += initial - self._initial
        self._initial = initial

    def _send(self, call: int) -> None:
        while (room := min(self._windows[call], self._window, _LARGEST_FRAME)) > 0 and self._left[call]:
            part, self._left[call] = self._left[call][:room], self._left[call][room:]
            self._writer.write(_frame(_DATA, 0, call, part))
            self._windows[call] -= len(part)
            self._window -= len(part)
            self.taken += 0 if self.ended else len(part)


@asynccontextmanager
async def half_sent(port: int) -> AsyncIterator[HalfSent]:
    """A connection to a server without TLS."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = HalfSent(reader, writer)
    running = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        writer.close()


def _frame(kind: int, flags: int, call: int, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + call.to_bytes(4, "big") + content


def _field(name: str, value: str) -> bytes:
    """As a literal, without an index."""
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()

"""Clients that begin to send messages and never end them. gRPC's own clients cannot."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _WINDOW = 0, 1, 3, 4, 6, 8
_END, _ACK, _WHOLE_HEADERS = 1, 1, 4
_INITIAL_WINDOW = 4
_LARGEST_FRAME = 16_384
# What each message says that it has, in bytes.
_SAID = 4_000_000
_HTTP1 = "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4100000\r\n\r\n"
# Seconds between bytes of those that have sent all else.
_BETWEEN = 0.5


class HalfSent:
    """One connection of HTTP/2.

    `taken`: the bytes of messages that the server had room for before it ended a call; `ended`: the calls it has ended.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken = 0
        self.ended: set[int] = set()
        self._reader = reader
        self._writer = writer
        self._window = self._initial = 65_535
        self._windows: dict[int, int] = {}
        self._left: dict[int, memoryview] = {}
        writer.write(_GREETING + _frame(_SETTINGS, 0, 0))

    def begin(self, path: str, size: int, key: str = "") -> int:
        """Begin a call, and send so many bytes of its message as soon as the server has room. Returns its number."""
        call = 2 * len(self._windows) + 1
        self._windows[call] = self._initial
        self._left[call] = _message(size)
        names = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost", "te": "trailers"}
        names["content-type"] = "application/grpc"
        names |= {"x-api-key": key} if key else {}
        self._writer.write(_frame(_HEADERS, _WHOLE_HEADERS, call, b"".join(map(_field, names, names.values()))))
        self._send(call)
        return call

    @property
    def all_sent(self) -> bool:
        """Whether what was to be sent is, of every call that has not ended."""
        return not any(self._left.values())

    async def drip(self) -> None:
        """Send one byte more of every call, again and again, until all have ended."""
        while self._left:
            for call, left in list(self._left.items()):
                self._left[call] = left or memoryview(b"\0")
                self._send(call)
            await asyncio.sleep(_BETWEEN)

    async def run(self) -> None:
        """Send what there is room for, until the connection ends."""
        try:
            while True:
                head = await self._reader.readexactly(9)
                length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
                self._hear(kind, flags, int.from_bytes(head[5:], "big"), await self._reader.readexactly(length))
        finally:
            # A door that has reset very many of its calls ends it.
            self._left.clear()

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
    """A connection of HTTP/2 to a server without TLS."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = HalfSent(reader, writer)
    running = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        writer.close()


async def half_sent_by_http1(port: int, path: str, size: int, sent: asyncio.Event) -> str:
    """Call on a connection of its own, and say when so many bytes have been sent. Then a byte comes now and then.

    Returns the first line of the answer, "" when there is none.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.readline())
    try:
        writer.write(_HTTP1.format(path=path).encode())
        await _unless(answer, writer, size)
        sent.set()
        while not answer.done():
            writer.write(b"\0")
            await asyncio.wait({answer}, timeout=_BETWEEN)
        return answer.result().decode().strip()
    except ConnectionError:
        return ""
    finally:
        sent.set()
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
        writer.transport.abort()


async def _unless(answer: asyncio.Task[bytes], writer: asyncio.StreamWriter, size: int) -> None:
    """Send so much, until it is answered."""
    for _ in range(0, size, _LARGEST_FRAME):
        if answer.done():
            return
        writer.write(bytes(_LARGEST_FRAME))
        await writer.drain()


@cache
def _message(size: int) -> memoryview:
    """So much of one: the same bytes, however many calls send them."""
    return memoryview(b"\0" + struct.pack(">I", _SAID) + bytes(size - 5))


def _frame(kind: int, flags: int, call: int, content: bytes | memoryview = b"") -> bytes:
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + call.to_bytes(4, "big") + content


def _field(name: str, value: str) -> bytes:
    """As a literal, without an index."""
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()

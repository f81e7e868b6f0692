"""A name server that tells every name the one address that a test wants."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

_HEADER = struct.Struct("!6H")
_ANSWER = 0x8180
_TYPE_A, _CLASS_IN = 1, 1
_NAME_OF_THE_QUESTION = 0xC00C


class NameServer(asyncio.DatagramProtocol):
    """Answers questions for IPv4 with `address`, all others with nothing; `asked` counts the former."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked = 0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Keep what answers go out by."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer one question."""
        number = _HEADER.unpack_from(data)[0]
        end = data.index(b"\0", _HEADER.size) + 5
        question = data[_HEADER.size : end]
        found = b""
        if struct.unpack("!2H", question[-4:]) == (_TYPE_A, _CLASS_IN):
            self.asked += 1
            found = struct.pack("!3HIH", _NAME_OF_THE_QUESTION, _TYPE_A, _CLASS_IN, 0, 4)
            found += socket.inet_aton(self.address)
        self._transport.sendto(_HEADER.pack(number, _ANSWER, 1, bool(found), 0, 0) + question + found, addr)


@asynccontextmanager
async def name_server(address: str) -> AsyncIterator[tuple[NameServer, int]]:
    """It, and its port."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(address), ("127.0.0.1", 0))
    try:
        yield server, int(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()

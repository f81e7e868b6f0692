"""Envoy's administration, asked over its socket."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Seconds between two looks.
_LOOK = 0.05


async def asked(socket: Path, path: str) -> bytes:
    """What it answers to GET. Raises OSError where nobody listens."""
    with _short(socket) as name:
        reader, writer = await asyncio.open_unix_connection(name)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ConnectionError(head.decode(errors="replace"))
    return _joined(body)


async def ready(socket: Path) -> bool:
    """Wait until it has read all of its files; whether it listens then."""
    while not await _has_begun(socket):  # noqa: ASYNC110 - Envoy tells nobody that it is ready
        await asyncio.sleep(_LOOK)
    return bool(json.loads(await asked(socket, "/listeners?format=json")))


async def stats(socket: Path, pattern: str) -> dict[str, Any]:
    """Counters and gauges whose names match a pattern."""
    listed = json.loads(await asked(socket, f"/stats?format=json&filter={pattern}"))
    return {stat["name"]: stat["value"] for stat in listed["stats"] if "name" in stat}


@contextmanager
def _short(socket: Path) -> Iterator[str]:
    """A name of the socket that is not too long for one, as that of a folder in a folder may be."""
    folder = os.open(socket.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        named = Path(f"/proc/self/fd/{folder}")
        yield str(named / socket.name if named.exists() else socket)
    finally:
        os.close(folder)


async def _has_begun(socket: Path) -> bool:
    try:
        return b"LIVE" in await asked(socket, "/ready")
    except OSError:
        return False


def _joined(chunks: bytes) -> bytes:
    """The body in HTTP/1.1's chunks, each after its size."""
    size, _, rest = chunks.partition(b"\r\n")
    length = int(size or b"0", 16)
    return rest[:length] + _joined(rest[length + 2 :]) if length else b""

"""Connections below gRPC, for those who want to know where the way to a mesh ends."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devteam.mesh.address import target_of


def place_of(url: str) -> tuple[str, int]:
    """Host and port that an http:// or https:// `url` names. Raises InvalidInput."""
    host, _, port = target_of(url)[0].rpartition(":")
    return host.strip("[]"), int(port)


@asynccontextmanager
async def connected(
    url: str, patience: float, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to `url`, with TLS if there is a `context`, within `patience` seconds.

    Raises OSError and TimeoutError, ssl.SSLError among the former.
    """
    host, port = place_of(url)
    async with asyncio.timeout(patience):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        yield reader, writer
    finally:
        # Not `close`: a peer that does not speak TLS to its end would be waited for.
        writer.transport.abort()

"""A port that does what a test says to whoever connects."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fakes.listener import Listener, Serve


@asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Its number; it goes once everyone who connected was served, and leaves nothing open."""
    listener = Listener(serve, context)
    try:
        yield listener.open()
    finally:
        listener.close()
        await listener.served()

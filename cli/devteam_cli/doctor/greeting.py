"""What a port says to somebody who greets it as HTTP/2 does."""

import asyncio
import ssl
from enum import Enum

from devteam.mesh.reach import connected

# RFC 9113, section 3.4: the client's preface, here with empty settings. A server answers with its own settings.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_HEAD = 9
_SETTINGS = 4
# The first byte of a TLS record that says what is wrong.
_TLS_ALERT = 0x15


class Greeting(Enum):
    """What came back."""

    HTTP2 = "http2"
    HTTP1 = "http1"
    TLS = "tls"
    # Something else.
    STRANGE = "strange"
    # Nothing, in time.
    SILENT = "silent"
    # The end.
    CLOSED = "closed"


async def greeted(url: str, patience: float, context: ssl.SSLContext | None) -> Greeting:
    """Greet the port at `url`, with TLS if there is a `context`. Raises OSError when nobody listens."""
    async with connected(url, patience, context) as (reader, writer):
        writer.write(_PREFACE)
        try:
            async with asyncio.timeout(patience):
                return _kind_of(await reader.readexactly(_FRAME_HEAD))
        except TimeoutError:
            return Greeting.SILENT
        except asyncio.IncompleteReadError as cut:
            return _kind_of(cut.partial) if cut.partial else Greeting.CLOSED
        except OSError:
            return Greeting.CLOSED


def _kind_of(said: bytes) -> Greeting:
    if said.startswith(b"HTTP/1"):
        return Greeting.HTTP1
    if said[0] == _TLS_ALERT:
        return Greeting.TLS
    if len(said) == _FRAME_HEAD and said[3] == _SETTINGS:
        return Greeting.HTTP2
    return Greeting.STRANGE

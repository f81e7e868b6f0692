"""Streams on which nothing is said, and what lies between that may cut them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc

from devteam.mesh import options
from devteam.mesh.channel import open_channel
from devteam.mesh.finding import Finding, ok, problem, skipped, warning
from devteam_cli.doctor.examination import Surroundings
from devteam_cli.text import span

# Health is what every gRPC server can be asked for; messages are empty: of the server as a whole.
_WATCH, _CHECK = "/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/Check"
# A worker speaks on its stream every 15 s: what cuts sooner cuts it off again and again.
_TOO_SOON = 20.0
_LENGTHEN = (
    "let what lies in between (proxy, load balancer, NAT) wait longer: Envoy's stream_idle_timeout: 0s, nginx's "
    "grpc_read_timeout, a load balancer's idle time-out, a mesh's stream time-outs"
)


async def keepalive(_: Surroundings) -> Sequence[Finding]:
    """What this client does so that silent connections are not taken for dead."""
    told = dict(options.CLIENT)
    every, within = (int(told[f"grpc.{name}_ms"]) / 1000 for name in ("keepalive_time", "keepalive_timeout"))
    return [ok(f"connections are pinged every {every:g} s, and given up after {within:g} s without an answer")]


async def idle(here: Surroundings) -> Sequence[Finding]:
    """Whether a stream is left alone for as long as was asked for."""
    if not here.idle:
        return [skipped("say --idle 120 to have a stream held open for so long without a word on it")]
    async with open_channel(here.url, api_key=here.api_key, tls=here.tls) as channel:
        try:
            async with _opened(channel, here.patience) as stream:
                return [await _left_alone(channel, stream, here)]
        except TimeoutError:
            return [skipped("no stream could be opened to try it on")]
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return [skipped("what lies in between lets no health checks through, which it is tried on")]
            return [skipped("no stream could be opened to try it on")]


@asynccontextmanager
async def _opened(channel: grpc.aio.Channel, patience: float) -> AsyncIterator[Any]:
    """A stream that has said its first word, and says no other. Raises TimeoutError and AioRpcError."""
    stream: Any = channel.unary_stream(_WATCH, bytes, bytes)(b"")
    try:
        async with asyncio.timeout(patience):
            await stream.read()
        yield stream
    finally:
        stream.cancel()


async def _left_alone(channel: grpc.aio.Channel, stream: Any, here: Surroundings) -> Finding:
    """Whether the stream is still there in the end, and whether anything still comes through."""
    began = time.monotonic()
    try:
        await _silence(stream, here.idle)
        await channel.unary_unary(_CHECK, bytes, bytes)(b"", timeout=here.patience)
    except grpc.aio.AioRpcError:
        return _cut(time.monotonic() - began)
    return ok(f"a stream was left alone for {span(timedelta(seconds=here.idle))}")


async def _silence(stream: Any, seconds: float) -> None:
    """Wait for so long. Raises AioRpcError when the stream ends before that."""
    ending = asyncio.ensure_future(_end_of(stream))
    try:
        await asyncio.wait([ending], timeout=seconds)
        if ending.done():
            await ending
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)


async def _end_of(stream: Any) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass
    # A server that goes down in good order.
    raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())


def _cut(seconds: float) -> Finding:
    found = f"a stream on which nothing was said was cut after {span(timedelta(seconds=seconds))}"
    if seconds < _TOO_SOON:
        return problem(f"{found}: workers would be cut off again and again", _LENGTHEN)
    return warning(f"{found}: watches go on by themselves, with a pause", _LENGTHEN)

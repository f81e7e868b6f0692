"""Streams of gRPC that say one thing and then nothing: what nobody can do without who has a stream for each wait."""

import asyncio
from collections.abc import AsyncGenerator

import grpc

from benchmarks.waiting.growth import growth

_METHOD = "Wait"
_REQUEST, _ANSWER = b"q" * 300, b"a" * 100


async def bare() -> float:
    """The KB of one, both its ends, without any layer of ours."""
    over = asyncio.Event()

    async def wait_for_it(
        _request: bytes, _context: "grpc.aio.ServicerContext[bytes, bytes]"
    ) -> AsyncGenerator[bytes, None]:
        yield _ANSWER
        await over.wait()

    server = grpc.aio.server(options=(("grpc.max_concurrent_streams", 20_000),))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(wait_for_it)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare", {_METHOD: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        wait: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(f"/bare/{_METHOD}")
        readers: list[asyncio.Task[None]] = []

        async def begin(_first: int, count: int) -> None:
            for _ in range(count):
                call = wait(_REQUEST)
                await call.read()
                readers.append(asyncio.create_task(_read(call)))

        kb = await growth(begin)
        over.set()
        await asyncio.gather(*readers)
    await server.stop(0)
    return kb


async def _read(call: "grpc.aio.UnaryStreamCall[bytes, bytes]") -> None:
    async for _ in call:
        pass

"""One interceptor for all four kinds of RPC; what it does around a call is a list of layers.

A layer is an async context manager around the whole call, streams included. Written here because nothing well kept
covers asyncio streams: wrapping only the start of a streaming call, as most interceptors do, sees none of its errors.
"""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from devteam.mesh.errors import DevTeamError, InvalidInput, Violation

# Health and reflection are the library's own servicers, and answer to nobody's layers.
_PASS_THROUGH = ("/grpc.",)


@dataclass(slots=True)
class Call:
    """What a layer may know of a call."""

    method: str
    context: "grpc.aio.ServicerContext[Any, Any]"
    metadata: dict[str, str]
    streaming: bool
    # gRPC is sending a message of the stream: a cancellation now would reach gRPC, and no layer.
    writing: bool = False
    # What the stream ends with once that message is out.
    ending: DevTeamError | None = None


Layer = Callable[[Call], AbstractAsyncContextManager[None]]
# The wire's types are the library's business: an interceptor sees every message type there is.
Handler = Any


class _Malformed:
    """Stands in for a request whose bytes could not be read."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Runs every call inside the given layers, the first outermost."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap the handler that the server found, if it found one."""
        handler = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        if handler is None or method.startswith(_PASS_THROUGH):
            return handler
        guarded = handler._replace(request_deserializer=_forgiving(handler.request_deserializer))
        if handler.response_streaming:
            kind = "stream_stream" if handler.request_streaming else "unary_stream"
            return guarded._replace(**{kind: self._around_stream(method, getattr(handler, kind))})
        kind = "stream_unary" if handler.request_streaming else "unary_unary"
        return guarded._replace(**{kind: self._around_unary(method, getattr(handler, kind))})

    def _around_unary(self, method: str, inner: Handler) -> Handler:
        async def unary(request: object, context: "grpc.aio.ServicerContext[Any, Any]") -> object:
            async with _within(self._layers, _call(method, context, streaming=False)):
                return await inner(_readable(request), context)

        return unary

    def _around_stream(self, method: str, inner: Handler) -> Handler:
        if not inspect.isasyncgenfunction(inner):
            raise TypeError(f"{method}: a streaming handler must be an async generator")

        # No generator itself: gRPC leaves one that it is cancelled in to the garbage collector, and everything that the
        # layers and the handler have to put in order with it, to be done late and in another context.
        async def stream(request: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
            call = _call(method, context, streaming=True)
            async with (
                _within(self._layers, call),
                aclosing(inner(_readable(request), context)) as responses,
            ):
                async for response in responses:
                    if not await _written(response, call):
                        return
                    if call.ending is not None:
                        raise call.ending

        return stream


def _call(method: str, context: "grpc.aio.ServicerContext[Any, Any]", *, streaming: bool) -> Call:
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return Call(method, context, metadata, streaming)


async def _written(response: object, call: Call) -> bool:
    """Send a message of a stream; False when nobody is left to read it."""
    call.writing = True
    try:
        await call.context.write(response)
    except grpc.aio.InternalError:
        return False
    finally:
        call.writing = False
    return True


@asynccontextmanager
async def _within(layers: Sequence[Layer], call: Call) -> AsyncIterator[None]:
    """The outer layers also see what an inner one refuses with before the handler is reached."""
    async with AsyncExitStack() as stack:
        for layer in layers:
            await stack.enter_async_context(layer(call))
        yield


def _forgiving(deserialize: Callable[[bytes], object] | None) -> Callable[[bytes], object] | None:
    if deserialize is None:
        return None

    def read(data: bytes) -> object:
        try:
            return deserialize(data)
        except (DecodeError, UnicodeDecodeError):
            return _Malformed()

    return read


def _readable(request: object) -> object:
    if isinstance(request, AsyncIterator) or hasattr(request, "__aiter__"):
        return _readable_stream(request)
    if isinstance(request, _Malformed):
        raise _malformed()
    return request


async def _readable_stream(requests: Any) -> AsyncGenerator[object, None]:
    async for request in requests:
        if isinstance(request, _Malformed):
            raise _malformed()
        yield request


def _malformed() -> InvalidInput:
    return InvalidInput(Violation("", "MALFORMED_MESSAGE", "the request is not a valid message of this RPC"))

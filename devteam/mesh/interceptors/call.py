"""One interceptor for all four kinds of RPC; what it does around a call is a list of layers.

A layer is an async context manager around the whole call, streams included. Written here because nothing well kept
covers asyncio streams: wrapping only the start of a streaming call, as most interceptors do, sees none of its errors.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from devteam.mesh.access.caller import Caller
from devteam.mesh.access.peer import Proxies
from devteam.mesh.errors import DevTeamError, InvalidInput, Unavailable, Violation

# Health and reflection are the library's own servicers, and answer to few of the layers.
_LIBRARY = "/grpc."


@dataclass(slots=True, eq=False)
class Call:
    """What a layer may know of a call."""

    method: str
    context: "grpc.aio.ServicerContext[Any, Any]"
    metadata: dict[str, str]
    streaming: bool
    # It has one request, not a stream of them.
    single: bool = True
    task: "asyncio.Task[Any] | None" = None
    # gRPC is sending a message of the stream: a cancellation now would reach gRPC, and no layer.
    writing: bool = False
    # What the call ends with, once it has been ended from outside.
    ending: DevTeamError | None = None
    # Its task was cancelled for that.
    interrupted: bool = False
    # Who makes it, once that is known.
    caller: Caller | None = None
    # Whose limits it counts against; empty: nobody's.
    subject: str = ""
    # Of a call with one of each, once it is there.
    request: object = None
    response: object = None
    # What the log is told of its refusal, and the caller is not.
    cause: str = ""
    # The same refusal was logged a moment ago.
    quiet: bool = False
    # Waits until a message of so many bytes may be read from the stream.
    pace: Callable[[int], Awaitable[None]] | None = None
    # Within it a message is read of which perhaps only the beginning is there.
    arriving: Callable[[], AbstractAsyncContextManager[None]] | None = None

    def origin(self, proxies: Proxies) -> str:
        """The address that it comes from, where these proxies are believed."""
        return proxies.origin(self.context.peer(), self.metadata.get("x-forwarded-for", ""))

    def end(self, error: DevTeamError) -> None:
        """End the call with `error`, once what is being sent is out. The first one counts."""
        if self.ending is not None:
            return
        self.ending = error
        if not self.writing and self.task is not None:
            self.interrupted = True
            self.task.cancel()


@contextmanager
def in_words(call: Call, kind: type[DevTeamError] = DevTeamError) -> Iterator[None]:
    """A call that `Call.end` cancels within the block raises what it was ended with, if that is of this kind."""
    try:
        yield
    except asyncio.CancelledError:
        if not call.interrupted or call.task is None or not isinstance(call.ending, kind):
            raise
        call.task.uncancel()
        raise call.ending from None


Layer = Callable[[Call], AbstractAsyncContextManager[None]]
# Whether a call of this method, with this metadata, is refused whoever makes it.
TurnsAway = Callable[[str, Mapping[str, str]], Awaitable[bool]]
# Whether the request of a call of this method is waited for inside of the layers only.
ReadsLate = Callable[[str], bool]
# The wire's types are the library's business: an interceptor sees every message type there is.
Handler = Any
_Deserializer = Callable[[bytes], object]


async def lets_in(_method: str, _metadata: Mapping[str, str]) -> bool:
    """Turn nobody away."""
    return False


def reads_at_once(_method: str) -> bool:
    """Leave it to gRPC, which waits for a request before it begins with a call."""
    return False


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Runs every call inside the given layers, the first outermost; health and reflection inside of `library`.

    A request is read from its bytes once the layers have let the call in; of a call that is turned away, its bytes are
    not even waited for. Nor are they, before that, where it `reads_late`: what has begun to arrive takes room for as
    long as its sender likes.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        library: Sequence[Layer] = (),
        turns_away: TurnsAway = lets_in,
        reads_late: ReadsLate = reads_at_once,
    ) -> None:
        self._layers = tuple(layers)
        self._library = tuple(library)
        self._turns_away = turns_away
        self._reads_late = reads_late

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap the handler that the server found, if it found one."""
        handler = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        if handler is None:
            return handler
        if await self._turns_away(method, _texts(handler_call_details.invocation_metadata)):
            return grpc.stream_stream_rpc_method_handler(self._turned_away(method, handler))
        # As one of many requests, the only one is read when the handler asks for it.
        many = handler.request_streaming or self._reads_late(method)
        guarded = handler._replace(request_deserializer=None, request_streaming=many)
        inner, kind = getattr(handler, _kind(handler)), _kind(guarded)
        around = self._around_stream if handler.response_streaming else self._around_unary
        return guarded._replace(**{kind: around(method, handler, inner)})

    def _around_unary(self, method: str, handler: Handler, inner: Handler) -> Handler:
        layers = self._of(method)

        async def unary(request: object, context: "grpc.aio.ServicerContext[Any, Any]") -> object:
            call = _call(method, context, handler, streaming=False)
            async with _within(layers, call):
                call.response = await inner(await _request(request, handler, call), context)
            return call.response

        return unary

    def _around_stream(self, method: str, handler: Handler, inner: Handler) -> Handler:
        layers = self._of(method)
        if inspect.iscoroutinefunction(inner) and layers is self._library:
            return self._around_writer(method, handler, inner)
        if not inspect.isasyncgenfunction(inner):
            raise TypeError(f"{method}: a streaming handler must be an async generator")

        # No generator itself: gRPC leaves one that it is cancelled in to the garbage collector, and everything that the
        # layers and the handler have to put in order with it, to be done late and in another context.
        async def stream(request: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
            call = _call(method, context, handler, streaming=True)
            async with (
                _within(layers, call),
                aclosing(inner(await _request(request, handler, call), context)) as responses,
            ):
                async for response in responses:
                    if not await _written(response, call):
                        return
                    if call.ending is not None:
                        raise call.ending

        return stream

    def _around_writer(self, method: str, handler: Handler, inner: Handler) -> Handler:
        """Around a handler that writes by itself."""

        async def stream(request: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
            call = _call(method, context, handler, streaming=True)
            async with _within(self._library, call):
                await inner(await _request(request, handler, call), _Writer(call))

        return stream

    def _turned_away(self, method: str, handler: Handler) -> Handler:
        layers = self._of(method)

        async def refused(_requests: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
            async with _within(layers, _call(method, context, handler, streaming=True)):
                # What was refused a moment ago would be let in now: a key became known between the two looks.
                raise _came_too_early()

        return refused

    def _of(self, method: str) -> tuple[Layer, ...]:
        return self._library if method.startswith(_LIBRARY) else self._layers


def _call(method: str, context: "grpc.aio.ServicerContext[Any, Any]", handler: Handler, *, streaming: bool) -> Call:
    metadata, single = _texts(context.invocation_metadata()), not handler.request_streaming
    return Call(method, context, metadata, streaming, single, asyncio.current_task())


def _texts(metadata: Any) -> dict[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}


async def _written(response: object, call: Call) -> bool:
    """Send a message of a stream; False when nobody is left to read it."""
    call.writing = True
    try:
        await call.context.write(response)
    except grpc.aio.AbortError:
        raise
    except grpc.aio.BaseError:
        return False
    finally:
        call.writing = False
    return True


class _Writer:
    """The context of a call whose handler writes by itself: once the call has been ended, no message follows."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __getattr__(self, name: str) -> object:
        return getattr(self._call.context, name)

    async def write(self, response: object) -> None:
        """Send a message, as gRPC's context does. Raises what the call was ended with meanwhile."""
        await _written(response, self._call)
        if self._call.ending is not None:
            raise self._call.ending


@asynccontextmanager
async def _within(layers: Sequence[Layer], call: Call) -> AsyncIterator[None]:
    """The outer layers also see what an inner one refuses with before the handler is reached."""
    async with AsyncExitStack() as stack:
        for layer in layers:
            await stack.enter_async_context(layer(call))
        yield


def _kind(handler: Handler) -> str:
    asked = "stream" if handler.request_streaming else "unary"
    return f"{asked}_stream" if handler.response_streaming else f"{asked}_unary"


async def _request(request: Any, handler: Handler, call: Call) -> object:
    if handler.request_streaming:
        return _read_stream(request, handler.request_deserializer, call)
    data = request if isinstance(request, bytes) else await _next(request, call)
    if data is None:
        raise _malformed()
    call.request = _read(data, handler.request_deserializer)
    return call.request


async def _read_stream(requests: Any, deserialize: _Deserializer | None, call: Call) -> AsyncGenerator[object, None]:
    while (data := await _next(requests, call)) is not None:
        if call.pace is not None:
            await call.pace(len(data))
        yield _read(data, deserialize)


async def _next(requests: AsyncIterator[bytes], call: Call) -> bytes | None:
    """The next message; None at the end of them, and of the server."""
    async with call.arriving() if call.arriving is not None else nullcontext():
        try:
            return await anext(requests, None)
        except grpc.aio.AbortError:
            raise
        except grpc.aio.BaseError:
            return None


def _read(data: Any, deserialize: _Deserializer | None) -> object:
    if deserialize is None:
        return data
    try:
        return deserialize(data)
    except (DecodeError, UnicodeDecodeError):
        raise _malformed() from None


def _malformed() -> InvalidInput:
    return InvalidInput(Violation("", "MALFORMED_MESSAGE", "the request is not a valid message of this RPC"))


def _came_too_early() -> Unavailable:
    return Unavailable("the call came a moment too early; try again", reason="INTERRUPTED")

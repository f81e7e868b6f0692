"""A client's line to a mesh: the stubs, and what every call has in common."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from math import inf
from typing import Any, TypeVar

import grpc

from devteam import wire
from devteam.events import Event
from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock
from devteam.mesh.errors import (
    DeadlineExceeded,
    DevTeamError,
    FailedPrecondition,
    Internal,
    ResourceExhausted,
    Unavailable,
)
from devteam.mesh.status import from_rpc
from devteam.mesh.tls import TlsFiles
from devteam.v1 import (
    access_pb2_grpc,
    planner_pb2,
    planner_pb2_grpc,
    registry_pb2_grpc,
    router_pb2_grpc,
    trace_pb2_grpc,
)
from devteam.watching import Progress

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Watched = TypeVar("_Watched", planner_pb2.WatchTaskResponse, planner_pb2.WatchPlanResponse)
_Item = TypeVar("_Item")
_LARGEST_PAGE = 500
# Seconds that a call waits in all for its key's rate, and at least at a time.
_RATE_PATIENCE = 60.0
_SHORTEST_WAIT = 0.01


class Connection:
    """One channel and its stubs; connects with the first call. Make it in a running event loop."""

    def __init__(
        self, url: str, api_key: str, tenant: str, timeout: float, clock: Clock, tls: TlsFiles | None = None
    ) -> None:
        self._url = url
        self._clock = clock
        self._timeout = timeout
        self._channel = open_channel(url, api_key=api_key, tenant=tenant, tls=tls)
        self.access = access_pb2_grpc.AccessServiceStub(self._channel)
        self.planner = planner_pb2_grpc.PlannerServiceStub(self._channel)
        self.registry = registry_pb2_grpc.RegistryServiceStub(self._channel)
        self.router = router_pb2_grpc.RouterServiceStub(self._channel)
        self.traces = trace_pb2_grpc.TraceServiceStub(self._channel)

    async def close(self) -> None:
        """Close the channel; calls that are under way end with an error."""
        await self._channel.close()

    async def call(
        self, method: "grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]", request: _Request
    ) -> _Response:
        """One answer to one request, within the timeout. Raises DevTeamError.

        A call that the key's rate did not let through has done nothing, and is made again when it was told to come
        back, for up to a minute.
        """
        waited = 0.0
        while True:
            try:
                return await method(request, timeout=self._timeout)
            except grpc.aio.AioRpcError as error:
                refusal = self._in_words(from_rpc(error))
                if waited + (wait := _told_to_wait(refusal)) > _RATE_PATIENCE:
                    raise refusal from error
            waited += wait
            await self._clock.sleep(wait)

    async def events(
        self, call: "grpc.aio.UnaryStreamCall[Any, _Watched]", progress: Progress
    ) -> AsyncGenerator[Event, None]:
        """The events of one stream; closing the generator ends the stream. Raises DevTeamError."""
        async with aclosing(self.responses(call)) as responses:
            async for response in responses:
                event = wire.event_from_proto(response, progress.steps)
                if event is not None:
                    yield event

    async def responses(self, call: "grpc.aio.UnaryStreamCall[Any, _Response]") -> AsyncGenerator[_Response, None]:
        """The messages of one stream; closing the generator ends the stream. Raises DevTeamError."""
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise self._in_words(from_rpc(error)) from error
        finally:
            call.cancel()

    def _in_words(self, error: DevTeamError) -> DevTeamError:
        """What gRPC itself has to say names sockets; say which mesh and what is wrong instead."""
        if isinstance(error, Unavailable) and error.reason == "UNAVAILABLE":
            return Unavailable(f"cannot reach {self._url}: {cause_of(error.message)}", reason="UNREACHABLE")
        if isinstance(error, DeadlineExceeded) and error.message == "Deadline Exceeded":
            return DeadlineExceeded(f"{self._url} did not answer within {self._timeout:g} s")
        if isinstance(error, Internal) and error.reason == "UNIMPLEMENTED":
            return FailedPrecondition(
                f"{self._url} answers, but not as a mesh that knows this call: {error.message}", reason="NOT_A_MESH"
            )
        return error


def _told_to_wait(refusal: DevTeamError) -> float:
    """Seconds until the same call may be made again; infinite when it may not."""
    if isinstance(refusal, ResourceExhausted) and refusal.reason == "RATE_LIMITED":
        return max(refusal.retry_after, _SHORTEST_WAIT)
    return inf


async def listed(
    fetch: Callable[[int, str], Awaitable[tuple[list[_Item], str]]], limit: int | None = None
) -> list[_Item]:
    """Fetch pages, each by its size and token, until there are `limit` items or no more."""
    items: list[_Item] = []
    token = ""
    while limit is None or len(items) < limit:
        wanted = _LARGEST_PAGE if limit is None else min(limit - len(items), _LARGEST_PAGE)
        page, token = await fetch(wanted, token)
        items += page
        if not token:
            break
    return items


def cause_of(message: str) -> str:
    """The last of gRPC's chain of causes, e.g. "Connection refused", without brackets that earlier ones opened."""
    cause = message.rsplit(": ", 1)[-1].strip()
    while cause.endswith((")", "]")) and cause.count(cause[-1]) > cause.count("(" if cause[-1] == ")" else "["):
        cause = cause[:-1]
    return cause or "no connection"

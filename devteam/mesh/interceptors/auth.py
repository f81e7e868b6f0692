"""Asks, for every call, whether this caller may make it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol, runtime_checkable

from devteam.mesh.access.caller import ANYONE, Caller, calling
from devteam.mesh.interceptors.call import Call, Layer


class Authorizer(Protocol):
    """Decides about calls."""

    async def authorize(self, call: Call) -> Caller:
        """Who calls, if the call may go on. Raises Unauthenticated or PermissionDenied."""


@runtime_checkable
class Doorkeeper(Protocol):
    """An authorizer that can tell of some calls that it refuses them before anything of the call has been read."""

    async def turns_away(self, method: str, metadata: Mapping[str, str]) -> bool:
        """Whether `authorize` will refuse this call, whoever makes it and from wherever."""

    def reads_late(self, method: str) -> bool:
        """Whether the request of such a call is waited for only once it is known who makes it."""


class LoopbackAuthorizer:
    """Lets every call pass: for servers that only this machine can reach."""

    async def authorize(self, call: Call) -> Caller:
        """Allow the call."""
        return ANYONE


def auth_layer(authorizer: Authorizer) -> Layer:
    """Ask `authorizer` before the handler sees the call."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        call.caller = caller = await authorizer.authorize(call)
        with calling(caller):
            yield

    return layer

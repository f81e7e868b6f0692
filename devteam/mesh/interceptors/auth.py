"""Asks, for every call, whether this caller may make it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from devteam.mesh.access.caller import ANYONE, Caller, calling
from devteam.mesh.interceptors.call import Call, Layer


class Authorizer(Protocol):
    """Decides about calls."""

    async def authorize(self, call: Call) -> Caller:
        """Who calls, if the call may go on. Raises Unauthenticated or PermissionDenied."""


class LoopbackAuthorizer:
    """Lets every call pass: for servers that only this machine can reach."""

    async def authorize(self, call: Call) -> Caller:
        """Allow the call."""
        return ANYONE


def auth_layer(authorizer: Authorizer) -> Layer:
    """Ask `authorizer` before the handler sees the call."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        with calling(await authorizer.authorize(call)):
            yield

    return layer

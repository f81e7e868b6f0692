"""Calls of the contract that no client has business with, and that a fake mesh does not answer."""

from collections.abc import AsyncGenerator
from typing import Any

from devteam.mesh.errors import FailedPrecondition


async def _refuse(_servicer: object, _request: Any, _context: Any) -> Any:
    """Answer a call."""
    raise FailedPrecondition("a fake mesh does not answer this call", reason="FAKE_MESH")


async def _refuse_stream(_servicer: object, _request: Any, _context: Any) -> AsyncGenerator[Any, None]:
    """Answer a stream."""
    raise FailedPrecondition("a fake mesh does not answer this call", reason="FAKE_MESH")
    yield  # makes it the async generator that a stream has to be


refused: Any = _refuse
refused_stream: Any = _refuse_stream

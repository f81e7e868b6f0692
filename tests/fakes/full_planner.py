"""A Planner that takes nothing more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from devteam.mesh.errors import ResourceExhausted
from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import planner_pb2, planner_pb2_grpc
from tests.fakes.ids import CountingIds


class FullPlanner:
    """Refuses every task, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def CreateTask(
        self, request: planner_pb2.CreateTaskRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> planner_pb2.CreateTaskResponse:
        self.asked += 1
        raise ResourceExhausted("queue 'gpu' is full", reason="QUEUE_FULL", retry_after=7.5)

    def __getattr__(self, name: str) -> Any:
        return getattr(planner_pb2_grpc.PlannerServiceServicer, name)


@asynccontextmanager
async def full_planner() -> AsyncIterator[tuple[FullPlanner, str]]:
    """It, and the URL where it answers."""
    planner, server = FullPlanner(), MeshServer(Listen(port=0, stop_grace=0.1), CountingIds())
    planner_pb2_grpc.add_PlannerServiceServicer_to_server(planner, server.server)  # type: ignore[arg-type]  # answers one call
    yield planner, f"http://127.0.0.1:{await server.start()}"
    await server.stop()

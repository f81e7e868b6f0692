"""A worker that is linked to two Routers, beside the mesh that it registered at."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from devteam_worker.links import ADRIFT_AFTER

from devteam.v1 import worker_pb2
from tests.fakes.mesh_server import Line, ScriptedMesh, scripted_mesh
from tests.rpc.worker.rig import Rig, texts, working


@dataclass(slots=True)
class TwoRouters:
    """Both Routers, the worker's present lines to them, and the worker."""

    rig: Rig
    a: ScriptedMesh
    b: ScriptedMesh
    line_a: Line
    line_b: Line


@asynccontextmanager
async def between_two(mesh: ScriptedMesh, *, adrift_after: float = ADRIFT_AFTER) -> AsyncIterator[TwoRouters]:
    """Attached to both, with nothing in hand."""
    async with scripted_mesh() as a, scripted_mesh() as b:
        mesh.registry.router_addresses = [a.url, b.url]
        async with working(mesh, adrift_after=adrift_after) as rig:
            yield TwoRouters(rig, a, b, await a.router.attached(), await b.router.attached())


async def hears(line: Line, item: str) -> Any:
    """The next word of this kind; what comes before is left out."""
    while (request := await line.hears()).WhichOneof("item") != item:
        pass
    return getattr(request, item)


async def occupied(line: Line) -> tuple[int, dict[str, int]]:
    """How many slots the worker says next that others take, in all and by queue."""
    said: worker_pb2.Occupied = await hears(line, "occupied")
    return said.total, dict(said.by_queue)


class Reader:
    """A Planner's view of one attempt, by whichever Router it comes: every token once, in order."""

    def __init__(self) -> None:
        self.words: list[str] = []

    async def read(self, line: Line, until: int) -> None:
        """Take tokens from this line until there are so many."""
        while len(self.words) < until:
            request = await line.hears()
            if request.WhichOneof("item") == "tokens":
                _, _, first_seq, heard = texts(request)
                assert first_seq == len(self.words) + 1
                self.words += heard

"""An in-process mesh for your own tests: a real gRPC server, real streams, and no model, worker or database behind it.

>>> from devteam.testing import FakeMesh
>>> async def test_asks_for_a_summary() -> None:
...     async with FakeMesh(lambda run: f"summary of {run.prompt}") as mesh, mesh.client() as client:
...         task = await client.create_task("the news", model="haiku")
...         assert (await client.wait(task.id)).output == "summary of the news"
"""

from devteam.testing.mesh import FakeMesh
from devteam.testing.runs import Answer, Run, WorkerLost, echo

__all__ = ["Answer", "FakeMesh", "Run", "WorkerLost", "echo"]

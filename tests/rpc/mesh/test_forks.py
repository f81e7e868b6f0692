"""Code that forks beside gRPC: a tool of somebody's worker, a test that starts PostgreSQL as another user."""

import subprocess
import sys
from collections import Counter

from tests.e2e.programs import PATIENCE, environment

# Children of a process whose gRPC is busy, each of which only ends; what became of each.
FORKS = """
import asyncio, os
from devteam.mesh.channel import open_channel
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.clock import SystemClock
from devteam.mesh.server import Listen, MeshServer
from grpc_health.v1 import health_pb2, health_pb2_grpc

async def call(port, over):
    while not over.is_set():
        async with open_channel(f"http://127.0.0.1:{port}") as channel:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())

def forked():
    child = os.fork()
    if not child:
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

async def main():
    server, over = MeshServer(Listen(port=0), TimeOrderedIds(SystemClock())), asyncio.Event()
    port = await server.start()
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(call(port, over))
        for _ in range(100):
            print("ended with", await asyncio.to_thread(forked))
        over.set()
    await server.stop()

asyncio.run(main())
"""


def test_children_of_a_process_that_speaks_grpc_do_not_crash() -> None:
    """With gRPC's own handlers of a fork a quarter of them do, though Python's gRPC takes those for switched off."""
    done = subprocess.run(
        (sys.executable, "-c", FORKS),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
        env=environment(),
    )
    ended = [line for line in done.stdout.splitlines() if line.startswith("ended with")]
    assert Counter(ended) == {"ended with 0": 100}

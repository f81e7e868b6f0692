"""What a Planner says of itself: its database, Temporal, and every Router."""

from pathlib import Path

import pytest
from devteam_planner.app import mounted
from devteam_planner.router_client.routers import Routers
from devteam_planner.settings import Settings
from devteam_planner.temporal import TemporalWorkflows
from temporalio.service import RPCError, RPCStatusCode

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.standing import DependencyState
from devteam.mesh.tasks import background
from devteam.v1 import planner_pb2 as pb
from devteam.v1 import status_pb2
from devteam.v1.planner_pb2_grpc import PlannerServiceStub
from tests.fakes.ids import CountingIds

AWAY = status_pb2.DEPENDENCY_STATE_AWAY


async def test_a_planner_that_stands_alone(tmp_path: Path) -> None:
    """Its database is there; Temporal and Routers are not, each with what to do."""
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'planner.db'}",
        temporal_address="127.0.0.1:1",
        router_address="http://me:canary@127.0.0.1:1, http://127.0.0.1:2",
    )
    server = MeshServer(Listen(port=0, stop_grace=0.1), CountingIds())
    async with mounted(server, settings, SystemClock(), CountingIds()) as job:
        port = await server.start()
        async with background(job), open_channel(f"http://127.0.0.1:{port}") as channel:
            said = (await PlannerServiceStub(channel).GetPlannerStatus(pb.GetPlannerStatusRequest(), timeout=60)).status
            await server.stop()
    assert [(one.name, one.address) for one in said.dependencies] == [
        ("database", "sqlite planner.db"),
        ("temporal", "127.0.0.1:1"),
        ("router", "http://127.0.0.1:1"),
        ("router", "http://127.0.0.1:2"),
    ]
    assert [one.state == AWAY for one in said.dependencies] == [False, True, True, True]
    assert "plans are accepted and start later" in said.dependencies[1].detail
    assert said.dependencies[1].HasField("since")
    assert "canary" not in str(said)


class FakeTemporal:
    """A client whose server answers, or does not."""

    def __init__(self) -> None:
        self.service_client = self
        self.there = True

    async def check_health(self) -> bool:
        if not self.there:
            raise RPCError("transport error: canary", RPCStatusCode.UNAVAILABLE, b"")
        return True


class FakeWorker:
    is_running = True


async def test_temporal_is_there_when_it_answers_and_the_planner_works_for_it() -> None:
    workflows, client, worker = TemporalWorkflows(task_queue="q"), FakeTemporal(), FakeWorker()
    assert (await workflows.trouble()).startswith("it does not answer")
    workflows.use(client)  # type: ignore[arg-type]  # as much as a look needs
    assert (await workflows.trouble()).startswith("it answers, but this Planner carries out no plans")
    workflows.served_by(worker)  # type: ignore[arg-type]  # as above
    assert await workflows.trouble() == ""
    worker.is_running = False
    assert "namespace" in await workflows.trouble()
    client.there = False
    trouble = await workflows.trouble()
    assert trouble.startswith("it does not answer")
    assert "canary" not in trouble


@pytest.mark.parametrize(("names", "state"), [(["devteam.v1.RouterService"], "ok"), ([], "away")])
async def test_a_router_is_there_when_it_serves(names: list[str], state: str) -> None:
    """One that listens and does not serve (yet, or any more) is of no use."""
    server = MeshServer(Listen(port=0, stop_grace=0.1), CountingIds())
    server.serve(names)
    address = f"http://127.0.0.1:{await server.start()}"
    async with open_channel(address) as channel:
        [footing] = Routers({address: channel}, SystemClock()).footings()
        assert (await footing.dependency()).state is DependencyState(state)
    await server.stop()

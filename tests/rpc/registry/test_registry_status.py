"""What a Registry says of itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from devteam_registry.settings import Settings

from devteam.mesh.clock import SystemClock
from devteam.mesh.database import Database
from devteam.mesh.database_footing import database_footing
from devteam.mesh.errors import Unavailable
from devteam.mesh.standing import DependencyState
from devteam.v1 import registry_pb2 as pb
from devteam.v1 import status_pb2
from tests.fakes.clock import FakeClock
from tests.rpc.registry.mesh import Mesh, running


async def status(mesh: Mesh) -> status_pb2.ServiceStatus:
    return (await mesh.stub.GetRegistryStatus(pb.GetRegistryStatusRequest())).status


async def test_a_registry_that_remembers_nothing(mesh: Mesh) -> None:
    """Its memory is always there."""
    said = await status(mesh)
    assert (said.name, said.instance, said.traces) == ("registry", "", "off")
    assert said.version
    [database] = said.dependencies
    assert (database.name, database.address) == ("database", "memory")
    assert database.state == status_pb2.DEPENDENCY_STATE_OK


@pytest.mark.parametrize("fixture", ["sqlite_url", "postgres_url"])
async def test_a_database_that_answers(request: pytest.FixtureRequest, clock: FakeClock, fixture: str) -> None:
    """And how long the Registry has been up, by its own clock."""
    settings = Settings(database_url=request.getfixturevalue(fixture), trace_file=Path("spans"))
    async with running(settings, clock) as mesh:
        clock.advance(30)
        said = await status(mesh)
    assert said.now.ToDatetime() == clock.now().replace(tzinfo=None)
    assert said.now.seconds - said.started_at.seconds == 30
    assert said.traces == "store"
    [database] = said.dependencies
    assert (database.state, database.detail) == (status_pb2.DEPENDENCY_STATE_OK, "")
    assert database.address.split()[0] in {"sqlite", "postgresql"}
    assert "@" not in database.address


class FakeDatabase:
    """One whose disk is full, or that cannot be read."""

    dialect = "sqlite"

    def __init__(self, *, full: bool) -> None:
        self.full = full

    @asynccontextmanager
    async def read(self) -> AsyncIterator[None]:
        raise Unavailable("the database cannot be used now; try again")
        yield


@pytest.mark.parametrize(("full", "said"), [(True, "its disk is full"), (False, "it cannot be used")])
async def test_a_database_that_cannot_be_used(full: bool, said: str) -> None:
    database: Database = FakeDatabase(full=full)  # type: ignore[assignment]  # as much as a look needs
    dependency = await database_footing("sqlite:///registry.db", database, SystemClock()).dependency()
    assert dependency.state is DependencyState.AWAY
    assert dependency.detail.startswith(said)
    assert dependency.since is not None

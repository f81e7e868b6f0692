"""A Registry whose disk is full takes nobody new, and goes on with those whom it knows."""

import grpc
import pytest
from devteam_registry.domain import Beat
from devteam_registry.health import HealthPolicy
from devteam_registry.service import Registry
from devteam_registry.store.sql import MIGRATIONS, SqlRoutingStore, SqlWorkerStore

from devteam.mesh import status
from devteam.mesh.database import open_database
from devteam.mesh.errors import Unavailable
from tests.fakes.clock import FakeClock
from tests.fakes.full_disk import disk_of
from tests.unit.registry.samples import full_spec, spec


@pytest.mark.parametrize("backend", ["sqlite_url", "postgres_url"])
async def test_newcomers_are_refused_and_beats_go_on(
    backend: str, clock: FakeClock, request: pytest.FixtureRequest
) -> None:
    url = str(request.getfixturevalue(backend))
    database = await open_database(url, MIGRATIONS)
    try:
        registry, disk = (
            Registry(SqlWorkerStore(database), SqlRoutingStore(database), clock, HealthPolicy()),
            disk_of(database, url, "registry_workers"),
        )
        token = (await registry.register(spec("w1"), "i1")).session_token
        await disk.fill()
        refused = await first_refusal(registry)
        assert "the disk of the database is full" in refused.message
        assert status.to_status(refused).code is grpc.StatusCode.UNAVAILABLE
        registry.beat(Beat("w1", "i1", token))
        await disk.free()
        await registry.register(full_spec("newcomer"), "i1")
        registry.beat(Beat("w1", "i1", token))
    finally:
        await database.close()


async def first_refusal(registry: Registry) -> Unavailable:
    """Register worker after worker: the first of them may find a place in a page that is there already."""
    for number in range(1_000):
        try:
            await registry.register(full_spec(f"gpu-{number}"), "i1")
        except Unavailable as error:
            return error
    raise AssertionError("the disk is not full")

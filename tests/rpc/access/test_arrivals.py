"""What is begun to be sent and never ended takes little room, and not for long, with a key or without."""

import asyncio
from collections.abc import Callable

import pytest
import structlog

from devteam.mesh.access import arrivals
from devteam.mesh.access.caller import Role
from devteam.mesh.access.rules import RULES
from tests.fakes.clock import FakeClock
from tests.fakes.guarded_mesh import PATIENCE, GuardedMesh, guarded_mesh
from tests.fakes.half_sent import half_sent

OPEN = sorted(path for path, rule in RULES.items() if rule.open)
PLANNER = "/devteam.v1.PlannerService"
HEALTH, OK = "/grpc.health.v1.Health/Check", ("OK", "")
SIZE = 1024 * 1024
# More than arrive at a time.
CALLS = 60


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - gRPC has no event for it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("path", OPEN)
async def test_few_messages_arrive_at_a_time_and_none_for_long(
    clock: FakeClock, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of those beyond takes a window of 64 KiB, and all of them end; the log has a line of it."""
    monkeypatch.setattr(arrivals, "_AT_ONCE", 4)
    monkeypatch.setattr(arrivals, "_PATIENCE", 2.0)
    async with guarded_mesh(clock, writes_burst=1_000) as mesh, half_sent(mesh.server.port) as stranger:
        with structlog.testing.capture_logs() as logs:
            calls = {stranger.begin(path, SIZE) for _ in range(CALLS)}
            await until(lambda: stranger.ended == calls)
        # Whose turn comes when the first ones end has just time to begin.
        assert stranger.taken < 20 * SIZE + CALLS * 64 * 1024
        assert len([entry for entry in logs if entry["event"] == "call refused"]) == 1


@pytest.mark.parametrize("path", [f"{PLANNER}/CreateTask", f"{PLANNER}/GetTask", f"{PLANNER}/WatchTask"])
async def test_so_it_is_with_a_key(clock: FakeClock, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_AT_ONCE", 4)
    monkeypatch.setattr(arrivals, "_PATIENCE", 2.0)
    async with guarded_mesh(clock) as mesh, half_sent(mesh.server.port) as client:
        key = mesh.key(Role.CLIENT)
        calls = {client.begin(path, SIZE, key) for _ in range(CALLS)}
        await until(lambda: client.ended == calls)
        assert client.taken < 20 * SIZE + CALLS * 64 * 1024


async def test_a_key_begins_more_than_a_stranger_and_not_without_end(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "_AT_ONCE", 1)
    monkeypatch.setattr(arrivals, "_WAITING", 2)
    monkeypatch.setattr(arrivals, "_WAITING_OF_KEY", 5)
    async with guarded_mesh(clock) as mesh, half_sent(mesh.server.port) as client:
        key, other = mesh.key(Role.CLIENT), mesh.key(Role.CLIENT)
        calls = {client.begin(f"{PLANNER}/GetTask", SIZE, key) for _ in range(8)}
        await until(lambda: len(client.ended) == 2)
        assert await mesh.outcome(f"{PLANNER}/GetTask", key) == ("RESOURCE_EXHAUSTED", "STREAM_LIMIT")
        assert await mesh.outcome(f"{PLANNER}/GetTask", other) == OK
        assert client.ended < calls


async def test_a_message_that_comes_whole_waits_for_no_other(clock: FakeClock) -> None:
    """An address may ask for health as often as it likes, while others there have begun to send something."""
    async with guarded_mesh(clock) as mesh, half_sent(mesh.server.port) as stranger:
        for _ in range(10):
            stranger.begin(HEALTH, SIZE)
        outcomes = await asyncio.gather(*(mesh.outcome(HEALTH) for _ in range(200)))
        assert outcomes == [OK] * 200


async def test_whoever_begins_too_many_is_refused_at_once(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is let in again once they have ended."""
    monkeypatch.setattr(arrivals, "_AT_ONCE", 1)
    monkeypatch.setattr(arrivals, "_WAITING", 2)
    async with guarded_mesh(clock) as mesh:
        async with half_sent(mesh.server.port) as stranger:
            calls = {stranger.begin(HEALTH, SIZE) for _ in range(5)}
            await until(lambda: len(stranger.ended) == 2)
            assert await mesh.outcome(HEALTH) == ("RESOURCE_EXHAUSTED", "STREAM_LIMIT")
            assert stranger.ended < calls
        await until_ok(mesh)


async def until_ok(mesh: GuardedMesh) -> None:
    """What has hung up ends a moment later."""
    async with asyncio.timeout(PATIENCE):
        while await mesh.outcome(HEALTH) != OK:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)

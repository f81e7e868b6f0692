"""A worker's standing with the Registry."""

import asyncio

import pytest
from devteam_worker.convert.registry import declaration_to_proto

from devteam.mesh.errors import (
    Aborted,
    Internal,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Violation,
)
from devteam.v1 import registry_pb2
from tests.fakes.agent_script import PATIENCE
from tests.fakes.mesh_server import ScriptedMesh
from tests.rpc.worker.rig import DECLARATION, working


async def test_a_worker_registers_with_what_it_declares_and_attaches_with_its_session(mesh: ScriptedMesh) -> None:
    async with working(mesh):
        registration = await mesh.registry.registered()
        assert registration == registry_pb2.RegisterWorkerRequest(
            spec=declaration_to_proto(DECLARATION), instance_id="i-1"
        )
        attach = (await mesh.router.attached()).attach
        assert (attach.worker_id, attach.instance_id, attach.session_token) == ("w1", "i-1", "session-1")
        assert list(attach.running) == []


async def test_it_beats_at_the_registrys_pace_and_says_how_much_it_runs(mesh: ScriptedMesh) -> None:
    mesh.registry.interval = 0.02
    async with working(mesh) as rig:
        first = await mesh.registry.beaten()
        assert first == registry_pb2.HeartbeatRequest(
            worker_id="w1",
            instance_id="i-1",
            session_token="session-1",
            active_tasks=0,
            availability=registry_pb2.AVAILABILITY_OPEN,
        )
        await rig.begin(await mesh.router.attached())
        async with asyncio.timeout(PATIENCE):
            while (await mesh.registry.beaten()).active_tasks != 1:
                pass


async def test_the_registry_may_change_the_pace(mesh: ScriptedMesh) -> None:
    """The answer to each beat says when the next one is due."""
    mesh.registry.interval = 0.02
    async with working(mesh):
        await mesh.registry.beaten()
        mesh.registry.interval = 30.0
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await asyncio.wait_for(mesh.registry.beats.get(), 0.3)
                except TimeoutError:
                    break


async def test_it_waits_for_a_registry_that_cannot_answer_yet(mesh: ScriptedMesh) -> None:
    mesh.registry.refusals["RegisterWorker"] += [Unavailable("not yet"), Aborted("not yet")]
    async with working(mesh):
        assert mesh.registry.session == "session-1"


@pytest.mark.parametrize(
    "refusal",
    [
        InvalidInput(Violation("spec.queues[0].name", "ID_FORMAT", "must not be empty")),
        Unauthenticated("the key is not known"),
        PermissionDenied("this key is worker 'w2's"),
    ],
)
async def test_a_refusal_that_stays_one_is_raised(mesh: ScriptedMesh, refusal: Exception) -> None:
    mesh.registry.refusals["RegisterWorker"].append(refusal)
    with pytest.raises(type(refusal), match=str(refusal).replace("[", r"\[")):
        async with working(mesh):
            raise AssertionError


async def test_a_beat_that_is_not_heard_is_followed_by_the_next_one(mesh: ScriptedMesh) -> None:
    mesh.registry.interval = 0.02
    mesh.registry.refusals["Heartbeat"] += [ResourceExhausted("slow down"), Internal("oh")]
    async with working(mesh):
        for _ in range(3):
            await mesh.registry.beaten()
        assert mesh.registry.session == "session-1"


async def test_a_worker_that_the_registry_forgot_registers_again(mesh: ScriptedMesh) -> None:
    """As the same instance, and what it runs goes on."""
    mesh.registry.interval = 0.02
    async with working(mesh) as rig:
        first = await mesh.registry.registered()
        play = await rig.begin(await mesh.router.attached())
        mesh.registry.forget()
        assert await mesh.registry.registered() == first
        async with asyncio.timeout(PATIENCE):
            while (await mesh.registry.beaten()).session_token != "session-2":
                pass
        assert not play.stopped.is_set()


UNKNOWN = [
    NotFound("worker", "w1", reason="WORKER_NOT_REGISTERED"),
    PermissionDenied("not this session", reason="SESSION_INVALID"),
]


@pytest.mark.parametrize("refusal", UNKNOWN)
async def test_a_worker_that_the_router_does_not_know_asks_the_registry(mesh: ScriptedMesh, refusal: Exception) -> None:
    """Long before its next beat is due."""
    async with working(mesh):
        line = await mesh.router.attached()
        mesh.registry.forget()
        await mesh.registry.registered()
        line.cut(refusal)
        await mesh.registry.registered()
        async with asyncio.timeout(PATIENCE):
            # It may have dialled before the Registry answered: a Router refuses that session again.
            while (line := await mesh.router.attached()).attach.session_token != "session-2":
                line.cut(refusal)


REVOKED = Unauthenticated("the API key is not valid", reason="CREDENTIALS_INVALID")


async def test_a_worker_whose_key_is_valid_no_more_ends(mesh: ScriptedMesh) -> None:
    """With the next beat that says so."""
    mesh.registry.interval = 0.02
    mesh.registry.refusals["Heartbeat"].append(REVOKED)
    with pytest.RaisesGroup(pytest.RaisesExc(Unauthenticated, match="not valid")):
        async with working(mesh), asyncio.timeout(PATIENCE):
            await asyncio.Event().wait()


async def test_a_worker_whose_stream_ends_with_its_key_asks_the_registry_and_ends(mesh: ScriptedMesh) -> None:
    """Long before its next beat is due."""
    mesh.registry.refusals["Heartbeat"].append(REVOKED)
    with pytest.RaisesGroup(pytest.RaisesExc(Unauthenticated, match="not valid")):
        async with working(mesh), asyncio.timeout(PATIENCE):
            (await mesh.router.attached()).cut(REVOKED)
            await asyncio.Event().wait()


async def test_a_router_that_does_not_know_a_key_yet_is_dialled_again(mesh: ScriptedMesh) -> None:
    """The Registry knows it: the worker works on."""
    async with working(mesh):
        (await mesh.router.attached()).cut(REVOKED)
        await mesh.registry.beaten()
        await mesh.router.attached()


async def test_a_worker_whose_id_another_instance_took_over_ends(mesh: ScriptedMesh) -> None:
    mesh.registry.interval = 0.02
    mesh.registry.supersede("another instance")
    with pytest.RaisesGroup(pytest.RaisesExc(Aborted, match="another instance")):
        async with working(mesh), asyncio.timeout(PATIENCE):
            await asyncio.Event().wait()


@pytest.mark.parametrize("refusal", UNKNOWN)
async def test_a_superseded_worker_does_not_win_its_id_back_by_way_of_the_router(
    mesh: ScriptedMesh, refusal: Exception
) -> None:
    """The Router does not know the old instance any longer; registering again would turn out the new one."""
    mesh.registry.supersede("another instance")
    with pytest.RaisesGroup(pytest.RaisesExc(Aborted, match="another instance")):
        async with working(mesh), asyncio.timeout(PATIENCE):
            await mesh.registry.registered()
            (await mesh.router.attached()).cut(refusal)
            await asyncio.Event().wait()
    assert mesh.registry.registrations.empty()


async def test_an_operators_wish_for_concurrency_changes_what_is_taken(mesh: ScriptedMesh) -> None:
    mesh.registry.interval = 0.02
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        mesh.registry.concurrency = 1
        async with asyncio.timeout(PATIENCE):
            while rig.desk.concurrency != 1:
                await mesh.registry.beaten()
        play = await rig.begin(line)
        line.assign("t2")
        assert (await line.hears()).rejected.message == "every slot is taken"

        mesh.registry.concurrency = 0
        async with asyncio.timeout(PATIENCE):
            while rig.desk.concurrency != DECLARATION.concurrency:
                await mesh.registry.beaten()
        await rig.begin(line, "t3")
        assert not play.stopped.is_set()


async def test_an_operators_wish_to_drain_is_heard(mesh: ScriptedMesh) -> None:
    mesh.registry.interval = 0.02
    mesh.registry.availability = registry_pb2.AVAILABILITY_DRAINING
    async with working(mesh) as rig:
        await rig.has_drained()
        assert set(rig.deadlines) == {None}


async def test_a_beat_tells_the_rest_of_a_drain(mesh: ScriptedMesh) -> None:
    mesh.registry.interval = 0.02
    mesh.registry.availability, mesh.registry.drain_deadline = registry_pb2.AVAILABILITY_DRAINING, 90.5
    async with working(mesh) as rig:
        await rig.has_drained()
        assert set(rig.deadlines) == {90.5}


async def test_a_draining_worker_says_so_at_once(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        rig.registration.drain()
        assert (await mesh.registry.beaten()).availability == registry_pb2.AVAILABILITY_DRAINING


async def test_it_takes_leave_by_its_instance_and_session(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        await rig.registration.leave()
    assert await mesh.registry.left() == registry_pb2.DeregisterWorkerRequest(
        worker_id="w1", instance_id="i-1", session_token="session-1", reason="the worker stopped"
    )


async def test_a_registry_that_is_gone_does_not_keep_it(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        await mesh.stop()
        await asyncio.wait_for(rig.registration.leave(), PATIENCE)


async def test_the_api_key_goes_with_every_call(mesh: ScriptedMesh) -> None:
    mesh.registry.interval = 0.02
    async with working(mesh, api_key="dt-key") as rig:
        line = await mesh.router.attached()
        await mesh.registry.beaten()
        await rig.registration.leave()
    assert line.key == "Bearer dt-key"
    assert mesh.registry.keys == dict.fromkeys(["RegisterWorker", "Heartbeat", "DeregisterWorker"], "Bearer dt-key")


async def test_without_a_key_none_is_shown(mesh: ScriptedMesh) -> None:
    async with working(mesh):
        line = await mesh.router.attached()
    assert (line.key, mesh.registry.keys) == (None, {"RegisterWorker": None})

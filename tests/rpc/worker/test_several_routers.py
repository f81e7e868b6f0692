"""A worker with a line to each of several Routers: whose a run is, and how it comes from one to the other."""

import asyncio

import pytest
from devteam_worker.links import SELF_STOP

from devteam.mesh.errors import Aborted, Unavailable
from devteam.v1 import worker_pb2
from tests.fakes.agent_script import Play
from tests.fakes.mesh_server import PATIENCE, ScriptedMesh, scripted_mesh
from tests.rpc.worker.rig import beside_slots, texts, words, working
from tests.rpc.worker.two_routers import Reader, TwoRouters, between_two, hears, occupied

GONE = Unavailable("the router goes down", reason="DRAINING")
T1 = worker_pb2.RunningAttempt(task_id="t1", attempt=1, queue="default", last_seq=0, first_kept_seq=1)
# When what a Router had that is gone is offered to others, in seconds.
NEVER, AT_ONCE = 600.0, 0.0


async def begun(two: TwoRouters, task_id: str = "t1") -> Play:
    """A run that A assigned, and that B knows to take a slot."""
    play = await two.rig.begin(two.line_a, task_id)
    assert await occupied(two.line_b) == (1, {"default": 1})
    return play


async def a_dies(two: TwoRouters) -> None:
    """A is gone, and what it had has been offered to B."""
    await two.a.stop()
    assert [item.task_id for item in (await hears(two.line_b, "offer")).running] == ["t1"]


async def test_a_run_goes_on_by_another_router_when_its_own_is_gone(mesh: ScriptedMesh) -> None:
    """While its model talks on; no token is lost, and none comes twice."""
    async with between_two(mesh, adrift_after=0.05) as two:
        play = await begun(two)
        saying = asyncio.create_task(_talk(play, 400))
        reader = Reader()
        await reader.read(two.line_a, 50)
        two.line_a.ack_tokens(seq=20)
        await a_dies(two)
        two.line_b.resume(after_seq=len(reader.words))
        await reader.read(two.line_b, 400)
        await saying
        assert reader.words == [f"{number} " for number in range(400)]
        play.end()
        assert (await hears(two.line_b, "report")).last_seq == 400


async def test_an_offer_says_how_far_a_run_is_and_from_where_it_can_be_had(mesh: ScriptedMesh) -> None:
    """One that has ended is offered, too: its report waits to be stored."""
    async with between_two(mesh, adrift_after=AT_ONCE) as two:
        play = await begun(two)
        await play.say("one ", "two ", "three")
        await words(two.line_a, 3)
        two.line_a.ack_tokens(seq=2)
        play.end()
        await hears(two.line_a, "report")
        await two.a.stop()
        assert list((await hears(two.line_b, "offer")).running) == [
            worker_pb2.RunningAttempt(
                task_id="t1", attempt=1, queue="default", last_seq=3, first_kept_seq=3, ended=True
            )
        ]
        two.line_b.resume(after_seq=2)
        assert texts(await two.line_b.hears()) == ("t1", 1, 3, ["three"])
        assert (await two.line_b.hears()).report.last_seq == 3
        two.line_b.ack_report()
        async with asyncio.timeout(PATIENCE):
            await two.rig.runs.emptied()


async def test_a_router_that_was_away_for_a_moment_finds_its_run_as_it_was(mesh: ScriptedMesh) -> None:
    """Nobody else was offered it."""
    async with between_two(mesh, adrift_after=NEVER) as two:
        play = await begun(two)
        two.line_a.cut(GONE)
        line = await two.a.router.attached()
        assert list(line.attach.running) == [T1]
        line.resume(after_seq=0)
        await play.say("one")
        assert texts(await line.hears()) == ("t1", 1, 1, ["one"])
        await two.rig.begin(two.line_b, "t2")


async def test_a_router_that_comes_back_too_late_still_has_the_run_if_nobody_took_it(mesh: ScriptedMesh) -> None:
    """Who was offered it hears that it is gone."""
    async with between_two(mesh, adrift_after=AT_ONCE) as two:
        play = await begun(two)
        await a_dies(two)
        await two.a.start()
        line = await two.a.router.attached()
        assert list(line.attach.running) == [T1]
        line.resume(after_seq=0)
        assert await hears(two.line_b, "released") == worker_pb2.Released(task_id="t1", attempt=1)
        await play.say("one")
        assert texts(await line.hears()) == ("t1", 1, 1, ["one"])


async def test_a_router_that_comes_back_is_not_told_of_a_run_that_another_one_took(mesh: ScriptedMesh) -> None:
    """Only that somebody has a slot."""
    async with between_two(mesh, adrift_after=AT_ONCE) as two:
        await begun(two)
        await a_dies(two)
        two.line_b.resume(after_seq=0)
        assert await occupied(two.line_b) == (0, {})
        await two.a.start()
        while (line := await two.a.router.attached()).attach.running:
            line.cut(GONE)  # it dialled before the other one took it
        assert line.attach.occupied == worker_pb2.Occupied(total=1, by_queue={"default": 1})


async def test_a_router_is_not_left_believing_in_a_run_that_another_one_took_meanwhile(mesh: ScriptedMesh) -> None:
    """It was told of it, and took its time to answer."""
    async with between_two(mesh, adrift_after=AT_ONCE) as two:
        play = await begun(two)
        two.line_a.cut(GONE)
        line = await two.a.router.line()
        assert list(line.attach.running) == [T1]
        two.line_b.resume(after_seq=0)
        assert await occupied(two.line_b) == (0, {})
        line.attached()
        line.resume(after_seq=0)
        line = await two.a.router.attached()
        assert (list(line.attach.running), line.attach.occupied.total) == ([], 1)
        await play.say("one")
        assert texts(await beside_slots(two.line_b)) == ("t1", 1, 1, ["one"])


async def test_a_router_may_take_a_run_over_from_one_that_is_there(mesh: ScriptedMesh) -> None:
    """A Planner that has lost the other one asks it to; that one is told."""
    async with between_two(mesh) as two:
        play = await begun(two)
        await play.say("one ")
        assert await words(two.line_a, 1) == (1, ["one "])
        two.line_b.resume(after_seq=1)
        # B knew no more than its name: it hears that the run is here, and of which queue.
        assert [(item.task_id, item.queue) for item in (await hears(two.line_b, "offer")).running] == [
            ("t1", "default")
        ]
        assert await hears(two.line_a, "released") == worker_pb2.Released(task_id="t1", attempt=1)
        await play.say("two")
        assert texts(await beside_slots(two.line_b)) == ("t1", 1, 2, ["two"])


async def test_a_router_that_never_knew_where_a_run_is_may_assign_it_and_has_it(mesh: ScriptedMesh) -> None:
    async with between_two(mesh, adrift_after=AT_ONCE) as two:
        play = await begun(two)
        await play.say("one")
        await a_dies(two)
        two.line_b.assign()
        assert (await hears(two.line_b, "accepted")).task_id == "t1"
        assert texts(await two.line_b.hears()) == ("t1", 1, 1, ["one"])
        assert two.rig.runs.active() == 1


async def test_two_routers_cannot_fill_the_last_slot_twice(mesh: ScriptedMesh) -> None:
    async with between_two(mesh) as two:
        two.line_a.assign("t1", queue="gpu", model="opus")
        two.line_b.assign("t2", queue="gpu", model="opus")
        answers = [await beside_slots(line) for line in (two.line_a, two.line_b)]
        assert {answer.WhichOneof("item") for answer in answers} == {"accepted", "rejected"}
        assert {answer.rejected.reason for answer in answers} == {0, worker_pb2.REJECT_REASON_BUSY}
        assert two.rig.runs.active() == 1


async def test_what_others_take_is_told_before_the_answer_to_an_assignment(mesh: ScriptedMesh) -> None:
    """And again when it is free."""
    async with between_two(mesh) as two:
        play = await two.rig.begin(two.line_a, "t1", queue="gpu", model="opus")
        two.line_b.assign("t2", queue="gpu", model="opus")
        assert (await two.line_b.hears()).occupied == worker_pb2.Occupied(total=1, by_queue={"gpu": 1})
        assert (await two.line_b.hears()).rejected.reason == worker_pb2.REJECT_REASON_BUSY
        play.end()
        assert (await two.line_b.hears()).occupied == worker_pb2.Occupied()
        await two.rig.begin(two.line_b, "t3", queue="gpu", model="opus")


async def test_only_its_own_router_can_fence_a_run(mesh: ScriptedMesh) -> None:
    async with between_two(mesh) as two:
        play = await begun(two)
        two.line_b.cancel(fenced=True)
        await two.rig.begin(two.line_b, "t2")
        assert not play.stopped.is_set()
        two.line_a.cancel(fenced=True)
        await play.has_stopped()
        assert (await hears(two.line_a, "report")).WhichOneof("outcome") == "cancellation"


async def test_a_cancel_by_whichever_router_it_comes_stops_a_run(mesh: ScriptedMesh) -> None:
    """The router that has it hears how it ended."""
    async with between_two(mesh) as two:
        play = await begun(two)
        two.line_b.cancel()
        await play.has_stopped()
        assert (await hears(two.line_a, "report")).WhichOneof("outcome") == "cancellation"


async def test_cut_off_from_one_router_it_works_on_and_from_all_of_them_it_stops(mesh: ScriptedMesh) -> None:
    async with between_two(mesh, adrift_after=NEVER) as two:
        play = await begun(two)
        two.a.router.refusing = two.b.router.refusing = Unavailable("try again", reason="TEST")
        two.line_a.cut(GONE)
        await two.a.router.refused.get()
        two.rig.clock.advance(SELF_STOP - 1)
        two.line_b.drain(worker_pb2.Drain.REASON_ROUTER)
        await two.rig.begin(two.line_b, "t2")
        assert not play.stopped.is_set()
        two.line_b.cut(GONE)
        await two.b.router.refused.get()
        two.rig.clock.advance(SELF_STOP)
        await play.has_stopped()
        assert two.rig.runs.active() == 0


async def test_any_router_may_tell_it_to_drain(mesh: ScriptedMesh) -> None:
    async with between_two(mesh) as two:
        two.line_b.drain(worker_pb2.Drain.REASON_WORKER, 90.5)
        await two.rig.has_drained()
        assert two.rig.deadlines == [90.5]


async def test_it_follows_the_registrys_list_of_routers(mesh: ScriptedMesh) -> None:
    """A new one gets a line with the next beat. One that is left out keeps its line for as long as it has a run."""
    mesh.registry.interval = 0.02
    async with between_two(mesh) as two, scripted_mesh() as c:
        play = await two.rig.begin(two.line_b)
        mesh.registry.router_addresses = [two.a.url, c.url]
        line_c = await c.router.attached()
        assert line_c.attach.occupied == worker_pb2.Occupied(total=1, by_queue={"default": 1})
        for _ in range(4):
            await mesh.registry.beaten()
        await play.say("still here")
        assert texts(await two.line_b.hears()) == ("t1", 1, 1, ["still here"])
        play.end()
        assert (await two.line_b.hears()).report.task_id == "t1"
        two.line_b.ack_report()
        with pytest.raises(EOFError):
            await two.line_b.hears()
        await two.rig.begin(two.line_a, "t2")


async def test_a_registry_that_names_no_router_any_more_has_just_forgotten_them(mesh: ScriptedMesh) -> None:
    mesh.registry.interval = 0.02
    async with between_two(mesh) as two:
        mesh.registry.router_addresses = []
        while not mesh.registry.beats.empty():
            mesh.registry.beats.get_nowait()
        for _ in range(4):
            await mesh.registry.beaten()
        await two.rig.begin(two.line_a, "t1")
        await two.rig.begin(two.line_b, "t2")


async def test_two_addresses_of_one_router_do_not_turn_each_other_out(mesh: ScriptedMesh) -> None:
    """Whose line was superseded stays away for as long as the worker has another one."""
    superseded = Aborted("the worker attached anew", reason="SESSION_SUPERSEDED")
    async with between_two(mesh) as two:
        await two.rig.begin(two.line_b)
        # Nothing may be on its way when the line is cut: where a write fails, gRPC's client never tells the status, and
        # a worker that heard no reason dials once more.
        assert await occupied(two.line_a) == (1, {"default": 1})
        two.line_a.cut(superseded)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(two.a.router._lines.get(), 0.2)
        two.line_b.cut(GONE)
        await two.a.router.attached()


async def test_alone_with_one_router_nothing_is_offered_or_said_of_others(mesh: ScriptedMesh) -> None:
    async with working(mesh, adrift_after=AT_ONCE) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        line.cut(GONE)
        line = await mesh.router.attached()
        assert list(line.attach.running) == [T1]
        assert not line.attach.HasField("occupied")
        line.resume(after_seq=0)
        await play.say("one")
        assert texts(await line.hears()) == ("t1", 1, 1, ["one"])


async def _talk(play: Play, count: int) -> None:
    for number in range(count):
        await play.say(f"{number} ")
        await asyncio.sleep(0.001)

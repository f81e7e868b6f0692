"""What a worker does when its line to a Router breaks."""

import asyncio

from devteam_worker.domain import Failed
from devteam_worker.links import SELF_STOP
from devteam_worker.providers.base import FailureReason

from devteam.mesh.errors import Aborted, InvalidInput, NotFound, Unavailable, Violation
from devteam.mesh.tasks import background
from devteam.v1 import worker_pb2
from tests.fakes.agent_script import Play
from tests.fakes.mesh_server import PATIENCE, ScriptedMesh
from tests.rpc.worker.rig import cut, texts, words, working


async def test_when_the_line_breaks_a_run_goes_on_and_resumes_after_what_arrived(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        await play.say("one ", "two ", "three ", "four ")
        assert await words(line, 4) == (1, ["one ", "two ", "three ", "four "])
        line.ack_tokens(seq=2)
        await rig.begin(line, "t2")

        line = await cut(rig, line)
        assert list(line.attach.running) == [
            worker_pb2.RunningAttempt(task_id="t1", attempt=1, queue="default", last_seq=4, first_kept_seq=3),
            worker_pb2.RunningAttempt(task_id="t2", attempt=1, queue="default", last_seq=0, first_kept_seq=1),
        ]
        await play.say("five ")
        line.resume(after_seq=3)
        assert await words(line, 2) == (4, ["four ", "five "])

        await play.say("six")
        play.end()
        assert await words(line, 1) == (6, ["six"])
        assert (await line.hears()).report.last_seq == 6
        assert not play.stopped.is_set()


async def test_after_a_break_nothing_is_said_about_a_run_until_resume(mesh: ScriptedMesh) -> None:
    """Neither tokens nor its report, while other runs are heard of."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        await play.say("one")
        await line.hears()
        line = await cut(rig, line)
        await play.say("two")
        play.end()
        other = await rig.begin(line, "t2")
        await other.say("of another")
        assert texts(await line.hears()) == ("t2", 1, 1, ["of another"])

        line.resume(after_seq=1)
        assert texts(await line.hears()) == ("t1", 1, 2, ["two"])
        assert (await line.hears()).report.last_seq == 2


async def test_a_report_that_was_not_acknowledged_is_repeated(mesh: ScriptedMesh) -> None:
    """With the tokens that the Router does not have."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        await play.say("one ", "two")
        play.end()
        await words(line, 2)
        report = (await line.hears()).report
        line.ack_tokens(seq=1)

        line = await cut(rig, line)
        assert list(line.attach.running) == [
            worker_pb2.RunningAttempt(
                task_id="t1", attempt=1, queue="default", last_seq=2, first_kept_seq=2, ended=True
            )
        ]
        line.resume(after_seq=1)
        assert texts(await line.hears()) == ("t1", 1, 2, ["two"])
        assert (await line.hears()).report == report

        line = await cut(rig, line)
        line.resume(after_seq=2)
        assert (await line.hears()).report == report
        line.ack_report()
        line = await cut(rig, line)
        assert list(line.attach.running) == []


async def test_a_run_that_is_over_is_let_go_where_the_router_says_so_after_a_break(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        stored, fenced = await rig.begin(line, "t1"), await rig.begin(line, "t2")
        stored.end()
        fenced.end()
        for _ in range(2):
            await line.hears()
        line = await cut(rig, line)
        line.ack_report("t1")
        line.cancel("t2", fenced=True)
        line = await cut(rig, line)
        assert list(line.attach.running) == []


async def test_an_answer_that_was_lost_with_the_line_is_not_given_on_the_next_one(mesh: ScriptedMesh) -> None:
    """What runs is in the attach; what was refused the Router finds out by its absence."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        line.assign("t1")
        line.assign("t2", queue="other")
        play = await rig.agent.started()
        line = await cut(rig, line)
        assert [item.task_id for item in line.attach.running] == ["t1"]
        line.resume(after_seq=0)
        await play.say("one")
        assert texts(await line.hears()) == ("t1", 1, 1, ["one"])


async def test_the_end_of_a_stream_is_no_goodbye_however_it_ends(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        for error in (
            None,
            Unavailable("the router goes down", reason="DRAINING"),
            Aborted("the worker attached anew", reason="SESSION_SUPERSEDED"),
            InvalidInput(Violation("", "MALFORMED_MESSAGE", "not a message of this RPC")),
            KeyError("a defect"),
        ):
            line = await cut(rig, line, error)
            assert [item.task_id for item in line.attach.running] == ["t1"]
        assert not play.stopped.is_set()


async def test_it_comes_back_to_a_router_that_was_gone_for_a_while(mesh: ScriptedMesh) -> None:
    """On the same port, with everything that was made meanwhile."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        await play.say("one ")
        await line.hears()
        await mesh.stop()
        await play.say("two ")
        await asyncio.sleep(0.5)
        await mesh.start()
        line = await mesh.router.attached()
        line.resume(after_seq=1)
        await play.say("three")
        assert await words(line, 2) == (2, ["two ", "three"])


async def test_without_answers_to_its_beats_it_dials_again(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        line.cut()
        line = await mesh.router.line()
        line.mute = True
        line.attached(beat=0.01, beat_timeout=0.1)
        line = await mesh.router.attached(beat=0.01, beat_timeout=600)
        assert [item.task_id for item in line.attach.running] == ["t1"]
        assert await line.beaten() == 1
        assert not play.stopped.is_set()


async def test_without_an_answer_to_its_attach_it_dials_again(mesh: ScriptedMesh) -> None:
    async with working(mesh, attach_timeout=0.2) as rig:
        await mesh.router.line()
        async with background(lambda: _let_in_and_assign(mesh)):
            await rig.agent.started()


async def test_a_router_that_begins_with_anything_but_attached_is_left(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        (await mesh.router.line()).assign("t1")
        await rig.begin(await mesh.router.attached(), "t2")
        assert rig.runs.active() == 1


async def test_cut_off_for_too_long_it_stops_what_it_runs(mesh: ScriptedMesh) -> None:
    """However often it dials in vain meanwhile; and goes on working once somebody lets it in."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        mesh.router.refusing = Unavailable("try again", reason="TEST")
        line.cut()
        for _ in range(3):
            attach = await mesh.router.refused.get()
            assert [item.task_id for item in attach.running] == ["t1"]
        rig.clock.advance(SELF_STOP)
        await play.has_stopped()
        assert rig.runs.active() == 0

        mesh.router.refusing = None
        while (line := await mesh.router.attached()).attach.running:
            pass  # on its way already
        await rig.begin(line, "t2")


async def test_a_router_is_not_left_believing_in_runs_that_were_given_up_meanwhile(mesh: ScriptedMesh) -> None:
    """It was told of them, and took its time to answer."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        line.cut()
        line = await mesh.router.line()
        assert [item.task_id for item in line.attach.running] == ["t1"]
        rig.clock.advance(SELF_STOP)
        await play.has_stopped()
        line.attached()
        line = await mesh.router.attached()
        assert list(line.attach.running) == []


async def test_a_line_that_is_found_again_in_time_stops_nothing(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        line = await cut(rig, line)
        line.resume(after_seq=0)
        await play.say("still ")
        assert texts(await line.hears()) == ("t1", 1, 1, ["still "])
        rig.clock.advance(SELF_STOP)
        await play.say("here")
        assert texts(await line.hears()) == ("t1", 1, 2, ["here"])
        assert not play.stopped.is_set()


async def test_a_line_that_breaks_again_and_again_loses_no_token_and_doubles_none(mesh: ScriptedMesh) -> None:
    """While the model talks on, and the Router says each time what it has."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        saying = asyncio.create_task(_talk(play, 500))
        held: list[str] = []
        while len(held) < 500:
            _, _, first_seq, heard = texts(await line.hears())
            assert first_seq == len(held) + 1
            held += heard
            line = await cut(rig, line)
            line.ack_tokens(seq=len(held) // 2)
            line.resume(after_seq=len(held))
        await saying
        assert held == [f"{number} " for number in range(500)]
        play.end(Failed(FailureReason.INTERNAL, "at last"))
        assert (await line.hears()).report.last_seq == 500


async def _let_in_and_assign(mesh: ScriptedMesh) -> None:
    """Whichever stream it is that the worker still waits for: on a busy machine the first answer may be late too."""
    while True:
        (await mesh.router.attached()).assign()


async def _talk(play: Play, count: int) -> None:
    for number in range(count):
        await play.say(f"{number} ")
        await asyncio.sleep(0.001)


async def test_tries_to_attach_grow_apart_by_chance_but_never_beyond_three_seconds(mesh: ScriptedMesh) -> None:
    mesh.router.refusing = Unavailable("not yet")
    async with working(mesh) as rig, asyncio.timeout(PATIENCE):
        for _ in range(12):
            await mesh.router.refused.get()
        naps = rig.clock.naps[:11]
    longest = [0.2, 0.4, 0.8, 1.6, *[2.5] * 7]
    assert all(most / 2 <= nap <= most for nap, most in zip(naps, longest, strict=True))
    assert len(set(naps)) == len(naps)


async def test_a_router_that_is_back_and_knows_the_worker_no_more_is_asked_again_soon(mesh: ScriptedMesh) -> None:
    """But not for ever: from then on, the pauses grow again."""
    mesh.router.refusing = Unavailable("not yet")
    async with working(mesh) as rig, asyncio.timeout(PATIENCE):
        for _ in range(8):
            await mesh.router.refused.get()
        mesh.router.refusing = NotFound("worker", "w1", reason="WORKER_NOT_REGISTERED")
        while len(rig.clock.naps) < 20:
            await mesh.router.refused.get()
        naps = rig.clock.naps
    short = [index for index, nap in enumerate(naps) if nap <= 0.2]
    assert len(short) == 2
    assert short[0] == 0
    assert all(nap >= 0.4 for nap in naps[short[1] + 2 :])

"""A worker's stream to a Router: what it takes, and what it says."""

import asyncio

import pytest
from devteam_worker.domain import Completed
from devteam_worker.providers.base import Usage
from google.protobuf.duration_pb2 import Duration

from devteam.v1 import run_pb2, worker_pb2
from tests.fakes.agent_script import PATIENCE
from tests.fakes.mesh_server import ScriptedMesh
from tests.rpc.worker.rig import cut, texts, words, working


async def test_a_run_is_accepted_streamed_reported_and_forgotten(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        assert play.assignment.prompt.prompt == "What is new?"

        await play.say("one ", "two ")
        assert texts(await line.hears()) == ("t1", 1, 1, ["one ", "two "])
        await play.say("three")
        assert texts(await line.hears()) == ("t1", 1, 3, ["three"])

        play.end(Completed("sim", "sim-1", "end_turn", Usage(3, 3)))
        assert (await line.hears()).report == run_pb2.Report(
            task_id="t1",
            attempt=1,
            last_seq=3,
            completion=run_pb2.Completion(
                provider="sim",
                model="sim-1",
                stop_reason="end_turn",
                usage=run_pb2.Usage(input_tokens=3, output_tokens=3),
                time_to_first_token=Duration(),
            ),
        )
        line.ack_report()
        line = await cut(rig, line)
        assert list(line.attach.running) == []


async def test_what_waits_while_the_line_is_busy_goes_out_together(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        await play.say(*(f"{number} " for number in range(600)))
        sizes: list[int] = []
        while sum(sizes) < 600:
            sizes.append(len((await line.hears()).tokens.tokens))
        assert sum(sizes) == 600
        assert max(sizes) == 256


async def test_runs_of_different_tasks_share_the_line(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        first, second = await rig.begin(line, "t1"), await rig.begin(line, "t2")
        await first.say("of the first")
        await second.say("of the second")
        assert [texts(await line.hears()) for _ in range(2)] == [
            ("t1", 1, 1, ["of the first"]),
            ("t2", 1, 1, ["of the second"]),
        ]


async def test_it_refuses_what_it_does_not_serve(mesh: ScriptedMesh) -> None:
    async with working(mesh):
        line = await mesh.router.attached()
        line.assign("t1", queue="other")
        line.assign("t2", queue="gpu", model="haiku")
        assert [(await line.hears()).rejected for _ in range(2)] == [
            worker_pb2.Rejected(
                task_id="t1",
                attempt=1,
                reason=worker_pb2.REJECT_REASON_NOT_SERVED,
                message="the queue other is not served here",
            ),
            worker_pb2.Rejected(
                task_id="t2",
                attempt=1,
                reason=worker_pb2.REJECT_REASON_NOT_SERVED,
                message="the model haiku is not served in gpu",
            ),
        ]


async def test_it_refuses_more_than_it_has_slots_for(mesh: ScriptedMesh) -> None:
    """And takes more once a run has ended, acknowledged or not."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line, "t1", queue="gpu", model="opus")
        line.assign("t2", queue="gpu", model="opus")
        assert (await line.hears()).rejected.reason == worker_pb2.REJECT_REASON_BUSY
        play.end()
        assert (await line.hears()).report.task_id == "t1"
        await rig.begin(line, "t3", queue="gpu", model="opus")


async def test_a_run_that_it_has_already_is_not_started_twice(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        line.assign()
        await play.say("one")
        assert texts(await line.hears()) == ("t1", 1, 1, ["one"])
        assert rig.runs.active() == 1


async def test_a_cancelled_run_stops_and_says_so(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        await play.say("one")
        await line.hears()
        line.cancel()
        await play.has_stopped()
        report = (await line.hears()).report
        assert report.cancellation.HasField("took")
        report.cancellation.ClearField("took")
        assert report == run_pb2.Report(task_id="t1", attempt=1, last_seq=1, cancellation=run_pb2.Cancellation())


async def test_words_about_a_run_that_it_does_not_have_are_ignored(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        line.cancel("t9")
        line.cancel("t9", fenced=True)
        line.ack_tokens("t9", seq=4)
        line.ack_report("t9")
        await rig.begin(line)


async def test_a_run_that_it_does_not_have_cannot_be_resumed(mesh: ScriptedMesh) -> None:
    async with working(mesh):
        line = await mesh.router.attached()
        line.resume("t9", attempt=3, after_seq=4)
        assert (await line.hears()).released == worker_pb2.Released(task_id="t9", attempt=3)


async def test_a_fenced_run_is_forgotten_once_its_report_was_refused(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        await rig.begin(line)
        line.cancel(fenced=True)
        assert (await line.hears()).report.WhichOneof("outcome") == "cancellation"
        line.cancel(fenced=True)
        line = await cut(rig, line)
        assert list(line.attach.running) == []


async def test_the_routers_window_holds_a_model_back(mesh: ScriptedMesh) -> None:
    async with working(mesh) as rig:
        line = await mesh.router.attached(window_bytes=100)
        play = await rig.begin(line)
        saying = asyncio.create_task(play.say("x" * 80, "y" * 80, "z" * 80))
        assert await words(line, 2) == (1, ["x" * 80, "y" * 80])
        assert not saying.done()
        line.ack_tokens(seq=2)
        assert await words(line, 1) == (3, ["z" * 80])
        await asyncio.wait_for(saying, PATIENCE)


async def test_it_beats_on_the_stream(mesh: ScriptedMesh) -> None:
    async with working(mesh):
        line = await mesh.router.attached(beat=0.01)
        assert [await line.beaten() for _ in range(5)] == [1, 2, 3, 4, 5]


async def test_told_to_drain_it_hears_so(mesh: ScriptedMesh) -> None:
    """By its operator; a Router that goes down itself is none of its business."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        line.drain(worker_pb2.Drain.REASON_ROUTER)
        await rig.begin(line)
        assert not rig.drained.is_set()
        line.drain(worker_pb2.Drain.REASON_WORKER)
        await rig.has_drained()
        assert rig.deadlines == [None]


@pytest.mark.parametrize("deadline", [0.0, 90.5])
async def test_a_drain_may_come_with_a_deadline(mesh: ScriptedMesh, deadline: float) -> None:
    """Nothing left is a deadline too."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        line.drain(worker_pb2.Drain.REASON_WORKER, deadline)
        await rig.has_drained()
        assert rig.deadlines == [deadline]


async def test_a_huge_answer_passes_in_messages_of_bearable_size(mesh: ScriptedMesh) -> None:
    """A handler may return it in one piece."""
    async with working(mesh) as rig:
        line = await mesh.router.attached()
        play = await rig.begin(line)
        whole = "0123456789" * 600_000
        saying = asyncio.create_task(play.say(whole))
        heard = ""
        while len(heard) < len(whole):
            request = await line.hears()
            assert request.ByteSize() <= 1024 * 1024 + 16
            heard += "".join(token.text for token in request.tokens.tokens)
            line.ack_tokens(seq=request.tokens.first_seq + len(request.tokens.tokens) - 1)
        assert heard == whole
        await saying

"""Rows 22 to 24, 26, 27, 29 to 31, 45 to 49, 51 to 53, 59 and 60: fields, ids and states."""

import asyncio
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from devteam_cli.text import printable
from devteam_planner.admission import Bounds
from devteam_registry.settings import Settings
from devteam_worker.providers import anthropic_request, ollama_messages, openai_messages
from google.protobuf.duration_pb2 import Duration

from devteam.v1 import planner_pb2 as pb
from devteam.v1 import registry_pb2, run_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.planner_samples import a_batch
from tests.rpc.bad_inputs.table import Row, answer_to, row
from tests.rpc.planner.mesh import Mesh, events, running
from tests.rpc.registry import mesh as registry
from tests.rpc.router import mesh as router

PATIENCE = 60.0


def a_task(request_id: str = "", prompt: str = "Say hello", queue: str = "") -> pb.CreateTaskRequest:
    return pb.CreateTaskRequest(task=pb.TaskSpec(prompt=prompt, model="sim", queue=queue), request_id=request_id)


SPOILED: list[tuple[Row, Callable[[pb.TaskSpec], object]]] = [
    (row(22), lambda task: setattr(task, "prompt", "a\0b")),
    (row(24), lambda task: task.policy.run_timeout.CopyFrom(Duration(seconds=-1))),
    (row(24), lambda task: task.policy.run_timeout.CopyFrom(Duration(seconds=2**63 - 1, nanos=2**31 - 1))),
    (row(27), lambda task: setattr(task.placement, "strategy", 99)),
]


@pytest.mark.parametrize(("entry", "spoil"), SPOILED, ids=lambda given: str(getattr(given, "number", "")))
async def test_a_task_is_refused(mesh: Mesh, entry: Row, spoil: Callable[[pb.TaskSpec], object]) -> None:
    request = a_task()
    spoil(request.task)
    assert await answer_to(mesh.stub.CreateTask(request)) == entry.answer


async def test_no_number_is_none(mesh: Mesh) -> None:
    request = a_task()
    request.task.placement.requirements.min_ram_gb = math.nan
    status, reason, _ = await answer_to(mesh.stub.CreateTask(request))
    assert (status, reason) == row(24).answer[:2]


@pytest.mark.parametrize(
    "bad", ["a b", "x" * 256, "t-1/../t-2", "t\N{ZERO WIDTH SPACE}", "\N{CYRILLIC SMALL LETTER A}"]
)
async def test_an_id_is_refused(mesh: Mesh, bad: str) -> None:
    assert await answer_to(mesh.stub.GetTask(pb.GetTaskRequest(task_id=bad))) == row(23).answer


async def test_half_a_surrogate_is_no_text() -> None:
    """It is on no wire: what stands for it in bytes is no UTF-8."""
    with pytest.raises(ValueError, match="surrogates"):
        pb.TaskSpec(prompt="\ud800").SerializeToString()
    assert "row 17" in row(22).because


async def test_more_slots_than_there_can_be_are_refused(fleet: registry.Mesh) -> None:
    spec = registry.small_spec()
    spec.concurrency = 2**31 - 1
    call = fleet.stub.RegisterWorker(registry_pb2.RegisterWorkerRequest(spec=spec, instance_id="i1"))
    assert await answer_to(call) == row(26).answer


async def test_pages_and_masks_are_refused(mesh: Mesh, fleet: registry.Mesh) -> None:
    assert await answer_to(mesh.stub.ListTasks(pb.ListTasksRequest(page_token="forged"))) == row(29).answer
    negative = await answer_to(mesh.stub.ListTasks(pb.ListTasksRequest(page_size=-1)))
    await fleet.register()
    update = registry_pb2.UpdateWorkerRequest(worker_id="w1", update_mask=registry.mask("spec.secrets"))
    mask = await answer_to(fleet.stub.UpdateWorker(update))
    assert (negative, mask) == (
        ("INVALID_ARGUMENT", "OUT_OF_BOUNDS", "page_size"),
        ("INVALID_ARGUMENT", "FIELD_MASK_INVALID", "update_mask"),
    )
    assert all(reason in row(29).because for _, reason, _ in (negative, mask))


async def test_a_watch_from_past_the_end_is_refused(mesh: Mesh) -> None:
    task = (await mesh.stub.CreateTask(a_task())).task
    await mesh.begin(task.task_id)
    await mesh.say(task.task_id, a_batch(1, "a", "b"))
    await mesh.succeed(task.task_id, "ab")
    watch = mesh.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id, attempt=1, after_seq=3))
    assert await answer_to(events(watch)) == row(30).answer


async def test_a_task_that_nobody_can_run_waits_and_says_why(line: router.Mesh) -> None:
    call = line.dispatch(router.a_run("t1", queue="nobody-serves-it"))
    event = await asyncio.wait_for(call.hear(), PATIENCE)
    assert "nobody-serves-it" in event.waiting.detail
    assert row(31).status == "OK"
    call.hang_up()


async def test_a_beat_of_a_worker_that_has_left_is_refused(fleet: registry.Mesh) -> None:
    token = (await fleet.register()).session_token
    await fleet.stub.DeregisterWorker(registry_pb2.DeregisterWorkerRequest(worker_id="w1"))
    assert await answer_to(fleet.beat(token)) == row(45).answer


async def test_a_create_is_sent_again(mesh: Mesh) -> None:
    first = (await mesh.stub.CreateTask(a_task("r-1"))).task
    again = await asyncio.gather(*(mesh.stub.CreateTask(a_task("r-1")) for _ in range(5)))
    assert {answer.task.task_id for answer in again} == {first.task_id}
    assert await answer_to(mesh.stub.CreateTask(a_task("r-1"))) == row(46).answer
    assert await answer_to(mesh.stub.CreateTask(a_task("r-1", "something else"))) == row(47).answer


async def test_five_at_once_make_one_task(mesh: Mesh) -> None:
    made = await asyncio.gather(*(answer_to(mesh.stub.CreateTask(a_task("r-2"))) for _ in range(5)))
    assert made == [row(48).answer] * 5
    assert len((await mesh.stub.ListTasks(pb.ListTasksRequest())).tasks) == 1


async def test_what_has_ended_may_be_cancelled(mesh: Mesh) -> None:
    task = (await mesh.stub.CreateTask(a_task())).task
    await mesh.begin(task.task_id)
    await mesh.succeed(task.task_id, "done")
    assert await answer_to(mesh.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))) == row(49).answer
    answer = await mesh.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))
    assert answer.task.state == pb.TASK_STATE_SUCCEEDED
    nobody = await answer_to(mesh.stub.CancelTask(pb.CancelTaskRequest(task_id="t-none")))
    assert nobody == ("NOT_FOUND", "RESOURCE_NOT_FOUND", "ResourceInfo")


async def test_a_queue_has_so_many_open_tasks_and_no_more(clock: FakeClock) -> None:
    async with running(clock, bounds=Bounds(per_queue=2)) as mesh:
        for _ in range(2):
            await mesh.stub.CreateTask(a_task(queue="gpu"))
        assert await answer_to(mesh.stub.CreateTask(a_task(queue="gpu"))) == row(51).answer


async def test_who_watches_while_the_server_goes_down_is_sent_elsewhere(fleet: registry.Mesh) -> None:
    watch = fleet.stub.WatchWorkers(registry_pb2.WatchWorkersRequest())
    await asyncio.wait_for(watch.read(), PATIENCE)
    ended = asyncio.create_task(answer_to(_all(watch)))
    await fleet.server.stop()
    assert await ended == row(52).answer


async def test_a_watch_that_is_not_read_is_ended(clock: FakeClock) -> None:
    async with registry.running(Settings(database_url="memory", watcher_backlog=20), clock) as fleet:
        watch = fleet.stub.WatchWorkers(registry_pb2.WatchWorkersRequest())
        await asyncio.wait_for(watch.read(), PATIENCE)
        for number in range(700):
            await fleet.register(f"w{number}")
        assert await answer_to(_all(watch)) == row(53).answer


async def _all(watch: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        async for _ in watch:
            pass


def test_no_task_names_an_address() -> None:
    """Neither do plans and runs: whoever sends them cannot have a worker call anybody."""
    seen, found = set[str](), list[str]()

    def look(kind: Any) -> None:
        if kind.full_name in seen or not kind.full_name.startswith("devteam."):
            return
        seen.add(kind.full_name)
        for field in kind.fields:
            if any(
                word in field.name.lower() for word in ("url", "uri", "host", "address", "endpoint", "hook", "proxy")
            ):
                found.append(field.full_name)
            if field.message_type:
                look(field.message_type)

    for message in (pb.CreateTaskRequest, pb.CreatePlanRequest, run_pb2.Run):
        look(message.DESCRIPTOR)
    assert {"devteam.v1.TaskSpec", "devteam.v1.StepSpec", "devteam.v1.Generation"} <= seen
    assert (found, row(59).status) == ([], "OK")


def test_no_option_of_a_task_moves_a_provider() -> None:
    """Those that providers pass on are listed by name, and none of them says where to call or what to show there."""
    passed_on = {
        *anthropic_request._PASSED_ON,
        *openai_messages._PASSED_ON,
        *openai_messages._OPEN_SERVERS,
        *ollama_messages._BESIDE,
    }
    assert [name for name in passed_on if re.search("url|base|host|proxy|header|client|extra|auth|key", name)] == []


async def test_control_characters_are_kept_and_not_shown(mesh: Mesh) -> None:
    """A clipboard that is written to, a line that is written over, a title that is set."""
    words = "safe\x1b]52;c;cm0gLXJm\x07 \rover\x1b[2J\x1b]0;title\x1b\\\x9b31m"
    task = (await mesh.stub.CreateTask(a_task())).task
    await mesh.begin(task.task_id)
    await mesh.say(task.task_id, a_batch(1, words))
    await mesh.succeed(task.task_id, words)
    assert await answer_to(mesh.stub.GetTask(pb.GetTaskRequest(task_id=task.task_id))) == row(60).answer
    kept = (await mesh.stub.GetTask(pb.GetTaskRequest(task_id=task.task_id))).task.output
    assert kept == words
    assert not set(printable(kept)) & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))}
    assert "cm0gLXJm" not in printable(kept)

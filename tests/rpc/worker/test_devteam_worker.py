"""A worker inside one's own program."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from devteam_worker import DevTeamWorker, Fatal, RateLimited, Retryable, Task
from devteam_worker.app import Ready
from devteam_worker.handlers import Handler
from google.protobuf.duration_pb2 import Duration

from devteam.mesh.errors import Aborted, InvalidInput, Unauthenticated, Violation
from devteam.v1 import registry_pb2, run_pb2, worker_pb2
from tests.fakes.mesh_server import PATIENCE, Line, ScriptedMesh, scripted_mesh
from tests.rpc.worker.rig import words


def a_worker(mesh: ScriptedMesh, **more: Any) -> DevTeamWorker:
    worker = DevTeamWorker(api_url=mesh.url, worker_id="w1", queues=["default"], concurrency=2, **more)
    worker.on_ready(lambda _: None)
    return worker


@asynccontextmanager
async def started(worker: DevTeamWorker) -> AsyncIterator["asyncio.Task[None]"]:
    """At work until the end of the body."""
    async with asyncio.timeout(2 * PATIENCE):
        working = asyncio.create_task(worker.start())
        try:
            yield working
        finally:
            worker.stop()
            await working


async def run_once(mesh: ScriptedMesh, handler: Handler) -> Line:
    """Have `handler` run one task; the line right after it was accepted."""
    line = await mesh.router.attached(beat=0.02)
    line.assign(model="my-own-model")
    assert (await line.hears()).WhichOneof("item") == "accepted"
    return line


async def coroutine(task: Task) -> str:
    await task.emit("WHAT ")
    return "IS NEW?"


def plain(task: Task) -> str:
    return task.prompt.upper()


async def generator(task: Task) -> AsyncGenerator[str, None]:
    for word in ("WHAT ", "IS ", "NEW?"):
        yield word


@pytest.mark.parametrize("handler", [coroutine, plain, generator])
async def test_a_task_is_handled_by_code_of_ones_own(mesh: ScriptedMesh, handler: Handler) -> None:
    worker = a_worker(mesh)
    assert worker.on_task(handler) is handler
    async with started(worker):
        line = await run_once(mesh, handler)
        heard: list[str] = []
        while (request := await line.hears()).WhichOneof("item") == "tokens":
            heard += [token.text for token in request.tokens.tokens]
        assert "".join(heard) == "WHAT IS NEW?"
        assert request.report == run_pb2.Report(
            task_id="t1",
            attempt=1,
            last_seq=len(heard),
            completion=run_pb2.Completion(
                provider="handler",
                model="my-own-model",
                stop_reason="end",
                usage=run_pb2.Usage(),
                time_to_first_token=Duration(),
            ),
        )
        line.ack_report()


@pytest.mark.parametrize(
    ("error", "report"),
    [
        (
            Retryable("the disk is full"),
            run_pb2.Report(
                failure=run_pb2.Failure(
                    reason=run_pb2.FAILURE_REASON_HANDLER, message="the disk is full", retryable=True
                )
            ),
        ),
        (
            Fatal("no such page"),
            run_pb2.Report(failure=run_pb2.Failure(reason=run_pb2.FAILURE_REASON_HANDLER, message="no such page")),
        ),
        (
            RateLimited("three a minute", retry_after=20),
            run_pb2.Report(
                hand_back=run_pb2.HandBack(
                    reason=run_pb2.HAND_BACK_REASON_RATE_LIMITED,
                    message="three a minute",
                    retry_after=Duration(seconds=20),
                )
            ),
        ),
        (
            ValueError("secret"),
            run_pb2.Report(
                failure=run_pb2.Failure(
                    reason=run_pb2.FAILURE_REASON_HANDLER,
                    message="the worker's handler raised ValueError",
                    retryable=True,
                )
            ),
        ),
    ],
)
async def test_what_a_handler_raises_is_told_to_its_owner_and_reported(
    mesh: ScriptedMesh, error: Exception, report: run_pb2.Report
) -> None:
    worker = a_worker(mesh)
    errors: list[Exception] = []

    @worker.on_task
    async def handle(task: Task) -> str:
        raise error

    assert worker.on_error(errors.append) == errors.append
    async with started(worker):
        line = await run_once(mesh, handle)
        report.MergeFrom(run_pb2.Report(task_id="t1", attempt=1))
        assert (await line.hears()).report == report
        assert errors == [error]
        line.ack_report()


async def test_a_handler_that_blocks_its_thread_keeps_no_beat_waiting(mesh: ScriptedMesh) -> None:
    """A blocking call in a coroutine, the commonest mistake there is: Registry and Router do not notice."""
    mesh.registry.interval = 0.1
    worker = a_worker(mesh)
    slept = threading.Event()

    @worker.on_task
    async def handle(task: Task) -> None:
        time.sleep(3)  # noqa: ASYNC251 - the point of the test
        slept.set()

    async with started(worker):
        line = await mesh.router.attached(beat=0.1, beat_timeout=1.0)
        line.assign()
        assert (await line.hears()).WhichOneof("item") == "accepted"
        gaps = await asyncio.gather(_longest_gap(mesh.registry.beats, slept), _longest_gap(line.beats, slept))
        assert max(gaps) < 1.5
        assert (await line.hears()).report.WhichOneof("outcome") == "completion"
        line.ack_report()


async def _longest_gap(beats: "asyncio.Queue[Any]", over: threading.Event) -> float:
    """The longest time between two beats, in seconds, until it is over."""
    gaps, last = [0.0], time.monotonic()
    while not over.is_set():
        async with asyncio.timeout(PATIENCE):
            await beats.get()
        now = time.monotonic()
        gaps.append(now - last)
        last = now
    assert len(gaps) > 10
    return max(gaps)


async def test_a_cancelled_task_is_seen_by_its_handler(mesh: ScriptedMesh) -> None:
    worker, begun, seen = a_worker(mesh), threading.Event(), threading.Event()

    @worker.on_task
    def handle(task: Task) -> None:
        begun.set()
        while not task.cancelled:
            time.sleep(0.005)
        seen.set()

    async with started(worker):
        line = await run_once(mesh, handle)
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        line.cancel()
        assert (await line.hears()).report.WhichOneof("outcome") == "cancellation"
        assert await asyncio.to_thread(seen.wait, PATIENCE)
        line.ack_report()


async def test_without_a_handler_it_runs_models(mesh: ScriptedMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVTEAM_PROVIDER", "sim")
    worker = a_worker(mesh)
    async with started(worker):
        line = await mesh.router.attached()
        line.assign(model="sim")
        assert (await line.hears()).WhichOneof("item") == "accepted"
        assert (await line.hears()).tokens.first_seq == 1
        line.cancel()
        while (request := await line.hears()).WhichOneof("item") == "tokens":
            pass
        assert request.report.WhichOneof("outcome") == "cancellation"
        line.ack_report()


async def test_it_declares_what_it_was_told(mesh: ScriptedMesh) -> None:
    worker = DevTeamWorker(
        api_url=mesh.url,
        worker_id="w1",
        queues=["gpu-queue", "default"],
        models=["opus"],
        concurrency=3,
        capabilities={"gpu": True, "gpu_model": "RTX 5080", "ram_gb": 24, "cpu_cores": 8},
        labels={"disk": "ssd"},
    )
    ready: list[Ready] = []
    worker.on_ready(ready.append)
    worker.on_task(plain)
    async with started(worker):
        spec = (await mesh.registry.registered()).spec
        await mesh.router.attached()
    assert spec.worker_id == "w1"
    assert list(spec.queues) == [
        registry_pb2.WorkerQueue(name="gpu-queue", concurrency=3, models=["opus"]),
        registry_pb2.WorkerQueue(name="default", concurrency=3, models=["opus"]),
    ]
    assert spec.concurrency == 3
    assert spec.resources == registry_pb2.Resources(gpu=True, gpu_model="RTX 5080", ram_gb=24, cpu_cores=8)
    assert dict(spec.labels) == {"disk": "ssd"}
    assert [(said.declaration.worker_id, said.simulated) for said in ready] == [("w1", False)]


async def test_it_says_on_its_own_that_it_is_there(mesh: ScriptedMesh, capsys: pytest.CaptureFixture[str]) -> None:
    worker = DevTeamWorker(api_url=mesh.url, worker_id="w1", queues=["default"], concurrency=2)
    worker.on_task(plain)
    async with started(worker):
        await mesh.router.attached()
    assert "Worker w1 registered\nListening on queues: default (concurrency: 2)\n" in capsys.readouterr().out


async def test_it_shows_its_key(mesh: ScriptedMesh) -> None:
    worker = a_worker(mesh, api_key="dt-key")
    worker.on_task(plain)
    async with started(worker):
        line = await mesh.router.attached()
    assert (line.key, mesh.registry.keys["RegisterWorker"]) == ("Bearer dt-key", "Bearer dt-key")


async def test_it_attaches_where_the_registry_sends_it(mesh: ScriptedMesh) -> None:
    async with scripted_mesh() as elsewhere:
        mesh.registry.router_addresses = [f"127.0.0.1:{elsewhere.port}", "127.0.0.1:1"]
        worker = a_worker(mesh)
        worker.on_task(plain)
        async with started(worker):
            line = await elsewhere.router.attached()
            assert line.attach.session_token == "session-1"


async def test_stopped_it_finishes_what_it_runs_and_takes_leave(mesh: ScriptedMesh) -> None:
    worker, enough = a_worker(mesh), threading.Event()

    @worker.on_task
    def handle(task: Task) -> str:
        return "done" if enough.wait(PATIENCE) else "stuck"

    async with started(worker) as working:
        line = await run_once(mesh, handle)
        threading.Thread(target=worker.stop).start()
        assert (await mesh.registry.beaten()).availability == registry_pb2.AVAILABILITY_DRAINING
        line.assign("t2")
        assert (await line.hears()).rejected.reason == worker_pb2.REJECT_REASON_DRAINING

        enough.set()
        assert await words(line, 1) == (1, ["done"])
        assert (await line.hears()).report.last_seq == 1
        assert mesh.registry.farewells.empty()
        line.ack_report()
        assert (await mesh.registry.left()).instance_id == line.attach.instance_id
        await working
    assert mesh.registry.registrations.qsize() == 1


async def test_it_leaves_the_line_before_it_takes_leave(mesh: ScriptedMesh) -> None:
    """Else the Router would end it, and a worker that is not known any longer would register again."""
    worker = a_worker(mesh)
    worker.on_task(plain)
    async with started(worker):
        line = await mesh.router.attached()
        mesh.registry.gate.clear()
        worker.stop()
        await mesh.registry.left()
        with pytest.raises(EOFError):
            await line.hears()
        mesh.registry.gate.set()


@pytest.mark.parametrize("who", ["router", "registry"])
async def test_an_operator_who_drains_it_ends_it(mesh: ScriptedMesh, who: str) -> None:
    mesh.registry.interval = 0.02
    worker = a_worker(mesh)
    worker.on_task(plain)
    async with started(worker) as working:
        line = await mesh.router.attached()
        if who == "router":
            line.drain(worker_pb2.Drain.REASON_WORKER)
        else:
            mesh.registry.availability = registry_pb2.AVAILABILITY_DRAINING
        await mesh.registry.left()
        await working


@pytest.mark.parametrize("who", ["router", "registry"])
async def test_at_an_operators_deadline_it_hands_back_what_runs_and_leaves(mesh: ScriptedMesh, who: str) -> None:
    """Its own settings would have let it run for longer."""
    mesh.registry.interval = 0.02
    worker = a_worker(mesh)

    @worker.on_task
    async def handle(task: Task) -> None:
        await asyncio.Event().wait()

    async with started(worker) as working:
        line = await run_once(mesh, handle)
        if who == "router":
            line.drain(worker_pb2.Drain.REASON_WORKER, 0.05)
        else:
            mesh.registry.availability, mesh.registry.drain_deadline = registry_pb2.AVAILABILITY_DRAINING, 0.05
        report = (await line.hears()).report
        assert report.hand_back.reason == run_pb2.HAND_BACK_REASON_DRAINING
        line.ack_report()
        await mesh.registry.left()
        await working


async def test_while_it_drains_it_beats_and_finishes_what_it_has(mesh: ScriptedMesh) -> None:
    """For as long as the operator gives it; a process that has to end takes its own time instead."""
    mesh.registry.interval = 0.02
    worker, done = a_worker(mesh), asyncio.Event()
    loop = asyncio.get_running_loop()

    @worker.on_task
    async def handle(task: Task) -> str:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(done.wait(), loop))
        return "done"

    async with started(worker) as working:
        line = await run_once(mesh, handle)
        line.drain(worker_pb2.Drain.REASON_WORKER, 3600)
        async with asyncio.timeout(PATIENCE):
            while (await mesh.registry.beaten()).availability != registry_pb2.AVAILABILITY_DRAINING:
                pass
        for _ in range(5):
            beat = await mesh.registry.beaten()
            assert (beat.availability, beat.active_tasks) == (registry_pb2.AVAILABILITY_DRAINING, 1)
        worker.stop()
        done.set()
        while (request := await line.hears()).WhichOneof("item") == "tokens":
            pass
        assert request.report.WhichOneof("outcome") == "completion"
        line.ack_report()
        await mesh.registry.left()
        await working


async def test_a_worker_whose_id_another_one_took_over_ends_with_aborted(mesh: ScriptedMesh) -> None:
    """It stops what it runs, and does not take leave in the other one's name."""
    mesh.registry.interval = 0.02
    worker, stopped = a_worker(mesh), threading.Event()

    @worker.on_task
    async def handle(task: Task) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    working = asyncio.create_task(worker.start())
    await run_once(mesh, handle)
    mesh.registry.refusals["Heartbeat"].append(Aborted("another instance", reason="INSTANCE_SUPERSEDED"))
    with pytest.raises(Aborted, match="another instance"):
        await asyncio.wait_for(working, PATIENCE)
    assert await asyncio.to_thread(stopped.wait, PATIENCE)
    assert mesh.registry.farewells.empty()


@pytest.mark.parametrize(
    "refusal",
    [
        InvalidInput(Violation("spec.worker_id", "ID_FORMAT", "must not be empty")),
        Unauthenticated("the key is not known"),
    ],
)
async def test_a_worker_that_the_registry_refuses_does_not_start(mesh: ScriptedMesh, refusal: Exception) -> None:
    mesh.registry.refusals["RegisterWorker"].append(refusal)
    worker = a_worker(mesh)
    worker.on_task(plain)
    with pytest.raises(type(refusal), match=str(refusal)):
        await asyncio.wait_for(worker.start(), PATIENCE)


async def test_it_can_be_stopped_while_it_waits_for_the_registry(mesh: ScriptedMesh) -> None:
    await mesh.stop()
    worker = a_worker(mesh)
    worker.on_task(plain)
    working = asyncio.create_task(worker.start())
    done, _ = await asyncio.wait([working], timeout=0.3)
    assert done == set()
    worker.stop()
    await asyncio.wait_for(working, PATIENCE)


async def test_it_may_be_stopped_once_more_when_it_has_ended(mesh: ScriptedMesh) -> None:
    worker = a_worker(mesh)
    worker.on_task(plain)
    async with started(worker):
        await mesh.router.attached()
    worker.stop()


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        DevTeamWorker(capabilities={"gpus": 2, "gpu": True})
    assert [(wrong.field, wrong.message) for wrong in caught.value.violations] == [
        ("capabilities.gpus", "known are gpu, gpu_model, ram_gb, cpu_cores")
    ]


def test_every_wrong_setting_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        DevTeamWorker(worker_id="a b", queues=["ü"], concurrency=-1)
    assert [wrong.field for wrong in caught.value.violations] == [
        "worker.id",
        "worker.queues[0].name",
        "worker.concurrency",
    ]

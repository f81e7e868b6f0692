"""Workers that come and go with the work, as KEDA would have it: nothing that runs is killed on the way."""

import asyncio
import math
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from devteam.client import DevTeamClient
from devteam.keda import externalscaler_pb2_grpc
from devteam.keda.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from devteam.models import Plan, TaskState
from devteam.specs import Generation, RunPolicy, Step
from tests.e2e.programs import PATIENCE, Mesh, Program
from tests.e2e.scaled import Deployment, deployment

if TYPE_CHECKING:
    from devteam.keda.externalscaler_pb2_grpc import ExternalScalerAsyncStub

pytestmark = pytest.mark.e2e

QUEUE = "scaled"
SLOTS = 12
MOST_WORKERS = 3
TASKS = 500
# Tasks at the end that take seconds, so that workers are told to go while they are busy.
LONG = 18
# Seconds between two looks, where an autoscaler takes 15.
EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Look:
    """What an autoscaler saw at one moment."""

    active: bool
    demand: int
    waiting: int
    replicas: int


@dataclass(slots=True)
class Autoscaler:
    """KEDA and the HPA that it makes, without the windows in which they hold still: so it scales in most eagerly."""

    scaler: "ExternalScalerAsyncStub"
    client: DevTeamClient
    workers: Deployment
    ref: ScaledObjectRef
    looks: list[Look] = field(default_factory=list)

    async def look(self) -> Look:
        """What there is to know; waiting last, so that it is not more than what the demand was made of."""
        active = (await self.scaler.IsActive(self.ref)).result
        (value,) = (await self.scaler.GetMetrics(GetMetricsRequest(scaledObjectRef=self.ref))).metricValues
        assert value.metricValueFloat == value.metricValue
        waiting = sum(queue.waiting for queue in await self.client.list_queues() if queue.name == QUEUE)
        return Look(active, value.metricValue, waiting, self.workers.replicas)

    async def scale_until_idle(self) -> None:
        """Do what it is for until there is nothing left to do."""
        (spec,) = (await self.scaler.GetMetricSpec(self.ref)).metricSpecs
        while True:
            self.looks.append(now := await self.look())
            wanted = min(MOST_WORKERS, math.ceil(now.demand / spec.targetSize))
            self.workers.scale(wanted)
            if not (now.active or wanted):
                return
            await asyncio.sleep(EVERY)

    def stream(self) -> Any:
        """What a trigger of type `external-push` holds open."""
        return self.scaler.StreamIsActive(self.ref)


def step(number: int) -> Step:
    """Short, but for the last ones; to be tried once only, so that an attempt which is killed fails it."""
    words = 20 * (1 + number % 3) if number >= TASKS - LONG else 4
    return Step(
        id=f"s{number}",
        prompt=f"Task {number}",
        model="sim",
        queue=QUEUE,
        generation=Generation(options={"tokens": words, "tokens_per_second": 10}),
        policy=RunPolicy(max_attempts=1),
    )


async def submit(client: DevTeamClient) -> list[Plan]:
    """All tasks, as steps of plans that depend on nothing: that is soonest done."""
    steps = [step(number) for number in range(TASKS)]
    return [await client.create_plan("scaled", steps[first : first + 100]) for first in range(0, TASKS, 100)]


async def all_wait(scaler: Autoscaler) -> None:
    """Look until all tasks wait."""
    async with asyncio.timeout(PATIENCE):
        while (now := await scaler.look()).demand < TASKS:
            assert now.demand or not now.active
            await asyncio.sleep(EVERY)
    assert now == Look(active=True, demand=TASKS, waiting=TASKS, replicas=0)


async def test_from_nothing_to_500_tasks_and_back_to_nothing_without_killing_any(
    mesh: Mesh, client: DevTeamClient
) -> None:
    metadata = {"scalerAddress": mesh.address, "queue": QUEUE, "slotsPerWorker": str(SLOTS)}
    ref = ScaledObjectRef(name="devteam-worker", namespace="workers", scalerMetadata=metadata)
    with deployment(mesh, QUEUE, SLOTS) as workers:
        async with grpc.aio.insecure_channel(mesh.address) as channel:
            scaler = Autoscaler(externalscaler_pb2_grpc.ExternalScalerStub(channel), client, workers, ref)
            assert await scaler.look() == Look(active=False, demand=0, waiting=0, replicas=0)
            stream = scaler.stream()
            words = [(await stream.read()).result]
            plans = await submit(client)
            await all_wait(scaler)
            async with asyncio.timeout(PATIENCE):
                await scaler.scale_until_idle()
                words += [(await stream.read()).result for _ in range(2)]
            assert words == [False, True, False]
            assert await scaler.look() == Look(active=False, demand=0, waiting=0, replicas=0)
        assert [worker.wait() for worker in workers.leaving] == [0] * MOST_WORKERS

    looks = scaler.looks
    assert [look.demand for look in looks] == sorted((look.demand for look in looks), reverse=True)
    assert all(look.active for look in looks if look.demand)
    busy_though_nothing_waits = [look for look in looks if look.demand and not look.waiting]
    assert len(busy_though_nothing_waits) > 1
    assert {look.replicas for look in looks} >= {MOST_WORKERS, 1}
    assert sum(workers.drained()) > 0, "no worker was busy when it was told to go: the test shows nothing"

    tasks = [task for plan in plans for task in (await client.get_plan(plan.id)).tasks]
    assert len(tasks) == TASKS
    assert {(task.state, task.attempt, task.failure) for task in tasks} == {(TaskState.SUCCEEDED, 1, None)}


SHORT_RUN = ("--model", "sim", "--option", "tokens=1")
ENDLESS = ("--model", "sim", "--option", "tokens=10000", "--option", "tokens_per_second=20")


def lasting(seconds: float) -> tuple[str, ...]:
    """A run that takes so long, at ten tokens a second."""
    return ("--model", "sim", "--option", f"tokens={math.ceil(seconds * 10)}", "--option", "tokens_per_second=10")


def begun(watcher: Program, worker_id: str) -> str:
    """The id of the task that is watched, once it runs on that worker."""
    runs = rf'"task_changed", "task": {{"id": "([^"]+)".*"state": "running".*"worker_id": "{worker_id}"'
    return watcher.line(runs)[1]


def test_the_hook_before_the_end_lets_runs_end_and_the_signal_after_it_takes_nothing_back(mesh: Mesh) -> None:
    """A kubelet runs the hook first; it sends the signal when the hook has ended, or has failed."""
    queue, once = "hooked", ("--queue", "hooked", "--max-attempts", "1")
    of_pod = ("--id", "pod-1", "--queue", queue, "--provider", "sim")
    before = time.monotonic()
    with ExitStack() as stack:
        pod = stack.enter_context(mesh.worker(*of_pod, DEVTEAM_DRAIN_DEADLINE_MS="60000"))
        # The run must not end before the commands below have begun, however long this machine takes to start them.
        long_run = lasting(4 + 4 * (time.monotonic() - before))
        watcher = stack.enter_context(mesh.watching("task", "run", *long_run, *once, "Take your time"))
        begun(watcher, "pod-1")
        assert mesh.own("drain", "--id", "pod-1", "--deadline", "own").stdout == "Worker pod-1 drains: 1 runs in hand\n"
        pod.signal_end()
        with (
            mesh.watching("task", "run", *SHORT_RUN, *once, "Go elsewhere") as later,
            mesh.worker("--id", "pod-2", "--queue", queue, "--provider", "sim"),
        ):
            begun(later, "pod-2")
            assert later.wait() == 0
        watcher.line('"state": "succeeded".*"attempt": 1, "worker_id": "pod-1"')
        assert (watcher.wait(), pod.wait()) == (0, 0)


def test_what_outlives_the_drain_is_handed_back_at_no_cost(mesh: Mesh) -> None:
    """The task may be tried once only: one attempt more that counted would have failed it."""
    queue, once = "overdue", ("--queue", "overdue", "--max-attempts", "1")
    with (
        mesh.worker("--id", "old", "--queue", queue, "--provider", "sim", DEVTEAM_DRAIN_DEADLINE_MS="1000") as old,
        mesh.watching("task", "run", *ENDLESS, *once, "Never end") as watcher,
    ):
        task_id = begun(watcher, "old")
        with mesh.worker("--id", "new", "--queue", queue, "--provider", "sim"):
            assert old.stop() == 0
            watcher.line('"state": "running".*"attempt": 2, "worker_id": "new"')
            assert mesh.run("task", "cancel", task_id).returncode == 0
            assert watcher.wait() == 5

"""Watches of all tasks, on a real server: what those who look on are told, at their own pace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from devteam.client import DevTeamClient
from devteam.mesh.errors import InvalidInput, Unavailable
from devteam.mesh.status import from_rpc
from devteam.v1 import planner_pb2 as pb
from tests.fakes.clock import FakeClock
from tests.fakes.planner_samples import a_batch
from tests.fakes.relay import Relay
from tests.rpc.planner.looking import Onlooker, time_passes
from tests.rpc.planner.mesh import Mesh, refusal, running, step


class LateClock(FakeClock):
    """Goes as another clock does, on the wall 20 seconds behind it."""

    def __init__(self, other: FakeClock) -> None:
        super().__init__()
        self._other = other

    def now(self) -> datetime:
        return self._other.now() - timedelta(seconds=20)


@pytest.fixture(params=["memory", "sqlite_url"])
async def mesh(clock: FakeClock, request: pytest.FixtureRequest) -> AsyncIterator[Mesh]:
    """A Planner in memory, and one on disk; time passes."""
    url = request.param if request.param == "memory" else request.getfixturevalue(request.param)
    async with running(clock, url) as started, time_passes(clock):
        yield started


def before(clock: FakeClock, seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(clock.now() - timedelta(seconds=seconds))
    return moment


async def sole(mesh: Mesh, prompt: str = "speak") -> str:
    """A task of its own."""
    request = pb.CreateTaskRequest(task=pb.TaskSpec(prompt=prompt, model="sim", system_prompt="be brief"))
    return (await mesh.stub.CreateTask(request)).task.task_id


async def test_a_watch_begins_with_all_that_is_open_and_tells_every_change(mesh: Mesh) -> None:
    """Steps that wait for others too; without words; ended tasks are nothing to it."""
    plan = await mesh.create(step("a", "say a"), step("b", "say {{a.output}}", depends_on=("a",)))
    a, b = (task.task_id for task in plan.tasks)
    over = await sole(mesh)
    await mesh.begin(over)
    await mesh.succeed(over, "done")
    looking = Onlooker(mesh)
    await looking.until_current()
    assert looking.told == [(a, "PENDING"), (b, "PENDING")]
    assert {task.plan_name for task in looking.tasks.values()} == {"research"}
    await mesh.begin(a)
    await looking.until_state(a, "RUNNING")
    assert (looking.tasks[a].worker_id, looking.tasks[a].placement_reason) == ("w1", "in turn")
    await mesh.succeed(a, "word")
    await looking.until_state(a, "SUCCEEDED")
    late = await sole(mesh)
    await looking.until_state(late, "PENDING")
    assert {(task.spec.prompt, task.spec.system_prompt, task.output) for task in looking.tasks.values()} == {("",) * 3}
    assert looking.tasks[a].spec.model == "sim"
    assert over not in looking.tasks
    looking.leave()


async def test_whoever_asks_for_the_past_is_told_what_ended_since(mesh: Mesh) -> None:
    early, late = await sole(mesh), await sole(mesh)
    await mesh.begin(early)
    await mesh.succeed(early, "done")
    mesh.clock.advance(2)
    between = before(mesh.clock, 1)
    await mesh.begin(late)
    await mesh.succeed(late, "done")
    waiting = await sole(mesh)
    looking = Onlooker(mesh, since=between)
    await looking.until_current()
    assert looking.told == [(late, "SUCCEEDED"), (waiting, "PENDING")]
    looking.leave()


async def test_the_future_is_refused(mesh: Mesh) -> None:
    """A little of it is a clock that goes fast."""
    for moment in (before(mesh.clock, -3600), Timestamp(seconds=10**12)):
        code, error = await refusal(mesh.stub.WatchTasks(pb.WatchTasksRequest(since=moment)).read())
        assert (code, type(error)) == (grpc.StatusCode.INVALID_ARGUMENT, InvalidInput)
        assert isinstance(error, InvalidInput)
        assert [violation.field for violation in error.violations] == ["since"]
    looking = Onlooker(mesh, since=before(mesh.clock, -30))
    await looking.until_current()
    looking.leave()


async def test_tokens_are_counted_for_those_who_want_to_know(mesh: Mesh) -> None:
    """Also for those who come later; only what changed is told."""
    silent, task = await sole(mesh), await sole(mesh)
    await mesh.begin(silent)
    await mesh.begin(task)
    await mesh.say(task, a_batch(1, "one", "two"))
    first, indifferent = Onlooker(mesh, progress=True), Onlooker(mesh)
    await first.until(lambda: (task, 1, 2) in first.counts)
    await mesh.say(task, a_batch(3, "three"))
    await first.until(lambda: (task, 1, 3) in first.counts)
    second = Onlooker(mesh, progress=True)
    await second.until(lambda: (task, 1, 3) in second.counts)
    assert first.counts == [(silent, 1, 0), (task, 1, 2), (task, 1, 3)]
    await mesh.succeed(task, "one two three")
    await indifferent.until_state(task, "SUCCEEDED")
    assert indifferent.counts == []
    for looking in (first, second, indifferent):
        looking.leave()


async def test_a_large_beginning_comes_in_parts(mesh: Mesh) -> None:
    """Each task once."""
    for _ in range(3):
        await mesh.create(*(step(f"s{number}") for number in range(150)))
    looking = Onlooker(mesh)
    await looking.until_current()
    assert looking.sizes == [200, 200, 50, 0]
    assert len(looking.tasks) == 450
    looking.leave()


async def test_a_stopping_planner_ends_its_watches_at_once(mesh: Mesh) -> None:
    """With what a client takes for a reason to look again elsewhere."""
    looking = Onlooker(mesh)
    await looking.until_current()
    async with asyncio.timeout(60):
        await mesh.server.stop()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await looking.until(lambda: False)
    error = from_rpc(caught.value)
    assert (type(error), error.reason) == (Unavailable, "DRAINING")


@pytest.mark.parametrize("backend", ["sqlite_url", "postgres_url"])
async def test_whoever_does_not_read_is_told_the_latest_in_the_end(
    backend: str, clock: FakeClock, request: pytest.FixtureRequest
) -> None:
    """More changes than its line and its connection hold: it has to look them up, and misses no end."""
    url = str(request.getfixturevalue(backend))
    async with running(clock, url, backlog=20) as mesh, time_passes(clock):
        looking, reading = Onlooker(mesh), Onlooker(mesh)
        await looking.until_current()
        ended = []
        for _ in range(4):
            plan = await mesh.create(*(step(f"s{number}", tools=["t" * 100] * 40) for number in range(60)))
            for task in plan.tasks:
                await mesh.begin(task.task_id)
                await mesh.succeed(task.task_id, "done")
                ended.append(task.task_id)
            await reading.until(lambda: all(reading.state(task_id) == "SUCCEEDED" for task_id in ended))
        await looking.until(lambda: all(looking.state(task_id) == "SUCCEEDED" for task_id in ended))
        states = {task_id: [state for told, state in looking.told if told == task_id] for task_id in ended}
        assert all(told[-1] == "SUCCEEDED" for told in states.values())
        looking.leave()
        reading.leave()


@pytest.mark.parametrize("backend", ["sqlite_url", "postgres_url"])
async def test_what_another_planner_writes_is_seen(
    backend: str, clock: FakeClock, request: pytest.FixtureRequest
) -> None:
    """On the same database, though its clock goes behind."""
    url = str(request.getfixturevalue(backend))
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(running(clock, url))
        there = await stack.enter_async_context(running(LateClock(clock), url))
        await stack.enter_async_context(time_passes(clock))
        looking = Onlooker(here, progress=True)
        await looking.until_current()
        task_id = await sole(there)
        await looking.until_state(task_id, "PENDING")
        await there.begin(task_id)
        await looking.until_state(task_id, "RUNNING")
        await there.say(task_id, a_batch(1, "one"))
        await looking.until(lambda: (task_id, 1, 1) in looking.counts)
        await there.succeed(task_id, "one")
        await looking.until_state(task_id, "SUCCEEDED")
        looking.leave()


async def test_a_client_misses_nothing_when_its_line_breaks(mesh: Mesh) -> None:
    """What ended meanwhile is told once it is back, and only once; what is open is told again."""
    relay = Relay("127.0.0.1", mesh.server.port)
    port = relay.open()
    stays, ends = await sole(mesh), await sole(mesh)
    async with DevTeamClient(f"http://127.0.0.1:{port}", api_key="") as client, asyncio.timeout(60):
        watch = client.watch_tasks()
        while not (await anext(watch)).current:
            pass
        await relay.cut()
        while not (await anext(watch)).interrupted:
            pass
        await mesh.begin(ends)
        await mesh.succeed(ends, "done")
        relay.open(port)
        told = [await anext(watch)]
        while not told[-1].current:
            told.append(await anext(watch))
        states = [(task.id, task.state.value) for seen in told for task in seen.tasks]
        assert states == [(ends, "succeeded"), (stays, "pending")]
        assert [seen.removed for seen in told if seen.removed] == []
        await watch.aclose()
    await relay.cut()

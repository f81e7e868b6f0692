"""Any bytes to any RPC: a status that says what is wrong, soon, and a server that goes on as if nothing had been."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from devteam_registry.settings import Settings
from devteam_router.ports import FleetSnapshot

from devteam.keda import externalscaler_pb2
from devteam.mesh.channel import open_channel
from devteam.mesh.paging import page_token
from devteam.v1 import access_pb2, planner_pb2, registry_pb2, router_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.router_bench import left_over
from tests.fakes.router_samples import a_worker
from tests.rpc.fuzz.storm import NIGHTLY_FRAMES, SHARES, no_more_tasks_than, share, storm
from tests.rpc.planner.mesh import running as running_planner
from tests.rpc.planner.mesh import step
from tests.rpc.registry.keyed import MESH_KEY, keyed_registry
from tests.rpc.registry.mesh import running as running_registry
from tests.rpc.router.mesh import running as running_router

# How fast the answers came is read with: pytest --log-cli-level INFO
log = logging.getLogger(__name__)

pytestmark = pytest.mark.timeout(600)

# What makes a request good, by the names of fields.
COMMON: Mapping[str, Sequence[Any]] = {
    "seconds": [1, 30, 60],
    "nanos": [0],
    "page_token": ["", page_token("w1"), page_token("\x00x")],
    "page_size": [0, 1, 100],
    "model": ["sim", "haiku"],
    "queue": ["", "default"],
    "prompt": ["Say hello"],
    "system_prompt": [""],
    "tools": ["search"],
    "preferred_queues": ["default", "gpu"],
    "request_id": [""],
    "worker_id": ["w1", "w2", "w3"],
    "instance_id": ["i1", "i2"],
    "router_id": ["router-1"],
    "tenant": ["", "team-a"],
}


# On which a service remembers.
DATABASES = ("memory", "sqlite_url", "postgres_url")


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The URL of each kind in turn."""
    return "memory" if request.param == "memory" else str(request.getfixturevalue(request.param))


def kind_of(database: str) -> str:
    """The same in every run, as the dice of a storm are."""
    return database.partition(":")[0]


async def pause() -> None:
    await asyncio.sleep(0)


def test_fifty_thousand_frames_are_sent_every_night() -> None:
    assert sum(share(name, NIGHTLY_FRAMES) for name in SHARES) >= 50_000


async def test_the_keys_answer_any_request(frames: int, database: str, clock: FakeClock) -> None:
    """Of one who may do everything with them: afterwards there are keys, and they open."""
    methods = access_pb2.DESCRIPTOR.services_by_name["AccessService"].methods
    words = {
        **COMMON,
        "name": ["ci"],
        "role": [access_pb2.ROLE_CLIENT, access_pb2.ROLE_WORKER],
        "rate": [0.0, 2.5],
        "seconds": [4_102_444_800],
        "token": ["dtj_"],
        "queues": ["default", "gpu"],
    }
    async with keyed_registry(clock, database_url=database) as mesh, open_channel(mesh.url, api_key=MESH_KEY) as line:
        await mesh.create()
        before = len(asyncio.all_tasks())
        wind = storm("access", line, methods, words)
        await wind.blow(share("access", frames) // len(DATABASES), pause)
        log.info("%s", wind.answers.judge())
        made = await mesh.create()
        assert mesh.keyring.identify(made.secret).key_id == made.key.key_id
        await no_more_tasks_than(before)


async def test_the_registry_answers_any_request(database: str, frames: int, clock: FakeClock) -> None:
    methods = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].methods
    words = {
        **COMMON,
        "name": ["default", "gpu"],
        "concurrency": [1, 4],
        "paths": ["concurrency", "labels", "availability"],
        "session_token": ["", "token-1"],
    }
    settings = Settings(database_url=database)
    async with running_registry(settings, clock) as mesh:
        registered = await mesh.register()
        words["session_token"] = ["", registered.session_token]
        before = len(asyncio.all_tasks())
        wind = storm(f"registry on {kind_of(database)}", mesh.channel, methods, words)
        part = share("registry", frames) // len(DATABASES)
        await wind.blow(part, lambda: mesh.pass_time(1))
        assert wind.sent >= part
        log.info("%s", wind.answers.judge())
        again = await mesh.register("w1", "i9")
        assert (await mesh.beat(again.session_token, "w1", "i9")).state == registry_pb2.WORKER_STATE_HEALTHY
        await no_more_tasks_than(before)


async def test_the_router_answers_any_request(frames: int, clock: FakeClock) -> None:
    methods = [
        *router_pb2.DESCRIPTOR.services_by_name["RouterService"].methods,
        *externalscaler_pb2.DESCRIPTOR.services_by_name["ExternalScaler"].methods,
    ]
    words = {
        **COMMON,
        "name": ["default"],
        "task_id": [f"t{n}" for n in range(20)],
        "attempt": [1, 1, 2, 3],
        "strategy": [0, 1, 2, 3, 4],
        "priority": [0, 1, 5],
        "last_seq": [0, 0, 3],
        "key": ["queue", "queue", "slotsPerWorker"],
        "metricName": ["", "devteam_queue_demand_slots-default"],
    }
    async with running_router(clock) as mesh:
        mesh.register(a_worker("w1", concurrency=4))
        before = len(asyncio.all_tasks())
        wind = storm("router", mesh.channel, methods, words)

        async def tick() -> None:
            clock.advance(1)
            await pause()

        await wind.blow(share("router", frames), tick)
        assert wind.sent >= share("router", frames)
        log.info("%s", wind.answers.judge())
        assert (await mesh.stub.GetQueue(router_pb2.GetQueueRequest(name="default"))).queue.workers == 1
        await no_more_tasks_than(before)
        clock.advance(200)
        mesh.core.hear(FleetSnapshot((), complete=True, first=True))
        assert left_over(mesh.core, clock) == []


async def test_the_planner_answers_any_request(database: str, frames: int, clock: FakeClock) -> None:
    methods = planner_pb2.DESCRIPTOR.services_by_name["PlannerService"].methods
    async with running_planner(clock, database) as mesh:
        plan = await mesh.create(step("a"), step("b", depends_on=("a",)))
        task = (await mesh.stub.CreateTask(a_task())).task
        words = {
            **COMMON,
            "name": ["research"],
            "id": ["a", "b", "c"],
            "depends_on": ["a"],
            "task_id": [task.task_id, plan.tasks[0].task_id, "t-none"],
            "plan_id": [plan.plan_id, "p-none"],
            "attempt": [0, 1],
            "after_seq": [0],
            "effort": ["", "high"],
            "max_attempts": [0, 1, 3],
        }
        before = len(asyncio.all_tasks())
        wind = storm(f"planner on {kind_of(database)}", mesh.channel, methods, words)
        part = share("planner", frames) // len(DATABASES)
        await wind.blow(part, pause)
        assert wind.sent >= part
        log.info("%s", wind.answers.judge())
        created = (await mesh.stub.CreateTask(a_task())).task
        answer = await mesh.stub.GetTask(planner_pb2.GetTaskRequest(task_id=created.task_id))
        assert answer.task.state in {planner_pb2.TASK_STATE_QUEUED, planner_pb2.TASK_STATE_PENDING}
        await no_more_tasks_than(before)


def a_task() -> planner_pb2.CreateTaskRequest:
    return planner_pb2.CreateTaskRequest(task=planner_pb2.TaskSpec(prompt="Say hello", model="sim"))

"""`devteam status`: the whole mesh on one screen."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

from devteam import Dependency, DependencyState, QueueInfo, ServiceStatus, Throttle, WorkerInfo, WorkerStatus
from devteam.testing import FakeMesh
from tests.rpc.cli.command import Stuck, ran

DATABASE = Dependency(name="database", address="sqlite planner.db", state=DependencyState.OK)
TEMPORAL = Dependency(
    name="temporal",
    address="127.0.0.1:7233",
    state=DependencyState.AWAY,
    detail="it does not answer: see whether it runs there",
)


def services(*dependencies: Dependency, ahead: float = 0.0) -> list[ServiceStatus]:
    """All three, up for three hours."""
    since = datetime.now(UTC) + timedelta(seconds=ahead) - timedelta(hours=3)
    registry, router = (ServiceStatus(name=name, version="1.0", started_at=since) for name in ("registry", "router"))
    planner = ServiceStatus(
        name="planner", version="1.0", started_at=since, dependencies=dependencies, traces="store",
        clock_ahead=timedelta(seconds=ahead),
    )  # fmt: skip
    return [registry, router, planner]


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


async def test_a_mesh_that_is_well_is_exit_code_0() -> None:
    queues = [QueueInfo(name="default", waiting=3, running=4, slots=4, workers=1)]
    workers = [WorkerInfo(id="asus", concurrency=4), WorkerInfo(id="laptop", status=WorkerStatus.DRAINING)]
    async with FakeMesh(workers=workers, queues=queues, services=services(DATABASE)) as mesh:
        done = await ran(mesh, "status")
    assert (done.code, done.err) == (0, "")
    assert lines(done.out) == [
        f"{mesh.url} all is well",
        "",
        "SERVICE VERSION UP STANDS ON TRACES NOTE",
        "registry 1.0 3.0 h - off",
        "router 1.0 3.0 h - off",
        "planner 1.0 3.0 h database sqlite planner.db store",
        "",
        "tasks: 4 running, 3 waiting plans: 0 running, 0 not begun",
        "workers: 1 healthy, 1 draining slots: 4 of 5 used",
        "",
        "QUEUE STATE WAITING RUNNING SLOTS WORKERS OLDEST STRATEGY",
        "default open 3 4 4 1 - -",
    ]


async def test_what_needs_attention_comes_first_with_its_remedy_and_exit_code_1() -> None:
    throttle = Throttle(model="opus", until=datetime.now(UTC) + timedelta(hours=3), reason="anthropic: 429", waiting=3)
    mesh = FakeMesh(
        workers=[],
        queues=[QueueInfo(name="gpu-queue", waiting=12)],
        throttles=[throttle],
        services=services(DATABASE, TEMPORAL, ahead=10_800.0),
    )
    async with mesh:
        done = await ran(mesh, "status")
    assert (done.code, done.err) == (1, "")
    shown = lines(done.out)
    assert shown[:7] == [
        f"{mesh.url} 3 things need attention",
        "! planner: temporal at 127.0.0.1:7233 is away",
        "it does not answer: see whether it runs there",
        "! queue gpu-queue: 12 wait and no worker serves it",
        "start one with `devteam-worker start --queue gpu-queue`",
        "! planner: its clock is 3.0 h ahead of this machine's",
        "let both machines' clocks follow a time server: `timedatectl set-ntp true`",
    ]
    assert "no workers" in shown
    assert "planner 1.0 3.0 h database sqlite planner.db, temporal 127.0.0.1:7233 AWAY store clock 3.0 h" in shown[11]
    assert shown[-1].startswith("opus paused for 3.0 h, until ")


async def test_a_task_that_nobody_runs_is_pointed_out() -> None:
    """Of itself, and of a plan."""
    stuck = Stuck()
    ill = WorkerInfo(id="asus", status=WorkerStatus.LOST, status_reason="no beat for 130 s")
    async with FakeMesh(stuck.answer, workers=[ill]) as mesh, mesh.client() as client:
        plan = await client.create_plan("research", [{"id": "a", "prompt": "p", "model": "m"}])
        await asyncio.wait_for(stuck.begun.wait(), 60)
        done = await ran(mesh, "status", "-o", "json")
    found = {concern["subject"]: concern for concern in json.loads(done.out)["concerns"]}
    assert done.code == 1
    assert found[f"task {plan.id}.a"]["said"] == "shown as running on asus, which is lost (no beat for 130 s)"
    assert found["worker asus"]["said"] == "lost (no beat for 130 s)"
    assert json.loads(done.out)["plans"] == {"running": 1, "waiting": 0}


async def test_all_of_it_is_data() -> None:
    """One document, or one line."""
    workers = [WorkerInfo(id="asus", concurrency=4), WorkerInfo(id="laptop", status=WorkerStatus.UNHEALTHY)]
    queues = [QueueInfo(name="default", waiting=3, running=2, slots=4, workers=1)]
    mesh = FakeMesh(workers=workers, queues=queues, notice="deaths are frozen", services=services(DATABASE))
    async with mesh:
        whole = await ran(mesh, "status", "-o", "json")
        line = await ran(mesh, "-o", "jsonl", "status")
    data = json.loads(whole.out)
    assert (whole.code, data["url"], data["well"]) == (1, mesh.url, False)
    assert data["workers"] == {
        "total": 2, "by_status": {"healthy": 1, "unhealthy": 1}, "slots": 5, "used": 2, "notice": "deaths are frozen",
    }  # fmt: skip
    assert data["tasks"] == {"running": 2, "waiting": 3, "not_begun": 0}
    planner = data["services"][2]
    assert (planner["name"], planner["version"], planner["traces"]) == ("planner", "1.0", "store")
    assert 10_799 <= planner["uptime"] < 10_900
    assert planner["dependencies"][0] == {
        "name": "database", "address": "sqlite planner.db", "state": "ok", "detail": "", "since": None,
    }  # fmt: skip
    assert data["queues"][0]["name"] == "default"
    assert (line.out.count("\n"), json.loads(line.out).keys()) == (1, data.keys())


async def test_a_service_that_cannot_be_asked_is_shown_beside_the_others() -> None:
    drains = ServiceStatus(name="router", problem="it drains")
    async with FakeMesh(services=[drains]) as mesh:
        done = await ran(mesh, "status")
    assert done.code == 1
    assert lines(done.out)[1] == "! router: cannot be asked: it drains"
    assert "router - - - - it drains" in lines(done.out)


async def test_what_a_worker_says_of_itself_moves_no_cursor() -> None:
    sly = WorkerInfo(id="asus", status=WorkerStatus.LOST, status_reason="\x1b[2Jgone")
    async with FakeMesh(workers=[sly]) as mesh:
        done = await ran(mesh, "status")
    assert "\x1b" not in done.out


async def test_no_mesh_is_exit_code_4() -> None:
    done = await ran(None, "status")
    assert (done.code, done.out) == (4, "")
    assert "Start one with `devteam up`" in done.err

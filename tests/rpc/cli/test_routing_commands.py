"""How operators want tasks to be placed (`devteam worker set`, `queue`, `routing`), and what a dry run says of it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from devteam import ModelLimit, QueueInfo, QueuePolicy, Strategy, Throttle, WorkerInfo
from devteam.testing import FakeMesh
from tests.rpc.cli.command import ran

ASUS = WorkerInfo(
    id="asus", queues=("gpu-queue",), models=("opus",), gpu=True, gpu_model="RTX 5080", ram_gb=24.0,
    labels={"zone": "b", "disk": "ssd"}, data_sources=("papers",), tools=("web",),
)  # fmt: skip
QUEUES = [QueueInfo(name="default"), QueueInfo(name="gpu-queue", waiting=2)]


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


async def test_a_worker_is_told_everything_at_once() -> None:
    """And an empty value takes a wish back."""
    wishes = ("concurrency=8", "weight=4", "labels.zone=a", "labels.disk=", "availability=cordoned")
    async with FakeMesh(workers=[ASUS]) as mesh:
        told = await ran(mesh, "worker", "set", "asus", *wishes, "-o", "json")
        taken_back = await ran(mesh, "worker", "set", "asus", "weight=", "availability=")
    worker = json.loads(told.out)
    assert (worker["concurrency"], worker["weight"], worker["labels"]) == (8, 4.0, {"zone": "a"})
    assert worker["availability"] == "cordoned"
    assert {"status healthy", "weight 1"} <= set(lines(taken_back.out))


async def test_a_queue_is_paused_and_goes_on() -> None:
    async with FakeMesh(queues=QUEUES) as mesh:
        paused = await ran(mesh, "queue", "pause", "gpu-queue")
        table = await ran(mesh, "queues")
        resumed = await ran(mesh, "queue", "resume", "gpu-queue", "-o", "jsonl")
    assert (paused.code, paused.out) == (0, "")
    assert paused.err == "gpu-queue is paused; `devteam queue resume gpu-queue` lets it go on\n"
    assert [line.split()[:3] for line in table.out.splitlines()[1:]] == [
        ["default", "open", "0"],
        ["gpu-queue", "paused", "2"],
    ]
    assert json.loads(resumed.out)["paused"] is False


async def test_a_tenants_share_is_set_beside_those_of_others() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        await ran(mesh, "queue", "set", "q", "strategy=round-robin", "locality-wait=5s", "tenant.a=3", "tenant.b=1")
        table = await ran(mesh, "queue", "set", "q", "tenant.b=0.5", "tenant.c=2")
        await ran(mesh, "queue", "set", "q", "tenant.a=", "tenant.c=", "locality-wait=")
        policy = (await client.get_routing()).queue("q")
    assert lines(table.out)[1] == "q open round-robin 5.0 s a=3, b=0.5, c=2"
    assert policy == QueuePolicy(name="q", strategy=Strategy.ROUND_ROBIN, tenant_weights={"b": 0.5})


async def test_models_that_providers_keep_waiting_stand_below_the_queues() -> None:
    """Beside the data, where that is for programs; without what a terminal would obey."""
    until = datetime.now(UTC) + timedelta(hours=3)
    throttle = Throttle(model="opus", until=until, reason="\x1b[2Janthropic: 429", waiting=3)
    async with FakeMesh(queues=QUEUES, throttles=[throttle]) as mesh:
        table = await ran(mesh, "queues")
        data = await ran(mesh, "queues", "-o", "jsonl")
    told = table.out.splitlines()[-1]
    assert told.startswith("opus paused for 3.0 h, until ")
    assert told.endswith(": anthropic: 429; 3 waiting")
    assert data.err == f"{told}\n"
    assert [json.loads(line)["name"] for line in data.out.splitlines()] == ["default", "gpu-queue"]


async def test_the_policy_is_shown_and_changed() -> None:
    """One wish at a time; the others stay."""
    async with FakeMesh() as mesh, mesh.client() as client:
        await ran(mesh, "routing", "set", "strategy=least-loaded", "locality-wait=3s")
        await ran(mesh, "routing", "prefer", "ollama:*", "gpu-queue", "default")
        await ran(mesh, "routing", "prefer", "opus", "gpu-queue")
        await ran(mesh, "routing", "limit", "opus", "1/s", "--queue", "gpu-queue")
        shown = await ran(mesh, "routing")
        policy = await client.get_routing()
    assert (policy.strategy, policy.locality_wait) == (Strategy.LEAST_LOADED, timedelta(seconds=3))
    assert policy.preferences == {"ollama:*": ("gpu-queue", "default"), "opus": ("gpu-queue",)}
    assert policy.limits == (ModelLimit(model="opus", starts_per_minute=60.0, queue="gpu-queue"),)
    assert {"strategy least-loaded", "ollama:* gpu-queue, default", "opus gpu-queue 60/min"} <= set(lines(shown.out))


async def test_preferences_and_limits_are_taken_back() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        await client.update_routing(
            preferences={"opus": ["a"], "haiku": ["b"]}, limits=[ModelLimit(model="opus", starts_per_minute=1)]
        )
        preferred = await ran(mesh, "routing", "prefer", "opus", "-o", "json")
        limited = await ran(mesh, "routing", "limit", "opus", "0", "-o", "json")
        unknown = await ran(mesh, "routing", "limit", "opus", "0")
    assert json.loads(preferred.out)["preferences"] == {"haiku": ["b"]}
    assert json.loads(limited.out)["limits"] == []
    assert (unknown.code, unknown.out) == (3, "")
    assert unknown.err == "error: no limit named 'opus'; `devteam routing` shows what there is\n"


@pytest.mark.parametrize(
    "command",
    [
        ("-o", "jsonl", "routing"),
        ("routing", "-o", "jsonl"),
        ("routing", "-o", "jsonl", "set", "strategy="),
        ("routing", "set", "strategy=", "-o", "jsonl"),
    ],
)
async def test_how_data_is_written_may_be_said_anywhere(command: tuple[str, ...]) -> None:
    async with FakeMesh() as mesh:
        done = await ran(mesh, *command)
    assert json.loads(done.out)["strategy"] is None


async def test_a_task_is_explained_before_it_is_submitted() -> None:
    """With every option of a task's placement."""
    fits = ("--gpu", "--gpu-model", "5080", "--min-ram-gb", "16", "--label", "zone=b", "--tool", "web")
    more = ("--data-source", "papers", "--strategy", "locality", "--near", "papers", "--priority", "1")
    opus = ("explain", "--dry-run", "--model", "opus", "--queue", "gpu-queue")
    async with FakeMesh(workers=[ASUS]) as mesh, mesh.client() as client:
        free = await ran(mesh, *opus, *fits, *more)
        waits = await ran(mesh, *opus, "--gpu-model", "H100")
        data = json.loads((await ran(mesh, *opus, "--min-cpu-cores", "64", "-o", "json")).out)
        assert await client.list_tasks() == []
    assert free.out.splitlines()[0] == "could start now on asus (queue gpu-queue)"
    assert lines(waits.out)[1:] == [
        "reason no worker meets requirements",
        "WORKER QUEUE ACTIVE/CAP SCORE MERITS VERDICT",
        "asus gpu-queue 0/1 - its GPU is no H100",
    ]
    assert (data["wait_reason"], data["worker_id"]) == ("no_worker_meets_requirements", "")
    assert data["candidates"][0]["rejected_because"] == "has 0 cores of 64"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("worker", "set", "w", "speed=3"), "'speed' cannot be set; there are concurrency, weight, availability"),
        (("queue", "set", "q", "tenant=3"), "'tenant' cannot be set; there are strategy, locality-wait, tenant.NAME"),
        (("routing", "set", "strategy=best"), "strategy: 'best' is none of the choices"),
        (("routing", "limit", "opus", "many"), "'many' is no rate"),
        (("worker", "set", "w"), "Missing argument"),
        (("explain",), "name a TASK"),
        (("explain", "--dry-run"), "a dry run takes a --model"),
        (("explain", "t", "--dry-run", "--model", "opus"), "and no TASK"),
        (("explain", "t", "--gpu"), "such options go with --dry-run"),
    ],
)
async def test_a_wrong_command_line_is_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    """Before anything is asked of a mesh."""
    done = await ran(None, *arguments)
    assert done.code == 2
    assert message in " ".join(done.err.split())

"""The client against a mesh over real gRPC."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from devteam import (
    Availability,
    DevTeamClient,
    FailureReason,
    LoadBalancing,
    Placement,
    Plan,
    PlanChanged,
    PlanState,
    QueueInfo,
    Step,
    Task,
    TaskChanged,
    TaskState,
    Tokens,
    WorkerInfo,
    WorkerStatus,
)
from devteam.errors import FailedPrecondition, InvalidInput, NotFound, OutOfRange, Unavailable
from devteam.testing import FakeMesh, Run, WorkerLost

RESEARCH: list[Mapping[str, object]] = [
    {"id": "researcher", "prompt": "about {{input.topic}}", "model": "sonnet", "systemPrompt": "dig"},
    {"id": "analyst", "prompt": "weigh {{researcher.output}}", "model": "opus", "dependsOn": ["researcher"]},
    {"id": "writer", "prompt": "tell {{analyst.output}}", "model": "sonnet", "depends_on": ["analyst"]},
]


async def spoken(client: DevTeamClient, watched_id: str) -> str:
    return "".join([event.text async for event in client.watch(watched_id) if isinstance(event, Tokens)])


async def test_a_task_is_created_watched_and_fetched() -> None:
    """Its tokens are its output."""
    async with FakeMesh(lambda run: f"you said {run.prompt}") as mesh, mesh.client() as client:
        created = await client.create_task("good morning", model="haiku", queue="cpu", system_prompt="be brief")
        assert (created.prompt, created.model, created.spec.system_prompt) == ("good morning", "haiku", "be brief")
        assert await spoken(client, created.id) == "you said good morning"
        fetched = await client.get_task(created.id)
        assert (fetched.state, fetched.output, fetched.queue) == (TaskState.SUCCEEDED, "you said good morning", "cpu")
        assert fetched.completion is not None
        assert fetched.completion.usage.output_tokens == 4


async def test_wait_returns_a_task_with_its_output() -> None:
    """However it ended."""
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("echo this", model="haiku")
        done = await client.wait(task.id)
        assert isinstance(done, Task)
        assert done.output == "echo this"


async def test_creating_twice_with_one_request_id_makes_one_task() -> None:
    """Without one, the client makes a fresh id for each create."""
    async with FakeMesh() as mesh, mesh.client() as client:
        first = await client.create_task("p", model="m", request_id="monday-report")
        again = await client.create_task("p", model="m", request_id="monday-report")
        other = await client.create_task("p", model="m")
        assert first.id == again.id != other.id
        assert len(await client.list_tasks()) == 2


async def test_a_plan_runs_in_the_order_of_its_dependencies() -> None:
    """Each step sees the outputs of the steps before it."""
    prompts: list[str] = []

    def answer(run: Run) -> str:
        prompts.append(run.prompt)
        return f"[{run.step_id}]"

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        plan = await client.create_plan("research", RESEARCH, input={"topic": "tides"})
        assert [task.depends_on for task in plan.tasks] == [(), ("researcher",), ("analyst",)]
        done = await client.wait(plan.id)
        assert isinstance(done, Plan)
        assert done.state is PlanState.SUCCEEDED
        assert prompts == ["about tides", "weigh [researcher]", "tell [analyst]"]
        [final] = done.final_tasks
        assert (await client.get_task(final.id)).output == "[writer]"


async def test_a_plans_watch_tells_every_step() -> None:
    """Tokens name the step that they belong to, and the plan's end comes last."""
    async with FakeMesh(lambda run: run.step_id.upper()) as mesh, mesh.client() as client:
        plan = await client.create_plan("research", RESEARCH, input={"topic": "tides"})
        events = [event async for event in client.watch_plan(plan.id)]
    said = {event.step_id: event.text for event in events if isinstance(event, Tokens)}
    assert said == {"researcher": "RESEARCHER", "analyst": "ANALYST", "writer": "WRITER"}
    assert isinstance(events[-1], PlanChanged)
    assert events[-1].plan.state is PlanState.SUCCEEDED


async def test_a_failed_step_skips_what_depends_on_it() -> None:
    """The failure says why."""

    def answer(run: Run) -> str:
        if run.step_id == "analyst":
            raise ValueError("cannot count")
        return "fine"

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        plan = await client.create_plan("research", RESEARCH, input={"topic": "tides"})
        done = await client.wait(plan.id)
    assert isinstance(done, Plan)
    assert done.state is PlanState.FAILED
    assert [task.state for task in done.tasks] == [TaskState.SUCCEEDED, TaskState.FAILED, TaskState.SKIPPED]
    failure = done.tasks[1].failure
    assert failure is not None
    assert (failure.reason, failure.message) == (FailureReason.HANDLER, "cannot count")


async def test_a_lost_worker_starts_the_answer_again() -> None:
    """What the first attempt said is void, and the second one is announced."""

    async def answer(run: Run) -> AsyncIterator[str]:
        yield f"try {run.attempt}"
        if run.attempt == 1:
            raise WorkerLost("worker w1 was lost")

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        done = await client.wait(task.id)
    assert isinstance(done, Task)
    assert (done.output, done.attempt) == ("try 2", 2)


async def test_a_task_that_loses_every_worker_fails() -> None:
    """After as many attempts as its policy allows."""

    def answer(run: Run) -> str:
        raise WorkerLost

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        done = await client.wait(task.id)
    assert isinstance(done, Task)
    assert (done.state, done.attempt) == (TaskState.FAILED, 3)
    assert done.failure is not None
    assert done.failure.reason is FailureReason.WORKER_LOST


async def test_a_running_task_can_be_cancelled() -> None:
    """Its watch ends."""
    forever = asyncio.Event()

    async def answer(run: Run) -> AsyncIterator[str]:
        yield "well"
        await forever.wait()

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        states = []
        async for event in client.watch_task(task.id):
            if isinstance(event, Tokens):
                await client.cancel_task(task.id)
            if isinstance(event, TaskChanged):
                states.append(event.task.state)
    assert states[-1] is TaskState.CANCELLED


async def test_a_cancelled_plan_starts_no_more_steps() -> None:
    """A step alone cannot be cancelled."""
    forever = asyncio.Event()

    async def answer(run: Run) -> str:
        await forever.wait()
        return ""

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        plan = await client.create_plan("research", RESEARCH, input={"topic": "tides"})
        with pytest.raises(FailedPrecondition, match="cancel the plan"):
            await client.cancel_task(plan.tasks[0].id)
        done = await client.cancel_plan(plan.id)
        assert done.cancel_requested_at is not None
        assert [task.state for task in (await client.get_plan(plan.id)).tasks] == [TaskState.CANCELLED] * 3


async def test_lists_can_be_narrowed() -> None:
    """By state, by plan, by number; the newest first."""
    async with FakeMesh() as mesh, mesh.client() as client:
        tasks = [await client.create_task(f"p{i}", model="m") for i in range(3)]
        plan = await client.create_plan("one", [Step(id="a", prompt="p", model="m")])
        await client.wait(plan.id)
        for task in tasks:
            await client.wait(task.id)
        newest_first = [task.id for task in reversed(tasks)]
        assert [task.id for task in await client.list_tasks()] == newest_first
        assert [task.id for task in await client.list_tasks(limit=2)] == newest_first[:2]
        assert await client.list_tasks(state=TaskState.FAILED) == []
        assert [task.step_id for task in await client.list_tasks(plan_id=plan.id)] == ["a"]
        [listed] = await client.list_plans(state=PlanState.SUCCEEDED)
        assert (listed.id, listed.tasks) == (plan.id, ())


async def test_load_balancing_goes_with_every_task_and_step() -> None:
    """Preferences for those that name no queue, the strategy for all."""
    spread = LoadBalancing("least-loaded", {"opus": ["gpu-queue"], "ollama:*": ["gpu-queue", "spare"]})
    async with FakeMesh() as mesh, mesh.client(load_balancing=spread) as client:
        task = await client.create_task("p", model="ollama:phi")
        assert task.spec.placement.preferred_queues == ("gpu-queue", "spare")
        steps = [Step(id="a", prompt="p", model="opus"), Step(id="b", prompt="p", model="opus", queue="mine")]
        plan = await client.create_plan("n", steps)
        assert [step.spec.placement for step in plan.tasks] == [
            Placement(strategy="least-loaded", preferred_queues=("gpu-queue",)),
            Placement(strategy="least-loaded"),
        ]


async def test_workers_are_listed_and_told_what_is_wanted() -> None:
    """With everything that the mission's table shows."""
    beat = datetime(2026, 11, 22, 12, tzinfo=UTC)
    gpu = WorkerInfo(
        id="asus",
        active_tasks=3,
        concurrency=4,
        queues=("gpu-queue", "default"),
        models=("opus", "ollama:*"),
        local_models=("ollama:llama3.3",),
        labels={"rack": "3"},
        gpu=True,
        gpu_model="RTX 5080",
        ram_gb=24.0,
        cpu_cores=8,
        last_heartbeat=beat,
        uptime=timedelta(hours=5),
    )
    ill = WorkerInfo(
        id="laptop",
        status=WorkerStatus.UNHEALTHY,
        status_reason="no beat for 71 s",
        next_status=WorkerStatus.LOST,
        next_status_at=beat + timedelta(seconds=49),
        queues=("cpu-queue",),
    )
    async with FakeMesh(workers=[ill, gpu]) as mesh, mesh.client() as client:
        assert await client.get_workers() == [gpu, ill]
        assert await client.get_workers(queue="cpu-queue") == [ill]
        assert await client.get_worker("laptop") == ill
        cordoned = await client.update_worker("asus", availability=Availability.CORDONED, concurrency=2)
        assert (cordoned.status, cordoned.concurrency) == (WorkerStatus.CORDONED, 2)
        assert (await client.update_worker("asus", availability=Availability.OPEN)).status is WorkerStatus.HEALTHY


async def test_a_worker_is_drained_within_a_time_of_ones_own() -> None:
    """A later wish takes the deadline away."""
    async with FakeMesh() as mesh, mesh.client() as client:
        before = datetime.now(UTC)
        drained = await client.drain_worker("fake-1", deadline=timedelta(minutes=5))
        assert (drained.status, drained.availability) == (WorkerStatus.DRAINING, Availability.DRAINING)
        assert drained.drain_deadline_at is not None
        assert before + timedelta(minutes=5) <= drained.drain_deadline_at <= datetime.now(UTC) + timedelta(minutes=5)
        assert (await client.drain_worker("fake-1")).drain_deadline_at is None
        mesh.remove_worker("fake-1")
        assert await client.get_workers() == []
        with pytest.raises(NotFound):
            mesh.remove_worker("fake-1")


async def test_a_list_of_workers_carries_a_notice_about_the_fleet() -> None:
    """Which is empty as a rule."""
    async with FakeMesh() as mesh, mesh.client() as client:
        assert (await client.get_workers()).notice == ""
    async with FakeMesh(notice="deaths are frozen") as mesh, mesh.client() as client:
        assert (await client.get_workers()).notice == "deaths are frozen"


async def test_queues_are_listed_and_tasks_explained() -> None:
    """A task that has ended has nothing left to explain."""
    busy = QueueInfo(name="gpu-queue", waiting=3, running=4, slots=4, workers=1)
    begun, forever = asyncio.Event(), asyncio.Event()

    async def answer(run: Run) -> str:
        begun.set()
        await forever.wait()
        return ""

    async with FakeMesh(answer, queues=[busy]) as mesh, mesh.client() as client:
        assert await client.list_queues() == [busy]
        task = await client.create_task("p", model="m", queue="gpu-queue")
        await asyncio.wait_for(begun.wait(), 5)
        explanation = await client.explain(task.id)
        assert (explanation.worker_id, explanation.queue) == ("fake-1", "gpu-queue")
        await client.cancel_task(task.id)
        with pytest.raises(NotFound):
            await client.explain(task.id)


async def test_every_violation_arrives_with_its_field() -> None:
    """As the server found it."""
    steps = [
        Step(id="a", prompt=" ", model=""),
        Step(id="a", prompt="p", model="m", depends_on=["nobody"]),
    ]
    async with FakeMesh() as mesh, mesh.client() as client:
        with pytest.raises(InvalidInput) as caught:
            await client.create_plan("n", steps)
    assert [(violation.field, violation.reason) for violation in caught.value.violations] == [
        ("steps[0].prompt", "FIELD_REQUIRED"),
        ("steps[0].model", "FIELD_REQUIRED"),
        ("steps[1].id", "PLAN_DUPLICATE_ID"),
        ("steps[1].depends_on[0]", "PLAN_UNKNOWN_STEP"),
    ]


async def test_steps_that_wait_for_each_other_are_refused() -> None:
    steps = [
        Step(id="a", prompt="p", model="m", depends_on=["b"]),
        Step(id="b", prompt="p", model="m", depends_on=["a"]),
    ]
    async with FakeMesh() as mesh, mesh.client() as client:
        with pytest.raises(InvalidInput) as caught:
            await client.create_plan("n", steps)
    assert [violation.reason for violation in caught.value.violations] == ["PLAN_CYCLE"]


async def test_a_mistaken_mapping_never_leaves_the_client() -> None:
    """It is refused with the path that the caller wrote."""
    async with DevTeamClient("http://127.0.0.1:1") as client:
        with pytest.raises(InvalidInput) as caught:
            await client.create_plan("n", [{"id": "a", "prompt": "p", "model": "m", "dependOn": []}])
    assert caught.value.message == "steps[0].dependOn: is not a key here; did you mean dependsOn?"


async def test_unknown_ids_are_not_found() -> None:
    """Whatever is asked about them."""
    async with FakeMesh() as mesh, mesh.client() as client:
        for call in (client.get_task, client.get_plan, client.wait, client.get_worker, client.cancel_plan):
            with pytest.raises(NotFound):
                await call("nobody")
        with pytest.raises(NotFound):
            await spoken(client, "nobody")


async def test_watching_past_the_end_is_out_of_range() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("one two", model="m")
        await client.wait(task.id)
        with pytest.raises(OutOfRange) as caught:
            await anext(client.watch_task(task.id, attempt=1, after_seq=3))
    assert caught.value.reason == "SEQ_OUT_OF_RANGE"


async def test_a_watch_can_go_on_after_a_given_token() -> None:
    """As another process may do."""
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("one two three", model="m")
        await client.wait(task.id)
        tokens = [
            event async for event in client.watch_task(task.id, attempt=1, after_seq=1) if isinstance(event, Tokens)
        ]
    assert [(event.first_seq, event.text) for event in tokens] == [(2, "two "), (3, "three")]


async def test_a_mesh_that_is_not_there_is_unavailable() -> None:
    """In words that name it."""
    async with DevTeamClient("http://127.0.0.1:1", timeout=1.0) as client:
        with pytest.raises(Unavailable) as caught:
            await client.get_workers()
        assert caught.value.message == "cannot reach http://127.0.0.1:1: Connection refused"
        assert caught.value.reason == "UNREACHABLE"
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable):
                await client.wait("t")


def test_the_url_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is given."""
    monkeypatch.delenv("DEVTEAM_API_URL", raising=False)
    assert DevTeamClient().api_url == "http://127.0.0.1:7400"
    monkeypatch.setenv("DEVTEAM_API_URL", "https://devteam.example")
    assert DevTeamClient().api_url == "https://devteam.example"
    assert DevTeamClient("http://other.example:80").api_url == "http://other.example:80"


async def test_a_url_without_a_host_is_refused() -> None:
    async with DevTeamClient("http://") as client:
        with pytest.raises(InvalidInput, match="http://host:port"):
            await client.get_workers()


async def test_a_cancel_leaves_a_trail() -> None:
    async def answer(run: Run) -> AsyncIterator[str]:
        yield "one"
        await asyncio.Event().wait()

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        async for event in client.watch_task(task.id):
            if isinstance(event, Tokens):
                await client.cancel_task(task.id)
        trail = (await client.get_task(task.id)).cancel_trail
    assert trail is not None
    assert trail.requested_at == trail.stopped_at
    assert trail.model_closed_after == timedelta()


@pytest.mark.parametrize("kind", ["task", "plan"])
async def test_whoever_asked_for_it_cancels_by_leaving(kind: str) -> None:
    """The watch is broken off in the middle of an answer."""

    async def answer(run: Run) -> AsyncIterator[str]:
        yield "one"
        await asyncio.Event().wait()

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        if kind == "task":
            watched_id = (await client.create_task("p", model="m")).id
            watch = client.watch_task(watched_id, cancel_on_disconnect=True)
        else:
            watched_id = (await client.create_plan("p", [{"id": "a", "prompt": "p", "model": "m"}])).id
            watch = client.watch_plan(watched_id, cancel_on_disconnect=True)
        async for event in watch:
            if isinstance(event, Tokens):
                break
        await watch.aclose()
        async with asyncio.timeout(20):
            done = await client.wait(watched_id)
    assert done.state.value == "cancelled"


async def test_leaving_cancels_nothing_otherwise() -> None:
    said = asyncio.Event()

    async def answer(run: Run) -> AsyncIterator[str]:
        yield "one"
        await said.wait()

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        watch = client.watch_task(task.id)
        async for event in watch:
            if isinstance(event, Tokens):
                break
        await watch.aclose()
        said.set()
        assert (await client.wait(task.id)).state is TaskState.SUCCEEDED

"""`devteam task`: what it writes where, and its exit codes."""

import json
from collections.abc import AsyncIterator

from devteam import Requirements
from devteam.testing import FakeMesh, Run, WorkerLost
from tests.rpc.cli.command import ran


async def test_an_answer_goes_to_stdout_and_nothing_else_does() -> None:
    """How it went is on stderr; neither has colours off a terminal."""
    async with FakeMesh(lambda run: f"{run.model} says: {run.prompt}\x1b[31m!") as mesh:
        done = await ran(mesh, "task", "run", "--model", "haiku", "--queue", "cpu-queue", "good morning")
    assert (done.code, done.out) == (0, "haiku says: good morning!\n")
    assert done.err.startswith("succeeded · worker fake-1 · haiku · 2 tokens in, 4 out")
    assert "\x1b" not in done.err


async def test_a_lost_workers_words_stay_out_of_the_answer() -> None:
    """The new attempt is told on stderr."""

    async def answer(run: Run) -> AsyncIterator[str]:
        yield f"attempt {run.attempt} "
        if run.attempt == 1:
            raise WorkerLost
        yield "wins"

    async with FakeMesh(answer) as mesh:
        done = await ran(mesh, "task", "run", "-m", "haiku", "p")
    assert (done.code, done.out) == (0, "attempt 2 wins\n")
    assert done.err.startswith("attempt 2: worker fake-1 was lost; the answer starts again\n")


async def test_a_failed_task_is_exit_code_1() -> None:
    """In every output format."""

    def answer(run: Run) -> str:
        raise ValueError("cannot count")

    async with FakeMesh(answer) as mesh:
        for form in ("table", "json", "jsonl"):
            done = await ran(mesh, "task", "run", "-m", "haiku", "p", "-o", form)
            assert done.code == 1
            assert "error: the task failed: handler: cannot count\n" in done.err


async def test_json_is_one_object_with_the_output() -> None:
    """The options may stand before the command's name too."""
    async with FakeMesh() as mesh:
        done = await ran(mesh, "-o", "json", "task", "run", "-m", "haiku", "good morning")
    task = json.loads(done.out)
    assert (task["state"], task["output"], task["spec"]["model"]) == ("succeeded", "good morning", "haiku")
    assert done.err == ""


async def test_jsonl_is_a_line_for_each_event() -> None:
    async with FakeMesh() as mesh:
        done = await ran(mesh, "task", "run", "-m", "haiku", "good morning", "-o", "jsonl")
    events = [json.loads(line) for line in done.out.splitlines()]
    text = "".join(token["text"] for event in events for token in event.get("tokens", []))
    assert text == "good morning"
    assert (events[-1]["event"], events[-1]["task"]["state"]) == ("task_changed", "succeeded")


async def test_every_option_reaches_the_mesh() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        done = await ran(
            mesh, "task", "create", "-m", "ollama:phi", "-", "--system", "be brief", "--tool", "web", "--tool", "calc",
            "--priority", "1", "--strategy", "locality", "--near", "papers", "--label", "rack=3", "--gpu",
            "--gpu-model", "5080", "--min-ram-gb", "16", "--min-cpu-cores", "4", "--data-source", "papers",
            "--option", "num_ctx=8192", "--max-tokens", "100", "--effort", "low", "--max-attempts", "2",
            "--timeout", "15m", stdin="from stdin",
        )  # fmt: skip
        spec = (await client.get_task(done.out.strip())).spec
    assert done.code == 0
    assert (spec.prompt, spec.model, spec.system_prompt, spec.tools) == (
        "from stdin",
        "ollama:phi",
        "be brief",
        ("web", "calc"),
    )
    placement, generation, policy = spec.placement, spec.generation, spec.policy
    assert (placement.strategy, placement.priority, placement.near_data_source) == ("locality", 1, "papers")
    assert placement.requirements == Requirements(
        gpu=True, gpu_model="5080", min_ram_gb=16, min_cpu_cores=4, labels={"rack": "3"}, data_sources=("papers",)
    )
    assert (generation.max_tokens, generation.effort, generation.options) == (100, "low", {"num_ctx": 8192})
    assert policy.run_timeout is not None
    assert (policy.max_attempts, policy.run_timeout.total_seconds()) == (2, 900)


async def test_near_data_means_locality() -> None:
    """Since nothing else would look at it."""
    task = ("task", "create", "-m", "haiku", "hello", "--near", "papers")
    async with FakeMesh() as mesh, mesh.client() as client:
        placement = (await client.get_task((await ran(mesh, *task)).out.strip())).spec.placement
        refused = await ran(mesh, *task, "--strategy", "round-robin")
    assert (placement.strategy, placement.near_data_source) == ("locality", "papers")
    assert refused.code == 2
    assert "--near" in refused.err


async def test_a_detached_task_can_be_watched_later() -> None:
    """Its id is all that is printed, and the same request id gives the same task."""
    async with FakeMesh() as mesh:
        created = await ran(mesh, "task", "run", "-m", "haiku", "good morning", "--detach", "--request-id", "x1")
        again = await ran(mesh, "task", "create", "-m", "haiku", "good morning", "--request-id", "x1")
        assert created == again
        watched = await ran(mesh, "task", "watch", created.out.strip())
        shown = await ran(mesh, "task", "get", created.out.strip())
    assert (watched.code, watched.out) == (0, "good morning\n")
    assert shown.out.splitlines()[:2] == [f"id       {created.out.strip()}", "state    succeeded"]
    assert shown.out.endswith("\n\ngood morning\n")


async def test_tasks_are_listed() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("p", model="haiku")
        await client.wait(task.id)
        listed = await ran(mesh, "task", "list", "--state", "succeeded")
        empty = await ran(mesh, "task", "list", "--state", "failed")
    assert listed.out.splitlines()[1].split()[:4] == [task.id, "succeeded", "haiku", "default"]
    assert (empty.out, empty.err) == ("", "no tasks\n")

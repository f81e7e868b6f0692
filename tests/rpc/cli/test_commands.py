"""The `devteam` command: what it writes where, and its exit codes. Run in a thread beside the mesh's event loop."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from devteam_cli.main import app
from typer.testing import CliRunner

from devteam import Availability, QueueInfo, WorkerInfo, WorkerStatus
from devteam.testing import FakeMesh, Run, WorkerLost

PLAN = """\
name: research
input: {topic: tides}
steps:
  - {id: researcher, prompt: 'about {{input.topic}}', model: sonnet}
  - {id: analyst, prompt: 'weigh {{researcher.output}}', model: opus, dependsOn: [researcher]}
"""
WORKERS = (
    WorkerInfo(
        id="asus", queues=("gpu-queue", "default"), models=("opus", "ollama:*"), gpu=True, gpu_model="RTX 5080",
        active_tasks=3, concurrency=4,
    ),
    WorkerInfo(id="laptop", status=WorkerStatus.UNHEALTHY, status_reason="no beat for 71 s", queues=("cpu-queue",)),
)  # fmt: skip


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


async def ran(mesh: FakeMesh | None, *arguments: str, stdin: str = "") -> Done:
    """A command that has ended by itself; without a mesh, there is nobody where it looks."""
    environment = {"DEVTEAM_API_URL": mesh.url if mesh else "http://127.0.0.1:1", "COLUMNS": "60"}
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments, input=stdin, env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return Done(result.exit_code, result.stdout, result.stderr)


class Stuck:
    """Says one word and then nothing until the mesh goes."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def answer(self, run: Run) -> AsyncIterator[str]:
        yield "well "
        self.begun.set()
        await asyncio.Event().wait()


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
    assert (placement.requirements.gpu, placement.requirements.labels) == (True, {"rack": "3"})
    assert (generation.max_tokens, generation.effort, generation.options) == (100, "low", {"num_ctx": 8192})
    assert policy.run_timeout is not None
    assert (policy.max_attempts, policy.run_timeout.total_seconds()) == (2, 900)


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


async def test_a_plan_prints_what_its_last_steps_say(tmp_path: Path) -> None:
    """How it went is on stderr; the command line's input wins over the file's."""
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    async with FakeMesh() as mesh:
        done = await ran(mesh, "plan", "run", str(file), "--input", "topic=stars")
    assert (done.code, done.out) == (0, "weigh about stars\n")
    *_, told, summed_up = done.err.splitlines()
    assert told.startswith("research (plan-")
    assert told.endswith("): succeeded")
    assert " succeeded · 2 of 2 steps" in summed_up
    assert "\x1b" not in done.err


async def test_several_last_steps_are_told_apart(tmp_path: Path) -> None:
    """By a line above each; in JSON by their names."""
    file = tmp_path / "plan.yaml"
    file.write_text(
        PLAN + "  - {id: critic, prompt: 'doubt {{researcher.output}}', model: opus, dependsOn: [researcher]}\n"
    )
    async with FakeMesh() as mesh:
        text = await ran(mesh, "plan", "run", str(file))
        document = await ran(mesh, "plan", "run", str(file), "-o", "json")
    assert text.out == "--- analyst ---\nweigh about tides\n--- critic ---\ndoubt about tides\n"
    plan = json.loads(document.out)
    assert plan["outputs"] == {"analyst": "weigh about tides", "critic": "doubt about tides"}
    assert [task["state"] for task in plan["tasks"]] == ["succeeded"] * 3


async def test_a_failed_plan_says_which_step_failed(tmp_path: Path) -> None:
    def answer(run: Run) -> str:
        raise ValueError("cannot count")

    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"name": "n", "steps": [{"id": "a", "prompt": "p", "model": "m"}]}))
    async with FakeMesh(answer) as mesh:
        done = await ran(mesh, "plan", "run", str(file))
    assert (done.code, done.out) == (1, "")
    assert "error: step a failed: handler: cannot count\n" in done.err


async def test_plans_are_created_listed_shown_watched_and_cancelled(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    async with FakeMesh(Stuck().answer) as mesh:
        created = await ran(mesh, "plan", "create", str(file))
        plan_id = created.out.strip()
        shown = await ran(mesh, "plan", "get", plan_id)
        cancelled = await ran(mesh, "plan", "cancel", plan_id)
        watched = await ran(mesh, "plan", "watch", plan_id, "-o", "jsonl")
        listed = await ran(mesh, "plan", "list", "--state", "cancelled", "-o", "json")
    assert [line.split()[0] for line in shown.out.splitlines() if line] == [
        "ID",
        plan_id,
        "STEP",
        "researcher",
        "analyst",
    ]
    assert cancelled.err == f"{plan_id} is cancelled\n"
    assert watched.code == 5
    assert json.loads(watched.out.splitlines()[-1])["plan"]["state"] == "cancelled"
    assert [plan["id"] for plan in json.loads(listed.out)] == [plan_id]


async def test_mistakes_in_a_plan_file_are_exit_code_2(tmp_path: Path) -> None:
    """All of them, without asking any mesh."""
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN.replace("dependsOn", "dependOn").replace("model: sonnet", "mode: sonnet"))
    done = await ran(None, "plan", "run", str(file))
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "error: 3 things are wrong",
        "  steps[0].model: must be given",
        "  steps[0].mode: is not a key here; did you mean model?",
        "  steps[1].dependOn: is not a key here; did you mean dependsOn?",
    ]


async def test_what_the_mesh_refuses_is_exit_code_2(tmp_path: Path) -> None:
    """With the field as the mesh names it."""
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN.replace("[researcher]", "[resercher]"))
    async with FakeMesh() as mesh:
        done = await ran(mesh, "plan", "run", str(file))
    assert done.code == 2
    assert done.err == "error: steps[1].depends_on[0]: there is no step 'resercher'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("task", "run", "p"), "Missing option '--model'"),
        (("task", "run", "-m", "x", "p", "--label", "rack"), "'rack' is not of the form KEY=VALUE"),
        (("task", "run", "-m", "x", "p", "--timeout", "soon"), "write 90s, 15m, 2h or 1d"),
        (("task", "run", "-m", "x", "p", "--strategy", "best"), "Invalid value for '--strategy'"),
        (("task", "run", "-m", "x", " "), "the prompt is empty"),
        (("frobnicate",), "No such command 'frobnicate'"),
        (("--api-url", "http://", "workers"), "'http://' is not of the form http://host:port"),
    ],
)
async def test_a_wrong_command_line_is_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    done = await ran(None, *arguments)
    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("task", "get", "nobody"), "`devteam task list`"),
        (("plan", "watch", "nobody"), "`devteam plan list`"),
        (("worker", "cordon", "nobody"), "`devteam workers`"),
    ],
)
async def test_an_unknown_id_is_exit_code_3(arguments: tuple[str, ...], hint: str) -> None:
    """With where to look."""
    async with FakeMesh() as mesh:
        done = await ran(mesh, *arguments)
    assert done.code == 3
    assert done.err == f"error: no {arguments[0]} named 'nobody'; {hint} shows what there is\n"


@pytest.mark.parametrize("arguments", [("workers",), ("task", "run", "-m", "x", "p"), ("task", "watch", "t")])
async def test_an_unreachable_mesh_is_exit_code_4(arguments: tuple[str, ...]) -> None:
    """Soon, and with what to do."""
    async with asyncio.timeout(15):
        done = await ran(None, *arguments)
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: cannot reach http://127.0.0.1:1: Connection refused; is the mesh running? "
        "Start one with `devteam up`, or name another with --api-url\n"
    )


async def test_workers_are_shown_as_a_table() -> None:
    """As wide as need be off a terminal, with the reason of an ill one."""
    async with FakeMesh(workers=WORKERS) as mesh:
        table = await ran(mesh, "workers")
        some = await ran(mesh, "workers", "--queue", "cpu-queue", "-o", "jsonl")
        one = await ran(mesh, "worker", "get", "asus")
    assert [" ".join(line.split()) for line in table.out.splitlines()] == [
        "ID STATUS ACTIVE/CAP QUEUES MODELS GPU LAST BEAT UPTIME NEXT WHY",
        "asus healthy 3/4 gpu-queue, default opus, ollama:* RTX 5080 - 0.0 s",
        "laptop unhealthy 0/1 cpu-queue all - - 0.0 s no beat for 71 s",
    ]
    assert json.loads(some.out)["id"] == "laptop"
    assert "gpu-queue, default" in one.out


async def test_operators_tell_workers_what_they_want() -> None:
    """And hear what has become of it."""
    async with FakeMesh(workers=WORKERS) as mesh:
        assert (await ran(mesh, "worker", "cordon", "asus")).err == "asus is cordoned, with 3 running\n"
        assert (await ran(mesh, "worker", "uncordon", "asus")).err == "asus is healthy, with 3 running\n"
        drained = await ran(mesh, "worker", "drain", "asus", "-o", "json")
    assert json.loads(drained.out)["status"] == "draining"


async def test_a_notice_about_the_whole_fleet_is_no_data() -> None:
    """It stands beside it."""
    notice = "deaths are frozen: 6 of 10 workers fell silent together"
    async with FakeMesh(workers=WORKERS, notice=notice) as mesh:
        table = await ran(mesh, "workers")
        data = await ran(mesh, "workers", "-o", "json")
    assert (table.err, data.err) == (f"{notice}\n", f"{notice}\n")
    assert [worker["id"] for worker in json.loads(data.out)] == ["asus", "laptop"]


async def test_an_ill_worker_is_shown_with_what_comes_next_and_when() -> None:
    """And all of it is data."""
    due = datetime.now(UTC) + timedelta(hours=3)
    ill = WorkerInfo(
        id="asus", status=WorkerStatus.SUSPECT, status_reason="its stream to router-1 broke 3 s ago",
        next_status=WorkerStatus.UNHEALTHY, next_status_at=due, router_id="router-1",
    )  # fmt: skip
    lost = WorkerInfo(id="laptop", status=WorkerStatus.LOST, status_reason="no beat for 130 s", next_status_at=due)
    async with FakeMesh(workers=(ill, lost)) as mesh:
        table = await ran(mesh, "workers")
        one = await ran(mesh, "worker", "get", "laptop")
        data = json.loads((await ran(mesh, "workers", "-o", "json")).out)
    first, second = (" ".join(line.split()) for line in table.out.splitlines()[1:])
    assert first.endswith("unhealthy in 3.0 h its stream to router-1 broke 3 s ago")
    assert second.endswith("deregistered in 3.0 h no beat for 130 s")
    assert "deregistered at " in one.out
    assert (data[0]["status"], data[0]["next_status"], data[0]["router_id"]) == ("suspect", "unhealthy", "router-1")
    assert data[0]["next_status_at"].startswith(due.strftime("%Y-%m-%dT%H:%M:%S"))
    assert (data[0]["availability"], data[0]["drain_deadline_at"]) == ("open", None)


@pytest.mark.parametrize("command", [("drain",), ("worker", "drain")])
@pytest.mark.parametrize("deadline", ["3h", "10800"])
async def test_a_drain_may_be_given_a_deadline(command: tuple[str, ...], deadline: str) -> None:
    """What is left of it is told, and kept."""
    async with FakeMesh(workers=WORKERS) as mesh:
        drained = await ran(mesh, *command, "asus", "--deadline", deadline)
        table = await ran(mesh, "workers")
    assert (drained.code, drained.out, drained.err) == (0, "", "asus is draining, with 3 running, 3.0 h left\n")
    assert "hands back in 3.0 h" in table.out


async def test_a_drain_without_a_deadline_leaves_that_to_the_worker() -> None:
    async with FakeMesh(workers=WORKERS) as mesh:
        drained = await ran(mesh, "drain", "asus", "-o", "json")
        unknown = await ran(mesh, "drain", "nobody")
        wrong = await ran(mesh, "drain", "asus", "--deadline", "soon")
    assert json.loads(drained.out)["drain_deadline_at"] is None
    assert (unknown.code, wrong.code) == (3, 2)
    assert "'soon' is no length of time" in wrong.err


async def test_a_drain_that_is_waited_for_ends_when_the_worker_has_left() -> None:
    """Progress goes to stderr, data to stdout."""
    async with FakeMesh(workers=WORKERS) as mesh, mesh.client() as client:
        waiting = asyncio.create_task(ran(mesh, "drain", "asus", "--wait", "--deadline", "3h", "-o", "jsonl"))
        async with asyncio.timeout(30):
            while (await client.get_worker("asus")).availability is not Availability.DRAINING:
                pass
        mesh.remove_worker("asus")
        done = await waiting
    assert (done.code, json.loads(done.out)["id"]) == (0, "asus")
    assert done.err == "asus is draining, with 3 running, 3.0 h left\nasus has left\n"


async def test_a_drain_that_somebody_takes_back_is_not_waited_for() -> None:
    async with FakeMesh(workers=WORKERS) as mesh, mesh.client() as client:
        waiting = asyncio.create_task(ran(mesh, "drain", "asus", "--wait"))
        async with asyncio.timeout(30):
            while (await client.get_worker("asus")).availability is not Availability.DRAINING:
                pass
        await client.update_worker("asus", availability=Availability.CORDONED)
        done = await waiting
    assert done.code == 5
    assert done.err.endswith("asus no longer drains: it was told to be cordoned\n")


async def test_queues_are_shown_and_tasks_explained() -> None:
    stuck = Stuck()
    queues = [QueueInfo(name="gpu-queue", waiting=2, running=4, slots=4, workers=1)]
    async with FakeMesh(stuck.answer, queues=queues) as mesh, mesh.client() as client:
        shown = await ran(mesh, "queues")
        task = await client.create_task("p", model="m", queue="gpu-queue")
        await asyncio.wait_for(stuck.begun.wait(), 5)
        explained = await ran(mesh, "explain", task.id)
    assert shown.out.splitlines()[1].split() == ["gpu-queue", "2", "4", "4", "1", "-"]
    assert explained.out.splitlines()[0] == "runs on fake-1 (queue gpu-queue): the only worker of a fake mesh"


async def test_tasks_are_listed() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("p", model="haiku")
        await client.wait(task.id)
        listed = await ran(mesh, "task", "list", "--state", "succeeded")
        empty = await ran(mesh, "task", "list", "--state", "failed")
    assert listed.out.splitlines()[1].split()[:4] == [task.id, "succeeded", "haiku", "default"]
    assert (empty.out, empty.err) == ("", "no tasks\n")


def test_help_needs_no_grpc() -> None:
    """What makes the command quick to answer."""
    script = (
        "import sys, devteam_cli.main; print(sorted({'grpc', 'google.protobuf', 'ruamel.yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"

"""The metrics of a real mesh, before, while and after it works."""

import asyncio
import socket
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from devteam_cli.ports import free_port

from devteam.client import DevTeamClient
from devteam.events import TextToken, Tokens
from devteam.models import Plan, PlanState, Task, TaskState
from devteam.specs import Generation, Step
from tests.e2e.programs import PATIENCE, REPOSITORY, Mesh, Program, devteam, environment, up
from tests.e2e.services import service, variables
from tests.fakes.scrape import Scrape, scraped_from

pytestmark = pytest.mark.e2e

QUICK = Generation(options={"tokens": 20, "tokens_per_second": 200})


def metrics_of(mesh: Mesh) -> str:
    """Where it says that its metrics are."""
    return mesh.program.line(r"^Metrics: (http://\S+/metrics)$")[1]


def counts(scrape: Scrape) -> list[float | None]:
    """Tasks created and ended well, attempts that succeeded, runs that were placed, and those that said something."""
    return [
        scrape.value("devteam_tasks_created_total"),
        scrape.value("devteam_tasks_ended_total", state="succeeded"),
        scrape.value("devteam_attempts_total", outcome="succeeded"),
        scrape.total("devteam_dispatch_wait_seconds_count"),
        scrape.total("devteam_time_to_first_token_seconds_count"),
        scrape.total("devteam_time_per_output_token_seconds_count"),
    ]


async def test_what_a_mesh_counts_adds_up_to_what_it_did(tmp_path: Path) -> None:
    port = free_port()
    with up(tmp_path, "--metrics-port", str(port)) as mesh:
        url = metrics_of(mesh)
        assert url == f"http://127.0.0.1:{port}/metrics"
        before = await asyncio.to_thread(scraped_from, url)
        assert counts(before) == [0, 0, 0, 0, 0, 0]
        assert before.value("devteam_queue_depth", queue="default") == 0
        assert before.value("devteam_workers", state="healthy") == 1

        async with DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client:
            steps = [Step(id=name, prompt="Look", model="sim", generation=QUICK) for name in ("a", "b")]
            last = "Sum up {{a.output}}"
            steps.append(Step(id="c", prompt=last, model="sim", generation=QUICK, depends_on=("a", "b")))
            plan = await client.wait((await client.create_plan("three", steps)).id)
            assert isinstance(plan, Plan)
            assert plan.state is PlanState.SUCCEEDED
            tasks = [await client.get_task(task.id) for task in plan.tasks]

        after = await asyncio.to_thread(scraped_from, url)
        assert counts(after) == [3, 3, 3, 3, 3, 3]
        usages = [task.completion.usage for task in tasks if task.completion]
        assert after.total("devteam_tokens_total", kind="output") == sum(usage.output_tokens for usage in usages) == 60
        assert after.total("devteam_tokens_total", kind="input") == sum(usage.input_tokens for usage in usages) > 0
        created = "devteam.v1.PlannerService/CreatePlan"
        assert after.total("rpc_server_call_duration_seconds_count", rpc_method=created) == 1
        assert after.value("devteam_queue_demand_slots", queue="default") == 0
        mesh.stop()


async def test_slots_that_are_taken_are_demand_though_nothing_waits(tmp_path: Path) -> None:
    slow = Generation(options={"tokens": 100_000, "tokens_per_second": 20})
    with up(tmp_path) as mesh:
        url = metrics_of(mesh)
        async with DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client:
            task = await client.create_task("Go on", model="sim", generation=slow)
            async with aclosing(client.watch_task(task.id)) as events:
                async for event in events:
                    if isinstance(event, Tokens):
                        break
            scrape = await asyncio.to_thread(scraped_from, url)
            names = ("depth", "demand_slots", "slots_used", "slots_free", "workers")
            found = [scrape.value(f"devteam_queue_{name}", queue="default") for name in names]
            assert found == [0, 1, 1, 3, 1]
            await client.cancel_task(task.id)
            assert (await client.wait(task.id)).state is TaskState.CANCELLED
        assert (await asyncio.to_thread(scraped_from, url)).value("devteam_attempts_total", outcome="cancelled") == 1


async def test_what_a_task_took_before_it_was_cancelled_is_counted_and_shown(tmp_path: Path) -> None:
    """Of the turn that had ended, in which it called a tool; not of the one in which it was stopped."""
    slow = Generation(options={"tokens": 100_000, "tokens_per_second": 20})
    library = REPOSITORY / "examples" / "research-with-documents" / "worker.yaml"
    with up(tmp_path, "--no-worker") as mesh, mesh.worker("--config", str(library), "--provider", "sim"):
        async with DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client:
            task = await client.create_task(
                "Tides", model="sim", queue="research-queue", tools=("library.search",), generation=slow
            )
            async with aclosing(client.watch_task(task.id)) as events:
                async for event in events:
                    if isinstance(event, Tokens) and any(isinstance(token, TextToken) for token in event.tokens):
                        break
            await client.cancel_task(task.id)
            ended = await client.wait(task.id)
        scrape = await asyncio.to_thread(scraped_from, metrics_of(mesh))
        shown = mesh.run("task", "get", task.id).stdout
    assert isinstance(ended, Task)
    assert ended.state is TaskState.CANCELLED
    assert ended.usage is not None
    assert (ended.usage.input_tokens > 0, ended.usage.output_tokens) == (True, 1)
    assert scrape.total("devteam_tokens_total", kind="input") == ended.usage.input_tokens
    assert f"{ended.usage.input_tokens} tokens in, 1 out" in shown


def test_a_metrics_port_that_is_asked_for_and_taken_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        options = (
            "--data",
            str(tmp_path / "data"),
            "--port",
            "0",
            "--no-ui",
            "--no-worker",
            "--metrics-port",
            str(port),
        )
        refused = devteam("up", *options, env=environment())
    assert refused.returncode != 0
    assert f"cannot serve metrics on 127.0.0.1:{port}: the port is taken" in refused.stderr


def test_a_worker_tells_of_itself_where_it_is_asked_to(tmp_path: Path) -> None:
    port = free_port()
    with (
        up(tmp_path, "--no-worker", "--metrics-port", "0") as mesh,
        mesh.worker("--queue", "gpu", "--concurrency", "3", "--metrics-port", str(port)),
    ):
        options = ("--option", "tokens=20", "--option", "tokens_per_second=200")
        assert mesh.run("task", "run", "--queue", "gpu", "--model", "sim", *options, "Hello").returncode == 0
        scrape = scraped_from(f"http://127.0.0.1:{port}/metrics")
        assert (scrape.value("devteam_worker_slots"), scrape.value("devteam_worker_runs")) == (3, 0)
        assert scrape.total("gen_ai_client_operation_duration_seconds_count", gen_ai_provider_name="sim") == 1
        assert scrape.total("gen_ai_client_token_usage_sum", gen_ai_token_type="output") == 20
        assert scrape.value("devteam_queue_depth", queue="gpu") is None, "that is the Router's to tell"


async def test_services_that_nobody_has_come_to_yet_tell_of_nothing_with_zeros(tmp_path: Path) -> None:
    ports = {name: free_port() for name in ("registry", "router", "planner")}
    told = {name: str(port) for name, port in ports.items()}
    nowhere = "127.0.0.1:1"
    async with (
        service("registry", tmp_path, metrics_port=told["registry"]) as registry,
        service("router", tmp_path, registry_address=registry.url, metrics_port=told["router"]),
        service("planner", tmp_path, temporal_address=nowhere, metrics_port=told["planner"]),
    ):
        urls = {name: f"http://127.0.0.1:{port}/metrics" for name, port in ports.items()}
        of = {name: await asyncio.to_thread(scraped_from, url) for name, url in urls.items()}
    assert set(of["registry"].of("devteam_workers", "state").values()) == {0}
    for name in ("depth", "demand_slots", "oldest_wait_seconds", "slots_used", "slots_free", "workers"):
        assert of["router"].value(f"devteam_queue_{name}", queue="default") == 0
    assert counts(of["planner"])[:3] == [0, 0, 0]
    assert of["planner"].value("devteam_stream_lag_seconds") == 0
    assert of["planner"].value("devteam_queue_depth", queue="default") is None


def test_a_service_whose_metrics_port_is_taken_does_not_start(tmp_path: Path) -> None:
    log = tmp_path / "router.log"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        env = variables("router", free_port(), metrics_port=str(other.getsockname()[1]))
        with Program(sys.executable, "-m", "devteam_router", log=log, env=env) as router:
            assert router.wait() == 78
    assert "the port is taken; stop what uses it or choose another port" in log.read_text()

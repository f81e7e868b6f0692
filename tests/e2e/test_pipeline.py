"""The research pipeline over several workers, each a process of its own: placement, tokens, outputs and one trace."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pytest
import pytest_asyncio
from devteam_cli.plan_file import read_plan
from devteam_worker.providers.sim_text import whole_length, words
from opentelemetry.sdk.trace import TracerProvider

from devteam.client import DevTeamClient
from devteam.events import Event, Gap, Tokens
from devteam.models import Plan, PlanState, Task
from devteam.specs import Generation, Step
from devteam.traces import Span
from tests.e2e.programs import PATIENCE, REPOSITORY, up
from tests.fakes.stored_spans import all_stored_spans

pytestmark = pytest.mark.e2e

PIPELINE = REPOSITORY / "examples" / "research-pipeline.yaml"
WORKER_FILE = Path(__file__).with_name("worker.yaml")
STEPS = ("researcher", "analyst", "writer")


@dataclass(frozen=True, slots=True)
class Finished:
    """A pipeline that has run: what the watch told, what is stored, and the spans of the mesh that ran it."""

    plan: Plan
    tasks: dict[str, Task]
    events: list[Event]
    spans: list[Span]
    # The ids of the client's trace, and of its own span in it.
    trace_id: str
    client_span: str

    def named(self, name: str) -> list[Span]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def finished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Finished]:
    """The pipeline, run once. The mesh is stopped before its spans are read, so that none is on its way."""
    with up(tmp_path_factory.mktemp("pipeline")) as mesh:
        with (
            mesh.worker("--id", "researcher-1", "--queue", "research-queue", "--provider", "sim"),
            mesh.worker("--config", str(WORKER_FILE)),
        ):
            async with DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client:
                with TracerProvider().get_tracer("the user's program").start_as_current_span("submit") as span:
                    plan = await client.create_plan("research-pipeline", pipeline(), input={"topic": "bees"})
                events = [event async for event in client.watch_plan(plan.id)]
                plan = await client.get_plan(plan.id)
                tasks = {task.step_id: await client.get_task(task.id) for task in plan.tasks}
        mesh.stop()
        context = span.get_span_context()
        spans = all_stored_spans(mesh.traces)
        yield Finished(plan, tasks, events, spans, f"{context.trace_id:032x}", f"{context.span_id:016x}")


def pipeline() -> list[Step]:
    """The example's steps, told at twenty times the pace."""
    quick = Generation(options={"tokens_per_second": 1000})
    return [replace(step, generation=quick) for step in read_plan(str(PIPELINE)).steps]


def test_every_step_succeeds_in_one_attempt(finished: Finished) -> None:
    """In the order of the example."""
    assert finished.plan.state is PlanState.SUCCEEDED
    assert [(task.step_id, task.attempt) for task in finished.plan.tasks] == [(step, 1) for step in STEPS]


def test_each_step_runs_on_a_worker_of_its_queue(finished: Finished) -> None:
    """The mission's worker serves the default queue too, beside the mesh's own worker: either is right."""
    workers = {step: task.worker_id for step, task in finished.tasks.items()}
    assert workers["researcher"] == "researcher-1"
    assert workers["analyst"] == "worker-asus-gpu"
    assert workers["writer"] in {"local", "worker-asus-gpu"}


def test_the_streamed_text_is_the_output(finished: Finished) -> None:
    """Token by token, without a gap, for every step."""
    streamed: dict[str, str] = defaultdict(str)
    places: dict[str, int] = defaultdict(int)
    for event in finished.events:
        assert not isinstance(event, Gap)
        if isinstance(event, Tokens):
            assert event.first_seq == places[event.step_id] + 1
            places[event.step_id] = event.last_seq
            streamed[event.step_id] += event.text
    assert streamed == {step: task.output for step, task in finished.tasks.items()}


def test_a_prompt_holds_what_the_step_before_has_said(finished: Finished) -> None:
    """The simulated model's text follows from its prompt alone, so the outputs tell which prompts it was given."""
    found = finished.tasks["researcher"].output
    insights = finished.tasks["analyst"].output
    assert found == answer(finished, "researcher", "Research the topic: bees")
    assert insights == answer(finished, "analyst", f"Analyze research findings: {found}")
    assert finished.tasks["writer"].output == answer(
        finished, "writer", f"Write a report based on analysis: {insights}"
    )


def answer(finished: Finished, step: str, prompt: str) -> str:
    """What the simulated model says to `prompt` as this step."""
    system_prompt = finished.tasks[step].spec.system_prompt
    return "".join(islice(words(system_prompt, prompt, 0), whole_length(system_prompt, prompt, 0)))


def test_one_trace_holds_the_plan_from_the_client_to_the_models(finished: Finished) -> None:
    """Whatever was done for the plan, in whichever process, has the trace id of the client's span."""
    expected = {
        "devteam.v1.PlannerService/CreatePlan": 1,
        # Once more where Temporal took seconds to answer.
        "StartWorkflow:Plan": max(1, len(finished.named("StartWorkflow:Plan"))),
        "RunWorkflow:Plan": 1,
        "RunActivity:run_step": 3,
        **{f"attempt {step}": 1 for step in STEPS},
        "devteam.v1.RouterService/Dispatch": 3,
        "queue wait": 3,
        **{f"run {step}": 1 for step in STEPS},
        "chat sonnet": 2,
        "chat opus": 1,
    }
    found = [span for name in expected for span in finished.named(name)]
    assert Counter(span.name for span in found) == expected
    assert {span.trace_id for span in found} == {finished.trace_id}


def test_every_span_of_the_trace_hangs_on_another_one(finished: Finished) -> None:
    """Up to the client's own, which is the only root."""
    trace, root = [span for span in finished.spans if span.trace_id == finished.trace_id], finished.client_span
    known = ids(trace) | {root}
    assert [span.name for span in trace if span.parent_id not in known] == []
    assert [span.name for span in trace if span.parent_id == root] == ["devteam.v1.PlannerService/CreatePlan"]


def test_a_dispatch_hangs_on_its_attempt_a_run_on_its_dispatch_and_a_chat_on_its_run(finished: Finished) -> None:
    """The trace crosses from the Planner to the worker inside the messages of a stream that carries many runs."""
    attempts = ids(span for step in STEPS for span in finished.named(f"attempt {step}"))
    dispatches = finished.named("devteam.v1.RouterService/Dispatch")
    runs = [span for step in STEPS for span in finished.named(f"run {step}")]
    chats = finished.named("chat sonnet") + finished.named("chat opus")
    assert (parents(dispatches), parents(runs), parents(chats)) == (attempts, ids(dispatches), ids(runs))
    assert (services(dispatches), services(runs)) == ({"devteam"}, {"devteam-worker"})


def services(spans: Iterable[Span]) -> set[str]:
    """Who made them."""
    return {span.service for span in spans}


def ids(spans: Iterable[Span]) -> set[str]:
    """Their ids."""
    return {span.id for span in spans}


def parents(spans: Iterable[Span]) -> set[str]:
    """The ids of their parents."""
    return {span.parent_id for span in spans}

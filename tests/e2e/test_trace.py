"""One trace a plan: of three steps, one of which loses its worker, over real processes."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import ReadableSpan

from devteam.client import DevTeamClient
from devteam.events import Event, Tokens
from devteam.mesh import channel as client_side
from devteam.models import Plan, PlanState, Task, TaskState
from devteam.specs import Generation, Step
from tests.e2e.programs import GRACE, PATIENCE, Mesh, Program, up
from tests.fakes.spans import Spans, attributes, context_of
from tests.fakes.stored_spans import all_stored_spans

pytestmark = pytest.mark.e2e

# Words of prompts and inputs; what the model says is in nobody's hand.
CANARIES = ("zebra-4711", "okapi-4712", "quagga-4713")
QUICK = Generation(options={"tokens": 20, "tokens_per_second": 1000})
# Long enough for a busy machine to kill its worker meanwhile.
SLOW = Generation(options={"tokens": 160, "tokens_per_second": 20})
STEPS = (
    Step(id="gather", prompt="Tell of {{input.what}}", model="sim", generation=QUICK),
    Step(
        id="weigh",
        prompt="zebra-4711: {{gather.output}}",
        system_prompt="Be an okapi-4712",
        model="sim",
        queue="frail",
        generation=SLOW,
        depends_on=("gather",),
    ),
    Step(id="tell", prompt="Sum up: {{weigh.output}}", model="sim", generation=QUICK, depends_on=("weigh",)),
)
PLANNER, ROUTER = "devteam.v1.PlannerService", "devteam.v1.RouterService"
MESH, WORKER, CLIENT = "devteam", "devteam-worker", "client"


@dataclass(frozen=True, slots=True)
class Seen:
    """A span, as far as this test looks at it; `whole` is all that was exported of it."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    links: tuple[str, ...]
    attributes: dict[str, str]
    events: tuple[str, ...]
    whole: str


@dataclass(frozen=True, order=True, slots=True)
class Node:
    """A span of the tree; `says` is what sets it apart from others of its name."""

    name: str
    service: str
    says: str
    children: tuple["Node", ...] = ()


def read_spans(mesh: Mesh) -> list[Seen]:
    """All spans that the mesh and its workers have told."""
    return [
        Seen(
            span.trace_id,
            span.id,
            span.parent_id,
            span.name,
            span.service,
            tuple(link.span_id for link in span.links),
            dict(span.attributes),
            tuple(event.name for event in span.events),
            repr(span),
        )
        for span in all_stored_spans(mesh.traces)
    ]


@dataclass(frozen=True, slots=True)
class Story:
    """What happened: the plan with whole tasks, the worker that was killed, and every span, the client's included."""

    plan: Plan
    tasks: dict[str, Task]
    killed: str
    spans: list[Seen]

    @property
    def trace(self) -> list[Seen]:
        """The spans of the plan's own trace."""
        return [span for span in self.spans if span.trace_id == self.plan.trace_id]

    def one(self, name: str, **says: str) -> Seen:
        """The span of this name whose attributes, by the end of their names, are these."""
        (found,) = (
            span
            for span in self.trace
            if span.name == name
            and all(span.attributes.get(f"devteam.{key.replace('__', '.')}") == value for key, value in says.items())
        )
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Story]:
    """The plan, run once. The mesh is stopped before its spans are read, so that none is on its way."""
    with pytest.MonkeyPatch.context() as patch, up(tmp_path_factory.mktemp("trace"), **GRACE) as mesh:
        made_here = Spans(patch, client_side)
        with (
            mesh.worker("--id", "frail-1", "--queue", "frail", "--concurrency", "1") as first,
            mesh.worker("--id", "frail-2", "--queue", "frail", "--concurrency", "1") as second,
        ):
            async with DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client, asyncio.timeout(PATIENCE):
                created = await client.create_plan("traced", STEPS, input={"what": "quagga-4713"})
                killed = await first_killed(client, created, {"frail-1": first, "frail-2": second})
                ended = await client.wait(created.id)
                tasks = {task.step_id: await client.get_task(task.id) for task in created.tasks}
        mesh.stop()
        assert isinstance(ended, Plan)
        yield Story(ended, tasks, killed, [*read_spans(mesh), *map(by_the_client, made_here.all)])


async def first_killed(client: DevTeamClient, plan: Plan, programs: dict[str, Program]) -> str:
    """Kill the worker that speaks for the second step, while it speaks; returns its id."""
    async with aclosing(client.watch_plan(plan.id)) as events:
        task = await client.get_task(await speaking(events, "weigh"))
    programs[task.worker_id].kill()
    return task.worker_id


async def speaking(events: AsyncGenerator[Event, None], step_id: str) -> str:
    """The id of the step's task, once it has said something."""
    async for event in events:
        if isinstance(event, Tokens) and event.step_id == step_id:
            return event.task_id
    raise AssertionError("it ended without a word")


def by_the_client(span: ReadableSpan) -> Seen:
    """A span of this process."""
    context, parent = context_of(span), span.parent
    return Seen(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        f"{parent.span_id:016x}" if parent else "",
        span.name,
        CLIENT,
        tuple(f"{link.context.span_id:016x}" for link in span.links),
        {key: str(value) for key, value in attributes(span).items()},
        tuple(event.name for event in span.events),
        span.to_json(),
    )


def test_the_plan_succeeds_though_a_worker_was_lost(story: Story) -> None:
    assert story.plan.state is PlanState.SUCCEEDED
    assert {step: (task.state, task.attempt) for step, task in story.tasks.items()} == {
        "gather": (TaskState.SUCCEEDED, 1),
        "weigh": (TaskState.SUCCEEDED, 2),
        "tell": (TaskState.SUCCEEDED, 1),
    }
    assert {task.trace_id for task in story.tasks.values()} == {story.plan.trace_id}


def test_the_trace_is_exactly_this_tree(story: Story) -> None:
    """The killed worker's run and its chat ended with its process: nobody exports them, and nothing hangs on them."""
    survivor = {"frail-1": "frail-2", "frail-2": "frail-1"}[story.killed]
    workflow = node(
        "StartWorkflow:Plan",
        node("RunWorkflow:Plan"),
        step("gather", 1, "local"),
        step("weigh", 1, story.killed, lost=True),
        step("weigh", 2, survivor),
        step("tell", 1, "local"),
        node("StartActivity:close_plan", node("RunActivity:close_plan")),
        node("CompleteWorkflow:Plan"),
    )
    created = f"{PLANNER}/CreatePlan"
    assert tree(story.trace) == [node(created, node(created, workflow), service=CLIENT)]


def step(step_id: str, attempt: int, worker: str, *, lost: bool = False) -> Node:
    """One attempt of one step, from the workflow's wish to the model's word."""
    chat = node("chat sim", service=WORKER, says=str(attempt))
    run = node(f"run {step_id}", chat, service=WORKER, says=f"{attempt} completed")
    wait = node("queue wait", says=f"{attempt} {worker}")
    dispatch = node(f"{ROUTER}/Dispatch", *([wait] if lost else [wait, run]))
    said = f"{attempt} {worker} {'requeued' if lost else 'succeeded'}"
    driven = node(f"attempt {step_id}", dispatch, says=said)
    return node("StartActivity:run_step", node("RunActivity:run_step", driven))


def node(name: str, *children: Node, service: str = MESH, says: str = "") -> Node:
    return Node(name, service, says, tuple(sorted(children)))


def tree(trace: Sequence[Seen]) -> list[Node]:
    """The spans as a tree; a parent that is not there makes a root."""
    known = {span.span_id for span in trace}
    return [_node(span, trace) for span in trace if span.parent_id not in known]


def _node(span: Seen, trace: Sequence[Seen]) -> Node:
    children = [_node(child, trace) for child in trace if child.parent_id == span.span_id]
    return node(span.name, *_without_retries(children), service=span.service, says=_says(span))


def _says(span: Seen) -> str:
    told = (span.attributes.get(f"devteam.{name}") for name in ("task.attempt", "worker.id", "outcome"))
    return " ".join(str(value) for value in told if value is not None)


def _without_retries(nodes: Iterable[Node]) -> list[Node]:
    """Where Temporal took seconds to answer, the plan's start was tried once more: it began nothing twice."""
    return sorted(nodes)[-1:] if {node.name for node in nodes} == {"StartWorkflow:Plan"} else list(nodes)


def test_the_second_attempt_links_to_the_first_and_says_why_there_is_one(story: Story) -> None:
    first = story.one("attempt weigh", task__attempt="1")
    second = story.one("attempt weigh", task__attempt="2")
    assert second.links == (first.span_id,)
    assert second.attributes["devteam.attempt.reason"] == f"worker {story.killed} was lost"
    assert first.attributes["error.type"] == "worker_lost"
    assert Counter(span.name for span in story.trace if span.links) == {"attempt weigh": 1}


def test_each_wait_holds_the_decision_that_ended_it(story: Story) -> None:
    wait = story.one("queue wait", task__id=story.tasks["weigh"].id, task__attempt="2")
    task = story.tasks["weigh"]
    assert wait.attributes["devteam.placement.reason"] == task.placement_reason
    assert (wait.attributes["devteam.queue"], wait.attributes["devteam.worker.id"]) == ("frail", task.worker_id)


def test_a_chat_tells_its_model_and_usage_and_when_it_began_to_speak(story: Story) -> None:
    chats = [span for span in story.trace if span.name == "chat sim"]
    assert sorted(int(span.attributes["gen_ai.usage.output_tokens"]) for span in chats) == [20, 20, 160]
    for chat in chats:
        assert chat.events == ("first_token",)
        assert float(chat.attributes["gen_ai.response.time_to_first_chunk"]) >= 0


def test_streams_beats_and_health_made_no_spans(story: Story) -> None:
    """In any trace: what else there is are workers that came, and this test's own reads."""
    calls = {span.name for span in story.spans if span.name.startswith("devteam.v1.") or "/" in span.name}
    allowed = {"RegistryService/RegisterWorker", "RegistryService/DeregisterWorker", "PlannerService/GetTask"}
    own = {f"{PLANNER}/CreatePlan", f"{PLANNER}/GetPlan", f"{ROUTER}/Dispatch"}
    assert calls - own - {f"devteam.v1.{call}" for call in allowed} == set()


def test_no_span_holds_a_word_of_prompts_or_answers(story: Story) -> None:
    everything = "".join(span.whole for span in story.spans)
    answers = [" ".join(task.output.split()[-5:]) for task in story.tasks.values()]
    assert len(set(answers)) == len(answers)
    assert [word for word in (*CANARIES, *answers) if word in everything] == []


async def test_a_mesh_that_was_killed_goes_on_in_the_same_trace(tmp_path: Path) -> None:
    """The name of the dead driver's span is stored: who takes its attempt up and the next attempt both link to it."""
    with up(tmp_path, **GRACE) as mesh:
        async with DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client, asyncio.timeout(PATIENCE):
            task = await client.create_task("Go on", model="sim", generation=SLOW)
            async with aclosing(client.watch_task(task.id)) as events:
                await speaking(events, "task")
        mesh.program.kill()
    with up(tmp_path, **GRACE) as mesh:
        async with DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client, asyncio.timeout(PATIENCE):
            ended = await client.wait(task.id)
        mesh.stop()
        spans = [span for span in read_spans(mesh) if span.name == "attempt task"]
    assert isinstance(ended, Task)
    assert (ended.state, ended.attempt) == (TaskState.SUCCEEDED, 2)
    taken_up, again = sorted(spans, key=lambda span: span.attributes["devteam.task.attempt"])
    assert {taken_up.trace_id, again.trace_id} == {task.trace_id}
    assert taken_up.events[0] == "resumed"
    assert len(taken_up.links) == 1
    assert taken_up.links == again.links
    assert taken_up.links[0] not in {span.span_id for span in spans}


async def test_an_unsampled_mesh_works_and_names_its_traces(tmp_path: Path) -> None:
    with up(tmp_path, OTEL_TRACES_SAMPLER="always_off") as mesh:
        async with DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client, asyncio.timeout(PATIENCE):
            task = await client.create_task("Say hello", model="sim", generation=QUICK)
            ended = await client.wait(task.id)
        mesh.stop()
        assert isinstance(ended, Task)
        assert (ended.state, len(ended.trace_id)) == (TaskState.SUCCEEDED, 32)
        assert not mesh.traces.exists() or read_spans(mesh) == []

"""What was asked and answered, and every key, is found nowhere: encrypted, not even in the Planner's database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from devteam_cli.ports import free_port
from devteam_cli.temporal_server import temporal_dev_server
from devteam_planner.encryption_keys import new_line
from temporalio.client import Client

from devteam.client import DevTeamClient
from devteam.errors import DevTeamError
from devteam.events import Token, Tokens, ToolCall
from devteam.mesh.access.key import mint
from devteam.models import PlanState, TaskState
from devteam.specs import RunPolicy, Step
from tests.e2e.programs import GRACE, PATIENCE, Mesh, devteam, environment, up
from tests.e2e.test_secrets import scraped_text
from tests.fakes import anthropic_server as wire
from tests.fakes.anthropic_server import AnthropicServer
from tests.fakes.http_server import Reply

pytestmark = pytest.mark.e2e

API_KEY = mint("c").secret
PROVIDER_KEY = "sk-ant-canary-deadbeef-4712"
PROMPT, SYSTEM, INPUT = "canary-prompt-0815", "canary-system-0816", "canary-input-0817"
THOUGHT, OUTPUT, ARGUMENT, FOUND = "canary-thought-0818", "canary-output-0819", "canary-query-0820", "canary-found-0821"
CANARIES = (API_KEY, PROVIDER_KEY, PROMPT, SYSTEM, INPUT, THOUGHT, OUTPUT, ARGUMENT, FOUND)
# Not hidden: what it is called, so that what is looked for would be found.
NAME = "step-with-canaries"

WORKER = """
worker:
  id: keeper
  queues:
    - name: claude
      models: [opus]
  dataSources:
    - name: library
      path: library
"""


@dataclass
class Scene:
    """A mesh with a Temporal beside it, and all that was heard of them."""

    mesh: Mesh
    client: DevTeamClient
    temporal: Client
    told: list[str]

    def files(self) -> Iterator[Path]:
        """Databases and their journals, Temporal's too, spans and logs; not a tool's documents and their index."""
        for folder in (self.mesh.data, self.mesh.logs):
            yield from (path for path in folder.rglob("*") if path.is_file() and "documents" not in str(path))

    async def histories(self) -> bytes:
        """Every event of every workflow, as Temporal sends it."""
        found = b""
        async for workflow in self.temporal.list_workflows():
            handle = self.temporal.get_workflow_handle(workflow.id, run_id=workflow.run_id)
            for event in (await handle.fetch_history()).events:
                found += event.SerializeToString()
        return found

    async def refused(self, spec: dict[str, str]) -> None:
        """A call that fails, and what it says."""
        with pytest.raises(DevTeamError) as error:
            await self.client.create_task(f"{PROMPT} {OUTPUT}", **spec)  # type: ignore[arg-type]  # plain text, all of it
        self.told += [repr(error.value), str(error.value.metadata), error.value.message]

    def complained(self, *command: str) -> None:
        """A command that fails, and what it says."""
        done = devteam(*command, env=environment(DEVTEAM_API_URL=self.mesh.url, DEVTEAM_API_KEY=API_KEY))
        assert done.returncode != 0
        assert done.stderr
        self.told.append(done.stderr)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    keys, beside = tmp_path / "keys", tmp_path / "beside"
    beside.mkdir()
    keys.write_text(new_line(datetime.now(UTC)))
    keys.chmod(0o600)
    async with AsyncExitStack() as stack:
        port = free_port()
        server = temporal_dev_server(beside, port=port, ui_port=None, log=beside / "temporal.log")
        temporal = await stack.enter_async_context(server)
        told = {
            "DEVTEAM_PLANNER_ENCRYPTION_KEYS_FILE": str(keys),
            "DEVTEAM_TEMPORAL_ADDRESS": temporal.address,
            **GRACE,
        }
        mesh = stack.enter_context(up(tmp_path, "--no-worker", "--log-level", "DEBUG", **told))
        client = await stack.enter_async_context(DevTeamClient(mesh.url, api_key=API_KEY, timeout=PATIENCE))
        yield Scene(mesh, client, await Client.connect(temporal.address), [])


def answers() -> list[Reply]:
    """A tool that is called, an answer, and then failures that quote all that the provider was told."""
    quoted = f"{PROVIDER_KEY} {PROMPT} {SYSTEM} {INPUT} {OUTPUT}"
    arguments = f'{{"query": "{ARGUMENT}"}}'
    calls = (*wire.thinking(0, THOUGHT), *wire.tool_use(1, "toolu_1", "library__search", arguments))
    return [
        wire.stream(wire.START, *calls, *wire.end("tool_use")),
        wire.stream(wire.START, *wire.text(0, OUTPUT), *wire.end()),
        wire.stream(wire.START, *wire.text(0, f"Half of {OUTPUT}"), wire.error("api_error", f"broke for {quoted}")),
        wire.stream(wire.START, *wire.text(0, OUTPUT), *wire.end()),
        wire.refusal(400, "invalid_request_error", f"will not answer {quoted}"),
    ]


def steps() -> list[Step]:
    told = {"model": "opus", "queue": "claude", "system_prompt": SYSTEM}
    again = RunPolicy(max_attempts=4)
    return [
        Step(id=NAME, prompt=f"{PROMPT} {{{{input.topic}}}}", tools=("library",), **told),  # type: ignore[arg-type]  # plain text
        Step(id="again", prompt=f"{{{{{NAME}.output}}}} {PROMPT}", depends_on=(NAME,), policy=again, **told),  # type: ignore[arg-type]  # as above
        Step(id="refused", prompt=f"{{{{again.output}}}} {PROMPT}", depends_on=("again",), **told),  # type: ignore[arg-type]  # as above
    ]


async def ran(scene: Scene) -> None:
    """A plan with a tool, retries and a failure, as far as it can get; its words come back to who asked for them."""
    plan = await scene.client.create_plan("canaries", steps(), input={"topic": INPUT})
    tokens = list[Token]()
    async for event in scene.client.watch_plan(plan.id):
        if isinstance(event, Tokens):
            tokens += event.tokens
    plan = await scene.client.get_plan(plan.id)
    assert plan.state is PlanState.FAILED
    asked, again, refused = [await scene.client.get_task(task.id) for task in plan.tasks]
    assert (asked.output, asked.spec.system_prompt, again.attempt) == (OUTPUT, SYSTEM, 2)
    assert refused.state is TaskState.FAILED
    scene.told.append(repr(refused.failure))
    assert any(isinstance(token, ToolCall) and ARGUMENT in token.arguments for token in tokens)


async def test_what_was_asked_and_answered_is_kept_nowhere_in_plain_words(scene: Scene, tmp_path: Path) -> None:
    library = tmp_path / "documents"
    (library / "library").mkdir(parents=True)
    (library / "library" / "page.md").write_text(f"{ARGUMENT} is about {FOUND}\n")
    (library / "worker.yaml").write_text(WORKER)
    async with AnthropicServer() as provider:
        provider.know({"id": "claude-opus-5-5", "line": "opus"})
        provider.answer(*answers())
        env = {
            "ANTHROPIC_API_KEY": PROVIDER_KEY,
            "ANTHROPIC_BASE_URL": provider.url,
            "DEVTEAM_LOG_LEVEL": "DEBUG",
            "DEVTEAM_API_KEY": API_KEY,
        }
        with scene.mesh.worker("--config", str(library / "worker.yaml"), **env):
            await ran(scene)
            assert any(FOUND in str(request.body) for request in provider.requests), "the tool found it"
            scene.told.append(scraped_text(scene.mesh.program.line(r"^Metrics: (http://\S+/metrics)$")[1]))
            scene.told.append(repr(await scene.client.get_workers()))
    for spec in (
        {"model": ""},
        {"model": "opus", "queue": "no such queue!"},
        {"model": "opus", "system_prompt": SYSTEM * 99_999},
    ):
        await scene.refused(spec)
    scene.complained("task", "run", PROMPT, "--model", "")
    scene.complained("task", "run", f"{PROMPT} {INPUT}", "--model", "opus", "--queue", "no such queue!")
    histories = await scene.histories()
    assert NAME.encode() in histories, "what is looked for would be found"
    assert scene.mesh.program.stop() == 0
    places = {str(path.relative_to(tmp_path)): path.read_bytes() for path in scene.files()}
    named = {place for place, content in places.items() if NAME.encode() in content}
    assert {"data/planner.db", "data/traces.db"} <= {place.removesuffix("-wal") for place in named}, "it would be found"
    places |= {"histories": histories} | {f"told {n}": text.encode() for n, text in enumerate(scene.told)}
    assert {
        place: canary for place, content in places.items() for canary in CANARIES if canary.encode() in content
    } == {}

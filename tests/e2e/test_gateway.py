"""`devteam up --gateway`, docs/gateway.md carried out, and a Router that is replaced behind the gateway."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from devteam_cli.gateway.place import Address
from devteam_cli.ports import free_port
from devteam_cli.temporal_server import temporal_dev_server

from devteam.client import DevTeamClient
from devteam.events import TextToken, Tokens
from devteam.models import TaskState
from devteam.specs import Generation
from tests.e2e.grpc_page import Command, at, commands, documents, shows
from tests.e2e.programs import BIN, PATIENCE, REPOSITORY, Mesh, Program, devteam, environment, up
from tests.e2e.services import Service, service
from tests.fakes.gateway import gateway, place_of, skip_without_envoy

pytestmark = pytest.mark.e2e

PAGE = REPOSITORY / "docs" / "gateway.md"
WORDS = 120
SLOW = Generation(options={"tokens": WORDS, "tokens_per_second": 40})


@dataclass(frozen=True)
class Fronted:
    """A mesh on this machine, and the address of its gateway."""

    mesh: Mesh
    url: str


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    skip_without_envoy()
    with up(tmp_path_factory.mktemp("mesh"), "--gateway", "--gateway-port", "0") as mesh:
        url = mesh.program.line(r"^Gateway: (http://\S+) \(gRPC, gRPC-Web and JSON\)$")[1]
        yield Fronted(mesh, url)
        mesh.stop()
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)


def test_every_command_on_the_page_works_as_it_stands_there(fronted: Fronted) -> None:
    env = environment(GATEWAY=fronted.url)
    for command in commands(PAGE):
        if "export GATEWAY=" not in command.text:
            env.update(carried_out(command, env))


def carried_out(command: Command, env: dict[str, str]) -> dict[str, str]:
    """Run one block, compare its answers with what is shown, and return what is kept of them."""
    done = subprocess.run(
        ("bash", "-euo", "pipefail", "-c", command.text),
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
        check=False,
    )
    place = f"docs/gateway.md:{command.line}"
    assert done.returncode == 0, f"{place} exits with {done.returncode}\n{done.stderr}"
    if not (command.shown or command.kept):
        return {}
    answers = documents(done.stdout)
    assert shows(command.shown, answers), f"{place} answers otherwise than shown\n{done.stdout}"
    return {name: at(path, answers) for name, path in command.kept.items()}


def test_the_page_names_every_path_of_the_contracts() -> None:
    """As its table writes them: what stands in braces in capitals, and paths that differ in a word put together."""
    contracts = "".join(path.read_text() for path in sorted((REPOSITORY / "proto" / "devteam" / "v1").glob("*.proto")))
    paths = {re.sub(r"\{[a-z_.]+\}", "X", path) for path in re.findall(r'"(/api/[^"]+)"', contracts)}
    text = PAGE.read_text().replace("`.../", "`/api/status/")
    written = {re.sub(r"/(ID|NAME|TENANT)\b", "/X", path) for path in re.findall(r"`(?:[A-Z]+ )?(/api/[^`?]+)`", text)}
    assert paths - written == set()


async def test_the_sdk_and_a_worker_go_through_it(fronted: Fronted) -> None:
    """And what the worker says comes out as events, while it is said."""
    mesh = replace(fronted.mesh, url=fronted.url)
    with mesh.worker("--id", "beyond", "--queue", "beyond", "--provider", "sim"):
        async with DevTeamClient(fronted.url, api_key="", timeout=PATIENCE) as client:
            task = await client.create_task("Say much", model="sim", queue="beyond", generation=SLOW)
            running, seen = False, 0
            async for event in events_of(fronted.url, task.id):
                seen += len(event.get("tokens", {}).get("tokens", ()))
                if 0 < seen < WORDS and not running:
                    running = (await client.get_task(task.id)).state is TaskState.RUNNING
            ended = await client.get_task(task.id)
    assert (running, seen, ended.state, ended.worker_id) == (True, WORDS, TaskState.SUCCEEDED, "beyond")


async def events_of(url: str, task_id: str) -> AsyncIterator[dict[str, Any]]:
    """What JSON tells of a task."""
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http,
        http.stream("GET", f"/api/tasks/{task_id}:watch") as answer,
    ):
        async for line in answer.aiter_lines():
            if line:
                yield json.loads(line.removeprefix("data: "))


def test_what_up_says_when_the_gateway_cannot_start(fronted: Fronted, tmp_path: Path) -> None:
    """Its port is taken: a sentence that names the option, before anything is started."""
    taken = fronted.url.rpartition(":")[2]
    options = ("--port", "0", "--no-ui", "--no-worker", "--gateway", "--gateway-port", taken)
    done = devteam("up", "--data", str(tmp_path / "data"), *options, env=environment())
    assert (done.returncode, "--gateway-port" in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    assert "starting" not in done.stderr


@dataclass(frozen=True)
class Behind:
    """The URL of a gateway, and what can be replaced behind it; `stack` ends with it all."""

    url: str
    registry: Service
    router: Service
    stack: AsyncExitStack


@asynccontextmanager
async def behind_a_gateway(folder: Path) -> AsyncIterator[Behind]:
    """Services as processes of their own."""
    files = folder / "gateway"
    files.mkdir()
    async with AsyncExitStack() as stack:
        temporal = await stack.enter_async_context(
            temporal_dev_server(folder, port=free_port(), ui_port=None, log=folder / "temporal.log")
        )
        # All at once: each waits until it finds the others.
        at, to = free_port(), free_port()
        registry, router, planner = await asyncio.gather(
            stack.enter_async_context(service("registry", folder, port=at)),
            stack.enter_async_context(service("router", folder, port=to, registry_address=f"http://127.0.0.1:{at}")),
            stack.enter_async_context(
                service("planner", folder, router_address=f"http://127.0.0.1:{to}", temporal_address=temporal.address)
            ),
        )
        others = {"router": Address("127.0.0.1", router.port), "planner": Address("127.0.0.1", planner.port)}
        door = await stack.enter_async_context(gateway(place_of(registry.port, **others), files))
        yield Behind(door.url, registry, router, stack)


async def test_a_router_is_replaced_behind_it_and_a_generation_goes_on(tmp_path: Path) -> None:
    """The worker comes back through the gateway, no token is lost and none is doubled, and it is the same attempt."""
    async with behind_a_gateway(tmp_path) as mesh, DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client:
        env = environment(DEVTEAM_API_URL=mesh.url, DEVTEAM_DATA=str(tmp_path / "machine"))
        command = (str(BIN / "devteam-worker"), "start", "--provider", "sim", "--id", "w-1", "--queue", "default")
        worker = mesh.stack.enter_context(Program(*command, log=tmp_path / "worker.log", env=env))
        await asyncio.to_thread(worker.line, "^Ready$")
        task = await client.create_task("Say much", model="sim", queue="default", generation=SLOW)
        said: list[str] = []
        async with aclosing(client.watch_task(task.id)) as events, asyncio.timeout(90):
            async for event in events:
                if not isinstance(event, Tokens):
                    continue
                if not said:
                    mesh.router.program.kill()
                    another = service("router", tmp_path, port=mesh.router.port, registry_address=mesh.registry.url)
                    await mesh.stack.enter_async_context(another)
                said += [token.text for token in event.tokens if isinstance(token, TextToken)]
        ended = await client.get_task(task.id)
    assert (ended.state, ended.attempt, len(said)) == (TaskState.SUCCEEDED, 1, WORDS)
    assert ended.output == "".join(said)

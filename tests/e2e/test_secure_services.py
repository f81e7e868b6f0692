"""Registry, Router and Planner as processes of their own, with TLS, keys and a mesh key."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, contextmanager
from pathlib import Path

import pytest

from devteam import DevTeamClient
from devteam.errors import Unauthenticated
from devteam.events import Event, Tokens
from devteam.models import PlanState, Task, TaskState
from devteam.specs import Generation
from tests.e2e.programs import BIN, Program, devteam, ended
from tests.e2e.secured import Services, services

pytestmark = pytest.mark.e2e

# Seconds at most for a revocation to reach every service, and for a service to find the Registry again.
AGAIN = 30.0
LONG = Generation(options={"tokens": 4_000, "tokens_per_second": 20})
PLAN: list[Mapping[str, object]] = [
    {"id": "one", "model": "sim", "prompt": "a"},
    {"id": "two", "model": "sim", "prompt": "{{one.output}}", "dependsOn": ["one"]},
]


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Services]:
    async with services(tmp_path) as running:
        yield running


async def key(mesh: Services, role: str, **limits: str) -> tuple[str, str]:
    """A new one: its id, and what opens."""
    async with mesh.client("registry", mesh.admin) as admin:
        made = await admin.create_key(role, role=role, **limits)  # type: ignore[arg-type]  # of text
        return made.key.id, made.secret


async def revoke(mesh: Services, key_id: str) -> None:
    async with mesh.client("registry", mesh.admin) as admin:
        await admin.revoke_key(key_id)


@contextmanager
def worker(mesh: Services, token: str) -> Iterator[Program]:
    """One that has joined with a token, and is told nothing else."""
    folder = mesh.folder / "far"
    trust = ("--server", mesh.url("registry"), "--ca", str(mesh.ca), "--id", "far", "--data", str(folder))
    joined = ended("devteam-worker", "join", token, *trust, env=mesh.env("registry"))
    assert joined.returncode == 0, joined.stderr
    env = {name: value for name, value in mesh.env("registry").items() if not name.startswith("DEVTEAM_")}
    command = (str(BIN / "devteam-worker"), "start", "--provider", "sim", "--data", str(folder))
    with Program(*command, log=mesh.folder / "far.log", env=env) as program:
        program.line("^Ready$")
        yield program


async def spoken(events: AsyncGenerator[Event, None]) -> None:
    """Wait for the first words."""
    async for event in events:
        if isinstance(event, Tokens):
            return


async def refused(client: DevTeamClient) -> None:
    """Wait until its key opens nothing any more."""
    async with asyncio.timeout(AGAIN):
        while await lets_in(client):  # noqa: ASYNC110 - no event of another process says so
            await asyncio.sleep(0.1)


async def lets_in(client: DevTeamClient) -> bool:
    try:
        await client.list_queues()
    except Unauthenticated:
        return False
    return True


async def read_on(events: AsyncGenerator[Event, None], patience: float) -> None:
    """Read to the end, within so many seconds."""
    async with asyncio.timeout(patience):
        async for _ in events:
            pass


async def test_a_worker_joins_a_plan_runs_and_nothing_needs_the_registry_meanwhile(mesh: Services) -> None:
    async with mesh.client("registry", mesh.admin) as admin:
        token = (await admin.create_join_token(queues=["default"])).token
    client_id, secret = await key(mesh, "client", tenant="acme")
    async with AsyncExitStack() as stack:
        far = stack.enter_context(worker(mesh, token))
        client = await stack.enter_async_context(mesh.client("planner", secret))
        at_router = await stack.enter_async_context(mesh.client("router", secret))
        plan = await client.wait((await client.create_plan("two", PLAN)).id)
        assert plan.state is PlanState.SUCCEEDED

        mesh.programs["registry"].kill()
        task = await client.wait((await client.create_task("go", model="sim", queue="default")).id)
        assert isinstance(task, Task)
        assert (task.state, task.worker_id, task.tenant) == (TaskState.SUCCEEDED, "far", "acme")
        assert [queue.name for queue in await at_router.list_queues()] == ["default"]
        async with mesh.client("planner", secret[:-6] + "111111") as stranger:
            with pytest.raises(Unauthenticated):
                await stranger.list_tasks()

        await mesh.start(stack, "registry")
        running = await client.create_task("long", model="sim", queue="default", generation=LONG)
        events = await stack.enter_async_context(aclosing(client.watch_task(running.id)))
        await spoken(events)
        await revoke(mesh, client_id)
        with pytest.raises(Unauthenticated):
            await read_on(events, AGAIN)
        # It follows the Registry by itself, and may be back there later than the Planner.
        await refused(at_router)
        async with mesh.client("registry", mesh.admin) as admin:
            [far_key] = [each for each in await admin.list_keys() if each.worker_id == "far"]
        await revoke(mesh, far_key.id)
        async with asyncio.timeout(AGAIN):
            assert await asyncio.to_thread(far.wait) == 78


async def test_a_revoked_key_ends_its_streams_at_once(mesh: Services) -> None:
    """At the Planner, which hears of it from the Registry."""
    key_id, secret = await key(mesh, "client", tenant="acme")
    async with mesh.client("planner", secret) as client:
        waiting = await client.create_task("nobody serves it", model="sim", queue="default")
        async with aclosing(client.watch_task(waiting.id)) as events:
            await anext(events)
            await revoke(mesh, key_id)
            with pytest.raises(Unauthenticated):
                await read_on(events, AGAIN)


async def test_who_is_not_let_in_is_told_what_to_do(mesh: Services, tmp_path: Path) -> None:
    _, of_client = await key(mesh, "client", tenant="acme")
    other = tmp_path / "other"

    async def said(*command: str, **env: str) -> str:
        done = await asyncio.to_thread(devteam, *command, env={**mesh.env("registry"), **env})
        assert (done.returncode != 0, done.stdout) == (True, ""), done
        return done.stderr

    assert "set DEVTEAM_API_KEY" in await said("workers")
    assert "the API key is not valid" in await said("workers", DEVTEAM_API_KEY=of_client[:-6] + "111111")
    assert "admin" in await said("keys", "list", DEVTEAM_API_KEY=of_client)
    assert "operator" in await said("drain", "far", DEVTEAM_API_KEY=of_client)
    await asyncio.to_thread(devteam, "certs", "init", str(other), env=mesh.env("registry"))
    assert "not signed by anyone who is trusted here" in await said("workers", DEVTEAM_CA_FILE=str(other / "ca.pem"))
    plain = mesh.url("registry").replace("https", "http")
    assert "if it speaks TLS say https://" in await said("workers", DEVTEAM_API_URL=plain)

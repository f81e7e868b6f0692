"""A worker that joins a mesh which asks for keys, works there, and ends with its key."""

import asyncio
import os
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from devteam_cli.ports import free_port
from devteam_registry.app import mounted as registry_mounted
from devteam_registry.settings import Settings as RegistrySettings
from devteam_router.app import mounted as router_mounted
from devteam_router.settings import Settings as RouterSettings
from devteam_worker import membership
from devteam_worker.cli import app
from typer.testing import CliRunner

from devteam import DevTeamClient
from devteam.mesh.access.key import PATTERN, id_of, mint
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.clock import SystemClock
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.server import Listen
from devteam.mesh.tasks import background
from tests.fakes.certificates import Certificates, tls_server
from tests.fakes.keyed_server import keyed_server
from tests.rpc.cli.command import Done
from tests.rpc.worker.test_command import ENVIRON

MESH_KEY = mint("m").secret
PATIENCE = 60


@pytest.fixture
async def admin() -> AsyncIterator[DevTeamClient]:
    """Of a Registry and a Router that ask for keys, with beats of a tenth of a second."""
    clock, port = SystemClock(), free_port()
    ids, keyring = TimeOrderedIds(clock), Keyring(clock, MESH_KEY)
    server = keyed_server(Listen(port=port, stop_grace=0.1), ids, keyring, clock)
    url = f"http://127.0.0.1:{port}"
    of_registry = RegistrySettings(database_url="memory", heartbeat_interval_s=0.1)
    of_router = RouterSettings(registry_address=url, mesh_key=MESH_KEY)
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(registry_mounted(server, of_registry, clock, ids))
        router = await stack.enter_async_context(router_mounted(server, of_router, clock, ids))
        await server.start()
        async with background(registry, router), DevTeamClient(url, api_key=MESH_KEY) as mesh:
            first = await mesh.create_key("first", role="admin")
            try:
                async with DevTeamClient(url, api_key=first.secret) as client:
                    yield client
            finally:
                await server.stop()


async def token(admin: DevTeamClient, **wanted: str) -> str:
    return (await admin.create_join_token(queues=["gpu-queue"], **wanted)).token  # type: ignore[arg-type]  # of text


async def join(admin: DevTeamClient, folder: Path, *arguments: str, stdin: str = "", **environ: str) -> Done:
    given = ("join", *arguments, "--server", admin.api_url, "--data", str(folder))
    environment: dict[str, str | None] = {name: None for name in os.environ if name.startswith("DEVTEAM_")}
    result = await asyncio.to_thread(CliRunner().invoke, app, given, input=stdin, env={**environment, **environ})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


@asynccontextmanager
async def started(folder: Path, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`devteam-worker start`, with nothing but its folder."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devteam_worker", "start", "--provider", "sim", "--data", str(folder)),
        env={**ENVIRON, "DEVTEAM_LOG_LEVEL": "ERROR", **environ},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ready(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    while (line := await process.stdout.readline()) != b"Ready\n":
        assert line, await process.communicate()


async def test_a_worker_joins_starts_and_ends_with_its_key(admin: DevTeamClient, tmp_path: Path) -> None:
    """Within seconds, with one sentence and 78; it is not tried again."""
    folder = tmp_path / "data"
    joined = await join(admin, folder, await token(admin), "--id", "gpu-box")
    words = f"as gpu-box (queues: gpu-queue)\nStart it with: devteam-worker start --data {folder}\n"
    # The Registry, in the same process, logs to where the command writes.
    assert (joined.code, joined.err, joined.out.partition("Joined ")[2]) == (0, "", f"{admin.api_url} {words}")
    assert stat.S_IMODE((folder / membership.FILE).stat().st_mode) == 0o600
    async with started(folder) as process:
        await ready(process)
        worker = await admin.get_worker("gpu-box")
        assert worker.queues == ("gpu-queue",)
        kept = membership.read(folder)
        assert kept is not None
        await admin.revoke_key(id_of(kept.key))
        async with asyncio.timeout(10):
            _, err = await process.communicate()
        assert process.returncode == 78
        assert err.decode().count("error: the API key is not valid") == 1
        assert kept.key not in err.decode()
    async with started(folder) as again:
        _, err = await again.communicate()
        assert (again.returncode, err.decode().startswith("error: the API key is not valid")) == (78, True)
    logs = "".join(path.read_text() for path in folder.rglob("*.log*"))
    assert not PATTERN.search(logs)


async def test_to_join_again_replaces_what_was_kept(admin: DevTeamClient, tmp_path: Path) -> None:
    """And says what is to be done about the key before."""
    await join(admin, tmp_path, await token(admin), "--id", "one")
    before = membership.read(tmp_path)
    again = await join(admin, tmp_path, await token(admin), "--id", "two")
    after = membership.read(tmp_path)
    assert before is not None
    assert after is not None
    assert (before.worker_id, after.worker_id) == ("one", "two")
    assert again.err == (f"its earlier key is valid until somebody ends it: devteam keys revoke {id_of(before.key)}\n")


async def test_an_id_that_has_a_key_is_taken(admin: DevTeamClient, tmp_path: Path) -> None:
    """What was kept stays."""
    await join(admin, tmp_path, await token(admin), "--id", "one")
    before = membership.read(tmp_path)
    again = await join(admin, tmp_path, await token(admin), "--id", "one")
    assert (again.code, membership.read(tmp_path)) == (1, before)
    assert "is bound to worker 'one': revoke it first, or choose another id" in again.err


async def test_without_an_id_it_is_the_tokens_or_the_hosts(
    admin: DevTeamClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which one the worker need not know; the token may come on stdin."""
    monkeypatch.setattr("platform.node", lambda: "my host")
    named = await join(admin, tmp_path / "a", await token(admin, worker_id="gpu-7"))
    nameless = await join(admin, tmp_path / "b", "-", stdin=f"{await token(admin)}\n")
    of_environ = await join(admin, tmp_path / "c", await token(admin), DEVTEAM_WORKER_ID="pod-1")
    kept = [membership.read(tmp_path / name) for name in "abc"]
    assert [(done.code, done.err) for done in (named, nameless, of_environ)] == [(0, "")] * 3
    assert [each and each.worker_id for each in kept] == ["gpu-7", "my-host", "pod-1"]


async def test_a_token_that_is_none_is_not_sent(admin: DevTeamClient, tmp_path: Path) -> None:
    key = (await admin.create_key("w", role="worker")).secret
    for wrong in ("nonsense", key, (await token(admin))[:-1]):
        done = await join(admin, tmp_path, wrong)
        assert (done.code, done.out) == (78, "")
        assert done.err.startswith("error: TOKEN: is no join token")
        assert wrong not in done.err


async def test_a_used_token_is_refused_in_words(admin: DevTeamClient, tmp_path: Path) -> None:
    used = await token(admin)
    await join(admin, tmp_path, used, "--id", "one")
    done = await join(admin, tmp_path, used, "--id", "two")
    assert (done.code, done.err.startswith("error: the join token is not valid")) == (1, True)


async def test_a_mesh_of_a_strange_authority_is_told_by_the_options_that_name_one(tmp_path: Path) -> None:
    """Its key is for this machine alone: variables, which the other commands read, mean nothing here."""
    mesh, other = Certificates(tmp_path / "mesh"), Certificates(tmp_path / "other")
    given = ("join", mint("j").secret, "--data", str(tmp_path / "data"), "--server")
    async with tls_server(mesh.folder.cert("server"), mesh.folder.key("server")) as at:
        # One address: of several, of which it refuses one, gRPC tells whichever failed last.
        url = at.replace("localhost", "127.0.0.1")
        for named in ((), ("--ca", str(other.folder.cert("ca")))):
            result = await asyncio.to_thread(CliRunner().invoke, app, (*given, url, *named))
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr == (
                f"error: cannot reach {url}: its certificate is not signed by anyone who is trusted here; let --ca "
                "name the file of the authority that signed it, or --ca-fingerprint its fingerprint\n"
            )


async def test_a_key_does_not_cross_a_network_in_clear_text(admin: DevTeamClient, tmp_path: Path) -> None:
    given = ("join", await token(admin), "--server", "http://mesh.example:7400", "--data", str(tmp_path))
    result = await asyncio.to_thread(CliRunner().invoke, app, given)
    assert (result.exit_code, membership.read(tmp_path)) == (78, None)
    assert "has no TLS" in result.stderr


async def test_a_mesh_that_is_not_there_is_named(tmp_path: Path) -> None:
    given = ("join", mint("j").secret, "--server", "http://127.0.0.1:1", "--data", str(tmp_path))
    result = await asyncio.to_thread(CliRunner().invoke, app, given)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: cannot reach http://127.0.0.1:1: ")


async def test_variables_that_win_over_what_was_joined_are_named(admin: DevTeamClient, tmp_path: Path) -> None:
    done = await join(admin, tmp_path, await token(admin), "--id", "one", DEVTEAM_API_KEY="dtw_other")
    assert done.err == "DEVTEAM_API_KEY is set, and wins over what was joined: unset it\n"

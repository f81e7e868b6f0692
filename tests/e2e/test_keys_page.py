"""docs/keys.md, carried out: its commands work as they stand there, in their order, on a mesh that asks for keys."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from devteam_cli.ports import free_port
from devteam_registry.app import mounted
from devteam_registry.settings import Settings

from devteam.mesh.access.key import PATTERN
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.clock import SystemClock
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.server import Listen
from devteam.mesh.tasks import background
from tests.e2e.programs import REPOSITORY, environment
from tests.fakes.keyed_server import keyed_server

pytestmark = pytest.mark.e2e

PAGE = REPOSITORY / "docs" / "keys.md"
_BLOCK = re.compile(r"(?P<skip><!-- not run: [^\n]+ -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)


def blocks(kind: str) -> list[str]:
    """The blocks of a kind that are carried out."""
    found = _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))
    return [match["text"] for match in found if match["kind"] == kind and not match["skip"]]


@asynccontextmanager
async def registry(mesh_key: str) -> AsyncIterator[str]:
    """One that asks for keys."""
    clock, ids = SystemClock(), TimeOrderedIds(SystemClock())
    keyring = Keyring(clock, mesh_key)
    server = keyed_server(Listen(port=free_port(), stop_grace=0.1), ids, keyring, clock)
    async with AsyncExitStack() as stack:
        job = await stack.enter_async_context(mounted(server, Settings(database_url="memory"), clock, ids))
        port = await server.start()
        async with background(job):
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                await server.stop()


async def shell(text: str, folder: Path, **environ: str) -> str:
    """What the commands say."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", text),
        cwd=folder,
        env={**environment(), "HOME": str(folder), "DEVTEAM_DATA": str(folder / "data"), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


async def test_every_command_works_as_it_stands_on_the_page(tmp_path: Path) -> None:
    """From the mesh key to the end of a key."""
    first, *others = blocks("sh")
    await shell(first, tmp_path)
    mesh_key = (tmp_path / "mesh.key").read_text().strip()
    async with registry(mesh_key) as url:
        said = await shell("\n".join(others), tmp_path, DEVTEAM_API_URL=url)
    assert "role    admin" in said
    assert "Joined http" in said
    assert re.search(r"\bci\b.*revoked$", said, re.MULTILINE)
    assert mesh_key not in said


def test_what_is_shown_of_python_is_python() -> None:
    for text in blocks("python"):
        compile(text, str(PAGE), "exec")


def test_no_key_on_the_page_opens_anything() -> None:
    from devteam.mesh.access.key import id_of

    assert [key for key in PATTERN.findall(PAGE.read_text(encoding="utf-8")) if id_of(key)] == []

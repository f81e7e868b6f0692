"""What the `devteam` command says when it cannot do what it was told."""

import asyncio
import subprocess
import sys

import pytest
from devteam_cli.page.app import PagePlan, page
from devteam_cli.session import client_of

from devteam import DevTeamClient
from devteam.errors import Unavailable
from devteam.mesh.server import Listen
from devteam.testing import FakeMesh
from tests.fakes.hasty_clock import HastyClock
from tests.rpc.cli.command import ran


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
        (("--api-url", "http://[::1", "status"), "'http://[::1' is not of the form http://host:port"),
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
    async with asyncio.timeout(60):
        done = await ran(None, *arguments)
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: cannot reach http://127.0.0.1:1: Connection refused; is the mesh running? "
        "Start one with `devteam up`, or name another with --api-url\n"
    )


async def test_the_address_of_the_page_is_told_from_that_of_the_mesh() -> None:
    """`devteam up` names both, and a browser opens this one alone."""
    async with FakeMesh() as mesh, DevTeamClient(mesh.url) as client, page(PagePlan(Listen(port=0)), client) as url:
        done = await ran(None, "--api-url", url, "workers")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(
        f"error: cannot reach {url}: a web page answers there, and is no mesh; "
        "a mesh is at http://127.0.0.1:7400 unless another was chosen; "
    )


@pytest.mark.parametrize(("patience", "longest"), [(None, 14.0), (1.0, 4.0)])
async def test_a_watch_looks_for_a_mesh_as_long_as_it_has_patience(patience: float | None, longest: float) -> None:
    """As long as a call may take, unless said."""
    async with DevTeamClient("http://127.0.0.1:1", timeout=10.0, patience=patience) as client:
        assert longest / 4 <= await tried(client) <= longest


async def test_a_command_has_less_patience() -> None:
    """Its user waits; and may well look at once for a mesh that was never started."""
    async with client_of("http://127.0.0.1:1", None, timeout=10.0) as client:
        assert await tried(client) <= 4.0


async def tried(client: DevTeamClient) -> float:
    """For how long a watch pauses between tries, in seconds, until it gives up."""
    client._clock = clock = HastyClock()
    async with asyncio.timeout(60):
        with pytest.raises(Unavailable, match="Connection refused"):
            async for _ in client.watch_workers():
                pass
    return sum(clock.slept)


SLOW = {"grpc", "google.protobuf", "opentelemetry", "pydantic_settings", "ruamel.yaml", "sqlalchemy", "structlog"}


@pytest.mark.parametrize("arguments", [["--help"], ["task", "--help"], ["task", "get"], ["frobnicate"]])
def test_what_needs_no_mesh_waits_for_nothing_that_takes_its_time_to_import(arguments: list[str]) -> None:
    assert SLOW & imported_by(*arguments) == set()


@pytest.mark.parametrize("queue", ["", "a b"])
async def test_a_mesh_is_not_started_for_a_queue_that_cannot_be(queue: str) -> None:
    done = await ran(None, "up", "--queue", "default", "--queue", queue)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: --queue: must ")


def test_a_command_imports_none_of_the_others() -> None:
    found = {module for module in imported_by("task", "--help") if module.startswith("devteam_cli.")}
    assert "devteam_cli.task" in found
    assert {f"devteam_cli.{other}" for other in ("plan", "status", "top", "up", "workers")} & found == set()


def imported_by(*arguments: str) -> set[str]:
    """What stands in sys.modules when this command has ended."""
    script = (
        "import os, sys\n"
        "os._exit = sys.exit\n"
        "from devteam_cli.main import run\n"
        f"sys.argv = ['devteam', *{arguments!r}]\n"
        "try:\n    run()\n"
        "finally:\n    print(); print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    return set(done.stdout.splitlines()[-1].split())

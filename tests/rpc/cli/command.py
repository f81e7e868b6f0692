"""The `devteam` command, run to its end in a thread beside the mesh's event loop."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from devteam_cli.main import app
from typer.testing import CliRunner

from devteam.testing import FakeMesh, Run
from tests.fakes.logging_as_before import logging_as_before


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


async def ran(mesh: FakeMesh | None, *arguments: str, stdin: str = "") -> Done:
    """A command that has ended by itself; without a mesh, there is nobody where it looks."""
    environment = {"DEVTEAM_API_URL": mesh.url if mesh else "http://127.0.0.1:1", "COLUMNS": "60"}
    # What it logs goes to a stderr of its own.
    with logging_as_before():
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

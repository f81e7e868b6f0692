"""The devteam-worker command at work."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes.mesh_server import ENDLESS, PATIENCE, ScriptedMesh

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("DEVTEAM_", "OTEL_", "OLLAMA_"))}


@asynccontextmanager
async def command(mesh: ScriptedMesh, folder: Path, *arguments: str) -> AsyncIterator[Process]:
    """The command, killed at the end of the body if it should still run."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devteam_worker", "start", "--api-url", mesh.url, "--id", "w1", *arguments),
        env={**ENVIRON, "DEVTEAM_LOG_LEVEL": "ERROR", "DEVTEAM_DATA": str(folder)},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(2 * PATIENCE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_works_until_it_is_told_to_stop(mesh: ScriptedMesh, tmp_path: Path) -> None:
    async with command(mesh, tmp_path, "--provider", "sim", "--queue", "default", "--alias", "fast=sim") as process:
        line = await mesh.router.attached()
        line.assign(model="fast", options=ENDLESS)
        assert (await line.hears()).WhichOneof("item") == "accepted"
        heard = ""
        while (request := await line.hears()).WhichOneof("item") == "tokens":
            heard += "".join(token.text for token in request.tokens.tokens)
            if len(heard) > 40:
                line.cancel()
        assert heard.startswith("*Simulated answer: no model was asked.*")
        assert request.report.WhichOneof("outcome") == "cancellation"
        line.ack_report()

        process.send_signal(signal.SIGTERM)
        assert (await mesh.registry.left()).worker_id == "w1"
        out, err = await process.communicate()
        assert out.decode().splitlines() == [
            "Worker w1 registered",
            "Listening on queues: default (concurrency: 4)",
            (
                "Answers are simulated: this machine has no model provider. "
                "Set ANTHROPIC_API_KEY or start Ollama for real ones."
            ),
            "Ready",
        ]
        assert (err.decode(), process.returncode) == ("", 0)


async def test_a_worker_whose_id_another_one_took_over_says_so_in_one_line(mesh: ScriptedMesh, tmp_path: Path) -> None:
    mesh.registry.interval = 0.02
    mesh.registry.supersede("another instance of w1 registered")
    async with command(mesh, tmp_path, "--provider", "sim") as process:
        _, err = await process.communicate()
        # The code after which systemd leaves it alone: two of one id would take it from each other for ever.
        assert (err.decode(), process.returncode) == ("error: another instance of w1 registered\n", 78)

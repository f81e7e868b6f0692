"""What a shell is told when somebody presses the tab key."""

import os
import subprocess
import sys
from asyncio import to_thread
from pathlib import Path

import pytest

from devteam import QueueInfo, WorkerInfo
from devteam.testing import FakeMesh

BIN = Path(sys.executable).parent
SHELLS = ("bash", "zsh", "fish")


def completed(shell: str, words: str, url: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """What the command says to `shell` about the last of `words`."""
    command, _, _ = words.partition(" ")
    asked = {
        f"_{command.replace('-', '_').upper()}_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": words.rsplit(" ", maxsplit=1)[-1],
        "DEVTEAM_API_URL": url,
        **environ,
    }
    return subprocess.run(
        [BIN / command], env=os.environ | asked, capture_output=True, text=True, timeout=60, check=False
    )


async def found(shell: str, words: str, url: str) -> "subprocess.CompletedProcess[str]":
    """The same; a mesh has half a second to answer, and who saw nothing on a loaded machine asks again."""
    for _ in range(10):
        answer = await to_thread(completed, shell, words, url)
        if answer.stdout.strip() or answer.stderr:
            break
    return answer


@pytest.mark.parametrize("shell", SHELLS)
async def test_commands_and_ids_are_completed(shell: str) -> None:
    """Ids of what the command is about, asked of the mesh."""
    workers = [WorkerInfo(id="asus"), WorkerInfo(id="atlas"), WorkerInfo(id="laptop")]
    async with FakeMesh(workers=workers) as mesh:
        commands = await to_thread(completed, shell, "devteam dr", mesh.url)
        ids = await found(shell, "devteam drain a", mesh.url)
    assert "drain" in commands.stdout
    assert ("asus" in ids.stdout, "atlas" in ids.stdout, "laptop" in ids.stdout) == (True, True, False)
    assert (commands.stderr, ids.stderr) == ("", "")


@pytest.mark.parametrize(
    "words",
    ["devteam task get ", "devteam task cancel ", "devteam explain ", "devteam task watch "],
)
async def test_tasks_are_completed(words: str) -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        done = await found("bash", words, mesh.url)
    assert done.stdout.split() == [task.id]


async def test_plans_and_queues_are_completed() -> None:
    """On the mesh that the line itself names, too."""
    async with FakeMesh(queues=[QueueInfo(name="gpu-queue")]) as mesh, mesh.client() as client:
        plan = await client.create_plan("research", [{"id": "a", "prompt": "p", "model": "m"}])
        plans = await found("bash", f"devteam --api-url {mesh.url} plan watch ", "http://127.0.0.1:1")
        queues = await found("bash", "devteam queue pause g", mesh.url)
        option = await found("bash", "devteam task run --queue g", mesh.url)
    assert plans.stdout.split() == [plan.id]
    assert (queues.stdout.split(), option.stdout.split()) == (["gpu-queue"], ["gpu-queue"])


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://"])
async def test_without_a_mesh_there_is_silence(shell: str, url: str) -> None:
    done = await to_thread(completed, shell, "devteam drain a", url)
    assert "asus" not in done.stdout
    assert (done.stderr, "Traceback" in done.stdout) == ("", False)


@pytest.mark.parametrize("shell", SHELLS)
async def test_the_workers_command_completes_too(shell: str, tmp_path: Path) -> None:
    done = await to_thread(completed, shell, "devteam-worker dr", "", DEVTEAM_DATA=str(tmp_path))
    nobody = await to_thread(completed, "bash", "devteam-worker drain --id ", "", DEVTEAM_DATA=str(tmp_path))
    assert "drain" in done.stdout
    assert (nobody.stdout.strip(), nobody.stderr) == ("", "")


@pytest.mark.parametrize("command", ["devteam", "devteam-worker"])
@pytest.mark.parametrize("shell", SHELLS)
async def test_a_shell_is_told_how_to_ask(command: str, shell: str) -> None:
    """`--show-completion` prints it; `--install-completion` writes the same where the shell looks."""
    environ = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    arguments = [str(BIN / command), "--show-completion", shell]
    done = await to_thread(
        subprocess.run, arguments, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert f"_{command.replace('-', '_').upper()}_COMPLETE=complete_{shell}" in done.stdout

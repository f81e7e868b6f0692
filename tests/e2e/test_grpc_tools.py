"""docs/grpc.md, carried out: every command on the page works as it stands there, and answers what the page shows."""

import re
import shutil
import subprocess

import pytest
from google.protobuf.descriptor import FileDescriptor

from devteam.v1 import access_pb2, planner_pb2, registry_pb2, router_pb2, worker_pb2
from tests.e2e.grpc_page import Command, at, commands, documents, shows
from tests.e2e.programs import Mesh, environment

pytestmark = pytest.mark.e2e

_CONTRACTS: tuple[FileDescriptor, ...] = (
    access_pb2.DESCRIPTOR,
    planner_pb2.DESCRIPTOR,
    registry_pb2.DESCRIPTOR,
    router_pb2.DESCRIPTOR,
    worker_pb2.DESCRIPTOR,
)
RPCS = sorted(
    f"{service.full_name}/{method.name}"
    for contract in _CONTRACTS
    for service in contract.services_by_name.values()
    for method in service.methods
)


@pytest.mark.parametrize("tool", ["grpcurl", "buf curl"])
def test_the_page_shows_every_call_of_the_contracts(tool: str) -> None:
    """With each of the tools."""
    text = "\n".join(command.text for command in commands() if command.is_for(tool))
    assert [rpc for rpc in RPCS if not re.search(rf"{re.escape(rpc)}\b", text)] == []


@pytest.mark.parametrize("tool", ["grpcurl", "buf curl"])
def test_every_command_works_as_it_stands_on_the_page(mesh: Mesh, tool: str) -> None:
    """From top to bottom, as a reader would go, who keeps the ids that the page says are kept."""
    program = tool.split(maxsplit=1)[0]
    env = environment()
    if shutil.which(program, path=env["PATH"]) is None:
        pytest.skip(f"{program} is not on PATH")
    env["MESH"] = mesh.address
    for command in commands():
        if command.is_for(tool) and "export MESH=" not in command.text:
            env.update(carried_out(command, env))


def carried_out(command: Command, env: dict[str, str]) -> dict[str, str]:
    """Run one block, compare its answers with what is shown, and return what is kept of them."""
    done = subprocess.run(
        ("bash", "-euo", "pipefail", "-c", command.text),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
        check=False,
    )
    place = f"docs/grpc.md:{command.line}"
    assert done.returncode == 0, f"{place} exits with {done.returncode}\n{done.stdout}{done.stderr}"
    if not (command.shown or command.kept):
        return {}
    answers = documents(done.stdout or done.stderr)
    assert shows(command.shown, answers), f"{place} answers otherwise than shown\n{done.stdout}{done.stderr}"
    return {name: at(path, answers) for name, path in command.kept.items()}

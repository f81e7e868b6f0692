"""Keys of every kind, given out and used by the product's own commands, are found in nothing that is left behind."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest
from devteam_cli.ports import free_port

from devteam.mesh.access.key import PATTERN, mint
from tests.e2e.programs import BIN, Program, ended, environment
from tests.e2e.services import Service, service

pytestmark = pytest.mark.e2e


@dataclass(slots=True)
class Scene:
    """A Registry and a Router that ask for keys, and the secrets that are in play."""

    folder: Path
    registry: Service
    router: Service
    mesh_key: str
    secrets: list[str] = field(default_factory=list)
    # What commands said, but for the one line that shows a new secret.
    told: list[str] = field(default_factory=list)

    def run(self, command: str, *arguments: str, key: str = "", fails: bool = False) -> str:
        """What a command says, to whom its variable gives this key; or the new secret that it shows."""
        told = {"DEVTEAM_API_URL": self.registry.url, "DEVTEAM_DATA": str(self.folder / "machine")}
        done = ended(command, *arguments, env=environment(**told, **({"DEVTEAM_API_KEY": key} if key else {})))
        assert (done.returncode != 0) is fails, done.stderr
        said = done.stdout + done.stderr
        new = [secret for secret in PATTERN.findall(said) if secret not in self.secrets]
        self.secrets += new
        self.told.append("\n".join(line for line in said.splitlines() if not any(secret in line for secret in new)))
        return new[0] if new else said

    def files(self) -> list[Path]:
        """Logs, audit, databases; not the machine's own settings, which hold its key on purpose."""
        kept = [path for path in self.folder.rglob("*") if path.is_file() and path.name != "mesh.key"]
        return [path for path in kept if (self.folder / "machine") not in path.parents]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    mesh_key, kept = mint("m").secret, tmp_path / "mesh.key"
    kept.write_text(mesh_key)
    kept.chmod(0o600)
    gate: dict[str, Any] = {"keys": "true", "mesh_key_file": str(kept), "log_level": "DEBUG"}
    async with AsyncExitStack() as stack:
        database = f"sqlite:///{tmp_path / 'registry.db'}"
        own: dict[str, Any] = {"database_url": database, "audit_file": str(tmp_path / "audit.log")}
        port = free_port()
        own["router_addresses"] = json.dumps([f"http://127.0.0.1:{port}"])
        registry = await stack.enter_async_context(service("registry", tmp_path, **gate, **own))
        more: dict[str, Any] = {"registry_address": registry.url, "audit_file": str(tmp_path / "router-audit.log")}
        router = await stack.enter_async_context(service("router", tmp_path, port=port, **gate, **more))
        yield Scene(tmp_path, registry, router, mesh_key, [mesh_key])


async def test_keys_of_every_kind_are_nowhere_but_with_their_owners(scene: Scene) -> None:
    run = scene.run
    admin = run("devteam", "keys", "create", "root", "--role", "admin", key=scene.mesh_key)
    client = run("devteam", "keys", "create", "ci", "--role", "client", "--tenant", "acme", key=admin)
    token = run("devteam", "join-token", "create", "--queue", "gpu-queue", key=admin)
    assert [secret[:4] for secret in (admin, client, token)] == ["dta_", "dtc_", "dtj_"]
    run("devteam", "workers", key=client)
    run("devteam", "keys", "list", key=admin)
    run("devteam", "keys", "list", key=client, fails=True)
    run("devteam-worker", "join", token, "--server", scene.registry.url, "--id", "gpu-box")
    run("devteam-worker", "join", token, "--server", scene.registry.url, "--id", "gpu-box-2", fails=True)
    machine = "".join(
        path.read_text(errors="replace") for path in (scene.folder / "machine").rglob("*") if path.is_file()
    )
    scene.secrets += [found for found in PATTERN.findall(machine) if found.startswith("dtw_")]
    assert any(secret.startswith("dtw_") for secret in scene.secrets), "the worker has a key of its own"
    told = {"DEVTEAM_DATA": str(scene.folder / "machine"), "DEVTEAM_LOG_LEVEL": "DEBUG", "DEVTEAM_PROVIDER": "sim"}
    with Program(
        str(BIN / "devteam-worker"), "start", log=scene.folder / "worker.log", env=environment(**told)
    ) as worker:
        worker.line("^Ready$")
        shown = [_process(scene.registry.program.pid), _process(scene.router.program.pid), _process(worker.pid)]
    assert "CreateJoinToken" in (scene.folder / "audit.log").read_text(), "what is looked through has something in it"
    for secret in scene.secrets:
        # The id in a key is no secret; what follows is.
        hidden = re.sub(r"^dt._[^_]+_", "", secret)
        assert [str(path) for path in scene.files() if hidden.encode() in path.read_bytes()] == []
        assert [text for text in (*scene.told, *shown) if hidden in text] == []


def _process(pid: int) -> str:
    """What everybody on the machine sees of a process, and what its children inherit."""
    seen = psutil.Process(pid)
    return f"{seen.cmdline()} {seen.environ()}"

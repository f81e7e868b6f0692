"""docs/tls.md, carried out: its commands work as they stand there, in their order, on the machine of a secured mesh."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from devteam_cli import local_mesh
from devteam_cli.local_mesh import LocalMesh

from tests.docs.blocks import Block, blocks
from tests.e2e.programs import BIN, Program, environment, up

pytestmark = pytest.mark.e2e

PAGE = "docs/tls.md"
COMMANDS = [block for block in blocks(PAGE) if block.language == "sh"]
DONE = [block for block in COMMANDS if not block.note("not run")]


def that_says(text: str) -> Block:
    """The one block that holds a text."""
    [found] = [block for block in COMMANDS if text in block.text]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's home."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def mesh(folder: Path) -> Iterator[LocalMesh]:
    """`devteam up` as the page says it, but for the port."""
    command = that_says("up --secure --host 0.0.0.0 --name").text.split()
    assert command[:2] == ["devteam", "up"]
    (folder / "data").mkdir()
    with up(folder, *command[2:]) as running:
        running.program.line("^Try: ")
        left = local_mesh.read(running.data)
        assert left is not None
        yield left
        running.stop()


def shell(text: str, folder: Path, mesh: LocalMesh) -> str:
    """What is typed says, here; ~/.devteam is where the mesh keeps its own."""
    here = text.replace("https://127.0.0.1:7400", mesh.url).replace("~/.devteam", str(folder / "data"))
    here = here.replace("https://mesh.example:7400", mesh.url)
    done = subprocess.run(
        ("bash", "-euo", "pipefail", "-c", here),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env=environment(DEVTEAM_DATA=str(folder / "data"), HOME=str(folder)),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_every_command_works_as_it_stands_on_the_page(folder: Path, mesh: LocalMesh) -> None:
    """In one shell from top to bottom; then a worker joins with what it left."""
    said = shell("".join(block.text for block in DONE) + 'devteam whoami\necho "TOKEN=$TOKEN"\n', folder, mesh)
    assert "role    admin" in said
    assert "\nclient\n" in said
    assert "spiffe://devteam/worker/gpu-1" in said
    [token] = re.findall(r"^TOKEN=(dtj_\w+)$", said, re.MULTILINE)
    join, start = that_says("--ca-fingerprint").text.strip().splitlines()
    join = re.sub(r"SHA256:\S+", mesh.fingerprint, join).replace("$TOKEN", token)
    assert "Joined" in shell(f"export DEVTEAM_DATA={folder}/far\n{join}", folder, mesh)
    env = environment(DEVTEAM_DATA=str(folder / "far"))
    with Program(str(BIN / start.split()[0]), "start", log=folder / "far.log", env=env) as worker:
        worker.line("^Ready$")


def test_certificates_of_ones_own_do_too(folder: Path, mesh: LocalMesh, tmp_path: Path) -> None:
    """As the page starts it, on loopback: nothing is made or renewed there."""
    command = that_says("up --secure --host 0.0.0.0 --certs").text.split()
    shell("devteam certs init certs --host mesh.example", tmp_path, mesh)
    before = (tmp_path / "certs" / "server.pem").read_bytes()
    options = [str(tmp_path / "certs") if word == "certs" else word for word in command[2:]]
    with up(tmp_path, "--no-worker", *options) as running:
        running.program.line("^Try: ")
        left = local_mesh.read(running.data)
        assert left is not None
        assert left.ca == str(tmp_path / "certs" / "ca.pem")
        assert not (running.data / "certs").exists()
        running.program.stop()
    assert (tmp_path / "certs" / "server.pem").read_bytes() == before

"""A mesh for everything that the pages do, and one reader at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.visit import Visit, furnished
from tests.e2e.programs import GRACE, Mesh, environment, up

_QUEUES = ("default", "research-queue", "gpu-queue", "cpu-queue")


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh whose local worker serves every queue that the pages use without starting a worker for it."""
    options = [option for queue in _QUEUES for option in ("--queue", queue)]
    with up(tmp_path_factory.mktemp("mesh"), *options, **GRACE) as running:
        yield running
        running.stop()


@pytest.fixture(scope="session")
def addresses(mesh: Mesh) -> dict[str, str]:
    """What the pages call the mesh's addresses, and what they are."""
    metrics = mesh.program.line(r"^Metrics: http://(\S+)/metrics$")[1]
    return {"127.0.0.1:7400": mesh.address, "127.0.0.1:7490": metrics}


@pytest.fixture(scope="session")
def known(mesh: Mesh) -> dict[str, str]:
    """A task and a plan that have ended, a trace, and a worker."""
    task = mesh.run("task", "create", "--model", "sim", "Say hello").stdout.strip()
    plan = mesh.run("plan", "create", "examples/research-pipeline.yaml").stdout.strip()
    assert mesh.run("plan", "watch", plan).returncode == 0
    return {"TASK": task, "PLAN": plan, "TRACE": plan, "WORKER": "local"}


@pytest.fixture(scope="session")
def visit(
    mesh: Mesh, addresses: dict[str, str], known: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Visit]]:
    """The reader of a page. Whoever turns to another page has closed the one before."""
    readers: dict[str, Visit] = {}

    def at(page: str) -> Visit:
        if page not in readers:
            for reader in readers.values():
                reader.close()
            readers.clear()
            folder = furnished(tmp_path_factory.mktemp(Path(page).stem))
            env = environment(DEVTEAM_API_URL=mesh.url, DEVTEAM_DATA=str(folder / "machine"), NO_COLOR="1")
            readers[page] = Visit(folder, env, known, addresses)
        return readers[page]

    yield at
    for reader in readers.values():
        reader.close()

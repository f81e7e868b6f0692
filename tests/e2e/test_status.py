"""How a mesh of real processes says that it stands, and what doctor finds in it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.programs import GRACE, Mesh, devteam, environment, up
from tests.e2e.services import service

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """One of its own: on the shared one, others kill workers, and those are missed for minutes."""
    with up(tmp_path_factory.mktemp("status"), **GRACE) as running:
        yield running
        running.stop()


def test_a_mesh_that_is_well(mesh: Mesh) -> None:
    """Everything that it stands on was asked, and answered."""
    done = mesh.run("status", "-o", "json")
    data = json.loads(done.stdout)
    standing = [
        f"{service['name']}: {one['name']} {one['state']}"
        for service in data["services"]
        for one in service["dependencies"]
    ]
    assert standing == [
        "registry: database ok",
        "router: registry ok",
        "planner: database ok",
        "planner: temporal ok",
        "planner: router ok",
    ]
    assert {service["traces"] for service in data["services"]} == {"store"}
    assert data["workers"]["by_status"] == {"healthy": 1}


def test_what_waits_in_vain_is_named_with_its_remedy(mesh: Mesh) -> None:
    """In a queue without workers, and for what no worker has."""
    nowhere = mesh.run("task", "create", "--model", "sim", "--queue", "nowhere", "p").stdout.strip()
    demanding = mesh.run("task", "create", "--model", "sim", "--label", "rack=none", "p").stdout.strip()
    try:
        with mesh.watching("task", "watch", demanding) as watcher:
            watcher.line('"wait_reason": "no worker')
        with mesh.watching("task", "watch", nowhere) as watcher:
            watcher.line('"wait_reason": "no worker')
        done = mesh.run("status")
        found = {one["check"]: one for one in json.loads(mesh.run("doctor", "-o", "json").stdout)}
    finally:
        for task in (nowhere, demanding):
            mesh.run("task", "cancel", task, "--wait")
    assert done.returncode == 1
    assert "! queue nowhere: 1 waits and no worker serves it\n" in done.stdout
    assert "start one with `devteam-worker start --queue nowhere`" in done.stdout
    assert (
        f"! task {demanding}: waits: no worker in default that serves sim has what the task requires\n" in done.stdout
    )
    assert found["queue nowhere"]["verdict"] == found[f"task {demanding}"]["verdict"] == "problem"


def test_doctor_finds_nothing_to_mend(mesh: Mesh) -> None:
    """And the stream that it holds open is left alone."""
    done = mesh.run("doctor", "--idle", "1", "-o", "json")
    found = {one["check"]: one["verdict"] for one in json.loads(done.stdout)}
    assert (done.returncode, done.stderr) == (0, "a stream is held open for 1 s, if the mesh can be reached\n")
    # Where models may be asked is this machine's affair.
    assert {verdict for check, verdict in found.items() if not check.startswith("here")} == {"ok", "skipped"}
    assert (found["grpc"], found["mesh"], found["planner: temporal"], found["idle"]) == ("ok",) * 4


async def test_a_planner_without_the_others_says_so(tmp_path: Path) -> None:
    """Each thing that is away is a problem of its own, with what to do."""
    nobody = "127.0.0.1:1"
    async with service("planner", tmp_path, temporal_address=nobody, router_address=nobody) as planner:
        done = devteam("--api-url", planner.url, "status", env=environment())
        found = devteam("--api-url", planner.url, "doctor", "-o", "json", env=environment())
    assert done.returncode == found.returncode == 1
    for line in ("registry: cannot be asked", "router: cannot be asked", "temporal at 127.0.0.1:1 has been away"):
        assert f"! {line}" in done.stdout or f": {line}" in done.stdout
    problems = {one["check"] for one in json.loads(found.stdout) if one["verdict"] == "problem"}
    assert {"registry", "router", "planner: temporal", "planner: router"} <= problems

"""What `devteam doctor` finds in a mesh and here, and how it shows what it found."""

import json
from datetime import timedelta

import pytest
from devteam_cli.doctor.command import _examined

from devteam import Dependency, DependencyState, ServiceStatus
from devteam.mesh.finding import Finding, Verdict
from devteam.testing import FakeMesh
from tests.rpc.cli.command import ran
from tests.rpc.cli.doctoring import around

# No provider of the developer's machine shall be asked.
NOBODY = {"DEVTEAM_PROVIDER": "sim"}


async def test_a_mesh_whose_temporal_is_away_and_whose_clock_is_wrong() -> None:
    away = Dependency(
        name="temporal", address="t:7233", state=DependencyState.AWAY, detail="it does not answer: see whether it runs"
    )
    planner = ServiceStatus(name="planner", dependencies=(away,), clock_ahead=timedelta(hours=3))
    async with FakeMesh(services=[planner]) as mesh:
        found = {finding.check: finding for finding in await _examined(around(mesh.url, environ=NOBODY))}
    assert found["planner: temporal"] == Finding(
        Verdict.PROBLEM, "t:7233 is away", "it does not answer: see whether it runs", "planner: temporal"
    )
    assert found["planner: clock"].found == "its clock is 3.0 h ahead of this machine's"
    assert found["keepalive"].found.startswith("connections are pinged every 10 s, and given up after 5 s")
    assert found["here: anthropic key"].verdict is Verdict.SKIPPED


async def test_a_worker_here_would_lack_what_it_was_told_to_use() -> None:
    """Which is no problem of the mesh."""
    async with FakeMesh() as mesh:
        found = {
            finding.check: finding
            for finding in await _examined(around(mesh.url, environ={"DEVTEAM_PROVIDER": "anthropic"}))
        }
    assert found["here: anthropic key"].verdict is Verdict.WARNING
    assert "set ANTHROPIC_API_KEY" in found["here: anthropic key"].fix
    wrong = {"DEVTEAM_CONCURRENCY": "many"}
    async with FakeMesh() as mesh:
        found = {finding.check: finding for finding in await _examined(around(mesh.url, environ=wrong))}
    assert "DEVTEAM_CONCURRENCY" in found["here"].found


async def test_the_command_shows_findings_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVTEAM_PROVIDER", "sim")
    async with FakeMesh() as mesh:
        done = await ran(mesh, "doctor")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].split() == ["VERDICT", "CHECK", "FOUND"]
    assert done.out.splitlines()[1].split()[:2] == ["ok", "address"]
    done = await ran(None, "doctor")
    assert done.code == 1
    [fix] = [line for line in done.out.splitlines() if line.startswith("connection ")]
    assert "start the mesh there" in fix


async def test_the_command_as_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """An array, or a line for each."""
    monkeypatch.setenv("DEVTEAM_PROVIDER", "sim")
    async with FakeMesh() as mesh:
        whole = await ran(mesh, "doctor", "-o", "json")
        each = await ran(mesh, "-o", "jsonl", "doctor")
    found = json.loads(whole.out)
    assert found[0].keys() == {"verdict", "found", "fix", "check"}
    assert [json.loads(line)["check"] for line in each.out.splitlines()] == [one["check"] for one in found]

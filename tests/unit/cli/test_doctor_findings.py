"""What doctor makes of what a mesh says of itself, and how checks follow each other."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from devteam_cli.doctor.examination import Check, Surroundings, examine
from devteam_cli.doctor.standing import findings
from devteam_cli.overview import Overview, Wait

from devteam import (
    Dependency,
    DependencyState,
    Explanation,
    QueueInfo,
    ServiceStatus,
    Task,
    TaskSpec,
    TaskState,
    Throttle,
    WaitReason,
    WorkerInfo,
    Workers,
    WorkerStatus,
)
from devteam.mesh.finding import Finding, Verdict, ok, problem, skipped
from devteam.mesh.version import version

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HERE = Surroundings("http://mesh:7400", "", {})


def found(**parts: Any) -> dict[str, Finding]:
    seen = Overview(url=HERE.url, **{"workers": Workers([WorkerInfo(id="asus")]), **parts})
    return {finding.check: finding for finding in findings(seen, NOW)}


def test_a_mesh_that_is_well_has_nothing_to_mend() -> None:
    planner = ServiceStatus(
        name="planner", version=version(), python_version="3.11.7", now=NOW, started_at=NOW - timedelta(hours=3)
    )
    all_of_it = found(services=[planner])
    assert {finding.verdict for finding in all_of_it.values()} == {Verdict.OK}
    assert all_of_it["planner"].found == f"version {version()} on Python 3.11.7, up for 3.0 h"
    assert all_of_it["workers"].found == "1 of 1 take work"
    assert [finding.fix for finding in all_of_it.values() if finding.fix] == []


def test_every_dependency_is_a_finding() -> None:
    def dependency(name: str, state: DependencyState) -> Dependency:
        since = NOW - timedelta(seconds=30)
        return Dependency(name=name, address="there", state=state, since=since, detail="start it" * (state == "away"))

    states = (DependencyState.OK, DependencyState.AWAY, DependencyState.UNKNOWN)
    names = ("database", "temporal", "router")
    all_of_it = found(services=[ServiceStatus(name="planner", dependencies=tuple(map(dependency, names, states)))])
    assert all_of_it["planner: database"] == ok("there is there", "planner: database")
    assert all_of_it["planner: temporal"] == problem("there is away for 30 s", "start it", "planner: temporal")
    assert all_of_it["planner: router"].verdict is Verdict.SKIPPED


def test_a_service_that_cannot_be_asked() -> None:
    assert found(services=[ServiceStatus(name="router", problem="it drains")])["router"].verdict is Verdict.PROBLEM


def test_versions_and_clocks_that_differ() -> None:
    router = ServiceStatus(name="router", version="0.0.9", clock_ahead=timedelta(seconds=-90))
    worker = WorkerInfo(id="old", version="0.0.8")
    all_of_it = found(services=[router], workers=Workers([worker]))
    assert all_of_it["versions"].found == f"the router is 0.0.9, this client {version()}"
    assert "==0.0.9" in all_of_it["versions"].fix
    assert all_of_it["worker versions"].found == "not of the mesh's version: old 0.0.8"
    assert all_of_it["router: clock"].found == "its clock is 90 s behind this machine's"
    assert all_of_it["router: clock"].verdict is Verdict.WARNING


def test_workers_that_are_ill_or_not_there() -> None:
    ill = WorkerInfo(id="asus", status=WorkerStatus.LOST, status_reason="no beat for 130 s")
    all_of_it = found(workers=Workers([ill], notice="deaths are frozen"))
    assert all_of_it["worker asus"].verdict is Verdict.WARNING
    assert all_of_it["workers"].found == "0 of 1 take work"
    nobody = found(workers=Workers())["workers"]
    assert (nobody.verdict, nobody.fix) == (Verdict.WARNING, "start one: devteam-worker start")


def test_a_model_that_is_asked_for_and_served_by_nobody() -> None:
    spec = TaskSpec(prompt="p", model="opus")
    task = Task(id="t-1", plan_id="t-1", step_id="task", state=TaskState.QUEUED, spec=spec)
    why = Explanation(reason="no worker serves opus", queue="q", wait_reason=WaitReason.NO_WORKER_SERVES_MODEL)
    finding = found(waits=[Wait(task, why)])["task t-1"]
    assert (finding.verdict, finding.found) == (Verdict.PROBLEM, "waits: no worker serves opus")
    assert found(queues=[QueueInfo(name="q", waiting=3)])["queue q"].verdict is Verdict.PROBLEM


def test_a_provider_that_asked_for_patience() -> None:
    throttle = Throttle(model="opus", until=NOW + timedelta(seconds=41), reason="anthropic: 429", waiting=12)
    finding = found(throttles=[throttle])["provider"]
    assert finding.verdict is Verdict.WARNING
    assert finding.found.startswith("opus paused for 41 s, until ")


async def test_what_comes_after_a_problem_is_not_looked_at() -> None:
    """Nor what comes after that; a check that was skipped by itself stops nobody."""

    def look(finding: Finding) -> Any:
        async def looked(_: Surroundings) -> list[Finding]:
            return [finding]

        return looked

    checks = (
        Check("a", look(ok("fine"))),
        Check("b", look(skipped("no TLS")), after="a"),
        Check("c", look(problem("broken", "mend it")), after="b"),
        Check("d", look(ok("never seen")), after="c"),
        Check("e", look(ok("never seen")), after="d"),
    )
    seen = await examine(checks, HERE)
    assert [(finding.check, finding.verdict.value) for finding in seen] == [
        ("a", "ok"), ("b", "skipped"), ("c", "problem"), ("d", "skipped"), ("e", "skipped"),
    ]  # fmt: skip
    assert seen[-1].found == "not looked at, because of c"


async def test_a_check_that_stumbles_shows_nothing_of_it() -> None:
    """It could quote a secret."""

    async def stumbles(_: Surroundings) -> list[Finding]:
        raise ValueError("canary")

    [finding] = await examine([Check("a", stumbles)], HERE)
    assert finding.verdict is Verdict.WARNING
    assert "canary" not in repr(finding)


@pytest.mark.parametrize(("url", "plain"), [("http://m:1", True), ("https://m", True), ("dns:///m:1", False)])
def test_only_urls_are_looked_at(url: str, plain: bool) -> None:
    assert Surroundings(url, "", {}).is_plain_url is plain

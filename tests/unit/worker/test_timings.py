"""What a worker's owner counts on, beside what holds in the mesh."""

import pytest
from devteam_worker.settings_sections import HeartbeatSettings
from devteam_worker.timings import Expectation, Timings, of_the_mesh
from structlog.testing import capture_logs

MESH = Timings(30_000, 60_000, 120_000, 300_000)


def test_timings_that_differ_are_warned_of_once() -> None:
    expectation = Expectation(
        HeartbeatSettings(interval_ms=15_000, unhealthy_after_ms=60_000, rebalance_after_ms=90_000)
    )
    with capture_logs() as logs:
        expectation.compare(MESH)
        expectation.compare(MESH)
    assert logs == [
        {
            "event": "the mesh's timings hold, not those of the worker file",
            "log_level": "warning",
            "file": {"intervalMs": 15_000, "rebalanceAfterMs": 90_000},
            "mesh": {"intervalMs": 30_000, "rebalanceAfterMs": 120_000},
            "advice": "take them out of the file, or set DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S, "
            "DEVTEAM_REGISTRY_LOST_AFTER_S (seconds) at the Registry",
        }
    ]


@pytest.mark.parametrize(
    ("heartbeat", "mesh"),
    [
        (HeartbeatSettings(), MESH),
        (HeartbeatSettings(endpoint="https://h.example/api/workers/heartbeat"), MESH),
        (HeartbeatSettings(interval_ms=30_000, deregister_after_ms=300_000), MESH),
        (HeartbeatSettings(interval_ms=15_000, unhealthy_after_ms=70_000), Timings()),
    ],
)
def test_timings_that_agree_or_are_not_told_are_not_warned_of(heartbeat: HeartbeatSettings, mesh: Timings) -> None:
    with capture_logs() as logs:
        Expectation(heartbeat).compare(mesh)
    assert logs == []


def test_a_mesh_that_changes_its_timings_is_heard() -> None:
    """At the next registration; the first one had nothing to warn of."""
    expectation = Expectation(HeartbeatSettings(deregister_after_ms=300_000))
    with capture_logs() as logs:
        expectation.compare(MESH)
        expectation.compare(Timings(30_000, 60_000, 120_000, 600_000))
    assert [line["mesh"] for line in logs] == [{"deregisterAfterMs": 600_000}]


@pytest.mark.parametrize(
    ("key", "variable"),
    [
        ("heartbeat.intervalMs", "DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S"),
        ("heartbeat.unhealthyAfterMs", "DEVTEAM_REGISTRY_UNHEALTHY_AFTER_S"),
        ("heartbeat.rebalanceAfterMs", "DEVTEAM_REGISTRY_LOST_AFTER_S"),
        ("heartbeat.deregisterAfterMs", "DEVTEAM_REGISTRY_DEREGISTER_AFTER_S"),
        ("heartbeat", "DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S, DEVTEAM_REGISTRY_UNHEALTHY_AFTER_S, "),
    ],
)
def test_a_timing_is_the_registrys(key: str, variable: str) -> None:
    assert of_the_mesh(key).startswith(f"the mesh's timings hold: its Registry has them from {variable}")


@pytest.mark.parametrize("key", ["heartbeat.endpoint", "concurrency", "intervalMs", "drainDeadlineMs"])
def test_other_settings_are_the_workers_own(key: str) -> None:
    assert of_the_mesh(key) == ""

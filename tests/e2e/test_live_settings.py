"""A setting that changes while a worker works, in a mesh of real processes."""

import re

import pytest

from tests.e2e.programs import Mesh

WAITS = '"state": "queued".*"wait_reason": "[^"]'

pytestmark = pytest.mark.e2e

ENDLESS = ("--model", "sim", "--option", "tokens=10000", "--option", "tokens_per_second=20", "--queue", "live-queue")


def test_one_slot_more_lets_a_waiting_task_start(mesh: Mesh) -> None:
    alone = ("--id", "grower", "--queue", "live-queue", "--provider", "sim")
    with (
        mesh.worker(*alone, DEVTEAM_DATA=str(mesh.logs / "grower")),
        mesh.watching("task", "run", *ENDLESS, "First") as first,
    ):
        first_id = first.line(r'"event": "task_changed", "task": \{"id": "([^"]+)"')[1]
        grown = mesh.own("config", "set", "concurrency", "1", "--data", str(mesh.logs / "grower"))
        assert grown.stderr == "worker grower has taken it over (1 slots)\n"
        first.line('"event": "tokens"')
        with mesh.watching("task", "run", *ENDLESS, "Second") as second:
            told = second.line(r'"event": "task_changed", "task": \{"id": "([^"]+)"')
            second_id = told[1]
            # It may have begun to wait before it was looked at.
            if not re.search(WAITS, told.string):
                second.line(WAITS)
            grown = mesh.own("config", "set", "concurrency", "2", "--data", str(mesh.logs / "grower"))
            assert grown.stderr == "worker grower has taken it over (2 slots)\n"
            second.line('"state": "running".*"worker_id": "grower"')
            for task_id in (first_id, second_id):
                assert mesh.run("task", "cancel", task_id).returncode == 0
            assert (first.wait(), second.wait()) == (5, 5)

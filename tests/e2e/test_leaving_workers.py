"""Workers that are told to leave or to begin anew, as real processes: what they ran goes on elsewhere."""

import json
import re

import pytest

from tests.e2e.programs import Mesh

pytestmark = pytest.mark.e2e

ENDLESS = ("--model", "sim", "--option", "tokens=10000", "--option", "tokens_per_second=20")


def test_a_drained_worker_hands_back_its_task_which_goes_on_elsewhere_at_no_cost(mesh: Mesh) -> None:
    """The task may be tried once only: one attempt more that counted would have failed it."""
    one_try = ("--queue", "drain-queue", "--max-attempts", "1")
    with (
        mesh.worker("--id", "leaver", "--queue", "drain-queue", "--provider", "sim") as leaver,
        mesh.watching("task", "run", *ENDLESS, *one_try, "Never end") as watcher,
    ):
        task_id = watcher.line(r'"event": "task_changed", "task": \{"id": "([^"]+)"')[1]
        watcher.line('"event": "tokens"')
        with mesh.worker("--id", "stayer", "--queue", "drain-queue", "--provider", "sim"):
            drained = mesh.run("drain", "leaver", "--deadline", "1s", "--wait")
            assert leaver.wait() == 0
            watcher.line('"state": "running".*"attempt": 2, "worker_id": "stayer"')
            assert mesh.run("task", "cancel", task_id).returncode == 0
            assert watcher.wait() == 5
    assert (drained.returncode, drained.stdout) == (0, "")
    first, *_, last = drained.stderr.splitlines()
    assert re.fullmatch(r"leaver is draining, with \d running, .* left", first)
    assert last == "leaver has left"


def test_a_restarted_worker_is_a_new_instance_of_the_same_id_and_takes_work_again(mesh: Mesh) -> None:
    quick = ("--model", "sim", "--option", "tokens=8", "--option", "tokens_per_second=1000")
    with mesh.worker("--id", "phoenix", "--queue", "ash-queue", "--provider", "sim") as worker:
        before = mesh.own("status", "--id", "phoenix").stdout
        restarted = mesh.own("restart", "--id", "phoenix")
        assert (restarted.returncode, restarted.stdout) == (0, "Worker phoenix restarted (concurrency: 4)\n")
        worker.line("^Ready$")
        instances = re.findall(r"^phoenix is registered as (\S+)$", restarted.stderr, re.MULTILINE)
        assert [instance in before for instance in instances] == [False]
        ran = mesh.run("-o", "json", "task", "run", *quick, "--queue", "ash-queue", "Say hello")
    task = json.loads(ran.stdout)
    assert (task["state"], task["worker_id"], task["attempt"]) == ("succeeded", "phoenix", 1)

"""A cancel on its way through real processes: told hop by hop, seen in one trace, and asked for by leaving."""

import json
import re
import time

import pytest

from tests.e2e.programs import PATIENCE, Mesh, Program
from tests.fakes.stored_spans import all_stored_spans

pytestmark = pytest.mark.e2e

ENDLESS = ("--model", "sim", "--option", "tokens=10000", "--option", "tokens_per_second=20")
# What a shell makes of a command that Ctrl-C ended.
INTERRUPTED = 130


def marks_of(mesh: Mesh, task_id: str) -> set[tuple[str, str]]:
    """Spans and the events in them, by their names, in the one trace that this task's run is in."""
    spans = all_stored_spans(mesh.traces)
    traces = {span.trace_id for span in spans if span.attributes.get("devteam.task.id") == task_id}
    assert len(traces) <= 1
    return {(span.name, event.name) for span in spans if span.trace_id in traces for event in span.events}


def begun(watcher: Program) -> str:
    """The id of the task that is watched, once its first words are said."""
    task_id = watcher.line(r'"event": "task_changed", "task": \{"id": "([^"]+)"')[1]
    watcher.line('"event": "tokens"')
    return task_id


def test_a_cancel_that_is_waited_for_tells_every_hop_and_leaves_one_trace(mesh: Mesh) -> None:
    """The Router's answer and the worker's word may cross: of these two, either may be told first."""
    with mesh.watching("task", "run", *ENDLESS, "Never end") as watcher:
        task_id = begun(watcher)
        cancelled = mesh.run("task", "cancel", task_id, "--wait")
        assert watcher.wait() == 5
    assert (cancelled.returncode, cancelled.stdout) == (0, "")
    *hops, summed_up = cancelled.stderr.splitlines()
    told = [
        re.fullmatch(r"(requested|router told|worker local told|model stopped) +\+(\d+) ms(.*)", hop) for hop in hops
    ]
    moments = {hop[1]: int(hop[2]) for hop in told if hop}
    assert (len(hops), len(moments), summed_up) == (4, 4, f"{task_id} is cancelled")
    assert 0 == moments["requested"] <= moments["router told"]
    assert 0 <= moments["worker local told"] <= moments["model stopped"]
    [closed] = [hop[3] for hop in told if hop and hop[1] == "model stopped"]
    assert re.fullmatch(r" \(its connection closed \d+ ms after the worker heard\)", closed)

    expected = {
        ("cancel", "router told to cancel"),
        ("devteam.v1.RouterService/Dispatch", "worker told to cancel"),
        ("run task", "cancel heard"),
        ("run task", "model closed"),
        ("attempt task", "worker told to cancel"),
        ("attempt task", "cancel completed"),
    }
    give_up_at = time.monotonic() + PATIENCE
    while missing := expected - marks_of(mesh, task_id):
        assert time.monotonic() < give_up_at, missing
        time.sleep(0.1)


def test_leaving_cancels_only_what_was_asked_for_so(mesh: Mesh) -> None:
    with (
        mesh.watching("task", "run", *ENDLESS, "Go on") as kept,
        mesh.watching("task", "run", "--cancel-on-exit", *ENDLESS, "Stop") as given_up,
    ):
        kept_id, given_up_id = begun(kept), begun(given_up)
        assert (kept.interrupt(), given_up.interrupt()) == (INTERRUPTED, INTERRUPTED)
    assert mesh.run("task", "watch", given_up_id).returncode == 5
    task = json.loads(mesh.run("-o", "json", "task", "get", kept_id).stdout)
    assert (task["state"], task["cancel_trail"]) == ("running", None)
    assert mesh.run("task", "cancel", kept_id, "--wait").stderr.endswith(f"{kept_id} is cancelled\n")

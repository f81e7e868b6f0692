"""Two machines: a secured mesh on one, on the other a worker behind a box that nobody gets through from outside."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from devteam_cli import local_mesh

from tests.e2e.hosts import BOX_INSIDE, PORT, WORKER, Hosts, forwarding, three_hosts
from tests.e2e.programs import Program

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs `ip`, to make network namespaces"),
]

RATE = 20
# Seconds: within the time that a worker has to come back (link_grace, 10), and beyond all of them.
SHORT_CUT, LONG_CUT = 6.0, 40.0
# What is given up: a broken line is noticed within 16 s, and the worker has 10 s to come back.
GIVEN_UP = 26.0
# A busy machine's share.
SLACK = 10.0


@dataclass
class Told:
    """What a watcher saw of one task: attempts as they began and when, and the tokens of the latest."""

    attempts: list[tuple[int, str, float]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    task: dict[str, Any] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        """One event. Tokens follow each other without a gap, and none comes twice."""
        event = json.loads(line)
        match event["event"]:
            case "attempt_started":
                self.attempts.append((event["attempt"], event["reason"], time.monotonic()))
                self.tokens = []
            case "tokens":
                assert event["first_seq"] == len(self.tokens) + 1, event
                self.tokens += [token["text"] for token in event["tokens"]]
            case "task_changed":
                self.task = event["task"]
            case "gap":
                raise AssertionError(event)

    @property
    def over(self) -> bool:
        """Whether the task has ended."""
        return bool(self.task) and self.task["ended_at"] is not None


@dataclass
class Scene:
    """The mesh runs, the box forwards, and the worker `far` has joined and serves the queue `far`."""

    hosts: Hosts
    far: Program
    stack: ExitStack

    def devteam(self, *command: str) -> str:
        """A command on the server, which is told nothing."""
        return self.hosts.server.said("devteam", *command)

    def watching(self, words: int, *options: str) -> Program:
        """A task of so many words, 20 a second, followed from the server."""
        steered = ("--option", f"tokens={words}", "--option", f"tokens_per_second={RATE}", *options)
        command = ("devteam", "-o", "jsonl", "task", "run", "--model", "sim", "--queue", "far", *steered, "Tell")
        return self.stack.enter_context(self.hosts.server.program(*command))

    def undisturbed(self, words: int) -> str:
        """What such a task says."""
        steered = ("--option", f"tokens={words}", "--queue", "far")
        task = json.loads(self.devteam("-o", "json", "task", "run", "--model", "sim", *steered, "Tell"))
        return str(task["output"])


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    with three_hosts(folder) as hosts, ExitStack() as stack:
        options = ("--secure", "--host", "0.0.0.0", "--port", str(PORT), "--name", BOX_INSIDE, "--no-ui", "--no-worker")
        mesh = stack.enter_context(hosts.server.program("devteam", "up", *options))
        mesh.line("^Try: ")
        stack.enter_context(forwarding(hosts)).line("^Ready$")
        far = joined(hosts, stack)
        yield Scene(hosts, far, stack)
        far.stop()
        assert mesh.stop() == 0


def joined(hosts: Hosts, stack: ExitStack) -> Program:
    """The worker behind the box, which has nothing but a token and a fingerprint."""
    left = local_mesh.read(Path(hosts.server.env["DEVTEAM_DATA"]))
    assert left is not None
    assert left.elsewhere == f"https://{BOX_INSIDE}:{PORT}"
    token = hosts.server.said("devteam", "join-token", "create", "--queue", "far")
    trust = ("--server", left.elsewhere, "--ca-fingerprint", left.fingerprint, "--id", "far")
    assert "Joined" in hosts.worker.said("devteam-worker", "join", token, *trust)
    far = stack.enter_context(hosts.worker.program("devteam-worker", "start", "--provider", "sim"))
    far.line("^Ready$")
    return far


def hear(watcher: Program, told: Told, enough: int = 0) -> Told:
    """Listen until so many tokens were heard, or to the end of the task."""
    while not (told.over or (enough and len(told.tokens) >= enough)):
        told.hear(watcher.line("^{").string)
    return told


def reaches(hosts: Hosts) -> bool:
    """Whether the server gets through to the worker: to a port that certainly listens."""
    listening = "import socket; s = socket.create_server(('0.0.0.0', 7999)); print('Ready', flush=True); s.accept()"
    dial = f"import socket; socket.create_connection(('{WORKER}', 7999), 2)"
    with hosts.worker.program("python", "-c", listening) as listener:
        listener.line("^Ready$")
        # From the box, which sees both, it is there.
        assert hosts.box.ran("python", "-c", dial).returncode == 0
    with hosts.worker.program("python", "-c", listening) as listener:
        listener.line("^Ready$")
        return hosts.server.ran("python", "-c", dial).returncode == 0


def test_a_worker_behind_nat_joins_works_outlasts_a_cut_and_ends_with_its_key(tmp_path: Path) -> None:
    """One-time token, tasks, six seconds without a line: the same attempt, and each token once. Then its key ends."""
    with scene(tmp_path) as at:
        assert not reaches(at.hosts)
        expected = at.undisturbed(300)
        watcher = at.watching(300)
        told = hear(watcher, Told(), enough=RATE)
        at.hosts.cut()
        time.sleep(SHORT_CUT)
        at.hosts.heal()
        hear(watcher, told)
        assert (told.task["state"], told.task["attempt"], told.task["worker_id"]) == ("succeeded", 1, "far")
        assert [attempt for attempt, *_ in told.attempts] in ([], [1])
        assert "".join(told.tokens) == expected

        hear(at.watching(4_000), Told(), enough=RATE)
        keys = json.loads(at.devteam("-o", "json", "keys", "list"))
        [key] = [key["id"] for key in keys if key["worker_id"] == "far"]
        at.devteam("keys", "revoke", key)
        revoked_at = time.monotonic()
        assert at.far.wait() == 78
        assert time.monotonic() - revoked_at < 5


@pytest.mark.slow
def test_a_cut_of_forty_seconds_costs_the_attempt_and_nothing_else(tmp_path: Path) -> None:
    """The line is found broken, the worker has its grace, the next attempt runs elsewhere; the worker comes back."""
    with scene(tmp_path) as at:
        expected = at.undisturbed(600)
        watcher = at.watching(600)
        told = hear(watcher, Told(), enough=RATE)
        near = ("--id", "near", "--queue", "far", "--provider", "sim", "--data", str(tmp_path / "near"))
        left = local_mesh.read(Path(at.hosts.server.env["DEVTEAM_DATA"]))
        assert left is not None
        token = at.devteam("join-token", "create", "--queue", "far", "--worker", "near")
        at.hosts.server.said("devteam-worker", "join", token, "--server", left.url, "--ca", left.ca, *near[-2:])
        at.stack.enter_context(at.hosts.server.program("devteam-worker", "start", *near)).line("^Ready$")
        at.hosts.cut()
        cut_at = time.monotonic()
        while len(told.attempts) < 1 or told.attempts[-1][0] < 2:
            told.hear(watcher.line("^{").string)
        attempt, reason, began_at = told.attempts[-1]
        assert (attempt, reason) == (2, "worker far was lost")
        assert 10 <= began_at - cut_at <= GIVEN_UP + SLACK
        time.sleep(max(0.0, LONG_CUT - (time.monotonic() - cut_at)))
        at.hosts.heal()
        hear(watcher, told)
        assert (told.task["state"], told.task["attempt"], told.task["worker_id"]) == ("succeeded", 2, "near")
        assert "".join(told.tokens) == expected
        # It comes back by itself, without another token, and works.
        at.devteam("drain", "near")
        again = json.loads(at.devteam("-o", "json", "task", "run", "--model", "sim", "--queue", "far", "Tell"))
        assert (again["state"], again["worker_id"]) == ("succeeded", "far")

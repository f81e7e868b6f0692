"""What a worker on this machine says about itself, in a file that its owner's commands read."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own, for two calls
import structlog

from devteam.mesh.errors import FailedPrecondition, InvalidInput, NotFound, Violation

_log = structlog.get_logger()

# Seconds by which two readings of when a process began may differ: the machine's clock is set now and then.
_SAME_BEGIN = 2.0


class Phase(StrEnum):
    """Where in its life a worker is."""

    # It does what it must before it can take work; it may wait for the mesh.
    STARTING = "starting"
    READY = "ready"
    # An operator or its owner wants it so, for as long as they said.
    DRAINING = "draining"
    # Its owner wants it to end, or to begin anew: it drains within its own deadline.
    STOPPING = "stopping"
    # It has drained, and its process begins anew.
    RESTARTING = "restarting"


@dataclass(frozen=True, slots=True)
class Presence:
    """A worker of this machine. `began` and `started_at` are seconds since the epoch, `drain_deadline` is seconds."""

    worker_id: str
    pid: int
    # When the process began: its pid may be somebody else's by now.
    began: float
    # When it last read its settings.
    started_at: float
    command: tuple[str, ...]
    # Its worker file; empty if it has none.
    config: str
    api_url: str
    # Slots that are in force.
    concurrency: int
    drain_deadline: float
    phase: Phase = Phase.STARTING
    # Empty until it is registered.
    instance_id: str = ""
    # It drains to begin anew, and not for good.
    again: bool = False
    # Runs in hand when the drain began.
    running: int = 0
    # Wishes to restart that it heard, and what kept it from the last of them.
    wishes: int = 0
    refusal: str = ""
    # How often it has looked, while at work, for what its owner wants. -1: it knows no such thing, and would end.
    looks: int = -1
    # What of its settings it took over at the last look, and what waits for a new start.
    applied: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    # An operator decides how many slots it has, whatever its settings say.
    wished: bool = False
    # A mesh on this machine runs it for itself: it is meant only where it is named.
    of_mesh: bool = False

    @property
    def is_at_work(self) -> bool:
        """Whether it is registered and does not end."""
        return self.phase in {Phase.READY, Phase.DRAINING}

    @property
    def lives(self) -> bool:
        """Whether the process that wrote it still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.began) < _SAME_BEGIN
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


class Presences:
    """The workers of this machine that keep their files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, worker_id: str) -> Presence | None:
        """What that worker said last; None if it said nothing that can be read."""
        return _read(self._path(worker_id))

    def write(self, presence: Presence) -> None:
        """Say it, all at once: a reader sees the old words or the new ones. Raises OSError."""
        path = self._path(presence.worker_id)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{presence.pid}")
        draft.write_text(json.dumps(asdict(presence), indent=2) + "\n", encoding="utf-8")
        draft.replace(path)

    def remove(self, worker_id: str) -> None:
        """Forget the worker. Raises OSError."""
        self._path(worker_id).unlink(missing_ok=True)

    def live(self) -> list[Presence]:
        """Those that run, in the order of their ids; files of others are left alone.

        Raises OSError where they cannot be seen: that is not the same as none.
        """
        try:
            names = sorted(os.listdir(self.folder))  # noqa: PTH208 - pathlib's glob says nothing of what it cannot see
        except FileNotFoundError:
            return []
        found = (_said(self.folder / name) for name in names if name.endswith(".json"))
        return [presence for presence in found if presence is not None and presence.lives]

    def meant(self, worker_id: str | None) -> list[Presence]:
        """Those that run and are of that id; without an id, all but those that a mesh runs for itself."""
        live = self.live()
        return [each for each in live if (not each.of_mesh if worker_id is None else each.worker_id == worker_id)]

    def working_with(self, file: Path) -> list[Presence]:
        """Those that run with this worker file."""
        return [presence for presence in self.live() if presence.config == str(file.absolute())]

    def the_one(self, worker_id: str | None) -> Presence:
        """The worker of that id, or the only one there is. Raises NotFound, or InvalidInput when there are several."""
        live = self.meant(worker_id)
        if not live:
            name = f"no worker {worker_id} runs" if worker_id else "no worker runs"
            others = ", ".join(presence.worker_id for presence in self.live()) if not worker_id else ""
            but = f" but the mesh's own, which --id names: {others}" if others else ""
            message = f"{name} on this machine, as far as {self.folder} says{but}"
            raise NotFound("worker", worker_id or "", message=message)
        if len(live) > 1:
            names = ", ".join(presence.worker_id for presence in live)
            raise InvalidInput(Violation("--id", "FIELD_REQUIRED", f"say which worker: {names}"))
        return live[0]

    def _path(self, worker_id: str) -> Path:
        return self.folder / f"{worker_id}.json"


class OwnPresence:
    """The file of the worker that this process is.

    A folder that cannot be written costs the owner's commands, never the worker.
    """

    def __init__(self, presences: Presences, presence: Presence) -> None:
        self._presences = presences
        self._presence = presence
        self._stopping = False

    @property
    def place(self) -> tuple[Path, str, tuple[int, float]]:
        """Where its files lie, its worker's id, and which process it is."""
        mine = self._presence
        return self._presences.folder, mine.worker_id, (mine.pid, mine.began)

    def claim(self) -> None:
        """Appear. Raises FailedPrecondition while another process of this machine is the worker of this id."""
        other = self._presences.read(self._presence.worker_id)
        if other is not None and other.pid != self._presence.pid and other.lives:
            raise FailedPrecondition(
                f"worker {other.worker_id} runs on this machine already, as process {other.pid}: use `devteam-worker "
                f"restart --id {other.worker_id}`, or give this one another --id",
                reason="WORKER_RUNS_ALREADY",
            )
        self._say()

    def ready(self, instance_id: str, concurrency: int) -> None:
        """It is registered."""
        self._say(phase=Phase.READY, instance_id=instance_id, concurrency=concurrency)

    def slots(self, concurrency: int, declared: int) -> None:
        """So many are in force, and so many it declared: where they differ, an operator wishes it."""
        wished = concurrency != declared
        if (concurrency, wished) != (self._presence.concurrency, self._presence.wished):
            self._say(concurrency=concurrency, wished=wished)

    def draining(self, running: int) -> None:
        """It takes no more work, and has so many runs in hand."""
        self._say(phase=Phase.STOPPING if self._stopping else Phase.DRAINING, running=running)

    def stopping(self, *, again: bool = False) -> None:
        """Its owner wants it to end, or to begin anew."""
        self._stopping = True
        drains = self._presence.phase is Phase.DRAINING
        self._say(phase=Phase.STOPPING if drains else self._presence.phase, again=again)

    def refused(self, why: str) -> None:
        """It was asked to restart, and goes on as it is."""
        self._say(wishes=self._presence.wishes + 1, refusal=why)

    def looked(self, concurrency: int, applied: tuple[str, ...] = (), waiting: tuple[str, ...] = ()) -> None:
        """It has read its settings while at work, and has so many slots now."""
        self._looked(refusal="", concurrency=concurrency, applied=applied, waiting=waiting)

    def looked_in_vain(self, why: str) -> None:
        """It has read its settings while at work, and goes on with the old ones."""
        self._looked(refusal=why, applied=(), waiting=())

    def restarting(self) -> None:
        """The process begins anew."""
        self._say(phase=Phase.RESTARTING)

    def leave(self) -> None:
        """Disappear."""
        said = self._presences.read(self._presence.worker_id)
        if said is not None and said.pid == self._presence.pid:
            with suppress(OSError):
                self._presences.remove(self._presence.worker_id)

    def _looked(self, **news: Any) -> None:
        self._say(looks=self._presence.looks + 1, **news)

    def _say(self, **news: Any) -> None:
        self._presence = replace(self._presence, **news)
        try:
            self._presences.write(self._presence)
        except OSError as error:
            _log.warning("cannot write the state file; restart, stop and status will not find it", error=str(error))


def this_process() -> tuple[int, float]:
    """The pid of this process, and when it began."""
    return os.getpid(), psutil.Process().create_time()


def _read(path: Path) -> Presence | None:
    try:
        return _said(path)
    except OSError:
        return None


def _said(path: Path) -> Presence | None:
    """What the file says; None if that is nothing, or it is gone by now. Raises OSError."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        lists = {name: tuple(said[name]) for name in ("command", "applied", "waiting") if name in said}
        return Presence(**{**said, **lists, "phase": Phase(said["phase"])})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None

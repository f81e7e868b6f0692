"""Commands for workers that run on this machine already."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import DevTeamError, InvalidInput

if TYPE_CHECKING:
    from devteam_worker.presence import Presence, Presences

WorkerId = Annotated[str | None, typer.Option("--id", help="Which worker [the only one on this machine].")]
Data = Annotated[Path | None, typer.Option(help="Folder with its state [DEVTEAM_DATA, else ~/.devteam].")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for it.", min=0.0)]

config = typer.Typer(name="config", help="Change a worker file.", no_args_is_help=True)


def restart(worker_id: WorkerId = None, data: Data = None, timeout: Timeout = 300.0) -> None:
    """Let a worker finish or hand back its runs, and begin anew with freshly read settings."""
    from devteam_worker import owner

    with _complaining():
        now = owner.restart(_presences(data), worker_id, _say, timeout=timeout)
        print(f"Worker {now.worker_id} restarted (concurrency: {now.concurrency})")  # noqa: T201 - the command's output


def stop(worker_id: WorkerId = None, data: Data = None, timeout: Timeout = 300.0) -> None:
    """Let a worker finish or hand back its runs, and end."""
    from devteam_worker import owner

    with _complaining():
        before = owner.stop(_presences(data), worker_id, _say, timeout=timeout)
        print(f"Worker {before.worker_id} stopped")  # noqa: T201 - the command's output


def status(worker_id: WorkerId = None, data: Data = None) -> None:
    """Show the workers that run on this machine; exit code 1 when there is none."""
    with _complaining():
        presences = _presences(data)
        for presence in presences.live() if worker_id is None else [presences.the_one(worker_id)]:
            print(_line(presence))  # noqa: T201 - the command's output
        if not presences.live():
            presences.the_one(None)


@config.command("set")
def set_(
    key: Annotated[str, typer.Argument(help="As in the file, with dots: concurrency, heartbeat.intervalMs.")],
    value: Annotated[str, typer.Argument(help="As in the file.")],
    file: Annotated[
        Path | None, typer.Option("--config", help="Worker file [the running worker's, else DATA/worker.yaml].")
    ] = None,
    worker_id: WorkerId = None,
    data: Data = None,
) -> None:
    """Write one setting into a worker file; `devteam-worker restart` makes it count."""
    from devteam_worker.settings_edit import set_in_file

    with _complaining():
        running = _running(_presences(data), worker_id) if file is None else None
        path = file or (Path(running.config) if running and running.config else default_file(data))
        set_in_file(path, key, value)
        print(f"{path}: {key} is {value}")  # noqa: T201 - the command's output
        if running is not None and (flag := _flag(key)) in running.command:
            _say(f"worker {running.worker_id} was started with {flag}, which wins over the file")


def folder(data: Path | None) -> Path:
    """Where the workers of this machine keep their state."""
    return data or Path(os.environ.get("DEVTEAM_DATA") or Path.home() / ".devteam")


def default_file(data: Path | None) -> Path:
    """The worker file of a worker that is told of none."""
    return folder(data) / "worker.yaml"


def _presences(data: Path | None) -> "Presences":
    from devteam_worker.presence import Presences

    return Presences(folder(data) / "workers")


def _running(presences: "Presences", worker_id: str | None) -> "Presence | None":
    """The worker that is meant, if any runs. Raises InvalidInput when there are several."""
    return presences.the_one(worker_id) if worker_id or presences.live() else None


def _line(presence: "Presence") -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(presence.started_at))
    instance = presence.instance_id or "not registered"
    return f"{presence.worker_id}  {presence.phase}  pid {presence.pid}  since {since}  {instance}  {presence.api_url}"


def _flag(key: str) -> str:
    return "--" + re.sub(r"(?=[A-Z])", "-", key).lower()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - what the owner waits for


@contextmanager
def _complaining() -> Iterator[None]:
    from devteam.mesh.process import Exit, complain

    try:
        yield
    except DevTeamError as error:
        complain(error)
        raise SystemExit(Exit.CONFIG if isinstance(error, InvalidInput) else Exit.FAILED) from None

"""Commands for the settings of a worker: what holds, where it comes from, and how it changes."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam_worker.command_line import (
    Data,
    File,
    Format,
    Output,
    WorkerId,
    complaining,
    default_file,
    file_of,
    presences_in,
    running,
    say,
    write,
    write_columns,
    write_json,
)

if TYPE_CHECKING:
    from devteam_worker.presence import Presence, Presences
    from devteam_worker.settings_view import Shown

config = typer.Typer(name="config", help="Look at the settings of a worker, and change its file.", no_args_is_help=True)

# Which flags of `start` say something of a setting.
_FLAGS: Mapping[str, tuple[str, ...]] = {
    "id": ("--id",),
    "apiUrl": ("--api-url",),
    "queues": ("--queue", "--model", "--concurrency"),
    "concurrency": ("--concurrency",),
    "weight": ("--weight",),
    "provider": ("--provider",),
    "aliases": ("--alias",),
    "drainDeadlineMs": ("--drain-deadline",),
    "logLevel": ("--log-level",),
    "traceFile": ("--trace-file",),
}

Key = Annotated[str, typer.Argument(help="As in the file, with dots: concurrency, ollama.keepAlive.")]


@config.command()
def show(
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each comes from.")] = False,
    file: File = None,
    worker_id: WorkerId = None,
    data: Data = None,
    form: Format = Output.TABLE,
) -> None:
    """Show every setting as the worker's file, this shell's environment and this machine make it.

    Flags of a running worker win over all of them: they are named on stderr. Secrets are shown as "set".
    """
    with complaining():
        _write(_settings(file, worker_id, data), form, origin=origin)


@config.command()
def get(
    key: Key,
    *,
    file: File = None,
    worker_id: WorkerId = None,
    data: Data = None,
    form: Format = Output.TABLE,
) -> None:
    """Show one setting, or one section; exit code 1 when there is none of that name."""
    from devteam_worker.settings_view import only

    with complaining():
        found = only(_settings(file, worker_id, data), key)
        if form is Output.TABLE and [item.key for item in found] == [key]:
            write(_cell(found[0].value))
        else:
            _write(found, form, origin=False)


@config.command()
def schema() -> None:
    """Print the JSON Schema of the worker file."""
    from devteam_worker.settings_schema import schema_text

    write(schema_text().rstrip("\n"))


@config.command("set")
def set_(
    key: Key,
    value: Annotated[str, typer.Argument(help="As in the file.")],
    file: File = None,
    worker_id: WorkerId = None,
    data: Data = None,
) -> None:
    """Write one setting into a worker file, and have the running worker take it over.

    At once: concurrency, queues (their concurrency), weight, labels, logLevel. Anything else counts after
    `devteam-worker restart`. How often a worker beats, and how long it may be silent, the mesh decides.
    """
    from devteam_worker.settings_edit import set_in_file
    from devteam_worker.settings_view import harmless
    from devteam_worker.timings import of_the_mesh

    with complaining():
        presences = presences_in(data)
        worker = running(presences, worker_id) if file is None else None
        path = file or (Path(worker.config) if worker and worker.config else default_file(data))
        if path == default_file(data):
            # Only this folder is the worker's own; another one was mistyped.
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        set_in_file(path, key, value)
        # Somewhere in what is said of a server there may be a key.
        shown = "set" if key.partition(".")[0] == "mcpServers" else harmless(key, value)
        write(f"{path}: {key} is {shown}")
        decided = of_the_mesh(key)
        # Of what the mesh decides alone, no worker takes anything over.
        if not decided or key == "heartbeat":
            for each in [worker] if worker else presences.working_with(path):
                say(_taken_over(presences, each, key))
        if note := decided or _wasted(path, key):
            say(note)


def _taken_over(presences: "Presences", worker: "Presence", key: str) -> str:
    """Have a running worker read its file, and say what became of the setting."""
    from devteam_worker import owner

    name, setting = worker.worker_id, key.partition(".")[0]
    if worker.of_mesh and not worker.config:
        return f"worker {name} is the mesh's own, and reads no file"
    if not worker.is_at_work:
        return f"worker {name} is {worker.phase}: it counts when it starts next"
    now = owner.take_over(presences, worker)
    if setting in now.waiting:
        rest = " (the concurrency of its queues would count at once)" if setting == "queues" else ""
        return f"worker {name} works on as before: it counts after `devteam-worker restart --id {name}`{rest}"
    if setting in now.applied:
        if now.wished and setting in {"concurrency", "queues"}:
            return f"worker {name} has taken it over, but an operator's wish holds ({now.concurrency} slots)"
        return f"worker {name} has taken it over ({now.concurrency} slots)"
    if flags := [flag for flag in _FLAGS.get(setting, ()) if _is_given(flag, worker.command)]:
        wins = "which wins" if len(flags) == 1 else "which win"
        return f"worker {name} was started with {' and '.join(flags)}, {wins} over the file"
    return (
        f"nothing changes for worker {name}: it has this value, or a flag or a variable of its environment wins over "
        "the file"
    )


def _wasted(path: Path, key: str) -> str:
    """What is to be said where the file's queues cannot take as many runs as its worker could; empty otherwise."""
    from devteam_worker.settings import load_settings

    if key.partition(".")[0] not in {"concurrency", "queues"}:
        return ""
    settings = load_settings(path, {}, {})
    slots = sum(queue.concurrency for queue in settings.queues)
    if slots >= settings.concurrency:
        return ""
    return f"the queues of {path} take {slots} runs in sum, fewer than its concurrency ({settings.concurrency})"


def _settings(file: Path | None, worker_id: str | None, data: Path | None) -> "list[Shown]":
    import asyncio

    from devteam_worker import membership
    from devteam_worker.data_folder import folder
    from devteam_worker.hardware import detect
    from devteam_worker.settings_view import shown

    worker = running(presences_in(data), worker_id) if file is None else None
    if worker is not None and (flags := _flags(worker.command)):
        say(f"worker {worker.worker_id} was started with {flags}, which wins over what is shown here")
    path = file or (Path(worker.config) if worker and worker.config else file_of(None, data))
    return shown(path, os.environ, asyncio.run(detect()), membership.read(folder(data)))


def _write(settings: "list[Shown]", form: Output, *, origin: bool) -> None:
    if form is Output.JSON:
        rows = {item.key: {"value": item.value, "origin": item.origin} if origin else item.value for item in settings}
        write_json(rows)
    elif origin:
        write_columns([(item.key, _cell(item.value), item.origin) for item in settings])
    else:
        write_columns([(item.key, _cell(item.value)) for item in settings])


def _cell(value: object) -> str:
    match value:
        case None | "" | [] | {}:
            return "-"
        case str():
            return value
    return json.dumps(value, ensure_ascii=False)


def _is_given(flag: str, command: tuple[str, ...]) -> bool:
    return any(word == flag or word.startswith(f"{flag}=") for word in command)


def _flags(command: tuple[str, ...]) -> str:
    """What follows `start`, but for the flags that say where its files lie."""
    words = list(command[command.index("start") + 1 :]) if "start" in command else []
    for place in ("--config", "--data"):
        words = [word for word in words if not word.startswith(f"{place}=")]
        if place in words:
            index = words.index(place)
            del words[index : index + 2]
    return " ".join(words)

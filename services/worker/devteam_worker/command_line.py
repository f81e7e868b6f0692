"""What the commands of devteam-worker have in common: their options, where state lies, how they write and complain."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam_worker.data_folder import folder

if TYPE_CHECKING:
    from devteam_worker.presence import Presence, Presences


class Output(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"


def live_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """The workers of this machine, for a shell that completes."""
    try:
        live = presences_in(ctx.params.get("data")).live()
    except OSError:
        return []
    return [presence.worker_id for presence in live if presence.worker_id.startswith(incomplete)]


WorkerId = Annotated[
    str | None,
    typer.Option("--id", help="Which worker [the only one on this machine].", autocompletion=live_ids),
]
Data = Annotated[Path | None, typer.Option(help="Folder with its state [DEVTEAM_DATA, else ~/.devteam].")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for it.", min=0.0)]
File = Annotated[
    Path | None, typer.Option("--config", help="Worker file [the running worker's, else DATA/worker.yaml].")
]
Format = Annotated[Output, typer.Option("-o", "--output", help="How to write it.")]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def default_file(data: Path | None) -> Path:
    """The worker file of a worker that is told of none."""
    return folder(data) / "worker.yaml"


def file_of(config: Path | None, data: Path | None) -> Path | None:
    """The worker file: the one that was named, else the one that lies in the folder of this machine's workers.

    Raises InvalidInput when nobody can say whether one lies there.
    """
    from devteam.mesh.errors import InvalidInput, Violation

    default = default_file(data)
    try:
        return config or (default if default.exists() else None)
    except OSError as error:
        raise InvalidInput(Violation("", "FILE_UNREADABLE", f"{default}: {error.strerror}")) from None


def presences_in(data: Path | None) -> "Presences":
    """The workers of this machine."""
    from devteam_worker.presence import Presences

    return Presences(folder(data) / "workers")


def running(presences: "Presences", worker_id: str | None) -> "Presence | None":
    """The worker that is meant, if any runs. Raises InvalidInput when there are several."""
    return presences.the_one(worker_id) if worker_id or presences.meant(None) else None


def seconds_of(option: str, text: str, *, least: str, most: str) -> float:
    """The seconds that 90, 90s, 5m or 2h means, from `least` to `most`. Raises typer.BadParameter."""
    from devteam.plans import duration

    try:
        length = duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    if not duration(least) <= length <= duration(most):
        raise typer.BadParameter(f"{text!r} is not from {least} to {most}", param_hint=option)
    return length.total_seconds()


def write(text: str) -> None:
    """Put a line on stdout."""
    print(text, flush=True)  # noqa: T201 - the command's output


def write_json(value: object) -> None:
    """One JSON document on stdout, for a reader's eyes too."""
    write(json.dumps(value, indent=2))


def write_columns(rows: Sequence[Sequence[str]]) -> None:
    """Rows on stdout, each column as wide as it must be; nothing in them moves a terminal's cursor."""
    shown = [[_CONTROL.sub("", cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def say(text: str) -> None:
    """Put a line on stderr: what the owner waits for, or should know beside the answer."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - what the owner waits for


@contextmanager
def complaining() -> Iterator[None]:
    """Turn what a command refuses with into lines on stderr and an exit code."""
    from devteam.mesh.errors import DevTeamError, InvalidInput
    from devteam.mesh.process import Exit, complain

    try:
        yield
    except DevTeamError as error:
        complain(error)
        raise SystemExit(Exit.CONFIG if isinstance(error, InvalidInput) else Exit.FAILED) from None
    except OSError as error:
        say(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error.strerror}")
        raise SystemExit(Exit.FAILED) from None

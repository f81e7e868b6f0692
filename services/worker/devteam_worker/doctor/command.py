"""The command that finds out what keeps a worker from working."""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam_worker.command_line import (
    Data,
    File,
    Format,
    Output,
    WorkerId,
    file_of,
    presences_in,
    write,
    write_columns,
    write_json,
)
from devteam_worker.data_folder import folder

if TYPE_CHECKING:
    from devteam.mesh.errors import InvalidInput
    from devteam.mesh.finding import Finding

_FILE = "worker file"


def doctor(
    file: File = None,
    worker_id: WorkerId = None,
    data: Data = None,
    *,
    patience: Annotated[float, typer.Option(help="Seconds for each answer over a network.", min=0.1)] = 5.0,
    form: Format = Output.TABLE,
) -> None:
    """Look at all that a worker needs, and say what to do where something is missing; exit code 1 on a problem.

    Reads settings as a worker that is started from this shell. Asks only the mesh, and the providers that are set.
    """
    from devteam.mesh.finding import Verdict
    from devteam.mesh.logs import configure_logs

    # What providers log of their troubles is what is said here anyway.
    configure_logs("devteam-worker", level="CRITICAL")
    found = asyncio.run(_examined(partial(_file, file, worker_id, data), folder(data), patience))
    if form is Output.JSON:
        write_json(
            [{"check": name, "verdict": it.verdict, "found": it.found, "fix": it.fix} for name, it in found.items()]
        )
    else:
        write_columns([(it.verdict, name, it.found) for name, it in found.items()])
        _write_fixes(found)
    if any(finding.verdict is Verdict.PROBLEM for finding in found.values()):
        raise SystemExit(1)


def _file(file: Path | None, worker_id: str | None, data: Path | None) -> Path | None:
    running = presences_in(data).meant(worker_id)
    if file is None and len(running) == 1 and running[0].config:
        return Path(running[0].config)
    return file_of(file, data)


async def _examined(which: Callable[[], Path | None], data: Path, patience: float) -> "dict[str, Finding]":
    from devteam.mesh.errors import InvalidInput
    from devteam.mesh.finding import ok
    from devteam_worker import membership
    from devteam_worker.doctor import machine, mesh, providers, tools
    from devteam_worker.doctor.examination import Surroundings, examine, unseen
    from devteam_worker.settings import load_settings

    try:
        file = which()
        settings = load_settings(file, {}, os.environ, membership.read(data))
        here = Surroundings(settings, os.environ, data, patience)
    except (InvalidInput, OSError) as wrong:
        here = Surroundings(load_settings(None, {}, {}), {}, data, patience)
        found = _wrong(wrong) if isinstance(wrong, InvalidInput) else {_FILE: unseen(wrong)}
        return {**found, **await examine(machine.CHECKS, here)}
    found = {_FILE: ok(f"{file} is valid" if file else f"there is none at {data / 'worker.yaml'}, and none is needed")}
    return {**found, **await examine((*mesh.CHECKS, *providers.CHECKS, *tools.CHECKS, *machine.CHECKS), here)}


def _wrong(settings: "InvalidInput") -> "dict[str, Finding]":
    """What is wrong with variables of the environment, and with the file."""
    from devteam.mesh.errors import InvalidInput
    from devteam.mesh.finding import problem
    from devteam_worker.settings_layers import ENVIRONMENT

    variables = [violation for violation in settings.violations if violation.field in ENVIRONMENT]
    others = [violation for violation in settings.violations if violation not in variables]
    found = {}
    if others:
        fix = "mend it: devteam-worker config schema says what it may hold"
        found[_FILE] = problem(InvalidInput(*others).message, fix)
    if variables:
        names = ", ".join(dict.fromkeys(violation.field for violation in variables))
        found["environment"] = problem(InvalidInput(*variables).message, f"set {names} to something else, or unset it")
    return found


def _write_fixes(found: "dict[str, Finding]") -> None:
    fixes = [f"{name}: {finding.fix}" for name, finding in found.items() if finding.fix]
    if fixes:
        write("\nWhat to do\n" + "\n".join(fixes))

"""Commands that hand a worker to systemd."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam_worker.command_line import Data, complaining, file_of, presences_in, say, write
from devteam_worker.data_folder import folder

if TYPE_CHECKING:
    from devteam_worker.systemd_unit import Service

service = typer.Typer(name="service", help="Let systemd keep a worker running.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option(help="Worker file [DATA/worker.yaml].", exists=True, dir_okay=False)]
WorkerId = Annotated[str | None, typer.Option("--id", help="Which worker [as its settings say].")]
System = Annotated[bool, typer.Option("--system", help="A service of the machine, not of this user; for root.")]
RunAs = Annotated[str, typer.Option(help="With --system: the user that it runs as [root].")]

_PATIENCE = 120.0
_OTHERS_MAY_READ = 0o077
# What a service does not see of the shell that installs it.
_VARIABLES = ("DEVTEAM_", "ANTHROPIC_", "OLLAMA_", "OPENAI_")


@service.command("print")
def print_(
    worker_id: WorkerId = None, config: Config = None, data: Data = None, *, system: System = False, run_as: RunAs = ""
) -> None:
    """Print the unit, and change nothing."""
    with complaining():
        write(_service(worker_id, config, data, system=system, run_as=run_as).text().rstrip("\n"))


@service.command()
def install(
    worker_id: WorkerId = None, config: Config = None, data: Data = None, *, system: System = False, run_as: RunAs = ""
) -> None:
    """Write the unit, and start the worker now and with every start of the machine.

    It comes back when it dies. It stays away once it was stopped or drained, until `systemctl start`.
    """
    with complaining():
        made = _service(worker_id, config, data, system=system, run_as=run_as)
        _refuse_second(made)
        _put(made)
        write(f"{made.path} is written")
        _warn(made)
        _tell_systemd(made, [("daemon-reload",), ("enable", "--now", made.unit)])


@service.command()
def uninstall(worker_id: WorkerId = None, config: Config = None, data: Data = None, *, system: System = False) -> None:
    """Stop the worker, and remove its unit."""
    from devteam.mesh.errors import NotFound

    with complaining():
        made = _service(worker_id, config, data, system=system, whatever_file=True)
        if not made.path.exists():
            raise NotFound("unit", made.unit, message=f"{made.path} is not there")
        _tell_systemd(made, [("disable", "--now", made.unit)])
        made.path.unlink()
        write(f"{made.path} is gone")
        _tell_systemd(made, [("daemon-reload",)])


def _service(
    worker_id: str | None,
    config: Path | None,
    data: Path | None,
    *,
    system: bool,
    run_as: str = "",
    whatever_file: bool = False,
) -> "Service":
    """The service. With `whatever_file`, one whose id is given may have a file that no worker would take."""
    from devteam.mesh.errors import InvalidInput
    from devteam_worker import membership
    from devteam_worker.settings import load_settings
    from devteam_worker.systemd_unit import Service, this_command

    if run_as:
        _check_user(run_as, data, system=system)
    file = file_of(config, data)
    try:
        # As the service will read them: without this shell's environment.
        settings = load_settings(file, {"worker_id": worker_id}, {}, membership.read(folder(data)))
    except InvalidInput:
        if not (whatever_file and worker_id):
            raise
        settings = load_settings(None, {"worker_id": worker_id}, {})
    return Service(
        settings.worker_id,
        this_command(),
        data=folder(data).absolute(),
        config=file.absolute() if file else None,
        drain_deadline=settings.drain_deadline_ms / 1000,
        system=system,
        run_as=run_as,
    )


def _check_user(name: str, data: Path | None, *, system: bool) -> None:
    from devteam.mesh.errors import InvalidInput, Violation

    if not system:
        why = "is for --system: your own service runs as you"
    elif data is None:
        why = f"needs --data: a folder that {name} may write, which this user's own is not"
    else:
        return
    raise InvalidInput(Violation("--run-as", "INVALID_VALUE", why))


def _refuse_second(made: "Service") -> None:
    """The service would end at once, and stay away, while the same worker runs beside it."""
    from devteam.mesh.errors import FailedPrecondition

    now = presences_in(made.data).read(made.worker_id)
    if now is not None and now.lives and not made.has(now.pid):
        raise FailedPrecondition(
            f"worker {now.worker_id} runs already, as process {now.pid}: stop it first: "
            f"devteam-worker stop --id {now.worker_id}"
        )


def _put(made: "Service") -> None:
    from devteam.mesh.errors import FailedPrecondition

    try:
        if not made.data.exists():
            made.data.mkdir(mode=0o700, parents=True)
            if made.run_as:
                shutil.chown(made.data, made.run_as)
        made.path.parent.mkdir(parents=True, exist_ok=True)
        made.path.write_text(made.text(), encoding="utf-8")
    except OSError as error:
        hint = "; --system is for root" if made.system else ""
        raise FailedPrecondition(f"{made.path} cannot be written ({error.strerror}){hint}") from None
    except LookupError:
        raise FailedPrecondition(f"this machine has no user {made.run_as}") from None


def _warn(made: "Service") -> None:
    unseen = sorted(name for name in os.environ if name.startswith(_VARIABLES) and name != "DEVTEAM_DATA")
    if unseen:
        say(f"the service does not see variables of this shell: put {', '.join(unseen)} into {made.secrets}")
    if made.secrets.exists() and made.secrets.stat().st_mode & _OTHERS_MAY_READ:
        say(f"others may read {made.secrets}, where keys lie: chmod 600 {shlex.quote(str(made.secrets))}")
    if not made.system:
        say("it runs while you are logged in; to let it run without you: loginctl enable-linger")


def _tell_systemd(made: "Service", commands: list[tuple[str, ...]]) -> None:
    """Run systemctl, where there is one. Raises FailedPrecondition with what to run when it fails."""
    from devteam.mesh.errors import FailedPrecondition

    lines = [made.systemctl(*command) for command in commands]
    by_hand = " && ".join(map(shlex.join, lines))
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        say(f"there is no systemctl here; where systemd runs: {by_hand}")
        return
    for _, *arguments in lines:
        # A stop may take as long as the worker's drain.
        patience = _PATIENCE + made.drain_deadline
        ran = subprocess.run((systemctl, *arguments), capture_output=True, text=True, timeout=patience, check=False)  # noqa: S603 - systemctl, and our own words
        if ran.returncode:
            why = " ".join((ran.stderr or ran.stdout).split())
            raise FailedPrecondition(f"systemctl refused ({why}); once that is mended: {by_hand}")

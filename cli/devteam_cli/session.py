"""What every command has in common: where the mesh is, how to write, and what errors become."""

import asyncio
import inspect
import itertools
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from devteam.mesh.errors import DevTeamError
from devteam_cli.failures import Exit, code_of, complain
from devteam_cli.output import Output

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from devteam.client import DevTeamClient

# An async function that takes a Session first; what it returns is the exit code, None meaning OK.
_Command: TypeAlias = Callable[..., Awaitable[Exit | None]]
# Seconds until a mesh counts as not there; a Planner whose Temporal is away takes three to say so.
_TIMEOUT = 10.0
# Seconds for which a watch looks for a mesh that is not there. Every other call takes about one to say so.
_PATIENCE = 1.0
_PANEL = "Connection and output"

ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api-url",
        help="Where the mesh is (DEVTEAM_API_URL; else a secured one that runs here, or http://127.0.0.1:7400).",
        rich_help_panel=_PANEL,
    ),
]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", help="The key to show to it (DEVTEAM_API_KEY).", rich_help_panel=_PANEL)
]
OutputOption = Annotated[
    Output | None, typer.Option("--output", "-o", help="How to write data: table unless said.", rich_help_panel=_PANEL)
]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What was said before the command's name."""

    api_url: str | None = None
    api_key: str | None = None
    output: Output | None = None

    def under(self, said: "Defaults") -> "Defaults":
        """What holds once `said` was said, too."""
        return Defaults(said.api_url or self.api_url, said.api_key or self.api_key, said.output or self.output)


class Session:
    """One command at work: its client, and how it writes."""

    def __init__(self, client: "DevTeamClient", output: Output) -> None:
        self.client = client
        self.output = output

    @property
    def is_text(self) -> bool:
        """Whether a person reads along."""
        return self.output is Output.TABLE

    def show(self, *parts: "RenderableType") -> None:
        """Put parts on stdout."""
        show(*parts)


def show(*parts: "RenderableType") -> None:
    """Put parts on stdout: as wide as the terminal, and as wide as need be off one."""
    screen = console(sys.stdout)
    if screen.is_terminal:
        screen.print(*parts, sep="\n")
        return
    with screen.capture() as drawn:
        screen.print(*parts, sep="\n")
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in drawn.get().splitlines())


def console(stream: Any) -> "Console":
    """A console on `stream` that takes text literally and wraps it only on a terminal."""
    from rich.console import Console

    width = None if stream.isatty() else 10_000
    # Left to itself, rich takes NO_COLOR for a wish to be bold without colours.
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(file=stream, width=width, color_system=colours, highlight=False, markup=False, emoji=False)


def connected(run: _Command) -> Callable[..., None]:
    """Make a command of an async function that takes a Session first.

    Adds --api-url, --api-key and --output, opens the client, and turns what goes wrong into one line and an exit code.
    """
    _, *own = _parameters(run)

    @wraps(run)
    def command(ctx: typer.Context, **given: Any) -> None:
        said = Defaults(given.pop("api_url"), given.pop("api_key"), given.pop("output"))
        try:
            code = asyncio.run(_in_session(run, (ctx.obj or Defaults()).under(said), given))
        except DevTeamError as error:
            complain(error)
            code = code_of(error)
        raise typer.Exit(code or Exit.OK)

    parameters = [_keyword("ctx", typer.Context), *own, *_SHARED]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def taking(*reads: Callable[..., dict[str, Any]]) -> Callable[[_Command], _Command]:
    """Give a command the options of `reads`, and what they make of them as its first argument after the session."""

    def decorate(run: _Command) -> _Command:
        options = {read: _parameters(read) for read in reads}
        session, _, *own = _parameters(run)

        @wraps(run)
        def command(session: Session, **given: Any) -> Awaitable[Exit | None]:
            taken: dict[str, Any] = {}
            for read, its in options.items():
                taken |= read(**{option.name: given.pop(option.name) for option in its})
            return run(session, taken, **given)

        signature = inspect.Signature([session, *itertools.chain(*options.values()), *own])
        command.__signature__ = signature  # type: ignore[attr-defined]  # what `connected` reads
        return command

    return decorate


def client_of(url: str | None, key: str | None, timeout: float) -> "DevTeamClient":
    """The client of the mesh that is meant; `timeout` in seconds. Raises InvalidInput."""
    from devteam.client import DevTeamClient
    from devteam_cli.local_mesh import access

    found = access(url, key, os.environ)
    return DevTeamClient(found.url, api_key=found.key, timeout=timeout, patience=_PATIENCE, ca_file=found.ca)


async def _in_session(run: _Command, said: Defaults, given: dict[str, Any]) -> Exit | None:
    async with client_of(said.api_url, said.api_key, _TIMEOUT) as client:
        return await run(Session(client, said.output or Output.TABLE), **given)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """What a function takes, all by name: typer calls by name, and parts of several functions fit together."""
    given = inspect.signature(function, eval_str=True).parameters.values()
    return [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in given]


def _keyword(name: str, annotation: object, default: object = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


_SHARED = [
    _keyword(name, kind, None) for name, kind in (("api_url", ApiUrl), ("api_key", ApiKey), ("output", OutputOption))
]

"""`devteam events`: what happens in the mesh, a line each."""

import sys
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import DevTeamError
from devteam_cli import output
from devteam_cli.arguments import length_of_time
from devteam_cli.output import Output
from devteam_cli.session import Session, connected, console
from devteam_cli.stderr import say
from devteam_cli.text import printable

if TYPE_CHECKING:
    from rich.text import Text

    from devteam.client import DevTeamClient
    from devteam_cli.happenings import Happening

_STYLES = {
    "succeeded": "green",
    "healthy": "green",
    "joined": "green",
    "resumed": "green",
    "back": "green",
    "placed": "cyan",
    "began": "cyan",
    "failed": "red",
    "lost": "red",
    "unhealthy": "red",
    "interrupted": "red",
    "retried": "yellow",
    "waits": "yellow",
    "suspect": "yellow",
    "cordoned": "yellow",
    "draining": "yellow",
    "paused": "yellow",
    "skipped": "yellow",
    "cancelling": "magenta",
    "cancelled": "magenta",
    "left": "magenta",
    "gone": "magenta",
}


@connected
async def events(
    session: Session,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, until interrupted.")] = False,
    since: Annotated[
        str | None, typer.Option(help="Begin so long ago: 10m, 2h. Without it: 1h, or now with --follow.")
    ] = None,
    kind: Annotated[
        list[str], typer.Option(help='Only this kind, e.g. "worker" or "task.failed"; once for each.')
    ] = [],  # noqa: B006 - typer copies it
    utc: Annotated[bool, typer.Option("--utc", help="Show times in UTC, not in local time.")] = False,
) -> None:
    """Tell what happened to workers, tasks, plans and queues, and with --follow what happens."""
    if follow and session.output is Output.JSON:
        raise typer.BadParameter("a document that never ends is of no use; take -o jsonl", param_hint="--follow")
    _check_kinds(kind)
    length = length_of_time(since or ("0s" if follow else "1h"))
    mesh_now = await _clock(session.client)
    try:
        begin = mesh_now() - length
    except OverflowError:
        raise typer.BadParameter("lies before all time", param_hint="--since") from None
    await _write(session, begin, mesh_now, _Writer(session, tuple(kind), utc=utc), follow=follow)


def _check_kinds(kinds: Iterable[str]) -> None:
    from devteam_cli.happenings import KINDS

    known = {*KINDS, *(kind.partition(".")[0] for kind in KINDS)}
    for kind in kinds:
        if kind not in known:
            raise typer.BadParameter(f"{kind!r} is none; there are {', '.join(sorted(known))}", param_hint="--kind")


async def _write(
    session: Session, since: datetime, now: Callable[[], datetime], writer: "_Writer", *, follow: bool
) -> None:
    from devteam_cli.story import Story
    from devteam_cli.telling import told

    story, is_beginning = Story(since), True
    async with aclosing(told(session.client, story, now, follow=follow)) as parts:
        async for happenings in parts:
            writer.write(happenings)
            if is_beginning and story.since > since:
                say(f"more has ended since than a mesh tells of; this begins at {writer.time(story.since)}")
            is_beginning = False


async def _clock(client: "DevTeamClient") -> Callable[[], datetime]:
    """The Planner's clock, by which it says when things happened; this machine's where it does not say."""
    ahead = timedelta()
    with suppress(DevTeamError):  # whatever is wrong, the watches will say it
        ahead = next((one.clock_ahead for one in await client.get_status() if one.name == "planner"), ahead)
    return lambda: datetime.now(UTC) + ahead


class _Writer:
    """Puts happenings of the wanted kinds on stdout; of all kinds where none is wanted."""

    def __init__(self, session: Session, kinds: tuple[str, ...], *, utc: bool) -> None:
        self._output = session.output
        self._kinds = kinds
        self._utc = utc
        self._screen = console(sys.stdout)
        self._day = datetime.now(UTC if utc else None).date()

    def write(self, told: "Iterable[Happening]") -> None:
        """Each on a line; as one document where that was asked for."""
        wanted = [happening for happening in told if self._is_wanted(happening.kind)]
        if self._output is not Output.TABLE:
            output.write_items(self._output, wanted)
            sys.stdout.flush()
            return
        for happening in wanted:
            self._screen.print(self._line(happening))

    def time(self, moment: datetime) -> str:
        """With the day where that is not today."""
        there = moment.astimezone(UTC if self._utc else None)
        day = "" if there.date() == self._day else f"{there:%Y-%m-%d} "
        return f"{day}{there:%H:%M:%S}"

    def _is_wanted(self, kind: str) -> bool:
        return not self._kinds or any(kind == wanted or kind.startswith(f"{wanted}.") for wanted in self._kinds)

    def _line(self, happening: "Happening") -> "Text":
        from rich.text import Text

        style = _STYLES.get(happening.kind.partition(".")[2], "")
        line = Text.assemble((f"{self.time(happening.at)} ", "dim"), (f"{happening.kind:<16} ", style))
        line.append(f"{printable(happening.subject)} " if happening.subject else "", "bold")
        return line.append(printable(" ".join(happening.text.split())))

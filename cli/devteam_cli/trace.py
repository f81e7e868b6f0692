"""`devteam trace`: what happened to a task or a plan, when, where, and because of what."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.errors import NotFound
from devteam_cli import output
from devteam_cli.output import Output
from devteam_cli.session import Session, connected, console
from devteam_cli.stderr import say
from devteam_cli.trace_clocks import by_one_clock
from devteam_cli.trace_tree import Branch, attempts_alone, grown, of_task

if TYPE_CHECKING:
    from devteam.client import DevTeamClient
    from devteam.traces import Trace

# Spans that are drawn one by one unless --all is said: more are no picture.
_MANY = 100
_TRACE_ID = re.compile("[0-9a-fA-F]{32}")

Traced = Annotated[str, typer.Argument(help="The id of a task, a plan or a trace.", metavar="TASK_OR_PLAN")]
Everything = Annotated[bool, typer.Option("--all", help="All: of a plan's step the plan, of a long trace each span.")]
Otlp = Annotated[bool, typer.Option("--otlp", help="Write OTLP as JSON, for other tools to import.")]


@dataclass(frozen=True, slots=True)
class _Sought:
    """What to look for: a trace, and in it a step's task if only that is wanted."""

    title: str
    trace_id: str
    task_id: str = ""
    running: bool = False


@connected
async def trace(session: Session, *, traced: Traced, everything: Everything = False, otlp: Otlp = False) -> None:
    """Show what happened to a task or a plan as a waterfall: attempts, waits, model calls, tools."""
    sought = await _sought(session.client, traced)
    found = await _found(session.client, sought)
    # What other programs read has every clock's own times.
    drawn = by_one_clock(found.spans) if session.output is Output.TABLE and not otlp else None
    roots = grown(drawn.spans if drawn else found.spans)
    if sought.task_id and not everything:
        roots = of_task(roots, sought.task_id)
        if not roots:
            raise NotFound("trace", sought.trace_id, message=_nothing(sought))
    if drawn:
        _draw(session, found, roots, drawn.notes, whole=everything or bool(sought.task_id))
    else:
        _write(session, found, roots, otlp=otlp)
    if found.truncated:
        say(f"there are more spans than an answer holds; these are the first {len(found.spans)}")
    if sought.running:
        say(f"{sought.title} still runs: what has not ended yet is missing here")


async def _sought(client: "DevTeamClient", traced: str) -> _Sought:
    if _TRACE_ID.fullmatch(traced):
        return _Sought(f"trace {traced}", traced.lower())
    try:
        task = await client.get_task(traced)
    except NotFound:
        return await _sought_plan(client, traced)
    is_step = task.plan_id != task.id
    return _Sought(task.id, task.trace_id, task.id if is_step else "", running=not task.state.ended)


async def _sought_plan(client: "DevTeamClient", traced: str) -> _Sought:
    try:
        plan = await client.get_plan(traced)
    except NotFound:
        raise NotFound("task or plan", traced) from None
    return _Sought(plan.id, plan.trace_id, running=not plan.state.ended)


async def _found(client: "DevTeamClient", sought: _Sought) -> "Trace":
    if not sought.trace_id:
        raise NotFound("trace", "", message=f"{sought.title} was not traced: tracing is off in the mesh")
    try:
        return await client.get_trace(sought.trace_id)
    except NotFound as error:
        if error.reason == "NO_TRACE_STORE":
            raise
        raise NotFound("trace", sought.trace_id, message=_nothing(sought)) from None


def _nothing(sought: _Sought) -> str:
    if sought.running:
        return f"no span of {sought.title} is kept yet: it still runs, and a span is told once it has ended"
    return f"no span of {sought.title} is kept: it is older than what there is room for, or went elsewhere"


def _draw(session: Session, found: "Trace", roots: Sequence[Branch], notes: Sequence[str], *, whole: bool) -> None:
    from devteam_cli.trace_view import heading, waterfall

    spans = [span for root in roots for span in root.spans()]
    screen = console(sys.stdout)
    shown = roots if whole else _readable(roots, len(spans))
    session.show(heading(found.id, spans), *notes, *waterfall(shown, screen.width if screen.is_terminal else 0))


def _write(session: Session, found: "Trace", roots: Sequence[Branch], *, otlp: bool) -> None:
    spans = [span for root in roots for span in root.spans()]
    if otlp:
        from devteam_cli.trace_otlp import otlp_json

        output.write_item(session.output, otlp_json(spans))
    elif session.output is Output.JSONL:
        output.write_items(session.output, spans)
    else:
        output.write_json({"id": found.id, "spans": spans, "truncated": found.truncated})


def _readable(roots: Sequence[Branch], spans: int) -> Sequence[Branch]:
    """All of it, or of a long trace its attempts, if there are several."""
    attempts = attempts_alone(roots)
    if spans <= _MANY or len(attempts) < 2:
        return roots
    say("each bar is an attempt; --all draws every span, and `devteam trace TASK` those of one step")
    return attempts

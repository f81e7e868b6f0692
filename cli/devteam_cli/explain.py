"""`devteam explain`: why a task waits, or where one would go."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from devteam.mesh.errors import DevTeamError, NotFound
from devteam.models import Explanation, Task
from devteam_cli import output
from devteam_cli.completion import task_ids
from devteam_cli.explain_view import candidates_table, facts, headline, known_of
from devteam_cli.session import Session, connected, taking
from devteam_cli.task_options import placed

if TYPE_CHECKING:
    from devteam.client import DevTeamClient

Explained = Annotated[
    str | None, typer.Argument(help="The id of a task; none with --dry-run.", metavar="TASK", autocompletion=task_ids)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Ask about a task that is not submitted; see --model.")]
Model = Annotated[str, typer.Option("--model", "-m", help="The model of a dry run; what else there is goes with it.")]


@connected
@taking(placed)
async def explain(
    session: Session,
    placement: dict[str, Any],
    *,
    task_id: Explained = None,
    dry_run: DryRun = False,
    model: Model = "",
) -> None:
    """Say why a task waits, why it runs or ran where it does, or (--dry-run) where it would go."""
    _check(task_id, placement, model, dry_run=dry_run)
    task = None
    if task_id is None:
        explanation = await session.client.explain_run(model=model, **placement)
    else:
        explanation, task = await _explained(session.client, task_id)
    if session.is_text:
        _show(session, explanation, headline(explanation, task, submitted=not dry_run))
    else:
        output.write_item(session.output, explanation)


async def _explained(client: "DevTeamClient", task_id: str) -> tuple[Explanation, Task | None]:
    """What a Router says of a task, or what the Planner knows where none holds it: not yet, or no more."""
    try:
        explanation = await client.explain(task_id)
    except NotFound:
        task = await client.get_task(task_id)
        return known_of(task), task
    with suppress(DevTeamError):  # it only tells whether the task has ended meanwhile
        return explanation, await client.get_task(task_id)
    return explanation, None


def _check(task_id: str | None, placement: dict[str, Any], model: str, *, dry_run: bool) -> None:
    if dry_run and (task_id or not model):
        raise typer.BadParameter("a dry run takes a --model, and no TASK")
    if not dry_run and not task_id:
        raise typer.BadParameter("name a TASK, or ask about one that is not submitted: --dry-run --model MODEL")
    if not dry_run and (model or placement != placed()):
        raise typer.BadParameter("a TASK says itself how it is placed; such options go with --dry-run")


def _show(session: Session, explanation: Explanation, first: str) -> None:
    session.show(first)
    if (known := facts(explanation)).row_count:
        session.show(known)
    if explanation.candidates:
        session.show(candidates_table(explanation))

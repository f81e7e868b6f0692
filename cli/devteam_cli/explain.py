"""`devteam explain`: why a task waits, or where one would go."""

from typing import Annotated, Any

import typer

from devteam.models import Explanation
from devteam_cli import output
from devteam_cli.completion import task_ids
from devteam_cli.explain_view import candidates_table, facts, headline
from devteam_cli.session import Session, connected, taking
from devteam_cli.task_options import placed

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
    """Say why a task waits, why it runs where it runs, or (--dry-run) where it would go."""
    _check(task_id, placement, model, dry_run=dry_run)
    if task_id is None:
        explanation = await session.client.explain_run(model=model, **placement)
    else:
        explanation = await session.client.explain(task_id)
    if session.is_text:
        _show(session, explanation, submitted=not dry_run)
    else:
        output.write_item(session.output, explanation)


def _check(task_id: str | None, placement: dict[str, Any], model: str, *, dry_run: bool) -> None:
    if dry_run and (task_id or not model):
        raise typer.BadParameter("a dry run takes a --model, and no TASK")
    if not dry_run and not task_id:
        raise typer.BadParameter("name a TASK, or ask about one that is not submitted: --dry-run --model MODEL")
    if not dry_run and (model or placement != placed()):
        raise typer.BadParameter("a TASK says itself how it is placed; such options go with --dry-run")


def _show(session: Session, explanation: Explanation, *, submitted: bool) -> None:
    session.show(headline(explanation, submitted=submitted))
    if (known := facts(explanation)).row_count:
        session.show(known)
    if explanation.candidates:
        session.show(candidates_table(explanation))

"""`devteam queues` and `devteam explain`: what waits, and why."""

from devteam_cli import output, render
from devteam_cli.arguments import TaskId
from devteam_cli.session import Session, connected
from devteam_cli.stderr import say


@connected
async def list_queues(session: Session) -> None:
    """Show all queues: what waits, what runs, what could."""
    queues = await session.client.list_queues()
    if not session.is_text:
        output.write_items(session.output, queues)
    elif queues:
        session.show(render.queues_table(queues))
    else:
        say("no queues: no worker serves one and nothing waits")


@connected
async def explain(session: Session, task_id: TaskId) -> None:
    """Say why a task waits, or why it runs where it runs."""
    explanation = await session.client.explain(task_id)
    if not session.is_text:
        output.write_item(session.output, explanation)
        return
    where = f"runs on {explanation.worker_id}" if explanation.worker_id else "waits"
    queue = f" (queue {explanation.queue})" if explanation.queue else ""
    session.show(f"{where}{queue}: {explanation.reason}")
    if explanation.candidates:
        session.show(render.candidates_table(explanation))

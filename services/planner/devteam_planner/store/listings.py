"""How lists of plans and tasks are read: a page from an index, whoever asks."""

from typing import Any

import sqlalchemy as sa

from devteam_planner.domain import PlanState, TaskState
from devteam_planner.store.statements import OF_PLAN
from devteam_planner.store.tables import plans, tasks

# Not what lies behind the output, either: SQLite would have to read past it.
_UNREAD = {tasks.c.output, tasks.c.tenant, tasks.c.wanted_queue, tasks.c.changed_at}
WITHOUT_OUTPUT = sa.select(
    *(column for column in tasks.c if column not in _UNREAD),
    sa.literal_column("''").label("output"),
    plans.c.tenant,
    *OF_PLAN,
).join(plans, plans.c.plan_id == tasks.c.plan_id)


def plans_of(*, state: PlanState | None, before: str, limit: int, whose: str) -> sa.Select[Any]:
    """See PlanStore.plans."""
    query = sa.select(plans).where(plans.c.sole.is_(False)).order_by(plans.c.plan_id.desc()).limit(limit)
    if state is not None:
        query = query.where(plans.c.state == state.value)
    if before:
        query = query.where(plans.c.plan_id < before)
    return query.where(plans.c.tenant == whose) if whose else query


def tasks_of(*, plan_id: str, state: TaskState | None, before: str, limit: int, whose: str) -> sa.Select[Any]:
    """See PlanStore.tasks."""
    wanted = tasks.c.plan_id == plan_id if plan_id else tasks.c.sole.is_(True)
    query = WITHOUT_OUTPUT.where(wanted).order_by(tasks.c.task_id.desc()).limit(limit)
    if state is not None:
        query = query.where(tasks.c.state == state.value)
    if before:
        query = query.where(tasks.c.task_id < before)
    # That of a task is there for its index, and lies behind the output.
    tenant = plans.c.tenant if plan_id else tasks.c.tenant
    return query.where(tenant == whose) if whose else query

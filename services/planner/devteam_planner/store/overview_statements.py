"""How all tasks are read, made once; parameters as in `statements`."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from devteam_planner.store.statements import OF_PLAN
from devteam_planner.store.tables import Moment, plans, tasks, token_batches

# Prompts may be long, and so may outputs: neither leaves the database. Nor is read what lies behind the output, but for
# what is NULL mostly.
_UNREAD = {tasks.c.spec, tasks.c.output, tasks.c.tenant, tasks.c.wanted_queue, tasks.c.changed_at}
_SINCE = sa.bindparam("since", type_=Moment())
_AFTER = sa.bindparam("after", type_=sa.Text())
_AT_MOST = sa.bindparam("at_most", type_=sa.Integer())


def seen(dialect: str) -> sa.Select[Any]:
    """Tasks without prompts and outputs."""
    return sa.select(
        *(column for column in tasks.c if column not in _UNREAD),
        _spec(dialect).label("spec"),
        sa.literal_column("''").label("output"),
        plans.c.tenant,
        *OF_PLAN,
    ).join(plans, plans.c.plan_id == tasks.c.plan_id)


def still_open(what: sa.Select[Any]) -> sa.Select[Any]:
    """Of tasks that have not ended."""
    return what.where(tasks.c.ended_at.is_(None), tasks.c.task_id > _AFTER).order_by(tasks.c.task_id).limit(_AT_MOST)


def of_tenant(what: sa.Select[Any]) -> sa.Select[Any]:
    """Of one tenant only."""
    return what.where(tasks.c.tenant == sa.bindparam("whose", type_=sa.Text()))


def of_ids(what: sa.Select[Any]) -> sa.Select[Any]:
    """Of tasks that are named."""
    return what.where(tasks.c.task_id.in_(sa.bindparam("of_tasks", expanding=True)))


def _spec(dialect: str) -> sa.ColumnElement[Any]:
    if dialect == "sqlite":
        kept = sa.func.json_set(tasks.c.spec, "$.prompt", "", "$.system_prompt", "")
        return sa.type_coerce(kept, sa.JSON())
    empty = sa.cast(sa.literal('{"prompt": "", "system_prompt": ""}', sa.Text()), JSONB)
    return sa.type_coerce(sa.cast(tasks.c.spec, JSONB).op("||")(empty), JSONB())


ENDED = (
    sa.select(tasks.c.task_id)
    .where(tasks.c.changed_at >= _SINCE, tasks.c.ended_at.is_not(None))
    .order_by(tasks.c.changed_at.desc(), tasks.c.task_id.desc())
    .limit(_AT_MOST)
)
ENDED_OF = of_tenant(ENDED)
WRITES = (
    sa.select(tasks.c.changed_at, tasks.c.task_id, tasks.c.version)
    .where(sa.tuple_(tasks.c.changed_at, tasks.c.task_id) > sa.tuple_(_SINCE, _AFTER))
    .order_by(tasks.c.changed_at, tasks.c.task_id)
    .limit(_AT_MOST)
)
_LAST_SEQ = (
    sa.select(sa.func.max(token_batches.c.last_seq))
    .where(token_batches.c.task_id == tasks.c.task_id, token_batches.c.attempt == tasks.c.attempt)
    .scalar_subquery()
)
# The state as a literal: with a parameter, the database could not use the partial index.
COUNTS = sa.select(tasks.c.task_id, tasks.c.attempt, tasks.c.tenant, _LAST_SEQ.label("tokens")).where(
    tasks.c.state == sa.literal_column("'running'")
)

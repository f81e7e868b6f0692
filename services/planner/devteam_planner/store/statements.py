"""The statements that every step of every plan needs, made once: making one takes longer than carrying it out.

Parameters named `of_...` say which row is meant; parameters named like columns are what is written.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from devteam_planner.domain import TaskState
from devteam_planner.store.tables import Moment, attempts, plans, tasks, token_batches

TASK_ENDS = [state.value for state in TaskState if state.ended]


def update(table: sa.Table) -> sa.Update:
    """An update that raises the row's version, so that watchers see it."""
    return sa.update(table).values(version=table.c.version + 1)


_OPEN = (
    tasks.c.task_id == sa.bindparam("of_task"),
    tasks.c.attempt == sa.bindparam("of_attempt"),
    tasks.c.attempt_open.is_(True),
)
_WITH_WORKER = (
    tasks.c.worker_id.is_not_distinct_from(sa.bindparam("of_worker")),
    tasks.c.instance_id.is_not_distinct_from(sa.bindparam("of_instance")),
)
_NOW = sa.bindparam("now", type_=Moment())


def _fenced() -> sa.Update:
    """An update only while `of_attempt` is the task's newest and open: the database decides, in the write itself."""
    return update(tasks).where(*_OPEN)


def _told(hop: sa.Column[datetime]) -> sa.Update:
    """The first news of a hop of a cancel. Not only while the attempt is open: the news may be slower than its end."""
    return update(tasks).where(
        tasks.c.task_id == sa.bindparam("of_task"),
        tasks.c.attempt == sa.bindparam("of_attempt"),
        tasks.c.cancel_requested_at.is_not(None),
        hop.is_(None),
    )


def _of_its_plan(column: Any) -> sa.Label[Any]:
    """A column of the plan of a task that is written."""
    mine = sa.select(column).where(plans.c.plan_id == tasks.c.plan_id).correlate(tasks)
    return mine.scalar_subquery().label(column.name)


def append_tokens(insert: Any) -> sa.Insert:
    """Tokens, stored only while the attempt is the newest and open and with that worker. `insert`: the dialect's own.

    What is there already stays. The row count says how many were stored.
    """
    columns = token_batches.c
    values = sa.select(
        tasks.c.task_id,
        tasks.c.attempt,
        *(sa.bindparam(f"its_{name}", type_=columns[name].type) for name in ("last_seq", "first_seq", "payload")),
    ).where(*_OPEN, *_WITH_WORKER)
    names = ["task_id", "attempt", "last_seq", "first_seq", "payload"]
    statement: sa.Insert = insert(token_batches).from_select(names, values).on_conflict_do_nothing()
    return statement.execution_options(preserve_rowcount=True)


def unstored(dialect: str) -> sa.Select[int]:
    """The places of those of `entries` that are not stored, not even in a batch that is larger by now.

    `entries` is a list of lists: a place, a task's id, an attempt, a last seq. One statement, however many there are.
    """
    each = sa.func.json_each if dialect == "sqlite" else sa.func.json_array_elements
    entries = each(sa.bindparam("entries", type_=sa.JSON())).table_valued(sa.column("value", sa.JSON()))
    place, task_id, attempt, last_seq = (entries.c.value[index] for index in range(4))
    seq = sa.cast(last_seq.as_string(), sa.BigInteger())
    stored = sa.exists().where(
        token_batches.c.task_id == task_id.as_string(),
        token_batches.c.attempt == attempt.as_integer(),
        token_batches.c.last_seq >= seq,
        token_batches.c.first_seq <= seq,
    )
    return sa.select(place.as_integer()).where(~stored)


HEAD = sa.select(plans).where(plans.c.plan_id == sa.bindparam("of_plan"))
# What a task shows of its plan.
OF_PLAN = (plans.c.name.label("plan_name"), plans.c.trace_context)
TASK = (
    sa.select(tasks, *OF_PLAN)
    .join(plans, plans.c.plan_id == tasks.c.plan_id)
    .where(tasks.c.task_id == sa.bindparam("of_task"))
)
OPEN_TASKS = (
    sa.select(tasks.c.tenant, tasks.c.wanted_queue, sa.func.count().label("number"))
    .where(tasks.c.ended_at.is_(None))
    .group_by(tasks.c.tenant, tasks.c.wanted_queue)
)
VERSIONS = (
    sa.select(plans.c.version.label("plan_version"), tasks.c.task_id, tasks.c.version)
    .join(tasks, tasks.c.plan_id == plans.c.plan_id)
    .where(plans.c.plan_id == sa.bindparam("of_plan"))
)
ATTEMPT = sa.select(attempts.c.reason, attempts.c.begun_at, attempts.c.traceparent).where(
    attempts.c.task_id == sa.bindparam("of_task"), attempts.c.number == sa.bindparam("of_attempt")
)
ADD_ATTEMPT = sa.insert(attempts)
BEGIN_ATTEMPT = (
    update(tasks)
    .where(
        tasks.c.task_id == sa.bindparam("of_task"),
        tasks.c.attempt == sa.bindparam("of_attempt"),
        tasks.c.attempt_open.is_(False),
        tasks.c.state.not_in(TASK_ENDS),
    )
    .values(attempt=tasks.c.attempt + 1)
    .returning(tasks, *map(_of_its_plan, OF_PLAN))
)
NOTE_WAITING = _fenced()
NOTE_ASSIGNED = _fenced().values(started_at=sa.func.coalesce(tasks.c.started_at, _NOW))
END_ATTEMPT = _fenced().where(*_WITH_WORKER).values(burnt=tasks.c.burnt + sa.bindparam("burns", type_=sa.Integer()))
# What was cancelled before it had ended does not succeed any more.
SUCCEED_ATTEMPT = END_ATTEMPT.where(tasks.c.cancel_requested_at.is_(None))
NOTE_ROUTER_TOLD = _told(tasks.c.cancel_router_told_at).values(cancel_router_told_at=_NOW)
# A worker that was told was told by the Router, whose own answer may be on its way still.
NOTE_WORKER_TOLD = _told(tasks.c.cancel_worker_told_at).values(
    cancel_worker_told_at=_NOW, cancel_router_told_at=sa.func.coalesce(tasks.c.cancel_router_told_at, _NOW)
)
LAST_SEQ = sa.select(sa.func.max(token_batches.c.last_seq)).where(
    token_batches.c.task_id == sa.bindparam("of_task"), token_batches.c.attempt == sa.bindparam("of_attempt")
)
_OVER = sa.or_(token_batches.c.attempt < tasks.c.attempt, tasks.c.attempt_open.is_(False))
STRETCHES = (
    sa.select(
        token_batches.c.attempt,
        token_batches.c.first_seq,
        token_batches.c.last_seq,
        sa.func.length(token_batches.c.payload).label("size"),
    )
    .join(tasks, tasks.c.task_id == token_batches.c.task_id)
    .where(
        token_batches.c.task_id == sa.bindparam("of_task"),
        sa.tuple_(token_batches.c.attempt, token_batches.c.last_seq)
        > sa.tuple_(sa.bindparam("after_attempt", type_=sa.Integer()), sa.bindparam("after", type_=sa.BigInteger())),
        _OVER,
    )
    .order_by(token_batches.c.attempt, token_batches.c.last_seq)
    .limit(sa.bindparam("at_most"))
)
# Held to the end of the transaction: nobody else merges or erases tokens of the task meanwhile.
HOLD_OVER = (
    sa.select(sa.true())
    .select_from(tasks)
    .where(
        tasks.c.task_id == sa.bindparam("of_task"),
        sa.or_(tasks.c.attempt > sa.bindparam("of_attempt"), tasks.c.attempt_open.is_(False)),
    )
    .with_for_update(key_share=True)
)
_WITHIN = (
    token_batches.c.task_id == sa.bindparam("of_task"),
    token_batches.c.attempt == sa.bindparam("of_attempt"),
    token_batches.c.last_seq.between(sa.bindparam("first"), sa.bindparam("last")),
)
# In the order in which a rotation takes them, or the two could wait for each other.
BATCHES_WITHIN = (
    sa.select(token_batches.c.first_seq, token_batches.c.last_seq, token_batches.c.payload)
    .where(*_WITHIN)
    .order_by(token_batches.c.last_seq)
    .with_for_update()
)
DELETE_WITHIN = sa.delete(token_batches).where(*_WITHIN)
ADD_BATCH = sa.insert(token_batches)
BATCHES_AFTER = (
    sa.select(token_batches.c.first_seq, token_batches.c.last_seq, token_batches.c.payload)
    .where(
        token_batches.c.task_id == sa.bindparam("of_task"),
        token_batches.c.attempt == sa.bindparam("of_attempt"),
        token_batches.c.last_seq > sa.bindparam("after"),
    )
    .order_by(token_batches.c.last_seq)
    .limit(sa.bindparam("at_most"))
)

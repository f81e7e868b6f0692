"""The statements that every step of every plan needs, made once: making one takes longer than carrying it out.

Parameters named `of_...` say which row is meant; parameters named like columns are what is written.
"""

import sqlalchemy as sa

from devteam_planner.domain import TaskState
from devteam_planner.store.tables import Moment, attempts, plans, tasks, token_batches

TASK_ENDS = [state.value for state in TaskState if state.ended]


def update(table: sa.Table) -> sa.Update:
    """An update that raises the row's version, so that watchers see it."""
    return sa.update(table).values(version=table.c.version + 1)


def _fenced() -> sa.Update:
    """An update only while `of_attempt` is the task's newest and open: the database decides, in the write itself."""
    return update(tasks).where(
        tasks.c.task_id == sa.bindparam("of_task"),
        tasks.c.attempt == sa.bindparam("of_attempt"),
        tasks.c.attempt_open.is_(True),
    )


HEAD = sa.select(plans).where(plans.c.plan_id == sa.bindparam("of_plan"))
TASK = sa.select(tasks).where(tasks.c.task_id == sa.bindparam("of_task"))
VERSIONS = (
    sa.select(plans.c.version.label("plan_version"), tasks.c.task_id, tasks.c.version)
    .join(tasks, tasks.c.plan_id == plans.c.plan_id)
    .where(plans.c.plan_id == sa.bindparam("of_plan"))
)
ATTEMPT = sa.select(attempts.c.reason).where(
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
    .returning(tasks)
)
NOTE_WAITING = _fenced()
NOTE_ASSIGNED = _fenced().values(started_at=sa.func.coalesce(tasks.c.started_at, sa.bindparam("now", type_=Moment())))
END_ATTEMPT = _fenced().values(burnt=tasks.c.burnt + sa.bindparam("burns", type_=sa.Integer()))
LAST_SEQ = sa.select(sa.func.max(token_batches.c.last_seq)).where(
    token_batches.c.task_id == sa.bindparam("of_task"), token_batches.c.attempt == sa.bindparam("of_attempt")
)
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

"""The Planner's tables. Migrations bring a database to what stands here; a test compares the two."""

from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = sa.MetaData()


class Moment(sa.TypeDecorator[datetime]):
    """A moment in UTC: SQLite forgets time zones, so it is never told one."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Drop the zone."""
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Put it back."""
        return value and value.replace(tzinfo=UTC)


def id_column_type() -> sa.Text:
    """Ids sort by their bytes, in every database and every locale: lists and pages depend on it."""
    return sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


plans = sa.Table(
    "plans",
    metadata,
    sa.Column("plan_id", id_column_type(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sole", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("input", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
    sa.Column("cancel_requested_at", Moment),
    sa.Column("request_id", sa.Text, unique=True),
    sa.Column("request_digest", sa.Text, nullable=False),
    sa.Column("trace_context", sa.JSON, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("tenant", sa.Text, nullable=False, server_default="default"),
    sa.Index("ix_plans_sole", "sole", "plan_id"),
)
# The sweep looks for these every few seconds; there are hardly ever any.
sa.Index(
    "ix_plans_pending",
    plans.c.created_at,
    sqlite_where=plans.c.state == "pending",
    postgresql_where=plans.c.state == "pending",
)
# Who sees one tenant's plans only reads no others'.
sa.Index(
    "ix_plans_tenant",
    plans.c.tenant,
    plans.c.plan_id,
    sqlite_where=plans.c.sole.is_(False),
    postgresql_where=plans.c.sole.is_(False),
)

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("task_id", id_column_type(), primary_key=True),
    sa.Column("plan_id", id_column_type(), sa.ForeignKey("plans.plan_id", ondelete="CASCADE"), nullable=False),
    sa.Column("step_id", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("sole", sa.Boolean, nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("depends_on", sa.JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("attempt_open", sa.Boolean, nullable=False),
    sa.Column("burnt", sa.Integer, nullable=False),
    sa.Column("worker_id", sa.Text),
    sa.Column("instance_id", sa.Text),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("placement_reason", sa.Text, nullable=False),
    sa.Column("wait_reason", sa.Text, nullable=False),
    sa.Column("output_bytes", sa.BigInteger, nullable=False),
    sa.Column("completion", sa.JSON(none_as_null=True)),
    sa.Column("failure", sa.JSON(none_as_null=True)),
    sa.Column("started_at", Moment),
    sa.Column("ended_at", Moment),
    sa.Column("version", sa.BigInteger, nullable=False),
    # So late: SQLite reads a row from its front, and only GetTask and templates want this.
    sa.Column("output", sa.Text, nullable=False),
    # The trail of a cancel. Behind the output all the same: what is NULL is known from the row's head.
    sa.Column("cancel_requested_at", Moment),
    sa.Column("cancel_router_told_at", Moment),
    sa.Column("cancel_worker_told_at", Moment),
    sa.Column("cancel_stopped_at", Moment),
    sa.Column("cancel_model_closed_after", sa.Float),
    # For their indexes; lists show the tenant of the plan.
    sa.Column("tenant", sa.Text, nullable=False, server_default="default"),
    sa.Column("wanted_queue", sa.Text, nullable=False, server_default=""),
    # By every write that changes what is seen of the task; for its index only.
    sa.Column("changed_at", Moment),
    # What the newest attempt took, if it ended with neither a completion nor a failure.
    sa.Column("spent", sa.JSON(none_as_null=True)),
    sa.Index("ix_tasks_plan", "plan_id", "position"),
    sa.Index("ix_tasks_sole", "sole", "task_id"),
    sa.Index("ix_tasks_changed", "changed_at", "task_id", "version"),
)

# As with plans; and what of a tenant is open, and what its tasks came to, the latest first.
sa.Index(
    "ix_tasks_tenant",
    tasks.c.tenant,
    tasks.c.task_id,
    sqlite_where=tasks.c.sole.is_(True),
    postgresql_where=tasks.c.sole.is_(True),
)
sa.Index(
    "ix_tasks_tenant_open",
    tasks.c.tenant,
    tasks.c.task_id,
    sqlite_where=tasks.c.ended_at.is_(None),
    postgresql_where=tasks.c.ended_at.is_(None),
)
sa.Index(
    "ix_tasks_tenant_ended",
    tasks.c.tenant,
    tasks.c.changed_at,
    tasks.c.task_id,
    sqlite_where=tasks.c.ended_at.is_not(None),
    postgresql_where=tasks.c.ended_at.is_not(None),
)

# How much is open is counted every second.
sa.Index(
    "ix_tasks_open",
    tasks.c.tenant,
    tasks.c.wanted_queue,
    sqlite_where=tasks.c.ended_at.is_(None),
    postgresql_where=tasks.c.ended_at.is_(None),
)

# Those who look on begin with all that is open, and count the tokens of what runs every second.
sa.Index(
    "ix_tasks_unended",
    tasks.c.task_id,
    sqlite_where=tasks.c.ended_at.is_(None),
    postgresql_where=tasks.c.ended_at.is_(None),
)
sa.Index(
    "ix_tasks_running",
    tasks.c.task_id,
    tasks.c.attempt,
    sqlite_where=tasks.c.state == "running",
    postgresql_where=tasks.c.state == "running",
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("task_id", id_column_type(), sa.ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("begun_at", Moment),
    sa.Column("traceparent", sa.Text, nullable=False, server_default=""),
)

# Named by their last token: what comes after a given token is then one stretch of the index.
token_batches = sa.Table(
    "token_batches",
    metadata,
    sa.Column("task_id", id_column_type(), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last_seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("first_seq", sa.BigInteger, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)

"""Plans, tasks, attempts and tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def _id() -> sa.Text:
    return sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "plans",
        sa.Column("plan_id", _id(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sole", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("input", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("cancel_requested_at", sa.DateTime),
        sa.Column("request_id", sa.Text, unique=True),
        sa.Column("request_digest", sa.Text, nullable=False),
        sa.Column("trace_context", sa.JSON, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_plans_sole", "plans", ["sole", "plan_id"])
    pending = sa.text("state = 'pending'")
    op.create_index("ix_plans_pending", "plans", ["created_at"], sqlite_where=pending, postgresql_where=pending)
    op.create_table(
        "tasks",
        sa.Column("task_id", _id(), primary_key=True),
        sa.Column("plan_id", _id(), sa.ForeignKey("plans.plan_id", ondelete="CASCADE"), nullable=False),
        sa.Column("step_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("sole", sa.Boolean, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("depends_on", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("attempt_open", sa.Boolean, nullable=False),
        sa.Column("burnt", sa.Integer, nullable=False),
        sa.Column("worker_id", sa.Text),
        sa.Column("instance_id", sa.Text),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("placement_reason", sa.Text, nullable=False),
        sa.Column("wait_reason", sa.Text, nullable=False),
        sa.Column("output_bytes", sa.BigInteger, nullable=False),
        sa.Column("completion", sa.JSON),
        sa.Column("failure", sa.JSON),
        sa.Column("started_at", sa.DateTime),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
    )
    op.create_index("ix_tasks_plan", "tasks", ["plan_id", "position"])
    op.create_index("ix_tasks_sole", "tasks", ["sole", "task_id"])
    op.create_table(
        "attempts",
        sa.Column("task_id", _id(), sa.ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "token_batches",
        sa.Column("task_id", _id(), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop every table."""
    for table in ("token_batches", "attempts", "tasks", "plans"):
        op.drop_table(table)

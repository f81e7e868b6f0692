"""When tasks were written last, and indexes for those who look on at all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_PARTIAL = {
    "ix_tasks_unended": (["task_id"], "ended_at IS NULL"),
    "ix_tasks_running": (["task_id", "attempt"], "state = 'running'"),
}


def upgrade() -> None:
    """Add them; what is there already was written when its last known moment was."""
    op.add_column("tasks", sa.Column("changed_at", sa.DateTime))
    op.execute("UPDATE tasks SET changed_at = COALESCE(ended_at, started_at, created_at)")
    op.create_index("ix_tasks_changed", "tasks", ["changed_at", "task_id", "version"])
    for name, (columns, condition) in _PARTIAL.items():
        where = sa.text(condition)
        op.create_index(name, "tasks", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Drop them."""
    for name in (*_PARTIAL, "ix_tasks_changed"):
        op.drop_index(name, "tasks")
    op.drop_column("tasks", "changed_at")

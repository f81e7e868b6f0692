"""Whose plans and tasks they are, and what is open in each queue."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# What a task is to run in, out of its spec.
_WANTED = {"sqlite": "json_extract(spec, '$.queue')", "postgresql": "spec ->> 'queue'"}


def upgrade() -> None:
    """Add the columns: everything so far is the default tenant's."""
    for table in ("plans", "tasks"):
        op.add_column(table, sa.Column("tenant", sa.Text, nullable=False, server_default="default"))
    op.add_column("tasks", sa.Column("wanted_queue", sa.Text, nullable=False, server_default=""))
    wanted = _WANTED[op.get_bind().dialect.name]
    op.execute(f"UPDATE tasks SET wanted_queue = {wanted} WHERE ended_at IS NULL")  # noqa: S608 - no input in it
    still_open = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_tasks_open", "tasks", ["tenant", "wanted_queue"], sqlite_where=still_open, postgresql_where=still_open
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_tasks_open", "tasks")
    op.drop_column("tasks", "wanted_queue")
    for table in ("tasks", "plans"):
        op.drop_column(table, "tenant")

"""Indexes for those who see one tenant's plans and tasks only."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ADDED = {
    "ix_plans_tenant": ("plans", ["tenant", "plan_id"], "sole IS {false}"),
    "ix_tasks_tenant": ("tasks", ["tenant", "task_id"], "sole IS {true}"),
    "ix_tasks_tenant_ended": ("tasks", ["tenant", "changed_at", "task_id"], "ended_at IS NOT NULL"),
}
_BOOLEANS = {"sqlite": {"true": "1", "false": "0"}, "postgresql": {"true": "TRUE", "false": "FALSE"}}


def upgrade() -> None:
    """Add them; of what is open, an index tells whose it is."""
    booleans = _BOOLEANS[op.get_bind().dialect.name]
    for name, (table, columns, condition) in _ADDED.items():
        _create(name, table, columns, condition.format(**booleans))
    op.drop_index("ix_tasks_unended", "tasks")
    _create("ix_tasks_unended", "tasks", ["task_id", "tenant"], "ended_at IS NULL")


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_tasks_unended", "tasks")
    _create("ix_tasks_unended", "tasks", ["task_id"], "ended_at IS NULL")
    for name, (table, _, _) in _ADDED.items():
        op.drop_index(name, table)


def _create(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)

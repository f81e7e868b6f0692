"""Indexes for those who see one tenant's plans and tasks only."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ADDED = {
    "ix_plans_tenant": ("plans", ["tenant", "plan_id"], "sole IS {false}"),
    "ix_tasks_tenant": ("tasks", ["tenant", "task_id"], "sole IS {true}"),
    "ix_tasks_tenant_open": ("tasks", ["tenant", "task_id"], "ended_at IS NULL"),
    "ix_tasks_tenant_ended": ("tasks", ["tenant", "changed_at", "task_id"], "ended_at IS NOT NULL"),
}
_BOOLEANS = {"sqlite": {"true": "1", "false": "0"}, "postgresql": {"true": "TRUE", "false": "FALSE"}}


def upgrade() -> None:
    """Add them."""
    booleans = _BOOLEANS[op.get_bind().dialect.name]
    for name, (table, columns, condition) in _ADDED.items():
        where = sa.text(condition.format(**booleans))
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Drop them."""
    for name, (table, _, _) in _ADDED.items():
        op.drop_index(name, table)

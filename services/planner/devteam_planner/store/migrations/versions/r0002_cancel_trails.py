"""The trail of a cancel, and when attempts began."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TRAIL = {
    "cancel_requested_at": sa.DateTime,
    "cancel_router_told_at": sa.DateTime,
    "cancel_worker_told_at": sa.DateTime,
    "cancel_stopped_at": sa.DateTime,
    "cancel_model_closed_after": sa.Float,
}


def upgrade() -> None:
    """Add the columns; what is there already has no trail, and began nobody knows when."""
    for name, kind in _TRAIL.items():
        op.add_column("tasks", sa.Column(name, kind))
    op.add_column("attempts", sa.Column("begun_at", sa.DateTime))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("attempts", "begun_at")
    for name in reversed(_TRAIL):
        op.drop_column("tasks", name)

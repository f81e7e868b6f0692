"""Workers, and what operators want of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "registry_workers",
        sa.Column("worker_id", sa.String(128), primary_key=True),
        sa.Column("instance_id", sa.String(128), nullable=False),
        sa.Column("session_digest", sa.String(64), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("own_availability", sa.Integer, nullable=False),
        sa.Column("active_tasks", sa.Integer, nullable=False),
        sa.Column("departed", sa.Boolean, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("wishes", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("registry_workers")

"""The span in which an attempt was begun, for later ones to link to."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column: attempts so far have none."""
    op.add_column("attempts", sa.Column("traceparent", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("attempts", "traceparent")

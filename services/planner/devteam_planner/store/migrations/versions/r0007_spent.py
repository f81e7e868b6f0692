"""What attempts took that ended with neither a completion nor a failure."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add it; of what has ended before, nobody knows."""
    op.add_column("tasks", sa.Column("spent", sa.JSON))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("tasks", "spent")

"""How operators want runs to be placed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, which has one row at most."""
    op.create_table(
        "registry_routing",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("routing", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("registry_routing")
